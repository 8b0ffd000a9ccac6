/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tarn: shared memory that programs can rely on.
 *
 * This header holds what every other one needs: the errors, the version, offsets.  Include the
 * header of the floor that you use; each includes those below it.
 *
 *   mpool.h    a page cache over files that several processes share
 *   region.h   named shared memory that several processes create, join and remove
 *   backend.h  the contract of a memory backend (a plugin)
 *   os.h       the operating system as a table of functions, and how to override it
 *
 * Rules that hold for every function of Tarn, said once:
 *   - The return value is 0 or a negative enum tarn_err, unless the comment says otherwise.
 *   - Results go through pointers, and these are written only on success.
 *   - Sizes and offsets are bytes, durations are nanoseconds.
 *   - A handle may be used by all threads of the process at once, unless the comment says otherwise.
 *   - Nothing aborts and nothing prints.  An error leaves a message that names the thing, the
 *     operation, the numbers and the way out; tarn_last_message() has it, and so has the callback
 *     of the environment.
 *   - A configuration structure starts with its own size (its _INIT macro fills it); 0 or NULL in a
 *     field means the default.  A longer structure than this library knows is accepted if its
 *     unknown tail is zero, else TARN_EVERSION.
 *   - In a child after fork(2) every handle of the parent reports TARN_EFORK until
 *     tarn_env_reattach(); exec(2) is a death.  No function is async-signal-safe.
 */
#ifndef TARN_TARN_H
#define TARN_TARN_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define TARN_API
#else
#define TARN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_VERSION_MAJOR 0
#define TARN_VERSION_MINOR 1
#define TARN_VERSION_PATCH 0

/*
 * X(name, number, text): the one list from which enum, name and text come.  Numbers are never
 * reused and never change.
 */
#define TARN_ERRORS(X)                                                                             \
    X(EINVAL, -1, "invalid argument")                                                              \
    X(ENOMEM, -2, "out of memory or address space")                                                \
    X(ENOENT, -3, "no such file, region, page or backend")                                         \
    X(EEXIST, -4, "already exists")                                                                \
    X(EACCES, -5, "permission denied")                                                             \
    X(EPERM, -6, "operation not permitted")                                                        \
    X(EMFILE, -7, "too many open files")                                                           \
    X(EBUSY, -8, "in use")                                                                         \
    X(ENOSPC, -9, "no space left")                                                                 \
    X(EIO, -10, "input or output error")                                                           \
    X(ENOSYS, -11, "this platform or backend has no such operation")                               \
    X(EAGAIN, -12, "temporarily unavailable, try again")                                           \
    X(ETIMEDOUT, -13, "timed out")                                                                 \
    X(EDEADLK, -14, "would wait for itself")                                                       \
    X(EROFS, -15, "read-only file system")                                                         \
    X(ECORRUPT, -16, "stored data fails its check")                                                \
    X(EVERSION, -17, "made by an incompatible version")                                            \
    X(EOWNERDEAD, -18, "the previous owner died holding it")                                       \
    X(EINCOMPLETE, -19, "not everything could be done, call again")                                \
    X(ERUNRECOVERY, -20, "the region is in panic: remove it and create it again")                  \
    X(EFORK, -21, "handle of the parent process: call tarn_env_reattach")                          \
    X(ESUSPECT, -22, "a process died while it could write here")

enum tarn_err {
    TARN_OK = 0,
#define TARN_X(name, number, text) TARN_##name = number,
    TARN_ERRORS(TARN_X)
#undef TARN_X
};

/* The text of err in static storage; "unknown error" for a number that is not one of ours. */
TARN_API const char *tarn_strerror(int err);

/* The name of err ("TARN_EBUSY") in static storage; "TARN_UNKNOWN" for a number that is not ours. */
TARN_API const char *tarn_err_name(int err);

/*
 * The message of the last error that a call of this thread met, whole, as the callback would get
 * it; "" if there was none.  Valid until this thread calls Tarn again.
 */
TARN_API const char *tarn_last_message(void);

/* "0.1.0", the version of the library that is linked, in static storage. */
TARN_API const char *tarn_version(void);

/* A place in a region, counted from its base; 0 is "none".  The same in every process. */
typedef uint64_t tarn_off;

/* A page number within a file; the first page is 0.  Numbers up to TARN_PGNO_MAX are usable. */
typedef uint64_t tarn_pgno;
#define TARN_PGNO_MAX ((tarn_pgno)0xfffffffffffULL) /* 44 bits */

#ifdef __cplusplus
}
#endif

#endif /* TARN_TARN_H */
