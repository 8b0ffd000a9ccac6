/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving back what the dead held. */
#ifndef REGION_REAP_H
#define REGION_REAP_H

#include "region/handle.h"

/* Look at every row; repair the dead ones.  Returns how many were given back. */
uint32_t reap_sweep(struct tarn_region *region);

/* The owner named by tag is dead: repair its row.  Does nothing if that is not (or no longer) so. */
void reap_tag(struct tarn_region *region, uint32_t tag);

/*
 * The tag under which this thread repairs (it owns what it takes over): its own lane's, or a spare
 * one while it has none.  0 if none can be had: try later.
 */
uint32_t reap_own_tag(struct tarn_region *region);

/* Does any living process repair anything now, this one included? */
bool reap_announced(struct tarn_region *region);

#endif /* REGION_REAP_H */
