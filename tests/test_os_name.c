/* SPDX-License-Identifier: BSD-2-Clause */
/* The group file: names, directories, identities, and what a new program inherits. */
#include "os_tables.h"

#include <spawn.h>
#include <time.h>

static void what_a_file_is(void)
{
    tarn_file f = new_file("info");
    struct tarn_stat st, named;
    struct stat none = { .st_blksize = 0, .st_mode = S_IFREG | 0600 };
    uint64_t now = 0;

    OK(os->file->write(os, f, "12345", 5));
    OK(os->file->ioinfo(os, f, &st));
    OK(os->misc->clock(os, 1, &now));
    CU_ASSERT_EQUAL(st.size, 5);
    CU_ASSERT_TRUE(st.iosize > 0);
    CU_ASSERT_EQUAL(st.kind, TARN_KIND_FILE);
    CU_ASSERT_EQUAL(st.uid, geteuid());
    CU_ASSERT_EQUAL(st.nlink, 1);
    CU_ASSERT_TRUE(st.mtime <= now && now - st.mtime < UINT64_C(600000000000));
    OK(os->file->stat(os, "info", &named));
    CU_ASSERT_EQUAL(named.size, 5);
    FAILS(TARN_ENOENT, os->file->stat(os, "nothing", &named));
    posix_fill_stat(&none, &st);
    CU_ASSERT_EQUAL(st.iosize, 8192);
    drop_file(f, "info");
}

static void whether_it_exists(void)
{
    int isdir = 7;

    FAILS(TARN_ENOENT, os->file->exists(os, "nothing", &isdir));
    FAILS(TARN_ENOENT, os->file->exists(os, "nothing/at/all", NULL));
    CU_ASSERT_EQUAL(isdir, 7);
    OK(os->file->exists(os, ".", &isdir));
    CU_ASSERT_EQUAL(isdir, 1);
    OK(os->file->close(os, new_file("thing")));
    OK(os->file->exists(os, "thing", &isdir));
    CU_ASSERT_EQUAL(isdir, 0);
    OK(os->file->exists(os, "thing", NULL));
    FAILS(TARN_EEXIST, os->file->mkdir(os, "thing", 0700));
    OK(os->file->unlink(os, "thing"));
    FAILS(TARN_ENOENT, os->file->unlink(os, "thing"));
}

static void links_and_renames(void)
{
    tarn_file f = new_file("one"), g = new_file("two");
    struct tarn_stat st;

    OK(os->file->write(os, f, "1", 1));
    FAILS(TARN_EEXIST, os->file->link(os, f, "one", "two"));
    OK(os->file->link(os, f, "one", "three"));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.nlink, 2);
    FAILS(TARN_ENOENT, os->file->link(os, f, "two", "four")); /* two is another file */
    OK(os->file->rename(os, "three", "two", 0));
    OK(os->file->stat(os, "two", &st));
    CU_ASSERT_EQUAL(st.size, 1);
    OK(os->file->close(os, g));
    drop_file(f, "one");
    OK(os->file->unlink(os, "two"));
}

static void rename_replaces_nothing(void)
{
    int taken, ret;

    OK(os->file->close(os, new_file("from")));
    OK(os->file->close(os, new_file("to")));
    taken = os->file->rename(os, "from", "to", 1);
    OK(os->file->unlink(os, "to"));
    ret = os->file->rename(os, "from", "to", 1);
    OK(os->file->unlink(os, os_is_posix ? "from" : "to"));
    ABSENT_IN_POSIX(taken);
    FAILS(TARN_EEXIST, taken);
    OK(ret);
}

static void unnamed_until_linked(void)
{
    tarn_file f = TARN_NO_FILE;
    struct tarn_stat st;
    mode_t before;

    ABSENT_IN_POSIX(os->file->open(os, ".", TARN_OPEN_UNNAMED, 0600, &f));
    FAILS(TARN_EINVAL, os->file->open(os, ".", TARN_OPEN_UNNAMED | TARN_OPEN_RDONLY, 0600, &f));
    FAILS(TARN_ENOENT, os->file->open(os, "nothing", TARN_OPEN_UNNAMED, 0600, &f));
    before = umask(077);
    MUST(os->file->open(os, ".", TARN_OPEN_UNNAMED, 0644, &f));
    (void)umask(before);
    OK(os->file->write(os, f, "whole", 5));
    OK(os->file->close(os, new_file("taken")));
    FAILS(TARN_EEXIST, os->file->link(os, f, NULL, "taken"));
    OK(os->file->link(os, f, NULL, "published"));
    OK(os->file->stat(os, "published", &st));
    CU_ASSERT_EQUAL(st.size, 5);
    CU_ASSERT_EQUAL(st.mode, 0644);
    CU_ASSERT_EQUAL(st.nlink, 1);
    drop_file(f, "published");
    OK(os->file->unlink(os, "taken"));
}

static void lists_of_names(void)
{
    enum { NAMES = 300 };
    char path[32], seen[NAMES] = "";
    char **names = NULL;
    size_t n = 7;
    int before;

    OK(os->file->mkdir(os, "dir", 0700));
    before = open_descriptors();
    OK(os->file->dirlist(os, "dir", &names, &n));
    CU_ASSERT_EQUAL(n, 0);
    os->file->dirfree(os, names, n);
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(path, sizeof(path), "dir/%d", i);
        OK(os->file->close(os, new_file(path)));
    }
    MUST(os->file->dirlist(os, "dir", &names, &n));
    CU_ASSERT_EQUAL(n, NAMES);
    for (size_t i = 0; i < n; i++) {
        seen[atoi(names[i]) % NAMES]++;
        (void)snprintf(path, sizeof(path), "dir/%s", names[i]);
        OK(os->file->unlink(os, path));
    }
    for (int i = 0; i < NAMES; i++)
        CU_ASSERT_EQUAL(seen[i], 1);
    os->file->dirfree(os, names, n);
    CU_ASSERT_EQUAL(rmdir("dir"), 0);
    FAILS(TARN_ENOENT, os->file->dirlist(os, "dir", &names, &n));
    OK(os->file->close(os, new_file("dir")));
    FAILS(TARN_ENOENT, os->file->dirlist(os, "dir", &names, &n));
    OK(os->file->unlink(os, "dir"));
    CU_ASSERT_EQUAL(open_descriptors(), before);
}

/* Times of birth are as coarse as the kernel's tick: have it pass. */
static void next_tick(void)
{
    struct timespec first, now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &first);
    do
        (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == first.tv_sec && now.tv_nsec == first.tv_nsec);
}

static int same(const struct tarn_fileid *a, const struct tarn_fileid *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->birth == b->birth;
}

static void which_file(void)
{
    tarn_file f = new_file("first"), g = new_file("second");
    struct tarn_fileid first, again, second, later;

    OK(os->file->fileid(os, f, &first));
    OK(os->file->fileid(os, g, &second));
    CU_ASSERT_FALSE(same(&first, &second));
    drop_file(g, "second");
    MUST(os->file->open(os, "first", 0, 0, &g));
    OK(os->file->rename(os, "first", "renamed", 0));
    OK(os->file->fileid(os, g, &again));
    CU_ASSERT_TRUE(same(&first, &again));
    OK(os->file->close(os, g));
    drop_file(f, "renamed");
    next_tick();
    f = new_file("first"); /* most file systems give it the same inode */
    OK(os->file->fileid(os, f, &later));
    drop_file(f, "first");
    if (os_is_posix && first.ino == later.ino)
        SKIP("POSIX knows no time of birth");
    CU_ASSERT_FALSE(same(&first, &later));
}

static void file_systems(void)
{
    struct tarn_fsinfo info;

    OK(os->file->fsinfo(os, ".", &info));
    CU_ASSERT_TRUE(info.total > 0 && info.avail <= info.total);
    CU_ASSERT_TRUE(info.type[0] != '\0');
    FAILS(TARN_ENOENT, os->file->fsinfo(os, "nothing", &info));
    OK(os->file->fsinfo(os, "/proc", &info));
    if (!os_is_posix)
        CU_ASSERT_STRING_EQUAL(info.type, "0x9fa0");
    OK(os->file->fsinfo(os, "/dev/shm", &info));
    if (!os_is_posix && strcmp(info.type, "tmpfs") == 0)
        CU_ASSERT_EQUAL(info.flags, TARN_FS_MEMORY | TARN_FS_FIRM);
}

/* ---- a new program ---- */

enum { FILES = 5 };

/* In the new program: how many of these descriptors are open. */
static int count_open(char **numbers)
{
    int n = 0;

    for (; *numbers != NULL; numbers++)
        n += fcntl(atoi(*numbers), F_GETFD) >= 0;
    return n;
}

static int exec_and_count(const tarn_file *files, int n)
{
    char self[] = "/proc/self/exe";
    char texts[FILES + 1][16];
    char *argv[FILES + 4] = { self, "count-open" };
    extern char **environ;
    pid_t child;
    int status = 0;

    for (int i = 0; i < n; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "%ld", (long)files[i]);
        argv[2 + i] = texts[i];
    }
    if (posix_spawn(&child, self, NULL, NULL, argv, environ) != 0)
        return -1;
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void nothing_is_inherited(void)
{
    tarn_file files[FILES + 1];
    int n = 0;

    files[n++] = new_file("inherited");
    MUST(
        os->file->open(os, "temporary", TARN_OPEN_CREATE | TARN_OPEN_TEMPORARY, 0600, &files[n++]));
    (void)os->shm->name_unlink(os, "/tarn-test-inherited");
    MUST(os->shm->name_open(os, "/tarn-test-inherited", TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600,
                            &files[n++]));
    OK(os->shm->name_unlink(os, "/tarn-test-inherited"));
    if (!os_is_posix) {
        MUST(os->file->open(os, ".", TARN_OPEN_UNNAMED, 0600, &files[n++]));
        MUST(os->shm->mem_create(os, "tarn-test", 0, &files[n++]));
    }
    CU_ASSERT_EQUAL(exec_and_count(files, n), 0);
    files[n] = dup((int)files[0]); /* without the flag: so that the counting is known to work */
    CU_ASSERT_EQUAL(exec_and_count(files, n + 1), 1);
    (void)close((int)files[n]);
    while (n > 0)
        OK(os->file->close(os, files[--n]));
    OK(os->file->unlink(os, "inherited"));
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "O6: what an open file is", what_a_file_is },
        { "O5: exists, mkdir, unlink", whether_it_exists },
        { "links and renames", links_and_renames },
        { "a rename that replaces nothing", rename_replaces_nothing },
        { "a file without a name until it is whole", unnamed_until_linked },
        { "O13 X11: lists of names, and nothing left open", lists_of_names },
        { "O12 X27: which file, also when its inode is used again", which_file },
        { "file systems", file_systems },
        { "O4 X9: a new program inherits no descriptor", nothing_is_inherited },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.name", tests), CU_SUITE_INFO_NULL };

    if (argc > 1 && strcmp(argv[1], "count-open") == 0)
        return count_open(argv + 2);
    return run_suites(suites);
}
