/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in the memory of a region, byte by byte.
 *
 *     0          header (one page)
 *     rows_off   row[max_procs]           one per participant process
 *     layer_off  the layer's own memory   (a pool's tables and frames)
 *     user_off   the user's memory
 *     lanes_off  lane[max_lanes]          one per thread; committed in chunks of 16, on demand
 *     end_off    the rest of the reserve  (the layer grows there)
 *
 * Bytes below lanes_off + one chunk are committed at creation.  Everything in here is a word with
 * a written protocol: rows.c has rows and lanes, own.c the owned words, descriptor.c who may see a
 * region at all.
 */
#ifndef REGION_LAYOUT_H
#define REGION_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <tarn/region.h>

#define REGION_MAGIC  0x314e5241544e5254ULL /* a whole region */
#define REGION_GONE   0x444e5241544e5254ULL /* removed: the first thing a remover writes (seed R2) */
#define REGION_FORMAT 1u

enum { LANE_CHUNK = 16 };   /* lanes committed at once */
enum { REGION_LAYERS = 4 }; /* layers that may keep something in a region */
enum { LAYER_MPOOL = 0 };

/* ---- owner tags ------------------------------------------------------------------------------ */
/*
 * Who holds a word: {generation 18, lane 14}, never 0.  The generation rises when a lane passes to
 * another row, so that a tag names one process, for good.
 */
enum { TAG_LANE_BITS = 14 };
#define TAG_LANE_MASK ((1u << TAG_LANE_BITS) - 1)
#define TAG_GEN_MAX   ((1u << (32 - TAG_LANE_BITS)) - 1)

static inline uint32_t tag_make(uint32_t lane, uint32_t gen) { return gen << TAG_LANE_BITS | lane; }

static inline uint32_t tag_lane(uint32_t tag) { return tag & TAG_LANE_MASK; }

static inline uint32_t tag_gen(uint32_t tag) { return tag >> TAG_LANE_BITS; }

/* An exclusive lock owned in the word: {tag 32, waiters 1}; 0 is free.  own.c. */
typedef _Atomic uint64_t own_word;

/* ---- rows and lanes -------------------------------------------------------------------------- */

enum row_state {
    ROW_FREE = 0,
    ROW_JOINING = 1, /* being taken; holds nothing yet */
    ROW_LIVE = 2,
    ROW_LEAVING = 3,
    ROW_REAPING = 4, /* dead, and what it held is being given back */
    ROW_REAPED = 5,  /* nothing is left but its lanes, which wait for the last repairer to end */
    ROW_PARKED = 6   /* left, but a thread still holds its life word: nobody may take it yet */
};

/* state, from the lowest bit: {state 8, generation 24, layers 8}: see rows.c. */
struct row {
    _Atomic uint64_t state;
    struct tarn_procid proc;  /* written while JOINING */
    struct tarn_life life;    /* held from join to leave by the thread that joined */
    _Atomic uint64_t helping; /* repairers that this process runs now: see reap.c */
    uint64_t spare[2];
};

/*
 * owner, from the lowest bit: {row + 1 16, row's generation 24, tag's generation 18}.  One word, so
 * that who has the lane and under which tag change together; row part 0: free, and the next taker
 * uses the generation that stands there.  The layer's part follows the header.
 */
struct lane {
    _Alignas(64) _Atomic uint64_t owner;
    _Atomic uint64_t thread; /* which thread of the owner: means something to that process only */
    uint64_t spare[6];
};

struct region_header {
    _Atomic uint64_t magic; /* REGION_MAGIC written last by the creator */
    uint32_t format, compat, ro_compat, incompat;
    uint64_t fingerprint; /* of every layout above, and of the layer's */
    uint8_t uuid[16];

    uint64_t rows_off, layer_off, layer_bytes, user_off, user_bytes, lanes_off, end_off;
    uint64_t reserve;              /* bytes of address space that every participant maps */
    uint32_t max_procs, max_lanes; /* rows and lanes that exist, spare ones included */
    uint32_t lane_bytes;           /* lane_bytes: header and layer's part, 64-aligned */
    uint32_t limit_procs;          /* rows for users; the others are for who comes to repair */
    uint32_t limit_threads;        /* lanes for users: [spare_lanes, spare_lanes + this) */
    uint32_t spare_lanes;          /* lanes [0, this) are for repairers and for growth */
    uint32_t pin_exchange;         /* pin mode, fixed at creation */
    uint32_t kind;                 /* 0 plain, else 1 + the layer that it belongs to */
    uint32_t flags;                /* TARN_REGION_REMOVE_LAST */
    char backend[16];

    _Alignas(64) _Atomic uint64_t committed; /* bytes behind the region now */
    _Atomic uint32_t lane_chunks;            /* lanes [0, 16 * lane_chunks) are committed */
    _Atomic uint32_t panic;
    _Atomic uint64_t reaped;
    own_word grow; /* held while memory is committed */

    _Alignas(64) own_word lock; /* tarn_region_lock */
    _Atomic uint64_t lock_wait, lock_nowait;
    _Atomic uint32_t lock_died; /* the lock was taken over from a dead holder */

    _Alignas(64) char reasons[1024]; /* why this backend */
};

_Static_assert(sizeof(struct lane) == 64, "a lane's header is one cache line");
_Static_assert(sizeof(struct row) % 64 == 0, "rows do not share a line");
_Static_assert(sizeof(struct region_header) <= 4096, "the header is one page");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit words must be lock-free");

#endif /* REGION_LAYOUT_H */
