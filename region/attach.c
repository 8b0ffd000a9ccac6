/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attach: make a region or join one.
 *
 *     look at the descriptor --> byte 0 --> look again
 *         none                   make: memory, header, row, layer, magic, descriptor
 *         of another boot        nobody can use it: clear it away, then as if there were none
 *         there                  join: map, check, row LIVE, layer, give back what the dead left
 *     let byte 0 go; the lock file stays open, with the byte of our row, until detach
 *
 * Rules
 *   1. All is done under byte 0, so that nobody makes, joins or removes at the same time; a death
 *      under it lets it go and leaves at most memory that no descriptor names.
 *   2. Only "the memory is not there" and "of another boot" make a region gone.  Any other error of a
 *      joiner is the joiner's, and it takes nothing away (seed X8).
 *   3. A failure leaves nothing: each step is undone in reverse.
 *   4. No message goes out while byte 0 is held: the callback is the application's.
 */
#include <string.h>

#include "backends/call.h"
#include "region/own.h"
#include "region/pin.h"
#include "region/process.h"
#include "region/reap.h"
#include "region/region.h"
#include "region/rows.h"
#include "region/sizes.h"

/* One call of region_attach(). */
struct attach {
    struct tarn_env *env;
    const char *name;
    const struct tarn_region_config *config;
    const struct region_plan *plan;
    struct tarn_env_sink sink; /* keeps the message */
    char text[FAIL_TEXT_MAX];
    struct patience patience;
    struct tarn_region *region;
    struct lockfile lock;
};

static void keep_message(void *ctx, int err, const char *prefix, const char *text)
{
    struct attach *a = ctx;

    (void)err;
    (void)prefix;
    memcpy(a->text, text, strlen(text) + 1);
}

static uint32_t mode_of(const struct tarn_region_config *config)
{
    return config->mode == 0 ? 0600 : config->mode;
}

/* ---- making -------------------------------------------------------------------------------------- */

/* A private region is malloc's if that can be had (seed R9), whatever is preferred for shared ones. */
static int choose(const struct attach *a, const struct tarn_segment_request *req,
                  struct choose_result *out)
{
    struct choose_wish wish = { .required = a->env->required, .order = "malloc" };
    char why[1024];
    int err = TARN_ENOSYS;

    if (a->region->private_)
        err = choose_backend(a->env->os, &wish, req, out, why, sizeof(why));
    if (err != TARN_OK && (!a->region->private_ || a->env->required == NULL)) {
        env_wish(a->env, &wish);
        err = choose_backend(a->env->os, &wish, req, out, why, sizeof(why));
    }
    if (err != TARN_OK)
        return tarn_fail(&a->sink, err, "region %s: no backend for %llu bytes: %s", a->name,
                         (unsigned long long)req->size, why);
    return TARN_OK;
}

/* Memory of the backend that is chosen; sizes are cut to what it grants. */
static int make_memory(const struct attach *a, struct region_sizes *s, struct choose_result *choice)
{
    struct tarn_region *r = a->region;
    struct tarn_segment_request req;
    struct tarn_backend_call call;
    int err;

    region_request(r, &req);
    req.size = s->committed;
    req.reserve = s->reserve;
    req.mode = r->mode;
    if ((err = r->os->misc->random(r->os, req.uuid, sizeof(req.uuid))) != TARN_OK)
        return tarn_fail(&a->sink, err, "region %s: no random bytes for its identity", a->name);
    if ((err = choose(a, &req, choice)) != TARN_OK)
        return err;
    if ((choice->backend->caps & TARN_CAP_SHARED) == 0)
        req.shared = 0; /* who asked for memory that only children by fork share */
    if ((choice->backend->caps & TARN_CAP_GROWS) == 0)
        req.size = req.reserve; /* all lanes, and what the layer may want: there is no later */
    call_init(&call, r->os);
    err = choice->backend->create(&call, &req, &r->segment_id, &r->segment);
    if (err != TARN_OK)
        return tarn_fail(&a->sink, err, "region %s: backend %s cannot make %llu bytes: %s", a->name,
                         choice->backend->name, (unsigned long long)req.size, call_why(&call, err));
    r->backend = choice->backend;
    r->base = r->segment.base;
    r->header = r->segment.base;
    s->committed = req.size;
    s->reserve = r->segment.reserve;
    if (s->end_off > s->reserve) { /* fewer lanes, but no failure */
        s->end_off = s->reserve;
        s->max_lanes =
            (uint32_t)((s->reserve - s->lanes_off) / s->lane_bytes / LANE_CHUNK) * LANE_CHUNK;
    }
    if (s->limit_threads > s->max_lanes - LANES_SPARE)
        s->limit_threads = s->max_lanes - LANES_SPARE;
    memcpy(r->header->uuid, req.uuid, sizeof(req.uuid));
    return TARN_OK;
}

static void undo_memory(struct tarn_region *r)
{
    struct tarn_segment_request req;
    struct tarn_backend_call call;

    region_request(r, &req);
    memcpy(req.uuid, r->header->uuid, sizeof(req.uuid));
    call_init(&call, r->os);
    (void)r->backend->detach(&call, &r->segment);
    (void)r->backend->remove(&call, &req, &r->segment_id);
    r->header = NULL;
}

static void fill_header(const struct attach *a, const struct region_sizes *s,
                        const struct choose_result *choice)
{
    struct region_header *h = a->region->header;

    h->format = REGION_FORMAT;
    h->fingerprint = sizes_fingerprint(a->plan);
    h->rows_off = s->rows_off;
    h->layer_off = s->layer_off;
    h->layer_bytes = s->layer_bytes;
    h->user_off = s->user_off;
    h->user_bytes = s->user_bytes;
    h->lanes_off = s->lanes_off;
    h->end_off = s->end_off;
    h->reserve = s->reserve;
    h->max_procs = s->max_procs;
    h->max_lanes = s->max_lanes;
    h->lane_bytes = s->lane_bytes;
    h->limit_procs = s->limit_procs;
    h->limit_threads = s->limit_threads;
    h->spare_lanes = LANES_SPARE;
    h->kind = a->plan == NULL ? 0 : 1 + a->plan->layer;
    h->flags = a->config->flags & TARN_REGION_REMOVE_LAST;
    memcpy(h->backend, choice->backend->name, strlen(choice->backend->name) + 1);
    memcpy(h->reasons, choice->reasons, sizeof(h->reasons));
    h->reasons[sizeof(h->reasons) - 1] = '\0';
    atomic_store(&h->committed, s->committed);
    atomic_store(&h->lane_chunks, s->committed >= s->end_off ? s->max_lanes / LANE_CHUNK : 1);
}

/* The region is whole and ours; whoever finds it from now on may join. */
static int publish(const struct attach *a)
{
    const struct tarn_region *r = a->region;
    const struct region_header *h = r->header;
    struct tarn_machine machine = { { 0 }, { 0 } };
    struct descriptor d;

    if (r->private_)
        return TARN_OK;
    memset(&d, 0, sizeof(d));
    (void)r->os->misc->boot_id(r->os, &machine); /* unknown: zeros */
    memcpy(d.machine, machine.machine, sizeof(d.machine));
    memcpy(d.boot, machine.boot, sizeof(d.boot));
    memcpy(d.uuid, h->uuid, sizeof(d.uuid));
    memcpy(d.name, r->name, strlen(r->name) + 1);
    memcpy(d.backend, h->backend, sizeof(d.backend));
    d.kind = h->kind;
    d.mode = r->mode;
    d.fingerprint = h->fingerprint;
    d.lock = a->lock.id;
    d.user_bytes = h->user_bytes;
    d.committed = atomic_load(&h->committed);
    d.reserve = h->reserve;
    d.max_procs = h->limit_procs;
    d.max_threads = h->limit_threads;
    d.pin_exchange = h->pin_exchange;
    d.flags = h->flags;
    d.id = r->segment_id;
    descriptor_seal(&d);
    return descriptor_publish(a->env, &a->sink, &d);
}

static int make(const struct attach *a)
{
    struct tarn_region *r = a->region;
    struct choose_result choice;
    struct region_sizes sizes;
    uint32_t exchange;
    size_t page;
    int err;

    if ((err = r->os->misc->page_size(r->os, &page)) != TARN_OK ||
        (err = sizes_compute(a->config, a->plan, page, r->private_, &a->sink, a->name, &sizes)) !=
            TARN_OK ||
        (err = pin_choose(r->os, &a->sink, a->name, &exchange)) != TARN_OK)
        return err;
    if (!r->private_ && (err = env_local(a->env, &a->sink)) != TARN_OK)
        return err;
    if (!r->private_ && (err = r->os->file->chmod(r->os, a->lock.file, r->mode)) != TARN_OK)
        return tarn_fail(&a->sink, err, "region %s: cannot set the mode of its lock file", a->name);
    if ((err = make_memory(a, &sizes, &choice)) != TARN_OK)
        return err;
    fill_header(a, &sizes, &choice);
    rows_lane_init(r, 0, rows_lane_count(r));
    r->header->pin_exchange = exchange;
    if ((err = rows_join(r)) == TARN_OK) {
        if (a->plan == NULL || (err = a->plan->init(r, a->plan->ctx)) == TARN_OK) {
            atomic_store(&r->header->magic, REGION_MAGIC);
            if ((err = publish(a)) == TARN_OK) {
                r->created = true;
                return TARN_OK;
            }
        }
        rows_leave(r);
    }
    undo_memory(r);
    return err;
}

/* ---- joining ------------------------------------------------------------------------------------- */

static int check_wish(const struct attach *a, const struct descriptor *d)
{
    uint32_t kind = a->plan == NULL ? 0 : 1 + a->plan->layer;
    uint64_t mine = sizes_fingerprint(a->plan);

    if (d->kind != kind)
        return tarn_fail(&a->sink, TARN_EINVAL, "region %s: is %s, not %s", a->name,
                         d->kind == 0 ? "a plain region" : "the memory of a pool",
                         kind == 0 ? "a plain region" : "the memory of a pool");
    if (d->fingerprint != mine)
        return tarn_fail(&a->sink, TARN_EVERSION,
                         "region %s: fingerprint: its layout is %llx, this library's is %llx: use "
                         "the build that made it, or remove it by force",
                         a->name, (unsigned long long)d->fingerprint, (unsigned long long)mine);
    if (a->config->bytes > d->user_bytes)
        return tarn_fail(&a->sink, TARN_EINVAL,
                         "region %s: %llu bytes wanted, it has %llu: join with less, or remove it "
                         "and create it again",
                         a->name, (unsigned long long)a->config->bytes,
                         (unsigned long long)d->user_bytes);
    return TARN_OK;
}

/* Mapped and checked: become a participant. */
static int take_part(const struct attach *a)
{
    struct tarn_region *r = a->region;
    const struct region_header *h = r->header;
    int err;

    if (atomic_load(&h->panic) != 0)
        return tarn_fail(&a->sink, TARN_ERUNRECOVERY,
                         "region %s: is in panic: remove it and create it again", a->name);
    if ((err = pin_join(r->os, &a->sink, a->name, h->pin_exchange)) != TARN_OK ||
        (err = rows_join(r)) != TARN_OK)
        return err;
    if (a->plan != NULL)
        err = a->plan->join(r, a->plan->ctx);
    if (err == TARN_OK) {
        (void)reap_sweep(r);
        if (!rows_crowded(r))
            return TARN_OK;
        err =
            tarn_fail(&a->sink, TARN_ENOSPC,
                      "region %s: %u processes are attached already, as many as max_procs allows: "
                      "create it with a larger max_procs",
                      a->name, h->limit_procs);
    }
    rows_leave(r);
    return err;
}

/* *gone: nobody uses it and nobody can; it is cleared away by the caller. */
static int join(const struct attach *a, const struct descriptor *d, bool *gone)
{
    struct tarn_region *r = a->region;
    uint32_t held;
    int err;

    *gone = false;
    switch (region_age(a->env, d, &a->lock)) {
    case AGE_ELSEWHERE:
        return tarn_fail(&a->sink, TARN_EBUSY,
                         "region %s: in use from another machine; if that is not so, remove it by "
                         "force",
                         a->name);
    case AGE_GONE:
        *gone = true;
        return TARN_ENOENT;
    case AGE_NOW:
        break;
    }
    if (!lockfile_is(&a->lock, &d->lock))
        return tarn_fail(
            &a->sink, TARN_EBUSY,
            "region %s: its lock file is not the one it was made with (removed, or the "
            "home was copied): remove the region by force",
            a->name);
    if (a->config->flags & TARN_REGION_EXCL)
        return tarn_fail(&a->sink, TARN_EEXIST, "region %s: is there already", a->name);
    if ((err = check_wish(a, d)) != TARN_OK)
        return err;
    r->mode = d->mode;
    err = region_map(r, d, gone);
    if (err == TARN_ENOENT) {
        held = lockfile_count(a->env, &a->lock, sizes_rows(d->max_procs));
        *gone = held == 0;
        if (held > 0)
            return tarn_fail(
                &a->sink, TARN_EAGAIN,
                "region %s: its memory was removed while %u processes use it: wait for "
                "them, or remove it by force",
                a->name, held);
    }
    if (err != TARN_OK)
        return err;
    if (*gone || (err = take_part(a)) != TARN_OK) {
        region_unmap(r);
        return *gone ? TARN_ENOENT : err;
    }
    return TARN_OK;
}

/* ---- both ---------------------------------------------------------------------------------------- */

/* With byte 0 held. */
static int make_or_join(const struct attach *a)
{
    struct descriptor d;
    bool gone = false;
    int err = descriptor_read(a->env, &a->sink, a->name, &d);

    if (err == TARN_OK) {
        err = join(a, &d, &gone);
        if (!gone)
            return err;
        if ((err = region_clear(a->env, &a->sink, &d)) == TARN_OK)
            err = TARN_ENOENT;
    }
    if (err != TARN_ENOENT)
        return err;
    if (a->config->flags & TARN_REGION_CREATE)
        return make(a);
    return tarn_fail(&a->sink, TARN_ENOENT, "region %s: there is none in %s", a->name,
                     a->env->home);
}

static int attach_named(struct attach *a)
{
    struct tarn_region *r = a->region;
    struct descriptor d;
    uint32_t mode = mode_of(a->config);
    int err;

    patience_begin(a->env, &a->patience);
    for (;;) {
        err = descriptor_read(a->env, &a->sink, a->name, &d);
        if (err == TARN_ENOENT && (a->config->flags & TARN_REGION_CREATE) == 0)
            return tarn_fail(&a->sink, err, "region %s: there is none in %s", a->name,
                             a->env->home);
        if (err != TARN_OK && err != TARN_ENOENT)
            return err;
        err = lockfile_take(a->env, &a->sink, a->name, err == TARN_OK ? d.mode : mode, &a->patience,
                            &a->lock);
        if (err != TARN_OK)
            return err;
        r->lock_file = a->lock.file;
        r->lock_id = a->lock.id;
        r->mode = mode;
        err = make_or_join(a);
        if (err == TARN_OK) {
            lockfile_release(a->env, &a->lock);
            return TARN_OK;
        }
        region_give_up(a->env, a->name, &a->lock);
        if ((err != TARN_EAGAIN && err != TARN_EEXIST) || (a->config->flags & TARN_REGION_EXCL) ||
            !patience_more(a->env, &a->patience))
            return err;
    }
}

/* ---- the call ------------------------------------------------------------------------------------ */

static int check_config(const struct tarn_env *env, const char *name,
                        const struct tarn_region_config *config)
{
    uint32_t known =
        TARN_REGION_CREATE | TARN_REGION_EXCL | TARN_REGION_PRIVATE | TARN_REGION_REMOVE_LAST;

    if ((config->flags & ~known) != 0)
        return tarn_fail(&env->sink, TARN_EINVAL, "region %s: unknown flags 0x%x", name,
                         config->flags & ~known);
    if ((config->flags & TARN_REGION_EXCL) && !(config->flags & TARN_REGION_CREATE))
        return tarn_fail(&env->sink, TARN_EINVAL, "region %s: flag EXCL without CREATE", name);
    if ((config->mode & ~0777u) != 0 || (config->mode != 0 && (config->mode & 0600) != 0600))
        return tarn_fail(&env->sink, TARN_EINVAL,
                         "region %s: mode 0%o: it has permission bits only, its owner's 0600 among "
                         "them",
                         name, config->mode);
    return TARN_OK;
}

static int new_region(struct attach *a, bool private_)
{
    struct tarn_region *r;
    void *memory;
    int err = a->env->os->misc->malloc(a->env->os, sizeof(*r), &memory);

    if (err != TARN_OK)
        return tarn_fail(&a->sink, err, "region %s: no memory for its handle", a->name);
    r = memory;
    memset(r, 0, sizeof(*r));
    r->env = a->env;
    r->os = a->env->os;
    r->sink = &a->sink;
    r->lock_file = TARN_NO_FILE;
    r->private_ = private_;
    r->mode = mode_of(a->config);
    r->flags = a->config->flags;
    r->serial = process_serial();
    memcpy(r->name, a->name, strlen(a->name) + 1);
    if (a->plan != NULL) {
        r->layer_ops[a->plan->layer] = a->plan->ops;
        r->layer_ctx[a->plan->layer] = a->plan->ctx;
    }
    a->region = r;
    return TARN_OK;
}

static void add_region(struct tarn_region *r)
{
    r->sink = &r->env->sink;
    own_mutex_lock(r->os, &r->env->lock);
    r->next = r->env->regions;
    r->env->regions = r;
    own_mutex_unlock(r->os, &r->env->lock);
    process_add(r);
}

int region_attach(struct tarn_env *env, const char *name, const struct tarn_region_config *user,
                  const struct region_plan *plan, struct tarn_region **out)
{
    struct tarn_region_config config;
    struct attach a;
    bool private_;
    int err;

    if (env == NULL || out == NULL)
        return tarn_fail(env == NULL ? NULL : &env->sink, TARN_EINVAL,
                         "region: the environment or the place for the handle is NULL");
    if ((err = env_config(user, sizeof(config), &config, &env->sink, "tarn_region_config")) !=
        TARN_OK)
        return err;
    private_ = env->home == NULL || (config.flags & TARN_REGION_PRIVATE) != 0;
    if (private_ && name == NULL)
        name = "private";
    if ((err = region_check_name(&env->sink, name)) != TARN_OK ||
        (err = check_config(env, name, &config)) != TARN_OK)
        return err;
    process_settle();
    memset(&a, 0, sizeof(a));
    a.env = env;
    a.name = name;
    a.config = &config;
    a.plan = plan;
    a.sink = (struct tarn_env_sink){ keep_message, &a, NULL };
    if ((err = new_region(&a, private_)) == TARN_OK) {
        err = private_ ? make(&a) : attach_named(&a);
        if (err == TARN_OK) {
            add_region(a.region);
            *out = a.region;
            return TARN_OK;
        }
        env->os->misc->free(env->os, a.region);
    }
    return tarn_fail(&env->sink, err, "%s", a.text[0] == '\0' ? tarn_strerror(err) : a.text);
}

int tarn_region_attach(tarn_env *env, const char *name, const struct tarn_region_config *config,
                       tarn_region **out)
{
    return region_attach(env, name, config, NULL, out);
}
