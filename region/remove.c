/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a region away.
 *
 *     byte 0 --> anybody alive? -- no --> mark the memory GONE --> memory --> descriptor --> lock file
 *
 * A death on the way leaves a descriptor whose memory says GONE or is not there; the next who wants
 * the name, or removes it, finds nobody attached and goes on from there.
 *
 * By force, nothing is waited for and nothing is attached: the names go, those who have the memory
 * mapped keep it.  Byte 0 is tried; if somebody has it, the lock file stays, since only who holds
 * byte 0 may take that away.
 */
#include <string.h>

#include "backends/call.h"
#include "region/region.h"
#include "region/rows.h"
#include "region/sizes.h"

static bool zeros(const uint8_t id[16])
{
    static const uint8_t none[16];

    return memcmp(id, none, sizeof(none)) == 0;
}

/* Is it memory that only children by fork share?  It is there as long as one of them lives. */
static bool by_fork(const struct tarn_env *env, const struct descriptor *d)
{
    const struct tarn_backend *backend;
    char why[256];

    return choose_by_name(env->os, d->backend, &backend, why, sizeof(why)) == TARN_OK &&
           (backend->caps & TARN_CAP_SHARED) == 0;
}

enum region_age region_age(const struct tarn_env *env, const struct descriptor *d,
                           const struct lockfile *lock)
{
    struct tarn_machine now = { { 0 }, { 0 } };

    (void)env->os->misc->boot_id(env->os, &now);
    if (!zeros(d->machine) && !zeros(now.machine) &&
        memcmp(d->machine, now.machine, sizeof(now.machine)) != 0)
        return AGE_ELSEWHERE;
    if (!zeros(d->boot) && !zeros(now.boot) && memcmp(d->boot, now.boot, sizeof(now.boot)) == 0) {
        if (!by_fork(env, d) || !lockfile_is(lock, &d->lock))
            return AGE_NOW;
        return lockfile_count(env, lock, sizes_rows(d->max_procs)) == 0 ? AGE_GONE : AGE_NOW;
    }
    return lockfile_count(env, lock, sizes_rows(d->max_procs)) == 0 ? AGE_GONE : AGE_ELSEWHERE;
}

void region_give_up(const struct tarn_env *env, const char *name, struct lockfile *lock)
{
    char path[ENV_PATH_MAX];

    if (env_path(env, NULL, name, DESCRIPTOR_SUFFIX, path) == TARN_OK &&
        env->os->file->exists(env->os, path, NULL) == TARN_ENOENT)
        (void)lockfile_remove(env, NULL, name, lock);
    else
        lockfile_close(env, lock);
}

/* What stands behind d; what is gone already is no error. */
static int remove_memory(const struct tarn_env *env, const struct tarn_env_sink *sink,
                         const struct descriptor *d)
{
    struct tarn_segment_request req;
    const struct tarn_backend *backend;
    struct tarn_backend_call call;
    char why[512];
    int err = choose_by_name(env->os, d->backend, &backend, why, sizeof(why));

    if (err != TARN_OK)
        return tarn_fail(sink, err, "region %s: backend %s: %s", d->name, d->backend, why);
    memset(&req, 0, sizeof(req));
    req.home = env->home;
    req.dir = env->dir;
    req.name = d->name;
    req.size = d->committed;
    req.reserve = d->reserve;
    req.mode = d->mode;
    req.shared = 1;
    memcpy(req.uuid, d->uuid, sizeof(req.uuid));
    call_init(&call, env->os);
    err = backend->remove(&call, &req, &d->id);
    if (err != TARN_OK)
        return tarn_fail(sink, err, "region %s: cannot remove its memory (%s): %s", d->name,
                         d->backend, call_why(&call, err));
    return TARN_OK;
}

int region_clear(const struct tarn_env *env, const struct tarn_env_sink *sink,
                 const struct descriptor *d)
{
    int err = remove_memory(env, sink, d);

    return err != TARN_OK ? err : descriptor_remove(env, sink, d->name);
}

/* How many processes other than the one that looks are attached. */
static uint32_t living(struct tarn_region *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->header->max_procs; i++) {
        uint32_t gen;

        n += rows_in_use(r, i, &gen) && rows_alive(r, i, gen);
    }
    return n;
}

static int in_use(const struct tarn_env_sink *sink, const struct descriptor *d, uint32_t n)
{
    return tarn_fail(sink, TARN_EBUSY,
                     "region %s: %u processes are attached: let them detach, or remove it by force",
                     d->name, n);
}

/* With byte 0 held and no row of ours: mark the memory, if nobody has it. */
static int mark_gone(const struct tarn_env *env, const struct tarn_env_sink *sink,
                     const struct descriptor *d, const struct lockfile *lock)
{
    struct tarn_region r;
    bool removed = false;
    uint32_t n;
    int err;

    memset(&r, 0, sizeof(r));
    r.env = (struct tarn_env *)(uintptr_t)env; /* only looked at */
    r.os = env->os;
    r.sink = sink;
    r.lock_file = lock->file;
    r.row = UINT32_MAX;
    r.mode = d->mode;
    memcpy(r.name, d->name, sizeof(d->name));
    err = region_map(&r, d, &removed);
    if (err == TARN_ENOSYS && by_fork(env, d)) /* of others: it would be gone if nobody had it */
        return in_use(sink, d, lockfile_count(env, lock, sizes_rows(d->max_procs)));
    if (err != TARN_OK)
        return err == TARN_ENOENT ? TARN_OK : err;
    n = removed ? 0 : living(&r);
    if (n == 0)
        atomic_store(&r.header->magic, REGION_GONE);
    else
        err = in_use(sink, d, n);
    region_unmap(&r);
    return err;
}

/* With byte 0 held. */
static int remove_unused(const struct tarn_env *env, const struct tarn_env_sink *sink,
                         const char *name, const uint8_t *uuid, const struct lockfile *lock)
{
    struct descriptor d;
    int err = descriptor_read(env, sink, name, &d);

    if (err == TARN_OK && uuid != NULL && memcmp(uuid, d.uuid, sizeof(d.uuid)) != 0)
        err = TARN_ENOENT;
    if (err == TARN_ENOENT)
        return tarn_fail(sink, err, "region %s: there is none in %s", name, env->home);
    if (err != TARN_OK)
        return err;
    switch (region_age(env, &d, lock)) {
    case AGE_ELSEWHERE:
        return tarn_fail(sink, TARN_EBUSY,
                         "region %s: in use from another machine; if that is not so, remove it by "
                         "force",
                         name);
    case AGE_GONE:
        break;
    case AGE_NOW:
        if (!lockfile_is(lock, &d.lock))
            return tarn_fail(sink, TARN_EBUSY,
                             "region %s: its lock file is not the one it was made with, so nobody "
                             "can tell whether it is in use: remove it by force",
                             name);
        if ((err = mark_gone(env, sink, &d, lock)) != TARN_OK)
            return err;
        break;
    }
    return region_clear(env, sink, &d);
}

/* uuid: of the very region that is meant; NULL: whichever has the name. */
static int remove_politely(const struct tarn_env *env, const struct tarn_env_sink *sink,
                           const char *name, const uint8_t *uuid)
{
    struct patience patience;
    struct descriptor d;
    struct lockfile lock;
    int err = descriptor_read(env, sink, name, &d);

    if (err == TARN_ENOENT)
        return tarn_fail(sink, err, "region %s: there is none in %s", name, env->home);
    if (err != TARN_OK)
        return err;
    patience_begin(env, &patience);
    if ((err = lockfile_take(env, sink, name, d.mode, &patience, &lock)) != TARN_OK)
        return err;
    err = remove_unused(env, sink, name, uuid, &lock);
    if (err == TARN_OK)
        return lockfile_remove(env, sink, name, &lock);
    region_give_up(env, name, &lock);
    return err;
}

/*
 * The names go in the order memory, descriptor, so that memory without a descriptor is left only where
 * the descriptor says nothing that can be used: it is damaged, of another format, or forged.  One that
 * cannot be read for a reason of this process's own is left alone.
 */
static int remove_names(const struct tarn_env *env, const struct tarn_env_sink *sink,
                        const char *name)
{
    struct descriptor d;
    int err = descriptor_read(env, sink, name, &d);

    if (err == TARN_OK)
        err = remove_memory(env, sink, &d);
    else if (err == TARN_ENOENT || err == TARN_ECORRUPT || err == TARN_EVERSION ||
             err == TARN_EPERM)
        err = TARN_OK;
    return err != TARN_OK ? err : descriptor_remove(env, sink, name);
}

static int remove_by_force(const struct tarn_env *env, const struct tarn_env_sink *sink,
                           const char *name)
{
    struct lockfile lock;
    int locked = lockfile_take(env, NULL, name, 0600, NULL, &lock);
    int err = remove_names(env, sink, name);

    if (locked != TARN_OK)
        return err;
    if (err == TARN_OK)
        return lockfile_remove(env, sink, name, &lock);
    region_give_up(env, name, &lock);
    return err;
}

/* Messages are kept until no byte is held. */
struct kept {
    char text[FAIL_TEXT_MAX];
};

static void keep_message(void *ctx, int err, const char *prefix, const char *text)
{
    struct kept *kept = ctx;

    (void)err;
    (void)prefix;
    memcpy(kept->text, text, strlen(text) + 1);
}

int tarn_region_remove(tarn_env *env, const char *name, unsigned flags)
{
    struct kept kept = { "" };
    struct tarn_env_sink sink = { keep_message, &kept, NULL };
    int err;

    if (env == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "region: the environment is NULL");
    if ((err = region_check_name(&env->sink, name)) != TARN_OK)
        return err;
    if ((flags & ~(unsigned)TARN_REMOVE_FORCE) != 0)
        return tarn_fail(&env->sink, TARN_EINVAL, "region %s: unknown flags 0x%x", name, flags);
    if (env->home == NULL)
        return tarn_fail(&env->sink, TARN_EINVAL,
                         "region %s: a private environment has no regions to remove", name);
    err = flags & TARN_REMOVE_FORCE ? remove_by_force(env, &sink, name)
                                    : remove_politely(env, &sink, name, NULL);
    return err == TARN_OK ? err : tarn_fail(&env->sink, err, "%s", kept.text);
}

int region_remove_last(struct tarn_region *r)
{
    struct kept kept = { "" };
    struct tarn_env_sink sink = { keep_message, &kept, NULL };
    int err = remove_politely(r->env, &sink, r->name, r->header->uuid);

    if (err == TARN_OK || err == TARN_EBUSY || err == TARN_ENOENT)
        return TARN_OK; /* others are attached, or somebody was faster */
    return tarn_fail(&r->env->sink, err, "%s", kept.text);
}
