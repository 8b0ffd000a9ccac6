/* SPDX-License-Identifier: BSD-2-Clause */
/* Write-back: write.c has the protocol. */
#ifndef MPOOL_WRITE_H
#define MPOOL_WRITE_H

#include "mpool/pool.h"

/* What became of pages that were to be written. */
struct write_result {
    uint32_t written;
    uint32_t pinned; /* left alone: somebody has them */
    uint32_t busy;   /* left alone: somebody else writes or claims them */
    uint32_t barred; /* left alone: this process may not write their file */
    int err;         /* the first error of a write; those pages stay dirty */
};

/* A page to write: key first, so that sorting puts neighbours of a file side by side. */
struct write_page {
    uint64_t key;
    uint32_t frame;
};

/* The order of two struct write_page, for text_sort(). */
int write_by_key(const void *a, const void *b);

/*
 * Write back up to BATCH_MAX dirty pages, sorted by key; results are added to *r.  A key of 0, of an
 * entry that was emptied while the caller looked, is passed over.
 */
void write_pages(struct tarn_thread *th, struct write_page *pages, uint32_t n,
                 struct write_result *r);

/* The write of page key in frame did not last: it is dirty again, if it is still there. */
void write_again(struct tarn_thread *th, uint64_t key, uint32_t frame);

/* The page in frame is dirty (its version was just raised) or clean again: keep the bitmap right. */
void write_mark(struct tarn_mpool *pool, uint32_t frame);
void write_unmark(struct tarn_mpool *pool, uint32_t frame);

/*
 * Be the one who writes frame back, or says that it need not be written: while that is so nobody
 * else is, and the frame stays the page that it is.  False: somebody else is at it.
 */
bool write_begin(struct tarn_thread *th, uint32_t frame);
void write_end(struct tarn_thread *th, uint32_t frame);

#endif /* MPOOL_WRITE_H */
