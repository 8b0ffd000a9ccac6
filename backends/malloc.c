/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backend malloc: memory of the OS table's malloc, for the threads of one process.  The smallest
 * backend, and the one to copy.
 *
 * The block is one page longer than asked, so that the segment can begin on a page.  All of it is
 * committed by zeroing it; it does not grow, so the reserve is what was asked to be committed.
 */
#include "backends/module.h"

static int malloc_probe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                        struct tarn_probe *found)
{
    struct module_room room;
    int err = module_fits(call, req->size, &room);

    memset(found, 0, sizeof(*found));
    found->avail = room.bytes;
    memcpy(found->where, "heap", sizeof("heap"));
    if (!req->shared)
        return err;
    call->say(call, "memory of malloc cannot be shared between processes: use threads, or another "
                    "backend");
    return TARN_ENOSYS;
}

static int malloc_create(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         struct tarn_segment_id *id, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct module_room room;
    void *block;
    size_t page;
    int err;

    if ((err = os->misc->page_size(os, &page)) != TARN_OK)
        return err;
    if (req->size > SIZE_MAX - page) {
        call->say(call, "%llu bytes are more than an address can reach", module_u(req->size));
        return TARN_ENOMEM;
    }
    if ((err = module_fits(call, req->size, &room)) != TARN_OK)
        return err;
    if ((err = os->misc->malloc(os, (size_t)req->size + page, &block)) != TARN_OK) {
        call->say(call, "malloc refused %llu bytes", module_u(req->size) + page);
        return err;
    }
    seg->base = (void *)(((uintptr_t)block + page - 1) & ~(uintptr_t)(page - 1));
    seg->size = req->size;
    seg->reserve = req->size;
    seg->priv = block;
    memset(seg->base, 0, (size_t)req->size);
    id->len = 0;
    return TARN_OK;
}

static int malloc_attach(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         const struct tarn_segment_id *id, uint64_t reserve, int rdonly,
                         struct tarn_segment *seg)
{
    (void)req, (void)id, (void)reserve, (void)rdonly, (void)seg;
    call->say(call, "memory of malloc belongs to the process that made it");
    return TARN_ENOSYS;
}

static int malloc_grow(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                       uint64_t len)
{
    (void)seg, (void)off, (void)len;
    call->say(call, "memory of malloc does not grow or shrink");
    return TARN_ENOSYS;
}

static int malloc_detach(struct tarn_backend_call *call, struct tarn_segment *seg)
{
    call->os->misc->free(call->os, seg->priv);
    memset(seg, 0, sizeof(*seg));
    return TARN_OK;
}

/* Nothing stands behind the id: the memory is gone with its one attachment. */
static int malloc_remove(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         const struct tarn_segment_id *id)
{
    (void)call, (void)req, (void)id;
    return TARN_OK;
}

static int malloc_describe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                           const struct tarn_segment_id *id, char *text, size_t len)
{
    (void)call, (void)req, (void)id;
    if (len == 0)
        return TARN_OK;
    text[0] = '\0';
    return module_append(text, len, "heap of one process");
}

TARN_API const struct tarn_backend tarn_backend_malloc = {
    .size = sizeof(struct tarn_backend),
    .abi = TARN_BACKEND_ABI,
    .caps = 0,
    .name = "malloc",
    .summary = "memory of malloc, for the threads of one process",
    .probe = malloc_probe,
    .create = malloc_create,
    .attach = malloc_attach,
    .grow = malloc_grow,
    .shrink = malloc_grow,
    .detach = malloc_detach,
    .remove = malloc_remove,
    .describe = malloc_describe,
};
