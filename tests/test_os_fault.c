/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every table again, with the n-th call failing, n = 1, 2, 3 ... until a run is clean, for each
 * error.  After each run the caller got that very error and nothing is held.
 *
 * Nothing in os/ absorbs an error that comes from below.
 */
#include "os_tables.h"

#include "os/shim/fault.h"

static const int errors[] = { TARN_EIO,    TARN_ENOMEM, TARN_ENOSPC, TARN_EACCES,    TARN_EPERM,
                              TARN_EMFILE, TARN_EROFS,  TARN_ENOENT, TARN_EEXIST,    TARN_EBUSY,
                              TARN_EAGAIN, TARN_ENOSYS, TARN_EINVAL, TARN_ETIMEDOUT, TARN_EDEADLK };

enum { ERRORS = sizeof(errors) / sizeof(errors[0]), LIMIT = 200 };

/* A session is what a caller does with a table; it stops at the first error and cleans up. */
typedef int session(const struct tarn_os *t);

/* Each step in its turn; the first error ends it. */
#define STEP(call)                                                                                 \
    if (ret == TARN_OK)                                                                            \
    ret = (call)

static int transfers(const struct tarn_os *t, tarn_file f)
{
    char buf[64] = "some bytes";
    struct tarn_iov iov[2] = { { buf, 8 }, { buf + 8, 8 } };
    struct tarn_stat st;
    struct tarn_fileid id;
    size_t got;
    int ret = TARN_OK;

    STEP(t->file->write(t, f, buf, 16));
    STEP(t->file->seek(t, f, 0, TARN_SEEK_SET, NULL));
    STEP(t->file->read(t, f, buf, 16, &got));
    STEP(t->file->pwrite(t, f, buf, 16, 16));
    STEP(t->file->pread(t, f, buf, 16, 16, &got));
    STEP(t->file->pwritev(t, f, iov, 2, 0));
    STEP(t->file->preadv(t, f, iov, 2, 0, &got));
    STEP(t->file->truncate(t, f, 8192));
    STEP(t->file->allocate(t, f, 8192, 4096));
    STEP(t->file->advise(t, f, 0, 0, TARN_ADVISE_RANDOM));
    STEP(t->file->ioinfo(t, f, &st));
    STEP(t->file->fileid(t, f, &id));
    STEP(t->file->chmod(t, f, 0644));
    STEP(t->file->link(t, f, "session", "session.2"));
    STEP(t->sync->lock_byte(t, f, 1, TARN_LOCK_TRY, NULL));
    STEP(t->sync->lock_byte(t, f, 1, TARN_LOCK_FREE, NULL));
    STEP(t->file->fsync(t, f, 1)); /* last: it is slow, and steps after a failure are not run */
    return ret;
}

static int files(const struct tarn_os *t)
{
    struct tarn_fsinfo info;
    struct tarn_stat st;
    tarn_file f = TARN_NO_FILE;
    char **names = NULL;
    size_t n = 0;
    int closed, ret = t->file->open(t, "session", TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600, &f);

    STEP(t->file->mkdir(t, "session.d", 0700));
    STEP(t->file->stat(t, "session", &st));
    STEP(t->file->exists(t, "session", NULL));
    STEP(t->file->fsinfo(t, ".", &info));
    STEP(t->file->dirlist(t, ".", &names, &n));
    if (ret == TARN_OK)
        t->file->dirfree(t, names, n);
    STEP(transfers(t, f));
    if (f != TARN_NO_FILE) {
        closed = t->file->close(t, f);
        ret = ret != TARN_OK ? ret : closed;
    }
    STEP(t->file->rename(t, "session", "session.3", 0));
    STEP(t->file->unlink(t, "session.3"));
    (void)unlink("session");
    (void)unlink("session.2");
    (void)unlink("session.3");
    (void)rmdir("session.d");
    return ret;
}

static int memory(const struct tarn_os *t)
{
    struct tarn_map_request req = { .file = TARN_NO_FILE, .len = 65536, .flags = TARN_MAP_ANON };
    void *p = NULL, *at = NULL, *bigger = NULL;
    int undone, ret = t->misc->malloc(t, 10, &p);

    STEP(t->misc->realloc(t, p, 1000, &bigger));
    if (bigger != NULL)
        p = bigger;
    STEP(t->map->map(t, &req, &at));
    if (!os_is_posix) {
        STEP(t->map->populate(t, at, req.len));
        STEP(t->map->dontdump(t, at, req.len));
        STEP(t->map->discard(t, at, req.len));
    }
    if (at != NULL) {
        undone = t->map->unmap(t, at, req.len);
        ret = ret != TARN_OK ? ret : undone;
    }
    t->misc->free(t, p);
    return ret;
}

static int segments(const struct tarn_os *t)
{
    struct tarn_sysv_stat st;
    tarn_file f = TARN_NO_FILE;
    void *at = NULL;
    int id = -1, undone, ret = t->shm->sysv_get(t, 4096, 0600, 0, &id);

    STEP(t->shm->sysv_stat(t, id, &st));
    STEP(t->shm->sysv_attach(t, id, 0, &at));
    if (at != NULL) {
        undone = t->shm->sysv_detach(t, at);
        ret = ret != TARN_OK ? ret : undone;
    }
    for (int i = 0; id >= 0 && i < 2; i++) { /* what is not removed is there still: once more */
        undone = t->shm->sysv_remove(t, id);
        ret = ret != TARN_OK ? ret : undone;
        id = undone == TARN_OK ? -1 : id;
    }
    STEP(t->shm->name_open(t, "/tarn-test-fault", TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600, &f));
    if (f != TARN_NO_FILE) {
        undone = t->file->close(t, f);
        ret = ret != TARN_OK ? ret : undone;
        for (int i = 0; i < 2 && (undone = t->shm->name_unlink(t, "/tarn-test-fault")) != 0; i++)
            ret = ret != TARN_OK ? ret : undone;
    }
    return ret;
}

static void nothing(void *arg) { (void)arg; }

static int processes(const struct tarn_os *t)
{
    struct tarn_procid id;
    struct tarn_machine m;
    struct tarn_limits l;
    uint32_t word = 1;
    uintptr_t thread = 0;
    const char *value;
    uint64_t ns;
    size_t bytes;
    unsigned n;
    int alive, undone, started, ret = TARN_OK;

    STEP(t->proc->self(t, &id, NULL));
    STEP(t->proc->identity(t, id.pid, &id));
    STEP(t->proc->alive(t, &id, &alive));
    STEP(t->sync->wait(t, &word, 0, TARN_FOREVER));
    STEP(t->sync->wake(t, &word, 1));
    STEP(t->misc->clock(t, 0, &ns));
    STEP(t->misc->sleep(t, 0));
    STEP(t->misc->yield(t));
    STEP(t->misc->random(t, &ns, sizeof(ns)));
    STEP(t->misc->getenv(t, "TARN_OS", &value));
    STEP(t->misc->boot_id(t, &m));
    STEP(t->misc->page_size(t, &bytes));
    STEP(t->misc->cpus(t, &n));
    STEP(t->misc->limits(t, &l));
    STEP(t->proc->thread_start(t, nothing, NULL, &thread));
    started = ret == TARN_OK;
    for (int i = 0; started && i < 2; i++) {
        undone = t->proc->thread_join(t, thread);
        ret = ret != TARN_OK ? ret : undone;
        started = undone != TARN_OK;
    }
    return ret;
}

static int lives(const struct tarn_os *t)
{
    static struct tarn_life life;
    enum tarn_life_state state;
    struct tarn_wait w;
    int undone, ret = t->sync->life_take(t, &life);

    if (ret != TARN_OK)
        return ret;
    STEP(t->sync->life_look(t, &life, &state));
    STEP(t->sync->life_word(t, &life, &w));
    undone = t->sync->life_drop(t, &life);
    return ret != TARN_OK ? ret : undone;
}

/* Shims on a table whose memory fails: each level that was made is gone again. */
static int shims(const struct tarn_os *t)
{
    struct tarn_os *top;
    int ret = tarn_os_shims(t, "fault:open:1:EIO,fault:read:1:EIO,fault:write:1:EIO", &top);

    if (ret == TARN_OK)
        tarn_os_unstack(top);
    return ret;
}

/* ---- derived calls, over a table that fails ---- */

static int plain_read(const struct tarn_os *t, tarn_file f, void *buf, size_t len, size_t *got)
{
    return t->below->file->read(t->below, f, buf, len, got);
}

static const struct tarn_os_file reading_file = { .size = sizeof(struct tarn_os_file),
                                                  .read = plain_read };
static const struct tarn_os reading = { .size = sizeof(struct tarn_os),
                                        .name = "reading",
                                        .file = &reading_file };

/* After an error the file is not left locked, or the calls that follow would hang. */
static int derived(const struct tarn_os *t)
{
    char buf[16] = "derived";
    struct tarn_iov iov[2] = { { buf, 8 }, { buf + 8, 8 } };
    struct tarn_os *level;
    tarn_file f = TARN_NO_FILE;
    size_t got;
    int again, ret = tarn_os_stack(t, &reading, &level);

    if (ret != TARN_OK)
        return ret;
    STEP(level->file->open(level, "derived", TARN_OPEN_CREATE | TARN_OPEN_TEMPORARY, 0600, &f));
    if (f != TARN_NO_FILE) {
        STEP(level->file->pwrite(level, f, buf, 16, 0));
        STEP(level->file->pread(level, f, buf, 16, 0, &got));
        STEP(level->file->pwritev(level, f, iov, 2, 0));
        STEP(level->file->preadv(level, f, iov, 2, 0, &got));
        again = level->file->pwrite(level, f, buf, 16, 0);
        ret = ret != TARN_OK ? ret : again;
        again = level->file->close(level, f);
        ret = ret != TARN_OK ? ret : again;
    }
    tarn_os_unstack(level);
    return ret;
}

/* ---- the loop ---- */

static void one_error(struct fault *f, session *run, int err)
{
    long n = 1, fired = 1;

    for (; fired > 0 && n < LIMIT; n++) {
        int ret;

        fault_arm(f, n, err, FAULT_ONCE);
        ret = run(fault_os(f));
        fired = fault_fired(f);
        if (ret != (fired ? err : TARN_OK) || fault_held_all(f) != 0)
            printf("# call %ld (%s) failing with %s: %s, %ld held\n", n, fault_where(f),
                   tarn_err_name(err), tarn_err_name(ret), fault_held_all(f));
        CU_ASSERT_EQUAL(ret, fired ? err : TARN_OK);
        for (int kind = 0; kind < FAULT_KINDS; kind++)
            CU_ASSERT_EQUAL(fault_held(f, (enum fault_kind)kind), 0);
    }
    CU_ASSERT_TRUE(n > 2 && n < LIMIT); /* something failed, and it came to an end */
}

static void every_failure(session *run, const char *slot)
{
    struct fault *f;
    int before = open_descriptors();

    MUST(fault_new(os, &f));
    OK(fault_choose(f, slot));
    for (int i = 0; i < ERRORS; i++)
        one_error(f, run, errors[i]);
    fault_free(f);
    CU_ASSERT_EQUAL(open_descriptors(), before);
}

static void every_failure_of_files(void) { every_failure(files, "*"); }
static void every_failure_of_memory(void) { every_failure(memory, "*"); }
static void every_failure_of_segments(void) { every_failure(segments, "*"); }
static void every_failure_of_processes(void) { every_failure(processes, "*"); }
static void every_failure_of_shims(void) { every_failure(shims, "malloc"); }
static void every_failure_of_derived(void) { every_failure(derived, "*"); }

static void every_failure_of_lives(void)
{
    if (os_is_posix)
        SKIP("POSIX does not show the owner of a robust mutex");
    every_failure(lives, "*");
}

/* ---- the shim itself ---- */

static void what_is_held_is_counted(void)
{
    struct fault *f;
    const struct tarn_os *t;
    void *p = NULL, *q = NULL;
    char words[64] = "";
    tarn_file file;
    int number = 9;

    MUST(fault_new(os, &f));
    t = fault_os(f);
    MUST(t->file->open(t, "held", TARN_OPEN_CREATE, 0600, &file));
    OK(t->misc->malloc(t, 1, &p));
    OK(t->misc->realloc(t, NULL, 1, &q));
    OK(t->misc->realloc(t, q, 2, &q));
    t->misc->free(t, NULL);
    CU_ASSERT_EQUAL(fault_held(f, FAULT_FILE), 1);
    CU_ASSERT_EQUAL(fault_held(f, FAULT_MEMORY), 2);
    CU_ASSERT_EQUAL(fault_held_all(f), 3);
    t->misc->free(t, p);
    t->misc->free(t, q);
    OK(fault_choose(f, "close"));
    OK(fault_choose(f, "unlink"));
    fault_arm(f, 1, TARN_EIO, FAULT_ALWAYS);
    FAILS(TARN_EIO, t->file->close(t, file)); /* it is closed nevertheless */
    CU_ASSERT_STRING_EQUAL(fault_where(f), "close");
    CU_ASSERT_EQUAL(fcntl((int)file, F_GETFD), -1);
    CU_ASSERT_EQUAL(fault_held_all(f), 0);
    FAILS(TARN_EIO, t->file->unlink(t, "held"));
    OK(t->file->exists(t, "held", NULL)); /* it is still there */
    OK(t->misc->last_error(t, &number, words, sizeof(words)));
    CU_ASSERT_PTR_NOT_NULL(strstr(words, "injected"));
    CU_ASSERT_EQUAL(fault_calls(f), 2);
    CU_ASSERT_EQUAL(fault_fired(f), 2);
    FAILS(TARN_ENOENT, t->file->exists(t, "nothing", NULL));
    OK(t->misc->last_error(t, &number, words, sizeof(words)));
    CU_ASSERT_EQUAL(number, ENOENT); /* a real error again */
    fault_arm(f, 0, TARN_OK, FAULT_ONCE);
    OK(t->file->unlink(t, "held"));
    FAILS(TARN_EINVAL, fault_choose(f, "dirfree"));
    fault_free(f);
    fault_free(NULL);
}

static void writes_that_are_short(void)
{
    char bytes[10] = "123456789";
    struct tarn_iov iov[3] = { { bytes, 3 }, { bytes + 3, 3 }, { bytes + 6, 2 } };
    struct tarn_stat st;
    struct fault *f;
    const struct tarn_os *t;
    tarn_file file = new_file("short");

    MUST(fault_new(os, &f));
    t = fault_os(f);
    OK(fault_choose(f, "write"));
    OK(fault_choose(f, "pwrite"));
    OK(fault_choose(f, "pwritev"));
    fault_arm(f, 1, TARN_ENOSPC, FAULT_SHORT);
    FAILS(TARN_ENOSPC, t->file->write(t, file, bytes, 9));
    OK(t->file->ioinfo(t, file, &st));
    CU_ASSERT_EQUAL(st.size, 4);
    fault_arm(f, 1, TARN_EIO, FAULT_SHORT);
    FAILS(TARN_EIO, t->file->pwrite(t, file, bytes, 8, 10));
    OK(t->file->ioinfo(t, file, &st));
    CU_ASSERT_EQUAL(st.size, 14);
    fault_arm(f, 1, TARN_EIO, FAULT_SHORT);
    FAILS(TARN_EIO, t->file->pwritev(t, file, iov, 3, 20));
    OK(t->file->ioinfo(t, file, &st));
    CU_ASSERT_EQUAL(st.size, 24);
    fault_free(f);
    drop_file(file, "short");
}

/* Some ten thousand files are made and removed: in memory, where there is such a place. */
static int run_in_memory(CU_SuiteInfo *suites)
{
    char dir[] = "/dev/shm/tarn-test-XXXXXX";
    int ret, here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (here < 0 || mkdtemp(dir) == NULL || chdir(dir) != 0)
        return run_suites(suites);
    ret = run_suites(suites);
    if (fchdir(here) != 0 || rmdir(dir) != 0) {
        printf("not ok - os.fault: something is left in %s\n", dir);
        ret = EXIT_FAILURE;
    }
    (void)close(here);
    return ret;
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "every failure of files", every_failure_of_files },
        { "O3: every failure of memory", every_failure_of_memory },
        { "X8: every failure of segments", every_failure_of_segments },
        { "every failure of processes and the machine", every_failure_of_processes },
        { "every failure of life words", every_failure_of_lives },
        { "every failure of stacking shims", every_failure_of_shims },
        { "O8: every failure under derived calls", every_failure_of_derived },
        { "what is held is counted", what_is_held_is_counted },
        { "writes that are short", writes_that_are_short },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.fault", tests), CU_SUITE_INFO_NULL };

    return run_in_memory(suites);
}
