/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A storm: processes that read, change, sync, open and close in one small pool, of which one after
 * the other is killed wherever it is and replaced by a new one.
 *
 * Each worker's place (0..) owns some pages of the files that are written; who takes the place later
 * inherits them.  A change is noted as begun before it and as done after its put, beside the pool:
 * what was done must be there, whoever died since; where one was begun and not done the page may hold
 * anything (the dead had it pinned for writing).  Pages that nobody writes must always be right.
 *
 * A kill comes when every worker has got on since the last one, so that who is stuck is seen.  The
 * seed is printed; TARN_SEED sets it, TARN_KILLS the number of kills.
 */
#include "audit.h"
#include "proc.h"
#include "stamp.h"

enum { WORKERS = 5, RO_PAGES = 90, RW_PAGES = 40, BIG_PAGES = 15, BIG = 4 * PAGE, PINS = 20 };
enum { RO, RW, BIG_FILE };

static const uint32_t pages_of[] = { RO_PAGES, RW_PAGES, BIG_PAGES };
static const char *const names[] = { "ro", "rw", "big" };

static struct progress *progress;
static struct bed bed;
static _Atomic int *stop;

static size_t size_of(uint32_t file) { return file == BIG_FILE ? BIG : PAGE; }

/* ---- a worker ------------------------------------------------------------------------------------ */

struct worker {
    struct bed b;
    tarn_mpf *file[3];
    uint32_t place;
    uint64_t random;
};

static uint32_t draw(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33) % n;
}

static int failed(const struct worker *w, const char *what, uint32_t file, uint32_t pgno)
{
    return progress_fail(progress, "worker %u: %s %s/%u: %s", w->place, what, names[file], pgno,
                         tarn_last_message());
}

static int open_one(struct worker *w, uint32_t file)
{
    unsigned flags = file == RO ? TARN_MPF_RDONLY : 0;

    if (bed_open_file(&w->b, names[file], (uint32_t)size_of(file), flags, &w->file[file]) != 0)
        return failed(w, "open", file, 0);
    return 0;
}

static int read_only(struct worker *w, tarn_thread *th, uint64_t *random)
{
    uint32_t pgno = draw(random, RO_PAGES);
    struct stamp s;
    void *page;

    if (tarn_page_get(th, w->file[RO], pgno, 0, &page) != 0)
        return failed(w, "get", RO, pgno);
    if (!stamp_read(page, PAGE, RO, pgno, &s) || s.seq != 0)
        return failed(w, "wrong", RO, pgno);
    return tarn_page_put(th, page, 0) == 0 ? 0 : failed(w, "put", RO, pgno);
}

/* One page of this place: it holds what was done last, if nothing was left undone. */
static int change(struct worker *w, uint32_t file)
{
    uint32_t own = pages_of[file] / WORKERS, pgno = draw(&w->random, own) * WORKERS + w->place;
    _Atomic uint32_t *begun = &progress->begun[file][pgno], *done = &progress->done[file][pgno];
    uint32_t seq = atomic_load(begun);
    struct stamp s;
    void *page;

    if (tarn_page_get(w->b.th, w->file[file], pgno, 0, &page) != 0)
        return failed(w, "get", file, pgno);
    if (seq == atomic_load(done) &&
        (!stamp_read(page, size_of(file), file, pgno, &s) || s.seq != seq))
        return progress_fail(progress, "worker %u: %s/%u has change %u of %s/%u, not %u", w->place,
                             names[file], pgno, s.seq, s.file < 3 ? names[s.file] : "?", s.page,
                             seq);
    if (draw(&w->random, 3) == 0) /* only looked */
        return tarn_page_put(w->b.th, page, 0) == 0 ? 0 : failed(w, "put", file, pgno);
    atomic_store(begun, ++seq);
    stamp_write(page, size_of(file), (struct stamp){ file, pgno, seq, w->place, 0 });
    if (tarn_page_put(w->b.th, page, TARN_PAGE_DIRTY) != 0)
        return failed(w, "put", file, pgno);
    atomic_store(done, seq);
    return 0;
}

static int hold_many(struct worker *w)
{
    uint32_t n = 0, from = draw(&w->random, RO_PAGES - PINS);
    void *page[PINS];
    int ret = 0;

    while (n < PINS && ret == 0) {
        ret = tarn_page_get(w->b.th, w->file[RO], from + n, 0, &page[n]);
        n += ret == 0;
    }
    if (ret != 0)
        return failed(w, "get many", RO, from + n);
    for (uint32_t i = 0; i < n; i++)
        if (tarn_page_put(w->b.th, page[i], i % 4 == 0 ? TARN_PAGE_DISCARD : 0) != 0)
            return failed(w, "put many", RO, from + i);
    return 0;
}

static int reopen(struct worker *w)
{
    if (tarn_mpf_close(w->file[BIG_FILE]) != 0)
        return failed(w, "close", BIG_FILE, 0);
    return open_one(w, BIG_FILE);
}

static int sync_all(struct worker *w)
{
    int ret = tarn_mpool_sync(w->b.pool);

    return ret == 0 || ret == TARN_EINCOMPLETE ? 0 : failed(w, "sync", RW, 0);
}

static void *short_thread(void *arg)
{
    struct worker *w = arg;
    uint64_t random = w->place + 1;
    tarn_thread *th;
    int bad = tarn_mpool_thread(w->b.pool, &th);

    for (int i = 0; i < 50 && !bad; i++)
        bad = read_only(w, th, &random);
    return NULL;
}

static int with_thread(struct worker *w)
{
    pthread_t t;

    if (pthread_create(&t, NULL, short_thread, w) != 0)
        return 0;
    for (int i = 0; i < 30; i++)
        if (read_only(w, w->b.th, &w->random))
            return 1;
    return pthread_join(t, NULL);
}

static int step(struct worker *w)
{
    uint32_t dice = draw(&w->random, 1000);

    if (dice < 500)
        return read_only(w, w->b.th, &w->random);
    if (dice < 780)
        return change(w, RW);
    if (dice < 970)
        return change(w, BIG_FILE);
    if (dice < 980 && w->place == 0) /* the pool has no room for two such */
        return hold_many(w);
    if (dice < 988)
        return sync_all(w);
    return dice < 996 ? reopen(w) : with_thread(w);
}

static int work(struct side *me)
{
    struct worker w = { .random = *(uint64_t *)me->arg };
    int bad;

    w.place = (uint32_t)(w.random % WORKERS);
    (void)draw(&w.random, 1);
    if (bed_join(&bed, &w.b) != 0)
        return failed(&w, "join", RO, 0);
    bad = open_one(&w, RO) || open_one(&w, RW) || open_one(&w, BIG_FILE);
    while (!bad && !atomic_load(stop)) {
        bad = step(&w);
        atomic_fetch_add(&progress->ops[w.place], 1);
    }
    return bad || bed_leave(&w.b) != 0;
}

/* ---- the one who kills --------------------------------------------------------------------------- */

/* Everybody has got on by some steps; false: somebody is stuck, or has failed. */
static bool all_get_on(uint32_t steps)
{
    uint64_t from[WORKERS], begun, now;

    for (uint32_t i = 0; i < WORKERS; i++)
        from[i] = atomic_load(&progress->ops[i]);
    (void)tarn_os_host()->misc->clock(tarn_os_host(), 0, &begun);
    for (uint32_t i = 0; i < WORKERS;) {
        if (atomic_load(&progress->failed))
            return false;
        i += atomic_load(&progress->ops[i]) >= from[i] + steps;
        (void)sched_yield();
        (void)tarn_os_host()->misc->clock(tarn_os_host(), 0, &now);
        if (now - begun > 30ULL * 1000 * 1000 * 1000)
            return progress_fail(progress, "worker %u is stuck", i) == 0;
    }
    return true;
}

static void start(struct child *c, uint32_t place, uint64_t *random)
{
    uint64_t seed = (uint64_t)draw(random, 1000000) * WORKERS + place;

    child_start(c, work, &seed);
}

static void check_files(void)
{
    static uint8_t page[TARN_PAGE_SIZE_MAX];
    struct stamp s;

    for (uint32_t file = 0; file < 3; file++)
        for (uint32_t i = 0; i < pages_of[file]; i++) {
            uint32_t done = atomic_load(&progress->done[file][i]);

            if (done == atomic_load(&progress->begun[file][i]) &&
                (!bed_read(&bed, names[file], size_of(file), i, page) ||
                 !stamp_read(page, size_of(file), file, i, &s) || s.seq != done))
                (void)progress_fail(progress, "%s/%u on disk: change %u, not %u", names[file], i,
                                    s.seq, done);
        }
}

static void storm(void)
{
    const char *seed_text = getenv("TARN_SEED"), *kills_text = getenv("TARN_KILLS");
    uint64_t random = seed_text ? strtoull(seed_text, NULL, 10) : 7;
    long kills = kills_text ? strtol(kills_text, NULL, 10) : 150, n;
    struct child c[WORKERS];

    printf("# seed %llu, %ld kills\n", (unsigned long long)random, kills);
    for (uint32_t i = 0; i < WORKERS; i++)
        start(&c[i], i, &random);
    for (n = 0; n < kills && all_get_on(1 + draw(&random, 40)); n++) {
        uint32_t i = draw(&random, WORKERS), many = n % 8 == 7 ? WORKERS - 1 : 1;

        for (uint32_t k = i; k < i + many; k++) /* many dead at once: repairs within repairs */
            (void)kill(c[k % WORKERS].pid, SIGKILL);
        for (uint32_t k = i; k < i + many; k++) {
            CU_ASSERT_EQUAL(child_end(&c[k % WORKERS]), 256 + SIGKILL);
            start(&c[k % WORKERS], k % WORKERS, &random);
        }
    }
    CU_ASSERT_EQUAL(n, kills);
    CU_ASSERT_TRUE(all_get_on(100));
    atomic_store(stop, 1);
    for (uint32_t i = 0; i < WORKERS; i++)
        CU_ASSERT_EQUAL(child_end(&c[i]), 0);
}

static void after_it(struct bed *b)
{
    struct tarn_region_stat st;

    CU_ASSERT_EQUAL(audit_pool(b->pool, 0), 0);
    OK(tarn_mpool_sync(b->pool));
    check_files();
    CU_ASSERT_EQUAL(audit_pool(b->pool, 0), 0);
    OK(tarn_region_stat(tarn_mpool_region(b->pool), &st));
    CU_ASSERT_EQUAL(st.procs, 1);
    if (atomic_load(&progress->failed))
        printf("# %s\n", progress->why);
    CU_ASSERT_FALSE(atomic_load(&progress->failed));
}

static void a_storm(void)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;
    tarn_mpf *file[3];

    progress = progress_make();
    stop = (_Atomic int *)&progress->steps;
    config.bytes = 320 * 1024;
    config.max_procs = 16;
    config.max_threads = 64;
    bed_make_as(&bed, config);
    for (uint32_t i = 0; i < 3; i++)
        stamp_fill(&bed, names[i], i, size_of(i), pages_of[i]);
    for (uint32_t i = 0; i < 3; i++)
        file[i] = bed_file(&bed, names[i], (uint32_t)size_of(i), 0);
    storm();
    after_it(&bed);
    for (uint32_t i = 0; i < 3; i++)
        OK(tarn_mpf_close(file[i]));
    bed_remove(&bed);
    progress_drop(progress);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "X29 F9: a storm of deaths costs the others nothing", a_storm },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "storm", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };

    return run_suites(suites);
}
