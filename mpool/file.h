/* SPDX-License-Identifier: BSD-2-Clause */
/* Page files: what the pool knows of them.  file.c. */
#ifndef MPOOL_FILE_H
#define MPOOL_FILE_H

#include "mpool/pool.h"

static inline bool file_same(const struct tarn_fileid *a, const struct tarn_fileid *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->birth == b->birth;
}

/* 0, or TARN_EBUSY: this process has pages pinned of files that it has open. */
int file_unpinned(struct tarn_mpool *pool);

/* Close all handles and channels of the pool; the first error. */
int file_close_all(struct tarn_mpool *pool);

/* The dead lane held the lock of the table: mend what it had begun and open the lock. */
void file_repair_lock(struct tarn_mpool *pool, uint32_t lane, uint32_t tag, uint32_t own_tag);

/* A child after fork has a row of its own now: its files are open in that. */
int file_reattach(struct tarn_mpool *pool);

/* The row is gone: it has no file open any more. */
void file_forget_row(struct tarn_mpool *pool, uint32_t row);

/* The record's highest page is at least pgno now. */
void file_raise_last(struct file_record *record, tarn_pgno pgno);

/* Which of the lanes' hit counters counts for file id: the last is shared by all that have none. */
static inline uint32_t file_counter(uint32_t id)
{
    return id < FILE_COUNTERS ? id - 1 : FILE_COUNTERS - 1;
}

/* What that counter of all lanes says. */
uint64_t file_counted(const struct tarn_mpool *pool, uint32_t counter);

/* Rows that have it open. */
uint32_t file_openers(const struct tarn_mpool *pool, const struct file_record *record);

#endif /* MPOOL_FILE_H */
