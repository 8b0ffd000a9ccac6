/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads, and being told of a fork or of the end of one.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "os/posix/posix.h"

struct call {
    struct call *next;
    void (*fn)(void *arg);
    void *arg;
};

static int make_call(void (*fn)(void *arg), void *arg, struct call **out)
{
    struct call *c = malloc(sizeof(*c));

    if (c == NULL)
        return posix_failed();
    *c = (struct call){ .fn = fn, .arg = arg };
    *out = c;
    return TARN_OK;
}

/* ---- fork ---- */

/* What children call, oldest first.  The lock is held over a fork, so the child finds it whole. */
static struct {
    pthread_mutex_t lock;
    struct call *first, **end;
    int installed;
} forks = { .lock = PTHREAD_MUTEX_INITIALIZER, .end = &forks.first };

static void before_fork(void) { (void)pthread_mutex_lock(&forks.lock); }

static void after_fork(void) { (void)pthread_mutex_unlock(&forks.lock); }

static void in_child(void)
{
    after_fork();
    for (const struct call *c = forks.first; c != NULL; c = c->next)
        c->fn(c->arg);
}

int posix_proc_on_fork(const struct tarn_os *os, void (*child)(void *arg), void *arg)
{
    struct call *c = NULL;
    int error = 0, ret = make_call(child, arg, &c);

    if (ret != TARN_OK)
        return ret;
    before_fork();
    if (!forks.installed)
        error = pthread_atfork(before_fork, after_fork, in_child);
    if (error == 0) {
        forks.installed = 1;
        *forks.end = c;
        forks.end = &c->next;
    }
    after_fork();
    if (error == 0)
        return TARN_OK;
    free(c);
    return posix_error(error);
}

/* ---- the end of a thread ---- */

static pthread_once_t exits_once = PTHREAD_ONCE_INIT;
static pthread_key_t exits_key; /* of each thread: its struct call, the latest first */
static int exits_error;

static void run_exits(void *list)
{
    for (struct call *c = list, *next; c != NULL; c = next) {
        next = c->next;
        c->fn(c->arg);
        free(c);
    }
}

static void make_exits_key(void) { exits_error = pthread_key_create(&exits_key, run_exits); }

int posix_proc_on_thread_exit(const struct tarn_os *os, void (*fn)(void *arg), void *arg)
{
    struct call *c = NULL;
    int error, ret;

    (void)pthread_once(&exits_once, make_exits_key);
    if (exits_error != 0)
        return posix_error(exits_error);
    ret = make_call(fn, arg, &c);
    if (ret != TARN_OK)
        return ret;
    c->next = pthread_getspecific(exits_key);
    error = pthread_setspecific(exits_key, c);
    if (error == 0)
        return TARN_OK;
    free(c);
    return posix_error(error);
}

/* ---- threads ---- */

_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread's name must fit into a word");

static void *thread_main(void *arg)
{
    struct call c = *(struct call *)arg;

    free(arg);
    c.fn(c.arg);
    return NULL;
}

int posix_proc_thread_start(const struct tarn_os *os, void (*fn)(void *arg), void *arg,
                            uintptr_t *thread)
{
    struct call *c = NULL;
    pthread_t id;
    int error, ret = make_call(fn, arg, &c);

    if (ret != TARN_OK)
        return ret;
    error = pthread_create(&id, NULL, thread_main, c);
    if (error != 0) {
        free(c);
        return posix_error(error);
    }
    *thread = (uintptr_t)id;
    return TARN_OK;
}

int posix_proc_thread_join(const struct tarn_os *os, uintptr_t thread)
{
    int error = pthread_join((pthread_t)thread, NULL);

    return error == 0 ? TARN_OK : posix_error(error);
}
