/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of several processes in one pool that is much smaller than its files.  Every page says
 * which it is and which change was its last, and each access compares that with a table beside the
 * pool; locks of the test's own keep writers of a page apart, as an application's would.
 *
 * A race goes on until enough was done and what it is about has happened often enough (evictions,
 * waits, write-backs), which is not a matter of time.  Afterwards the books are audited.
 */
#include "audit.h"
#include "proc.h"
#include "stamp.h"

enum { PROCS = 3, THREADS = 3, FILES = 3, PINS = 6 };
enum { SMALL, OTHER, LARGE, NEW_FILE };

static const uint32_t pages_of[] = { 70, 50, 14 };
static const char *const names[] = { "small", "other", "large", "new" };

struct shared {
    struct progress progress;
    _Atomic int locks[FILES][STAMP_PAGES]; /* -1 a writer, else how many readers */
    _Atomic uint32_t given[4096];          /* pages that tarn_page_new() gave */
    _Atomic uint32_t stop, arrived, reads;
};

static struct shared *shared;
static struct bed bed;
static const char *asked; /* TARN_PIN as the test was started */

static size_t size_of(uint32_t file) { return file == LARGE ? (size_t)4 * PAGE : PAGE; }

/* ---- a thread ------------------------------------------------------------------------------------ */

struct thread {
    struct bed *b;
    tarn_thread *th;
    tarn_mpf **file;
    uint64_t random;
    uint32_t held; /* pages that are pinned for a while */
    void *page[PINS];
};

static uint32_t draw(struct thread *t, uint32_t n)
{
    t->random = t->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(t->random >> 33) % n;
}

static int failed(const char *what, uint32_t file, uint32_t pgno)
{
    return progress_fail(&shared->progress, "%s %s/%u: %s", what, names[file], pgno,
                         tarn_last_message());
}

static bool lock_page(_Atomic int *lock, bool write)
{
    int n = atomic_load(lock);

    return n >= 0 && (n == 0 || !write) &&
           atomic_compare_exchange_strong(lock, &n, write ? -1 : n + 1);
}

static void unlock_page(_Atomic int *lock, bool write)
{
    if (write)
        atomic_store(lock, 0);
    else
        atomic_fetch_sub(lock, 1);
}

/* The page is pinned and locked: it has the last change; a writer makes one more. */
static int use_page(uint32_t file, uint32_t pgno, void *page, bool write)
{
    _Atomic uint32_t *done = &shared->progress.done[file][pgno];
    uint32_t seq = atomic_load(done);
    struct stamp s;

    if (!stamp_read(page, size_of(file), file, pgno, &s) || s.seq != seq)
        return progress_fail(&shared->progress, "%s/%u has change %u of %u/%u, not %u", names[file],
                             pgno, s.seq, s.file, s.page, seq);
    if (write) {
        stamp_write(page, size_of(file), (struct stamp){ file, pgno, seq + 1, 0, 0 });
        atomic_store(done, seq + 1);
    }
    return 0;
}

static int visit(struct thread *t)
{
    uint32_t dice = draw(t, 10), file = dice < 6 ? SMALL : dice < 8 ? OTHER : LARGE;
    uint32_t pgno = draw(t, pages_of[file]);
    bool write = draw(t, 3) == 0;
    _Atomic int *lock = &shared->locks[file][pgno];
    void *page;
    int bad;

    if (!lock_page(lock, write))
        return 0;
    if (tarn_page_get(t->th, t->file[file], pgno, 0, &page) != 0)
        return failed("get", file, pgno);
    bad = use_page(file, pgno, page, write);
    if (draw(t, 2) == 0 && write && !bad)
        bad = tarn_page_set(t->th, page, TARN_PAGE_DIRTY) != 0;
    if (tarn_page_put(t->th, page, write ? TARN_PAGE_DIRTY : 0) != 0)
        bad = failed("put", file, pgno);
    unlock_page(lock, write);
    return bad;
}

static int put_held(struct thread *t)
{
    int bad = 0;

    while (t->held != 0 && !bad)
        bad = tarn_page_put(t->th, t->page[--t->held], 0) != 0;
    return bad ? failed("let go", SMALL, 0) : 0;
}

/* Hold a page for a while without a lock: identity and place stay, whatever others do. */
static int hold(struct thread *t)
{
    uint32_t pgno = draw(t, pages_of[SMALL]);

    if (t->held == PINS)
        return put_held(t);
    if (tarn_page_get(t->th, t->file[SMALL], pgno, 0, &t->page[t->held]) != 0)
        return failed("hold", SMALL, pgno);
    t->held++;
    return 0;
}

/* A new page is given to one caller only. */
static int new_page(struct thread *t)
{
    tarn_pgno pgno;
    void *page;

    if (atomic_load(&shared->given[4095]) != 0)
        return 0;
    if (tarn_page_new(t->th, t->file[NEW_FILE], &pgno, &page) != 0)
        return failed("new", NEW_FILE, 0);
    if (pgno < 4096 && atomic_fetch_add(&shared->given[pgno], 1) != 0)
        return failed("twice", NEW_FILE, (uint32_t)pgno);
    if (!page_is_zero(page, PAGE))
        return failed("not empty", NEW_FILE, (uint32_t)pgno);
    return tarn_page_put(t->th, page, TARN_PAGE_DIRTY) == 0 ? 0 : failed("put", NEW_FILE, 0);
}

/* With nothing pinned: a sync would wait for that, too. */
static int sync_all(struct thread *t)
{
    int bad = put_held(t), ret = bad          ? 0
                                 : draw(t, 2) ? tarn_mpool_sync(t->b->pool)
                                              : tarn_mpf_sync(t->file[SMALL]);

    return bad || ret == 0 || ret == TARN_EINCOMPLETE ? bad : failed("sync", SMALL, 0);
}

/* One more handle of a file that others have open, used and closed. */
static int open_close(struct thread *t)
{
    tarn_mpf *file;
    void *page;
    int bad;

    if (bed_open_file(t->b, names[OTHER], PAGE, 0, &file) != 0)
        return failed("open", OTHER, 0);
    bad = tarn_page_get(t->th, file, draw(t, pages_of[OTHER]), 0, &page) != 0 ||
          tarn_page_put(t->th, page, 0) != 0;
    return tarn_mpf_close(file) != 0 || bad ? failed("close", OTHER, 0) : 0;
}

static int step(struct thread *t)
{
    uint32_t dice = draw(t, 1000);

    atomic_fetch_add(&shared->progress.ops[0], 1);
    if (dice < 900)
        return visit(t);
    if (dice < 960)
        return hold(t);
    if (dice < 985)
        return new_page(t);
    return dice < 993 ? open_close(t) : sync_all(t);
}

static void *race(void *arg)
{
    struct thread t = *(struct thread *)arg;
    int bad = tarn_mpool_thread(t.b->pool, &t.th) != 0;

    for (int i = 0; i < 2000 && !bad && !atomic_load(&shared->stop); i++)
        bad = step(&t);
    bad |= put_held(&t);
    return bad ? arg : NULL;
}

/* Threads come and go until it is over. */
static int race_in(struct bed *b, uint64_t random)
{
    struct thread t[THREADS];
    pthread_t id[THREADS];
    tarn_mpf *file[FILES + 1];
    bool bad = false;

    for (uint32_t i = 0; i <= FILES && !bad; i++)
        bad = bed_open_file(b, names[i], (uint32_t)size_of(i), i == NEW_FILE ? TARN_MPF_CREATE : 0,
                            &file[i]) != 0;
    if (bad)
        return failed("open", 0, 0);
    while (!bad && !atomic_load(&shared->stop)) {
        for (uint32_t i = 0; i < THREADS; i++) {
            t[i] = (struct thread){ .b = b, .file = file, .random = ++random * 2654435761u };
            (void)pthread_create(&id[i], NULL, race, &t[i]);
        }
        for (uint32_t i = 0; i < THREADS; i++) {
            void *ended;

            (void)pthread_join(id[i], &ended);
            bad |= ended != NULL;
        }
    }
    return bad ? failed("ended", 0, 0) : 0;
}

static int racer(struct side *me)
{
    struct bed b;
    int bad;

    if (bed_join(&bed, &b) != 0)
        return failed("join", 0, 0);
    bad = race_in(&b, *(uint64_t *)me->arg);
    return bed_leave(&b) != 0 || bad;
}

/* ---- the race ------------------------------------------------------------------------------------ */

/* Enough has happened, or something is wrong. */
static bool enough(void)
{
    struct tarn_mpool_stat st = bed_stat(&bed);
    uint64_t ops = atomic_load(&shared->progress.ops[0]);

    return atomic_load(&shared->progress.failed) ||
           (ops >= 30000 && st.evict_clean >= 500 && st.evict_dirty >= 500 && st.waits >= 5 &&
            st.writes >= 1000 && st.evict_pinned >= 20);
}

static void run_processes(void)
{
    struct child c[PROCS];

    for (uint64_t i = 0; i < PROCS; i++)
        child_start(&c[i], racer, &i);
    while (!enough())
        (void)sched_yield();
    atomic_store(&shared->stop, 1);
    for (uint64_t i = 0; i < PROCS; i++)
        CU_ASSERT_EQUAL(child_end(&c[i]), 0);
}

static void *watch(void *arg)
{
    while (!enough())
        (void)sched_yield();
    atomic_store(&shared->stop, 1);
    return arg;
}

static void run_threads(void)
{
    pthread_t id;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&id, NULL, watch, NULL), 0);
    CU_ASSERT_EQUAL(race_in(&bed, 77), 0);
    (void)pthread_join(id, NULL);
}

static void check_files(void)
{
    static uint8_t page[TARN_PAGE_SIZE_MAX];
    struct stamp s;

    for (uint32_t file = 0; file < FILES; file++)
        for (uint32_t i = 0; i < pages_of[file]; i++)
            if (!bed_read(&bed, names[file], size_of(file), i, page) ||
                !stamp_read(page, size_of(file), file, i, &s) ||
                s.seq != atomic_load(&shared->progress.done[file][i]))
                (void)progress_fail(&shared->progress, "%s/%u on disk: change %u", names[file], i,
                                    s.seq);
}

static void whole_race(const char *mode, bool processes)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;
    struct tarn_mpool_stat st;
    tarn_mpf *file[FILES];

    CU_ASSERT_EQUAL(setenv("TARN_PIN", mode, 1), 0);
    memset(shared, 0, sizeof(*shared));
    config.bytes = 320 * 1024;
    bed_make_as(&bed, config);
    for (uint32_t i = 0; i < FILES; i++) {
        stamp_fill(&bed, names[i], i, size_of(i), pages_of[i]);
        file[i] = bed_file(&bed, names[i], (uint32_t)size_of(i), 0);
    }
    if (processes)
        run_processes();
    else
        run_threads();
    OK(tarn_mpool_sync(bed.pool));
    check_files();
    st = bed_stat(&bed);
    printf("# %s: %llu steps, %llu clean and %llu dirty evicted, %llu waits, %llu writes\n", mode,
           (unsigned long long)atomic_load(&shared->progress.ops[0]),
           (unsigned long long)st.evict_clean, (unsigned long long)st.evict_dirty,
           (unsigned long long)st.waits, (unsigned long long)st.writes);
    CU_ASSERT_EQUAL(st.pin_exchange, strcmp(mode, "exchange") == 0);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    if (atomic_load(&shared->progress.failed))
        printf("# %s\n", shared->progress.why);
    CU_ASSERT_FALSE(atomic_load(&shared->progress.failed));
    for (uint32_t i = 0; i < FILES; i++)
        OK(tarn_mpf_close(file[i]));
    bed_remove(&bed);
}

/*
 * What another process does between two accesses of this one, ThreadSanitizer cannot see: a frame that
 * it has loaded anew looks like a race of ours.
 */
#if defined(__SANITIZE_THREAD__)
#define ONE_PROCESS_ONLY 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ONE_PROCESS_ONLY 1
#endif
#endif
#ifndef ONE_PROCESS_ONLY
#define ONE_PROCESS_ONLY 0
#endif

static void processes_by_exchange(void)
{
    if (ONE_PROCESS_ONLY)
        SKIP("ThreadSanitizer sees one process");
    whole_race("exchange", true);
}

static void threads_by_exchange(void) { whole_race("exchange", false); }

static void processes_by_barrier(void)
{
    if (ONE_PROCESS_ONLY)
        SKIP("ThreadSanitizer sees one process");
    if (asked != NULL && strcmp(asked, "barrier") != 0)
        SKIP("TARN_PIN asks for another mode");
    whole_race("barrier", true);
}

static void threads_by_barrier(void)
{
    if (asked != NULL && strcmp(asked, "barrier") != 0)
        SKIP("TARN_PIN asks for another mode");
    whole_race("barrier", false);
}

/* ---- one read for all ----------------------------------------------------------------------------- */

enum { WANTERS = PROCS * 2 };

/* Lanes that have waited for a page. */
static uint32_t lanes_waited(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rows_lane_count(bed.pool->region); i++)
        n += atomic_load(&pool_lane_part(bed.pool, i)->count[COUNT_WAIT]) != 0;
    return n;
}

/* The read does not begin before all others wait for it. */
static void gate(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    if (kind != IO_READ)
        return;
    atomic_fetch_add(&shared->reads, 1);
    while (lanes_waited() < WANTERS - 1)
        (void)sched_yield();
}

static void *want(void *arg)
{
    struct thread *t = arg;
    void *page = NULL;
    int bad = tarn_mpool_thread(t->b->pool, &t->th) != 0;

    atomic_fetch_add(&shared->arrived, 1);
    while (!bad && atomic_load(&shared->arrived) < WANTERS)
        (void)sched_yield();
    bad = bad || tarn_page_get(t->th, t->file[0], 5, 0, &page) != 0 ||
          use_page(SMALL, 5, page, false) || tarn_page_put(t->th, page, 0) != 0;
    return bad ? t : NULL;
}

static int wanter(struct side *me)
{
    struct thread t[2];
    tarn_mpf *file;
    pthread_t id[2];
    struct bed b;
    int bad = bed_join(&bed, &b) != 0;

    (void)me;
    if (bad || bed_open_file(&b, "small", PAGE, 0, &file) != 0)
        return 1;
    b.io.before = gate;
    for (int i = 0; i < 2; i++) {
        t[i] = (struct thread){ .b = &b, .file = &file };
        (void)pthread_create(&id[i], NULL, want, &t[i]);
    }
    for (int i = 0; i < 2; i++) {
        void *ended;

        (void)pthread_join(id[i], &ended);
        bad |= ended != NULL;
    }
    return bed_leave(&b) != 0 || bad;
}

static void one_read_for_all(void)
{
    struct child c[PROCS];
    struct tarn_mpool_stat st;
    tarn_mpf *file;

    memset(shared, 0, sizeof(*shared));
    bed_make(&bed, 0, 0);
    stamp_fill(&bed, "small", SMALL, PAGE, 10);
    file = bed_file(&bed, "small", PAGE, 0);
    for (int i = 0; i < PROCS; i++)
        child_start(&c[i], wanter, NULL);
    for (int i = 0; i < PROCS; i++)
        CU_ASSERT_EQUAL(child_end(&c[i]), 0);
    st = bed_stat(&bed);
    CU_ASSERT_EQUAL(atomic_load(&shared->reads), 1);
    CU_ASSERT_EQUAL(st.reads, 1);
    CU_ASSERT_EQUAL(st.misses, 1);
    CU_ASSERT_EQUAL(st.hits, WANTERS - 1);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    OK(tarn_mpf_close(file));
    bed_remove(&bed);
}

/* ---- open and close ------------------------------------------------------------------------------- */

/* Whoever has the file open finds it open, whoever else is closing it just now. */
static int pass(struct thread *t, uint32_t pgno)
{
    struct tarn_mpf_stat st;
    tarn_mpf *file;
    void *page;

    if (bed_open_file(t->b, "small", PAGE, 0, &file) != 0)
        return failed("open", SMALL, 0);
    if (tarn_page_get(t->th, file, pgno, 0, &page) != 0)
        return failed("get", SMALL, pgno);
    if (use_page(SMALL, pgno, page, false))
        return 1;
    if (tarn_page_put(t->th, page, 0) != 0 || tarn_mpf_stat(file, &st) != 0)
        return failed("put", SMALL, pgno);
    if (st.openers == 0 || atomic_load(&file->record->state) != FILE_LIVE)
        return progress_fail(&shared->progress, "open here: state %u, %u openers",
                             atomic_load(&file->record->state), st.openers);
    return tarn_mpf_close(file) == 0 ? 0 : failed("close", SMALL, 0);
}

static void *come_and_go(void *arg)
{
    struct thread *t = arg;
    int bad = tarn_mpool_thread(t->b->pool, &t->th) != 0;

    for (uint32_t i = 0; i < 150 && !bad; i++)
        bad = pass(t, i % 10);
    return bad ? t : NULL;
}

static int passers(struct bed *b)
{
    struct thread t[2] = { { .b = b }, { .b = b } };
    pthread_t id[2];
    int bad = 0;

    for (int i = 0; i < 2; i++)
        (void)pthread_create(&id[i], NULL, come_and_go, &t[i]);
    for (int i = 0; i < 2; i++) {
        void *ended;

        (void)pthread_join(id[i], &ended);
        bad |= ended != NULL;
    }
    return bad ? failed("passer", 0, 0) : 0;
}

static int passers_elsewhere(struct side *me)
{
    struct bed b;
    int bad;

    (void)me;
    if (bed_join(&bed, &b) != 0)
        return 1;
    bad = passers(&b);
    return bed_leave(&b) != 0 || bad;
}

static void opening_while_closing(void)
{
    struct child c;

    memset(shared, 0, sizeof(*shared));
    bed_make(&bed, 0, 0);
    stamp_fill(&bed, "small", SMALL, PAGE, 10);
    child_start(&c, passers_elsewhere, NULL);
    CU_ASSERT_EQUAL(passers(&bed), 0);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    if (atomic_load(&shared->progress.failed))
        printf("# %s\n", shared->progress.why);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    CU_ASSERT_EQUAL(bed_stat(&bed).files, 0);
    bed_remove(&bed);
}

static int begin(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    asked = getenv("TARN_PIN");
    return shared == MAP_FAILED;
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "G3 U4: processes and threads, pins by exchange", processes_by_exchange },
        { "G3 U4: processes and threads, pins by barrier", processes_by_barrier },
        { "M10: threads of one process, pins by exchange", threads_by_exchange },
        { "M10: threads of one process, pins by barrier", threads_by_barrier },
        { "one read for all who want the page", one_read_for_all },
        { "F8 F9: opening a file while others close it", opening_while_closing },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "race", begin, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };

    return run_suites(suites);
}
