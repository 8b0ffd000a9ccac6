/* SPDX-License-Identifier: BSD-2-Clause */
/* What the rooms of this floor share about attached regions. */
#ifndef REGION_REGION_H
#define REGION_REGION_H

#include "region/descriptor.h"
#include "region/env.h"
#include "region/handle.h"
#include "region/lockfile.h"

/* [A-Za-z0-9._-]{1,64} */
int region_check_name(const struct tarn_env_sink *sink, const char *name);

/* What a backend is told of region r, or of the one that d describes. */
void region_request(const struct tarn_region *r, struct tarn_segment_request *req);

/*
 * Map the memory that d names: fills in backend, segment, segment_id, base, header of r, whose env,
 * os, sink and name are set.  TARN_ENOENT: the memory is gone.  The header is checked against d;
 * *removed: it says that the region was removed.
 */
int region_map(struct tarn_region *r, const struct descriptor *d, bool *removed);
void region_unmap(struct tarn_region *r);

/* With byte 0 held: take away memory and descriptor of a region that nobody uses. */
int region_clear(const struct tarn_env *env, const struct tarn_env_sink *sink,
                 const struct descriptor *d);

/*
 * Close a lock file whose byte 0 is held, after a failure.  If it belongs to no region it is not left
 * behind.
 */
void region_give_up(const struct tarn_env *env, const char *name, struct lockfile *lock);

/* How old is what d describes? */
enum region_age {
    AGE_NOW,      /* of this boot of this machine */
    AGE_GONE,     /* nobody can be using it */
    AGE_ELSEWHERE /* another machine's */
};
enum region_age region_age(const struct tarn_env *env, const struct descriptor *d,
                           const struct lockfile *lock);

/* For tarn_region_detach() of a region with TARN_REGION_REMOVE_LAST, after its row is given back. */
int region_remove_last(struct tarn_region *r);

/* The calling thread holds the life word of the parked region: let go of all of it. */
void region_settle(struct tarn_region *r);

#endif
