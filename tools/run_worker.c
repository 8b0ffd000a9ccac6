/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker process: joins the pool, and each of its threads reads pages, compares them, and stamps
 * its own.  It begins with the pages of its share in random order, each once, so that all workers
 * together have soon read all; from then on pages come as the distribution says, reads anywhere,
 * stamps in its own share.
 */
#include "tools/run.h"

#include "tools/run_counts.h"

#include <apr_signal.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hand {
    struct run *run;
    uint32_t worker;
    struct board_worker *slot;
    tarn_thread *thread;
    struct counts before;    /* what the thread's counters said when it began */
    struct dist all, own;    /* pages of the file; pages of its share */
    uint64_t share, state;   /* how many are its own; random numbers */
    uint64_t *first, passed; /* its share in random order; how many of these are read */
};

static void add(struct hand *h, enum count what, uint64_t n)
{
    _Atomic uint64_t *c = &h->slot->count[what];

    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static void slot_failed(struct board_worker *slot, const char *what)
{
    (void)snprintf(slot->error, sizeof slot->error, "%s: %s", what, tarn_last_message());
    atomic_store_explicit(&slot->state, WORKER_FAILED, memory_order_release);
}

/* What the pool has counted for this thread, onto the board, now and then and at the end. */
static void tell_counts(struct hand *h)
{
    struct counts now;

    counts_of(h->thread, &now);
    atomic_store_explicit(&h->slot->count[COUNT_HITS], now.hits - h->before.hits,
                          memory_order_relaxed);
    atomic_store_explicit(&h->slot->count[COUNT_MISSES], now.misses - h->before.misses,
                          memory_order_relaxed);
    atomic_store_explicit(&h->slot->count[COUNT_EVICTIONS], now.evictions - h->before.evictions,
                          memory_order_relaxed);
    atomic_store_explicit(&h->slot->count[COUNT_WRITEBACKS], now.writebacks - h->before.writebacks,
                          memory_order_relaxed);
}

/* ---- one page --------------------------------------------------------------------------------- */

/* Compare; the page is pinned, and nobody but the page's one writer changes its first word. */
static void look(struct hand *h, uint64_t pgno, const void *page, uint64_t word, uint32_t low)
{
    struct run *run = h->run;
    uint32_t high = atomic_load_explicit(&run->pages[pgno].begun, memory_order_acquire);
    char why[sizeof h->slot->wrong];

    if (page_agrees(run, pgno, page, word, low, high, why, sizeof why)) {
        add(h, COUNT_VERIFIED, 1);
    } else {
        add(h, COUNT_WRONG, 1);
        atomic_fetch_or_explicit(&run->flags[pgno], PAGE_WRONG, memory_order_relaxed);
        if (h->slot->wrong[0] == '\0')
            memcpy(h->slot->wrong, why, sizeof why);
    }
    if ((atomic_load_explicit(&run->flags[pgno], memory_order_relaxed) & PAGE_SEEN) == 0)
        atomic_fetch_or_explicit(&run->flags[pgno], PAGE_SEEN, memory_order_relaxed);
}

static int visit(struct hand *h, uint64_t pgno, bool stamp)
{
    struct board_page *on_board = &h->run->pages[pgno];
    uint32_t put = atomic_load_explicit(&on_board->put, memory_order_acquire);
    uint32_t sequence = put + 1;
    _Atomic uint64_t *word;
    void *page;
    int ret = tarn_page_get(h->thread, h->run->mpf, pgno, 0, &page);

    if (ret != TARN_OK)
        return ret;
    word = page;
    look(h, pgno, page, atomic_load_explicit(word, memory_order_acquire), put);
    if (stamp) {
        atomic_store_explicit(&on_board->begun, sequence, memory_order_release);
        atomic_store_explicit(word, page_stamp(h->worker, sequence), memory_order_release);
    }
    ret = tarn_page_put(h->thread, page, stamp ? TARN_PAGE_DIRTY : 0);
    if (ret != TARN_OK)
        return ret;
    if (stamp) {
        atomic_store_explicit(&on_board->put, sequence, memory_order_release);
        add(h, COUNT_STAMPS, 1);
    }
    add(h, COUNT_OPERATIONS, 1);
    return TARN_OK;
}

static int next_visit(struct hand *h)
{
    bool stamp = h->share > 0 && dist_random(&h->state) % 100 < h->run->board->write;
    uint64_t pgno;

    if (stamp)
        return visit(h, dist_next(&h->own, &h->state) * h->run->crew + h->worker, true);
    if (h->passed < h->share) {
        pgno = h->first[h->passed++];
        if (h->passed == h->share)
            atomic_store_explicit(&h->slot->passed, 1, memory_order_relaxed);
    } else {
        pgno = dist_next(&h->all, &h->state);
    }
    return visit(h, pgno, false);
}

/* ---- a thread --------------------------------------------------------------------------------- */

static bool abandoned(const struct run *run)
{
    return run->mode != RUN_ALONE && (uint64_t)getppid() != run->board->parent;
}

/* All workers begin together; a parent that died will never say go. */
static bool wait_for_go(struct hand *h)
{
    const struct tarn_os *os = tarn_env_os(h->run->env);
    struct board *b = h->run->board;

    while (atomic_load_explicit(&b->go, memory_order_acquire) == 0) {
        int ret = os->sync->wait(os, (const uint32_t *)(const void *)&b->go, 0, 100 * 1000000u);

        if (ret != TARN_OK && ret != TARN_ETIMEDOUT)
            (void)os->misc->sleep(os, 1000000);
        if (abandoned(h->run))
            return false;
    }
    return true;
}

static void work(struct hand *h)
{
    const struct board *b = h->run->board;

    for (uint32_t n = 1; atomic_load_explicit(&b->stop, memory_order_relaxed) == 0; n++) {
        if (next_visit(h) != TARN_OK) {
            tell_counts(h);
            slot_failed(h->slot, "get or put of a page");
            return;
        }
        if (n % 256 == 0)
            tell_counts(h);
        if (n % 4096 == 0 && abandoned(h->run))
            break;
    }
    tell_counts(h);
    atomic_store_explicit(&h->slot->state, WORKER_DONE, memory_order_release);
}

static bool hand_open(struct hand *h)
{
    const struct board *b = h->run->board;
    uint32_t crew = h->run->crew;

    h->state = b->seed + (h->worker + 1) * 0x632be59bd9b4e019u;
    h->share = b->pages / crew + (h->worker < b->pages % crew);
    h->first = malloc((size_t)(h->share > 0 ? h->share : 1) * sizeof *h->first);
    if (h->first == NULL)
        return false;
    for (uint64_t i = 0; i < h->share; i++)
        h->first[i] = i * crew + h->worker;
    dist_shuffle(h->first, h->share, &h->state);
    dist_open(&h->all, (enum dist_kind)b->dist, b->pages);
    if (h->share > 0)
        dist_open(&h->own, (enum dist_kind)b->dist, h->share);
    else
        atomic_store_explicit(&h->slot->passed, 1, memory_order_relaxed);
    return true;
}

static void *APR_THREAD_FUNC hand_main(apr_thread_t *self, void *arg)
{
    struct hand *h = arg;

    (void)self;
    if (!hand_open(h)) {
        (void)snprintf(h->slot->error, sizeof h->slot->error, "out of memory");
        atomic_store_explicit(&h->slot->state, WORKER_FAILED, memory_order_release);
        return NULL;
    }
    if (tarn_mpool_thread(h->run->mpool, &h->thread) != TARN_OK) {
        slot_failed(h->slot, "no thread handle");
    } else {
        counts_of(h->thread, &h->before);
        atomic_store_explicit(&h->slot->state, WORKER_READY, memory_order_release);
        if (wait_for_go(h))
            work(h);
    }
    free(h->first);
    return NULL;
}

int crew_threads_start(struct run *run, uint32_t proc, apr_thread_t **threads)
{
    uint32_t n = run->board->threads;

    for (uint32_t t = 0; t < n; t++) {
        struct hand *h = apr_pcalloc(run->pool, sizeof *h);
        apr_status_t st;

        h->run = run;
        h->worker = proc * n + t;
        h->slot = &run->workers[h->worker];
        st = apr_thread_create(&threads[t], NULL, hand_main, h, run->pool);
        if (st != APR_SUCCESS) {
            atomic_store_explicit(&h->slot->state, WORKER_FAILED, memory_order_release);
            threads[t] = NULL;
            return complain_apr(st, "run: cannot start thread %u", (unsigned)t + 1);
        }
    }
    return EXIT_OK;
}

void crew_threads_join(struct run *run, apr_thread_t **threads)
{
    apr_status_t ignored;

    for (uint32_t t = 0; t < run->board->threads && threads[t] != NULL; t++)
        (void)apr_thread_join(&ignored, threads[t]);
}

/* ---- a process -------------------------------------------------------------------------------- */

static int join_pool(struct run *run)
{
    struct tarn_env_config env = TARN_ENV_CONFIG_INIT;
    struct tarn_mpf_config file = TARN_MPF_CONFIG_INIT;
    int ret;

    env.home = run->board->home;
    file.page_size = (uint32_t)run->board->page_size;
    ret = tarn_env_open(&env, &run->env);
    if (ret == TARN_OK)
        ret = tarn_mpool_open(run->env, POOL_NAME, NULL, &run->mpool);
    if (ret == TARN_OK)
        ret = tarn_mpf_open(run->mpool, run->board->copy, &file, &run->mpf);
    return ret;
}

/* The whole life of process proc once it has the pool: EXIT_OK if all its threads came to the end. */
int worker_process(struct run *run, uint32_t proc)
{
    apr_thread_t **threads = apr_pcalloc(run->pool, run->board->threads * sizeof(apr_thread_t *));
    struct board_worker *slots = &run->workers[proc * run->board->threads];
    int status = crew_threads_start(run, proc, threads);

    crew_threads_join(run, threads);
    for (uint32_t t = 0; t < run->board->threads; t++)
        if (atomic_load_explicit(&slots[t].state, memory_order_acquire) != WORKER_DONE)
            status = EXIT_WRONG;
    return status;
}

/*
 * Leave in order: what is dirty stays in the pool, since the parent has the file open too.  Returns
 * status, or EXIT_WRONG if that failed.
 */
static int leave_pool(struct run *run, struct board_worker *slot, int status)
{
    int ret = TARN_OK, ret2 = TARN_OK;

    if (run->mpool != NULL)
        ret = tarn_mpool_close(run->mpool);
    if (run->env != NULL)
        ret2 = tarn_env_close(run->env);
    if (ret == TARN_OK && ret2 == TARN_OK)
        return status;
    slot_failed(slot, "leaving the pool");
    return EXIT_WRONG;
}

int worker_command(struct tool *tool, int argc, const char *const *argv)
{
    struct run run = { 0 };
    uint64_t proc;
    int status;

    if (argc != 3)
        return complain(EXIT_USAGE, "worker: only `tarn run` starts this");
    (void)apr_signal(SIGINT, SIG_IGN); /* of the terminal: the parent says when to stop */
    run.tool = tool;
    run.pool = tool->pool;
    run.mode = RUN_JOIN;
    if (board_open(&run, argv[1]) != EXIT_OK)
        return EXIT_WRONG;
    proc = strtoull(argv[2], NULL, 10);
    if (proc >= run.board->procs || original_open(&run) != EXIT_OK)
        return EXIT_WRONG;
    if (join_pool(&run) != TARN_OK) {
        slot_failed(&run.workers[proc * run.board->threads], "cannot join the pool");
        status = EXIT_WRONG;
    } else {
        status = worker_process(&run, (uint32_t)proc);
    }
    return leave_pool(&run, &run.workers[proc * run.board->threads], status);
}
