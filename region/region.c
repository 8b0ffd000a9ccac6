/* SPDX-License-Identifier: BSD-2-Clause */
/* A region as this process has it: mapped, used, detached. */
#include "region/region.h"

#include <string.h>

#include "backends/call.h"
#include "region/own.h"
#include "region/pin.h"
#include "region/process.h"
#include "region/reap.h"
#include "region/rows.h"
#include "region/sizes.h"

int region_check_name(const struct tarn_env_sink *sink, const char *name)
{
    size_t len = name == NULL ? 0 : strlen(name);

    if (len == 0 || len > 64)
        return tarn_fail(sink, TARN_EINVAL, "region: a name has 1 to 64 bytes, not %zu", len);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return tarn_fail(
                sink, TARN_EINVAL,
                "region %s: byte 0x%02x at %zu cannot be in a name: letters, digits, . _ "
                "- can",
                name, (unsigned char)c, i);
    }
    return TARN_OK;
}

int region_check(const struct tarn_region *region)
{
    if (atomic_load_explicit(&region->forked, memory_order_relaxed))
        return tarn_fail(region->sink, TARN_EFORK,
                         "region %s: the handle is the parent process's: call tarn_env_reattach",
                         region->name);
    if (atomic_load_explicit(&region->header->panic, memory_order_relaxed) != 0)
        return tarn_fail(region->sink, TARN_ERUNRECOVERY,
                         "region %s: is in panic: remove it and create it again", region->name);
    return TARN_OK;
}

/* ---- memory -------------------------------------------------------------------------------------- */

void region_request(const struct tarn_region *r, struct tarn_segment_request *req)
{
    memset(req, 0, sizeof(*req));
    req->home = r->private_ ? NULL : r->env->home;
    req->dir = r->private_ ? NULL : r->env->dir;
    req->name = r->private_ ? NULL : r->name;
    req->mode = r->mode;
    req->shared = !r->private_;
}

/* The header is another process's to write: what is checked is a copy of what never changes. */
static int check_header(const struct tarn_region *r, const struct descriptor *d)
{
    const struct region_header *h = r->header;
    const char *field = NULL;

    if (memcmp(h->uuid, d->uuid, sizeof(d->uuid)) != 0)
        field = "uuid";
    else if (h->format != d->format || h->fingerprint != d->fingerprint)
        field = "format";
    else if (h->kind != d->kind)
        field = "kind";
    else if (h->reserve != d->reserve || h->user_bytes != d->user_bytes || !sizes_sane(h))
        field = "sizes";
    if (field == NULL)
        return TARN_OK;
    return tarn_fail(
        r->sink, TARN_ECORRUPT,
        "region %s: %s: its memory (%s) does not agree with its descriptor: remove it by "
        "force",
        r->name, field, d->backend);
}

int region_map(struct tarn_region *r, const struct descriptor *d, bool *removed)
{
    struct tarn_segment_request req;
    struct tarn_backend_call call;
    uint64_t magic;
    char why[512];
    int err = choose_by_name(r->os, d->backend, &r->backend, why, sizeof(why));

    if (err != TARN_OK)
        return tarn_fail(r->sink, err, "region %s: backend %s: %s", r->name, d->backend, why);
    region_request(r, &req);
    req.size = d->committed;
    req.reserve = d->reserve;
    req.mode = d->mode;
    memcpy(req.uuid, d->uuid, sizeof(req.uuid));
    call_init(&call, r->os);
    err = r->backend->attach(&call, &req, &d->id, d->reserve, 0, &r->segment);
    if (err != TARN_OK)
        return tarn_fail(r->sink, err, "region %s: cannot attach its memory (%s, %llu bytes): %s",
                         r->name, d->backend, (unsigned long long)d->reserve, call_why(&call, err));
    r->base = r->segment.base;
    r->header = r->segment.base;
    r->segment_id = d->id;
    magic = atomic_load(&r->header->magic);
    *removed = magic == REGION_GONE;
    if (*removed)
        return TARN_OK;
    if (magic == REGION_MAGIC)
        err = check_header(r, d);
    else
        err = tarn_fail(r->sink, TARN_ECORRUPT,
                        "region %s: its memory (%s) begins with %llx, not with a region's mark: "
                        "remove it by force",
                        r->name, d->backend, (unsigned long long)magic);
    if (err != TARN_OK)
        region_unmap(r);
    return err;
}

void region_unmap(struct tarn_region *r)
{
    struct tarn_backend_call call;

    call_init(&call, r->os);
    (void)r->backend->detach(&call, &r->segment);
    r->header = NULL;
    r->base = NULL;
}

/* ---- detach -------------------------------------------------------------------------------------- */

static void remove_from_env(struct tarn_region *region)
{
    struct tarn_region **at = &region->env->regions;

    own_mutex_lock(region->os, &region->env->lock);
    while (*at != NULL && *at != region)
        at = &(*at)->next;
    if (*at != NULL)
        *at = region->next;
    own_mutex_unlock(region->os, &region->env->lock);
}

/* Everything of the handle but its place in lists.  The lock file last: its bytes say we live. */
static int let_go(struct tarn_region *region)
{
    struct tarn_segment_request req;
    struct tarn_backend_call call;
    const struct tarn_os *os = region->os;
    int err, closed = TARN_OK;

    call_init(&call, os);
    err = region->backend->detach(&call, &region->segment);
    if (region->private_) {
        region_request(region, &req);
        closed = region->backend->remove(&call, &req, &region->segment_id);
    } else if (region->lock_file != TARN_NO_FILE) {
        closed = os->file->close(os, region->lock_file);
    }
    err = err != TARN_OK ? err : closed;
    if (err != TARN_OK)
        err = tarn_fail(region->sink, err, "region %s: detached, but not cleanly: %s", region->name,
                        call_why(&call, err));
    os->misc->free(os, region);
    return err;
}

void region_settle(struct tarn_region *region)
{
    process_remove(region);
    rows_unpark(region);
    (void)let_go(region);
}

int tarn_region_detach(tarn_region *region)
{
    int err, removed = TARN_OK;

    if (region == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "region: the handle is NULL");
    remove_from_env(region);
    process_remove(region);
    if (atomic_load(&region->forked))
        return let_go(region); /* the participant is the parent */
    rows_leave(region);
    if ((region->header->flags & TARN_REGION_REMOVE_LAST) && !region->private_)
        removed = region_remove_last(region);
    if (region->parked) { /* unmapped when the thread that holds the life word ends or comes here */
        process_add(region);
        return removed;
    }
    err = let_go(region);
    return err != TARN_OK ? err : removed;
}

/* ---- after fork ---------------------------------------------------------------------------------- */

/* A lock file of the child's own, under byte 0; the inherited one is closed, never unlocked. */
static int reopen_lock(struct tarn_region *region, struct lockfile *lock)
{
    struct patience patience;
    int err;

    patience_begin(region->env, &patience);
    err = lockfile_take(region->env, region->sink, region->name, region->mode, &patience, lock);
    if (err != TARN_OK)
        return err;
    if (lockfile_is(lock, &region->lock_id))
        return TARN_OK;
    region_give_up(region->env, region->name, lock);
    return tarn_fail(region->sink, TARN_ENOENT,
                     "region %s: was removed: the child cannot be a participant of it",
                     region->name);
}

static int reattach(struct tarn_region *region)
{
    struct lockfile lock;
    int err;

    if (region->private_)
        return tarn_fail(region->sink, TARN_ENOSYS,
                         "region %s: is private to the parent process: detach it, or give the "
                         "environment a home and use a backend that can be shared",
                         region->name);
    if ((err = reopen_lock(region, &lock)) != TARN_OK)
        return err;
    (void)region->os->file->close(region->os, region->lock_file);
    region->lock_file = lock.file;
    region->serial = process_serial(); /* lanes that were remembered are the parent's */
    err = pin_join(region->os, region->sink, region->name, region->header->pin_exchange);
    if (err == TARN_OK)
        err = rows_join(region);
    if (err == TARN_OK) {
        atomic_store(&region->forked, false);
        for (int i = 0; err == TARN_OK && i < REGION_LAYERS; i++)
            if (region->layer_ops[i] != NULL && region->layer_ops[i]->reattach != NULL)
                err = region->layer_ops[i]->reattach(region, region->layer_ctx[i]);
        (void)reap_sweep(region);
        if (err == TARN_OK && rows_crowded(region))
            err = tarn_fail(region->sink, TARN_ENOSPC,
                            "region %s: %u processes are attached already, as many as max_procs "
                            "allows",
                            region->name, region->header->limit_procs);
        if (err != TARN_OK) {
            rows_leave(region);
            atomic_store(&region->forked, true);
        }
    }
    lockfile_release(region->env, &lock);
    return err;
}

int tarn_env_reattach(tarn_env *env)
{
    int err = TARN_OK;

    if (env == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "environment: the handle is NULL");
    for (struct tarn_region *r = env->regions; r != NULL; r = r->next) {
        int one = atomic_load(&r->forked) ? reattach(r) : TARN_OK;

        err = err != TARN_OK ? err : one;
    }
    return err;
}

/* ---- use ----------------------------------------------------------------------------------------- */

void *tarn_region_memory(tarn_region *region, uint64_t *bytes)
{
    if (bytes != NULL)
        *bytes = region->header->user_bytes;
    return region_at(region, region->header->user_off);
}

int tarn_region_created(const tarn_region *region) { return region->created; }

int tarn_region_lock(tarn_region *region)
{
    struct region_header *h = region->header;
    uint32_t lane, tag;
    int err = region_check(region);

    if (err != TARN_OK || (err = rows_lane(region, &lane, &tag)) != TARN_OK)
        return err;
    if (own_holder(&h->lock) == tag)
        return tarn_fail(region->sink, TARN_EDEADLK,
                         "region %s: this thread holds the lock already", region->name);
    if (own_lock(region, &h->lock, tag))
        atomic_fetch_add_explicit(&h->lock_wait, 1, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&h->lock_nowait, 1, memory_order_relaxed);
    if (atomic_load(&h->panic) != 0) {
        own_unlock(region, &h->lock, tag);
        return region_check(region);
    }
    if (atomic_exchange(&h->lock_died, 0) != 0)
        return tarn_fail(region->sink, TARN_EOWNERDEAD,
                         "region %s: the holder of the lock died: it is yours now, mend the data",
                         region->name);
    return TARN_OK;
}

int tarn_region_unlock(tarn_region *region)
{
    uint32_t lane, tag;
    int err;

    if (atomic_load(&region->forked))
        return region_check(region);
    if ((err = rows_lane(region, &lane, &tag)) != TARN_OK)
        return err;
    if (own_holder(&region->header->lock) != tag)
        return tarn_fail(region->sink, TARN_EPERM, "region %s: this thread does not hold the lock",
                         region->name);
    own_unlock(region, &region->header->lock, tag);
    return TARN_OK;
}

int tarn_region_panic(tarn_region *region)
{
    if (atomic_load(&region->forked))
        return region_check(region);
    atomic_store(&region->header->panic, 1);
    for (int i = 0; i < REGION_LAYERS; i++)
        if (region->layer_ops[i] != NULL && region->layer_ops[i]->panic != NULL)
            region->layer_ops[i]->panic(region, region->layer_ctx[i]);
    return TARN_OK;
}
