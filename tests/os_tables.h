/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One suite for every table: include this, write tests that use `os`, and list them with
 * OS_SUITES("name", tests).  The tables are
 *     platform            as the ports file puts it together
 *     posix, linux        as they are
 *     posix+, linux+      each under a level that overrides nothing
 *     linux traced        under trace, its lines thrown away
 */
#ifndef TARN_TESTS_OS_TABLES_H
#define TARN_TESTS_OS_TABLES_H

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/linux/linux.h"
#include "os/posix/posix.h"

static const struct tarn_os *os; /* the table of this suite */
static int os_is_posix;          /* it stands on the posix table */
static struct tarn_os *os_level;
static int os_stderr = -1;

static const struct tarn_os os_nothing = { .size = sizeof(struct tarn_os), .name = "nothing" };

static inline int use_posix(void)
{
    os = &posix_table;
    os_is_posix = 1;
    return 0;
}

static inline int use_linux(void)
{
    os = &linux_table;
    os_is_posix = 0;
    return 0;
}

static inline int use_platform(void)
{
    os = tarn_os_platform();
    os_is_posix = strcmp(os->name, "linux") != 0;
    return 0;
}

static inline int use_stacked(const struct tarn_os *base)
{
    os_is_posix = base == &posix_table;
    if (tarn_os_stack(base, &os_nothing, &os_level) != TARN_OK)
        return 1;
    os = os_level;
    return 0;
}

static inline int use_posix_under(void) { return use_stacked(&posix_table); }
static inline int use_linux_under(void) { return use_stacked(&linux_table); }

static inline int use_traced(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    os_is_posix = 0;
    os_stderr = fcntl(2, F_DUPFD_CLOEXEC, 3);
    if (null < 0 || os_stderr < 0 || dup2(null, 2) < 0)
        return 1;
    (void)close(null);
    if (tarn_os_shims(&linux_table, "trace", &os_level) != TARN_OK)
        return 1;
    os = os_level;
    return 0;
}

static inline int use_none(void)
{
    tarn_os_unstack(os_level);
    os_level = NULL;
    os = NULL;
    if (os_stderr >= 0) {
        (void)dup2(os_stderr, 2);
        (void)close(os_stderr);
        os_stderr = -1;
    }
    return 0;
}

/* clang-format off */
#define OS_SUITES(name, tests)                                                                     \
    { name " platform", use_platform, use_none, NULL, NULL, tests },                               \
    { name " posix", use_posix, use_none, NULL, NULL, tests },                                     \
    { name " posix+", use_posix_under, use_none, NULL, NULL, tests },                              \
    { name " linux", use_linux, use_none, NULL, NULL, tests },                                     \
    { name " linux+", use_linux_under, use_none, NULL, NULL, tests },                              \
    { name " linux traced", use_traced, use_none, NULL, NULL, tests }
/* clang-format on */

/* The posix table has no such thing, says so, and there is nothing more to try. */
#define ABSENT_IN_POSIX(call)                                                                      \
    do {                                                                                           \
        if (os_is_posix) {                                                                         \
            FAILS(TARN_ENOSYS, call);                                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* ---- small helpers ---- */

/* An open new file of this name, which must not be there. */
static inline tarn_file new_file(const char *path)
{
    tarn_file f = TARN_NO_FILE;

    MUST(os->file->open(os, path, TARN_OPEN_CREATE | TARN_OPEN_EXCL, 0600, &f));
    return f;
}

static inline void drop_file(tarn_file f, const char *path)
{
    OK(os->file->close(os, f));
    OK(os->file->unlink(os, path));
}

/* A child process that has run fn(arg) and waits to be killed, or to be let go. */
struct child {
    pid_t pid;
    int let_go; /* closing it ends the child */
};

static inline struct child start_child(void (*fn)(void *arg), void *arg)
{
    int ready[2], end[2];
    struct child c = { -1, -1 };
    char byte;

    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(end, O_CLOEXEC) != 0)
        return c;
    (void)fflush(stdout);
    c.pid = fork();
    if (c.pid == 0) {
        (void)close(end[1]);
        fn(arg);
        if (write(ready[1], "r", 1) != 1)
            _exit(9);
        _exit(read(end[0], &byte, 1) == 0 ? 0 : 8);
    }
    (void)close(ready[1]);
    (void)close(end[0]);
    c.let_go = end[1];
    if (read(ready[0], &byte, 1) != 1) /* it died on the way: the test will see that */
        byte = 0;
    (void)close(ready[0]);
    return c;
}

/* As kill -9 and wait leave it. */
static inline void kill_child(struct child *c)
{
    int status = 0;

    CU_ASSERT_EQUAL(kill(c->pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(waitpid(c->pid, &status, 0), c->pid);
    CU_ASSERT_TRUE(WIFSIGNALED(status));
    (void)close(c->let_go);
}

/* It ends by itself; its exit status. */
static inline int end_child(struct child *c)
{
    int status = 0;

    (void)close(c->let_go);
    CU_ASSERT_EQUAL(waitpid(c->pid, &status, 0), c->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A file system of 1 MiB on folder `at`, which goes with this process; 0 if that is not allowed. */
static inline int mount_small(const char *at)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", at, "tmpfs", 0, "size=1m") == 0;
}

/* How many descriptors this process has open. */
static inline int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

#endif
