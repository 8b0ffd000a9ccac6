/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The translation: which frame holds page p of file f.
 *
 *     hash ---> group g (64 buckets, one lock) ---> home bucket (4 entries, one cache line)
 *
 *     bucket   | key pte | key pte | key pte | key pte |   ovf 2: two keys whose home is this bucket
 *     bucket+1 | key pte |    0    |    0    |    0    |          or one before it went further
 *        :        a search goes on, round the group, while ovf is not 0
 *     bucket+63
 *     last group of the table: keys whose own group is full; searched while `overflowed` is not 0
 *
 * The life of an entry, as the bits of its pte say it (the upper half is the version, or while CL is
 * set the tag of who claimed it):
 *
 *       insert                     publish                     claim
 *     FREE ------> CL  loading --------------> RS  resident <---------> CL+RS  evicting, copying
 *      ^            |                                          release      |
 *      +------------+-------------------------------------------------------+ delete
 *
 * Rules
 *   1. A search takes no lock and writes nothing.  A key found was there; nothing found proves
 *      nothing, since the key may have come behind our back: insert looks again under the lock.
 *   2. Keys come and go under their group's lock, so that there are never two entries of one key.
 *   3. An entry's key changes only while its pte is claimed by who changes it, and is 0 before the
 *      pte is FREE: so FREE in the pte alone says that the entry can be taken, by a CAS.
 *   4. ovf of the buckets passed is raised before the key appears and lowered after it is gone: it
 *      may be too high (a longer search), never too low.  255 stays for good.
 *   5. The version of a pte is never reset, also not when the entry gets another key: a reader that
 *      sees the same word twice saw the same page in between.
 *   6. Whoever claims writes down before the CAS which entry it is and what its word was; whoever
 *      finds the claimer dead finishes or undoes it from there (repair.c).
 *   7. Who ends a claim exchanges the word, and if the old one had WT wakes those who wait.
 *   8. Who holds a claim waits for group locks only; who holds a group lock waits for nothing.
 *
 * Orders.  The claim is seq_cst: in exchange mode it must not pass the loads of the pin scan
 * (pin.c).  A publish is a release, so that who sees RS sees the page; keys are published before.
 *
 * Not promised: a bound on the search in a group that is nearly full.  The hash is seeded per pool,
 * tables are made half full, and a group overflows with a probability below 1e-20.
 *
 * tests/test_entry.c holds the rules, among them the search in full groups and in the last one.
 */
#include "mpool/entry.h"

static uint64_t hash_of(const struct tarn_mpool *pool, uint64_t key)
{
    const struct pool_header *h = pool->header;

    return entry_hash(h->multiplier, entry_mix(h, key_file(key)), key & KEY_PAGE_MASK);
}

static uint32_t bucket_of(const struct tarn_mpool *pool, uint64_t hash)
{
    return entry_bucket(hash, pool->bucket_mask, pool->header->groups * GROUP_BUCKETS);
}

uint32_t entry_group_of(const struct tarn_mpool *pool, uint64_t key)
{
    return bucket_of(pool, hash_of(pool, key)) / GROUP_BUCKETS;
}

/* The bucket after `bucket` on the way round its group. */
static uint32_t next_bucket(uint32_t bucket)
{
    return (bucket & ~(uint32_t)(GROUP_BUCKETS - 1)) | ((bucket + 1) & (GROUP_BUCKETS - 1));
}

static struct entry *find_overflowed(const struct tarn_mpool *pool, uint64_t key)
{
    struct entry *e = pool->entries + (size_t)pool->header->groups * GROUP_ENTRIES;

    if (atomic_load_explicit(&pool->header->overflowed, memory_order_relaxed) == 0)
        return NULL;
    for (uint32_t i = 0; i < GROUP_ENTRIES; i++)
        if (atomic_load_explicit(&e[i].key, memory_order_relaxed) == key)
            return e + i;
    return NULL;
}

struct entry *entry_find(const struct tarn_mpool *pool, uint64_t key)
{
    uint64_t hash = hash_of(pool, key);
    uint32_t home = bucket_of(pool, hash);
    uint32_t bucket = home;

    do {
        struct entry *e = entry_find_home(pool->entries, key, hash, bucket);

        if (e)
            return e;
        if (atomic_load_explicit(&pool->ovf[bucket], memory_order_relaxed) == 0)
            return NULL;
        bucket = next_bucket(bucket);
    } while (bucket != home);
    return find_overflowed(pool, key);
}

uint32_t entry_distance(const struct tarn_mpool *pool, uint64_t key, const struct entry *e)
{
    uint32_t home = bucket_of(pool, hash_of(pool, key));
    uint32_t bucket = entry_index(pool, e) / BUCKET_ENTRIES;
    uint32_t passed = home / GROUP_BUCKETS == bucket / GROUP_BUCKETS
                          ? (bucket - home) % GROUP_BUCKETS
                          : GROUP_BUCKETS; /* the whole group, then the last one */

    return passed * BUCKET_ENTRIES;
}

void entry_lock(struct tarn_thread *th, uint32_t group)
{
    struct tarn_mpool *pool = th->pool;

    th->group_before = atomic_exchange(&th->part->group[0], group + 1);
    own_lock(pool->region, &pool->locks[group], th->tag);
}

void entry_unlock(struct tarn_thread *th, uint32_t group)
{
    struct tarn_mpool *pool = th->pool;

    own_unlock(pool->region, &pool->locks[group], th->tag);
    atomic_store_explicit(&th->part->group[0], th->group_before, memory_order_release);
}

/* Add delta (1 or -1) to a count that stops at both ends, and stays at the upper one (rule 4). */
static void change_ovf(_Atomic uint8_t *count, int delta)
{
    uint8_t n = atomic_load_explicit(count, memory_order_relaxed);

    if (n != UINT8_MAX && !(n == 0 && delta < 0))
        atomic_store_explicit(count, (uint8_t)(n + delta), memory_order_release);
}

/*
 * Change the counts of all buckets that the entry's key went past: from its home to the one before
 * the entry's own, or the whole group if it stands in the last one.  ovf: of the key's group.
 */
static void change_passed(const struct tarn_mpool *pool, _Atomic uint8_t *ovf, uint64_t key,
                          const struct entry *e, int delta)
{
    uint64_t hash = hash_of(pool, key);
    uint32_t home = bucket_of(pool, hash);
    uint32_t last = entry_index(pool, e) / BUCKET_ENTRIES;
    uint32_t bucket = home;

    if (bucket == last)
        return;
    do {
        change_ovf(&ovf[bucket % GROUP_BUCKETS], delta);
        bucket = next_bucket(bucket);
    } while (bucket != last && bucket != home);
}

static _Atomic uint8_t *ovf_of(const struct tarn_mpool *pool, uint32_t group)
{
    return pool->ovf + (size_t)group * GROUP_BUCKETS;
}

static bool in_last_group(const struct tarn_mpool *pool, const struct entry *e)
{
    return entry_index(pool, e) >= pool->header->groups * (uint32_t)GROUP_ENTRIES;
}

bool entry_claim(struct tarn_thread *th, struct entry *e, uint64_t w, uint64_t bits,
                 unsigned intent)
{
    struct intent *in = &th->part->intent[intent];
    uint64_t claimed = pte_make(th->tag, bits | (w & PTE_WT), pte_frame(bits));

    atomic_store_explicit(&in->old, w, memory_order_relaxed);
    atomic_store_explicit(&in->entry, (uint64_t)entry_index(th->pool, e) + 1, memory_order_release);
    if (atomic_compare_exchange_strong(&e->pte, &w, claimed))
        return true;
    entry_forget(th, intent);
    return false;
}

void entry_forget(struct tarn_thread *th, unsigned intent)
{
    atomic_store_explicit(&th->part->intent[intent].entry, 0, memory_order_release);
}

void entry_release(struct tarn_mpool *pool, struct entry *e, uint64_t w)
{
    uint64_t old = atomic_exchange(&e->pte, w & ~PTE_WT);

    if (UNLIKELY(old & PTE_WT))
        own_wake(pool->region, pte_half(&e->pte));
}

/* The first entry of bucket that can be taken, claimed; NULL if there is none. */
static struct entry *take_in_bucket(struct tarn_thread *th, uint32_t bucket, uint64_t hash,
                                    uint32_t frame, unsigned intent)
{
    struct entry *first = th->pool->entries + (size_t)bucket * BUCKET_ENTRIES + entry_slot(hash);

    for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
        struct entry *e = entry_beside(first, i);
        uint64_t w = atomic_load_explicit(&e->pte, memory_order_relaxed);

        if ((w & PTE_STATE) == 0 && entry_claim(th, e, w, PTE_CL | frame, intent))
            return e;
    }
    return NULL;
}

struct entry *entry_insert(struct tarn_thread *th, uint64_t key, uint32_t frame, unsigned intent)
{
    struct tarn_mpool *pool = th->pool;
    uint64_t hash = hash_of(pool, key);
    uint32_t home = bucket_of(pool, hash);
    uint32_t last = pool->header->groups * GROUP_BUCKETS;
    uint32_t bucket = home;
    struct entry *e;

    do {
        e = take_in_bucket(th, bucket, hash, frame, intent);
        bucket = next_bucket(bucket);
    } while (!e && bucket != home);
    for (bucket = last; !e && bucket < last + GROUP_BUCKETS; bucket++)
        e = take_in_bucket(th, bucket, hash, frame, intent);
    if (!e)
        return NULL;
    change_passed(pool, ovf_of(pool, home / GROUP_BUCKETS), key, e, 1);
    if (in_last_group(pool, e))
        atomic_fetch_add(&pool->header->overflowed, 1);
    atomic_store_explicit(&e->key, key, memory_order_release);
    return e;
}

void entry_delete(struct tarn_thread *th, struct entry *e, uint32_t version)
{
    struct tarn_mpool *pool = th->pool;
    uint64_t key = atomic_load_explicit(&e->key, memory_order_relaxed);

    if (key != 0) {
        uint32_t group = entry_group_of(pool, key);

        entry_lock(th, group);
        atomic_store_explicit(&e->key, 0, memory_order_release);
        change_passed(pool, ovf_of(pool, group), key, e, -1);
        entry_unlock(th, group);
        if (in_last_group(pool, e))
            atomic_fetch_sub(&pool->header->overflowed, 1);
    }
    entry_release(pool, e, pte_make(version, 0, 0));
}

void entry_wait(struct tarn_thread *th, struct entry *e, uint64_t w)
{
    enum { LOOKS = 200 };
    uint64_t waiting = w | PTE_WT;

    pool_count(th, COUNT_WAIT, 1);
    for (unsigned i = 0; i < LOOKS; i++)
        if (atomic_load_explicit(&e->pte, memory_order_relaxed) != w)
            return;
    if (w != waiting && !atomic_compare_exchange_strong(&e->pte, &w, waiting))
        return;
    (void)own_wait(th->pool->region, pte_half(&e->pte), (uint32_t)waiting, pte_high(waiting),
                   10 * 1000 * 1000);
}

/* Count the keys of `group` that stand in the GROUP_ENTRIES entries from e on. */
static void count_keys(const struct tarn_mpool *pool, const struct entry *e, uint32_t group,
                       _Atomic uint8_t *ovf)
{
    for (uint32_t i = 0; i < GROUP_ENTRIES; i++) {
        uint64_t key = atomic_load_explicit(&e[i].key, memory_order_relaxed);

        if (key != 0 && entry_group_of(pool, key) == group)
            change_passed(pool, ovf, key, e + i, 1);
    }
}

void entry_recount(struct tarn_mpool *pool, uint32_t group)
{
    _Atomic uint8_t exact[GROUP_BUCKETS] = { 0 };

    count_keys(pool, pool->entries + (size_t)group * GROUP_ENTRIES, group, exact);
    if (atomic_load_explicit(&pool->header->overflowed, memory_order_relaxed) != 0)
        count_keys(pool, pool->entries + (size_t)pool->header->groups * GROUP_ENTRIES, group,
                   exact);
    for (uint32_t i = 0; i < GROUP_BUCKETS; i++)
        atomic_store_explicit(&ovf_of(pool, group)[i], exact[i], memory_order_release);
}
