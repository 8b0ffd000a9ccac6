/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write-back: dirty pages to their files, sorted, neighbours in one write.
 *
 *     mark wb    claim (CL)    heavy barrier    copy    give back    write    flushed := version
 *        |          |               |             |         |          |           |
 *        |          +-- a moment, no I/O in it ---+---------+          |           |
 *        +---- nobody else writes this frame; it does not leave the pool ----------+
 *
 * A page is dirty while the version in its entry differs from the frame's `flushed`.
 *
 * Rules
 *   1. A page that somebody has pinned is not written: he may be in the middle of a change (caller-
 *      locked files), and what he says about it (DIRTY) may come before or after the bytes.  It is
 *      given back and skipped.
 *   2. The mark is set before the claim, and evictors look at it after theirs: a frame with a mark
 *      stays the page that it is.
 *   3. What is written is the copy, so that readers and writers wait for a copy at most, never for a
 *      disk.
 *   4. `flushed` becomes the version of the copy, only after the write has returned without error.
 *      If the page was changed meanwhile, the versions differ and it is dirty still.
 *   5. dirtymap is a hint that may say dirty of a clean page, never clean of a dirty one: who makes
 *      a page dirty raises the version and then sets the bit; who cleans it clears the bit and then
 *      looks at the version.  Both are seq_cst, so one of them sees the other.  A death between the
 *      two is repaired from the dead's pins.
 *
 * Not promised: that a page which is pinned all the time is ever written; sync says so
 * (TARN_EINCOMPLETE).
 *
 * tests/test_write.c holds the rules.
 */
#include "mpool/write.h"
#include "mpool/channel.h"
#include "mpool/entry.h"
#include "mpool/file.h"
#include "mpool/pin.h"
#include <string.h>

/* One page of a batch on its way. */
struct flight {
    struct write_page page;
    struct entry *e;
    uint64_t old; /* its word while claimed */
    uint8_t *copy;
};

struct batch {
    struct tarn_thread *th;
    struct write_result *result;
    const struct file_channel *channel;
    uint32_t bytes; /* of a page */
    uint32_t n;
    struct flight flight[BATCH_MAX];
    struct pin_batch pins;
};

/* ---- the bitmap (rule 5) ----------------------------------------------------------------------- */

void write_mark(struct tarn_mpool *pool, uint32_t frame)
{
    _Atomic uint64_t *word = &pool->dirtymap[frame / 64];
    uint64_t bit = 1ULL << frame % 64;

    if (!(atomic_load(word) & bit))
        atomic_fetch_or(word, bit);
}

void write_unmark(struct tarn_mpool *pool, uint32_t frame)
{
    _Atomic uint64_t *word = &pool->dirtymap[frame / 64];
    uint64_t bit = 1ULL << frame % 64;
    struct entry *e = pool_entry_of(pool, frame);
    uint64_t w;

    if (!(atomic_load(word) & bit) || (e && (!pool_resident(e, frame, &w) || pool_dirty(pool, w))))
        return;
    atomic_fetch_and(word, ~bit);
    e = pool_entry_of(pool, frame); /* again: another page may just have come in, dirty */
    if (e && (!pool_resident(e, frame, &w) || pool_dirty(pool, w)))
        atomic_fetch_or(word, bit);
}

/* ---- marks and claims -------------------------------------------------------------------------- */

static bool set_mark(struct tarn_thread *th, uint32_t frame, uint32_t place)
{
    uint32_t nobody = 0;

    atomic_store(&th->part->writing[place], frame + 1);
    if (atomic_compare_exchange_strong(&th->pool->frames[frame].wb, &nobody, th->tag))
        return true;
    atomic_store(&th->part->writing[place], 0);
    return false;
}

static void clear_mark(struct tarn_thread *th, uint32_t frame, uint32_t place)
{
    atomic_store(&th->pool->frames[frame].wb, 0);
    atomic_store(&th->part->writing[place], 0);
}

bool write_begin(struct tarn_thread *th, uint32_t frame) { return set_mark(th, frame, 0); }

void write_end(struct tarn_thread *th, uint32_t frame)
{
    write_unmark(th->pool, frame);
    clear_mark(th, frame, 0);
}

void write_again(struct tarn_thread *th, uint64_t key, uint32_t frame)
{
    struct tarn_mpool *pool = th->pool;
    struct entry *e = pool_entry_of(pool, frame);

    if (!set_mark(th, frame, 0))
        return; /* it is being written again already */
    if (e && atomic_load(&e->key) == key) {
        atomic_fetch_sub(&pool->frames[frame].flushed, 1);
        write_mark(pool, frame);
    }
    clear_mark(th, frame, 0);
}

/* Mark and claim the page; it takes the next place of the batch.  False: it is not to be written. */
static bool admit(struct batch *b, const struct write_page *page)
{
    struct tarn_thread *th = b->th;
    struct flight *f = &b->flight[b->n];
    uint64_t w;

    if (!set_mark(th, page->frame, b->n)) {
        b->result->busy++;
        return false;
    }
    f->e = pool_entry_of(th->pool, page->frame);
    if (!f->e || !pool_resident(f->e, page->frame, &w) || atomic_load(&f->e->key) != page->key ||
        !pool_dirty(th->pool, w)) {
        write_unmark(th->pool, page->frame);
        clear_mark(th, page->frame, b->n);
        return false;
    }
    if (!channel_leads(th->pool, b->channel) ||
        !entry_claim(th, f->e, w, PTE_CL | PTE_RS | page->frame, b->n)) {
        b->result->busy++;
        clear_mark(th, page->frame, b->n);
        return false;
    }
    f->page = *page;
    f->old = w;
    b->pins.frame[b->n++] = page->frame;
    return true;
}

/* Copy what is not pinned and give all claims back; what stays in the batch is to be written. */
static void copy_out(struct batch *b)
{
    struct tarn_thread *th = b->th;
    uint8_t *to = th->bounce;

    b->pins.n = b->n;
    if (b->n != 0)
        pin_scan(th, &b->pins);
    for (uint32_t i = 0; i < b->n; i++) {
        struct flight *f = &b->flight[i];

        f->copy = NULL;
        if (!b->pins.pinned[i]) {
            memcpy(to, pool_page(th->pool, f->page.frame), b->bytes);
            f->copy = to;
            to += b->bytes;
        }
        entry_release(th->pool, f->e, f->old);
        entry_forget(th, i);
        if (!f->copy) {
            b->result->pinned++;
            clear_mark(th, f->page.frame, i);
        }
    }
}

/* ---- writing ----------------------------------------------------------------------------------- */

/* How many pages from i on are neighbours in their file (those without a copy are none). */
static uint32_t run_length(const struct batch *b, uint32_t i)
{
    uint32_t n = 1;

    while (i + n < b->n && b->flight[i + n].copy &&
           b->flight[i + n].page.key == b->flight[i].page.key + n)
        n++;
    return n;
}

static int write_failed(struct batch *b, const struct flight *f, uint32_t n, int err)
{
    const struct tarn_os *os = b->th->pool->os;
    uint64_t page = f->page.key & KEY_PAGE_MASK;
    char words[128] = "";
    int number = 0;

    (void)os->misc->last_error(os, &number, words, sizeof(words));
    return tarn_fail(
        b->th->pool->sink, err,
        "%s: writing pages %llu to %llu (%llu bytes) failed: %s; they stay dirty in the "
        "pool",
        pool_file(b->th->pool, key_file(f->page.key))->path, (unsigned long long)page,
        (unsigned long long)(page + n - 1), (unsigned long long)n * b->bytes,
        words[0] ? words : tarn_strerror(err));
}

/* The run has been written (err 0) or not: rule 4, and the marks go. */
static void land(struct batch *b, uint32_t first, uint32_t n, int err)
{
    struct tarn_mpool *pool = b->th->pool;

    for (uint32_t i = first; i < first + n; i++) {
        const struct flight *f = &b->flight[i];

        if (err == 0) {
            atomic_store(&pool->frames[f->page.frame].flushed, pte_high(f->old));
            write_unmark(pool, f->page.frame);
        }
        clear_mark(b->th, f->page.frame, i);
    }
}

static void write_runs(struct batch *b)
{
    const struct tarn_os *os = b->th->pool->os;
    uint32_t n;

    for (uint32_t i = 0; i < b->n; i += n) {
        const struct flight *f = &b->flight[i];
        int err;

        n = 1;
        if (!f->copy)
            continue;
        n = run_length(b, i);
        err = os->file->pwrite(os, b->channel->fd, f->copy, (size_t)n * b->bytes,
                               (f->page.key & KEY_PAGE_MASK) * b->bytes);
        if (err == 0) {
            struct file_record *record = pool_file(b->th->pool, key_file(f->page.key));

            b->result->written += n;
            pool_count(b->th, COUNT_WRITE, n);
            pool_count(b->th, COUNT_WRITE_CALL, 1);
            atomic_fetch_add_explicit(&record->writes, n, memory_order_relaxed);
        } else if (b->result->err == 0) {
            b->result->err = write_failed(b, f, n, err);
        }
        land(b, i, n, err);
    }
}

int write_by_key(const void *a, const void *b)
{
    const struct write_page *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static bool have_bounce(struct tarn_thread *th)
{
    const struct tarn_os *host = tarn_os_host();
    void *p;

    if (!th->bounce && host->misc->malloc(host, BOUNCE_BYTES, &p) == 0)
        th->bounce = p;
    return th->bounce != NULL;
}

/* Pages of one file: as many at a time as there is room to copy. */
static void write_file(struct batch *b, const struct write_page *pages, uint32_t n,
                       const struct file_channel *channel)
{
    uint32_t room;

    b->channel = channel;
    b->bytes = channel->page_size;
    for (uint32_t i = 0; i < n;) {
        b->n = 0;
        for (room = BOUNCE_BYTES / b->bytes; i < n && room > 0; i++)
            room -= admit(b, &pages[i]);
        copy_out(b);
        write_runs(b);
    }
}

void write_pages(struct tarn_thread *th, struct write_page *pages, uint32_t n,
                 struct write_result *r)
{
    struct batch b;
    uint32_t end;

    if (!have_bounce(th)) {
        r->err = tarn_fail(th->pool->sink, TARN_ENOMEM, "pool: no %u bytes to write pages from",
                           (unsigned)BOUNCE_BYTES);
        return;
    }
    text_sort(pages, n, sizeof(*pages), write_by_key);
    b.th = th;
    b.result = r;
    for (uint32_t i = 0; i < n; i = end) {
        struct file_channel *channel;
        int err;

        for (end = i; end < n && key_file(pages[end].key) == key_file(pages[i].key);)
            end++;
        if (key_file(pages[i].key) == 0)
            continue; /* evicted between the look at its word and the look at its key */
        err = channel_borrow(th->pool, key_file(pages[i].key), &channel);
        if (err == 0) {
            write_file(&b, pages + i, end - i, channel);
            channel_return(th->pool, channel);
        } else if (err == TARN_EACCES) {
            r->barred += end - i;
        } else if (r->err == 0) {
            r->err = err;
        }
    }
}
