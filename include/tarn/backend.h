/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of a memory backend: where the bytes of a region come from.
 *
 * A backend is one file.  It is built as a module tarn_backend_<name>.so that exports one constant,
 * `const struct tarn_backend tarn_backend_<name>`, or the same file is linked into the library.
 * It calls nothing but the slots of the OS table that it is given, and the C runtime's mem* and
 * str*; so one source serves every platform.
 *
 * The region decides who makes, joins and removes, and writes the descriptor; a backend only makes
 * memory, finds it again by a small id, and gives it back.
 */
#ifndef TARN_BACKEND_H
#define TARN_BACKEND_H

#include <tarn/os.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when this file changes so that an older module would not work. */
#define TARN_BACKEND_ABI 1u

enum tarn_cap {
    TARN_CAP_SHARED = 0x01,   /* another process may attach by the id */
    TARN_CAP_FORK = 0x02,     /* children made by fork share it, others cannot */
    TARN_CAP_NAMED = 0x04,    /* leaves something behind that `remove` must remove */
    TARN_CAP_GROWS = 0x08,    /* grow and shrink work, inside the reserve */
    TARN_CAP_SURVIVES = 0x10, /* the bytes are there after a reboot */
    TARN_CAP_HUGE = 0x20,     /* made of huge pages */
    TARN_CAP_SEALED = 0x40    /* cannot be shortened under others */
};

/* What a backend writes down to find a segment again: its own business, copied byte by byte. */
#define TARN_SEGMENT_ID_MAX 240
struct tarn_segment_id {
    uint32_t len; /* bytes used */
    uint8_t bytes[TARN_SEGMENT_ID_MAX];
};

/* A segment as this process has it mapped. */
struct tarn_segment {
    void *base;       /* page aligned */
    uint64_t size;    /* bytes committed at creation; 0 after attach, the region's header knows */
    uint64_t reserve; /* bytes of address space from base; size <= reserve */
    void *priv;       /* the backend's own; freed by its detach */
};

/* What is asked for.  home, dir, name and uuid are given to every call on the segment. */
struct tarn_segment_request {
    const char *home; /* the environment's directory; NULL for a private region */
    const char *dir;  /* where a file may be put: TARN_REGION_DIR, else home */
    const char *name; /* the region's name, for file names and messages */
    uint8_t uuid[16]; /* of the region; makes file names unique */
    uint64_t size;    /* bytes to commit, a multiple of the page size */
    uint64_t reserve; /* bytes of address space wished for, >= size */
    uint32_t mode;    /* permission bits, 0777 */
    uint32_t shared;  /* unrelated processes must be able to attach; 0 if children by fork do */
};

/* One call into a backend: what it may use, and where it says why it failed. */
struct tarn_backend_call {
    const struct tarn_os *os;
    /* Keep a reason (printf-like: %s %d %u %x %llu); the last one said counts.  Never NULL. */
    void (*say)(struct tarn_backend_call *call, const char *fmt, ...);
    char why[256];
};

/* What a probe found. */
struct tarn_probe {
    uint64_t avail; /* bytes that could be had now; UINT64_MAX unknown */
    char where[64]; /* file system type, or what memory it is */
    char note[160]; /* what the user should know although it works; "" nothing */
};

/*
 * No slot is NULL: what a backend cannot do is a function that returns TARN_ENOSYS.  Capabilities
 * that exclude each other (SHARED and FORK, SURVIVES without NAMED) are refused when it is loaded.
 */
struct tarn_backend {
    size_t size;         /* sizeof(struct tarn_backend) when compiled */
    uint32_t abi;        /* TARN_BACKEND_ABI when compiled */
    uint32_t caps;       /* enum tarn_cap */
    const char *name;    /* "mmap": unique, [a-z0-9_]{1,15} */
    const char *summary; /* one line for `tarn backends` */

    /*
     * Could this backend serve req here and now?  0, or why not (and say() it), with nothing left
     * behind.  found may be filled in either way.
     */
    int (*probe)(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                 struct tarn_probe *found);

    /*
     * Make a zeroed segment, map it, fill in *id and *seg.  Bytes [0, req->size) are committed: no
     * later write to them can fail.  A reserve that is refused is halved, down to size; seg->reserve
     * is what was got.  On failure nothing is left behind.
     */
    int (*create)(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                  struct tarn_segment_id *id, struct tarn_segment *seg);

    /*
     * Map the segment that id names, all reserve bytes of it (the creator's seg->reserve); read-only
     * if rdonly.  TARN_ENOENT: it is gone.  Any other error: it is there and this process may not or
     * cannot map it; nobody may conclude that it is gone (seed X8).
     */
    int (*attach)(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                  const struct tarn_segment_id *id, uint64_t reserve, int rdonly,
                  struct tarn_segment *seg);

    /*
     * Commit bytes [off, off+len) of the reserve, which read as zeros then.  TARN_ENOSPC or
     * TARN_ENOMEM: nothing has changed.  All processes that have it attached reach the bytes at
     * once.  Called under a lock of the region.  TARN_ENOSYS without TARN_CAP_GROWS.
     */
    int (*grow)(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                uint64_t len);

    /* Give the bytes [off, off+len) back; the address range stays. */
    int (*shrink)(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                  uint64_t len);

    /* Unmap; other processes keep theirs.  *seg is zeroed, also on error. */
    int (*detach)(struct tarn_backend_call *call, struct tarn_segment *seg);

    /*
     * Remove what stands behind id; processes that have it attached keep it until they detach.  What
     * is gone already is no error.
     */
    int (*remove)(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                  const struct tarn_segment_id *id);

    /* One line about the segment for `tarn stat` ("file /dev/shm/x.mem"), always terminated. */
    int (*describe)(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                    const struct tarn_segment_id *id, char *text, size_t len);
};

#ifdef __cplusplus
}
#endif

#endif /* TARN_BACKEND_H */
