/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operating system, as the rest of Tarn sees it: a table of functions.
 *
 * Everything above os/ reaches the kernel through one struct tarn_os.  A platform provides one
 * (tarn_os_host); shims stack on it (trace, fault); an application may override any slot, for the
 * whole process or for one environment.
 *
 * The contract that holds for every slot; a slot's own comment says only what differs.
 *   - The first argument is the table through which the call was made.  A slot finds its own data
 *     in os->ctx and calls down through os->below (NULL at the bottom).
 *   - The return value is 0 or a negative enum tarn_err; every slot may return TARN_EIO for an error
 *     that has no better name, and TARN_ENOSYS if the platform has no such thing.  The system's own
 *     number and words are kept per thread: misc->last_error has them.
 *   - Results are written through pointers, only on success.
 *   - Sizes and offsets are bytes, durations are nanoseconds, paths are UTF-8 with '/'.
 *   - An interrupted call goes on inside the slot, and so does a short transfer: a caller never sees
 *     EINTR (seed X10).
 *   - A slot may be called from any thread at once.  Calls on one file are ordered by the caller.
 *   - Descriptors are not inherited by exec(2), from the moment they exist (seed X9).
 *   - In a table that was made by a platform or by tarn_os_stack() no slot is NULL: what is absent
 *     is a function that returns TARN_ENOSYS.
 *
 * Mandatory for a platform: the groups file and misc, and map->unmap.
 */
#ifndef TARN_OS_H
#define TARN_OS_H

#include <tarn/tarn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tarn_os;

/* An open file: a descriptor, a HANDLE, or what an application's own `open` made of it. */
typedef intptr_t tarn_file;
#define TARN_NO_FILE ((tarn_file)-1)

/* ---- file ------------------------------------------------------------------------------------ */

enum tarn_open_flag {
    TARN_OPEN_RDONLY = 0x01,    /* reading only; without it reading and writing */
    TARN_OPEN_CREATE = 0x02,    /* make it if it is not there */
    TARN_OPEN_EXCL = 0x04,      /* with CREATE: TARN_EEXIST if it is there */
    TARN_OPEN_TRUNCATE = 0x08,  /* cut to 0 bytes */
    TARN_OPEN_TEMPORARY = 0x10, /* has no name, or loses it at once; gone at close or death */
    TARN_OPEN_NOFOLLOW = 0x20,  /* a symbolic link at the end of path is TARN_EPERM */
    TARN_OPEN_UNNAMED = 0x40,   /* path is a directory: a file in it without a name (see link) */
    TARN_OPEN_SEQUENTIAL = 0x80 /* a hint: read from front to back */
};

enum tarn_kind { TARN_KIND_FILE = 1, TARN_KIND_DIR = 2, TARN_KIND_LINK = 3, TARN_KIND_OTHER = 4 };

struct tarn_stat {
    uint64_t size;   /* bytes */
    uint64_t iosize; /* best size of one transfer; never 0 (seed O6: 8192 if the system says 0) */
    uint64_t mtime;  /* last change, ns since 1970 */
    uint32_t kind;   /* enum tarn_kind */
    uint32_t mode;   /* permission bits, 0777 */
    uint32_t uid;    /* owner */
    uint32_t nlink;  /* names */
};

/* Which file, whatever its name: equal while and only while it is the same file (seed O12, X27). */
struct tarn_fileid {
    uint64_t dev;
    uint64_t ino;
    uint64_t birth; /* ns since 1970 of its making, or a generation; 0 where the system has none */
};

enum tarn_fs_flag {
    TARN_FS_NETWORK = 1, /* other machines may reach it */
    TARN_FS_MEMORY = 2,  /* lives in memory: nothing is written to a disk */
    TARN_FS_FIRM = 4     /* allocated means writable: no SIGBUS behind `allocate` */
};

struct tarn_fsinfo {
    uint64_t total; /* bytes */
    uint64_t avail; /* bytes that this user may still use */
    uint32_t flags; /* enum tarn_fs_flag */
    char type[20];  /* "ext4", "tmpfs", or a number in hexadecimal */
};

struct tarn_iov {
    void *base;
    size_t len;
};

enum tarn_whence { TARN_SEEK_SET = 0, TARN_SEEK_CUR = 1, TARN_SEEK_END = 2 };
enum tarn_advice { TARN_ADVISE_WILLNEED = 1, TARN_ADVISE_DONTNEED = 2, TARN_ADVISE_RANDOM = 3 };

struct tarn_os_file {
    size_t size; /* sizeof(struct tarn_os_file) when compiled */

    /*
     * Open path.  flags are enum tarn_open_flag; unknown flags and CREATE missing under EXCL are
     * TARN_EINVAL.  mode: permission bits of a file that is made, set exactly, whatever the umask.
     * TARN_ENOENT, TARN_EEXIST, TARN_EACCES, TARN_EPERM, TARN_EMFILE, TARN_EROFS, TARN_ENOSPC.
     */
    int (*open)(const struct tarn_os *os, const char *path, unsigned flags, unsigned mode,
                tarn_file *out);

    /* Close f.  f is gone afterwards, also when an error is returned. */
    int (*close)(const struct tarn_os *os, tarn_file f);

    /* Read up to len bytes at the file's position and move it; *got < len only at end of file. */
    int (*read)(const struct tarn_os *os, tarn_file f, void *buf, size_t len, size_t *got);

    /* Write all len bytes at the position and move it.  TARN_ENOSPC: a part may be written. */
    int (*write)(const struct tarn_os *os, tarn_file f, const void *buf, size_t len);

    /* Move the position; *pos is the new one (pos may be NULL).  TARN_EINVAL before byte 0. */
    int (*seek)(const struct tarn_os *os, tarn_file f, int64_t off, enum tarn_whence whence,
                uint64_t *pos);

    /* As read and write, at off; the position is neither used nor moved. */
    int (*pread)(const struct tarn_os *os, tarn_file f, void *buf, size_t len, uint64_t off,
                 size_t *got);
    int (*pwrite)(const struct tarn_os *os, tarn_file f, const void *buf, size_t len, uint64_t off);

    /* As pread and pwrite, from or to n pieces of memory, 1 <= n <= 64. */
    int (*preadv)(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                  uint64_t off, size_t *got);
    int (*pwritev)(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                   uint64_t off);

    /* Make the file exactly size bytes long; new bytes read as zeros. */
    int (*truncate)(const struct tarn_os *os, tarn_file f, uint64_t size);

    /*
     * Have the system set bytes [off, off+len) aside, so that writing them cannot meet a full disk;
     * the file grows if it is shorter.  On failure (TARN_ENOSPC) the size is what it was.
     */
    int (*allocate)(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len);

    /* Give [off, off+len) back to the file system; it reads as zeros, the size stays. */
    int (*punch)(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len);

    /* Have everything written so far reach the disk; data_only may leave out times.  Never retried. */
    int (*fsync)(const struct tarn_os *os, tarn_file f, int data_only);

    /* A hint; TARN_OK also where the system ignores it. */
    int (*advise)(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len,
                  enum tarn_advice advice);

    /* What the open file is (seed O6).  Checks of owner and mode use this, never a name. */
    int (*ioinfo)(const struct tarn_os *os, tarn_file f, struct tarn_stat *st);

    /* What is at path; a symbolic link at its end is not followed. */
    int (*stat)(const struct tarn_os *os, const char *path, struct tarn_stat *st);

    /* Set the permission bits of the open file. */
    int (*chmod)(const struct tarn_os *os, tarn_file f, unsigned mode);

    /*
     * Give the open file f the further name `to`; `from` is one that it has, NULL if it was opened
     * UNNAMED.  TARN_EEXIST: the name is taken, nothing changed.
     */
    int (*link)(const struct tarn_os *os, tarn_file f, const char *from, const char *to);

    /* Rename; with noreplace TARN_EEXIST if `to` is there (TARN_ENOSYS if that cannot be promised). */
    int (*rename)(const struct tarn_os *os, const char *from, const char *to, int noreplace);

    int (*unlink)(const struct tarn_os *os, const char *path);
    int (*mkdir)(const struct tarn_os *os, const char *path, unsigned mode);

    /* TARN_ENOENT, or 0 and whether it is a directory (isdir may be NULL). */
    int (*exists)(const struct tarn_os *os, const char *path, int *isdir);

    /*
     * The names in a directory without "." and "..", in no order; *names is an array of *n strings,
     * freed by dirfree of the same table (seed O13, X11).  An empty directory: *n is 0.
     */
    int (*dirlist)(const struct tarn_os *os, const char *path, char ***names, size_t *n);
    void (*dirfree)(const struct tarn_os *os, char **names, size_t n);

    int (*fileid)(const struct tarn_os *os, tarn_file f, struct tarn_fileid *id);

    /* The file system that path (which exists) is on. */
    int (*fsinfo)(const struct tarn_os *os, const char *path, struct tarn_fsinfo *info);
};

/* ---- map ------------------------------------------------------------------------------------- */

enum tarn_map_flag {
    TARN_MAP_REGION = 0x01,    /* for a region; without it for a file's own pages */
    TARN_MAP_ANON = 0x02,      /* no file behind it; file is TARN_NO_FILE */
    TARN_MAP_RDONLY = 0x04,    /* cannot be written, and is private (seed P6) */
    TARN_MAP_PRIVATE = 0x08,   /* not seen by others; without it and RDONLY: shared */
    TARN_MAP_NORESERVE = 0x10, /* address space only: memory is committed later */
    TARN_MAP_HUGE = 0x20,      /* 2 MiB pages, else TARN_ENOMEM */
    TARN_MAP_FORKWIPE = 0x40   /* a child after fork sees zeros (with ANON|PRIVATE) */
};

struct tarn_map_request {
    const char *path; /* what is mapped, for hooks and messages; may be NULL */
    tarn_file file;
    uint64_t off;   /* into the file, a multiple of the page size */
    size_t len;     /* bytes, a multiple of the page size; may lie beyond the end of the file */
    uint32_t flags; /* enum tarn_map_flag */
};

struct tarn_os_map {
    size_t size; /* sizeof(struct tarn_os_map) when compiled */

    /* Map; *addr is page aligned.  TARN_ENOMEM, TARN_EACCES, TARN_EAGAIN (seed R17). */
    int (*map)(const struct tarn_os *os, const struct tarn_map_request *req, void **addr);
    int (*unmap)(const struct tarn_os *os, void *addr, size_t len);

    /* Remove what stands behind the region at path (seed P4): by default the file. */
    int (*runlink)(const struct tarn_os *os, const char *path);

    /*
     * Have memory behind every page of [addr, addr+len) now.  TARN_ENOMEM or TARN_ENOSPC instead of
     * a later SIGBUS, as far as the system can tell.
     */
    int (*populate)(const struct tarn_os *os, void *addr, size_t len);

    /* Leave [addr, addr+len) out of core dumps; a hint. */
    int (*dontdump)(const struct tarn_os *os, void *addr, size_t len);

    /*
     * Give the memory behind [addr, addr+len) of a shared mapping back, for all that have it mapped;
     * the range stays and reads as zeros.
     */
    int (*discard)(const struct tarn_os *os, void *addr, size_t len);
};

/* ---- shm: memory that has no file ------------------------------------------------------------- */

struct tarn_sysv_stat {
    uint64_t size;      /* bytes */
    uint64_t nattach;   /* attachments now, of all processes */
    uint32_t uid, mode; /* owner; permission bits */
    int doomed;         /* already removed, gone with its last attachment */
};

enum tarn_seal { TARN_SEAL_SHRINK = 1, TARN_SEAL_GROW = 2, TARN_SEAL_SEAL = 4 };

struct tarn_os_shm {
    size_t size; /* sizeof(struct tarn_os_shm) when compiled */

    /* Make a System V segment of len bytes with mode, never by key (seed P7, X7). */
    int (*sysv_get)(const struct tarn_os *os, size_t len, unsigned mode, int noreserve, int *id);
    int (*sysv_attach)(const struct tarn_os *os, int id, int rdonly, void **addr);
    int (*sysv_detach)(const struct tarn_os *os, void *addr);
    int (*sysv_stat)(const struct tarn_os *os, int id, struct tarn_sysv_stat *st);
    int (*sysv_remove)(const struct tarn_os *os, int id);

    /* shm_open(3) and shm_unlink(3): name is "/x"; flags are enum tarn_open_flag. */
    int (*name_open)(const struct tarn_os *os, const char *name, unsigned flags, unsigned mode,
                     tarn_file *out);
    int (*name_unlink)(const struct tarn_os *os, const char *name);

    /* Memory behind a descriptor (memfd_create(2)); huge: 2 MiB pages. */
    int (*mem_create)(const struct tarn_os *os, const char *label, int huge, tarn_file *out);
    int (*seal)(const struct tarn_os *os, tarn_file f, unsigned seals);
};

/* ---- sync ------------------------------------------------------------------------------------ */

#define TARN_FOREVER UINT64_MAX

struct tarn_wait {
    const uint32_t *word; /* in memory that may be shared between processes */
    uint32_t expect;
};

enum tarn_lockop {
    TARN_LOCK_TEST = 1, /* *held: somebody else (not this descriptor) has it */
    TARN_LOCK_TRY = 2,  /* take it, TARN_EBUSY if held */
    TARN_LOCK_WAIT = 3, /* take it, waiting as long as it needs */
    TARN_LOCK_FREE = 4  /* let go */
};

/* A word that the kernel marks when its holder dies; in shared memory, zeroed before first use. */
struct tarn_life {
    uint64_t opaque[8];
};

enum tarn_life_state { TARN_LIFE_FREE = 0, TARN_LIFE_HELD = 1, TARN_LIFE_DIED = 2 };

struct tarn_os_sync {
    size_t size; /* sizeof(struct tarn_os_sync) when compiled */

    /*
     * Sleep while *word == expect, at most timeout (TARN_FOREVER: no limit).  0: woken, or the word
     * differs, or for no reason: look again.  TARN_ETIMEDOUT.  Works between processes.
     */
    int (*wait)(const struct tarn_os *os, const uint32_t *word, uint32_t expect, uint64_t timeout);

    /* Wake up to n sleepers of word. */
    int (*wake)(const struct tarn_os *os, const uint32_t *word, int n);

    /* As wait, on up to 8 words at once. */
    int (*wait_any)(const struct tarn_os *os, const struct tarn_wait *w, int n, uint64_t timeout);

    /*
     * The heavy barrier.  barrier_register makes this process reachable by the barriers of others
     * (again after exec; fork keeps it).  barrier returns when every registered process has passed a
     * full memory barrier since the call began.
     */
    int (*barrier_register)(const struct tarn_os *os);
    int (*barrier)(const struct tarn_os *os);

    /*
     * Byte `byte` of the lock file f, freed by the kernel when the last copy of the descriptor is
     * gone: the authority on who is dead.  held is used by TEST only.
     */
    int (*lock_byte)(const struct tarn_os *os, tarn_file f, uint64_t byte, enum tarn_lockop op,
                     int *held);

    /*
     * The life word: life_take makes and holds it for the calling thread until life_drop or death.
     * While it is held its memory stays mapped where it is, and only the thread that took it may
     * drop it (TARN_EPERM: another one tried, and it is held still);
     * life_look costs a load and is a hint; life_word is the futex to wait on beside another word,
     * after asking for the wake-up by the same call (*expect is the value to wait with).
     */
    int (*life_take)(const struct tarn_os *os, struct tarn_life *life);
    int (*life_drop)(const struct tarn_os *os, struct tarn_life *life);
    int (*life_look)(const struct tarn_os *os, const struct tarn_life *life,
                     enum tarn_life_state *state);
    int (*life_word)(const struct tarn_os *os, struct tarn_life *life, struct tarn_wait *w);
};

/* ---- proc ------------------------------------------------------------------------------------ */

/* Which process, safe against reuse of its number as far as the system can tell. */
struct tarn_procid {
    uint64_t pid;
    uint64_t ns;    /* the namespace that pid belongs to; 0 where there is none */
    uint64_t ino;   /* identity of the process in this boot (pidfs); 0 where there is none */
    uint64_t start; /* when it was started, in ticks of the system; 0 unknown */
};

struct tarn_os_proc {
    size_t size; /* sizeof(struct tarn_os_proc) when compiled */

    /* This process.  Also: its effective user (euid may be NULL). */
    int (*self)(const struct tarn_os *os, struct tarn_procid *id, uint32_t *euid);

    /* The process that has number pid now.  TARN_ENOENT. */
    int (*identity)(const struct tarn_os *os, uint64_t pid, struct tarn_procid *id);

    /*
     * *alive: 1 that very process runs, 0 it is gone or a zombie.  TARN_ENOSYS: cannot be told (it
     * is of another namespace).  No signal is ever sent.
     */
    int (*alive)(const struct tarn_os *os, const struct tarn_procid *id, int *alive);

    /* Have child(arg) called in every child right after fork(2); for the life of the process. */
    int (*on_fork)(const struct tarn_os *os, void (*child)(void *arg), void *arg);

    /* Have fn(arg) called when the calling thread ends; the latest registered runs first. */
    int (*on_thread_exit)(const struct tarn_os *os, void (*fn)(void *arg), void *arg);

    /* Start a thread, and wait for its end. */
    int (*thread_start)(const struct tarn_os *os, void (*fn)(void *arg), void *arg,
                        uintptr_t *thread);
    int (*thread_join)(const struct tarn_os *os, uintptr_t thread);

    /*
     * Run fn(arg) in a child process: what may raise a signal is tried there.  *status is fn's
     * result (0..255), or 256 + the number of the signal that ended it.
     */
    int (*try_in_child)(const struct tarn_os *os, int (*fn)(void *arg), void *arg, int *status);
};

/* ---- misc ------------------------------------------------------------------------------------ */

struct tarn_machine {
    uint8_t machine[16]; /* of the installation or sandbox; zeros: unknown */
    uint8_t boot[16];    /* changes with every start; zeros: unknown */
};

/* What memory is left, each UINT64_MAX where there is no such limit. */
struct tarn_limits {
    uint64_t memory;  /* free memory of the machine */
    uint64_t cgroup;  /* left below the tightest limit of all levels */
    uint64_t address; /* left below RLIMIT_AS */
    uint64_t commit;  /* left under strict overcommit */
};

/* A function of a module; cast to its own type before the call. */
typedef void *tarn_symbol;

struct tarn_os_misc {
    size_t size; /* sizeof(struct tarn_os_misc) when compiled */

    /* As in C, but len 0 counts as 1, and no memory is TARN_ENOMEM (seed O3).  malloc, realloc and
     * free belong together: a table that brings one must bring all three. */
    int (*malloc)(const struct tarn_os *os, size_t len, void **out);
    int (*realloc)(const struct tarn_os *os, void *old, size_t len, void **out);
    void (*free)(const struct tarn_os *os, void *p);

    int (*sleep)(const struct tarn_os *os, uint64_t ns);
    int (*yield)(const struct tarn_os *os);

    /* A clock that never goes back, in ns; wall: ns since 1970. */
    int (*clock)(const struct tarn_os *os, int wall, uint64_t *ns);
    int (*random)(const struct tarn_os *os, void *buf, size_t len);

    /*
     * The value of an environment variable, owned by the system; *value is NULL if it is not set,
     * or empty, or the process is set-uid or set-gid.
     */
    int (*getenv)(const struct tarn_os *os, const char *name, const char **value);

    int (*boot_id)(const struct tarn_os *os, struct tarn_machine *id);
    int (*page_size)(const struct tarn_os *os, size_t *bytes);
    int (*cpus)(const struct tarn_os *os, unsigned *n);
    int (*limits)(const struct tarn_os *os, struct tarn_limits *out);

    /*
     * Load the module at path, local symbols only; it stays until the process ends.  Refused
     * (TARN_EPERM, last_error says which) if the file or its directory may be written by group or
     * others or belongs neither to root nor to the effective user.  TARN_ENOENT: no such file.
     */
    int (*module_open)(const struct tarn_os *os, const char *path, void **module);

    /* TARN_ENOENT: it has no such symbol. */
    int (*module_symbol)(const struct tarn_os *os, void *module, const char *name,
                         tarn_symbol *symbol);

    /* The number and the words of the system's last error in this thread, for messages. */
    int (*last_error)(const struct tarn_os *os, int *number, char *text, size_t len);
};

/* ---- the table ------------------------------------------------------------------------------- */

/*
 * In an override a NULL group, and a NULL slot in a group, keep what is below.  A group is read up
 * to its `size`, so that a table compiled against an older Tarn goes on working.
 */
struct tarn_os {
    size_t size;                 /* sizeof(struct tarn_os) when compiled */
    const char *name;            /* "linux", "fault"; static storage */
    void *ctx;                   /* the table's own */
    const struct tarn_os *below; /* filled in by tarn_os_stack(); NULL at the bottom */
    const struct tarn_os_file *file;
    const struct tarn_os_map *map;
    const struct tarn_os_shm *shm;
    const struct tarn_os_sync *sync;
    const struct tarn_os_proc *proc;
    const struct tarn_os_misc *misc;
};

/*
 * The table that environments of this process start from: the platform's, under the process-wide
 * override if there is one, under the shims that TARN_OS asks for.  Made once, at the first use; a
 * bad TARN_OS is reported by tarn_env_open(), and the shims are then left out.
 */
TARN_API const struct tarn_os *tarn_os_host(void);

/* The platform's own table, with nothing above it. */
TARN_API const struct tarn_os *tarn_os_platform(void);

/*
 * Override slots for the whole process.  over and what it points to must live as long as the
 * process.  TARN_EBUSY after the first use of tarn_os_host(); TARN_EINVAL as tarn_os_stack().
 */
TARN_API int tarn_os_override(const struct tarn_os *over);

/*
 * A new table: over's slots, and below's where over has none.  It refers to both, which must live
 * longer.  Freed by tarn_os_unstack().
 *
 * What belongs together is derived.  An over that brings read, write or seek and leaves pread,
 * pwrite, preadv or pwritev NULL gets these made from its own seek and read or write, one call at a
 * time per file (seed O8).  TARN_EINVAL: malloc, realloc and free not all three; or an override
 * that replaces open without close.
 *
 * barrier, wait, wake, lock_byte, alive and fileid are what other processes rely on: wrap them
 * (call down), do not replace them.
 */
TARN_API int tarn_os_stack(const struct tarn_os *below, const struct tarn_os *over,
                           struct tarn_os **out);
TARN_API void tarn_os_unstack(struct tarn_os *os);

/*
 * The directory for temporary files: what TMPDIR, TEMP, TMP or TempFolder names, the first of them
 * that is set (none is in a set-uid process); else the first that is there of /var/tmp, /usr/tmp,
 * /temp, /tmp, C:/temp and C:/tmp.  path: len bytes for it.  TARN_ENOENT: what the variable names is
 * no directory, or none of the others is there; TARN_EINVAL: longer than len.  (seed O14, X12)
 */
TARN_API int tarn_os_tmpdir(const struct tarn_os *os, char *path, size_t len);

/*
 * Stack shims by name: "trace", "fault:SLOT:N:ERROR[:once|always|short]", separated by commas, the
 * leftmost on top.  trace prints one line per call to standard error; fault lets call N of SLOT
 * ("pwrite", "file.pwrite"; "*" any) fail with ERROR ("ENOSPC"), or write only half (short).
 * TARN_EINVAL names the word that is wrong.  Undone by tarn_os_unstack(), which takes off all that
 * one call has stacked.
 */
TARN_API int tarn_os_shims(const struct tarn_os *below, const char *spec, struct tarn_os **out);

#ifdef __cplusplus
}
#endif

#endif /* TARN_OS_H */
