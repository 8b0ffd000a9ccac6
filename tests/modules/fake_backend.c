/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend that has no memory: what the loader and the choice are tested with.
 *   FAKE_NAME   its name
 *   FAKE_EXPORT what it exports, with tarn_backend_ before it, if another
 *   FAKE_SAYS   the name in its table, if another
 *   FAKE_ABI    of its table
 *   FAKE_CAPS   of its table
 *   FAKE_ERR    what its probe returns
 *   FAKE_LOCAL  its probe refuses shared requests
 */
#include <string.h>
#include <tarn/backend.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define TEXT_(a)    #a
#define TEXT(a)     TEXT_(a)

#ifndef FAKE_EXPORT
#define FAKE_EXPORT FAKE_NAME
#endif
#ifndef FAKE_SAYS
#define FAKE_SAYS FAKE_NAME
#endif
#ifndef FAKE_ABI
#define FAKE_ABI TARN_BACKEND_ABI
#endif
#ifndef FAKE_CAPS
#define FAKE_CAPS 0
#endif
#ifndef FAKE_ERR
#define FAKE_ERR TARN_OK
#endif
#ifndef FAKE_LOCAL
#define FAKE_LOCAL 0
#endif

static int fake_probe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                      struct tarn_probe *found)
{
    int err = FAKE_LOCAL && req->shared ? TARN_ENOSYS : FAKE_ERR;

    memset(found, 0, sizeof(*found));
    found->avail = 4096;
    memcpy(found->where, "nowhere", sizeof("nowhere"));
    if (err != TARN_OK)
        call->say(call, "%s has no %llu bytes", TEXT(FAKE_NAME), (unsigned long long)req->size);
    return err;
}

static int fake_create(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       struct tarn_segment_id *id, struct tarn_segment *seg)
{
    (void)call, (void)req, (void)id, (void)seg;
    return TARN_ENOSYS;
}

static int fake_attach(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id, uint64_t reserve, int rdonly,
                       struct tarn_segment *seg)
{
    (void)call, (void)req, (void)id, (void)reserve, (void)rdonly, (void)seg;
    return TARN_ENOSYS;
}

static int fake_grow(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                     uint64_t len)
{
    (void)call, (void)seg, (void)off, (void)len;
    return TARN_ENOSYS;
}

static int fake_detach(struct tarn_backend_call *call, struct tarn_segment *seg)
{
    (void)call, (void)seg;
    return TARN_ENOSYS;
}

static int fake_remove(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id)
{
    (void)call, (void)req, (void)id;
    return TARN_OK;
}

static int fake_describe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         const struct tarn_segment_id *id, char *text, size_t len)
{
    (void)call, (void)req, (void)id;
    if (len > 0)
        text[0] = '\0';
    return TARN_OK;
}

TARN_API const struct tarn_backend JOIN(tarn_backend_, FAKE_EXPORT) = {
    .size = sizeof(struct tarn_backend),
    .abi = FAKE_ABI,
    .caps = FAKE_CAPS,
    .name = TEXT(FAKE_SAYS),
    .summary = "no memory at all",
    .probe = fake_probe,
    .create = fake_create,
    .attach = fake_attach,
    .grow = fake_grow,
    .shrink = fake_grow,
    .detach = fake_detach,
    .remove = fake_remove,
    .describe = fake_describe,
};
