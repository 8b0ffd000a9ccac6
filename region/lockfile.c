/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte 0.
 *
 *     open NAME.lock --> byte 0 --> is NAME.lock still this file? -- yes --> hold it, work
 *          ^                                   |
 *          +------------- close <------ no ----+
 *
 * Rules
 *   1. Publishing, joining, re-creating and removing a region happen under byte 0 of the file that
 *      the name means while byte 0 is held.
 *   2. The name is taken away only by who holds byte 0.  So whoever gets byte 0 of a file that has
 *      lost its name meanwhile sees it, and starts again with the new one.
 *   3. The kernel lets go of the bytes of a process that dies; nobody else ever does.
 *
 * tests/test_region.c: two makers, removal under a join.
 */
#include "region/lockfile.h"

#include <string.h>

#define STEP_FIRST 1000000ull /* ns */
#define STEP_LAST  10000000ull

void patience_begin(const struct tarn_env *env, struct patience *p)
{
    p->step = STEP_FIRST;
    p->begun = 0;
    (void)env->os->misc->clock(env->os, 0, &p->begun);
}

bool patience_more(const struct tarn_env *env, struct patience *p)
{
    uint64_t now;

    if (env->os->misc->clock(env->os, 0, &now) != TARN_OK ||
        now - p->begun >= PATIENCE_SECONDS * 1000000000ull ||
        env->os->misc->sleep(env->os, p->step) != TARN_OK)
        return false;
    p->step = p->step * 2 < STEP_LAST ? p->step * 2 : STEP_LAST;
    return true;
}

bool lockfile_is(const struct lockfile *lock, const struct tarn_fileid *id)
{
    return lock->id.dev == id->dev && lock->id.ino == id->ino && lock->id.birth == id->birth;
}

static int fail(const struct tarn_env *env, const struct tarn_env_sink *sink, int err,
                const char *doing, const char *path)
{
    struct env_reason reason;

    return tarn_fail(sink, err, "%s: cannot %s: %s", path, doing, env_reason(env->os, &reason));
}

/* Does the name still mean the open file? */
static int still_named(const struct tarn_env *env, const struct tarn_env_sink *sink,
                       const char *path, const struct lockfile *lock, bool *same)
{
    const struct tarn_os *os = env->os;
    struct lockfile now;
    int err = os->file->open(os, path, TARN_OPEN_RDONLY | TARN_OPEN_NOFOLLOW, 0, &now.file);

    if (err == TARN_ENOENT) {
        *same = false;
        return TARN_OK;
    }
    if (err != TARN_OK)
        return fail(env, sink, err, "open", path);
    err = os->file->fileid(os, now.file, &now.id);
    if (err != TARN_OK)
        err = fail(env, sink, err, "identify", path);
    else
        *same = lockfile_is(&now, &lock->id);
    (void)os->file->close(os, now.file);
    return err;
}

/* One try.  TARN_EBUSY: another has byte 0; TARN_EAGAIN: the name moved on. */
static int take_once(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *path,
                     uint32_t mode, struct lockfile *lock)
{
    const struct tarn_os *os = env->os;
    bool same = false;
    int err = os->file->open(os, path, TARN_OPEN_CREATE | TARN_OPEN_NOFOLLOW, mode, &lock->file);

    if (err != TARN_OK)
        return fail(env, sink, err, "open", path);
    if ((err = env_trust(env, sink, lock->file, path, mode | 0600, 1)) != TARN_OK) {
        struct tarn_stat st; /* a name that is gone by now is no reason to complain */

        if (os->file->ioinfo(os, lock->file, &st) == TARN_OK && st.nlink == 0)
            err = TARN_EAGAIN;
    } else if ((err = os->file->fileid(os, lock->file, &lock->id)) != TARN_OK) {
        err = fail(env, sink, err, "identify", path);
    } else {
        err = os->sync->lock_byte(os, lock->file, 0, TARN_LOCK_TRY, NULL);
        if (err != TARN_OK && err != TARN_EBUSY)
            err = fail(env, sink, err, "lock a byte of", path);
        if (err == TARN_OK && (err = still_named(env, sink, path, lock, &same)) == TARN_OK && !same)
            err = TARN_EAGAIN;
    }
    if (err != TARN_OK)
        (void)os->file->close(os, lock->file);
    return err;
}

int lockfile_take(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                  uint32_t mode, struct patience *p, struct lockfile *out)
{
    char path[ENV_PATH_MAX];
    struct lockfile lock;
    int err = env_path(env, sink, name, LOCKFILE_SUFFIX, path);

    if (err != TARN_OK)
        return err;
    for (;;) {
        err = take_once(env, sink, path, mode, &lock);
        if (err == TARN_OK) {
            *out = lock;
            return TARN_OK;
        }
        if (err != TARN_EBUSY && err != TARN_EAGAIN)
            return err;
        if (p == NULL || !patience_more(env, p))
            return tarn_fail(sink, TARN_EAGAIN,
                             "region %s: is being made, joined or removed by another process: try "
                             "again",
                             name);
    }
}

void lockfile_release(const struct tarn_env *env, const struct lockfile *lock)
{
    (void)env->os->sync->lock_byte(env->os, lock->file, 0, TARN_LOCK_FREE, NULL);
}

void lockfile_close(const struct tarn_env *env, struct lockfile *lock)
{
    (void)env->os->file->close(env->os, lock->file);
    lock->file = TARN_NO_FILE;
}

int lockfile_remove(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                    struct lockfile *lock)
{
    char path[ENV_PATH_MAX];
    int err = env_path(env, sink, name, LOCKFILE_SUFFIX, path);

    if (err == TARN_OK && (err = env->os->file->unlink(env->os, path)) == TARN_ENOENT)
        err = TARN_OK;
    if (err != TARN_OK)
        err = fail(env, sink, err, "remove", path);
    lockfile_close(env, lock);
    return err;
}

uint32_t lockfile_count(const struct tarn_env *env, const struct lockfile *lock, uint32_t rows)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rows; i++) {
        int held;

        n += env->os->sync->lock_byte(env->os, lock->file, 1 + (uint64_t)i, TARN_LOCK_TEST,
                                      &held) != TARN_OK ||
             held;
    }
    return n;
}

int lockfile_peek(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                  struct lockfile *out)
{
    char path[ENV_PATH_MAX];
    struct lockfile lock;
    int err = env_path(env, sink, name, LOCKFILE_SUFFIX, path);

    if (err != TARN_OK)
        return err;
    err = env->os->file->open(env->os, path, TARN_OPEN_RDONLY | TARN_OPEN_NOFOLLOW, 0, &lock.file);
    if (err == TARN_ENOENT)
        return err;
    if (err != TARN_OK)
        return fail(env, sink, err, "open", path);
    err = env->os->file->fileid(env->os, lock.file, &lock.id);
    if (err != TARN_OK) {
        (void)env->os->file->close(env->os, lock.file);
        return fail(env, sink, err, "identify", path);
    }
    *out = lock;
    return TARN_OK;
}
