/* SPDX-License-Identifier: BSD-2-Clause */
/* The group file: opening, transfers, sizes. */
#include "os_tables.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

static void flags_of_open(void)
{
    tarn_file f = TARN_NO_FILE, g;
    uint64_t end = 1;

    FAILS(TARN_EINVAL, os->file->open(os, "flags", 0x8000u, 0, &f));
    FAILS(TARN_EINVAL, os->file->open(os, "flags", TARN_OPEN_EXCL, 0600, &f));
    FAILS(TARN_EINVAL, os->file->open(os, "flags", TARN_OPEN_RDONLY | TARN_OPEN_TRUNCATE, 0, &f));
    FAILS(TARN_EINVAL, os->file->open(os, "flags", TARN_OPEN_CREATE, 04600, &f));
    FAILS(TARN_ENOENT, os->file->open(os, "flags", 0, 0, &f));
    FAILS(TARN_ENOENT, os->file->open(os, "nowhere/flags", TARN_OPEN_CREATE, 0600, &f));
    CU_ASSERT_EQUAL(f, TARN_NO_FILE);

    f = new_file("flags");
    FAILS(TARN_EEXIST, os->file->open(os, "flags", TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600, &g));
    OK(os->file->write(os, f, "12345", 5));
    MUST(os->file->open(os, "flags", TARN_OPEN_CREATE | TARN_OPEN_SEQUENTIAL, 0600, &g));
    OK(os->file->seek(os, g, 0, TARN_SEEK_END, &end));
    CU_ASSERT_EQUAL(end, 5);
    OK(os->file->close(os, g));
    MUST(os->file->open(os, "flags", TARN_OPEN_TRUNCATE, 0, &g));
    OK(os->file->seek(os, g, 0, TARN_SEEK_END, &end));
    CU_ASSERT_EQUAL(end, 0);
    OK(os->file->close(os, g));
    MUST(os->file->open(os, "flags", TARN_OPEN_RDONLY, 0, &g));
    FAILS(TARN_EINVAL, os->file->write(os, g, "x", 1));
    OK(os->file->close(os, g));
    drop_file(f, "flags");
}

static void words_of_the_last_error(void)
{
    tarn_file f;
    char words[200] = "";
    int number = 0;

    FAILS(TARN_ENOENT, os->file->open(os, "not-there", 0, 0, &f));
    OK(os->misc->last_error(os, &number, words, sizeof(words)));
    CU_ASSERT_EQUAL(number, ENOENT);
    CU_ASSERT_STRING_EQUAL(words, "No such file or directory");
    FAILS(TARN_EINVAL, os->file->open(os, "x", 0x8000u, 0, &f));
    OK(os->misc->last_error(os, &number, words, sizeof(words)));
    CU_ASSERT_PTR_NOT_NULL(strstr(words, "0x8000"));
}

static void mode_is_exact(void)
{
    static const unsigned modes[] = { 0600, 0640, 0666, 0444 };
    static const mode_t masks[] = { 0, 022, 077, 0777 };
    struct tarn_stat st;
    tarn_file f;

    for (int i = 0; i < 4; i++) {
        mode_t before = umask(masks[i]);

        for (int j = 0; j < 4; j++) {
            MUST(os->file->open(os, "mode", TARN_OPEN_CREATE, modes[j], &f));
            OK(os->file->ioinfo(os, f, &st));
            CU_ASSERT_EQUAL(st.mode, modes[j]);
            drop_file(f, "mode");
        }
        OK(os->file->mkdir(os, "mode", 0750));
        OK(os->file->stat(os, "mode", &st));
        CU_ASSERT_EQUAL(st.mode, 0750);
        CU_ASSERT_EQUAL(rmdir("mode"), 0);
        (void)umask(before);
    }
    f = new_file("mode");
    OK(os->file->close(os, f));
    MUST(os->file->open(os, "mode", TARN_OPEN_CREATE, 0666, &f)); /* found: stays as it is */
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.mode, 0600);
    OK(os->file->chmod(os, f, 0644));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.mode, 0644);
    FAILS(TARN_EINVAL, os->file->chmod(os, f, 04755));
    drop_file(f, "mode");
}

static void temporary_files(void)
{
    const unsigned flags = TARN_OPEN_CREATE | TARN_OPEN_EXCL | TARN_OPEN_TEMPORARY;
    sigset_t before, after;
    tarn_file f;
    char byte = 0;
    size_t got = 0;

    CU_ASSERT_EQUAL(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    MUST(os->file->open(os, "temporary", flags, 0600, &f));
    FAILS(TARN_ENOENT, os->file->exists(os, "temporary", NULL));
    OK(os->file->pwrite(os, f, "t", 1, 0));
    OK(os->file->pread(os, f, &byte, 1, 0, &got));
    CU_ASSERT_TRUE(got == 1 && byte == 't');
    OK(os->file->close(os, f));
    FAILS(TARN_ENOENT, os->file->open(os, "nowhere/temporary", flags, 0600, &f));
    CU_ASSERT_EQUAL(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (int s = 1; s < 32; s++)
        CU_ASSERT_EQUAL(sigismember(&before, s), sigismember(&after, s));
}

static void links_are_not_followed(void)
{
    tarn_file f = new_file("target");
    struct tarn_stat st;
    tarn_file g;

    CU_ASSERT_EQUAL(symlink("target", "link"), 0);
    FAILS(TARN_EPERM, os->file->open(os, "link", TARN_OPEN_NOFOLLOW, 0, &g));
    FAILS(TARN_EPERM, os->file->open(os, "link", TARN_OPEN_NOFOLLOW | TARN_OPEN_CREATE, 0600, &g));
    MUST(os->file->open(os, "link", TARN_OPEN_RDONLY, 0, &g));
    OK(os->file->close(os, g));
    OK(os->file->stat(os, "link", &st));
    CU_ASSERT_EQUAL(st.kind, TARN_KIND_LINK);
    OK(os->file->unlink(os, "link"));
    drop_file(f, "target");
    CU_ASSERT_EQUAL(symlink("gone", "link"), 0); /* CREATE must not make what it points to */
    FAILS(TARN_EEXIST, os->file->open(os, "link", TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600, &g));
    FAILS(TARN_ENOENT, os->file->exists(os, "gone", NULL));
    OK(os->file->unlink(os, "link"));
}

/* A FIFO in the place of a file must not hang whoever opens it. */
static void fifo_does_not_hang(void)
{
    struct tarn_stat st;
    tarn_file f;

    CU_ASSERT_EQUAL(mkfifo("fifo", 0600), 0);
    MUST(os->file->open(os, "fifo", TARN_OPEN_RDONLY | TARN_OPEN_NOFOLLOW, 0, &f));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.kind, TARN_KIND_OTHER);
    drop_file(f, "fifo");
}

static void read_and_write_move_on(void)
{
    tarn_file f = new_file("rw");
    char buf[16] = "";
    size_t got = 9;
    uint64_t pos = 0;

    OK(os->file->write(os, f, "hello ", 6));
    OK(os->file->write(os, f, "world", 5));
    OK(os->file->seek(os, f, 6, TARN_SEEK_SET, NULL));
    OK(os->file->read(os, f, buf, sizeof(buf), &got));
    CU_ASSERT_TRUE(got == 5 && memcmp(buf, "world", 5) == 0);
    OK(os->file->read(os, f, buf, sizeof(buf), &got));
    CU_ASSERT_EQUAL(got, 0);
    OK(os->file->seek(os, f, -5, TARN_SEEK_CUR, &pos));
    CU_ASSERT_EQUAL(pos, 6);
    OK(os->file->seek(os, f, -1, TARN_SEEK_END, &pos));
    CU_ASSERT_EQUAL(pos, 10);
    FAILS(TARN_EINVAL, os->file->seek(os, f, -1, TARN_SEEK_SET, &pos));
    FAILS(TARN_EINVAL, os->file->seek(os, f, 0, (enum tarn_whence)7, &pos));
    OK(os->file->pwrite(os, f, "WORLD", 5, 6));
    OK(os->file->pread(os, f, buf, 11, 0, &got));
    CU_ASSERT_TRUE(got == 11 && memcmp(buf, "hello WORLD", 11) == 0);
    OK(os->file->seek(os, f, 0, TARN_SEEK_CUR, &pos));
    CU_ASSERT_EQUAL(pos, 10);
    FAILS(TARN_EINVAL, os->file->pread(os, f, buf, 1, UINT64_MAX, &got));
    FAILS(TARN_EINVAL, os->file->pwrite(os, f, buf, 1, UINT64_MAX));
    drop_file(f, "rw");
}

static void pieces(void)
{
    tarn_file f = new_file("pieces");
    char bytes[64], back[64] = "";
    struct tarn_iov out[65], in[65];
    size_t got = 0;

    for (int i = 0; i < 65; i++) {
        bytes[i % 64] = (char)('A' + i % 64);
        out[i] = (struct tarn_iov){ &bytes[i % 64], i % 7 == 0 ? 0 : 1 };
        in[i] = (struct tarn_iov){ &back[i % 64], i % 7 == 0 ? 0 : 1 };
    }
    FAILS(TARN_EINVAL, os->file->pwritev(os, f, out, 0, 0));
    FAILS(TARN_EINVAL, os->file->pwritev(os, f, out, 65, 0));
    FAILS(TARN_EINVAL, os->file->preadv(os, f, in, 65, 0, &got));
    OK(os->file->pwritev(os, f, out, 64, 100));
    OK(os->file->preadv(os, f, in, 64, 100, &got));
    CU_ASSERT_EQUAL(got, 54);
    for (int i = 0; i < 64; i++)
        CU_ASSERT_EQUAL(back[i], i % 7 == 0 ? 0 : bytes[i]);
    OK(os->file->preadv(os, f, in, 64, 150, &got)); /* 4 bytes are left there */
    CU_ASSERT_EQUAL(got, 4);
    drop_file(f, "pieces");
}

static void beyond_4_gib(void)
{
    const uint64_t far = UINT64_C(5) << 30;
    tarn_file f = new_file("far");
    struct tarn_stat st;
    uint64_t pos = 0;
    char byte = 0;
    size_t got = 0;

    OK(os->file->pwrite(os, f, "z", 1, far));
    OK(os->file->pread(os, f, &byte, 1, far, &got));
    CU_ASSERT_TRUE(got == 1 && byte == 'z');
    OK(os->file->seek(os, f, (int64_t)far, TARN_SEEK_SET, &pos));
    CU_ASSERT_EQUAL(pos, far);
    OK(os->file->read(os, f, &byte, 1, &got));
    CU_ASSERT_TRUE(got == 1 && byte == 'z');
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, far + 1);
    OK(os->file->truncate(os, f, far + 4096));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, far + 4096);
    drop_file(f, "far");
}

/* ---- interrupted calls ---- */

enum { INTERRUPTS = 5 };

static atomic_int interrupts;

static void count_signal(int signal)
{
    (void)signal;
    atomic_fetch_add(&interrupts, 1);
}

struct interrupter {
    pthread_t reader;
    int to; /* the writing end of the pipe */
};

/* Interrupt the reader some times, before and after half of the bytes, then send the rest. */
static void *interrupt(void *arg)
{
    const struct interrupter *it = arg;

    for (int half = 0; half < 2; half++) {
        int until = INTERRUPTS * (half + 1);

        while (atomic_load(&interrupts) < until) {
            (void)pthread_kill(it->reader, SIGUSR1);
            (void)sched_yield();
        }
        if (write(it->to, "12345", 5) != 5)
            return NULL;
    }
    return NULL;
}

static void interrupted_reads_go_on(void)
{
    struct sigaction to = { .sa_handler = count_signal }, before; /* without SA_RESTART */
    struct interrupter it = { .reader = pthread_self() };
    pthread_t thread;
    int ends[2];
    char buf[10] = "";
    size_t got = 0;

    atomic_store(&interrupts, 0);
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    CU_ASSERT_EQUAL(sigaction(SIGUSR1, &to, &before), 0);
    it.to = ends[1];
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, interrupt, &it), 0);
    OK(os->file->read(os, ends[0], buf, 10, &got));
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(got, 10);
    CU_ASSERT_EQUAL(memcmp(buf, "1234512345", 10), 0);
    CU_ASSERT_EQUAL(sigaction(SIGUSR1, &before, NULL), 0);
    (void)close(ends[1]);
    OK(os->file->close(os, ends[0]));
}

/* ---- sizes ---- */

static void sizes(void)
{
    tarn_file f = new_file("sizes");
    struct tarn_stat st;
    char buf[8] = "";
    size_t got = 0;

    OK(os->file->write(os, f, "abcdef", 6));
    OK(os->file->truncate(os, f, 2));
    OK(os->file->truncate(os, f, 8));
    OK(os->file->pread(os, f, buf, 8, 0, &got));
    CU_ASSERT_TRUE(got == 8 && memcmp(buf, "ab\0\0\0\0\0\0", 8) == 0);
    FAILS(TARN_EINVAL, os->file->truncate(os, f, UINT64_MAX));
    OK(os->file->allocate(os, f, 0, 4)); /* inside: nothing grows */
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, 8);
    OK(os->file->allocate(os, f, 4096, 8192));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, 12288);
    OK(os->file->pread(os, f, buf, 8, 0, &got));
    CU_ASSERT_EQUAL(memcmp(buf, "ab\0\0\0\0\0\0", 8), 0);
    FAILS(TARN_EINVAL, os->file->allocate(os, f, 1, UINT64_MAX));
    drop_file(f, "sizes");
}

/* 0 if an allocation that cannot be had leaves the size as it was, and so does a write. */
static int full_in_child(void *arg)
{
    const char *path = arg;
    struct tarn_stat st;
    char page[4096] = "";
    tarn_file f;

    if (os->file->open(os, path, TARN_OPEN_CREATE, 0600, &f) != TARN_OK ||
        os->file->write(os, f, page, 1000) != TARN_OK)
        return 1;
    if (os->file->allocate(os, f, 0, 4 << 20) != TARN_ENOSPC)
        return 2;
    if (os->file->ioinfo(os, f, &st) != TARN_OK || st.size != 1000)
        return 3;
    for (int i = 0; i < 512; i++) {
        int ret = os->file->write(os, f, page, sizeof(page));

        if (ret != TARN_OK)
            return ret == TARN_ENOSPC ? 0 : 4;
    }
    return 5; /* 2 MiB went into 1 MiB */
}

static int limited_in_child(void *arg)
{
    struct rlimit limit = { 1 << 20, 1 << 20 };

    (void)signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit) != 0 ? 6 : full_in_child(arg);
}

static void no_room_under_a_limit(void)
{
    int status = -1;

    OK(os->proc->try_in_child(os, limited_in_child, "limited", &status));
    CU_ASSERT_EQUAL(status, 0);
    OK(os->file->unlink(os, "limited"));
}

static int mounted_in_child(void *arg)
{
    if (!mount_small(arg))
        return 77;
    return full_in_child("small/file");
}

static void no_room_on_a_small_file_system(void)
{
    int status = -1;

    OK(os->file->mkdir(os, "small", 0700));
    OK(os->proc->try_in_child(os, mounted_in_child, "small", &status));
    CU_ASSERT_EQUAL(rmdir("small"), 0);
    if (status == 77)
        SKIP("may not mount a file system");
    CU_ASSERT_EQUAL(status, 0);
}

static void holes(void)
{
    tarn_file f = new_file("holes");
    struct tarn_stat st;
    char buf[8192], zeros[4096] = "";
    size_t got = 0;
    int ret;

    memset(buf, 'x', sizeof(buf));
    OK(os->file->write(os, f, buf, sizeof(buf)));
    ret = os->file->punch(os, f, 4096, 4096);
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, 8192);
    OK(os->file->pread(os, f, buf, sizeof(buf), 0, &got));
    drop_file(f, "holes");
    ABSENT_IN_POSIX(ret);
    OK(ret);
    CU_ASSERT_EQUAL(memcmp(buf + 4096, zeros, 4096), 0);
    CU_ASSERT_EQUAL(buf[4095], 'x');
}

static void reaches_the_disk(void)
{
    tarn_file f = new_file("synced");

    OK(os->file->write(os, f, "x", 1));
    OK(os->file->fsync(os, f, 0));
    OK(os->file->fsync(os, f, 1));
    FAILS(TARN_EINVAL, os->file->fsync(os, 1000, 0));
    OK(os->file->advise(os, f, 0, 4096, TARN_ADVISE_WILLNEED));
    OK(os->file->advise(os, f, 0, 4096, TARN_ADVISE_DONTNEED));
    OK(os->file->advise(os, f, 0, 4096, TARN_ADVISE_RANDOM));
    FAILS(TARN_EINVAL, os->file->advise(os, f, 0, 4096, (enum tarn_advice)9));
    drop_file(f, "synced");
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "O4 O16: open refuses flags that it does not know", flags_of_open },
        { "the number and words of the last error", words_of_the_last_error },
        { "O5: the mode is exact whatever the umask", mode_is_exact },
        { "O4 X9: temporary files have no name, and signals stay as they were", temporary_files },
        { "a symbolic link is not followed", links_are_not_followed },
        { "a FIFO does not hang who opens it", fifo_does_not_hang },
        { "O7 O9: read, write and seek", read_and_write_move_on },
        { "O9: vectored reads and writes", pieces },
        { "O7 X25: beyond 4 GiB", beyond_4_gib },
        { "O9 X10: an interrupted or short read goes on", interrupted_reads_go_on },
        { "sizes, and memory set aside", sizes },
        { "no room under a limit: the size stays", no_room_under_a_limit },
        { "no room on a small file system: the size stays", no_room_on_a_small_file_system },
        { "holes read as zeros", holes },
        { "O5: fsync and advice", reaches_the_disk },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.file", tests), CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
