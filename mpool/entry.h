/* SPDX-License-Identifier: BSD-2-Clause */
/* The translation from (file, page) to an entry: entry.c has the picture and the rules. */
#ifndef MPOOL_ENTRY_H
#define MPOOL_ENTRY_H

#include "mpool/pool.h"

/*
 * Where a key lives: its home bucket (numbered through the whole table) and slot in it.  A product
 * carries bits upwards only, so the file's number, which stands at the top of a key, is folded down
 * first: else one page number of all files would be one group.
 */
static inline uint64_t entry_hash(uint64_t seed, uint64_t key)
{
    uint64_t h = key ^ seed;

    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ULL;
    return h ^ h >> 32;
}

/*
 * Linear hashing: split_mask + 1 is the smallest power of two that is not less than groups; a group
 * that does not exist yet is still part of the one that it will be split from.
 */
static inline uint32_t entry_group(uint64_t hash, uint32_t split_mask, uint32_t groups)
{
    uint32_t g = (uint32_t)hash & split_mask;

    return g < groups ? g : g & split_mask >> 1;
}

static inline uint32_t entry_bucket(uint64_t hash, uint32_t group)
{
    return group * GROUP_BUCKETS + (uint32_t)(hash >> 58);
}

/* The entry of key in its home bucket, where most are; NULL: look further with entry_find(). */
static inline struct entry *entry_find_home(struct entry *entries, uint64_t key, uint64_t hash,
                                            uint32_t bucket)
{
    struct entry *home = entries + (size_t)bucket * BUCKET_ENTRIES;
    uint32_t slot = (uint32_t)(hash >> 56) & 3;

    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        struct entry *e = home + ((slot + i) & 3);

        if (LIKELY(atomic_load_explicit(&e->key, memory_order_relaxed) == key))
            return e;
    }
    return NULL;
}

/* The entry that had key at some instant of the call; NULL proves nothing without the group lock. */
struct entry *entry_find(const struct tarn_mpool *pool, uint64_t key);

/* The group whose lock guards the keys that hash like key. */
uint32_t entry_group_of(const struct tarn_mpool *pool, uint64_t key);

/* Locks of groups: one at a time, the overflow group's inside it. */
void entry_lock(struct tarn_thread *th, uint32_t group);
void entry_unlock(struct tarn_thread *th, uint32_t group);

/*
 * Under the lock of key's group, when entry_find() has just found nothing: take a free entry for key
 * with intent slot `intent`, claimed as loading into frame.  Returns NULL if there is no place at
 * all.
 */
struct entry *entry_insert(struct tarn_thread *th, uint64_t key, uint32_t frame, unsigned intent);

/*
 * Empty an entry that this thread has claimed: the key goes, the word becomes free with `version`.
 * Wakes who waits.  The caller clears its intent afterwards.
 */
void entry_delete(struct tarn_thread *th, struct entry *e, uint32_t version);

/* Claim e, whose word is w, with bits; the intent is written first.  False: the word has moved on. */
bool entry_claim(struct tarn_thread *th, struct entry *e, uint64_t w, uint64_t bits,
                 unsigned intent);

/* End a claim: the word becomes w (WT is not carried: who waited is woken). */
void entry_release(struct tarn_mpool *pool, struct entry *e, uint64_t w);

void entry_forget(struct tarn_thread *th, unsigned intent);

/* Somebody has claimed e (its word was w): wait a little for him, or for his death. */
void entry_wait(struct tarn_thread *th, struct entry *e, uint64_t w);

/* A repairer's: recount ovf of a group from its keys, whose lock the caller holds. */
void entry_recount(struct tarn_mpool *pool, uint32_t group);

static inline uint32_t entry_index(const struct tarn_mpool *pool, const struct entry *e)
{
    return (uint32_t)(e - pool->entries);
}

#endif /* MPOOL_ENTRY_H */
