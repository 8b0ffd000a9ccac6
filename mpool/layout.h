/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in the memory of a pool.
 *
 *     pool_header
 *     file_record[max_files]     page files that are known, each with the rows that have it open
 *     extent[extents]            which page size an extent of frames belongs to
 *     group_lock[groups + 1]     one owned word per group of entries
 *     ovf[buckets]               how many keys went past this bucket
 *     frame[units]               who owns a frame, what of it is on disk
 *     ref[units]                 seen since the hand last came by
 *     freemap, dirtymap          a bit per unit: hints, the truth stands in frame and entry
 *     entry[buckets * 4]         page -> frame: the translation
 *     data[units]                the pages; more extents behind the region's end_off
 *
 * A frame number counts units of the smallest page size; a larger page takes several and is named
 * by its first.  Its address is data + (frame << unit_shift), always.  Beside a 4 KiB page stand
 * 2 entries, 1 frame record, 1 ref byte, 2 bits and its share of locks: asserted below.
 */
#ifndef MPOOL_LAYOUT_H
#define MPOOL_LAYOUT_H

#include "region/layout.h"
#include <tarn/mpool.h>

/* ---- the translation ------------------------------------------------------------------------- */
/*
 * key: used 1, file 19, page 44.  0: the entry is empty.
 * pte: version 32 (while XL or CL is set: the owner's tag), then the bits and the frame.
 */
enum { BUCKET_ENTRIES = 4, GROUP_BUCKETS = 64, GROUP_ENTRIES = BUCKET_ENTRIES * GROUP_BUCKETS };

#define KEY_USED      (1ULL << 63)
#define KEY_PAGE_BITS 44
#define KEY_PAGE_MASK TARN_PGNO_MAX
#define KEY_FILE_MAX  ((1u << 19) - 1)

#define PTE_XL      (1ULL << 31) /* exclusively latched */
#define PTE_CL      (1ULL << 30) /* claimed: loading, or with RS evicting or copying */
#define PTE_RS      (1ULL << 29) /* resident: frame holds the page */
#define PTE_WT      (1ULL << 28) /* somebody waits on the lower half */
#define PTE_FRAME   (PTE_WT - 1)
#define PTE_STATE   (PTE_XL | PTE_CL | PTE_RS)
#define PTE_VERSION (1ULL << 32)

struct entry {
    _Atomic uint64_t key;
    _Atomic uint64_t pte;
};

static inline uint64_t key_make(uint32_t file, uint64_t page)
{
    return KEY_USED | (uint64_t)file << KEY_PAGE_BITS | page;
}

static inline uint32_t key_file(uint64_t key)
{
    return (uint32_t)(key >> KEY_PAGE_BITS) & KEY_FILE_MAX;
}

static inline uint32_t pte_high(uint64_t pte) { return (uint32_t)(pte >> 32); }

static inline uint32_t pte_frame(uint64_t pte) { return (uint32_t)(pte & PTE_FRAME); }

static inline uint64_t pte_make(uint32_t high, uint64_t bits, uint32_t frame)
{
    return (uint64_t)high << 32 | bits | frame;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* own: {kind 32, value 32} */
enum own_kind {
    FRAME_NONE = 0,   /* of no page size: its extent is free, or it is inside a larger page; value:
                         tag of who is draining it, or 0 */
    FRAME_FREE = 1,   /* holds nothing */
    FRAME_LANE = 2,   /* value: tag of the lane that has it in its reserve */
    FRAME_MAPPED = 3, /* value: index of the entry that names it */
    FRAME_PINS = 4    /* value: tag of the lane that keeps further pins in it */
};

struct frame {
    _Atomic uint64_t own;
    _Atomic uint64_t rec_lsn; /* of the first change since it was clean */
    _Atomic uint32_t flushed; /* the version that is in the file; another than the entry's: dirty */
    _Atomic uint32_t wb;      /* tag of the lane that is writing it back; 0 nobody */
};

static inline uint64_t own_make(enum own_kind kind, uint32_t value)
{
    return (uint64_t)kind << 32 | value;
}

static inline enum own_kind own_kind(uint64_t own) { return (enum own_kind)(own >> 32); }

/* ---- extents --------------------------------------------------------------------------------- */

enum { PAGE_CLASSES = 8 }; /* 512 << class */

/* word: {tag 32, class + 1 at bit 8, state 8}; a tag while TAKING or DRAINING. */
enum extent_state {
    EXTENT_ABSENT = 0,  /* no memory behind it (yet), or it is not the pool's */
    EXTENT_FREE = 1,    /* memory, but of no page size */
    EXTENT_TAKING = 2,  /* on its way from FREE or ABSENT to a page size */
    EXTENT_USED = 3,    /* holds pages of a size */
    EXTENT_DRAINING = 4 /* on its way from USED to FREE */
};

/* ---- files ----------------------------------------------------------------------------------- */

enum { FILE_PATH_MAX = 1024, FILE_COUNTERS = 32 };

enum file_state { FILE_FREE = 0, FILE_MAKING = 1, FILE_LIVE = 2, FILE_DROPPING = 3 };

/* Record i has file id i + 1.  All but the atomics are written once, while MAKING. */
struct file_record {
    _Atomic uint32_t state;
    uint32_t page_size, clear_len, class_;
    struct tarn_fileid fileid;
    uint32_t uid;             /* owner of the file */
    _Atomic uint32_t suspect; /* an fsync has failed */
    _Atomic uint64_t last;    /* highest page number */
    _Atomic uint64_t misses, creates, reads, writes;
    uint64_t hits_before; /* what this record's hit counters said when it was made */
    char path[FILE_PATH_MAX];
    _Atomic uint64_t openers[]; /* a bit per row: pool_header.opener_words of them */
};

/* ---- lanes ----------------------------------------------------------------------------------- */

enum {
    LANE_PINS = 16,     /* in the lane's own line; more go into frames (pin.c) */
    BATCH_MAX = 64,     /* pages claimed at once */
    INTENT_LOAD = 64,   /* intents 0..63: a batch; this one: the page being read in */
    INTENT_REPAIR = 65, /* and above: what is taken over from the dead */
    INTENTS = 80
};

#define PIN_FRAME    0x1fffffffu /* frame + 1 */
#define PIN_SHARED   0x40000000u
#define PIN_WRITABLE 0x80000000u

/* Written before a claim: which entry, and its word, whose version stands nowhere else meanwhile. */
struct intent {
    _Atomic uint64_t entry; /* index + 1; 0 none */
    _Atomic uint64_t old;
};

enum lane_counter {
    COUNT_MISS,
    COUNT_CREATE,
    COUNT_WAIT,
    COUNT_READ,
    COUNT_WRITE,
    COUNT_WRITE_CALL,
    COUNT_EVICT_CLEAN,
    COUNT_EVICT_DIRTY,
    COUNT_EVICT_PINNED,
    COUNT_BARRIER,
    COUNT_SEARCH,
    COUNT_EXAMINED,
    LANE_COUNTERS = 16
};

struct pool_lane {
    _Alignas(64) _Atomic uint32_t pin[LANE_PINS];
    _Alignas(64) uint32_t guard; /* 0: what stands behind the line is no pin */
    _Atomic uint32_t chain;      /* first frame of further pins, + 1 */
    _Atomic uint32_t group[2];   /* group locks held or about to be taken, + 1 */
    _Atomic uint32_t extent;     /* extent being taken or drained, + 1 */
    _Atomic uint32_t files;      /* 1: the lock of the file table is held or wanted */
    struct intent intent[INTENTS];
    _Atomic uint32_t reserve[BATCH_MAX];               /* frames kept ready, + 1; 0 empty */
    _Atomic uint32_t writing[BATCH_MAX];               /* frames marked wb, + 1; 0 empty */
    _Alignas(64) _Atomic uint64_t hits[FILE_COUNTERS]; /* by file record; the last: all others */
    _Atomic uint64_t count[LANE_COUNTERS];
};

/* Further pins of a lane: a whole frame of the pool, as the lane's chain names it. */
struct pin_block {
    _Atomic uint32_t next; /* frame + 1 of the next block */
    uint32_t spare;
    _Atomic uint32_t pin[];
};

/* ---- header ---------------------------------------------------------------------------------- */

struct pool_header {
    uint32_t unit_shift, extent_shift; /* bytes: 1 << shift */
    uint32_t units;                    /* frames numbered, holes included */
    uint32_t extents;                  /* extents numbered, holes included */
    uint32_t extents_made;             /* [0, this) have had memory since the pool was made */
    uint32_t extents_spare;            /* [this, extents) can be given memory later */
    uint32_t groups;                   /* of entries; one more is for what fits nowhere else */
    uint32_t max_files, opener_words, file_stride;
    uint64_t seed, multiplier; /* of the hash; the latter odd and large */
    uint64_t pages_bytes;      /* page memory at creation */
    uint32_t owner;            /* user who made the pool */

    /* offsets from the pool's header */
    uint64_t files_off, extent_off, lock_off, ovf_off, frame_off, ref_off, free_off, dirty_off,
        entry_off, data_off;

    _Alignas(64) own_word files_lock;
    _Atomic uint32_t overflowed; /* entries in the last group, at least */
    _Atomic uint64_t suspect;
    _Alignas(64) _Atomic uint32_t hand[PAGE_CLASSES]; /* where the clock is */
    _Atomic uint32_t extents_of[PAGE_CLASSES];        /* about how many extents each size has */
    _Atomic uint32_t extents_free;                    /* about how many have no size */
    _Alignas(64) _Atomic uint32_t free_hint[PAGE_CLASSES]; /* about how many frames are FREE */
    _Atomic uint32_t free_cursor;                          /* word of freemap to look at first */
    _Atomic uint32_t discards[16];                         /* frames to go first, + 1: a hint */
    _Atomic uint32_t discard_next;
    _Atomic uint32_t misses_of[PAGE_CLASSES]; /* since an extent was last moved */
};

/* Beside the 128 pages of one unit each that a group of entries is made for. */
#define GROUP_UNITS (GROUP_ENTRIES / 2)
#define GROUP_TABLE_BYTES                                                                          \
    (GROUP_ENTRIES * sizeof(struct entry) + sizeof(own_word) + GROUP_BUCKETS +                     \
     GROUP_UNITS * (sizeof(struct frame) + 1) + GROUP_UNITS / 4)

_Static_assert(sizeof(struct entry) == 16, "four entries are a cache line");
_Static_assert(sizeof(struct frame) == 24, "what the space bound was counted with");
_Static_assert(GROUP_TABLE_BYTES <= 80 * GROUP_UNITS, "at most 80 bytes beside a page");
_Static_assert(INTENTS > INTENT_REPAIR && INTENT_LOAD == BATCH_MAX, "intents have their ranges");

#endif /* MPOOL_LAYOUT_H */
