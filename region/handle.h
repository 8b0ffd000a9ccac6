/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region as one process has it attached, and what the layers above (the pool) need of it.
 */
#ifndef REGION_HANDLE_H
#define REGION_HANDLE_H

#include "os/fail.h"
#include "region/layout.h"
#include <tarn/backend.h>

struct tarn_region;

/*
 * What a layer does for the dead, called by the reaper in this order, each idempotent and helped by
 * any number of processes at once, any of which may die too:
 *   locks   take over and mend the locks that `tag` holds
 *   repair  give back everything else that lane `lane` held under `tag`
 * and on an orderly leave or thread end:
 *   idle    may the lane be handed on?  false: it still holds something
 */
struct region_layer {
    void (*locks)(struct tarn_region *region, void *ctx, uint32_t lane, uint32_t tag);
    void (*repair)(struct tarn_region *region, void *ctx, uint32_t lane, uint32_t tag);
    bool (*idle)(struct tarn_region *region, void *ctx, uint32_t lane);
    /* the row as a whole: what it alone had open; called after the lanes, with its generation */
    void (*row)(struct tarn_region *region, void *ctx, uint32_t row, uint32_t gen);
    /*
     * This process is a child after fork, and tarn_env_reattach() gave the region a row of its own:
     * forget the parent's threads and lanes.  NULL: nothing to do.
     */
    int (*reattach)(struct tarn_region *region, void *ctx);
    /* The region is in panic: whoever uses the layer's memory without asking must be stopped. */
    void (*panic)(struct tarn_region *region, void *ctx);
};

/* What a layer asks for when it makes or joins a region of its own kind. */
struct region_plan {
    uint32_t layer;       /* LAYER_MPOOL */
    uint64_t fingerprint; /* of the layer's layout */
    uint64_t bytes;       /* of the layer's memory at layer_off, committed at creation */
    uint64_t grow_bytes;  /* of the reserve behind end_off that it may have to commit later */
    uint32_t lane_bytes;  /* of the layer's part of each lane */
    uint64_t want_bytes;  /* an explicit size in a joiner's wish, for messages; 0 none */

    /* The creator fills the layer's memory before anybody else can see the region. */
    int (*init)(struct tarn_region *region, void *ctx);
    /* A joiner looks at it, and stores the region for its own later callbacks. */
    int (*join)(struct tarn_region *region, void *ctx);
    const struct region_layer *ops;
    void *ctx;
};

struct tarn_region {
    struct tarn_env *env;
    const struct tarn_os *os;
    const struct tarn_env_sink *sink;
    struct region_header *header;
    uint8_t *base;
    const struct tarn_backend *backend;
    struct tarn_segment segment;
    struct tarn_segment_id segment_id;
    char name[72];
    tarn_file lock_file; /* TARN_NO_FILE for a private region */
    uint32_t row;        /* ours */
    uint32_t row_gen;
    uint32_t mode;
    bool created;
    bool private_;                    /* of this process alone: nobody else can die */
    _Atomic bool forked;              /* we are a child of the one who attached */
    _Atomic uint32_t free_lanes_lock; /* between threads: lane.thread of our lanes, life_thread */
    const struct region_layer *layer_ops[REGION_LAYERS];
    void *layer_ctx[REGION_LAYERS];
    struct tarn_region *next; /* in the environment's list */

    uint64_t serial;                  /* of this attach; no two in a process are equal */
    _Atomic uint64_t life_thread;     /* the thread that holds our row's life word; 0 nobody */
    uint32_t flags;                   /* enum tarn_region_flag */
    struct tarn_region *process_next; /* in the process's list (process.c) */
    _Atomic uint32_t busy;      /* ends of threads that look at it now: a detach waits for them */
    bool parked;                /* detached, but life_thread still holds the life word */
    struct tarn_fileid lock_id; /* of lock_file */
};

static inline void *region_at(const struct tarn_region *r, uint64_t off) { return r->base + off; }

static inline struct lane *region_lane(const struct tarn_region *r, uint32_t lane)
{
    return (struct lane *)(void *)(r->base + r->header->lanes_off +
                                   (uint64_t)lane * r->header->lane_bytes);
}

/* The layer's part of a lane. */
static inline void *region_lane_part(const struct tarn_region *r, uint32_t lane)
{
    return region_lane(r, lane) + 1;
}

/*
 * Attach for a layer: as tarn_region_attach(), but the region is of the layer's kind.  plan NULL: a
 * plain region.  An attach with another kind than the region's is TARN_EINVAL.
 */
int region_attach(struct tarn_env *env, const char *name, const struct tarn_region_config *config,
                  const struct region_plan *plan, struct tarn_region **out);

/* 0, or TARN_ERUNRECOVERY / TARN_EFORK: what every public call asks first. */
int region_check(const struct tarn_region *region);

/*
 * Commit [off, off+len) of the reserve behind end_off for the layer: zeroed, reachable by all.
 * The caller makes sure that no two ask for the same bytes.
 */
int region_grow(struct tarn_region *region, uint64_t off, uint64_t len);

#endif /* REGION_HANDLE_H */
