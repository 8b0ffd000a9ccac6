/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The translation alone: keys are inserted, found and deleted without pages behind them, so that
 * groups can be filled to the last entry.
 */
#include "pool.h"

#include "mpool/entry.h"
#include "mpool/thread.h"

static struct bed b;
static struct tarn_mpool *pool;
static struct tarn_thread *th;

static void begin(uint64_t bytes)
{
    bed_make(&b, bytes, TARN_REGION_PRIVATE);
    pool = b.pool;
    th = b.th;
}

static struct entry *insert_to(uint64_t key, uint32_t frame)
{
    uint32_t group = entry_group_of(pool, key);
    struct entry *e;

    entry_lock(th, group);
    CU_ASSERT_PTR_NULL(entry_find(pool, key));
    e = entry_insert(th, key, frame, INTENT_LOAD);
    entry_unlock(th, group);
    if (e != NULL) {
        uint32_t version = pte_high(atomic_load(&th->part->intent[INTENT_LOAD].old)) + 1;

        CU_ASSERT_EQUAL(atomic_load(&e->pte), pte_make(th->tag, PTE_CL, frame));
        CU_ASSERT_EQUAL(atomic_load(&th->part->intent[INTENT_LOAD].entry),
                        entry_index(pool, e) + 1ULL);
        entry_release(pool, e, pte_make(version, PTE_RS, frame));
        entry_forget(th, INTENT_LOAD);
    }
    return e;
}

static struct entry *insert(uint64_t key) { return insert_to(key, 1); }

static void delete_entry(struct entry *e)
{
    uint64_t w = atomic_load(&e->pte);

    CU_ASSERT_FATAL(entry_claim(th, e, w, PTE_CL | PTE_RS | pte_frame(w), 0));
    entry_delete(th, e, pte_high(w) + 1);
    entry_forget(th, 0);
    CU_ASSERT_EQUAL(atomic_load(&e->pte), pte_make(pte_high(w) + 1, 0, 0));
    CU_ASSERT_EQUAL(atomic_load(&e->key), 0);
}

static void delete_key(uint64_t key)
{
    struct entry *e = entry_find(pool, key);

    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    delete_entry(e);
    CU_ASSERT_PTR_NULL(entry_find(pool, key));
}

/* The next key from `key` on whose group is `group`. */
static uint64_t key_in(uint32_t group, uint64_t key)
{
    while (entry_group_of(pool, key) != group)
        key++;
    return key;
}

static uint32_t home_of(const struct pool_header *h, uint64_t key)
{
    uint64_t hash = entry_hash(h->multiplier, entry_mix(h, key_file(key)), key & KEY_PAGE_MASK);
    uint32_t buckets = h->groups * GROUP_BUCKETS, mask = 0;

    while (mask + 1 < buckets)
        mask = 2 * mask + 1;
    return entry_bucket(hash, mask, buckets);
}

/* How many keys went past each bucket of the group, found by looking at every entry. */
static void count_passed(uint32_t group, unsigned passed[GROUP_BUCKETS])
{
    uint32_t entries = (pool->header->groups + 1) * GROUP_ENTRIES;

    memset(passed, 0, GROUP_BUCKETS * sizeof(unsigned));
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t key = atomic_load(&pool->entries[i].key);
        uint32_t home, at;

        if (key == 0 || entry_group_of(pool, key) != group)
            continue;
        home = home_of(pool->header, key) % GROUP_BUCKETS;
        at = i / GROUP_ENTRIES == group ? i / BUCKET_ENTRIES % GROUP_BUCKETS : UINT32_MAX;
        for (unsigned n = 0; n < GROUP_BUCKETS && (home + n) % GROUP_BUCKETS != at; n++)
            passed[(home + n) % GROUP_BUCKETS]++;
    }
}

static bool ovf_is_exact(void)
{
    unsigned passed[GROUP_BUCKETS];
    bool exact = true;

    for (uint32_t g = 0; g < pool->header->groups; g++) {
        count_passed(g, passed);
        for (unsigned i = 0; i < GROUP_BUCKETS; i++)
            exact = exact && atomic_load(&pool->ovf[g * GROUP_BUCKETS + i]) == passed[i];
    }
    return exact;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static void found_until_deleted(void)
{
    struct entry *e;

    begin(0);
    CU_ASSERT_PTR_NULL(entry_find(pool, key_make(1, 5)));
    e = insert_to(key_make(1, 5), 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_PTR_EQUAL(entry_find(pool, key_make(1, 5)), e);
    CU_ASSERT_EQUAL(pte_frame(atomic_load(&e->pte)), 3);
    CU_ASSERT_PTR_NULL(entry_find(pool, key_make(2, 5)));
    CU_ASSERT_PTR_NULL(entry_find(pool, key_make(1, 6)));
    delete_key(key_make(1, 5));
    bed_remove(&b);
}

static void extreme_keys(void)
{
    static const uint32_t files[] = { 0, 1, KEY_FILE_MAX };
    static const uint64_t pages[] = { 0, 1, TARN_PGNO_MAX };

    begin(0);
    for (int f = 0; f < 3; f++)
        for (int p = 0; p < 3; p++) {
            uint64_t key = key_make(files[f], pages[p]);

            CU_ASSERT_EQUAL(key_file(key), files[f]);
            CU_ASSERT_EQUAL(key & KEY_PAGE_MASK, pages[p]);
            CU_ASSERT_PTR_NOT_NULL(insert(key));
        }
    for (int f = 0; f < 3; f++)
        for (int p = 0; p < 3; p++)
            delete_key(key_make(files[f], pages[p]));
    CU_ASSERT(ovf_is_exact());
    bed_remove(&b);
}

static void versions_only_rise(void)
{
    uint32_t before;
    struct entry *e, *again;

    begin(0);
    e = insert(key_make(1, 1));
    before = pte_high(atomic_load(&e->pte));
    for (int i = 0; i < 100; i++) {
        delete_entry(e);
        again = insert(key_make(1, 1));
        CU_ASSERT_PTR_EQUAL_FATAL(again, e); /* the home entry is free again: rule 3 */
        CU_ASSERT(pte_high(atomic_load(&e->pte)) > before);
        before = pte_high(atomic_load(&e->pte));
    }
    delete_entry(e);
    bed_remove(&b);
}

static void a_claim_needs_the_exact_word(void)
{
    struct entry *e;
    uint64_t w;

    begin(0);
    e = insert(key_make(1, 1));
    w = atomic_load(&e->pte);
    CU_ASSERT_FALSE(entry_claim(th, e, w + PTE_VERSION, PTE_CL | PTE_RS | 1, 4));
    CU_ASSERT_EQUAL(atomic_load(&th->part->intent[4].entry), 0);
    CU_ASSERT_EQUAL(atomic_load(&e->pte), w);
    CU_ASSERT_TRUE(entry_claim(th, e, w, PTE_CL | PTE_RS | 1, 4));
    CU_ASSERT_EQUAL(atomic_load(&th->part->intent[4].old), w);
    CU_ASSERT_EQUAL(pte_high(atomic_load(&e->pte)), th->tag);
    CU_ASSERT_FALSE(entry_claim(th, e, w, PTE_CL | PTE_RS | 1, 5)); /* only one can */
    entry_release(pool, e, w);
    entry_forget(th, 4);
    CU_ASSERT_EQUAL(atomic_load(&e->pte), w);
    delete_entry(e);
    bed_remove(&b);
}

static void waiters_are_carried_over_a_claim(void)
{
    struct entry *e;
    uint64_t w;

    begin(0);
    e = insert(key_make(1, 1));
    w = atomic_load(&e->pte);
    atomic_fetch_or(&e->pte, PTE_WT);
    CU_ASSERT_TRUE(entry_claim(th, e, w | PTE_WT, PTE_CL | PTE_RS | 1, 0));
    CU_ASSERT((atomic_load(&e->pte) & PTE_WT) != 0);
    entry_release(pool, e, w | PTE_WT);
    entry_forget(th, 0);
    CU_ASSERT_EQUAL(atomic_load(&e->pte), w); /* who waited is woken */
    delete_entry(e);
    bed_remove(&b);
}

/* All 256 places of a group are used, then all of the last group, then there is none. */
static void full_groups(void)
{
    uint32_t last = 2 * GROUP_ENTRIES;
    uint64_t key = key_make(1, 0), *keys = calloc(last + 1, sizeof(*keys));
    struct entry *e;

    begin(0);
    for (uint32_t i = 0; i <= last; i++, key++) {
        key = key_in(1, key);
        keys[i] = key;
        e = insert(key);
        if (i == last)
            break;
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_EQUAL(entry_index(pool, e) / GROUP_ENTRIES,
                        i < GROUP_ENTRIES ? 1 : pool->header->groups);
    }
    CU_ASSERT_PTR_NULL(e);
    CU_ASSERT_EQUAL(atomic_load(&pool->header->overflowed), GROUP_ENTRIES);
    for (uint32_t i = 0; i < last; i++)
        CU_ASSERT_PTR_NOT_NULL(entry_find(pool, keys[i]));
    CU_ASSERT_PTR_NULL(entry_find(pool, keys[last]));

    /* another group is not touched by that, but has no overflow either */
    CU_ASSERT_PTR_NOT_NULL(insert(key_in(0, key_make(2, 0))));
    delete_key(key_in(0, key_make(2, 0)));
    for (uint32_t i = 0; i < last; i += 2)
        delete_key(keys[i]);
    for (uint32_t i = 1; i < last; i += 2)
        delete_key(keys[i]);
    CU_ASSERT_EQUAL(atomic_load(&pool->header->overflowed), 0);
    bed_remove(&b);
    free(keys);
}

/* The counts stay at 255 after that: searches are longer, never wrong; a recount mends it. */
static void saturated_counts(void)
{
    uint32_t n = 2 * GROUP_ENTRIES;
    uint64_t key = key_make(1, 0), *keys = calloc(n, sizeof(*keys));

    begin(0);
    for (uint32_t i = 0; i < n; i++, key++) {
        key = key_in(0, key);
        keys[i] = key;
        CU_ASSERT_PTR_NOT_NULL_FATAL(insert(key));
    }
    CU_ASSERT_EQUAL(atomic_load(&pool->ovf[5]), UINT8_MAX);
    for (uint32_t i = 0; i < n; i++)
        delete_key(keys[i]);
    CU_ASSERT_EQUAL(atomic_load(&pool->ovf[5]), UINT8_MAX);
    for (uint32_t i = 0; i < n; i++)
        CU_ASSERT_PTR_NULL(entry_find(pool, keys[i]));
    entry_lock(th, 0);
    entry_recount(pool, 0);
    entry_unlock(th, 0);
    CU_ASSERT(ovf_is_exact());
    CU_ASSERT_EQUAL(atomic_load(&pool->ovf[5]), 0);
    bed_remove(&b);
    free(keys);
}

/* Many comings and goings: the counts are exact, and a recount agrees with them. */
static void counts_are_exact(void)
{
    enum { KEYS = 400, STEPS = 6000 };
    bool there[KEYS] = { false };
    uint32_t random = 1;

    begin(0); /* 512 entries in two groups: often nearly full */
    for (int i = 0; i < STEPS; i++) {
        uint32_t k = (random = random * 1664525u + 1013904223u) >> 8;
        uint64_t key = key_make(1 + k % 7, k % KEYS);

        k %= KEYS;
        key = key_make(1 + k % 7, k);
        if (there[k])
            delete_key(key);
        else
            CU_ASSERT_PTR_NOT_NULL_FATAL(insert(key));
        there[k] = !there[k];
    }
    CU_ASSERT(ovf_is_exact());
    for (uint32_t g = 0; g < pool->header->groups; g++) {
        for (unsigned i = 0; i < GROUP_BUCKETS; i++)
            atomic_store(&pool->ovf[g * GROUP_BUCKETS + i], (uint8_t)(i * 5));
        entry_lock(th, g);
        entry_recount(pool, g);
        entry_unlock(th, g);
    }
    CU_ASSERT(ovf_is_exact());
    for (uint32_t k = 0; k < KEYS; k++) {
        if (there[k])
            delete_key(key_make(1 + k % 7, k));
        CU_ASSERT_PTR_NULL(entry_find(pool, key_make(1 + k % 7, k)));
    }
    CU_ASSERT(ovf_is_exact());
    bed_remove(&b);
}

/* Every bucket is somebody's home, also when the number of groups is no power of two. */
static void groups_of_any_number(void)
{
    struct pool_header h = { .multiplier = 0x9e3779b97f4a7c15ULL, .seed = 99 };

    for (h.groups = 1; h.groups < 70; h.groups++) {
        unsigned used = 0, seen[70] = { 0 };

        for (uint64_t i = 0; i < 8192; i++) {
            uint32_t g = home_of(&h, key_make(1, i)) / GROUP_BUCKETS;

            CU_ASSERT_FATAL(g < h.groups);
            used += seen[g]++ == 0;
        }
        CU_ASSERT_EQUAL(used, h.groups);
    }
}

/* ---- the hash ----------------------------------------------------------------------------------- */

enum { GROUPS = 64, HALF_FULL = GROUPS * GROUP_ENTRIES / 2 };

/* Keys as programs have them: page and file both count up by steps. */
struct pattern {
    const char *name;
    uint64_t files, page_step; /* key i: file i % files + 1, page i / files * step */
};

/* Are the keys spread well enough that no group overflows and most stand in their home bucket? */
static bool spread(const struct pattern *p, const struct pool_header *h)
{
    static uint32_t groups[GROUPS], buckets[GROUPS * GROUP_BUCKETS];
    uint32_t most = 0, home = 0;

    memset(groups, 0, sizeof(groups));
    memset(buckets, 0, sizeof(buckets));
    for (uint64_t i = 0; i < HALF_FULL; i++) {
        uint64_t page = i / p->files * p->page_step & KEY_PAGE_MASK;
        uint32_t bucket = home_of(h, key_make((uint32_t)(i % p->files) + 1, page));

        groups[bucket / GROUP_BUCKETS]++;
        buckets[bucket]++;
    }
    for (unsigned g = 0; g < GROUPS; g++)
        most = groups[g] > most ? groups[g] : most;
    for (unsigned i = 0; i < GROUPS * GROUP_BUCKETS; i++)
        home += buckets[i] < BUCKET_ENTRIES ? buckets[i] : BUCKET_ENTRIES;
    if (most <= GROUP_ENTRIES * 7 / 8 && home >= HALF_FULL * 17 / 20)
        return true;
    printf("# %s, multiplier %llx: fullest group %u of %d, %u of %d at home\n", p->name,
           (unsigned long long)h->multiplier, most, GROUP_ENTRIES, home, HALF_FULL);
    return false;
}

static void keys_are_spread(void)
{
    static const struct pattern patterns[] = {
        { "one file, every page", 1, 1 },
        { "every 2nd page", 1, 2 },
        { "every 64th page", 1, 64 },
        { "every 1000th page", 1, 1000 },
        { "every 2^16th page", 1, 1ULL << 16 },
        { "every 2^28th page", 1, 1ULL << 28 },
        { "7 files", 7, 1 },
        { "256 files", 256, 1 },
        { "4096 files, every 8th page", 4096, 8 },
        { "the first page of each file", HALF_FULL, 1 },
    };

    /* pools as they are made, each with numbers of its own */
    for (int s = 0; s < 20; s++) {
        struct pool_header h;

        begin(0);
        h = *pool->header;
        bed_remove(&b);
        h.groups = GROUPS;
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
            CU_ASSERT(spread(&patterns[i], &h));
    }
}

static void searches_are_short(void)
{
    struct tarn_mpool_stat st;
    uint32_t keys;

    begin(4 << 20);
    keys = pool->header->groups * GROUP_ENTRIES / 2;
    for (uint32_t i = 0; i < keys; i++)
        CU_ASSERT_PTR_NOT_NULL_FATAL(insert(key_make(1, i)));
    st = bed_stat(&b);
    CU_ASSERT_EQUAL(st.hash_entries, (pool->header->groups + 1ULL) * GROUP_ENTRIES);
    CU_ASSERT_EQUAL(atomic_load(&pool->header->overflowed), 0);
    for (uint32_t i = 0; i < keys; i++)
        delete_key(key_make(1, i));
    CU_ASSERT(ovf_is_exact());
    bed_remove(&b);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "M9: a key is found until it is deleted", found_until_deleted },
        { "M9: the smallest and largest files and pages", extreme_keys },
        { "versions only rise, whatever key comes", versions_only_rise },
        { "a claim needs the exact word, and leaves an intent", a_claim_needs_the_exact_word },
        { "waiters are carried over a claim", waiters_are_carried_over_a_claim },
        { "a full group, the last group, and no place at all", full_groups },
        { "counts at their end make searches longer, never wrong", saturated_counts },
        { "counts are exact after deletes and a recount", counts_are_exact },
        { "any number of groups", groups_of_any_number },
        { "M9: keys of all patterns are spread", keys_are_spread },
        { "a half full table has no overflow", searches_are_short },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "entry", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
