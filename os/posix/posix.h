/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of any POSIX.1-2008 system, and what other ports take from it.
 *
 * Each slot is posix_<group>_<slot>, so that a port puts the ones it wants into its own tables.
 * What POSIX has no promise for is absent: unnamed files, noreplace, holes, populate, memfd, the
 * barrier, the life word.  Waiting is polling, and lock bytes are the process's (see sync.c).
 */
#ifndef TARN_OS_POSIX_H
#define TARN_OS_POSIX_H

#include "os/slots.h"

#define POSIX_INT(group, name, params, ...)  int posix_##group##_##name params;
#define POSIX_VOID(group, name, params, ...) void posix_##group##_##name params;
SLOTS(POSIX_INT, POSIX_INT, POSIX_VOID)
#undef POSIX_INT
#undef POSIX_VOID

#define POSIX_GROUP(group) extern const struct tarn_os_##group posix_##group;
SLOT_GROUPS(POSIX_GROUP)
#undef POSIX_GROUP

extern const struct tarn_os posix_table;

/* The enum tarn_err of a number of errno, which becomes the last error of this thread. */
int posix_error(int number);

/* posix_error(errno). */
int posix_failed(void);

/* err, with words of our own as the last error of this thread; errno's number is 0. */
int posix_refused(int err, const char *fmt, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

struct stat;
void posix_fill_stat(const struct stat *from, struct tarn_stat *to);

/* off and len as the off_t that the system takes.  TARN_EINVAL if they do not fit. */
int posix_range(uint64_t off, uint64_t len);

/* TARN_EINVAL if the request breaks the contract of map->map. */
int posix_check_map(const struct tarn_map_request *req);

struct timespec;
struct timespec posix_timespec(uint64_t ns);

/* How open(2), shm_open(3) and their like are called. */
typedef int posix_opener(const char *path, int flags, unsigned mode);

/*
 * Open as file->open says; the mode of a file that is made is exact, and made is told from found.
 */
int posix_open_exact(posix_opener *open_path, posix_opener *unlink_path, const char *path,
                     unsigned flags, unsigned mode, tarn_file *out);

#endif
