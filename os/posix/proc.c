/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes by number: POSIX knows no more, so a number that was given out again is taken for the
 * old process, and of the zombies only our own children are seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/posix/posix.h"

int posix_proc_self(const struct tarn_os *os, struct tarn_procid *id, uint32_t *euid)
{
    *id = (struct tarn_procid){ .pid = (uint64_t)getpid() };
    if (euid != NULL)
        *euid = (uint32_t)geteuid();
    return TARN_OK;
}

/* Signal 0 is a question, not a signal. */
static int number_in_use(uint64_t pid)
{
    return pid > 0 && pid <= INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

int posix_proc_identity(const struct tarn_os *os, uint64_t pid, struct tarn_procid *id)
{
    if (!number_in_use(pid))
        return posix_error(ESRCH);
    *id = (struct tarn_procid){ .pid = pid };
    return TARN_OK;
}

int posix_proc_alive(const struct tarn_os *os, const struct tarn_procid *id, int *alive)
{
    siginfo_t ended = { 0 };

    if (!number_in_use(id->pid)) {
        *alive = 0;
        return TARN_OK;
    }
    if (waitid(P_PID, (id_t)id->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        ended.si_pid == (pid_t)id->pid)
        *alive = 0;
    else
        *alive = 1;
    return TARN_OK;
}

/* In the child of try_in_child: a signal ends it, whatever the program does with signals. */
static void run_in_child(int (*fn)(void *arg), void *arg, int report)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };
    struct rlimit none = { 0, 0 };
    unsigned char result;
    sigset_t empty;

    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        (void)signal(deadly[i], SIG_DFL);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)sigemptyset(&empty);
    (void)sigprocmask(SIG_SETMASK, &empty, NULL);
    result = (unsigned char)fn(arg);
    (void)posix_file_write(NULL, report, &result, 1);
    _exit(result);
}

/*
 * How the child ended.  A program that ignores SIGCHLD, or waits for every child by itself, takes
 * that from us; then what the child reported counts, and silence was some signal.
 */
static int status_of(pid_t child, int report)
{
    unsigned char result = 0;
    size_t got = 0;
    int ended;
    pid_t waited;

    do
        waited = waitpid(child, &ended, 0);
    while (waited < 0 && errno == EINTR);
    if (waited == child)
        return WIFEXITED(ended) ? WEXITSTATUS(ended) : 256 + WTERMSIG(ended);
    (void)posix_file_read(NULL, report, &result, 1, &got);
    return got == 1 ? result : 256 + SIGKILL;
}

int posix_proc_try_in_child(const struct tarn_os *os, int (*fn)(void *arg), void *arg, int *status)
{
    int ends[2];
    pid_t child;
    int ret = TARN_OK;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return posix_failed();
    child = fork();
    if (child == 0)
        run_in_child(fn, arg, ends[1]);
    if (child < 0)
        ret = posix_failed();
    (void)close(ends[1]);
    if (child > 0)
        *status = status_of(child, ends[0]);
    (void)close(ends[0]);
    return ret;
}

const struct tarn_os_proc posix_proc = {
    .size = sizeof(struct tarn_os_proc),
    .self = posix_proc_self,
    .identity = posix_proc_identity,
    .alive = posix_proc_alive,
    .on_fork = posix_proc_on_fork,
    .on_thread_exit = posix_proc_on_thread_exit,
    .thread_start = posix_proc_thread_start,
    .thread_join = posix_proc_thread_join,
    .try_in_child = posix_proc_try_in_child,
};
