/* SPDX-License-Identifier: BSD-2-Clause */
/* What the user sees: the start, the progress, the table or the JSON object, and the verdict. */
#include "tools/run.h"

#include "tools/json.h"
#include "tools/table.h"

#include <apr_strings.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FAILURES_MAX = 32, COVER_PERCENT = 95 };

struct failures {
    const char *text[FAILURES_MAX];
    int n;
};

/* ---- numbers ---------------------------------------------------------------------------------- */

uint64_t report_seen(const struct run *run)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < run->board->pages; i++)
        n += atomic_load_explicit(&run->flags[i], memory_order_relaxed) & PAGE_SEEN;
    return n;
}

static uint64_t wrong_pages(const struct run *run)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < run->board->pages; i++)
        n += (atomic_load_explicit(&run->flags[i], memory_order_relaxed) & PAGE_WRONG) != 0;
    return n;
}

static uint64_t total(const struct run *run, enum count what)
{
    return board_sum(run, what, 0, run->crew);
}

static uint64_t evictions(const struct run *run)
{
    return run->stat.evict_clean + run->stat.evict_dirty;
}

static double coverage(const struct run *run)
{
    return 100.0 * (double)report_seen(run) / (double)run->board->pages;
}

static uint64_t per_second(const struct run *run, uint64_t n)
{
    return run->seconds > 0 ? (uint64_t)((double)n / run->seconds) : 0;
}

/* ---- while it works --------------------------------------------------------------------------- */

void report_start(const struct run *run)
{
    const struct board *b = run->board;
    apr_pool_t *pool = run->pool;

    if (run->plan.json)
        return;
    printf("file     %s, %s\n", b->file, text_plural(pool, b->file_size, "byte", "bytes"));
    printf("copy     %s of %s", text_plural(pool, b->pages, "page", "pages"),
           text_size(pool, b->page_size));
    if (run->padding > 0)
        printf(", padded with %s", text_plural(pool, run->padding, "zero byte", "zero bytes"));
    printf(", in %s\n", run->dir);
    printf("pool     %s, backend %s, %s\n", text_size(pool, run->stat.bytes), run->region.backend,
           run->region.memory);
    printf("workers  %s x %s, %" PRIu32 " %% stamps, %s, seed %" PRIu64 "\n",
           text_plural(pool, b->procs, "process", "processes"),
           text_plural(pool, b->threads, "thread", "threads"), b->write,
           b->dist == DIST_ZIPF ? "zipf" : "uniform", b->seed);
    if (run->children != NULL) {
        printf("started ");
        for (uint32_t p = 0; p < b->procs; p++)
            printf(" %ld", (long)run->children[p].proc.pid);
        printf("\n");
    }
    printf("\n");
    (void)fflush(stdout);
}

void report_progress(const struct run *run, double seconds, bool last)
{
    uint64_t n;

    if (!isatty(STDERR_FILENO))
        return;
    if (last) {
        (void)fprintf(stderr, "\r%60s\r", "");
        return;
    }
    n = total(run, COUNT_OPERATIONS);
    (void)fprintf(stderr, "\r%5.1f s  %s operations  %.0f %% of the pages seen  %" PRIu64 " wrong ",
                  seconds, text_count(run->pool, n), floor(coverage(run)), total(run, COUNT_WRONG));
    (void)fflush(stderr);
}

/* ---- the verdict ------------------------------------------------------------------------------ */

static void failed(struct failures *f, const char *text)
{
    if (f->n < FAILURES_MAX)
        f->text[f->n++] = text;
}

static const char *how_ended(const struct run *run, uint32_t proc)
{
    const struct run_child *c = run->children != NULL ? &run->children[proc] : NULL;

    if (c != NULL && c->signal != 0)
        return c->killed ? "killed" : apr_psprintf(run->pool, "signal %d", c->signal);
    for (uint32_t w = 0; w < run->board->threads; w++)
        if (atomic_load_explicit(&run->workers[proc * run->board->threads + w].state,
                                 memory_order_acquire) != WORKER_DONE)
            return "failed";
    return c != NULL && c->status != 0 ? "failed" : "done";
}

static void workers_failed(const struct run *run, struct failures *f)
{
    for (uint32_t w = 0; w < run->crew; w++) {
        const struct board_worker *slot = &run->workers[w];

        if (slot->error[0] != '\0')
            failed(f, apr_psprintf(run->pool, "worker %u: %s", (unsigned)w + 1, slot->error));
        if (slot->wrong[0] != '\0')
            failed(f, apr_psprintf(run->pool, "worker %u met a wrong page first here: %s",
                                   (unsigned)w + 1, slot->wrong));
    }
    for (uint32_t p = 0; p < run->board->procs; p++) {
        const char *end = how_ended(run, p);

        if (strcmp(end, "done") != 0 && strcmp(end, "killed") != 0)
            failed(f, apr_psprintf(run->pool, "process %u ended: %s", (unsigned)p + 1, end));
    }
}

static void find_failures(const struct run *run, struct failures *f)
{
    uint64_t wrong = wrong_pages(run);
    double seen = coverage(run);

    workers_failed(run, f);
    if (wrong > 0)
        failed(f, apr_psprintf(run->pool, "%s wrong%s",
                               text_plural(run->pool, wrong, "page is", "pages are"),
                               run->spoiled ? " (--spoil asked for it)" : ""));
    if (!run->synced)
        failed(f, "the sync failed");
    if (total(run, COUNT_VERIFIED) == 0)
        failed(f, "no page was verified");
    if (run->copy_size > run->stat.bytes && evictions(run) == 0)
        failed(f, "the file is larger than the pool, but no page was evicted");
    if (run->board->write > 0 && run->stat.writes == 0)
        failed(f, "no page was written back");
    if (run->board->dist == DIST_UNIFORM && seen < COVER_PERCENT)
        failed(f, apr_psprintf(run->pool,
                               "only %.1f %% of the pages were read (at least %d %%; "
                               "give it more --seconds)",
                               seen, COVER_PERCENT));
    if (run->plan.kill != run->killed)
        failed(f, apr_psprintf(run->pool, "%" PRIu64 " of %" PRIu64 " processes could be killed",
                               run->killed, run->plan.kill));
}

/* ---- the table -------------------------------------------------------------------------------- */

static void row(const struct run *run, struct table *t, const char *name, const uint64_t *counts,
                const char *end)
{
    apr_pool_t *pool = run->pool;

    table_cell(t, name);
    table_cell(t, text_count(pool, counts[COUNT_OPERATIONS]));
    table_cell(t, text_count(pool, per_second(run, counts[COUNT_OPERATIONS])));
    for (int i = COUNT_STAMPS; i < COUNTS; i++)
        table_cell(t, text_count(pool, counts[i]));
    table_cell(t, end);
}

/* Together, where the pool itself counts its own words stand: they have the sync and the dead too. */
static void pool_counts(const struct run *run, uint64_t *counts)
{
    for (int i = 0; i < COUNTS; i++)
        counts[i] = total(run, (enum count)i);
    counts[COUNT_HITS] = run->stat.hits;
    counts[COUNT_MISSES] = run->stat.misses;
    counts[COUNT_EVICTIONS] = evictions(run);
    counts[COUNT_WRITEBACKS] = run->stat.writes;
}

static void process_counts(const struct run *run, uint32_t proc, uint64_t *counts)
{
    for (int i = 0; i < COUNTS; i++)
        counts[i] = board_sum(run, (enum count)i, proc * run->board->threads, run->board->threads);
}

static void print_table(const struct run *run)
{
    static const char *const headings[] = { "process",   "operations", "per second", "stamps",
                                            "verified",  "wrong",      "hits",       "misses",
                                            "evictions", "writebacks", "end" };
    struct table t;
    uint64_t counts[COUNTS];

    table_open(&t, run->pool, 11, "lrrrrrrrrrl", headings);
    for (uint32_t p = 0; p < run->board->procs; p++) {
        process_counts(run, p, counts);
        row(run, &t, apr_itoa(run->pool, (int)p + 1), counts, how_ended(run, p));
    }
    pool_counts(run, counts);
    row(run, &t, "together", counts, "");
    table_print(&t);
}

static void print_text(const struct run *run, const struct failures *f)
{
    apr_pool_t *pool = run->pool;

    print_table(run);
    printf("\n%s of %s pages read by the workers (%.1f %%) in %.1f s\n",
           text_count(pool, report_seen(run)), text_count(pool, run->board->pages), coverage(run),
           run->seconds);
    printf("after the sync: %s read again from the file, %s wrong\n",
           text_plural(pool, run->checked, "page", "pages"), text_count(pool, run->wrong_pages));
    if (run->killed > 0)
        printf("%s killed while working\n",
               text_plural(pool, run->killed, "process was", "processes were"));
    for (int i = 0; i < f->n; i++)
        printf("FAILED: %s\n", f->text[i]);
    if (f->n == 0)
        printf("all pages right\n");
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static void json_counts(struct json *j, const struct run *run, const uint64_t *counts)
{
    static const char *const keys[COUNTS] = {
        [COUNT_OPERATIONS] = "operations",
        [COUNT_STAMPS] = "stamps",
        [COUNT_VERIFIED] = "verified",
        [COUNT_WRONG] = "wrong_operations",
        [COUNT_HITS] = "hits",
        [COUNT_MISSES] = "misses",
        [COUNT_EVICTIONS] = "evictions",
        [COUNT_WRITEBACKS] = "writebacks",
    };

    for (int i = 0; i < COUNTS; i++)
        json_number(j, keys[i], counts[i]);
    json_number(j, "operations_per_second", per_second(run, counts[COUNT_OPERATIONS]));
}

static void json_plan(struct json *j, const struct run *run)
{
    const struct board *b = run->board;

    json_text(j, "file", b->file);
    json_number(j, "file_bytes", b->file_size);
    json_number(j, "page_bytes", b->page_size);
    json_number(j, "pages", b->pages);
    json_number(j, "padding", run->padding);
    json_text(j, "backend", run->region.backend);
    json_text(j, "memory", run->region.memory);
    json_number(j, "cache_bytes", run->stat.bytes);
    json_number(j, "procs", b->procs);
    json_number(j, "threads", b->threads);
    json_number(j, "write_percent", b->write);
    json_text(j, "dist", b->dist == DIST_ZIPF ? "zipf" : "uniform");
    json_number(j, "seed", b->seed);
    json_real(j, "seconds", run->seconds);
}

static void json_processes(struct json *j, const struct run *run)
{
    uint64_t counts[COUNTS];

    json_array(j, "processes");
    for (uint32_t p = 0; p < run->board->procs; p++) {
        process_counts(run, p, counts);
        json_object(j, NULL);
        if (run->children != NULL)
            json_number(j, "pid", (uint64_t)run->children[p].proc.pid);
        json_counts(j, run, counts);
        json_text(j, "end", how_ended(run, p));
        json_end(j);
    }
    json_end(j);
}

static void print_json(const struct run *run, const struct failures *f)
{
    struct json j = JSON_INIT(stdout);
    uint64_t counts[COUNTS];

    pool_counts(run, counts);
    json_object(&j, NULL);
    json_bool(&j, "ok", f->n == 0);
    json_plan(&j, run);
    json_counts(&j, run, counts);
    json_number(&j, "pages_read", report_seen(run));
    json_number(&j, "checked", run->checked);
    json_number(&j, "wrong", wrong_pages(run));
    json_number(&j, "killed", run->killed);
    json_number(&j, "died", run->died);
    json_array(&j, "failures");
    for (int i = 0; i < f->n; i++)
        json_text(&j, NULL, f->text[i]);
    json_end(&j);
    json_processes(&j, run);
    json_end(&j);
}

int report_end(const struct run *run)
{
    struct failures f = { .n = 0 };

    find_failures(run, &f);
    if (run->plan.json)
        print_json(run, &f);
    else
        print_text(run, &f);
    return f.n == 0 ? EXIT_OK : EXIT_WRONG;
}
