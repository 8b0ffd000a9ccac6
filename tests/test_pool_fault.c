/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every call of the system fails once, under each call of the pool, with several errors.  The caller
 * gets an error, or the call is one that may fail unseen (listed below, with the reason); nothing is
 * held, the pool is whole, and what a sync reported as done is in the file.
 */
#include "pool.h"
#include "pool_whole.h"

#include "os/shim/fault.h"

enum { CALLS_MAX = 1000, PAGES = 200, CHANGED = 12 };

/* Calls whose failure is no failure of the operation, and why. */
static const struct {
    const char *slot, *why;
} absorbed[] = {
    { "close", "of a spare descriptor: the file is gone all the same" },
    { "unlink", "a name that clears up after another failure: the next one clears it" },
    { "map", "a smaller reserve is asked for when memory is short" },
    { "unmap", "only looked at: the mapping is gone all the same" },
    { "dirlist", "what else is installed, for messages" },
    { "exists", "only whether a lock file may be cleared away: it is left" },
    { "ioinfo", "only whether another failure is worth a message" },
    { "fsinfo", "a note for the user" },
    { "dontdump", "a hint" },
    { "barrier_register", "pins are by exchange then" },
    { "barrier", "all pages of the batch count as pinned: others are tried" },
    { "wait", "looked at again" },
    { "wake", "who sleeps looks every 10 ms" },
    { "lock_byte", "letting go: the close that follows does it; asking: taken for held" },
    { "life_look", "a hint: the lock byte decides" },
    { "life_drop", "the word is one of two witnesses, and the row is given back" },
    { "alive", "taken for alive" },
    { "getenv", "as if it were not set" },
    { "boot_id", "unknown: lock bytes decide alone" },
    { "limits", "no limit is known" },
    { "clock", "how long to wait is bounded by the tries then" },
    { "yield", "nothing depends on it" },
    { "sleep", "the wait is cut short" },
    { "last_error", "words for a message" },
};

/* Failures that reach the caller under another name, and why. */
static const struct {
    const char *slot;
    int err;
    const char *why;
} renamed[] = {
    { "fsync", TARN_EIO, "whatever the reason, what was written may be lost" },
    { "open", TARN_EINCOMPLETE, "of a file that only others have open: its pages stay dirty" },
    { "ioinfo", TARN_EINCOMPLETE, "as open" },
    { "fileid", TARN_EINCOMPLETE, "as open" },
    { "self", TARN_EINCOMPLETE, "as open" },
    { "malloc", TARN_EINCOMPLETE, "as open" },
    { "allocate", TARN_ENOSPC, "no memory for a new page size is no room for it" },
};

static const int errors[] = { TARN_EIO, TARN_ENOMEM, TARN_EMFILE };
enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

static struct fault *fault;
static struct bed b;      /* through the fault level */
static struct bed beside; /* another participant, through none; its home is b's */
static tarn_mpf *file, *its;

static bool barrier_failed; /* in the last run of a step */

static bool may_be_absorbed(const char *slot)
{
    for (size_t i = 0; i < sizeof(absorbed) / sizeof(absorbed[0]); i++)
        if (strcmp(slot, absorbed[i].slot) == 0)
            return true;
    return false;
}

static bool may_be_renamed(const char *slot, int got)
{
    for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++)
        if (strcmp(slot, renamed[i].slot) == 0 && got == renamed[i].err)
            return true;
    return false;
}

/* ---- one step, over and over -------------------------------------------------------------------- */

struct step {
    const char *name;
    void (*prepare)(void);
    int (*run)(void);
    void (*after)(int got);  /* with nothing failing any more: undo, and look at what is left */
    long least;              /* calls of the system that it makes, at least */
    bool region_errors;      /* it goes through the region, which has names of its own for errors */
    bool keeps;              /* what it took may be kept for the next time */
    const char *absorbs_too; /* a slot whose failure this step may outlive, and others may not */
};

/* Leave a message that no step leaves, to see whether a step leaves one. */
static void say_something_else(void)
{
    FAILS(TARN_ENOENT, tarn_region_remove(beside.env, "something-else", 0));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "something-else"));
}

static bool judge(const struct step *s, long n, int err, int got)
{
    const char *slot = fault_where(fault);
    bool well, too = s->absorbs_too != NULL && strcmp(s->absorbs_too, slot) == 0;

    if (fault_fired(fault) == 0)
        well = got == TARN_OK;
    else if (got == TARN_OK)
        well = too || may_be_absorbed(slot);
    else
        well = strstr(tarn_last_message(), "something-else") == NULL &&
               (got == err || s->region_errors || may_be_renamed(slot, got));
    if (!well)
        printf("# %s, call %ld (%s) with %s: %s: %s\n", s->name, n, slot, tarn_err_name(err),
               tarn_err_name(got), tarn_last_message());
    return well;
}

/* Call n of the step fails with err; 0: the step is done before it gets there. */
static bool fail_once(const struct step *s, long n, int err)
{
    bool fired;
    long held;
    int got;

    if (s->prepare != NULL)
        s->prepare();
    say_something_else();
    held = fault_held_all(fault);
    fault_arm(fault, n, err, FAULT_ONCE);
    got = s->run();
    fired = fault_fired(fault) > 0;
    barrier_failed = strcmp(fault_where(fault), "barrier") == 0;
    CU_ASSERT(judge(s, n, err, got));
    fault_arm(fault, 0, err, FAULT_ONCE);
    if (got != TARN_OK && !s->keeps) {
        if (fault_held_all(fault) != held)
            printf("# %s, call %ld with %s: %ld more held than before\n", s->name, n,
                   tarn_err_name(err), fault_held_all(fault) - held);
        CU_ASSERT_EQUAL(fault_held_all(fault), held);
    }
    s->after(got);
    return fired;
}

static void fail_all(const struct step *s, void (*begin)(void), void (*end)(void))
{
    for (int e = 0; e < ERRORS; e++) {
        long n = 1;

        begin();
        CU_ASSERT_FALSE(fail_once(s, CALLS_MAX, errors[e])); /* what is made once is made now */
        while (n < CALLS_MAX && fail_once(s, n, errors[e]))
            n++;
        CU_ASSERT(n > s->least && n < CALLS_MAX);
        end();
    }
}

/* ---- the scenes --------------------------------------------------------------------------------- */

static void begin_empty(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    memset(&b, 0, sizeof(b));
    memset(&beside, 0, sizeof(beside));
    file = its = NULL;
    home_make(&b.home);
    beside.home = b.home;
    MUST(home_open_env(&b.home, &beside.env));
    MUST(fault_new(tarn_os_host(), &fault));
    MUST(fault_choose(fault, "*"));
    fault_arm(fault, 0, TARN_EIO, FAULT_ONCE);
    config.home = b.home.path;
    config.os = fault_os(fault);
    if (getenv("TARN_BACKEND") == NULL)
        config.backend_required = "mmap"; /* else the next one serves where this one fails */
    MUST(tarn_env_open(&config, &b.env));
}

static void end_empty(void)
{
    OK(tarn_env_close(b.env));
    CU_ASSERT_EQUAL(fault_held_all(fault), 0);
    fault_free(fault);
    OK(tarn_env_close(beside.env));
    home_remove(&b.home);
}

static int open_pool(struct bed *one, unsigned flags)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;

    config.flags = flags;
    return tarn_mpool_open(one->env, NULL, &config, &one->pool);
}

static void begin_joined_by_one(void)
{
    begin_empty();
    MUST(open_pool(&beside, TARN_REGION_CREATE));
    MUST(tarn_mpool_thread(beside.pool, &beside.th));
    bed_fill(&b, "file", PAGE, PAGES);
}

static void end_joined_by_one(void)
{
    CU_ASSERT(pool_is_whole(beside.pool));
    OK(tarn_mpool_close(beside.pool));
    OK(tarn_mpool_remove(beside.env, NULL, 0));
    end_empty();
}

static void begin_joined(void)
{
    begin_joined_by_one();
    MUST(open_pool(&b, 0));
    MUST(tarn_mpool_thread(b.pool, &b.th));
}

static void end_joined(void)
{
    OK(tarn_mpool_close(b.pool));
    end_joined_by_one();
}

static void begin_with_file(void)
{
    begin_joined();
    file = bed_file(&b, "file", PAGE, 0);
    its = bed_file(&beside, "file", PAGE, 0);
}

static void end_with_file(void)
{
    OK(tarn_mpf_close(its));
    OK(tarn_mpf_close(file));
    CU_ASSERT_EQUAL(bed_stat(&beside).pages, 0);
    end_joined();
}

/* Nobody is inside a call: nothing is claimed, locked, pinned or marked. */
static void look(void)
{
    CU_ASSERT_EQUAL(bed_stat(&beside).pinned, 0);
    CU_ASSERT(pool_is_whole(beside.pool));
}

/*
 * A close during which the barrier failed takes every page for pinned, as it must, and leaves them to
 * whoever opens a file next.
 */
static void look_for_pages(void)
{
    if (barrier_failed) {
        tarn_mpf *f = bed_file(&beside, "file", PAGE, 0);

        OK(tarn_mpf_close(f));
    }
    CU_ASSERT_EQUAL(bed_stat(&beside).files, 0);
    CU_ASSERT_EQUAL(bed_stat(&beside).pages, 0);
}

/* ---- pools -------------------------------------------------------------------------------------- */

static int make_pool(void) { return open_pool(&b, TARN_REGION_CREATE); }

static void after_making(int got)
{
    if (got == TARN_OK) {
        OK(tarn_mpool_close(b.pool));
    } else {
        /* a lock file that could not be locked cannot be taken away either */
        int lock = home_has(&b.home, "mpool.lock");

        CU_ASSERT_PTR_NULL(b.pool);
        CU_ASSERT_EQUAL(home_files(&b.home, 0), lock);
        MUST(open_pool(&b, TARN_REGION_CREATE));
        OK(tarn_mpool_close(b.pool));
    }
    b.pool = NULL;
    OK(tarn_mpool_remove(b.env, NULL, 0));
    CU_ASSERT_EQUAL(home_files(&b.home, 0), 0);
}

static void making(void)
{
    static const struct step s = {
        .name = "make", .run = make_pool, .after = after_making, .least = 25, .region_errors = true
    };

    fail_all(&s, begin_empty, end_empty);
}

static int join_pool(void) { return open_pool(&b, 0); }

static void after_joining(int got)
{
    if (got == TARN_OK)
        OK(tarn_mpool_close(b.pool));
    b.pool = NULL;
    CU_ASSERT_EQUAL(bed_stat(&beside).procs, 1);
    look();
}

static void joining(void)
{
    static const struct step s = {
        .name = "join", .run = join_pool, .after = after_joining, .least = 15, .region_errors = true
    };

    fail_all(&s, begin_joined_by_one, end_joined_by_one);
}

static void prepare_closing(void)
{
    MUST(open_pool(&b, 0));
    MUST(tarn_mpool_thread(b.pool, &b.th));
    file = bed_file(&b, "file", PAGE, 0);
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
}

static int close_pool(void) { return tarn_mpool_close(b.pool); }

static void after_closing(int got)
{
    (void)got;
    b.pool = NULL;
    CU_ASSERT_EQUAL(bed_stat(&beside).procs, 1);
    look_for_pages();
    look();
}

static void closing(void)
{
    static const struct step s = { .name = "close pool",
                                   .prepare = prepare_closing,
                                   .run = close_pool,
                                   .after = after_closing,
                                   .least = 3,
                                   .region_errors = true,
                                   .keeps = true };

    fail_all(&s, begin_joined_by_one, end_joined_by_one);
}

/* ---- files -------------------------------------------------------------------------------------- */

static int open_page_file(void) { return bed_open_file(&b, "file", PAGE, 0, &file); }

static void after_opening(int got)
{
    if (got == TARN_OK) {
        CU_ASSERT(bed_touch(&b, file, PAGE, 3));
        OK(tarn_mpf_close(file));
    } else {
        CU_ASSERT_PTR_NULL(file);
    }
    file = NULL;
    CU_ASSERT_EQUAL(bed_stat(&beside).files, 0);
    CU_ASSERT_EQUAL(bed_stat(&beside).pages, 0);
    look();
}

static void opening(void)
{
    static const struct step s = {
        .name = "open file", .run = open_page_file, .after = after_opening, .least = 3
    };

    fail_all(&s, begin_joined, end_joined);
}

/* A page size that is new: memory for it is committed. */
static int open_large_pages(void) { return bed_open_file(&b, "large", 65536, 0, &file); }

static void after_opening_large(int got)
{
    if (got == TARN_OK) {
        CU_ASSERT(bed_touch(&b, file, 65536, 3));
        OK(tarn_mpf_close(file));
    } else {
        CU_ASSERT_PTR_NULL(file);
    }
    file = NULL;
    CU_ASSERT_EQUAL(bed_stat(&beside).pages, 0);
    look();
    /* from the start: the sizes are given back with the pool */
    OK(tarn_mpool_close(b.pool));
    OK(tarn_mpool_close(beside.pool));
    OK(tarn_mpool_remove(beside.env, NULL, 0));
    MUST(open_pool(&beside, TARN_REGION_CREATE));
    MUST(tarn_mpool_thread(beside.pool, &beside.th));
    MUST(open_pool(&b, 0));
    MUST(tarn_mpool_thread(b.pool, &b.th));
    bed_fill(&b, "large", 65536, 5);
}

static void begin_for_large(void)
{
    begin_joined();
    bed_fill(&b, "large", 65536, 5);
}

static void opening_large(void)
{
    static const struct step s = { .name = "open file of large pages",
                                   .run = open_large_pages,
                                   .after = after_opening_large,
                                   .least = 4 };

    fail_all(&s, begin_for_large, end_joined);
}

static void prepare_closing_file(void)
{
    file = bed_file(&b, "file", PAGE, 0);
    bed_change(&b, file, PAGE, 3, 1);
}

static int close_file(void) { return tarn_mpf_close(file); }

static void after_closing_file(int got)
{
    (void)got;
    file = NULL;
    look_for_pages();
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    look();
}

static void closing_file(void)
{
    static const struct step s = { .name = "close file",
                                   .prepare = prepare_closing_file,
                                   .run = close_file,
                                   .after = after_closing_file,
                                   .least = 1,
                                   .keeps = true };

    fail_all(&s, begin_joined, end_joined);
}

/* ---- pages -------------------------------------------------------------------------------------- */

static tarn_pgno next_page;
static tarn_pgno last_before;
static void *page;

/* Get pages until one costs an eviction. */
static void fill_pool(void)
{
    for (tarn_pgno i = 0; i < 70; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, (next_page + i) % PAGES));
    next_page = (next_page + 70) % PAGES;
    page = NULL;
}

/* Several misses: some take a frame that is ready, some have to make one so. */
static int get_pages(void)
{
    int ret = TARN_OK;

    for (tarn_pgno i = 0; i < 6 && ret == TARN_OK; i++) {
        ret = tarn_page_get(b.th, file, (next_page + i) % PAGES, 0, &page);
        if (ret == TARN_OK)
            ret = tarn_page_put(b.th, page, 0);
    }
    return ret;
}

static void after_getting(int got)
{
    (void)got;
    look();
    for (tarn_pgno i = 0; i < 6; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, (next_page + i) % PAGES));
}

static void getting(void)
{
    static const struct step s = {
        .name = "get", .prepare = fill_pool, .run = get_pages, .after = after_getting, .least = 6
    };

    next_page = 0;
    fail_all(&s, begin_with_file, end_with_file);
}

/* All pages are dirty, so that a miss writes. */
static void fill_with_dirty(void)
{
    for (tarn_pgno i = 0; i < 70; i++)
        bed_change(&b, file, PAGE, i, 1);
    next_page = 100;
    page = NULL;
}

static void after_getting_dirty(int got)
{
    after_getting(got);
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 0; i < 70; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    OK(tarn_mpf_close(its));
    OK(tarn_mpf_close(file));
    bed_fill(&b, "file", PAGE, PAGES);
    file = bed_file(&b, "file", PAGE, 0);
    its = bed_file(&beside, "file", PAGE, 0);
}

static void getting_room_from_dirty_pages(void)
{
    /* what cannot be written stays dirty, and other pages make room */
    static const struct step s = { .name = "get among dirty pages",
                                   .prepare = fill_with_dirty,
                                   .run = get_pages,
                                   .after = after_getting_dirty,
                                   .least = 6,
                                   .absorbs_too = "pwrite" };

    fail_all(&s, begin_with_file, end_with_file);
}

static void prepare_new(void)
{
    fill_pool();
    MUST(tarn_mpf_last(file, &last_before));
}

static int new_page(void)
{
    tarn_pgno pgno;
    int ret = tarn_page_new(b.th, file, &pgno, &page);

    return ret == TARN_OK ? tarn_page_put(b.th, page, 0) : ret;
}

static void after_new(int got)
{
    tarn_pgno last = 0;

    OK(tarn_mpf_last(file, &last));
    CU_ASSERT_EQUAL(last, last_before + (got == TARN_OK));
    look();
}

static void new_pages(void)
{
    static const struct step s = {
        .name = "new", .prepare = prepare_new, .run = new_page, .after = after_new
    };

    next_page = 0;
    fail_all(&s, begin_with_file, end_with_file);
}

/* ---- sync --------------------------------------------------------------------------------------- */

static unsigned salt;

/* Two stretches, so that it takes two writes. */
static void make_dirty(void)
{
    salt = salt % 200 + 1;
    for (tarn_pgno i = 0; i < CHANGED; i++)
        bed_change(&b, file, PAGE, i + (i >= CHANGED / 2 ? 20 : 0), salt);
}

static bool all_written(void)
{
    bool all = true;

    for (tarn_pgno i = 0; i < CHANGED; i++)
        all = all && bed_has(&b, "file", PAGE, i + (i >= CHANGED / 2 ? 20 : 0), salt);
    return all;
}

static bool all_there(void)
{
    bool all = true;

    for (tarn_pgno i = 0; i < CHANGED; i++) {
        tarn_pgno pgno = i + (i >= CHANGED / 2 ? 20 : 0);

        all = all && tarn_page_get(beside.th, its, pgno, 0, &page) == TARN_OK &&
              page_is(page, PAGE, pgno, salt) && tarn_page_put(beside.th, page, 0) == TARN_OK;
    }
    return all;
}

static void after_sync(int got)
{
    struct tarn_mpf_stat st;

    if (got == TARN_OK) {
        CU_ASSERT(all_written());
        CU_ASSERT_EQUAL(bed_stat(&beside).dirty, 0);
    }
    CU_ASSERT(all_there());
    look();
    OK(tarn_mpf_stat(its, &st));
    if (st.suspect != 0) {
        CU_ASSERT_EQUAL(got, TARN_EIO);
        FAILS(TARN_EIO, tarn_mpf_sync(its));
        CU_ASSERT(all_written());
        OK(tarn_mpf_close(its));
        OK(tarn_mpf_close(file));
        file = bed_file(&b, "file", PAGE, 0);
        its = bed_file(&beside, "file", PAGE, 0);
    }
    OK(tarn_mpf_sync(its));
    CU_ASSERT(all_written());
}

static int sync_file(void) { return tarn_mpf_sync(file); }

static void syncing(void)
{
    static const struct step s = {
        .name = "sync", .prepare = make_dirty, .run = sync_file, .after = after_sync, .least = 4
    };

    fail_all(&s, begin_with_file, end_with_file);
}

/* The file is only the other participant's: it is opened for the writes. */
static void make_dirty_beside(void)
{
    if (b.pool != NULL)
        OK(tarn_mpool_close(b.pool));
    MUST(open_pool(&b, 0));
    MUST(tarn_mpool_thread(b.pool, &b.th));
    salt = salt % 200 + 1;
    for (tarn_pgno i = 0; i < CHANGED; i++)
        bed_change(&beside, its, PAGE, i + (i >= CHANGED / 2 ? 20 : 0), salt);
}

static int sync_pool(void) { return tarn_mpool_sync(b.pool); }

static void after_sync_beside(int got)
{
    struct tarn_mpf_stat st;

    if (got == TARN_OK)
        CU_ASSERT(all_written());
    CU_ASSERT(all_there());
    look();
    OK(tarn_mpf_stat(its, &st));
    if (st.suspect != 0) {
        OK(tarn_mpf_close(its));
        its = bed_file(&beside, "file", PAGE, 0);
    } else {
        OK(tarn_mpf_sync(its));
        CU_ASSERT(all_written());
    }
}

static void begin_beside(void)
{
    begin_joined();
    its = bed_file(&beside, "file", PAGE, 0);
}

static void end_beside(void)
{
    OK(tarn_mpf_close(its));
    end_joined();
}

static void syncing_for_others(void)
{
    static const struct step s = { .name = "sync for others",
                                   .prepare = make_dirty_beside,
                                   .run = sync_pool,
                                   .after = after_sync_beside,
                                   .least = 6,
                                   .keeps = true };

    fail_all(&s, begin_beside, end_beside);
}

/* ---- half a write ------------------------------------------------------------------------------- */

static void half_a_write(void)
{
    begin_with_file();
    MUST(fault_choose(fault, "pwrite"));
    for (long n = 1; n <= 2; n++) {
        make_dirty();
        fault_arm(fault, n, TARN_ENOSPC, FAULT_SHORT);
        (void)tarn_mpf_sync(file);
        fault_arm(fault, 0, TARN_EIO, FAULT_ONCE);
        CU_ASSERT(all_there());
        look();
        OK(tarn_mpf_sync(file));
        CU_ASSERT(all_written());
    }
    end_with_file();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "M4: making a pool", making },
        { "M4: joining a pool", joining },
        { "M5 X13: closing a pool with a file", closing },
        { "F6 X16: opening a file", opening },
        { "F6: opening a file of a new page size", opening_large },
        { "F8 F9 X17: closing a file", closing_file },
        { "G6 X18: getting pages from a full pool", getting },
        { "M10 W4 X18: getting room from dirty pages", getting_room_from_dirty_pages },
        { "G3 X18: new pages", new_pages },
        { "Y7 W4 X26: sync", syncing },
        { "W5 Y7: sync of a file that others have open", syncing_for_others },
        { "W4 X10: half a write", half_a_write },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "pool-fault", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
