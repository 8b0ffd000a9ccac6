/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a newcomer gets wrong: each gives one clear message and the status that scripts expect, and
 * nothing is lost.  The messages are printed, with the line that provoked them.
 */
#include "tool.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <tarn/mpool.h>

static struct ran r;

static void before(void)
{
    tool_set_up();
    tool_expect(&r, 0, "rm -rf home && mkdir home && head -c 300000 $TARN >file && cp file kept");
}

/* ---- wrong arguments -------------------------------------------------------------------------- */

static void wrong_commands(void)
{
    before();
    tool_complains(2, "$TARN rnn", "no command 'rnn'", "tarn run", NULL);
    tool_complains(2, "$TARN stats home", "no command 'stats'", "tarn stat", NULL);
    tool_complains(2, "$TARN something-else", "something-else", "tarn --help", NULL);
    tool_expect(&r, 2, "$TARN");
    CU_ASSERT_PTR_NOT_NULL(strstr(r.err, "usage: tarn COMMAND"));
}

static void wrong_options(void)
{
    before();
    tool_complains(2, "$TARN run --proc 4 file", "--proc;", "--procs", NULL);
    tool_complains(2, "$TARN run --threds=4 file", "--threds;", "--threads", NULL);
    tool_complains(2, "$TARN run --frobnicate file", "--frobnicate", "tarn run --help", NULL);
    tool_complains(2, "$TARN run -x file", "-x", NULL);
    tool_complains(2, "$TARN run file --procs", "--procs wants a value", NULL);
    tool_complains(2, "$TARN run --json=yes file", "--json takes no value", NULL);
    tool_complains(2, "$TARN run", "FILE", NULL);
    tool_complains(2, "$TARN run file other", "'other'", NULL);
    tool_complains(2, "$TARN rm home", "NAME", NULL);
    tool_complains(2, "$TARN ls", "HOME", NULL);
    tool_complains(2, "$TARN ports --jsn", "--json", NULL);
    tool_complains(2, "$TARN rm --forse home x", "--force", NULL);
}

static void wrong_values(void)
{
    before();
    tool_complains(2, "$TARN run --procs 0 file", "--procs", "from 1 to", "'0'", NULL);
    tool_complains(2, "$TARN run --procs four file", "'four'", NULL);
    tool_complains(2, "$TARN run --write 101 file", "--write", "0 to 100", NULL);
    tool_complains(2, "$TARN run --page 3000 file", "power of two", "3000", NULL);
    tool_complains(2, "$TARN run --page 128K file", "--page", "65536", NULL);
    tool_complains(2, "$TARN run --cache 1.5G file", "'1.5G'", NULL);
    tool_complains(2, "$TARN run --seconds -1 file", "'-1'", NULL);
    tool_complains(2, "$TARN run --dist zpf file", "'zpf'", "zipf", NULL);
}

static void help_is_everywhere(void)
{
    static const char *const commands[] = { "run", "backends", "ports", "ls", "stat", "rm" };
    char line[100];

    before();
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        (void)snprintf(line, sizeof line, "$TARN %s --help", commands[i]);
        tool_expect(&r, 0, line);
        CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "usage: tarn "));
        CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "--json"));
        CU_ASSERT_STRING_EQUAL(r.err, "");
        (void)snprintf(line, sizeof line, "$TARN --help | grep -q ' %s '", commands[i]);
        tool_expect(&r, 0, line);
    }
    tool_expect(&r, 0, "$TARN --version");
    CU_ASSERT_EQUAL(strncmp(r.out, "tarn ", 5), 0);
    CU_ASSERT_STRING_EQUAL(r.err, "");
}

/* ---- files and homes -------------------------------------------------------------------------- */

static void files_that_cannot_be_run(void)
{
    before();
    tool_complains(1, "$TARN run nosuch", "nosuch", "No such file", NULL);
    tool_complains(1, "$TARN run home", "home is not a regular file", NULL);
    tool_expect(&r, 0, ": >empty");
    tool_complains(1, "$TARN run empty", "empty is empty", NULL);
    tool_complains(1, "TMPDIR=nosuch $TARN run file", "nosuch", "TMPDIR", NULL);
}

static void a_home_that_is_not_there(void)
{
    before();
    tool_complains(1, "$TARN ls nosuch", "nosuch", "is not there", NULL);
    tool_complains(1, "$TARN stat nosuch/x", "nosuch", NULL);
    tool_complains(1, "$TARN rm nosuch x", "nosuch", NULL);
    tool_complains(1, "$TARN backends nosuch", "nosuch", NULL);
    tool_complains(1, "$TARN ls file", "file is not a directory", NULL);
}

static void a_backend_that_does_not_exist(void)
{
    before();
    tool_complains(1, "$TARN run --backend nmap file", "nmap", "mmap", NULL);
    tool_complains(1, "TARN_BACKEND=malock $TARN run file", "malock", "malloc", NULL);
    tool_expect(&r, 0, "cmp file kept");
}

static void memory_that_processes_cannot_share(void)
{
    before();
    tool_complains(1, "$TARN run --backend malloc --procs 4 file", "malloc", "--threads 4", NULL);
    tool_complains(1, "TARN_BACKEND=malloc $TARN run --procs 4 file", "malloc", "--threads 4",
                   NULL);
}

/* ---- through the API -------------------------------------------------------------------------- */

static tarn_env *env;
static tarn_mpool *pool;

static void open_pool(const char *home)
{
    struct tarn_env_config where = TARN_ENV_CONFIG_INIT;
    struct tarn_mpool_config cache = TARN_MPOOL_CONFIG_INIT;

    where.home = home;
    cache.flags = TARN_REGION_CREATE | (home == NULL ? TARN_REGION_PRIVATE : 0);
    cache.bytes = 4 << 20;
    MUST(tarn_env_open(&where, &env));
    MUST(tarn_mpool_open(env, NULL, &cache, &pool));
}

static void close_pool(void)
{
    OK(tarn_mpool_close(pool));
    OK(tarn_env_close(env));
}

static int open_file(const char *path, unsigned flags, tarn_mpf **file)
{
    struct tarn_mpf_config pages = TARN_MPF_CONFIG_INIT;
    char here[1024], whole[2048];

    pages.flags = flags;
    pages.page_size = 4096;
    if (getcwd(here, sizeof here) == NULL)
        return TARN_EIO;
    (void)snprintf(whole, sizeof whole, "%s/%s", here, path);
    return tarn_mpf_open(pool, whole, &pages, file);
}

static void says(const char *word)
{
    if (strstr(tarn_last_message(), word) == NULL)
        printf("# no '%s' in: %s\n", word, tarn_last_message());
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), word));
}

static void files_of_odd_length(void)
{
    tarn_mpf *file = NULL;

    before();
    tool_expect(&r, 0, "printf short >short");
    open_pool(NULL);
    FAILS(TARN_EINVAL, open_file("file", 0, &file));
    printf("#   300000 bytes, pages of 4096\n#     %s\n", tarn_last_message());
    says("300000");
    says("4096");
    FAILS(TARN_EINVAL, open_file("short", 0, &file));
    printf("#   5 bytes, pages of 4096\n#     %s\n", tarn_last_message());
    says("5");
    FAILS(TARN_ENOENT, open_file("nosuch", 0, &file));
    printf("#   no file, and no CREATE\n#     %s\n", tarn_last_message());
    CU_ASSERT_PTR_NULL(file);
    close_pool();
    tool_expect(&r, 0, "cmp file kept && test \"$(cat short)\" = short && test ! -e nosuch");
}

/* ---- file systems ----------------------------------------------------------------------------- */

/* From here on this process sees mounts of its own, which go with it. */
static int own_mounts(void)
{
    static int state; /* 0 not tried, 1 yes, -1 no */

    if (state == 0)
        state =
            unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
                ? 1
                : -1;
    return state > 0;
}

static int small_disk(const char *dir, const char *options)
{
    return own_mounts() && (mkdir(dir, 0700) == 0 || access(dir, X_OK) == 0) &&
           mount("none", dir, "tmpfs", 0, options) == 0;
}

static void a_home_that_cannot_be_written(void)
{
    before();
    if (geteuid() != 0) {
        tool_expect(&r, 0, "chmod 555 home");
    } else if (!small_disk("home", "size=1m") ||
               mount("none", "home", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0) {
        SKIP("root may write everywhere, and mounting is not permitted");
    }
    tool_run(&r, "$EXAMPLES/page_cache home");
    printf("#   $EXAMPLES/page_cache home\n#     %s", r.err);
    CU_ASSERT_EQUAL(r.status, 1);
    CU_ASSERT_EQUAL(tool_lines(r.err), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.err, "home/mpool"));
    tool_expect(&r, 0, "$TARN ls home"); /* looking is allowed */
    if (geteuid() == 0)
        (void)umount("home");
    tool_expect(&r, 0, "chmod 755 home && rmdir home"); /* nothing was left in it */
}

static void a_full_file_system_for_the_copy(void)
{
    before();
    if (!small_disk("disk", "size=128k"))
        SKIP("mounting is not permitted");
    tool_complains(1, "TMPDIR=disk $TARN run file", "file needs 296 KiB", "has 128 KiB", "TMPDIR",
                   NULL);
    tool_expect(&r, 0, "test -z \"$(ls -A disk)\"");
    (void)umount("disk");
}

static void a_full_file_system_for_the_memory(void)
{
    before();
    if (!small_disk("disk", "size=128k"))
        SKIP("mounting is not permitted");
    tool_complains(1, "TARN_REGION_DIR=$PWD/disk $TARN run --backend mmap --cache 8M file", "disk",
                   NULL);
    tool_expect(&r, 0, "TARN_REGION_DIR=$PWD/disk $TARN run --cache 8M --seconds 1 file");
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "backend sysv")); /* the next in the order */
    tool_expect(&r, 0, "test -z \"$(ls -A disk)\"");
    (void)umount("disk");
}

/* The number of pages of disk/pages, read(2) alone, that hold their own number. */
static int right_pages(void)
{
    uint64_t page[512];
    int fd = open("disk/pages", O_RDONLY), n = 0;

    while (fd >= 0 && read(fd, page, sizeof page) == sizeof page && page[0] == (uint64_t)n + 1)
        n++;
    (void)close(fd);
    return n;
}

/* What is dirty stays in the pool until there is room for it. */
static void a_full_file_system_under_a_page_file(void)
{
    enum { PAGES = 100 };
    tarn_mpf *file;

    before();
    if (!small_disk("disk", "size=512k"))
        SKIP("mounting is not permitted");
    tool_expect(&r, 0, "head -c 300K /dev/zero >disk/ballast");
    open_pool("home");
    MUST(open_file("disk/pages", TARN_MPF_CREATE, &file));
    for (uint64_t n = 0; n < PAGES; n++) {
        void *page;

        MUST(tarn_mpf_get(file, n, TARN_GET_CREATE, &page));
        *(uint64_t *)page = n + 1;
        MUST(tarn_mpf_put(file, page, TARN_PAGE_DIRTY));
    }
    FAILS(TARN_ENOSPC, tarn_mpf_sync(file));
    printf("#   sync to a full file system\n#     %s\n", tarn_last_message());
    says("pages");
    CU_ASSERT(right_pages() < PAGES);
    tool_expect(&r, 0, "rm disk/ballast");
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(right_pages(), PAGES);
    close_pool();
    (void)umount("disk");
}

int main(void)
{
    static CU_TestInfo arguments[] = {
        { "wrong commands", wrong_commands },
        { "wrong options", wrong_options },
        { "wrong values", wrong_values },
        { "help is everywhere", help_is_everywhere },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo places[] = {
        { "files that cannot be run", files_that_cannot_be_run },
        { "a home that is not there", a_home_that_is_not_there },
        { "a backend that does not exist", a_backend_that_does_not_exist },
        { "memory that processes cannot share", memory_that_processes_cannot_share },
        { "F4: files of odd length", files_of_odd_length },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo disks[] = {
        { "M4: a home that cannot be written", a_home_that_cannot_be_written },
        { "a full file system for the copy", a_full_file_system_for_the_copy },
        { "M4: a full file system for the memory", a_full_file_system_for_the_memory },
        { "W4: a full file system under a page file", a_full_file_system_under_a_page_file },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "newcomer_arguments", NULL, NULL, NULL, NULL, arguments },
        { "newcomer_places", NULL, NULL, NULL, NULL, places },
        { "newcomer_disks", NULL, NULL, NULL, NULL, disks },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
