/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting, for systems that cannot sleep on a word: look again after 1 ms, then ever less often, at
 * last every 10 ms.
 *
 * Lock bytes here are POSIX record locks.  They belong to the process, and *any* close of the file
 * in it drops them all: whoever uses them opens the file once per process and closes it last.  A
 * TEST does not see the locks of this process, and a fork does not inherit them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "os/absent.h"
#include "os/posix/posix.h"

enum { POLL_FIRST = 1000000, POLL_LAST = 10000000 }; /* ns */

struct timespec posix_timespec(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u),
                              .tv_nsec = (long)(ns % 1000000000u) };
}

static int differs(const struct tarn_wait *w)
{
    const _Atomic uint32_t *word = (const _Atomic uint32_t *)w->word;

    return atomic_load_explicit(word, memory_order_acquire) != w->expect;
}

static int any_differs(const struct tarn_wait *w, int n)
{
    for (int i = 0; i < n; i++)
        if (differs(&w[i]))
            return 1;
    return 0;
}

int posix_sync_wait_any(const struct tarn_os *os, const struct tarn_wait *w, int n,
                        uint64_t timeout)
{
    uint64_t step = POLL_FIRST;

    if (n < 1 || n > 8)
        return posix_error(EINVAL);
    for (;;) {
        uint64_t now = timeout < step ? timeout : step;
        struct timespec pause = posix_timespec(now);

        if (any_differs(w, n))
            return TARN_OK;
        if (timeout == 0)
            return posix_error(ETIMEDOUT);
        (void)nanosleep(&pause, NULL); /* cut short by a signal: only looks sooner */
        if (timeout != TARN_FOREVER)
            timeout -= now;
        step = step * 2 < POLL_LAST ? step * 2 : POLL_LAST;
    }
}

int posix_sync_wait(const struct tarn_os *os, const uint32_t *word, uint32_t expect,
                    uint64_t timeout)
{
    struct tarn_wait one = { .word = word, .expect = expect };

    return posix_sync_wait_any(os, &one, 1, timeout);
}

/* Nobody sleeps in a way that could be ended. */
int posix_sync_wake(const struct tarn_os *os, const uint32_t *word, int n) { return TARN_OK; }

int posix_sync_lock_byte(const struct tarn_os *os, tarn_file f, uint64_t byte, enum tarn_lockop op,
                         int *held)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    int how;

    if (posix_range(byte, 1) != TARN_OK || op < TARN_LOCK_TEST || op > TARN_LOCK_FREE)
        return posix_error(EINVAL);
    lock.l_start = (off_t)byte;
    if (op == TARN_LOCK_FREE)
        lock.l_type = F_UNLCK;
    how = op == TARN_LOCK_TEST ? F_GETLK : op == TARN_LOCK_WAIT ? F_SETLKW : F_SETLK;
    while (fcntl((int)f, how, &lock) != 0) {
        if (op == TARN_LOCK_TRY && (errno == EACCES || errno == EAGAIN)) {
            (void)posix_failed();
            return TARN_EBUSY;
        }
        if (errno != EINTR)
            return posix_failed();
    }
    if (op == TARN_LOCK_TEST)
        *held = lock.l_type != F_UNLCK;
    return TARN_OK;
}

const struct tarn_os_sync posix_sync = {
    .size = sizeof(struct tarn_os_sync),
    .wait = posix_sync_wait,
    .wake = posix_sync_wake,
    .wait_any = posix_sync_wait_any,
    .barrier_register = absent_sync_barrier_register,
    .barrier = absent_sync_barrier,
    .lock_byte = posix_sync_lock_byte,
    .life_take = absent_sync_life_take,
    .life_drop = absent_sync_life_drop,
    .life_look = absent_sync_life_look,
    .life_word = absent_sync_life_word,
};
