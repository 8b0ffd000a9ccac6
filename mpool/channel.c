/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels: this process's descriptors of page files.
 *
 *     handle ---+
 *     handle ---+--> channel (file, kind of access) --> descriptor
 *     writer ---+        borrowed while pages are written
 *
 * Rules
 *   1. One descriptor for all handles of a file that have the same kind of access; it is closed with
 *      the last handle, when nobody writes through it any more (seed F8).
 *   2. A process opens a file by another's record only to write its pages back, and only if it runs
 *      as the file's and the pool's owner, and what it opened (no link followed) is a regular file
 *      with the identity of the record: who may write the pool could put any path there.
 *   3. The pool's mutex guards the list, and everything in a channel but what never changes.
 *   4. The file may be closed by all, and its number be another's, while its way is borrowed: so who
 *      writes asks once more (channel_leads) when he has the page marked and it cannot leave.
 *   5. A child after fork that closes what it inherited does not touch the mutex, and waits for no
 *      writer: the threads that had them in hand are not there.
 *
 * tests/test_file.c and tests/test_record.c hold the rules.
 */
#include "mpool/channel.h"
#include "mpool/file.h"
#include <string.h>

#define RETRY_NS (1000ULL * 1000 * 1000)

/* Instead of a pool's mutex, for all pools that a child closes (rule 5). */
static _Atomic uint32_t inherited;

bool channel_leads(const struct tarn_mpool *pool, const struct file_channel *c)
{
    const struct file_record *record = pool_file(pool, c->id);

    return atomic_load(&record->state) == FILE_LIVE && file_same(&c->fileid, &record->fileid) &&
           c->page_size == record->page_size;
}

/* The pool's mutex is held. */
static struct file_channel *find(struct tarn_mpool *pool, uint32_t id, bool writable)
{
    for (struct file_channel *c = pool->channels; c; c = c->next)
        if (c->id == id && c->writable == writable && channel_leads(pool, c))
            return c;
    return NULL;
}

static int drop(struct tarn_mpool *pool, struct file_channel *c)
{
    struct file_channel **at = &pool->channels;
    int ret = 0;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (c->fd != TARN_NO_FILE)
        ret = pool->os->file->close(pool->os, c->fd);
    pool->os->misc->free(pool->os, c);
    return ret;
}

/*
 * Ways to files that are not in the pool any more, and which no handle needs: opened to write pages
 * for others, they would keep the file's space.
 */
static void drop_stale(struct tarn_mpool *pool)
{
    struct file_channel *next;

    for (struct file_channel *c = pool->channels; c; c = next) {
        next = c->next;
        if (c->handles + c->users + c->closers == 0 && !channel_leads(pool, c))
            (void)drop(pool, c);
    }
}

static int add(struct tarn_mpool *pool, uint32_t id, bool writable, tarn_file fd,
               struct file_channel **out)
{
    const struct file_record *record = pool_file(pool, id);
    const struct tarn_os *os = pool->os;
    struct file_channel *c;
    void *p;
    int ret = os->misc->malloc(os, sizeof(*c), &p);

    if (ret != 0)
        return ret;
    drop_stale(pool);
    c = p;
    *c = (struct file_channel){ .id = id,
                                .writable = writable,
                                .fd = fd,
                                .fileid = record->fileid,
                                .page_size = record->page_size,
                                .clear_len = record->clear_len,
                                .next = pool->channels };
    memcpy(c->path, record->path, sizeof(c->path));
    pool->channels = c;
    *out = c;
    return 0;
}

/* Rule 2.  TARN_EACCES for every reason why not. */
static int open_for_others(struct tarn_mpool *pool, struct file_channel *c)
{
    const struct tarn_os *os = pool->os;
    struct tarn_fileid fileid;
    struct tarn_procid self;
    struct tarn_stat st;
    uint32_t euid = 0;

    if (os->proc->self(os, &self, &euid) != 0 || euid != pool->header->owner ||
        euid != pool_file(pool, c->id)->uid)
        return TARN_EACCES;
    if (os->file->open(os, c->path, TARN_OPEN_NOFOLLOW, 0, &c->fd) != 0)
        return TARN_EACCES;
    if (os->file->ioinfo(os, c->fd, &st) == 0 && st.kind == TARN_KIND_FILE && st.uid == euid &&
        os->file->fileid(os, c->fd, &fileid) == 0 && file_same(&fileid, &c->fileid))
        return 0;
    (void)os->file->close(os, c->fd);
    c->fd = TARN_NO_FILE;
    return TARN_EACCES;
}

int channel_borrow(struct tarn_mpool *pool, uint32_t id, struct file_channel **out)
{
    const struct tarn_os *os = pool->os;
    const struct file_record *record = pool_file(pool, id);
    struct file_channel *c;
    uint64_t now = 0;
    int ret = 0;

    if (atomic_load(&record->state) != FILE_LIVE)
        return TARN_EACCES;
    own_mutex_lock(os, &pool->mutex);
    c = find(pool, id, true);
    if (!c)
        ret = add(pool, id, true, TARN_NO_FILE, &c);
    if (ret == 0 && c->fd == TARN_NO_FILE) {
        (void)os->misc->clock(os, 0, &now);
        ret = now < c->retry_at ? TARN_EACCES : open_for_others(pool, c);
        if (ret != 0 && now >= c->retry_at)
            c->retry_at = now + RETRY_NS;
    }
    if (ret == 0)
        c->users++;
    own_mutex_unlock(os, &pool->mutex);
    if (ret != 0 && ret != TARN_EACCES)
        return tarn_fail(pool->sink, ret, "%s: no memory for a way to write its pages",
                         record->path);
    if (ret == 0)
        *out = c;
    return ret;
}

void channel_return(struct tarn_mpool *pool, struct file_channel *channel)
{
    own_mutex_lock(pool->os, &pool->mutex);
    channel->users--;
    own_mutex_unlock(pool->os, &pool->mutex);
}

int channel_attach(struct tarn_mpool *pool, struct tarn_mpf *file, bool writable, tarn_file fd)
{
    struct file_channel *c;
    tarn_file spare = TARN_NO_FILE;
    int ret = 0;

    own_mutex_lock(pool->os, &pool->mutex);
    c = find(pool, file->id, writable);
    if (!c)
        ret = add(pool, file->id, writable, fd, &c);
    else if (c->fd == TARN_NO_FILE)
        c->fd = fd;
    else
        spare = fd;
    if (ret == 0) {
        c->handles++;
        file->channel = c;
        file->next = pool->files;
        pool->files = file;
    }
    own_mutex_unlock(pool->os, &pool->mutex);
    if (spare != TARN_NO_FILE)
        (void)pool->os->file->close(pool->os, spare);
    return ret;
}

int channel_detach(struct tarn_mpool *pool, struct tarn_mpf *file, bool parents, bool *last)
{
    _Atomic uint32_t *mutex = parents ? &inherited : &pool->mutex;
    struct tarn_mpf **at = &pool->files;
    struct file_channel *c = file->channel;
    int ret = 0;

    own_mutex_lock(pool->os, mutex);
    if (parents)
        c->users = c->closers = 0;
    while (*at && *at != file)
        at = &(*at)->next;
    if (*at)
        *at = file->next;
    *last = true;
    for (const struct tarn_mpf *f = pool->files; f; f = f->next)
        *last = *last && f->id != file->id;
    c->handles--;
    c->closers++;
    while (c->handles == 0 && c->users != 0) { /* somebody writes through it: seed F8 */
        own_mutex_unlock(pool->os, mutex);
        (void)pool->os->misc->sleep(pool->os, 1000 * 1000);
        own_mutex_lock(pool->os, mutex);
    }
    if (--c->closers == 0 && c->handles == 0)
        ret = drop(pool, c);
    own_mutex_unlock(pool->os, mutex);
    return ret;
}

int channel_close_all(struct tarn_mpool *pool)
{
    int ret = 0, t;

    while (pool->channels) {
        t = drop(pool, pool->channels);
        ret = ret ? ret : t;
    }
    return ret;
}
