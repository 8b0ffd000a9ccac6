/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backend anon: shared anonymous memory, for the threads of a process and the children that it makes
 * by fork.  It has no name: whoever is not such a child cannot get at it, and is told so.
 *
 * The whole reserve is mapped once.  What lies above the committed size is address space, left out of
 * core dumps; grow has memory put behind it, which all processes reach at once.  (mlockall(2) commits
 * all of it.)
 *
 * A segment is mapped once in a process, at the same place in its children, so a further attach
 * is the same mapping with one more holder.  The table of these mappings:
 *
 *              claim           filled                  hold, release
 *     refs 0 ----------> BUSY ----------> 1 <-------------------------> n
 *          ^              | ^             |
 *          +--------------+ +-------------+
 *            unmapped            last
 *
 *   1. Only who has made a slot BUSY writes it; who holds it may read it.
 *   2. Which segment it is can be asked without holding, and is asked again after that.
 *   3. A child has the table as it was at the fork.  A slot that another thread had BUSY at that moment
 *      is lost to the child, and one more holder never goes; neither costs more than address space.
 *
 * tests/test_anon.c holds this.
 */
#include "backends/module.h"

#include <stdatomic.h>

#define ANON_ID_VERSION 1u
#define ANON_SLOTS      256
#define ANON_BUSY       UINT32_MAX

struct anon_id {
    uint32_t version;
    uint32_t spare;
    uint64_t pid; /* of the process that made it, for messages */
};

static struct anon_slot {
    _Atomic uint32_t refs;
    _Atomic uint64_t uuid[2];
    const struct tarn_os *_Atomic os; /* that mapped it, and unmaps it */
    void *base;
    uint64_t reserve;
} anon_slots[ANON_SLOTS];

/* ---- the table ------------------------------------------------------------------------------- */

static struct anon_slot *anon_claim(struct tarn_backend_call *call)
{
    for (int i = 0; i < ANON_SLOTS; i++) {
        uint32_t none = 0;

        if (atomic_compare_exchange_strong(&anon_slots[i].refs, &none, ANON_BUSY))
            return &anon_slots[i];
    }
    call->say(call, "this process has %d segments of anonymous memory already", ANON_SLOTS);
    return NULL;
}

static int anon_is(struct anon_slot *slot, const struct tarn_os *os, const uint8_t uuid[16])
{
    uint64_t key[2];

    memcpy(key, uuid, sizeof(key));
    return atomic_load(&slot->uuid[0]) == key[0] && atomic_load(&slot->uuid[1]) == key[1] &&
           atomic_load(&slot->os) == os;
}

/* Has this process the segment through any other table? */
static int anon_through_another(const uint8_t uuid[16])
{
    for (struct anon_slot *slot = anon_slots; slot < anon_slots + ANON_SLOTS; slot++) {
        const struct tarn_os *os = atomic_load(&slot->os);

        if (os != NULL && anon_is(slot, os, uuid))
            return 1;
    }
    return 0;
}

/* Let go of a slot; the last one unmaps. */
static int anon_release(const struct tarn_os *os, struct anon_slot *slot)
{
    uint32_t refs = atomic_load(&slot->refs);
    int err;

    while (!atomic_compare_exchange_weak(&slot->refs, &refs, refs == 1 ? ANON_BUSY : refs - 1))
        ;
    if (refs != 1)
        return TARN_OK;
    err = os->map->unmap(os, slot->base, (size_t)slot->reserve);
    atomic_store(&slot->os, NULL);
    atomic_store(&slot->refs, 0);
    return err;
}

static struct anon_slot *anon_hold(const struct tarn_os *os, const uint8_t uuid[16])
{
    for (struct anon_slot *slot = anon_slots; slot < anon_slots + ANON_SLOTS; slot++) {
        uint32_t refs = atomic_load(&slot->refs);

        while (refs != 0 && refs != ANON_BUSY && anon_is(slot, os, uuid)) {
            if (!atomic_compare_exchange_weak(&slot->refs, &refs, refs + 1))
                continue;
            if (anon_is(slot, os, uuid))
                return slot;
            (void)anon_release(os, slot);
            break;
        }
    }
    return NULL;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Map req->reserve bytes, or as many as the system grants, at least req->size. */
static int anon_map(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                    void **base, uint64_t *reserve)
{
    const struct tarn_os *os = call->os;
    struct tarn_map_request map = { NULL, TARN_NO_FILE, 0, 0, 0 };
    struct module_error error;
    uint64_t len = req->reserve;
    size_t page;
    int err;

    if ((err = os->misc->page_size(os, &page)) != TARN_OK)
        return err;
    for (;;) {
        map.len = (size_t)len;
        map.flags = TARN_MAP_REGION | TARN_MAP_ANON | (len > req->size ? TARN_MAP_NORESERVE : 0u);
        err = len > SIZE_MAX ? TARN_ENOMEM : os->map->map(os, &map, base);
        if ((err != TARN_ENOMEM && err != TARN_EINVAL) || len == req->size)
            break; /* EINVAL: more than any address space, as valgrind says it */
        len = len / 2 & ~(uint64_t)(page - 1);
        if (len < req->size)
            len = req->size;
    }
    *reserve = len;
    if (err != TARN_OK)
        call->say(call, "cannot map %llu bytes of anonymous memory: %s", module_u(len),
                  module_error(os, &error));
    return err;
}

static int anon_probe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                      struct tarn_probe *found)
{
    struct module_room room;
    uint64_t reserve;
    void *base;
    int err = module_fits(call, req->size, &room);

    memset(found, 0, sizeof(*found));
    found->avail = room.bytes;
    memcpy(found->where, "memory", sizeof("memory"));
    (void)module_append(found->note, sizeof(found->note), "shared by fork only");
    if (req->shared) {
        call->say(call, "anonymous memory is shared by fork only: processes that join by name need "
                        "mmap or sysv");
        return TARN_ENOSYS;
    }
    if (err != TARN_OK || (err = anon_map(call, req, &base, &reserve)) != TARN_OK)
        return err;
    return call->os->map->unmap(call->os, base, (size_t)reserve);
}

static int anon_create(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       struct tarn_segment_id *id, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct anon_id known = { ANON_ID_VERSION, 0, 0 };
    struct anon_slot *slot;
    struct tarn_procid self;
    struct module_room room;
    int err;

    if ((err = module_fits(call, req->size, &room)) != TARN_OK ||
        (err = os->proc->self(os, &self, NULL)) != TARN_OK)
        return err;
    if ((slot = anon_claim(call)) == NULL)
        return TARN_ENOMEM;
    if ((err = anon_map(call, req, &slot->base, &slot->reserve)) != TARN_OK)
        goto fail;
    if ((err = module_commit(call, slot->base, req->size)) != TARN_OK) {
        (void)os->map->unmap(os, slot->base, (size_t)slot->reserve);
        goto fail;
    }
    if (slot->reserve > req->size)
        (void)os->map->dontdump(os, (char *)slot->base + req->size,
                                (size_t)(slot->reserve - req->size));
    seg->base = slot->base;
    seg->size = req->size;
    seg->reserve = slot->reserve;
    seg->priv = slot;
    for (size_t i = 0; i < 2; i++) {
        uint64_t half;

        memcpy(&half, req->uuid + 8 * i, sizeof(half));
        atomic_store(&slot->uuid[i], half);
    }
    atomic_store(&slot->os, os);
    atomic_store(&slot->refs, 1);
    known.pid = self.pid;
    memset(id, 0, sizeof(*id));
    memcpy(id->bytes, &known, sizeof(known));
    id->len = sizeof(known);
    return TARN_OK;
fail:
    atomic_store(&slot->refs, 0);
    return err;
}

/* ---- using ----------------------------------------------------------------------------------- */

static int anon_read_id(struct tarn_backend_call *call, const struct tarn_segment_id *id,
                        struct anon_id *known)
{
    if (id->len == sizeof(*known)) {
        memcpy(known, id->bytes, sizeof(*known));
        if (known->version == ANON_ID_VERSION)
            return TARN_OK;
    }
    call->say(call, "the id of the segment is damaged");
    return TARN_ECORRUPT;
}

static int anon_attach(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id, uint64_t reserve, int rdonly,
                       struct tarn_segment *seg)
{
    struct anon_slot *slot;
    struct anon_id known;
    int err;

    if ((err = anon_read_id(call, id, &known)) != TARN_OK)
        return err;
    if (rdonly) {
        call->say(call, "anonymous memory cannot be attached for reading only: it is mapped once");
        return TARN_ENOSYS;
    }
    slot = anon_hold(call->os, req->uuid);
    if (slot == NULL && anon_through_another(req->uuid)) {
        call->say(call, "this process has it through another table of OS functions, and what one "
                        "table has mapped no other may unmap: use the same for both environments");
        return TARN_ENOSYS;
    }
    if (slot == NULL) {
        call->say(call,
                  "it is the anonymous memory of process %llu, which only its children by fork "
                  "share: be such a child and call tarn_env_reattach, or make the region with "
                  "mmap or sysv",
                  module_u(known.pid));
        return TARN_ENOSYS;
    }
    if (slot->reserve != reserve) {
        call->say(call, "a reserve of %llu bytes is wanted, the segment has %llu",
                  module_u(reserve), module_u(slot->reserve));
        (void)anon_release(call->os, slot);
        return TARN_EINVAL;
    }
    seg->base = slot->base;
    seg->size = 0;
    seg->reserve = reserve;
    seg->priv = slot;
    return TARN_OK;
}

static int anon_grow(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                     uint64_t len)
{
    struct module_room room;
    int err;

    if ((err = module_inside(call, seg, off, len)) != TARN_OK ||
        (err = module_fits(call, len, &room)) != TARN_OK)
        return err;
    err = module_commit(call, (char *)seg->base + off, len);
    if (err != TARN_OK)
        (void)call->os->map->discard(call->os, (char *)seg->base + off, (size_t)len);
    return err;
}

static int anon_shrink(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                       uint64_t len)
{
    int err = module_inside(call, seg, off, len);

    return err != TARN_OK ? err : module_discard(call, (char *)seg->base + off, len);
}

static int anon_detach(struct tarn_backend_call *call, struct tarn_segment *seg)
{
    int err = anon_release(call->os, seg->priv);

    memset(seg, 0, sizeof(*seg));
    return err;
}

/* Nothing stands behind the id: the memory goes with the last process that has it. */
static int anon_remove(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id)
{
    (void)call, (void)req, (void)id;
    return TARN_OK;
}

static int anon_describe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         const struct tarn_segment_id *id, char *text, size_t len)
{
    struct anon_id known;
    int err;

    (void)req;
    module_line(text, len, "anonymous memory of process ", 0, "");
    if ((err = anon_read_id(call, id, &known)) == TARN_OK)
        module_line(text, len, "anonymous memory of process ", known.pid, " and its children");
    return err;
}

TARN_API const struct tarn_backend tarn_backend_anon = {
    .size = sizeof(struct tarn_backend),
    .abi = TARN_BACKEND_ABI,
    .caps = TARN_CAP_FORK | TARN_CAP_GROWS,
    .name = "anon",
    .summary = "anonymous memory, for threads and children made by fork",
    .probe = anon_probe,
    .create = anon_create,
    .attach = anon_attach,
    .grow = anon_grow,
    .shrink = anon_shrink,
    .detach = anon_detach,
    .remove = anon_remove,
    .describe = anon_describe,
};
