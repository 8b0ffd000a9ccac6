/* SPDX-License-Identifier: BSD-2-Clause */
/* Read-in: a page that the pool does not have.  read.c. */
#ifndef MPOOL_READ_H
#define MPOOL_READ_H

#include "mpool/pool.h"

/* Where the bytes of a page that comes in are from. */
enum read_kind {
    READ_FILE,   /* the file, which must have it */
    READ_CREATE, /* the file, or zeros if it ends before */
    READ_NEW     /* nowhere: a new page */
};

/*
 * Bring key in and pin it: one process reads, however many want it.  0 and *page; TARN_EAGAIN:
 * somebody else has brought it or is at it, look again; or an error, with nothing left behind.
 */
int read_in(struct tarn_thread *th, struct tarn_mpf *file, uint64_t key, enum read_kind kind,
            void **page);

#endif /* MPOOL_READ_H */
