/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions: named shared memory that several processes create, join, lock and remove.
 *
 * An environment is a directory, the home, and what this process wants there (callback, overrides,
 * backend).  A region NAME is found through the file home/NAME.tarn, written once and never changed;
 * home/NAME.lock holds one lock byte per participant, which the kernel frees when it dies.  Where
 * the bytes are is the backend's business.
 *
 * A process that dies, at any instruction, costs the others nothing: whoever finds something that
 * the dead one held (joins, leaves, waits for it) gives it back first.  There is no daemon, no
 * monitor thread and no recovery call.
 *
 * Who trusts whom: who may write a region may corrupt it.  Regions are made with mode 0600 unless
 * asked otherwise, whatever the umask.
 */
#ifndef TARN_REGION_H
#define TARN_REGION_H

#include <tarn/os.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- environment ----------------------------------------------------------------------------- */

typedef struct tarn_env tarn_env;
typedef struct tarn_region tarn_region;

/* A message: in the thread that failed, with no lock held; it may call Tarn. */
typedef void (*tarn_message_fn)(void *ctx, int err, const char *prefix, const char *text);

struct tarn_env_config {
    size_t size; /* TARN_ENV_CONFIG_INIT */

    /* A directory that exists.  NULL: no files at all; every region is private to this process. */
    const char *home;

    /* Called with every message; NULL: silent.  prefix is handed through ("server: "). */
    tarn_message_fn message;
    void *message_ctx;
    const char *message_prefix;

    /* Slots to override for this environment only; must live as long as it.  NULL: none. */
    const struct tarn_os *os;

    /*
     * Backends in order of preference: "mmap", "memfd,hugetlb?,^sysv,mmap" (a ? skips quietly what
     * cannot serve, a ^ never takes it).  Authority: backend_required, then the variable
     * TARN_BACKEND, then backend, then the ports file's order.
     */
    const char *backend_required;
    const char *backend;

    /* Looks at a lock before its taker sleeps; 0: 50 for each processor (seed O11). */
    uint32_t spins;
};
#define TARN_ENV_CONFIG_INIT                                                                       \
    {                                                                                              \
        sizeof(struct tarn_env_config), 0, 0, 0, 0, 0, 0, 0, 0                                     \
    }

/*
 * Open an environment; config and its strings are copied (os and message_ctx are not).
 * TARN_ENOENT, TARN_EACCES: the home; TARN_EINVAL: an override without its other half, a word of
 * TARN_BACKEND or TARN_OS that means nothing (the message suggests the nearest).
 */
TARN_API int tarn_env_open(const struct tarn_env_config *config, tarn_env **out);

/* Close; TARN_EBUSY while regions or pools of it are open.  The handle is gone if 0. */
TARN_API int tarn_env_close(tarn_env *env);

/*
 * In a child after fork: give every region and pool of env that the parent had a participant of the
 * child's own.  Handles work again afterwards; pins and locks stay the parent's.  Backends that no
 * other process may attach work if fork shares them, else TARN_ENOSYS.
 */
TARN_API int tarn_env_reattach(tarn_env *env);

/* The table that this environment uses; valid as long as env. */
TARN_API const struct tarn_os *tarn_env_os(const tarn_env *env);

/* ---- attach, detach, remove ------------------------------------------------------------------ */

enum tarn_region_flag {
    TARN_REGION_CREATE = 0x01,     /* make it if it is not there */
    TARN_REGION_EXCL = 0x02,       /* with CREATE: TARN_EEXIST if it is there */
    TARN_REGION_PRIVATE = 0x04,    /* of this process alone, no files, name may be NULL */
    TARN_REGION_REMOVE_LAST = 0x08 /* the last one to detach removes it (at creation) */
};

struct tarn_region_config {
    size_t size; /* TARN_REGION_CONFIG_INIT */

    uint32_t flags; /* enum tarn_region_flag */
    uint32_t mode;  /* permission bits; 0: 0600 */

    /*
     * Bytes of user memory.  0: as it is, or 64 KiB when made.  On a join, less than there is means
     * nothing; more is TARN_EINVAL with both numbers.
     */
    uint64_t bytes;

    uint32_t max_procs;   /* participants at once, 1..4095; 0: 128.  Creation only */
    uint32_t max_threads; /* threads at once, of all processes, 1..16383; 0: 1024.  Creation only */
};
#define TARN_REGION_CONFIG_INIT                                                                    \
    {                                                                                              \
        sizeof(struct tarn_region_config), 0, 0, 0, 0, 0                                           \
    }

/*
 * Attach to region name ([A-Za-z0-9._-]{1,64}) of env, making it if CREATE says so.  Returns
 * unlocked.  The same process may attach twice and is then two participants.  (seed R7-R21)
 *
 *   TARN_ENOENT         it is not there, and no CREATE
 *   TARN_EEXIST         EXCL
 *   TARN_EVERSION       made by another format or build: the message names the fields that differ
 *   TARN_ECORRUPT       its descriptor is damaged (remove it by force)
 *   TARN_EBUSY          in use from another machine
 *   TARN_EAGAIN         being made or removed for longer than a bounded time
 *   TARN_ENOSPC         all max_procs rows are taken, or no room for its memory, with the numbers
 *   TARN_ERUNRECOVERY   in panic
 *   TARN_EACCES, TARN_EPERM, TARN_EMFILE, TARN_ENOMEM   this process may not, or cannot
 */
TARN_API int tarn_region_attach(tarn_env *env, const char *name,
                                const struct tarn_region_config *config, tarn_region **out);

/*
 * Leave.  Locks that this process holds are given back.  The handle is gone, also on error; a
 * private region is gone with it.  No other thread may be inside a call on it.  (seed R22-R24)
 */
TARN_API int tarn_region_detach(tarn_region *region);

enum tarn_remove_flag { TARN_REMOVE_FORCE = 0x01 };

/*
 * Remove region name and its memory.  TARN_EBUSY while a living process is attached; with FORCE it
 * never attaches and never waits for anybody: those attached keep what they have mapped.
 * TARN_ENOENT if there is none (with FORCE: 0).  (seed R25, R26)
 */
TARN_API int tarn_region_remove(tarn_env *env, const char *name, unsigned flags);

/* ---- use ------------------------------------------------------------------------------------- */

/* The user memory: zeroed when made, page aligned, *bytes long (bytes may be NULL). */
TARN_API void *tarn_region_memory(tarn_region *region, uint64_t *bytes);

/* 1 if this attach made the region, else 0. */
TARN_API int tarn_region_created(const tarn_region *region);

/*
 * The region's own lock, for its user's data.  Waiting ends when the holder unlocks or dies; after a
 * death the taker gets TARN_EOWNERDEAD and *holds the lock*: mend the data, go on.  Not recursive:
 * TARN_EDEADLK.
 */
TARN_API int tarn_region_lock(tarn_region *region);

/* TARN_EPERM: this thread does not hold it. */
TARN_API int tarn_region_unlock(tarn_region *region);

/*
 * Declare the region beyond repair: every later call of every process on it returns
 * TARN_ERUNRECOVERY, except detach and remove (seed M6, Y12).
 */
TARN_API int tarn_region_panic(tarn_region *region);

struct tarn_region_stat {
    char name[72];
    char backend[16];
    char memory[160]; /* what the backend says of the segment */
    uint8_t uuid[16];
    uint64_t bytes;     /* user memory */
    uint64_t committed; /* bytes of memory behind the region, all included */
    uint64_t reserve;   /* bytes of address space */
    uint32_t mode;
    uint32_t max_procs, procs;       /* rows; rows in use by the living */
    uint32_t max_threads, threads;   /* lanes; lanes in use */
    uint64_t reaped;                 /* dead participants given back so far */
    uint64_t lock_wait, lock_nowait; /* takings of the region lock that had to wait, and not */
    uint32_t pin_exchange;           /* 1: pins by exchange, 0: by store and barrier */
    uint32_t panic;
    uint32_t kind; /* 0 plain, 1 a memory pool */
};
TARN_API int tarn_region_stat(tarn_region *region, struct tarn_region_stat *st);

/*
 * The regions of env's home by name, and for each what its descriptor says, without attaching;
 * fn returns 0 to go on.  A descriptor that cannot be read is reported with err and st->name only.
 */
typedef int (*tarn_region_list_fn)(void *ctx, int err, const struct tarn_region_stat *st);
TARN_API int tarn_region_list(tarn_env *env, tarn_region_list_fn fn, void *ctx);

/* Who is attached. */
struct tarn_participant {
    uint32_t row;
    uint64_t pid;
    uint32_t lanes; /* threads */
    int alive;      /* 1 yes, 0 dead and not yet given back */
};
typedef int (*tarn_participant_fn)(void *ctx, const struct tarn_participant *who);
TARN_API int tarn_region_participants(tarn_region *region, tarn_participant_fn fn, void *ctx);

/* ---- backends -------------------------------------------------------------------------------- */

/* One candidate of the choice, for `tarn backends`. */
struct tarn_backend_info {
    char name[16];
    char summary[96];
    char path[256]; /* of the module; "" if linked in or not found */
    uint32_t caps;  /* enum tarn_cap of backend.h */
    int err;        /* 0: could serve a region of `bytes` in this home */
    char why[256];  /* why not, or what its probe found */
    int chosen;     /* 1 on the one that an attach would take now */
};
typedef int (*tarn_backend_list_fn)(void *ctx, const struct tarn_backend_info *info);
TARN_API int tarn_backend_list(tarn_env *env, uint64_t bytes, tarn_backend_list_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif /* TARN_REGION_H */
