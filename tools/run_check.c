/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last check, with plain reads of the private copy: after a sync each page holds the stamp that
 * was put last, or if its worker was killed in the middle, the one begun.
 */
#include "tools/run.h"

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <inttypes.h>
#include <string.h>

static apr_status_t open_copy(struct run *run, apr_int32_t flags, apr_file_t **out)
{
    return apr_file_open(out, run->board->copy, flags | APR_FOPEN_BINARY, APR_FPROT_OS_DEFAULT,
                         run->pool);
}

static apr_status_t seek_page(apr_file_t *f, uint64_t page_size, uint64_t pgno, uint64_t byte)
{
    apr_off_t at = (apr_off_t)(pgno * page_size + byte);

    return apr_file_seek(f, APR_SET, &at);
}

static apr_status_t spoil_byte(struct run *run, apr_file_t *f, uint64_t pgno, uint64_t byte)
{
    uint64_t size = run->board->page_size;
    unsigned char c = 0;
    apr_status_t st = seek_page(f, size, pgno, byte);

    if (st == APR_SUCCESS)
        st = apr_file_read_full(f, &c, 1, NULL);
    c ^= 0xa4; /* not the lowest bit: a stamp must not become its neighbour */
    if (st == APR_SUCCESS)
        st = seek_page(f, size, pgno, byte);
    return st == APR_SUCCESS ? apr_file_write_full(f, &c, 1, NULL) : st;
}

/* One byte each in plan.spoil pages, spread evenly, behind the pool's back. */
int check_spoil(struct run *run)
{
    uint64_t n = run->plan.spoil, state = run->plan.seed, pages = run->board->pages;
    apr_file_t *f;
    apr_status_t st;

    if (n == 0)
        return EXIT_OK;
    st = open_copy(run, APR_FOPEN_READ | APR_FOPEN_WRITE, &f);
    if (st == APR_SUCCESS) {
        for (uint64_t i = 0; i < n && st == APR_SUCCESS; i++)
            st = spoil_byte(run, f, i * (pages / n) + i * (pages % n) / n,
                            dist_random(&state) % run->board->page_size);
        (void)apr_file_close(f);
    }
    if (st != APR_SUCCESS)
        return complain_apr(st, "run: cannot spoil %s", run->board->copy);
    run->spoiled = true;
    return EXIT_OK;
}

static void check_page(struct run *run, uint64_t pgno, const unsigned char *page)
{
    const struct board_page *b = &run->pages[pgno];
    uint32_t begun = atomic_load_explicit(&b->begun, memory_order_acquire);
    uint32_t put = atomic_load_explicit(&b->put, memory_order_acquire);
    char why[200];
    uint64_t word;

    memcpy(&word, page, sizeof word);
    run->checked++;
    if (page_agrees(run, pgno, page, word, put, begun, why, sizeof why))
        return;
    atomic_fetch_or_explicit(&run->flags[pgno], PAGE_WRONG, memory_order_relaxed);
    if (run->wrong_pages++ < 3)
        complain(EXIT_WRONG, "run: after the sync, in the file: %s", why);
}

/* The copy must not have grown, nor FILE itself have changed while it was compared with. */
static int check_files(struct run *run)
{
    apr_finfo_t info;

    if (apr_stat(&info, run->board->copy, APR_FINFO_SIZE, run->pool) != APR_SUCCESS ||
        (uint64_t)info.size != run->copy_size)
        return complain(EXIT_WRONG, "run: the copy is no longer %" PRIu64 " bytes long",
                        run->copy_size);
    if (apr_stat(&info, run->board->file, APR_FINFO_SIZE | APR_FINFO_MTIME, run->pool) !=
            APR_SUCCESS ||
        (uint64_t)info.size != run->board->file_size || info.mtime != run->file_time)
        return complain(EXIT_WRONG, "run: %s was changed during the run: nothing can be said",
                        run->board->file);
    return EXIT_OK;
}

int check_pages(struct run *run)
{
    uint64_t size = run->board->page_size;
    unsigned char *page = apr_palloc(run->pool, size);
    apr_file_t *f;
    apr_status_t st;

    if (check_files(run) != EXIT_OK)
        return EXIT_WRONG;
    st = open_copy(run, APR_FOPEN_READ | APR_FOPEN_BUFFERED, &f);
    for (uint64_t pgno = 0; st == APR_SUCCESS && pgno < run->board->pages; pgno++) {
        if (run_interrupted)
            return EXIT_WRONG;
        st = apr_file_read_full(f, page, size, NULL);
        if (st == APR_SUCCESS)
            check_page(run, pgno, page);
    }
    if (st != APR_SUCCESS)
        return complain_apr(st, "run: cannot read %s again", run->board->copy);
    (void)apr_file_close(f);
    return check_files(run);
}
