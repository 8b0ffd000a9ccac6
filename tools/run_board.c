/* SPDX-License-Identifier: BSD-2-Clause */
/* The board is a file beside the copy, mapped by the parent and every worker. */
#include "tools/run.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <string.h>

static uint64_t board_size(uint32_t crew, uint64_t pages)
{
    return sizeof(struct board) + 64 + crew * sizeof(struct board_worker) +
           pages * (sizeof(struct board_page) + 1);
}

/* Find the parts of the board that is mapped at p. */
static void board_parts(struct run *run, void *p)
{
    unsigned char *at = p;

    run->board = p;
    run->crew = run->board->procs * run->board->threads;
    at += (sizeof(struct board) + 127) / 128 * 128;
    run->workers = (struct board_worker *)(void *)at;
    at += run->crew * sizeof(struct board_worker);
    run->pages = (struct board_page *)(void *)at;
    at += run->board->pages * sizeof(struct board_page);
    run->flags = (_Atomic uint8_t *)at;
}

/* Written, not just made long: a page without room behind it would be a SIGBUS later. */
static apr_status_t fill(apr_file_t *f, uint64_t size)
{
    static const char zeros[64 * 1024];
    apr_status_t st = APR_SUCCESS;

    for (uint64_t left = size; left > 0 && st == APR_SUCCESS;) {
        apr_size_t n = left < sizeof zeros ? (apr_size_t)left : sizeof zeros;

        left -= n;
        st = apr_file_write_full(f, zeros, n, NULL);
    }
    return st;
}

static apr_status_t map_board(struct run *run, const char *path, apr_int32_t flags, uint64_t size,
                              void **out)
{
    apr_file_t *f;
    apr_mmap_t *map;
    apr_finfo_t info;
    apr_status_t st = apr_file_open(&f, path, flags, APR_FPROT_UREAD | APR_FPROT_UWRITE, run->pool);

    if (st != APR_SUCCESS)
        return st;
    if (size > 0)
        st = fill(f, size);
    if (st == APR_SUCCESS)
        st = apr_file_info_get(&info, APR_FINFO_SIZE, f);
    if (st == APR_SUCCESS)
        st = apr_mmap_create(&map, f, 0, (apr_size_t)info.size, APR_MMAP_READ | APR_MMAP_WRITE,
                             run->pool);
    (void)apr_file_close(f);
    if (st == APR_SUCCESS)
        *out = map->mm;
    return st;
}

int board_make(struct run *run)
{
    const char *path = apr_pstrcat(run->pool, run->dir, "/board", NULL);
    uint32_t procs = (uint32_t)run->plan.procs, threads = (uint32_t)run->plan.threads;
    uint64_t pages = run->copy_size / run->plan.page;
    struct board *b;
    void *p;
    apr_status_t st =
        map_board(run, path, APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL,
                  board_size(procs * threads, pages), &p);

    if (st != APR_SUCCESS)
        return complain_apr(st, "run: cannot make %s", path);
    b = p;
    b->procs = procs;
    b->threads = threads;
    b->dist = run->plan.dist;
    b->write = (uint32_t)run->plan.write;
    b->page_size = run->plan.page;
    b->pages = pages;
    b->file_size = run->copy_size - run->padding;
    b->seed = run->plan.seed;
    apr_cpystrn(b->file, run->plan.file, sizeof b->file);
    apr_cpystrn(b->copy, apr_pstrcat(run->pool, run->dir, "/copy", NULL), sizeof b->copy);
    apr_cpystrn(b->home, apr_pstrcat(run->pool, run->dir, "/home", NULL), sizeof b->home);
    board_parts(run, p);
    return EXIT_OK;
}

int board_open(struct run *run, const char *dir)
{
    const char *path = apr_pstrcat(run->pool, dir, "/board", NULL);
    void *p;
    apr_status_t st = map_board(run, path, APR_FOPEN_READ | APR_FOPEN_WRITE, 0, &p);

    if (st != APR_SUCCESS)
        return complain_apr(st, "worker: cannot open %s", path);
    board_parts(run, p);
    return EXIT_OK;
}

/* FILE stays mapped, so that comparing with it costs no call. */
int original_open(struct run *run)
{
    const struct board *b = run->board;
    size_t rest = (size_t)(b->file_size % b->page_size);
    apr_file_t *f;
    apr_mmap_t *map;
    apr_status_t st = apr_file_open(&f, b->file, APR_FOPEN_READ | APR_FOPEN_BINARY,
                                    APR_FPROT_OS_DEFAULT, run->pool);

    if (st == APR_SUCCESS) {
        st = apr_mmap_create(&map, f, 0, (apr_size_t)b->file_size, APR_MMAP_READ, run->pool);
        (void)apr_file_close(f);
    }
    if (st != APR_SUCCESS)
        return complain_apr(st, "run: cannot map %s", b->file);
    run->original = map->mm;
    if (rest > 0) {
        run->last_page = apr_pcalloc(run->pool, b->page_size);
        memcpy(run->last_page, run->original + (b->file_size - rest), rest);
    }
    return EXIT_OK;
}

uint64_t board_sum(const struct run *run, enum count what, uint32_t first, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t w = first; w < first + n; w++)
        sum += atomic_load_explicit(&run->workers[w].count[what], memory_order_relaxed);
    return sum;
}
