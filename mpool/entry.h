/* SPDX-License-Identifier: BSD-2-Clause */
/* The translation from (file, page) to an entry: entry.c has the picture and the rules. */
#ifndef MPOOL_ENTRY_H
#define MPOOL_ENTRY_H

#include "mpool/pool.h"

/*
 * The hash of a page, of which the upper half counts.  One multiplication is not enough: it takes
 * pages that stand at equal distances to buckets at equal distances, and for one multiplier in ten
 * and most distances these are few.  A product carries bits upwards only, so that the file's number,
 * at the top of a key, would not reach the bucket: each file starts somewhere else instead (mix).
 */
static inline uint64_t entry_mix(const struct pool_header *h, uint32_t file)
{
    uint64_t m = (h->seed ^ file) * 0x9e3779b97f4a7c15ULL;

    return (m ^ m >> 29) * 0xbf58476d1ce4e5b9ULL;
}

static inline uint64_t entry_hash(uint64_t multiplier, uint64_t mix, uint64_t page)
{
    uint64_t h = (page ^ mix) * multiplier;

    return (h ^ h >> 32) * 0xbf58476d1ce4e5b9ULL;
}

/*
 * The home bucket.  Linear hashing in whole groups: bucket_mask + 1 is the smallest power of two that
 * is not less than the number of buckets; a group that does not exist yet is still part of the one
 * that it will be split from.
 */
static inline uint32_t entry_bucket(uint64_t hash, uint32_t bucket_mask, uint32_t buckets)
{
    uint32_t b = (uint32_t)(hash >> 32) & bucket_mask;

    return LIKELY(b < buckets) ? b : b & (bucket_mask >> 1);
}

/* The slot of a bucket to look at first. */
static inline uint32_t entry_slot(uint64_t hash) { return (uint32_t)(hash >> 62); }

/* The i-th entry of its bucket that a search looks at which begins with e: a bucket is one line. */
static inline struct entry *entry_beside(struct entry *e, uint32_t i)
{
    return (struct entry *)((uintptr_t)e ^ i * sizeof(struct entry));
}

static inline bool entry_has(const struct entry *e, uint64_t key)
{
    return atomic_load_explicit(&e->key, memory_order_relaxed) == key;
}

/* The entry of key in its home bucket, where most are; NULL: look further with entry_find(). */
static inline struct entry *entry_find_home(struct entry *entries, uint64_t key, uint64_t hash,
                                            uint32_t bucket)
{
    struct entry *e = entries + (size_t)bucket * BUCKET_ENTRIES + entry_slot(hash);

    if (LIKELY(entry_has(e, key)))
        return e;
    if (entry_has(entry_beside(e, 1), key))
        return entry_beside(e, 1);
    if (entry_has(entry_beside(e, 2), key))
        return entry_beside(e, 2);
    return entry_has(entry_beside(e, 3), key) ? entry_beside(e, 3) : NULL;
}

/* The entry that had key at some instant of the call; NULL proves nothing without the group lock. */
struct entry *entry_find(const struct tarn_mpool *pool, uint64_t key);

/* The group whose lock guards the keys that hash like key. */
uint32_t entry_group_of(const struct tarn_mpool *pool, uint64_t key);

/* How many entries a search for key looks at before e. */
uint32_t entry_distance(const struct tarn_mpool *pool, uint64_t key, const struct entry *e);

/* Locks of groups: one at a time.  The last group has none: its entries are taken by CAS alone. */
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
