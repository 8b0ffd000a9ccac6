/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's side of the workers: it starts them, waits until all are ready, lets them go at once,
 * watches, kills some if asked to, says stop, and collects them.  It looks every few milliseconds
 * instead of waiting for anything, since anybody may die at any time.
 */
#include "tools/run.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOOK_MICROSECONDS = 5000,
    PATIENCE_SECONDS = 60, /* for workers that should start or stop and do not */
    DEFAULT_SECONDS = 3,
    PROGRESS_MICROSECONDS = 200000
};

/* ---- one child -------------------------------------------------------------------------------- */

static apr_status_t start_by_join(struct run *run, uint32_t proc, apr_proc_t *out)
{
    const char *argv[] = { "tarn", "worker", run->dir, apr_itoa(run->pool, (int)proc), NULL };
    apr_procattr_t *attr;
    apr_status_t st = apr_procattr_create(&attr, run->pool);

    if (st == APR_SUCCESS)
        st = apr_procattr_cmdtype_set(attr, APR_PROGRAM_PATH);
    if (st == APR_SUCCESS)
        st = apr_procattr_error_check_set(attr, 1);
    if (st == APR_SUCCESS)
        st = apr_proc_create(out, run->tool->self, argv, NULL, attr, run->pool);
    return st;
}

/* The child has the parent's handles, and takes part under its own name from here on. */
static apr_status_t start_by_fork(struct run *run, uint32_t proc, apr_proc_t *out)
{
    apr_status_t st;
    int status = EXIT_WRONG;

    (void)fflush(NULL);
    st = apr_proc_fork(out, run->pool);
    if (st != APR_INCHILD)
        return st == APR_INPARENT ? APR_SUCCESS : st;
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_DFL);
    if (tarn_env_reattach(run->env) == TARN_OK)
        status = worker_process(run, proc);
    else
        (void)snprintf(run->workers[proc * run->board->threads].error, sizeof run->workers[0].error,
                       "cannot reattach: %s", tarn_last_message());
    if (tarn_mpool_close(run->mpool) != TARN_OK || tarn_env_close(run->env) != TARN_OK)
        status = EXIT_WRONG;
    _exit(status);
}

static void look_at_child(struct run *run, struct run_child *c)
{
    apr_exit_why_e why;
    int code;

    if (!c->running || apr_proc_wait(&c->proc, &code, &why, APR_NOWAIT) != APR_CHILD_DONE)
        return;
    c->running = false;
    if (why == APR_PROC_EXIT)
        c->status = code;
    else
        c->signal = code;
    if (c->signal == 0 && c->status == 0)
        return;
    if (c->killed && c->signal == SIGKILL)
        run->killed++;
    else
        run->died++;
}

static uint32_t children_running(struct run *run)
{
    uint32_t n = 0;

    for (uint32_t p = 0; run->children != NULL && p < run->board->procs; p++) {
        look_at_child(run, &run->children[p]);
        n += run->children[p].running;
    }
    return n;
}

/* ---- start ------------------------------------------------------------------------------------ */

static uint32_t workers_in(const struct run *run, enum worker_state state)
{
    uint32_t n = 0;

    for (uint32_t w = 0; w < run->crew; w++)
        n += atomic_load_explicit(&run->workers[w].state, memory_order_acquire) == state;
    return n;
}

static int wait_until_ready(struct run *run)
{
    apr_time_t limit = apr_time_now() + apr_time_from_sec(PATIENCE_SECONDS);

    while (workers_in(run, WORKER_READY) < run->crew) {
        if (run_interrupted)
            return EXIT_WRONG;
        (void)children_running(run);
        if (run->died > 0 || workers_in(run, WORKER_FAILED) > 0)
            return EXIT_WRONG; /* the report says who and why */
        if (apr_time_now() > limit)
            return complain(EXIT_WRONG, "run: %u of %u workers were not ready after %d s",
                            (unsigned)(run->crew - workers_in(run, WORKER_READY)),
                            (unsigned)run->crew, PATIENCE_SECONDS);
        apr_sleep(LOOK_MICROSECONDS);
    }
    return EXIT_OK;
}

int crew_start(struct run *run)
{
    uint32_t procs = run->board->procs;

    run->board->parent = (uint64_t)getpid();
    if (run->mode == RUN_ALONE) {
        run->threads = apr_pcalloc(run->pool, run->board->threads * sizeof(apr_thread_t *));
        if (crew_threads_start(run, 0, run->threads) != EXIT_OK)
            return EXIT_WRONG;
        return wait_until_ready(run);
    }
    run->children = apr_pcalloc(run->pool, procs * sizeof *run->children);
    for (uint32_t p = 0; p < procs; p++) {
        struct run_child *c = &run->children[p];
        apr_status_t st = run->mode == RUN_JOIN ? start_by_join(run, p, &c->proc)
                                                : start_by_fork(run, p, &c->proc);

        if (st != APR_SUCCESS)
            return complain_apr(st, "run: cannot start process %u of %u", (unsigned)p + 1,
                                (unsigned)procs);
        c->running = true;
    }
    return wait_until_ready(run);
}

/* ---- work ------------------------------------------------------------------------------------- */

static bool all_passed(const struct run *run)
{
    for (uint32_t w = 0; w < run->crew; w++)
        if (atomic_load_explicit(&run->workers[w].state, memory_order_relaxed) == WORKER_READY &&
            atomic_load_explicit(&run->workers[w].passed, memory_order_relaxed) == 0 &&
            (run->children == NULL || run->children[w / run->board->threads].running))
            return false;
    return true;
}

/* The n-th of all kills comes at n/(all+1) of the time, to any process that still runs. */
static void kill_some(struct run *run, double passed, uint64_t *done)
{
    double all = (double)(run->plan.seconds > 0 ? run->plan.seconds : DEFAULT_SECONDS);
    uint64_t state = run->plan.seed + *done;
    uint32_t victim;

    if (*done == run->plan.kill ||
        passed < all * (double)(*done + 1) / (double)(run->plan.kill + 1))
        return;
    victim = (uint32_t)(dist_random(&state) % run->board->procs);
    for (uint32_t tries = 0; tries < run->board->procs; tries++, victim++) {
        struct run_child *c = &run->children[victim % run->board->procs];

        if (c->killed || !c->running)
            continue;
        c->killed = true;
        (void)apr_proc_kill(&c->proc, SIGKILL);
        break;
    }
    (*done)++;
}

static bool time_is_over(const struct run *run, double passed)
{
    if (run->plan.seconds > 0)
        return passed >= (double)run->plan.seconds;
    return passed >= DEFAULT_SECONDS && all_passed(run);
}

int crew_work(struct run *run)
{
    const struct tarn_os *os = tarn_env_os(run->env);
    apr_time_t begin = apr_time_now(), told = begin;
    uint64_t kills = 0;
    double passed = 0;

    atomic_store_explicit(&run->board->go, 1, memory_order_release);
    (void)os->sync->wake(os, (const uint32_t *)(const void *)&run->board->go, INT32_MAX);
    while (!run_interrupted && !time_is_over(run, passed)) {
        apr_sleep(LOOK_MICROSECONDS);
        passed = (double)(apr_time_now() - begin) / APR_USEC_PER_SEC;
        if (run->children != NULL && children_running(run) == 0)
            break;
        if (workers_in(run, WORKER_READY) == 0)
            break;
        kill_some(run, passed, &kills);
        if (apr_time_now() - told >= PROGRESS_MICROSECONDS) {
            told = apr_time_now();
            report_progress(run, passed, false);
        }
    }
    atomic_store_explicit(&run->board->stop, 1, memory_order_relaxed);
    run->seconds = (double)(apr_time_now() - begin) / APR_USEC_PER_SEC;
    report_progress(run, run->seconds, true);
    crew_end(run);
    return run_interrupted ? EXIT_WRONG : EXIT_OK;
}

/* ---- end -------------------------------------------------------------------------------------- */

/* Nobody is left running; who does not come to an end is killed and counts as dead. */
void crew_end(struct run *run)
{
    apr_time_t limit = apr_time_now() + apr_time_from_sec(PATIENCE_SECONDS);

    if (run->board == NULL)
        return;
    atomic_store_explicit(&run->board->go, 1, memory_order_release);
    atomic_store_explicit(&run->board->stop, 1, memory_order_relaxed);
    while (children_running(run) > 0) {
        if (apr_time_now() > limit) {
            complain(EXIT_WRONG, "run: %u processes did not stop within %d s: killed",
                     (unsigned)children_running(run), PATIENCE_SECONDS);
            for (uint32_t p = 0; p < run->board->procs; p++)
                if (run->children[p].running)
                    (void)apr_proc_kill(&run->children[p].proc, SIGKILL);
            limit += apr_time_from_sec(PATIENCE_SECONDS);
        }
        apr_sleep(LOOK_MICROSECONDS);
    }
    if (run->threads != NULL)
        crew_threads_join(run, run->threads);
    run->threads = NULL;
}
