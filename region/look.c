/* SPDX-License-Identifier: BSD-2-Clause */
/* What there is to see of regions and backends; nothing here changes anything. */
#include <string.h>

#include "backends/call.h"
#include "region/region.h"
#include "region/rows.h"
#include "region/sizes.h"

static void copy(char *to, size_t len, const char *from)
{
    size_t n = strlen(from);

    if (n >= len)
        n = len - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* What the backend called `name` says of the segment; its error if it cannot. */
static void describe(const struct tarn_env *env, const char *backend_name,
                     const struct tarn_segment_request *req, const struct tarn_segment_id *id,
                     char *text, size_t len)
{
    const struct tarn_backend *backend;
    struct tarn_backend_call call;
    char why[256];

    if (choose_by_name(env->os, backend_name, &backend, why, sizeof(why)) != TARN_OK) {
        copy(text, len, why);
        return;
    }
    call_init(&call, env->os);
    text[0] = '\0';
    if (backend->describe(&call, req, id, text, len) != TARN_OK)
        copy(text, len, call_why(&call, TARN_ENOENT));
}

/* ---- one that is attached ------------------------------------------------------------------------ */

static uint32_t lanes_of(const struct tarn_region *region, uint32_t row)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rows_lane_count(region); i++)
        n += rows_lane_row(region, i) == row;
    return n;
}

int tarn_region_stat(tarn_region *region, struct tarn_region_stat *st)
{
    const struct region_header *h = region->header;
    struct tarn_segment_request req;
    struct tarn_region_stat now;
    uint32_t gen;
    int err;

    if (atomic_load(&region->forked) && (err = region_check(region)) != TARN_OK)
        return err;
    memset(&now, 0, sizeof(now));
    copy(now.name, sizeof(now.name), region->name);
    copy(now.backend, sizeof(now.backend), h->backend);
    region_request(region, &req);
    memcpy(req.uuid, h->uuid, sizeof(req.uuid));
    describe(region->env, h->backend, &req, &region->segment_id, now.memory, sizeof(now.memory));
    memcpy(now.uuid, h->uuid, sizeof(now.uuid));
    now.bytes = h->user_bytes;
    now.committed = atomic_load(&h->committed);
    now.reserve = h->reserve;
    now.mode = region->mode;
    now.max_procs = h->limit_procs;
    now.max_threads = h->limit_threads;
    for (uint32_t i = 0; i < h->max_procs; i++)
        now.procs += rows_in_use(region, i, &gen) && rows_alive(region, i, gen);
    for (uint32_t i = 0; i < rows_lane_count(region); i++)
        now.threads += rows_lane_tag(region, i) != 0;
    now.reaped = atomic_load(&h->reaped);
    now.lock_wait = atomic_load(&h->lock_wait);
    now.lock_nowait = atomic_load(&h->lock_nowait);
    now.pin_exchange = h->pin_exchange;
    now.panic = atomic_load(&h->panic);
    now.kind = h->kind;
    *st = now;
    return TARN_OK;
}

int tarn_region_participants(tarn_region *region, tarn_participant_fn fn, void *ctx)
{
    int err = TARN_OK;

    if (atomic_load(&region->forked) && (err = region_check(region)) != TARN_OK)
        return err;
    for (uint32_t i = 0; err == TARN_OK && i < region->header->max_procs; i++) {
        struct tarn_participant who = { .row = i };
        uint32_t gen;

        if (!rows_in_use(region, i, &gen))
            continue;
        who.pid = rows_at(region, i)->proc.pid;
        who.lanes = lanes_of(region, i);
        who.alive = rows_alive(region, i, gen);
        err = fn(ctx, &who);
    }
    return err;
}

/* ---- those of a home ----------------------------------------------------------------------------- */

/* The name of the region whose descriptor is the file; false: it is no descriptor. */
static bool region_of(const char *file, char name[72])
{
    size_t len = strlen(file), suffix = strlen(DESCRIPTOR_SUFFIX);

    if (len <= suffix || len - suffix > 64 || strcmp(file + len - suffix, DESCRIPTOR_SUFFIX) != 0)
        return false;
    memcpy(name, file, len - suffix);
    name[len - suffix] = '\0';
    return region_check_name(NULL, name) == TARN_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fill(const struct tarn_env *env, const struct descriptor *d,
                 struct tarn_region_stat *st)
{
    struct tarn_segment_request req;
    struct lockfile lock;

    memset(&req, 0, sizeof(req));
    req.home = env->home;
    req.dir = env->dir;
    req.name = d->name;
    req.mode = d->mode;
    req.shared = 1;
    memcpy(req.uuid, d->uuid, sizeof(req.uuid));
    copy(st->backend, sizeof(st->backend), d->backend);
    describe(env, d->backend, &req, &d->id, st->memory, sizeof(st->memory));
    memcpy(st->uuid, d->uuid, sizeof(st->uuid));
    st->bytes = d->user_bytes;
    st->committed = d->committed;
    st->reserve = d->reserve;
    st->mode = d->mode;
    st->max_procs = d->max_procs;
    st->max_threads = d->max_threads;
    st->pin_exchange = d->pin_exchange;
    st->kind = d->kind;
    if (lockfile_peek(env, NULL, d->name, &lock) == TARN_OK) {
        st->procs = lockfile_count(env, &lock, sizes_rows(d->max_procs));
        lockfile_close(env, &lock);
    }
}

int tarn_region_list(tarn_env *env, tarn_region_list_fn fn, void *ctx)
{
    struct env_reason reason;
    char **names;
    size_t n;
    int err;

    if (env->home == NULL)
        return TARN_OK;
    err = env->os->file->dirlist(env->os, env->home, &names, &n);
    if (err != TARN_OK)
        return tarn_fail(&env->sink, err, "%s: cannot list: %s", env->home,
                         env_reason(env->os, &reason));
    text_sort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; err == TARN_OK && i < n; i++) {
        struct tarn_region_stat st;
        struct descriptor d;
        int one;

        memset(&st, 0, sizeof(st));
        if (!region_of(names[i], st.name))
            continue;
        one = descriptor_read(env, NULL, st.name, &d);
        if (one == TARN_ENOENT)
            continue; /* removed since */
        if (one == TARN_OK)
            fill(env, &d, &st);
        err = fn(ctx, one, &st);
    }
    env->os->file->dirfree(env->os, names, n);
    return err;
}

/* ---- backends ------------------------------------------------------------------------------------ */

struct walk {
    tarn_backend_list_fn fn;
    void *ctx;
};

static int on_candidate(void *ctx, const struct choose_candidate *c)
{
    const struct walk *w = ctx;
    struct tarn_backend_info info;

    memset(&info, 0, sizeof(info));
    copy(info.name, sizeof(info.name), c->name);
    copy(info.path, sizeof(info.path), c->path);
    copy(info.why, sizeof(info.why), c->why);
    if (c->backend != NULL) {
        copy(info.summary, sizeof(info.summary), c->backend->summary);
        info.caps = c->backend->caps;
    }
    info.err = c->err;
    info.chosen = c->chosen;
    return w->fn(w->ctx, &info);
}

int tarn_backend_list(tarn_env *env, uint64_t bytes, tarn_backend_list_fn fn, void *ctx)
{
    struct walk w = { fn, ctx };
    struct tarn_segment_request req;
    struct choose_wish wish;
    char why[512];
    size_t page;
    int err = env->os->misc->page_size(env->os, &page);

    if (err != TARN_OK)
        return tarn_fail(&env->sink, err, "backends: the size of a page is unknown");
    memset(&req, 0, sizeof(req));
    req.home = env->home;
    req.dir = env->dir;
    req.name = env->home == NULL ? NULL : "probe";
    req.size = (bytes + page - 1) / page * page;
    req.reserve = req.size;
    req.mode = 0600;
    req.shared = env->home != NULL;
    env_wish(env, &wish);
    why[0] = '\0';
    err = choose_walk(env->os, &wish, &req, on_candidate, &w, why, sizeof(why));
    return why[0] == '\0' ? err : tarn_fail(&env->sink, err, "backends: %s", why);
}
