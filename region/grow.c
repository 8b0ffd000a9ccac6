/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory behind more of the reserve, under the header's grow word.
 *
 * A grower that dies has published nothing: the chunk count and `committed` are written last.  What
 * it had set aside already reads as zeros and is set aside again by the next one, which the backends
 * take as done.  So whoever finds it dead only frees the word (reap.c).
 */
#include "region/grow.h"

#include "backends/call.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"
#include "region/sizes.h"

enum { BORROW_TRIES = 1000, BORROW_PAUSE = 1000000 }; /* ns: a second in all */

/* A tag to own the word with: growing must not need a lane, since a lane may need to grow. */
static int begin(struct tarn_region *region, uint32_t *tag)
{
    uint32_t lane;

    for (int i = 0; !rows_lane_spare(region, &lane, tag); i++) {
        if (i == BORROW_TRIES)
            return tarn_fail(region->sink, TARN_EAGAIN,
                             "region %s: %u others are giving it memory already: try again",
                             region->name, region->header->spare_lanes);
        (void)reap_sweep(region);
        (void)region->os->misc->sleep(region->os, BORROW_PAUSE);
    }
    (void)own_lock(region, &region->header->grow, *tag);
    return TARN_OK;
}

static void end(struct tarn_region *region, uint32_t tag)
{
    own_unlock(region, &region->header->grow, tag);
    rows_lane_unspare(region);
}

static int commit(struct tarn_region *region, uint64_t off, uint64_t len)
{
    struct tarn_backend_call call;
    int err;

    if (len == 0)
        return TARN_OK;
    call_init(&call, region->os);
    if ((region->backend->caps & TARN_CAP_GROWS) == 0)
        err = TARN_ENOSYS;
    else
        err = region->backend->grow(&call, &region->segment, off, len);
    if (err != TARN_OK)
        return tarn_fail(region->sink, err,
                         "region %s: %llu more bytes at %llu are refused by backend %s: %s",
                         region->name, (unsigned long long)len, (unsigned long long)off,
                         region->backend->name, call_why(&call, err));
    atomic_fetch_add(&region->header->committed, len);
    return TARN_OK;
}

int grow_lanes(struct tarn_region *region, uint32_t count)
{
    struct region_header *h = region->header;
    uint64_t from, to;
    size_t page;
    uint32_t tag;
    int err = region->os->misc->page_size(region->os, &page);

    if (err != TARN_OK || (err = begin(region, &tag)) != TARN_OK)
        return err;
    if (rows_lane_count(region) == count) {
        from = sizes_lanes_end(h->lanes_off, h->lane_bytes, count, page);
        to = sizes_lanes_end(h->lanes_off, h->lane_bytes, count + LANE_CHUNK, page);
        if ((err = commit(region, from, to - from)) == TARN_OK) {
            rows_lane_init(region, count, count + LANE_CHUNK);
            atomic_fetch_add(&h->lane_chunks, 1);
        }
    }
    end(region, tag);
    return err;
}

int region_grow(struct tarn_region *region, uint64_t off, uint64_t len)
{
    struct region_header *h = region->header;
    uint32_t tag;
    int err;

    if (off < h->end_off || off > h->reserve || len > h->reserve - off)
        return tarn_fail(region->sink, TARN_ENOSPC,
                         "region %s: %llu bytes at %llu are outside its reserve, %llu to %llu",
                         region->name, (unsigned long long)len, (unsigned long long)off,
                         (unsigned long long)h->end_off, (unsigned long long)h->reserve);
    if ((region->backend->caps & TARN_CAP_GROWS) == 0)
        return TARN_OK; /* all of the reserve was committed when the region was made */
    if ((err = begin(region, &tag)) != TARN_OK)
        return err;
    err = commit(region, off, len);
    end(region, tag);
    return err;
}
