/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock file home/NAME.lock: byte 0 for who makes, joins or removes the region, byte 1 + row for
 * each participant.  Every attach opens it for itself, so that bytes belong to the attach.
 */
#ifndef REGION_LOCKFILE_H
#define REGION_LOCKFILE_H

#include "region/env.h"

#define LOCKFILE_SUFFIX ".lock"

/* How long a call waits for others who make or remove the region. */
struct patience {
    uint64_t begun, step;
};

enum { PATIENCE_SECONDS = 20 };

void patience_begin(const struct tarn_env *env, struct patience *p);

/* Sleep a little; false: the time is up. */
bool patience_more(const struct tarn_env *env, struct patience *p);

struct lockfile {
    tarn_file file;
    struct tarn_fileid id;
};

/*
 * Open the lock file of region name, making it with mode, and take byte 0.  TARN_EAGAIN: somebody has
 * had it until the patience was over; p NULL: does not wait.  On success the file is the one that the
 * name means, and stays so until byte 0 is let go.
 */
int lockfile_take(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                  uint32_t mode, struct patience *p, struct lockfile *out);

/* Let byte 0 go; participants' bytes stay. */
void lockfile_release(const struct tarn_env *env, const struct lockfile *lock);

/* Close, and with it let go of all bytes. */
void lockfile_close(const struct tarn_env *env, struct lockfile *lock);

/* With byte 0 held: remove the name, then close. */
int lockfile_remove(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                    struct lockfile *lock);

/* How many participants' bytes [1, 1 + rows) others hold. */
uint32_t lockfile_count(const struct tarn_env *env, const struct lockfile *lock, uint32_t rows);

/* Open for questions only; TARN_ENOENT. */
int lockfile_peek(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                  struct lockfile *out);

/* Is it the file that a descriptor names? */
bool lockfile_is(const struct lockfile *lock, const struct tarn_fileid *id);

#endif
