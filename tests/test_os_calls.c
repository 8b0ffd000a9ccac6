/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform's tables over a C library that fails: this program has its own open, write, fchmod
 * and so on, which do as they are told and then call the real ones.  What no real system does on
 * demand is done here: a write of 0 bytes, a signal in every call, a disk error once.
 *
 * Compiled with _FILE_OFFSET_BITS=64 as os/ is, so that the names are the same.
 */
#include "os_tables.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum call {
    OPEN,
    CLOSE,
    READ,
    WRITE,
    PREADV,
    PWRITEV,
    FSYNC,
    FDATASYNC,
    FTRUNCATE,
    FSTAT,
    FCHMOD,
    UNLINK,
    FALLOCATE,
    POSIX_FALLOCATE,
    FDOPENDIR,
    READDIR,
    STRDUP,
    SYSCALL,
    CALLS
};

enum { REAL = 0, ZERO = -1, HALF = -2 }; /* instead of an errno: as it is, moves nothing, half */

/* What calls number 1, 2, ... of each do; REAL from the end on. */
static int plan[CALLS][8];
static int made[CALLS];

static int planned(enum call c)
{
    int n = made[c]++;

    return n < 8 ? plan[c][n] : REAL;
}

static void begin(void)
{
    memset(plan, 0, sizeof(plan));
    memset(made, 0, sizeof(made));
}

/* The real function; POSIX lets what dlsym returns be one. */
#define REAL_OF(function, name)                                                                    \
    static __typeof__(function) *real;                                                             \
    if (real == NULL) {                                                                            \
        void *found = dlsym(RTLD_NEXT, name);                                                      \
        memcpy(&real, &found, sizeof(real));                                                       \
    }

/* errno and -1 if an error is planned for this call. */
#define FAIL_IF_PLANNED(c)                                                                         \
    int plan_ = planned(c);                                                                        \
    if (plan_ > 0) {                                                                               \
        errno = plan_;                                                                             \
        return -1;                                                                                 \
    }

int open(const char *path, int flags, ...)
{
    REAL_OF(open, "open64")
    va_list args;
    mode_t mode;

    FAIL_IF_PLANNED(OPEN)
    va_start(args, flags);
    mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return real(path, flags, mode);
}

int close(int fd)
{
    REAL_OF(close, "close")
    int how = planned(CLOSE);

    if (how <= 0)
        return real(fd);
    (void)real(fd); /* as Linux does it: gone, whatever it says */
    errno = how;
    return -1;
}

ssize_t read(int fd, void *buf, size_t len)
{
    REAL_OF(read, "read")
    FAIL_IF_PLANNED(READ)
    return real(fd, buf, plan_ == HALF ? (len + 1) / 2 : len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    REAL_OF(write, "write")
    FAIL_IF_PLANNED(WRITE)
    return plan_ == ZERO ? 0 : real(fd, buf, plan_ == HALF ? (len + 1) / 2 : len);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t off)
{
    REAL_OF(preadv, "preadv64")
    struct iovec one = iov[0];

    FAIL_IF_PLANNED(PREADV)
    one.iov_len = (one.iov_len + 1) / 2;
    return plan_ == HALF ? real(fd, &one, 1, off) : real(fd, iov, n, off);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
    REAL_OF(pwritev, "pwritev64")
    struct iovec one = iov[0];

    FAIL_IF_PLANNED(PWRITEV)
    one.iov_len = (one.iov_len + 1) / 2;
    if (plan_ == ZERO)
        return 0;
    return plan_ == HALF ? real(fd, &one, 1, off) : real(fd, iov, n, off);
}

int fsync(int fd)
{
    REAL_OF(fsync, "fsync")
    FAIL_IF_PLANNED(FSYNC)
    return real(fd);
}

int fdatasync(int fd)
{
    REAL_OF(fdatasync, "fdatasync")
    FAIL_IF_PLANNED(FDATASYNC)
    return real(fd);
}

int ftruncate(int fd, off_t size)
{
    REAL_OF(ftruncate, "ftruncate64")
    FAIL_IF_PLANNED(FTRUNCATE)
    return real(fd, size);
}

int fstat(int fd, struct stat *st)
{
    REAL_OF(fstat, "fstat64")
    FAIL_IF_PLANNED(FSTAT)
    return real(fd, st);
}

int fchmod(int fd, mode_t mode)
{
    REAL_OF(fchmod, "fchmod")
    FAIL_IF_PLANNED(FCHMOD)
    return real(fd, mode);
}

int unlink(const char *path)
{
    REAL_OF(unlink, "unlink")
    FAIL_IF_PLANNED(UNLINK)
    return real(path);
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
    REAL_OF(fallocate, "fallocate64")
    FAIL_IF_PLANNED(FALLOCATE)
    if (plan_ != HALF)
        return real(fd, mode, off, len);
    (void)real(fd, mode, off, len / 2); /* what a full ext4 does */
    errno = ENOSPC;
    return -1;
}

int posix_fallocate(int fd, off_t off, off_t len)
{
    REAL_OF(posix_fallocate, "posix_fallocate64")
    int how = planned(POSIX_FALLOCATE);

    if (how > 0)
        return how;
    if (how != HALF)
        return real(fd, off, len);
    (void)real(fd, off, len / 2);
    return ENOSPC;
}

DIR *fdopendir(int fd)
{
    REAL_OF(fdopendir, "fdopendir")
    int how = planned(FDOPENDIR);

    errno = how;
    return how > 0 ? NULL : real(fd);
}

struct dirent *readdir(DIR *dir)
{
    REAL_OF(readdir, "readdir64")
    int how = planned(READDIR);

    if (how > 0)
        errno = how;
    return how > 0 ? NULL : real(dir);
}

char *strdup(const char *s)
{
    REAL_OF(strdup, "strdup")
    int how = planned(STRDUP);

    errno = how;
    return how > 0 ? NULL : real(s);
}

/* The calls that have no function; `refused` is the number of the one that the plan is for. */
static long refused;

long syscall(long number, ...)
{
    REAL_OF(syscall, "syscall")
    long arg[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(args, long);
    va_end(args);
    if (number == refused) {
        FAIL_IF_PLANNED(SYSCALL)
    }
    return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* ---- the tests ---- */

static void nothing_moves(void)
{
    tarn_file f = new_file("calls");

    begin();
    plan[WRITE][0] = HALF;
    plan[WRITE][1] = ZERO;
    FAILS(TARN_EIO, os->file->write(os, f, "123456", 6));
    CU_ASSERT_EQUAL(made[WRITE], 2);
    plan[PWRITEV][0] = ZERO;
    FAILS(TARN_EIO, os->file->pwrite(os, f, "123456", 6, 0));
    begin();
    drop_file(f, "calls");
}

static void interrupted_and_short(void)
{
    static const int every[] = { READ, WRITE, PREADV, PWRITEV };
    static const int loops[] = { FTRUNCATE, FSYNC, FDATASYNC, OPEN };
    struct tarn_iov pieces[2];
    char text[] = "abcdefgh", back[9] = "";
    size_t got = 0;
    tarn_file f = new_file("calls"), g;

    pieces[0] = (struct tarn_iov){ back, 3 };
    pieces[1] = (struct tarn_iov){ back + 3, 5 };
    begin();
    for (int i = 0; i < 4; i++) {
        const int steps[8] = { EINTR, HALF, EINTR, HALF, EINTR, EINTR };

        memcpy(plan[every[i]], steps, sizeof(steps));
        plan[loops[i]][0] = plan[loops[i]][1] = EINTR;
    }
    plan[FALLOCATE][0] = plan[POSIX_FALLOCATE][0] = plan[CLOSE][0] = EINTR;
    OK(os->file->write(os, f, text, 8));
    OK(os->file->seek(os, f, 0, TARN_SEEK_SET, NULL));
    OK(os->file->read(os, f, back, 8, &got));
    CU_ASSERT_TRUE(got == 8 && strcmp(back, text) == 0);
    memset(back, 0, sizeof(back));
    OK(os->file->pwrite(os, f, text, 8, 8));
    OK(os->file->preadv(os, f, pieces, 2, 8, &got));
    CU_ASSERT_TRUE(got == 8 && strcmp(back, text) == 0);
    OK(os->file->truncate(os, f, 4));
    OK(os->file->fsync(os, f, 0));
    OK(os->file->fsync(os, f, 1));
    OK(os->file->allocate(os, f, 0, 4096));
    MUST(os->file->open(os, "calls", 0, 0, &g));
    OK(os->file->close(os, g)); /* interrupted: it is closed all the same */
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(made[every[i]] > 6 && made[loops[i]] > 2);
    begin();
    drop_file(f, "calls");
}

/* An error of fsync is told once; a second try would say that all is well. */
static void fsync_is_never_retried(void)
{
    tarn_file f = new_file("calls");

    begin();
    plan[FSYNC][0] = plan[FDATASYNC][0] = EIO;
    FAILS(TARN_EIO, os->file->fsync(os, f, 0));
    FAILS(TARN_EIO, os->file->fsync(os, f, 1));
    CU_ASSERT_TRUE(made[FSYNC] == 1 && made[FDATASYNC] == 1);
    begin();
    drop_file(f, "calls");
}

static void half_an_allocation(void)
{
    tarn_file f = new_file("calls");
    struct tarn_stat st;

    OK(os->file->truncate(os, f, 100));
    begin();
    plan[FALLOCATE][0] = plan[POSIX_FALLOCATE][0] = HALF;
    FAILS(TARN_ENOSPC, os->file->allocate(os, f, 0, 1 << 20));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, 100);
    begin();
    plan[FALLOCATE][0] = EOPNOTSUPP; /* then by writing */
    OK(os->file->allocate(os, f, 0, 8192));
    OK(os->file->ioinfo(os, f, &st));
    CU_ASSERT_EQUAL(st.size, 8192);
    plan[FSTAT][made[FSTAT]] = EIO;
    FAILS(TARN_EIO, os->file->allocate(os, f, 0, 16384));
    begin();
    drop_file(f, "calls");
}

/* A new file whose mode cannot be set, or whose name cannot be taken away, is not left behind. */
static void opens_that_fail_half_way(void)
{
    int before = open_descriptors();
    sigset_t was, is;
    tarn_file f;

    (void)sigprocmask(SIG_SETMASK, NULL, &was);
    begin();
    plan[FCHMOD][0] = plan[FCHMOD][1] = EIO;
    FAILS(TARN_EIO, os->file->open(os, "half", TARN_OPEN_CREATE, 0600, &f));
    FAILS(TARN_ENOENT, os->file->exists(os, "half", NULL));
    FAILS(TARN_EIO, os->file->open(os, "half", TARN_OPEN_CREATE | TARN_OPEN_TEMPORARY, 0600, &f));
    FAILS(TARN_ENOENT, os->file->exists(os, "half", NULL));
    plan[UNLINK][made[UNLINK]] = EROFS;
    FAILS(TARN_EROFS, os->file->open(os, "half", TARN_OPEN_CREATE | TARN_OPEN_TEMPORARY, 0600, &f));
    begin();
    OK(os->file->unlink(os, "half"));
    plan[FCHMOD][0] = EIO;
    FAILS(TARN_EIO, os->file->mkdir(os, "half", 0700));
    FAILS(TARN_ENOENT, os->file->exists(os, "half", NULL));
    plan[CLOSE][made[CLOSE]] = EIO;
    f = new_file("half");
    begin();
    plan[CLOSE][0] = EIO;
    FAILS(TARN_EIO, os->file->close(os, f));
    begin();
    OK(os->file->unlink(os, "half"));
    (void)sigprocmask(SIG_SETMASK, NULL, &is);
    for (int s = 1; s < 32; s++)
        CU_ASSERT_EQUAL(sigismember(&was, s), sigismember(&is, s));
    CU_ASSERT_EQUAL(open_descriptors(), before);
}

/* Somebody makes the file between our two looks, and removes it, again and again. */
static void file_that_comes_and_goes(void)
{
    tarn_file f = TARN_NO_FILE;

    begin();
    for (int i = 0; i < 8; i += 2) {
        plan[OPEN][i] = ENOENT;
        plan[OPEN][i + 1] = EEXIST;
    }
    OK(os->file->open(os, "calls", TARN_OPEN_CREATE, 0600, &f)); /* the ninth look finds it free */
    CU_ASSERT_EQUAL(made[OPEN], 10);
    begin();
    drop_file(f, "calls");
}

static void lists_that_fail_half_way(void)
{
    int before = open_descriptors();
    char **names = NULL;
    size_t n = 0;

    OK(os->file->mkdir(os, "listed", 0700));
    OK(os->file->close(os, new_file("listed/one")));
    OK(os->file->close(os, new_file("listed/two")));
    begin();
    plan[FDOPENDIR][0] = ENOMEM;
    FAILS(TARN_ENOMEM, os->file->dirlist(os, "listed", &names, &n));
    plan[READDIR][3] = EIO;
    FAILS(TARN_EIO, os->file->dirlist(os, "listed", &names, &n));
    begin();
    plan[STRDUP][1] = ENOMEM;
    FAILS(TARN_ENOMEM, os->file->dirlist(os, "listed", &names, &n));
    CU_ASSERT_PTR_NULL(names);
    begin();
    OK(os->file->unlink(os, "listed/one"));
    OK(os->file->unlink(os, "listed/two"));
    CU_ASSERT_EQUAL(rmdir("listed"), 0);
    CU_ASSERT_EQUAL(open_descriptors(), before);
}

/* Without files that have no name: the caller is told, and does it another way. */
static void kernels_without_unnamed_files(void)
{
    static const int errors[] = { EISDIR, EOPNOTSUPP };
    tarn_file f;

    for (int i = 0; i < 2; i++) {
        begin();
        plan[OPEN][0] = errors[i];
        FAILS(TARN_ENOSYS, os->file->open(os, ".", TARN_OPEN_UNNAMED, 0600, &f));
    }
    begin();
    if (!os_is_posix) {
        plan[FCHMOD][0] = EIO;
        FAILS(TARN_EIO, os->file->open(os, ".", TARN_OPEN_UNNAMED, 0600, &f));
    }
    begin();
}

static void refuse(long number, int error)
{
    begin();
    refused = number;
    for (int i = 0; i < 8; i++)
        plan[SYSCALL][i] = error;
}

/* An old kernel says ENOSYS or EINVAL, a sandbox EPERM. */
static void kernels_without_the_barrier(void)
{
    static const int errors[] = { ENOSYS, EINVAL, EPERM };

    for (int i = 0; i < 3; i++) {
        refuse(SYS_membarrier, errors[i]);
        FAILS(TARN_ENOSYS, os->sync->barrier_register(os));
        FAILS(TARN_ENOSYS, os->sync->barrier(os));
    }
    refuse(0, REAL);
}

static void kernels_without_waiting_for_several(void)
{
    static const int errors[] = { ENOSYS, EPERM };
    uint32_t words[2] = { 0, 0 };
    struct tarn_wait w[2] = { { &words[0], 0 }, { &words[1], 1 } };

    for (int i = 0; i < 2; i++) {
        refuse(SYS_futex_waitv, errors[i]);
        OK(os->sync->wait_any(os, w, 2, TARN_FOREVER)); /* the second differs */
        w[1].expect = 0;
        FAILS(TARN_ETIMEDOUT, os->sync->wait_any(os, w, 2, 5000000));
        FAILS(TARN_ETIMEDOUT, os->sync->wait_any(os, w, 2, 0));
        w[1].expect = 1;
    }
    refuse(0, REAL);
}

static void begin_in_child(void *arg) { (void)arg; }

static void kernels_without_pidfd(void)
{
    struct tarn_procid self, id;
    struct child c;
    siginfo_t ended;
    int alive = 9;

    refuse(SYS_pidfd_open, ENOSYS);
    OK(os->proc->self(os, &self, NULL));
    CU_ASSERT_EQUAL(self.pid, (uint64_t)getpid());
    CU_ASSERT_EQUAL(self.ino, 0);
    OK(os->proc->alive(os, &self, &alive));
    CU_ASSERT_EQUAL(alive, 1);
    FAILS(TARN_ENOENT, os->proc->identity(os, UINT64_C(1) << 40, &id));
    refuse(0, REAL);
    begin();
    c = start_child(begin_in_child, NULL);
    refuse(SYS_pidfd_open, ENOSYS);
    OK(os->proc->identity(os, (uint64_t)c.pid, &id));
    CU_ASSERT_EQUAL(kill(c.pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(waitid(P_PID, (id_t)c.pid, &ended, WEXITED | WNOWAIT), 0);
    OK(os->proc->alive(os, &id, &alive)); /* a zombie */
    CU_ASSERT_EQUAL(alive, 0);
    kill_child(&c);
    OK(os->proc->alive(os, &id, &alive));
    CU_ASSERT_EQUAL(alive, 0);
    refuse(0, REAL);
}

static void renames_that_cannot_be_promised(void)
{
    OK(os->file->close(os, new_file("calls")));
    refuse(SYS_renameat2, EINVAL);
    FAILS(TARN_ENOSYS, os->file->rename(os, "calls", "calls.2", 1));
    refuse(0, REAL);
    OK(os->file->unlink(os, "calls"));
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "X10: a write that moves nothing is an error", nothing_moves },
        { "O9 X10: interrupted and short calls go on", interrupted_and_short },
        { "X26: fsync is never retried", fsync_is_never_retried },
        { "half an allocation is given back", half_an_allocation },
        { "O4 X9: opens that fail half way leave nothing", opens_that_fail_half_way },
        { "a file that comes and goes", file_that_comes_and_goes },
        { "O13 X11: lists that fail half way leave nothing", lists_that_fail_half_way },
        { "kernels without unnamed files", kernels_without_unnamed_files },
        { "kernels without the barrier", kernels_without_the_barrier },
        { "kernels without waiting for several words", kernels_without_waiting_for_several },
        { "X29: kernels without pidfd", kernels_without_pidfd },
        { "renames that cannot be promised", renames_that_cannot_be_promised },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.calls", tests), CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
