/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory behind more of the reserve. */
#ifndef REGION_GROW_H
#define REGION_GROW_H

#include "region/handle.h"

/* Commit the chunk of lanes behind the first `count`, unless somebody has done so already. */
int grow_lanes(struct tarn_region *region, uint32_t count);

#endif
