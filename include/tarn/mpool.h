/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory pool: a page cache over files, shared by all processes that open it.
 *
 *     tarn_mpool_open   a pool in an environment: a region of its own
 *     tarn_mpf_open     a page file in the pool
 *     tarn_page_get     a page, pinned: it stays where it is until put
 *     tarn_page_put     let go; with TARN_PAGE_DIRTY it will be written back
 *     tarn_mpf_sync     everything dirty is in the file, and the file is on the disk
 *
 * A hit takes no lock and writes nothing that another thread writes: a pin is a store into a cache
 * line of the pinning thread.  So the fast calls take the thread's own handle, a tarn_thread; the
 * forms tarn_mpf_get, put and set find it themselves, for a few nanoseconds more.
 *
 * The bytes of a page belong to whoever pins it, as the application's own locks say (caller-locked
 * files): the pool never writes a page back while anybody pins it.  Say DIRTY after changing a page,
 * before or with the put; a change that nobody called dirty is lost with the frame.
 *
 * When a process dies, at any instruction, its pins and claims are given back by whoever meets them.
 * What it had half written into a page it had pinned, nobody can know.
 */
#ifndef TARN_MPOOL_H
#define TARN_MPOOL_H

#include <tarn/region.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tarn_mpool tarn_mpool;
typedef struct tarn_mpf tarn_mpf;
typedef struct tarn_thread tarn_thread;

#define TARN_PAGE_SIZE_MIN 512u
#define TARN_PAGE_SIZE_MAX 65536u

/* ---- pool ------------------------------------------------------------------------------------ */

struct tarn_mpool_config {
    size_t size; /* TARN_MPOOL_CONFIG_INIT */

    uint32_t flags; /* enum tarn_region_flag: CREATE, EXCL, PRIVATE */
    uint32_t mode;  /* permission bits of the region; 0: 0600.  Creation only */

    /*
     * Bytes of page memory; 0: 256 KiB, at least 20 KiB (seed M3), rounded up to whole extents of
     * 64 KiB to 2 MiB.  Tables, participants and threads come on top: tarn_mpool_stat() has both.
     * On a join, less than there is means nothing; more is TARN_EINVAL with both numbers.
     */
    uint64_t bytes;

    /*
     * The smallest page size that this pool is laid out for, a power of two, 512 to 65536; 0: 4096.
     * A smaller page takes a whole unit.  Creation only.
     */
    uint32_t unit;

    uint32_t max_files;   /* page files open at once; 0: 256.  Creation only */
    uint32_t max_procs;   /* as in tarn_region_config.  Creation only */
    uint32_t max_threads; /* as in tarn_region_config.  Creation only */
};
#define TARN_MPOOL_CONFIG_INIT                                                                     \
    {                                                                                              \
        sizeof(struct tarn_mpool_config), 0, 0, 0, 0, 0, 0, 0                                      \
    }

/*
 * Open pool name of env (NULL: "mpool"), making it if CREATE says so; private (no files, this
 * process alone) if env has no home or PRIVATE is set.  Errors: those of tarn_region_attach().
 * config NULL: join.  (seed M1-M4)
 */
TARN_API int tarn_mpool_open(tarn_env *env, const char *name,
                             const struct tarn_mpool_config *config, tarn_mpool **out);

/*
 * Close the pool and every file that this process has open in it (see tarn_mpf_close: what was not
 * synced is lost with the last opener).  The handle is gone, also on error; the first error counts.
 * TARN_EBUSY: this process had pages pinned; the pins are given back.
 * No other thread may be inside a call on it.  (seed M5)
 */
TARN_API int tarn_mpool_close(tarn_mpool *pool);

/* Remove pool name (NULL: "mpool") as tarn_region_remove(). (seed M6) */
TARN_API int tarn_mpool_remove(tarn_env *env, const char *name, unsigned flags);

/* The pool's region: its participants, statistics and lock; valid until the pool is closed. */
TARN_API tarn_region *tarn_mpool_region(tarn_mpool *pool);

/*
 * The calling thread's handle in this pool, made at its first call; only this thread may use it.  It
 * lasts until the thread ends or the pool is closed; pages that the thread still has pinned then
 * stay pinned until another thread of the process puts them.  TARN_ENOSPC: all max_threads are
 * taken.
 */
TARN_API int tarn_mpool_thread(tarn_mpool *pool, tarn_thread **out);

/*
 * Write back every dirty page of every file of the pool that this process may write, sorted and in
 * large writes, and fsync those files.  TARN_EINCOMPLETE: some pages were pinned, or being
 * written by others, for longer than about 0.1 s, or are of files that this process cannot write;
 * the message has the counts; all others are written.  TARN_EIO: an fsync of a file has failed, now
 * or earlier: what was written to it may be lost, see tarn_mpf_stat.suspect.
 */
TARN_API int tarn_mpool_sync(tarn_mpool *pool);

struct tarn_mpool_stat {
    uint64_t bytes;         /* page memory */
    uint64_t region;        /* all memory of the pool, page memory included */
    uint64_t table;         /* of that, what stands beside the pages and grows with them */
    uint32_t unit;          /* smallest page size */
    uint32_t extent;        /* bytes that move between page sizes at once */
    uint64_t pages;         /* pages resident */
    uint64_t dirty;         /* of these, newer than their file */
    uint64_t pinned;        /* pins, of all threads and processes */
    uint64_t hits;          /* gets that found their page */
    uint64_t misses;        /* gets that read it from the file */
    uint64_t creates;       /* gets that made it */
    uint64_t waits;         /* gets that waited for another's read or claim */
    uint64_t reads;         /* pages read in */
    uint64_t writes;        /* pages written back */
    uint64_t write_calls;   /* writes to the system that took */
    uint64_t evict_clean;   /* pages evicted that were clean */
    uint64_t evict_dirty;   /* pages evicted after they were written */
    uint64_t evict_pinned;  /* claims given back because the page was pinned */
    uint64_t barriers;      /* heavy barriers issued */
    uint64_t hash_entries;  /* places in the translation table */
    uint64_t hash_searches; /* searches under a lock */
    uint64_t hash_examined; /* entries looked at by these */
    uint32_t files;         /* files known */
    uint32_t procs;         /* participants */
    uint32_t threads;       /* threads */
    uint32_t pin_exchange;  /* 1: pins by exchange, 0: by store and barrier */
    uint64_t suspect;       /* pages that a dead process could have been writing */
};

/* Counts since the pool was made, of all processes together; taken without stopping anybody. (Y9) */
TARN_API int tarn_mpool_stat(tarn_mpool *pool, struct tarn_mpool_stat *st);

/* ---- page files ------------------------------------------------------------------------------ */

enum tarn_mpf_flag {
    TARN_MPF_CREATE = 0x01, /* make the file if it is not there */
    TARN_MPF_RDONLY = 0x02, /* this handle will not make pages dirty */
    TARN_MPF_NOMMAP = 0x04  /* never map the file (Tarn maps files only when asked) */
};

struct tarn_mpf_config {
    size_t size; /* TARN_MPF_CONFIG_INIT */

    uint32_t flags;     /* enum tarn_mpf_flag */
    uint32_t mode;      /* permission bits of a file that is made; 0: 0600 */
    uint32_t page_size; /* a power of two, 512 to 65536.  Must be given (seed F1) */
    uint32_t clear_len; /* bytes of a new page to zero; 0: all.  <= page_size */
};
#define TARN_MPF_CONFIG_INIT                                                                       \
    {                                                                                              \
        sizeof(struct tarn_mpf_config), 0, 0, 0, 0                                                 \
    }

/*
 * Open the file at path (relative: to the home) in the pool.  Processes that open the same file,
 * whatever its name, share its pages.  (seed F1-F6)
 *
 *   TARN_EINVAL   page_size missing or odd; clear_len larger; the file's size is not a multiple of
 *                 page_size; others have it open with another page_size or clear_len
 *   TARN_ENOENT   no file and no CREATE;  TARN_EACCES, TARN_EROFS, TARN_EMFILE: the system's
 *   TARN_ENOSPC   max_files are open, or no room for a page size that is new to the pool
 */
TARN_API int tarn_mpf_open(tarn_mpool *pool, const char *path, const struct tarn_mpf_config *config,
                           tarn_mpf **out);

/*
 * Close the handle.  When the last opener of all processes closes, its pages leave the pool and what
 * is dirty is discarded unwritten: tarn_mpf_sync() first (seed F9).  TARN_EBUSY: this process still
 * pins pages of it through this handle's pool; the handle is closed all the same (seed F8).  A
 * process that dies has not closed: its dirty pages stay and are written by others.
 */
TARN_API int tarn_mpf_close(tarn_mpf *file);

/* As tarn_mpool_sync(), for this file alone; a read-only handle: 0 (seed Y7). */
TARN_API int tarn_mpf_sync(tarn_mpf *file);

/* The highest page number that the file has, counting pages made in the pool; 0 if it is empty. */
TARN_API int tarn_mpf_last(tarn_mpf *file, tarn_pgno *last);

struct tarn_mpf_stat {
    char path[256]; /* as the first opener gave it, cut if longer */
    uint32_t page_size;
    uint32_t openers; /* processes */
    tarn_pgno last;
    uint64_t pages, dirty; /* resident; of these dirty */
    uint64_t hits;         /* UINT64_MAX: counted only in the pool's sum (from the 32nd file on) */
    uint64_t misses, creates, reads, writes;
    uint32_t suspect; /* 1: an fsync of it has failed */
};
TARN_API int tarn_mpf_stat(tarn_mpf *file, struct tarn_mpf_stat *st);

/* All files that the pool knows, one call each; fn returns 0 to go on (seed Y9, Y10). */
typedef int (*tarn_mpf_list_fn)(void *ctx, const struct tarn_mpf_stat *st);
TARN_API int tarn_mpool_files(tarn_mpool *pool, tarn_mpf_list_fn fn, void *ctx);

/* ---- pages ----------------------------------------------------------------------------------- */

enum tarn_get_flag {
    TARN_GET_CREATE = 0x01 /* if the file does not have it yet: make it, zeroed */
};

enum tarn_page_flag {
    TARN_PAGE_DIRTY = 0x01,  /* changed: write it back some day */
    TARN_PAGE_CLEAN = 0x02,  /* need not be written, whatever was said before */
    TARN_PAGE_DISCARD = 0x04 /* the first to go when room is needed */
};

/*
 * Pin page pgno of file and point *page at it (page_size bytes, aligned to the smaller of page_size
 * and the system's page).  A page may be pinned several times, and pins may be put by another thread
 * of the process; at most 65,535 at once for one thread.  (seed G1-G7, W1)
 *
 *   TARN_ENOENT   the file ends before it, and no CREATE
 *   TARN_EIO      it could not be read: nothing is left behind
 *   TARN_ENOMEM   all pages of this size are pinned or cannot be written; the message has the counts
 *   TARN_EINVAL   pgno > TARN_PGNO_MAX, unknown flags, 65,535 pins, file is not of this thread's pool
 *   TARN_ENOSPC   room could only be made by writing pages back, and their disk is full
 *   TARN_EFORK    th is the parent's;  TARN_ERUNRECOVERY: the pool is in panic
 */
TARN_API int tarn_page_get(tarn_thread *th, tarn_mpf *file, tarn_pgno pgno, unsigned flags,
                           void **page);

/*
 * Pin the highest page of file; *pgno is its number (seed G3).  TARN_ENOENT: the file is empty, or
 * that page was made by tarn_page_new() and left the pool without ever having been called dirty.
 */
TARN_API int tarn_page_last(tarn_thread *th, tarn_mpf *file, tarn_pgno *pgno, void **page);

/*
 * Make and pin a new page behind the highest; *pgno is its number, never given to two callers.  In
 * an empty file this is page 1: page 0 is made by TARN_GET_CREATE (seed G3).
 */
TARN_API int tarn_page_new(tarn_thread *th, tarn_mpf *file, tarn_pgno *pgno, void **page);

/*
 * Give one pin of page back; flags as tarn_page_set.  TARN_EINVAL: this process does not pin it, or
 * DIRTY together with CLEAN; TARN_EACCES: DIRTY through a read-only handle; the pin stays then.
 */
TARN_API int tarn_page_put(tarn_thread *th, void *page, unsigned flags);

/* Say DIRTY, CLEAN or DISCARD of a page that stays pinned; flags must not be 0 (seed U7). */
TARN_API int tarn_page_set(tarn_thread *th, void *page, unsigned flags);

/* The same without a thread handle; file is the one that the page is of. */
TARN_API int tarn_mpf_get(tarn_mpf *file, tarn_pgno pgno, unsigned flags, void **page);
TARN_API int tarn_mpf_put(tarn_mpf *file, void *page, unsigned flags);
TARN_API int tarn_mpf_set(tarn_mpf *file, void *page, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif /* TARN_MPOOL_H */
