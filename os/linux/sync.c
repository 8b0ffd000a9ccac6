/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting on words (futex), the heavy barrier (membarrier), lock bytes that belong to the open file
 * (OFD locks).  All futexes are shared ones: the words may lie in memory of several processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/linux.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex
#define SYS_futex SYS_futex_time64 /* new 32-bit systems have only this one */
#endif

enum { ANY_LIMIT = 8, STEP_FIRST = 1000000, STEP_LAST = 10000000 }; /* ns */

/* A signal ends the sleep early: that is waking up for no reason, which callers expect. */
int linux_sync_wait(const struct tarn_os *os, const uint32_t *word, uint32_t expect,
                    uint64_t timeout)
{
    struct timespec limit = posix_timespec(timeout);
    const struct timespec *at_most = timeout == TARN_FOREVER ? NULL : &limit;

    if (syscall(SYS_futex, word, FUTEX_WAIT, expect, at_most, NULL, 0) == 0)
        return TARN_OK;
    if (errno == EAGAIN || errno == EINTR)
        return TARN_OK;
    return posix_failed();
}

int linux_sync_wake(const struct tarn_os *os, const uint32_t *word, int n)
{
    return syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0) >= 0 ? TARN_OK : posix_failed();
}

static int any_differs(const struct tarn_wait *w, int n)
{
    for (int i = 0; i < n; i++)
        if (atomic_load((const _Atomic uint32_t *)w[i].word) != w[i].expect)
            return 1;
    return 0;
}

/* Without futex_waitv: sleep on the first word, and look at the others every 1 to 10 ms. */
static int wait_in_steps(const struct tarn_os *os, const struct tarn_wait *w, int n,
                         uint64_t timeout)
{
    uint64_t step = STEP_FIRST;

    for (;;) {
        uint64_t now = timeout < step ? timeout : step;
        int ret;

        if (any_differs(w, n))
            return TARN_OK;
        ret = linux_sync_wait(os, w[0].word, w[0].expect, now);
        if (ret != TARN_ETIMEDOUT)
            return ret;
        if (timeout != TARN_FOREVER && (timeout -= now) == 0)
            return any_differs(w, n) ? TARN_OK : ret;
        step = step * 2 < STEP_LAST ? step * 2 : STEP_LAST;
    }
}

/* futex_waitv takes the time at which to end, not how long. */
static struct timespec deadline(uint64_t timeout)
{
    struct timespec now;
    uint64_t ns;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return posix_timespec(timeout < INT64_MAX - ns ? ns + timeout : INT64_MAX);
}

int linux_sync_wait_any(const struct tarn_os *os, const struct tarn_wait *w, int n,
                        uint64_t timeout)
{
    struct futex_waitv list[ANY_LIMIT] = { { .val = 0 } };
    struct timespec end;

    if (n < 1 || n > ANY_LIMIT)
        return posix_error(EINVAL);
    for (int i = 0; i < n; i++) {
        list[i].val = w[i].expect;
        list[i].uaddr = (uint64_t)(uintptr_t)w[i].word;
        list[i].flags = FUTEX_32;
    }
    if (timeout != TARN_FOREVER)
        end = deadline(timeout);
    if (syscall(SYS_futex_waitv, list, (unsigned)n, 0, timeout == TARN_FOREVER ? NULL : &end,
                CLOCK_MONOTONIC) >= 0)
        return TARN_OK;
    if (errno == EAGAIN || errno == EINTR)
        return TARN_OK;
    if (errno == ENOSYS || errno == EPERM) /* an old kernel, a sandbox */
        return wait_in_steps(os, w, n, timeout);
    return posix_failed();
}

static int membarrier(int command)
{
    int ret;

    if (syscall(SYS_membarrier, command, 0, 0) == 0)
        return TARN_OK;
    ret = posix_failed();
    return ret == TARN_EINVAL || ret == TARN_EPERM ? TARN_ENOSYS : ret;
}

int linux_sync_barrier_register(const struct tarn_os *os)
{
    return membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

int linux_sync_barrier(const struct tarn_os *os)
{
    return membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

int linux_sync_lock_byte(const struct tarn_os *os, tarn_file f, uint64_t byte, enum tarn_lockop op,
                         int *held)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    int how;

    if (posix_range(byte, 1) != TARN_OK || op < TARN_LOCK_TEST || op > TARN_LOCK_FREE)
        return posix_error(EINVAL);
    lock.l_start = (off_t)byte;
    if (op == TARN_LOCK_FREE)
        lock.l_type = F_UNLCK;
    how = op == TARN_LOCK_TEST ? F_OFD_GETLK : op == TARN_LOCK_WAIT ? F_OFD_SETLKW : F_OFD_SETLK;
    while (fcntl((int)f, how, &lock) != 0) {
        if (op == TARN_LOCK_TRY && (errno == EACCES || errno == EAGAIN)) {
            (void)posix_failed();
            return TARN_EBUSY;
        }
        if (errno == EINVAL)
            return posix_refused(TARN_ENOSYS, "this kernel has no locks of open files");
        if (errno != EINTR)
            return posix_failed();
    }
    if (op == TARN_LOCK_TEST)
        *held = lock.l_type != F_UNLCK;
    return TARN_OK;
}

const struct tarn_os_sync linux_sync = {
    .size = sizeof(struct tarn_os_sync),
    .wait = linux_sync_wait,
    .wake = linux_sync_wake,
    .wait_any = linux_sync_wait_any,
    .barrier_register = linux_sync_barrier_register,
    .barrier = linux_sync_barrier,
    .lock_byte = linux_sync_lock_byte,
    .life_take = linux_sync_life_take,
    .life_drop = linux_sync_life_drop,
    .life_look = linux_sync_life_look,
    .life_word = linux_sync_life_word,
};
