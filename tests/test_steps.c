/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Death at each write to shared memory.
 *
 * This test has a pool and a region of its own build, in which every write to an atomic word is a
 * step (steps.h).  A victim goes through everything that a process does in a pool and is killed at
 * step n; then a survivor goes through the same, with its books audited, the dirty pages that the
 * victim had put found in their files, nothing older than what was done and nothing that was never
 * begun.  In a second test the one who meets the victim first is killed, too, and a third survives;
 * in the third test he is only late.
 *
 * A pool is made anew for each death, so that n names the same place each time.  Without arguments
 * some hundred places are tried, spread by a fixed seed; test_steps all tries each, test_steps N M one
 * pair of them a hundred times.
 */
#include "audit.h"
#include "proc.h"
#include "stamp.h"

enum {
    A_PAGES = 96, /* file a: the pages of the pool are 64 */
    B_PAGES = 12, /* file b: pages of four units */
    B_SIZE = 4 * PAGE,
    PINS = 20 /* more than stand in a lane's line */
};

static struct progress *progress;
static struct bed bed; /* the survivor's; only its home and files last from death to death */
static bool all;
static long only[2]; /* the one pair of steps to try */

/* ---- steps --------------------------------------------------------------------------------------- */

static long step_at, step_count; /* 0: not counted; -1: counted, nobody dies */
static struct side *step_stops;  /* at the step the process stops until it is told to go on */

void step_here(void)
{
    if (step_at == 0 || ++step_count != step_at)
        return;
    if (step_stops != NULL) {
        side_here(step_stops);
        side_wait(step_stops);
        return;
    }
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static void step_io(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)kind;
    (void)off;
    (void)len;
    step_here();
}

/* ---- what a process does ------------------------------------------------------------------------- */

struct work {
    struct bed *b;
    tarn_mpf *file[2]; /* a and b */
    uint32_t worker;
};

static size_t size_of(uint32_t file) { return file == 1 ? B_SIZE : PAGE; }

static int get(struct work *w, uint32_t file, uint32_t pgno, void **page)
{
    int ret = tarn_page_get(w->b->th, w->file[file], pgno, 0, page);
    uint32_t done = atomic_load(&progress->done[file][pgno]);
    struct stamp s;

    if (ret != 0)
        return progress_fail(progress, "get %u/%u: %s", file, pgno, tarn_last_message());
    if (!stamp_read(*page, size_of(file), file, pgno, &s))
        return progress_fail(progress, "page %u/%u says %u/%u", file, pgno, s.file, s.page);
    if (s.seq < done || s.seq > atomic_load(&progress->begun[file][pgno]))
        return progress_fail(progress, "page %u/%u: change %u, done %u, begun %u", file, pgno,
                             s.seq, done, atomic_load(&progress->begun[file][pgno]));
    return 0;
}

static void alter(struct work *w, uint32_t file, uint32_t pgno, void *page)
{
    uint32_t seq = atomic_fetch_add(&progress->begun[file][pgno], 1) + 1;

    stamp_write(page, size_of(file), (struct stamp){ file, pgno, seq, w->worker, 0 });
}

static void altered(uint32_t file, uint32_t pgno, const void *page)
{
    atomic_store(&progress->done[file][pgno], ((const struct stamp *)page)->seq);
}

static int put(struct work *w, void *page, unsigned flags)
{
    return tarn_page_put(w->b->th, page, flags) == 0
               ? 0
               : progress_fail(progress, "put: %s", tarn_last_message());
}

static int look_at(struct work *w, uint32_t file, uint32_t from, uint32_t end)
{
    void *page;
    int bad = 0;

    for (uint32_t i = from; i < end && !bad; i++)
        bad = get(w, file, i, &page) || put(w, page, 0);
    return bad;
}

static int change(struct work *w, uint32_t file, uint32_t from, uint32_t end)
{
    void *page;
    int bad = 0;

    for (uint32_t i = from; i < end && !bad; i++) {
        struct stamp s;

        bad = get(w, file, i, &page);
        if (bad)
            break;
        alter(w, file, i, page);
        memcpy(&s, page, sizeof(s));
        bad = put(w, page, TARN_PAGE_DIRTY);
        if (!bad)
            altered(file, i, &s);
    }
    return bad;
}

/* Many pins at once: some of them stand in a frame of the pool. */
static int hold_many(struct work *w)
{
    void *page[PINS];
    int bad = 0;

    for (uint32_t i = 0; i < PINS && !bad; i++)
        bad = get(w, 0, 20 + i, &page[i]);
    for (uint32_t i = 0; i < PINS && !bad; i += 6) {
        alter(w, 0, 20 + i, page[i]);
        bad = tarn_page_set(w->b->th, page[i], TARN_PAGE_DIRTY) != 0;
        if (!bad)
            altered(0, 20 + i, page[i]);
    }
    for (uint32_t i = 0; i < PINS && !bad; i++)
        bad = put(w, page[i], i % 6 == 1 ? TARN_PAGE_DISCARD : 0);
    return bad;
}

/* A file that nobody else has open: its dirty pages go unwritten. */
static int passing_file(struct work *w)
{
    tarn_mpf *file;
    tarn_pgno pgno;
    void *page;
    int bad = bed_open_file(w->b, "c", PAGE, TARN_MPF_CREATE, &file) != 0;

    for (int i = 0; i < 3 && !bad; i++) {
        bad = tarn_page_new(w->b->th, file, &pgno, &page) != 0;
        if (!bad)
            bad = put(w, page, i == 2 ? TARN_PAGE_CLEAN : TARN_PAGE_DIRTY);
    }
    return bad || tarn_mpf_close(file) != 0;
}

static int open_files(struct work *w)
{
    if (bed_open_file(w->b, "a", PAGE, 0, &w->file[0]) != 0 ||
        bed_open_file(w->b, "b", B_SIZE, 0, &w->file[1]) != 0)
        return progress_fail(progress, "open: %s", tarn_last_message());
    return 0;
}

/* An extent moves from a to b at the next miss of b. */
static void unbalance(const struct work *w)
{
    struct pool_header *h = w->b->pool->header;

    STEP_STORE(&h->misses_of[5], 100000, memory_order_relaxed);
}

static int everything(struct bed *b, uint32_t worker)
{
    struct work w = { .b = b, .worker = worker };
    int ret, bad = open_files(&w) || look_at(&w, 0, 0, 8) || change(&w, 0, 10, 14) ||
                   hold_many(&w) || change(&w, 1, 0, 3);

    unbalance(&w);
    bad = bad || look_at(&w, 1, 3, 6) || look_at(&w, 0, 40, A_PAGES) || passing_file(&w) ||
          change(&w, 0, 0, 2);
    if (!bad && (ret = tarn_mpool_sync(b->pool)) != 0)
        if (ret != TARN_EINCOMPLETE || worker < 3) /* another may be stopped, with pages pinned */
            bad = progress_fail(progress, "sync: %s", tarn_last_message());
    return bad || change(&w, 0, 2, 4) || tarn_mpf_close(w.file[1]) != 0;
}

/*
 * Only what nobody changes, for who works beside another without locks between them; and in the file
 * that the survivor has open, too, since the last to close drops what is dirty.
 */
static int look_on(struct bed *b)
{
    struct work w = { .b = b };

    return bed_open_file(b, "a", PAGE, 0, &w.file[0]) != 0 || look_at(&w, 0, 40, A_PAGES);
}

/* ---- who dies ------------------------------------------------------------------------------------ */

struct victim {
    long at;
    uint32_t worker;
    bool from_join; /* steps count from there: what the dead left is given back in the join */
    bool stops;
};

static int victim(struct side *me)
{
    const struct victim *v = me->arg;
    struct bed b;
    int bad;

    step_stops = v->stops ? me : NULL;
    step_at = v->from_join ? v->at : 0;
    if (bed_join(&bed, &b) != 0)
        return 3;
    b.io.before = step_io;
    step_at = v->stops ? 0 : v->at;
    bad = (v->stops ? look_on(&b) : everything(&b, v->worker)) || tarn_mpool_close(b.pool) != 0;
    if (v->at < 0)
        atomic_store(&progress->steps, step_count);
    step_at = 0;
    return bad || tarn_env_close(b.env) != 0;
}

static int ends(struct victim v)
{
    struct child c;

    child_start(&c, victim, &v);
    return child_end(&c);
}

/* ---- who survives -------------------------------------------------------------------------------- */

static void check_file(const char *name, uint32_t file, uint32_t pages)
{
    static uint8_t page[TARN_PAGE_SIZE_MAX];
    struct stamp s;

    for (uint32_t i = 0; i < pages; i++)
        if (!bed_read(&bed, name, size_of(file), i, page) ||
            !stamp_read(page, size_of(file), file, i, &s) ||
            s.seq < atomic_load(&progress->done[file][i]))
            (void)progress_fail(progress, "file %s, page %u: change %u, done was %u", name, i,
                                s.seq, atomic_load(&progress->done[file][i]));
}

/* Make a pool, with file a open and all over it: what the victim wants must be taken from it. */
static void prepare(struct work *w)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;

    config.flags = TARN_REGION_CREATE;
    config.max_procs = 4;
    config.max_threads = 16;
    MUST(tarn_mpool_open(bed.env, NULL, &config, &bed.pool));
    MUST(tarn_mpool_thread(bed.pool, &bed.th));
    *w = (struct work){ .b = &bed, .worker = 1 };
    w->file[0] = bed_file(&bed, "a", PAGE, 0);
    CU_ASSERT_FALSE(look_at(w, 0, 0, 70));
}

static void survive(struct work *w, long n, long m)
{
    int faults = audit_pool(bed.pool, 0);

    if (everything(&bed, 1) != 0 || tarn_mpool_sync(bed.pool) != 0)
        (void)progress_fail(progress, "the survivor: %s", tarn_last_message());
    check_file("a", 0, A_PAGES);
    check_file("b", 1, B_PAGES);
    faults += audit_pool(bed.pool, 0);
    if (faults != 0 || atomic_load(&progress->failed))
        printf("# killed at step %ld and %ld: %d faults; %s\n", n, m, faults, progress->why);
    CU_ASSERT_EQUAL(faults, 0);
    CU_ASSERT_FALSE(atomic_exchange(&progress->failed, 0));
    memset(progress->why, 0, sizeof(progress->why));
    (void)w;
    OK(tarn_mpool_close(bed.pool));
    OK(tarn_mpool_remove(bed.env, NULL, 0));
}

static void one_death(long n)
{
    struct work w;
    int end;

    prepare(&w);
    end = ends((struct victim){
        .at = n,
        .worker = 2 }); /* pages hash otherwise each time: the last few steps may not be there */
    CU_ASSERT_TRUE(end == 256 + SIGKILL || (end == 0 && n > atomic_load(&progress->steps) - 200));
    survive(&w, n, 0);
}

static void two_deaths(long n, long m)
{
    struct work w;
    int end;

    prepare(&w);
    (void)ends((struct victim){ .at = n, .worker = 2 });
    end = ends((struct victim){ .at = m, .worker = 3, .from_join = true });
    CU_ASSERT_TRUE(end == 256 + SIGKILL || end == 0);
    survive(&w, n, m);
}

/* It has ended within a while, or goes on. */
static bool ended_soon(struct child *c)
{
    siginfo_t info = { 0 };

    for (int i = 0; i < 100 && info.si_pid == 0; i++) {
        (void)tarn_os_host()->misc->sleep(tarn_os_host(), 1000 * 1000);
        (void)waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    }
    return info.si_pid != 0;
}

/*
 * Who repairs stops in the middle; another finishes what he had begun and works on, as far as that
 * goes without the locks that the first may hold; then the first goes on, late.
 */
static void a_death_and_a_delay(long n, long m)
{
    struct victim late = { .at = m, .worker = 3, .from_join = true, .stops = true };
    struct victim other = { .at = 0, .worker = 4 };
    struct child first, second;
    struct work w;

    prepare(&w);
    (void)ends((struct victim){ .at = n, .worker = 2 });
    child_start(&first, victim, &late);
    if (child_await(&first)) { /* else the join has fewer steps */
        atomic_fetch_add(&progress->ops[0], 1);
        child_start(&second, victim, &other);
        (void)ended_soon(&second);
        child_go_on(&first);
        CU_ASSERT_EQUAL(child_end(&second), 0);
    }
    CU_ASSERT_EQUAL(child_end(&first), 0);
    survive(&w, n, m);
}

/* ---- the tests ----------------------------------------------------------------------------------- */

static int begin(void)
{
    progress = progress_make();
    memset(&bed, 0, sizeof(bed));
    home_make(&bed.home);
    io_make(&bed.io);
    return bed_env(&bed, &bed.env) != 0;
}

static int end(void)
{
    int bad = tarn_env_close(bed.env) != 0;

    home_remove(&bed.home);
    progress_drop(progress);
    return bad;
}

static void nobody_dies(void)
{
    struct work w;

    stamp_fill(&bed, "a", 0, PAGE, A_PAGES);
    stamp_fill(&bed, "b", 1, B_SIZE, B_PAGES);
    prepare(&w);
    CU_ASSERT_EQUAL(ends((struct victim){ .at = -1, .worker = 2 }), 0);
    survive(&w, 0, 0);
    CU_ASSERT_TRUE(atomic_load(&progress->steps) > 1000);
    printf("# %ld steps\n", atomic_load(&progress->steps));
}

static uint32_t next_random(void)
{
    static uint64_t state = 20261122;

    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33);
}

static void a_death_at_each_step(void)
{
    long steps = atomic_load(&progress->steps), stride = all ? 1 : steps / 200 + 1;

    for (long n = 1; n < steps && only[0] == 0;
         n += 1 + (all ? 0 : (long)(next_random() % (2 * stride))))
        one_death(n);
}

/* Pairs of steps: most of the second ones are in the join, which repairs what the first left. */
static void pairs(void (*fn)(long n, long m), long tries)
{
    long steps = atomic_load(&progress->steps) + 1;

    for (int i = 0; only[0] != 0 && i < 100; i++)
        fn(only[0], only[1]);
    for (long i = 0; i < (all ? 50 * tries : tries) && only[0] == 0; i++)
        fn(1 + next_random() % steps, 1 + next_random() % (i % 5 ? 400 : steps));
}

static void a_repairer_dies_too(void) { pairs(two_deaths, 150); }

static void a_repairer_is_slow(void)
{
    pairs(a_death_and_a_delay, 40);
    printf("# %llu times\n", (unsigned long long)atomic_load(&progress->ops[0]));
    CU_ASSERT_TRUE(atomic_load(&progress->ops[0]) > 0);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "nobody dies", nobody_dies },
        { "X29 U2: a process dies at any write; the next finds all in order",
          a_death_at_each_step },
        { "X29: who repairs dies, too, at any write", a_repairer_dies_too },
        { "X29: who repairs is late, at any write", a_repairer_is_slow },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "steps", begin, end, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };

    all = argc > 1 && strcmp(argv[1], "all") == 0;
    for (int i = 1; i < argc && i < 3 && !all; i++)
        only[i - 1] = strtol(argv[i], NULL, 10);
    return run_suites(suites);
}
