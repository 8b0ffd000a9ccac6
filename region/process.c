/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process's list of environments and regions.
 *
 * Rules
 *   1. The lists change under one lock, and each change is one store, so that a child after fork,
 *      which cannot take that lock, can walk them whatever another thread was doing.
 *   2. A child marks every region as forked and frees every lock between threads: it has one thread.
 *   3. The end of a thread marks a region busy under the lock and looks at it without; who removes a
 *      region from the list waits until it is not busy.
 *   4. A life word is linked into a list of the thread that took it, inside the region's memory.  So
 *      a region that another thread detaches is parked: its row is no participant any more, but its
 *      memory stays mapped until the thread that took the word ends or calls Tarn again.
 */
#include "region/process.h"

#include "region/env.h"
#include "region/own.h"
#include "region/region.h"
#include "region/rows.h"

static struct {
    _Atomic uint32_t lock;
    struct tarn_env *envs;
    struct tarn_region *regions;
    _Atomic uint32_t watching; /* 1: on_fork has been told */
    _Atomic uint64_t serial;
} process;

static _Thread_local struct {
    bool watched;
} thread;

uint64_t process_thread(void) { return (uint64_t)(uintptr_t)&thread; }

uint64_t process_serial(void)
{
    return atomic_fetch_add_explicit(&process.serial, 1, memory_order_relaxed) + 1;
}

static void lock(void) { own_mutex_lock(tarn_os_host(), &process.lock); }

static void unlock(void) { own_mutex_unlock(tarn_os_host(), &process.lock); }

/* ---- fork -------------------------------------------------------------------------------------- */

static void in_child(void *arg)
{
    (void)arg;
    atomic_store(&process.lock, 0);
    for (struct tarn_env *env = process.envs; env != NULL; env = env->process_next)
        atomic_store(&env->lock, 0);
    for (struct tarn_region *r = process.regions; r != NULL; r = r->process_next) {
        atomic_store(&r->free_lanes_lock, 0);
        atomic_store(&r->busy, 0);
        atomic_store(&r->forked, true);
    }
}

int process_watch(const struct tarn_os *os)
{
    uint32_t expect = 0;
    int err;

    if (!atomic_compare_exchange_strong(&process.watching, &expect, 1))
        return TARN_OK;
    err = os->proc->on_fork(os, in_child, NULL);
    if (err == TARN_OK || err == TARN_ENOSYS)
        return TARN_OK;
    atomic_store(&process.watching, 0);
    return err;
}

/* ---- the lists --------------------------------------------------------------------------------- */

void process_add_env(struct tarn_env *env)
{
    lock();
    env->process_next = process.envs;
    process.envs = env;
    unlock();
}

void process_remove_env(struct tarn_env *env)
{
    struct tarn_env **at = &process.envs;

    lock();
    while (*at != NULL && *at != env)
        at = &(*at)->process_next;
    if (*at != NULL)
        *at = env->process_next;
    unlock();
}

void process_add(struct tarn_region *region)
{
    lock();
    region->process_next = process.regions;
    process.regions = region;
    unlock();
}

void process_remove(struct tarn_region *region)
{
    struct tarn_region **at = &process.regions;

    lock();
    while (*at != NULL && *at != region)
        at = &(*at)->process_next;
    if (*at != NULL)
        *at = region->process_next;
    unlock();
    while (atomic_load(&region->busy) != 0)
        (void)region->os->misc->yield(region->os);
}

/* With the lock held: does a detached region still need env?  A parent's needs nothing in a child. */
static bool parked_in(const struct tarn_env *env)
{
    for (const struct tarn_region *r = process.regions; r != NULL; r = r->process_next)
        if (r->parked && r->env == env && !atomic_load(&r->forked))
            return true;
    return false;
}

bool process_close_env(struct tarn_env *env)
{
    bool waits;

    lock();
    waits = parked_in(env);
    env->closed = waits;
    unlock();
    return waits;
}

static struct tarn_region *next_parked(void)
{
    struct tarn_region *r;

    lock();
    for (r = process.regions; r != NULL; r = r->process_next)
        if (r->parked && !atomic_load(&r->forked) && r->life_thread == process_thread())
            break;
    unlock();
    return r;
}

void process_settle(void)
{
    struct tarn_region *r;

    while ((r = next_parked()) != NULL) {
        struct tarn_env *env = r->env;
        bool last;

        region_settle(r);
        lock();
        last = env->closed && !parked_in(env);
        unlock();
        if (last)
            env_release(env);
    }
}

/* ---- the end of a thread ----------------------------------------------------------------------- */

/* The next region of the list behind serial, made busy; NULL at the end.  Newest first. */
static struct tarn_region *next_busy(uint64_t serial)
{
    struct tarn_region *found = NULL;

    lock();
    for (struct tarn_region *r = process.regions; r != NULL; r = r->process_next)
        if (r->serial < serial && !r->parked && !atomic_load(&r->forked) &&
            (found == NULL || r->serial > found->serial))
            found = r;
    if (found != NULL)
        atomic_fetch_add(&found->busy, 1);
    unlock();
    return found;
}

static void thread_ends(void *arg)
{
    uint64_t serial = UINT64_MAX;
    struct tarn_region *r;

    (void)arg;
    thread.watched = false; /* a later handler of the same thread may take a lane again */
    while ((r = next_busy(serial)) != NULL) {
        serial = r->serial;
        rows_thread_ends(r, process_thread());
        atomic_fetch_sub(&r->busy, 1);
    }
    process_settle();
}

int process_watch_thread(const struct tarn_os *os)
{
    int err;

    if (thread.watched)
        return TARN_OK;
    err = os->proc->on_thread_exit(os, thread_ends, NULL);
    if (err == TARN_OK || err == TARN_ENOSYS)
        thread.watched = true;
    return err == TARN_ENOSYS ? TARN_OK : err;
}
