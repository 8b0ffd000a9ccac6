/* SPDX-License-Identifier: BSD-2-Clause */
/* The handle of a thread in a pool. */
#ifndef MPOOL_THREAD_H
#define MPOOL_THREAD_H

#include "mpool/pool.h"

/* The calling thread's handle, made if there is none. */
int thread_get(struct tarn_mpool *pool, struct tarn_thread **out);

/*
 * Fill in what the rest of the floor needs of a handle for the lane with tag, without making one:
 * for the reaper.
 */
void thread_stand_in(struct tarn_mpool *pool, uint32_t lane, uint32_t tag, struct tarn_thread *th);

/* The pool is about to be closed: no handle of it works any more. */
void thread_close_all(struct tarn_mpool *pool);

#endif /* MPOOL_THREAD_H */
