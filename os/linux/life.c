/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life word: the futex inside a robust, process-shared mutex.
 *
 *      life_take            the holding thread ends
 *    0 ---------> tid | W? --------------------------> OWNER_DIED | W?
 *    ^               |                                      |
 *    +---------------+ life_drop               life_take <--+
 *
 * Rules
 *   1. Only the C library may link a word into the kernel's list of a thread, so the word is the C
 *      library's own; where in its mutex it lies is found out once, by looking for our number.
 *   2. The kernel wakes a sleeper at the death only if FUTEX_WAITERS is set, and wakes one:
 *      life_word sets it, and who was woken wakes the others.
 *   3. The word falls with the *thread* that took it, and is dropped by that thread alone.  While it
 *      is held the memory stays mapped where it is: unmapping it breaks the list for every robust
 *      mutex of that thread.
 *
 * Not promised: that a word which says HELD is right.  It is a hint; a lock byte decides.
 * tests/test_os_sync.c kills a holder and looks.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/linux/linux.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct tarn_life), "a mutex must fit");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct tarn_life), "and be aligned");

enum { WORDS = sizeof(pthread_mutex_t) / sizeof(uint32_t) };

static pthread_once_t found = PTHREAD_ONCE_INIT;
static int word_index = -1; /* of the futex within the mutex; -1: this C library hides it */

static uint32_t own_number(void) { return (uint32_t)syscall(SYS_gettid); }

static int take(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t kind;
    int error = pthread_mutexattr_init(&kind);

    if (error != 0)
        return error;
    (void)pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(mutex, &kind);
    (void)pthread_mutexattr_destroy(&kind);
    return error != 0 ? error : pthread_mutex_lock(mutex);
}

/* The word that is our number while we hold the mutex and 0 afterwards. */
static void find_word(void)
{
    struct tarn_life trial = { { 0 } };
    pthread_mutex_t *mutex = (pthread_mutex_t *)(void *)&trial;
    uint32_t held[WORDS], after[WORDS];
    uint32_t self = own_number();

    if (take(mutex) != 0)
        return;
    memcpy(held, mutex, sizeof(held));
    (void)pthread_mutex_unlock(mutex);
    memcpy(after, mutex, sizeof(after));
    (void)pthread_mutex_destroy(mutex);
    for (int i = 0; i < WORDS && word_index < 0; i++)
        if ((held[i] & FUTEX_TID_MASK) == self && (after[i] & FUTEX_TID_MASK) == 0)
            word_index = i;
}

static const _Atomic uint32_t *word_of(const struct tarn_life *life)
{
    (void)pthread_once(&found, find_word);
    return word_index < 0 ? NULL : (const _Atomic uint32_t *)(const void *)life + word_index;
}

static int hidden(void)
{
    return posix_refused(TARN_ENOSYS, "the robust mutex of this C library shows no owner");
}

int linux_sync_life_take(const struct tarn_os *os, struct tarn_life *life)
{
    int error;

    if (word_of(life) == NULL)
        return hidden();
    memset(life, 0, sizeof(*life));
    error = take((pthread_mutex_t *)(void *)life);
    return error == 0 ? TARN_OK : posix_error(error);
}

int linux_sync_life_drop(const struct tarn_os *os, struct tarn_life *life)
{
    const _Atomic uint32_t *word = word_of(life);
    int error;

    if (word == NULL)
        return hidden();
    if ((atomic_load(word) & FUTEX_TID_MASK) != own_number())
        return posix_refused(TARN_EPERM, "only the thread that took a life word may drop it");
    error = pthread_mutex_unlock((pthread_mutex_t *)(void *)life);
    return error == 0 ? TARN_OK : posix_error(error);
}

static enum tarn_life_state state_of(uint32_t word)
{
    if (word & FUTEX_OWNER_DIED)
        return TARN_LIFE_DIED;
    return (word & FUTEX_TID_MASK) != 0 ? TARN_LIFE_HELD : TARN_LIFE_FREE;
}

int linux_sync_life_look(const struct tarn_os *os, const struct tarn_life *life,
                         enum tarn_life_state *state)
{
    const _Atomic uint32_t *word = word_of(life);

    if (word == NULL)
        return hidden();
    *state = state_of(atomic_load_explicit(word, memory_order_acquire));
    return TARN_OK;
}

/* Nobody holds it: then what to wait with is a value that it has not, so that no one sleeps. */
int linux_sync_life_word(const struct tarn_os *os, struct tarn_life *life, struct tarn_wait *w)
{
    _Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)word_of(life);
    uint32_t seen;

    if (word == NULL)
        return hidden();
    seen = atomic_load(word);
    while (state_of(seen) == TARN_LIFE_HELD && !(seen & FUTEX_WAITERS))
        if (atomic_compare_exchange_weak(word, &seen, seen | FUTEX_WAITERS))
            seen |= FUTEX_WAITERS;
    w->word = (const uint32_t *)(void *)word;
    w->expect = state_of(seen) == TARN_LIFE_HELD ? seen : ~seen;
    return TARN_OK;
}
