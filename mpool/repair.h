/* SPDX-License-Identifier: BSD-2-Clause */
/* What the pool gives back for the dead, and when a lane may be handed on.  repair.c. */
#ifndef MPOOL_REPAIR_H
#define MPOOL_REPAIR_H

#include "mpool/pool.h"

extern const struct region_layer repair_layer;

/* An orderly end: the lanes of this process let everything go, pins included. */
void repair_leave(struct tarn_mpool *pool);

#endif /* MPOOL_REPAIR_H */
