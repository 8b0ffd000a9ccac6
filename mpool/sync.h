/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MPOOL_SYNC_H
#define MPOOL_SYNC_H

#include "mpool/pool.h"

/* Pages that the bitmap calls dirty: at least as many as are. */
uint64_t sync_dirty_hint(const struct tarn_mpool *pool);

#endif /* MPOOL_SYNC_H */
