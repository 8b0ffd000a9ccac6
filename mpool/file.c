/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page files: the table that all processes share, and this process's handles.
 *
 *      FREE --> MAKING --> LIVE ------------> DROPPING --> FREE
 *                ^          |  last close          |
 *                |          |                      | pages that are pinned keep it here
 *      under the table's lock, whose holder notes in his lane that he has it
 *
 * Rules
 *   1. Openers are a bit per row, not a count: a death clears its own bit, whenever and however often
 *      it is repaired.
 *   2. The last to close (no bit left) drops the file's pages unwritten (seed F9) and frees the
 *      record.  A death that clears the last bit drops nothing: the record stays LIVE, and whoever
 *      opens the same file inherits its pages.  Once nothing of it is dirty, whoever needs a record,
 *      or wants the file with another page size, may have it.
 *   3. A record is FREE only when no entry carries its id, be it claimed or not.
 *   4. How long a file is that nobody had open is asked with the table locked: before that, somebody
 *      else could still open it, make pages, write them and close it.
 *
 * tests/test_file.c and tests/test_record.c hold the rules.
 */
#include "mpool/file.h"
#include "mpool/channel.h"
#include "mpool/entry.h"
#include "mpool/evict.h"
#include "mpool/extent.h"
#include "mpool/pin.h"
#include "mpool/thread.h"
#include "region/env.h"
#include <string.h>

/* ---- the table ---------------------------------------------------------------------------------- */

static void table_lock(struct tarn_thread *th)
{
    atomic_store(&th->part->files, 1);
    (void)own_lock(th->pool->region, &th->pool->header->files_lock, th->tag);
}

static void table_unlock(struct tarn_thread *th)
{
    own_unlock(th->pool->region, &th->pool->header->files_lock, th->tag);
    atomic_store(&th->part->files, 0);
}

void file_repair_lock(struct tarn_mpool *pool, uint32_t lane, uint32_t tag, uint32_t own_tag)
{
    struct pool_header *h = pool->header;

    if (atomic_load(&pool_lane_part(pool, lane)->files) == 0 ||
        !own_steal(&h->files_lock, tag, own_tag))
        return;
    for (uint32_t id = 1; id <= h->max_files; id++) {
        uint32_t making = FILE_MAKING;

        (void)atomic_compare_exchange_strong(&pool_file(pool, id)->state, &making, FILE_FREE);
    }
    own_unlock(pool->region, &h->files_lock, own_tag);
}

uint32_t file_openers(const struct tarn_mpool *pool, const struct file_record *record)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < pool->header->opener_words; i++)
        n += (uint32_t)__builtin_popcountll(atomic_load(&record->openers[i]));
    return n;
}

void file_forget_row(struct tarn_mpool *pool, uint32_t row)
{
    for (uint32_t id = 1; id <= pool->header->max_files; id++) {
        struct file_record *record = pool_file(pool, id);

        if (atomic_load(&record->state) != FILE_FREE)
            atomic_fetch_and(&record->openers[row / 64], ~(1ULL << row % 64));
    }
}

static void add_row(struct tarn_mpool *pool, uint32_t id)
{
    uint32_t row = pool->region->row;

    atomic_fetch_or(&pool_file(pool, id)->openers[row / 64], 1ULL << row % 64);
}

void file_raise_last(struct file_record *record, tarn_pgno pgno)
{
    uint64_t last = atomic_load_explicit(&record->last, memory_order_relaxed);

    while (last < pgno && !atomic_compare_exchange_weak(&record->last, &last, pgno))
        ;
}

/* ---- dropping pages ----------------------------------------------------------------------------- */

/*
 * One pass over all entries: pages of file id go, the dirty ones only if they are `lost`.  Returns how
 * many entries carry the id still.  Frames would not do: a page that is being evicted has none, and
 * comes back if the evictor dies; what tells is that its entry is claimed (rule 3).
 */
static uint32_t drop_pass(struct tarn_thread *th, uint32_t id, bool lost, uint32_t *pinned)
{
    const struct evict_plan plan = { .dirty_too = lost, .to_free = true, .file = id };
    struct tarn_mpool *pool = th->pool;
    struct entry *end = pool->entries + ((size_t)pool->header->groups + 1) * GROUP_ENTRIES;
    uint32_t frames[BATCH_MAX], n = 0, left = 0;

    for (struct entry *e = pool->entries; e < end; e++) {
        if (key_file(atomic_load(&e->key)) == id) {
            uint64_t w = atomic_load(&e->pte);

            left++;
            if ((w & PTE_STATE) == PTE_RS)
                frames[n++] = pte_frame(w);
        }
        if (n == BATCH_MAX || (n != 0 && e + 1 == end)) {
            left -= evict_pages(th, frames, n, &plan, pinned);
            n = 0;
        }
    }
    return left;
}

/*
 * Drop the pages of a record that nobody has open; FREE if none is left.  What somebody is writing
 * back or has claimed is waited for, what is pinned is not.
 */
static void drop_file(struct tarn_thread *th, uint32_t id)
{
    enum { PASSES = 1000 };
    const struct tarn_os *os = th->pool->os;
    struct file_record *record = pool_file(th->pool, id);
    uint32_t left = 1, pinned;

    atomic_store(&record->state, FILE_DROPPING);
    for (unsigned i = 0; i < PASSES; i++) {
        pinned = 0;
        left = drop_pass(th, id, true, &pinned);
        if (left == 0 || left == pinned)
            break;
        if (i % 100 == 99)
            (void)reap_sweep(th->pool->region); /* who claims them may have died meanwhile */
        (void)os->misc->sleep(os, 1000 * 1000);
    }
    if (left == 0)
        atomic_store(&record->state, FILE_FREE);
}

/* ---- records ------------------------------------------------------------------------------------ */

/* The record of the file with this identity; 0 if the pool has none. */
static uint32_t find_record(struct tarn_mpool *pool, const struct tarn_fileid *fileid)
{
    for (uint32_t id = 1; id <= pool->header->max_files; id++) {
        const struct file_record *record = pool_file(pool, id);

        if (atomic_load(&record->state) == FILE_LIVE && file_same(&record->fileid, fileid))
            return id;
    }
    return 0;
}

/*
 * With the table locked: is the record free now, of a file whose openers have all died, and of which
 * nothing is dirty?  Its clean pages go; the file itself has all that they say.
 */
static bool reclaim(struct tarn_thread *th, uint32_t id)
{
    struct file_record *record = pool_file(th->pool, id);
    uint32_t pinned = 0;

    if (atomic_load(&record->state) != FILE_LIVE || file_openers(th->pool, record) != 0 ||
        drop_pass(th, id, false, &pinned) != 0)
        return false;
    atomic_store(&record->state, FILE_FREE);
    return true;
}

/* A FREE record, when all that only wait for their pages to go have been tried.  0: none. */
static uint32_t free_record(struct tarn_thread *th)
{
    struct tarn_mpool *pool = th->pool;
    uint32_t found = 0;

    for (uint32_t id = pool->header->max_files; id > 0; id--) {
        struct file_record *record = pool_file(pool, id);

        if (atomic_load(&record->state) == FILE_DROPPING)
            drop_file(th, id);
        if (atomic_load(&record->state) == FILE_FREE)
            found = id;
    }
    if (found == 0)
        (void)reap_sweep(pool->region);
    for (uint32_t id = 1; found == 0 && id <= pool->header->max_files; id++)
        found = reclaim(th, id) ? id : 0;
    return found;
}

/* What one opening is about. */
struct opening {
    struct tarn_thread *th;
    struct tarn_mpf_config config;
    char path[FILE_PATH_MAX];
    struct tarn_fileid fileid;
    struct tarn_stat st;
    tarn_file fd;
    bool writable;
    uint32_t id;
    uint32_t known_size, known_clear; /* what others have it open with, if that is something else */
    bool abandoned;                   /* then: they have died, and left changed pages */
    bool blind;                       /* its length could not be asked again */
    struct env_reason why;            /* then */
};

static int make_record(struct opening *o)
{
    struct tarn_mpool *pool = o->th->pool;
    struct file_record *record;
    uint64_t pages = o->st.size / o->config.page_size;

    o->id = free_record(o->th);
    if (o->id == 0)
        return TARN_ENOSPC;
    record = pool_file(pool, o->id);
    atomic_store(&record->state, FILE_MAKING);
    record->page_size = o->config.page_size;
    record->clear_len = o->config.clear_len;
    record->class_ = class_of_bytes(o->config.page_size);
    record->fileid = o->fileid;
    record->uid = o->st.uid;
    memcpy(record->path, o->path, sizeof(record->path));
    record->hits_before = file_counted(pool, file_counter(o->id));
    atomic_store(&record->suspect, 0);
    atomic_store(&record->misses, 0);
    atomic_store(&record->creates, 0);
    atomic_store(&record->reads, 0);
    atomic_store(&record->writes, 0);
    atomic_store(&record->last, pages ? pages - 1 : 0);
    for (uint32_t i = 0; i < pool->header->opener_words; i++)
        atomic_store(&record->openers[i], 0);
    atomic_store(&record->state, FILE_LIVE);
    return 0;
}

static int check_record(struct opening *o)
{
    struct tarn_mpool *pool = o->th->pool;
    struct file_record *record = pool_file(pool, o->id);

    if (record->page_size != o->config.page_size || record->clear_len != o->config.clear_len) {
        (void)reap_sweep(pool->region);
        if (reclaim(o->th, o->id))
            return make_record(o);
        o->abandoned = file_openers(pool, record) == 0;
        o->known_size = record->page_size;
        o->known_clear = record->clear_len;
        return TARN_EINVAL;
    }
    /* nobody had it open, so nobody knows what became of its length */
    if (file_openers(pool, record) == 0 && o->st.size != 0)
        file_raise_last(record, o->st.size / record->page_size - 1);
    return 0;
}

/* With the table locked: find or make the record and enter this process as an opener. */
static int enter(struct opening *o)
{
    struct tarn_mpool *pool = o->th->pool;
    int ret = pool->os->file->ioinfo(pool->os, o->fd, &o->st); /* rule 4 */

    o->blind = ret != 0;
    if (ret != 0) {
        (void)env_reason(pool->os, &o->why);
        return ret;
    }
    o->id = find_record(pool, &o->fileid);
    ret = o->id != 0 ? check_record(o) : make_record(o);
    if (ret == 0)
        add_row(pool, o->id);
    return ret;
}

/* Has this process a handle of file id? */
static bool has_handle(struct tarn_mpool *pool, uint32_t id)
{
    bool has = false;

    own_mutex_lock(pool->os, &pool->mutex);
    for (const struct tarn_mpf *f = pool->files; f && !has; f = f->next)
        has = f->id == id;
    own_mutex_unlock(pool->os, &pool->mutex);
    return has;
}

/*
 * With the table locked, so that no other thread is opening: if this process has no handle of file
 * id any more it is no opener; the last of all drops the file's pages.
 */
static void leave(struct tarn_thread *th, uint32_t id)
{
    struct tarn_mpool *pool = th->pool;
    struct file_record *record = pool_file(pool, id);
    uint32_t row = pool->region->row;

    if (has_handle(pool, id))
        return;
    atomic_fetch_and(&record->openers[row / 64], ~(1ULL << row % 64));
    if (file_openers(pool, record) == 0)
        drop_file(th, id);
}

/* ---- open --------------------------------------------------------------------------------------- */

static int check_config(struct tarn_mpool *pool, const char *path,
                        const struct tarn_mpf_config *config)
{
    const uint32_t known = TARN_MPF_CREATE | TARN_MPF_RDONLY | TARN_MPF_NOMMAP;
    uint32_t size = config->page_size;

    if (!path || path[0] == '\0')
        return tarn_fail(pool->sink, TARN_EINVAL, "page file: no path given");
    if (config->flags & ~known)
        return tarn_fail(pool->sink, TARN_EINVAL, "%s: illegal flags 0x%x for tarn_mpf_open", path,
                         config->flags & ~known);
    if (size < TARN_PAGE_SIZE_MIN || size > TARN_PAGE_SIZE_MAX || (size & (size - 1)) != 0)
        return tarn_fail(pool->sink, TARN_EINVAL,
                         "%s: page_size %u: it must be given, and be a power of two from %u to %u",
                         path, size, TARN_PAGE_SIZE_MIN, TARN_PAGE_SIZE_MAX);
    if (config->clear_len > size)
        return tarn_fail(pool->sink, TARN_EINVAL, "%s: clear_len %u is more than page_size %u",
                         path, config->clear_len, size);
    return 0;
}

/* path as it is, or below the home. */
static int full_path(struct tarn_mpool *pool, const char *path, char out[FILE_PATH_MAX])
{
    const char *home = pool->env->home;
    int n = path[0] == '/' || !home ? text_format(out, FILE_PATH_MAX, "%s", path)
                                    : text_format(out, FILE_PATH_MAX, "%s/%s", home, path);

    if (n >= FILE_PATH_MAX)
        return tarn_fail(pool->sink, TARN_EINVAL, "page file: a path of %d bytes; at most %d", n,
                         FILE_PATH_MAX - 1);
    return 0;
}

/* Open the file itself and look at it. */
static int open_file(struct opening *o)
{
    struct tarn_mpool *pool = o->th->pool;
    const struct tarn_os *os = pool->os;
    struct env_reason why;
    unsigned flags = (o->config.flags & TARN_MPF_CREATE ? TARN_OPEN_CREATE : 0u) |
                     (o->writable ? 0u : TARN_OPEN_RDONLY);
    int ret = os->file->open(os, o->path, flags, o->config.mode ? o->config.mode : 0600, &o->fd);

    if (ret != 0)
        return tarn_fail(pool->sink, ret, "%s: opening the page file failed: %s", o->path,
                         env_reason(os, &why));
    ret = os->file->ioinfo(os, o->fd, &o->st);
    if (ret == 0)
        ret = os->file->fileid(os, o->fd, &o->fileid);
    if (ret != 0)
        return tarn_fail(pool->sink, ret, "%s: looking at the page file failed: %s", o->path,
                         env_reason(os, &why));
    if (o->st.kind != TARN_KIND_FILE)
        return tarn_fail(pool->sink, TARN_EINVAL, "%s: not a regular file", o->path);
    if (o->st.size % o->config.page_size != 0)
        return tarn_fail(
            pool->sink, TARN_EINVAL,
            "%s: its %llu bytes are not a multiple of the page size %u: %llu too many; "
            "is the page size right?",
            o->path, (unsigned long long)o->st.size, o->config.page_size,
            (unsigned long long)(o->st.size % o->config.page_size));
    return 0;
}

/* The handle is of the file with this id. */
static void be_of(struct tarn_mpf *file, uint32_t id)
{
    file->id = id;
    file->key_base = key_make(id, 0);
    file->mix = entry_mix(file->pool->header, id);
    file->hit_counter = file_counter(id);
    file->record = pool_file(file->pool, id);
}

/* The file is open and fits, and the table is locked: make it known, then the handle. */
static int make_handle(struct opening *o, struct tarn_mpf *file)
{
    struct tarn_mpool *pool = o->th->pool;
    int ret = enter(o);

    if (ret != 0)
        return ret;
    *file = (struct tarn_mpf){
        .pool = pool,
        .pin_base = 1 | (o->writable ? PIN_WRITABLE : 0),
    };
    be_of(file, o->id);
    ret = channel_attach(pool, file, o->writable, o->fd);
    if (ret == 0)
        o->fd = TARN_NO_FILE;
    else
        leave(o->th, o->id);
    return ret;
}

/* Why there is no handle: said when the table's lock is open again. */
static int refused(const struct opening *o, int err)
{
    struct tarn_mpool *pool = o->th->pool;

    if (o->blind)
        return tarn_fail(pool->sink, err, "%s: looking at the page file failed: %s", o->path,
                         o->why.text);
    if (o->id == 0)
        return tarn_fail(pool->sink, err,
                         "%s: the pool knows %u files already, as many as it was made for "
                         "(max_files)",
                         o->path, pool->header->max_files);
    if (o->known_size != 0)
        return tarn_fail(
            pool->sink, err,
            "%s: asked for pages of %u bytes, %u cleared; the pool has %s with pages of "
            "%u bytes, %u cleared",
            o->path, o->config.page_size, o->config.clear_len,
            o->abandoned ? "changes by the dead, to be synced," : "it open", o->known_size,
            o->known_clear);
    return tarn_fail(pool->sink, err, "%s: no memory for a handle", o->path);
}

int tarn_mpf_open(tarn_mpool *pool, const char *path, const struct tarn_mpf_config *config,
                  tarn_mpf **out)
{
    struct opening o = { .fd = TARN_NO_FILE };
    const struct tarn_os *os = pool->os;
    void *file = NULL;
    int ret = region_check(pool->region);

    if (ret == 0)
        ret = env_config(config, sizeof(o.config), &o.config, pool->sink, "tarn_mpf_config");
    if (ret == 0)
        ret = check_config(pool, path, &o.config);
    if (ret == 0)
        ret = full_path(pool, path, o.path);
    if (ret == 0)
        ret = thread_get(pool, &o.th);
    if (ret != 0)
        return ret;
    o.writable = !(o.config.flags & TARN_MPF_RDONLY);
    ret = open_file(&o);
    if (ret == 0 && (ret = os->misc->malloc(os, sizeof(struct tarn_mpf), &file)) != 0)
        (void)tarn_fail(pool->sink, ret, "%s: no memory for a handle", o.path);
    if (ret == 0)
        ret = extent_ensure(o.th, class_of_bytes(o.config.page_size));
    if (ret == 0) {
        table_lock(o.th);
        ret = make_handle(&o, file);
        table_unlock(o.th);
        ret = ret != 0 ? refused(&o, ret) : 0;
    }
    if (o.fd != TARN_NO_FILE)
        (void)os->file->close(os, o.fd);
    if (ret == 0)
        *out = file;
    else
        os->misc->free(os, file);
    return ret;
}

/* ---- after fork --------------------------------------------------------------------------------- */

/*
 * With the table locked: the way to a file that was inherited, and its handles, are of the record that
 * the file has now.  The parent may have been the last to close it, and its record be another file's.
 */
static int reenter(struct opening *o, struct file_channel *c)
{
    struct tarn_mpool *pool = o->th->pool;
    const struct file_record *record = pool_file(pool, c->id);
    int ret = 0;

    o->id = c->id;
    o->fd = c->fd;
    o->fileid = c->fileid;
    o->config.page_size = c->page_size;
    o->config.clear_len = c->clear_len;
    memcpy(o->path, c->path, sizeof(o->path));
    if (atomic_load(&record->state) == FILE_LIVE && file_same(&record->fileid, &c->fileid))
        add_row(pool, c->id);
    else
        ret = enter(o);
    if (ret != 0)
        return ret;
    c->id = o->id;
    for (struct tarn_mpf *file = pool->files; file; file = file->next)
        if (file->channel == c)
            be_of(file, o->id);
    return 0;
}

int file_reattach(struct tarn_mpool *pool)
{
    struct opening o = { .fd = TARN_NO_FILE };
    int ret = thread_get(pool, &o.th);

    if (ret != 0)
        return ret;
    table_lock(o.th);
    file_forget_row(pool, pool->region->row);
    for (struct file_channel *c = pool->channels; ret == 0 && c; c = c->next) {
        c->users = c->closers = 0;
        if (c->handles != 0)
            ret = reenter(&o, c);
    }
    if (ret != 0)
        file_forget_row(pool, pool->region->row);
    table_unlock(o.th);
    if (ret != 0)
        ret = refused(&o, ret);
    thread_close_all(pool); /* the region may fail to reattach still, and take the lane back */
    return ret;
}

/* ---- close -------------------------------------------------------------------------------------- */

static int close_failed(struct tarn_mpool *pool, const char *path, int err)
{
    struct env_reason why;

    return tarn_fail(pool->sink, err, "%s: closing the page file failed: %s", path,
                     env_reason(pool->os, &why));
}

struct pin_count {
    struct tarn_mpool *pool;
    uint32_t id, n; /* id 0: of every file that this process has open */
};

static bool count_pin(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    struct pin_count *c = ctx;
    struct entry *e = pool_entry_of(c->pool, (value & PIN_FRAME) - 1);
    uint32_t id = e ? key_file(atomic_load(&e->key)) : 0;

    (void)pin;
    c->n += id != 0 && (c->id != 0 ? id == c->id : has_handle(c->pool, id));
    return true;
}

/* Pins that this process has on pages of file id. */
static uint32_t pins_of(struct tarn_mpool *pool, uint32_t id)
{
    struct pin_count c = { pool, id, 0 };
    uint32_t lanes = rows_lane_count(pool->region);

    for (uint32_t i = 0; i < lanes; i++)
        if (rows_lane_row(pool->region, i) == pool->region->row)
            pin_walk(pool, i, count_pin, &c);
    return c.n;
}

int tarn_mpf_close(tarn_mpf *file)
{
    struct tarn_mpool *pool = file->pool;
    const struct tarn_os *os = pool->os;
    struct tarn_thread *th;
    uint32_t pinned = 0;
    bool last;
    int ret = region_check(pool->region), closed;
    bool parents = ret == TARN_EFORK;

    if (ret == 0)
        ret = thread_get(pool, &th);
    closed = channel_detach(pool, file, parents, &last);
    if (closed != 0)
        (void)close_failed(pool, file->record->path, closed);
    if (ret == 0 && last) {
        (void)reap_sweep(pool->region);
        table_lock(th);
        /* another thread may have opened it meanwhile, and has its own pins */
        if (!has_handle(pool, file->id))
            pinned = pins_of(pool, file->id);
        leave(th, file->id);
        table_unlock(th);
    }
    if (pinned != 0)
        ret = tarn_fail(pool->sink, TARN_EBUSY,
                        "%s: closed with %u pages still pinned by this process; put them before "
                        "closing",
                        file->record->path, pinned);
    os->misc->free(os, file);
    return ret != 0 ? ret : closed;
}

int file_unpinned(struct tarn_mpool *pool)
{
    uint32_t pinned = pins_of(pool, 0);

    return pinned == 0
               ? 0
               : tarn_fail(pool->sink, TARN_EBUSY,
                           "pool %s: closed with %u pages still pinned by this process; put "
                           "them before closing",
                           pool->region->name, pinned);
}

int file_close_all(struct tarn_mpool *pool)
{
    int ret = 0, t;

    while (pool->files) {
        t = tarn_mpf_close(pool->files);
        ret = ret ? ret : t;
    }
    t = channel_close_all(pool);
    if (t != 0)
        (void)close_failed(pool, "pool", t);
    return ret ? ret : t;
}
