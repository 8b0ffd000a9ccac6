/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups map and shm. */
#include "os_tables.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static size_t page(void)
{
    size_t bytes = 0;

    MUST(os->misc->page_size(os, &bytes));
    return bytes;
}

static void *mapped(tarn_file f, size_t len, uint32_t flags)
{
    struct tarn_map_request req = { .file = f, .len = len, .flags = flags };
    void *at = NULL;

    MUST(os->map->map(os, &req, &at));
    return at;
}

static int store(void *arg)
{
    *(volatile char *)arg = 1;
    return 0;
}

static void shared_with_the_file(void)
{
    tarn_file f = new_file("map");
    char *at, *other, byte = 0;
    size_t got = 0;

    OK(os->file->truncate(os, f, page()));
    at = mapped(f, page(), TARN_MAP_REGION);
    other = mapped(f, page(), 0);
    at[7] = 'a';
    CU_ASSERT_EQUAL(other[7], 'a');
    OK(os->file->pread(os, f, &byte, 1, 7, &got));
    CU_ASSERT_EQUAL(byte, 'a');
    OK(os->file->pwrite(os, f, "b", 1, 7));
    CU_ASSERT_EQUAL(at[7], 'b');
    OK(os->map->unmap(os, other, page()));
    OK(os->file->close(os, f)); /* a mapping outlives its descriptor */
    CU_ASSERT_EQUAL(at[7], 'b');
    OK(os->map->unmap(os, at, page()));
    OK(os->map->runlink(os, "map"));
    FAILS(TARN_ENOENT, os->map->runlink(os, "map"));
}

static void read_only_is_private(void)
{
    tarn_file f = new_file("rdonly");
    char *at, *own;
    int status = 0;

    OK(os->file->truncate(os, f, page()));
    at = mapped(f, page(), TARN_MAP_RDONLY);
    own = mapped(f, page(), TARN_MAP_PRIVATE);
    CU_ASSERT_EQUAL(at[0], 0);
    OK(os->proc->try_in_child(os, store, at, &status));
    CU_ASSERT_EQUAL(status, 256 + SIGSEGV);
    own[0] = 'p';
    CU_ASSERT_EQUAL(at[0], 0);
    OK(os->map->unmap(os, at, page()));
    OK(os->map->unmap(os, own, page()));
    drop_file(f, "rdonly");
}

/* Address space beyond the end of the file becomes usable when the file grows. */
static void beyond_the_end(void)
{
    tarn_file f = new_file("beyond");
    size_t len = 16 * page();
    char *at;
    int status = 0;

    OK(os->file->truncate(os, f, page()));
    at = mapped(f, len, TARN_MAP_REGION | TARN_MAP_NORESERVE);
    OK(os->proc->try_in_child(os, store, at + len - 1, &status));
    CU_ASSERT_EQUAL(status, 256 + SIGBUS);
    OK(os->file->allocate(os, f, 0, len));
    at[len - 1] = 1;
    CU_ASSERT_EQUAL(at[page()], 0);
    OK(os->map->unmap(os, at, len));
    drop_file(f, "beyond");
}

static void wrong_requests(void)
{
    tarn_file f = new_file("wrong");
    struct tarn_map_request bad[] = {
        { .file = f, .len = 0 },
        { .file = f, .len = page() + 1 },
        { .file = f, .len = page(), .off = 1 },
        { .file = f, .len = page(), .flags = 0x8000 },
        { .file = f, .len = page(), .flags = TARN_MAP_ANON },
        { .file = TARN_NO_FILE, .len = page() },
        { .file = f, .len = page(), .flags = TARN_MAP_FORKWIPE },
        { .file = TARN_NO_FILE, .len = page(), .flags = TARN_MAP_ANON | TARN_MAP_FORKWIPE },
        { .file = f, .len = page(), .off = UINT64_MAX - page() + 1 },
    };
    struct tarn_map_request huge = { .file = TARN_NO_FILE,
                                     .len = (size_t)1 << 62,
                                     .flags = TARN_MAP_ANON };
    void *at = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        FAILS(TARN_EINVAL, os->map->map(os, &bad[i], &at));
    FAILS(TARN_ENOMEM, os->map->map(os, &huge, &at));
    CU_ASSERT_PTR_NULL(at);
    drop_file(f, "wrong");
}

/* 0 if too much locked memory is said to be no memory: EAGAIN would mean "made anew" (seed R17). */
static int locked_in_child(void *arg)
{
    struct tarn_map_request req = { .file = TARN_NO_FILE, .len = 4 << 20, .flags = TARN_MAP_ANON };
    struct rlimit limit = { 1 << 20, 1 << 20 };
    void *at;

    (void)arg;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && setuid(65534) != 0) ||
        syscall(SYS_mlockall, MCL_FUTURE) != 0) /* sanitizers make the function do nothing */
        return 77;
    return os->map->map(os, &req, &at) == TARN_ENOMEM ? 0 : 1;
}

static void locked_memory(void)
{
    int status = -1;

    OK(os->proc->try_in_child(os, locked_in_child, NULL, &status));
    if (status == 77)
        SKIP("may not lock memory");
    CU_ASSERT_EQUAL(status, 0);
}

static int is_zero(void *arg) { return *(volatile char *)arg == 0 ? 0 : 1; }

static void wiped_by_fork(void)
{
    struct tarn_map_request req = { .file = TARN_NO_FILE,
                                    .len = page(),
                                    .flags = TARN_MAP_ANON | TARN_MAP_PRIVATE | TARN_MAP_FORKWIPE };
    void *at = NULL;
    int status = -1;

    ABSENT_IN_POSIX(os->map->map(os, &req, &at));
    MUST(os->map->map(os, &req, &at));
    *(char *)at = 'x';
    OK(os->proc->try_in_child(os, is_zero, at, &status));
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(*(char *)at, 'x');
    OK(os->map->unmap(os, at, page()));
}

static void huge_or_no_memory(void)
{
    const size_t len = (size_t)2 << 20;
    struct tarn_map_request req = { .file = TARN_NO_FILE,
                                    .len = len,
                                    .flags = TARN_MAP_ANON | TARN_MAP_HUGE };
    tarn_file f = new_file("huge");
    void *at = NULL;
    int ret = os->map->map(os, &req, &at);

    if (ret != TARN_OK)
        FAILS(TARN_ENOMEM, ret);
    else
        OK(os->map->unmap(os, at, len));
    req.file = f; /* not on hugetlbfs */
    req.flags = TARN_MAP_HUGE;
    FAILS(TARN_ENOMEM, os->map->map(os, &req, &at));
    drop_file(f, "huge");
}

static void populated(void)
{
    void *at = mapped(TARN_NO_FILE, 4 * page(), TARN_MAP_ANON | TARN_MAP_NORESERVE);
    unsigned char in_core[4] = { 0 };
    int ret = os->map->populate(os, at, 4 * page());

    (void)mincore(at, 4 * page(), in_core);
    OK(os->map->unmap(os, at, 4 * page()));
    ABSENT_IN_POSIX(ret);
    OK(ret);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(in_core[i] & 1);
}

/* 0 if populating more than there is gives an error and no signal. */
static int overfull_in_child(void *arg)
{
    const size_t len = (size_t)4 << 20;
    struct tarn_map_request req = { .len = len };
    void *at;

    if (!mount_small(arg))
        return 77;
    if (os->file->open(os, "overfull/f", TARN_OPEN_CREATE, 0600, &req.file) != TARN_OK ||
        os->file->truncate(os, req.file, len) != TARN_OK || os->map->map(os, &req, &at) != TARN_OK)
        return 1;
    return os->map->populate(os, at, len) == TARN_ENOSPC ? 0 : 2;
}

static void populating_too_much(void)
{
    int status = -1;

    if (os_is_posix)
        SKIP("POSIX cannot populate");
    OK(os->file->mkdir(os, "overfull", 0700));
    OK(os->proc->try_in_child(os, overfull_in_child, "overfull", &status));
    CU_ASSERT_EQUAL(rmdir("overfull"), 0);
    if (status == 77)
        SKIP("may not mount a file system");
    CU_ASSERT_EQUAL(status, 0);
}

static void left_out_of_dumps(void)
{
    void *at = mapped(TARN_NO_FILE, page(), TARN_MAP_ANON);
    int ret = os->map->dontdump(os, at, page());

    OK(os->map->unmap(os, at, page()));
    ABSENT_IN_POSIX(ret);
    OK(ret);
}

/* Two mappings of one file: what is given back is gone for both, and the rest stays. */
static void given_back(void)
{
    struct tarn_map_request req = { .len = 2 * page() };
    char *one, *two;
    void *at, *again;
    int ret;

    OK(os->file->open(os, "discard", TARN_OPEN_CREATE | TARN_OPEN_TEMPORARY, 0600, &req.file));
    OK(os->file->truncate(os, req.file, req.len));
    MUST(os->map->map(os, &req, &at));
    MUST(os->map->map(os, &req, &again));
    one = at;
    two = again;
    memset(one, 1, req.len);
    ret = os->map->discard(os, one, page());
    if (ret == TARN_OK) {
        CU_ASSERT(two[0] == 0 && two[page() - 1] == 0 && two[page()] == 1);
        two[0] = 2;
        CU_ASSERT_EQUAL(one[0], 2);
    }
    OK(os->map->unmap(os, one, req.len));
    OK(os->map->unmap(os, two, req.len));
    OK(os->file->close(os, req.file));
    ABSENT_IN_POSIX(ret);
    OK(ret);
}

/* ---- shm ---- */

static void sysv_segments(void)
{
    struct tarn_sysv_stat st = { .doomed = 9 };
    char *one = NULL, *two = NULL;
    int id = -1, status = 0;

    MUST(os->shm->sysv_get(os, 3 * page(), 0640, 1, &id));
    OK(os->shm->sysv_stat(os, id, &st));
    CU_ASSERT_TRUE(st.size == 3 * page() && st.mode == 0640 && st.uid == geteuid());
    CU_ASSERT_TRUE(st.nattach == 0 && st.doomed == 0);
    OK(os->shm->sysv_attach(os, id, 0, (void **)&one));
    OK(os->shm->sysv_attach(os, id, 1, (void **)&two));
    one[5] = 's';
    CU_ASSERT_EQUAL(two[5], 's');
    OK(os->proc->try_in_child(os, store, two, &status));
    CU_ASSERT_EQUAL(status, 256 + SIGSEGV);
    OK(os->shm->sysv_stat(os, id, &st));
    CU_ASSERT_EQUAL(st.nattach, 2);
    OK(os->shm->sysv_remove(os, id));
    if (os->shm->sysv_stat(os, id, &st) == TARN_OK)
        CU_ASSERT_EQUAL(st.doomed, 1);
    OK(os->shm->sysv_detach(os, one));
    OK(os->shm->sysv_detach(os, two));
    FAILS(TARN_ENOENT, os->shm->sysv_attach(os, id, 0, (void **)&one)); /* not EAGAIN: seed X8 */
    FAILS(TARN_ENOENT, os->shm->sysv_stat(os, id, &st));
    FAILS(TARN_ENOENT, os->shm->sysv_remove(os, id));
    FAILS(TARN_EINVAL, os->shm->sysv_get(os, page(), 01000, 0, &id));
}

static void names_of_memory(void)
{
    const char *name = "/tarn-test-names";
    struct tarn_stat st;
    mode_t before = umask(077);
    tarn_file f, g;
    char *at;

    (void)os->shm->name_unlink(os, name);
    FAILS(TARN_ENOENT, os->shm->name_open(os, name, 0, 0, &f));
    MUST(os->shm->name_open(os, name, TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0644, &f));
    (void)umask(before);
    FAILS(TARN_EEXIST, os->shm->name_open(os, name, TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600, &g));
    FAILS(TARN_EINVAL, os->shm->name_open(os, name, 0x8000u, 0600, &g));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.mode, 0644);
    OK(os->file->truncate(os, f, page()));
    MUST(os->shm->name_open(os, name, TARN_OPEN_RDONLY, 0, &g));
    at = mapped(g, page(), TARN_MAP_RDONLY);
    OK(os->file->pwrite(os, f, "n", 1, 0));
    CU_ASSERT_EQUAL(at[0], 'n');
    OK(os->map->unmap(os, at, page()));
    OK(os->file->close(os, g));
    OK(os->shm->name_unlink(os, name));
    FAILS(TARN_ENOENT, os->shm->name_unlink(os, name));
    OK(os->file->close(os, f));
}

static void sealed_memory(void)
{
    tarn_file f = TARN_NO_FILE;
    int ret = os->shm->mem_create(os, "tarn-test", 0, &f);

    ABSENT_IN_POSIX(ret);
    MUST(ret);
    OK(os->file->truncate(os, f, 2 * page()));
    OK(os->shm->seal(os, f, TARN_SEAL_SHRINK));
    FAILS(TARN_EPERM, os->file->truncate(os, f, page()));
    OK(os->file->truncate(os, f, 3 * page()));
    OK(os->shm->seal(os, f, TARN_SEAL_GROW | TARN_SEAL_SEAL));
    FAILS(TARN_EPERM, os->file->truncate(os, f, 4 * page()));
    FAILS(TARN_EPERM, os->shm->seal(os, f, TARN_SEAL_SHRINK));
    FAILS(TARN_EINVAL, os->shm->seal(os, f, 0x80));
    OK(os->file->close(os, f));
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "P4 P6: a mapping is shared with the file", shared_with_the_file },
        { "P6: a read-only mapping is private and cannot be written", read_only_is_private },
        { "a mapping beyond the end of the file", beyond_the_end },
        { "requests that break the contract", wrong_requests },
        { "too much locked memory is no memory", locked_memory },
        { "memory that fork wipes", wiped_by_fork },
        { "huge pages, or an error at once", huge_or_no_memory },
        { "populate has memory behind every page", populated },
        { "populate gives an error instead of SIGBUS", populating_too_much },
        { "left out of core dumps", left_out_of_dumps },
        { "given back for all", given_back },
        { "P7 X7 X8: System V segments", sysv_segments },
        { "names of shared memory", names_of_memory },
        { "memory behind a descriptor, sealed", sealed_memory },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.memory", tests), CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
