/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool, its files and its threads as one process has them, and the seams between the rooms of
 * this floor.
 */
#ifndef MPOOL_POOL_H
#define MPOOL_POOL_H

#include "mpool/layout.h"
#include "os/check.h"
#include "os/fail.h"
#include "region/handle.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- a thread --------------------------------------------------------------------------------- */
/*
 * Private to one thread.  The memory is emptied in a child after fork, so that room is NULL there:
 * the hit asks for nothing else.
 */
struct tarn_thread {
    /* what a hit needs */
    _Atomic uint32_t *room; /* the empty place of the line that is taken next: see pin.c, rule 7 */
    struct entry *entries;
    uint64_t multiplier; /* of the hash */
    uint32_t bucket_mask, buckets;
    _Atomic uint8_t *ref;
    uint8_t *data;
    uint32_t unit_shift;
    bool exchange;                     /* pins by exchange instead of store and heavy barrier */
    _Atomic(struct tarn_mpool *) pool; /* NULL: closed */
    _Atomic uint64_t *hits;

    /* what the rest needs */
    _Atomic uint32_t *pin;  /* the lane's own line */
    struct pool_lane *part; /* the layer's part of the lane */
    uint32_t lane, tag;
    uint64_t reserve_taken;        /* places of part->reserve whose frame is in hand */
    uint32_t chained;              /* pins in frames behind the line, about */
    uint32_t group_before;         /* part->group[0] of whoever waits for a lock while we repair */
    uint8_t *bounce;               /* copies on their way to a file: BOUNCE_BYTES, or NULL */
    struct tarn_thread *next_mine; /* the calling thread's handles (thread.c) */
    struct tarn_thread *next_of_pool;
};

enum { BOUNCE_BYTES = 256 * 1024 };

/* ---- a page file ------------------------------------------------------------------------------ */

/*
 * This process's way to a file: one per file and kind of access, used by all handles, or by none if
 * the file was opened only to write pages back for others.
 */
struct file_channel {
    uint32_t id;
    struct tarn_fileid fileid;
    uint32_t page_size, clear_len;
    char path[FILE_PATH_MAX]; /* for a new record, if a child after fork finds it gone */
    bool writable;
    tarn_file fd;      /* TARN_NO_FILE: it could not be opened */
    uint64_t retry_at; /* then: when to try again */
    uint32_t handles;
    uint32_t users;   /* threads that write through it now */
    uint32_t closers; /* threads that wait for those, to close it */
    struct file_channel *next;
};

struct tarn_mpf {
    /* what a hit needs */
    struct tarn_mpool *pool;
    uint64_t key_base;    /* key of page 0 */
    uint64_t mix;         /* where the hash of this file starts: entry_mix() */
    uint32_t hit_counter; /* index into pool_lane.hits */
    uint32_t pin_base;    /* pin of frame 0: 1, and PIN_WRITABLE if it may be made dirty */

    /* what the rest needs */
    struct file_record *record;
    uint32_t id;
    struct file_channel *channel;
    struct tarn_mpf *next; /* open in this process, of this pool */
};

/* ---- a pool ----------------------------------------------------------------------------------- */

struct tarn_mpool {
    struct tarn_env *env;
    struct tarn_region *region;
    const struct tarn_os *os;
    const struct tarn_env_sink *sink;
    struct pool_header *header;
    uint8_t *base; /* of the layer's memory: offsets of the header count from here */
    struct entry *entries;
    struct frame *frames;
    _Atomic uint8_t *ref, *ovf;
    _Atomic uint64_t *freemap, *dirtymap, *extent;
    own_word *locks;
    uint8_t *data;
    uint32_t bucket_mask;         /* entry_bucket() */
    uint32_t frame_limit;         /* frames are below this */
    const struct pool_plan *plan; /* while it is being made */
    bool exchange;

    _Atomic uint32_t mutex; /* guards what follows, among the threads of this process */
    struct tarn_mpf *files;
    struct file_channel *channels;
    struct tarn_thread *threads;
};

/*
 * Have the handle know its tables, if the region's header makes sense: a joiner may have to repair
 * for the dead before it is done.
 */
bool pool_bound(struct tarn_mpool *pool, struct tarn_region *region);

static inline struct file_record *pool_file(const struct tarn_mpool *p, uint32_t id)
{
    return (struct file_record *)(void *)(p->base + p->header->files_off +
                                          (uint64_t)(id - 1) * p->header->file_stride);
}

static inline struct pool_lane *pool_lane_part(const struct tarn_mpool *p, uint32_t lane)
{
    return region_lane_part(p->region, lane);
}

static inline uint8_t *pool_page(const struct tarn_mpool *p, uint32_t frame)
{
    return p->data + ((uint64_t)frame << p->header->unit_shift);
}

/* The page sizes are 512 << class. */
static inline uint32_t class_bytes(uint32_t class_) { return TARN_PAGE_SIZE_MIN << class_; }

static inline uint32_t class_of_bytes(uint32_t bytes)
{
    return (uint32_t)__builtin_ctz(bytes / TARN_PAGE_SIZE_MIN);
}

/* Units that a page of class takes. */
static inline uint32_t pool_class_units(const struct tarn_mpool *p, uint32_t class_)
{
    uint32_t units = class_bytes(class_) >> p->header->unit_shift;

    return units != 0 ? units : 1;
}

static inline uint32_t pool_extent_units(const struct tarn_mpool *p)
{
    return 1u << (p->header->extent_shift - p->header->unit_shift);
}

/* Counters of the lane: a store that nobody else makes. */
static inline void pool_count(struct tarn_thread *th, enum lane_counter c, uint64_t n)
{
    _Atomic uint64_t *at = &th->part->count[c];

    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The version of a resident page: dirty if the frame's flushed differs. */
static inline bool pool_dirty(const struct tarn_mpool *p, uint64_t pte)
{
    return atomic_load(&p->frames[pte_frame(pte)].flushed) != pte_high(pte);
}

/* The entry that names frame, if one does; its word may say otherwise by now: look at it. */
static inline struct entry *pool_entry_of(const struct tarn_mpool *p, uint32_t frame)
{
    uint64_t own = atomic_load_explicit(&p->frames[frame].own, memory_order_acquire);

    return own_kind(own) == FRAME_MAPPED ? p->entries + (uint32_t)own : NULL;
}

/* Is e resident in frame, and not claimed?  *pte is its word. */
static inline bool pool_resident(const struct entry *e, uint32_t frame, uint64_t *pte)
{
    *pte = atomic_load(&e->pte);
    return (*pte & (PTE_STATE | PTE_FRAME)) == (PTE_RS | frame);
}

/* The half of a pte that holds WT, to wait on. */
static inline const _Atomic uint32_t *pte_half(const _Atomic uint64_t *pte)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (const _Atomic uint32_t *)(const void *)pte;
#else
    return (const _Atomic uint32_t *)(const void *)pte + 1;
#endif
}

#endif /* MPOOL_POOL_H */
