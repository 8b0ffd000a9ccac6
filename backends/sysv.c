/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backend sysv: a System V segment, made without a key, since a key can be guessed and squatted; its
 * number stands in the region's descriptor.
 *
 *     0      the mark: which region of which home this is, who made it
 *     page   the region; committed up to its size
 *     ...    the rest of the reserve: address space, left out of core dumps, until grow has memory put
 *            behind it (mlockall(2) commits all of it)
 *
 * The mark is a page of this backend's own.  The region's header also has a magic number and the uuid,
 * but it is written later, it does not name the home, its layout is the region's business, and here
 * it decides what may be destroyed: numbers of segments begin anew when the machine starts, so the one
 * that a descriptor names may be another program's by now.  `tarn reap` finds by the mark a segment
 * that no descriptor names, because its maker was killed in between.  Killed between the making and
 * the mark, two system calls, it leaves a segment of zeros that nothing can tell from another's.
 *
 * What a number means now, and what is said of it:
 *
 *     no segment, or one that is already removed     gone
 *     a segment of another size                      gone: ours has its size for life
 *     the mark of another region                     gone
 *     no segment, but another IPC namespace          EACCES: it may well be there, elsewhere
 *     owner or mode not as made                      EPERM
 *     no mark                                        ECORRUPT; not removed, since it may be another's
 *     anything else that the system says             that (seed X8)
 *
 * A private region's segment is removed as soon as it is attached, and so goes with its process.
 *
 * tests/test_sysv.c holds this.
 */
#include "backends/module.h"

#include <stdatomic.h>

#define SYSV_ID_VERSION 1u
#define SYSV_MAGIC      0x7673797354524154ULL /* "TARTsysv" in the memory of a little-endian machine */
#define SYSV_MARK_BYTES 4096

struct sysv_id {
    uint32_t version;
    int32_t segment;
    uint32_t uid;
    uint32_t mode;
    uint64_t size;  /* of the segment, the mark included */
    uint64_t space; /* the IPC namespace that it is in; 0 unknown */
};

struct sysv_mark {
    _Atomic uint64_t magic; /* written last */
    uint32_t version;
    uint32_t uid;
    uint64_t pid; /* of the maker */
    uint8_t uuid[16];
    char name[72];
    char home[SYSV_MARK_BYTES - 112]; /* as it was given; cut if it is longer */
};

_Static_assert(sizeof(struct sysv_mark) == SYSV_MARK_BYTES, "the mark fits in any system's page");

/* priv of a segment. */
struct sysv_priv {
    void *at;
    int rdonly;
};

/* A page of the machine, and the mark fits in it. */
static int sysv_page(struct tarn_backend_call *call, size_t *page)
{
    int err = call->os->misc->page_size(call->os, page);

    if (err != TARN_OK || *page >= SYSV_MARK_BYTES)
        return err;
    call->say(call, "a page of %u bytes is too small for a segment's mark", (unsigned)*page);
    return TARN_ENOSYS;
}

/* ---- what the system says -------------------------------------------------------------------- */

/* The number in a small file, where the system has it. */
static int sysv_number(const struct tarn_os *os, const char *path, uint64_t *n)
{
    char text[32];
    tarn_file file;
    size_t got = 0, i;

    if (os->file->open(os, path, TARN_OPEN_RDONLY, 0, &file) != TARN_OK)
        return 0;
    if (os->file->pread(os, file, text, sizeof(text), 0, &got) != TARN_OK)
        got = 0;
    (void)os->file->close(os, file);
    for (*n = 0, i = 0; i < got && text[i] >= '0' && text[i] <= '9'; i++)
        *n = *n * 10 + (uint64_t)(text[i] - '0');
    return i > 0;
}

/* A segment of len bytes was refused: say it with the system's limits.  What to return. */
static int sysv_refused(struct tarn_backend_call *call, uint64_t len, int err)
{
    const struct tarn_os *os = call->os;
    struct module_error error;
    uint64_t most, all, number;

    (void)module_error(os, &error);
    if (err == TARN_EINVAL)
        err = TARN_ENOSPC; /* SHMMAX */
    if (sysv_number(os, "/proc/sys/kernel/shmmax", &most) &&
        sysv_number(os, "/proc/sys/kernel/shmall", &all) &&
        sysv_number(os, "/proc/sys/kernel/shmmni", &number))
        call->say(call,
                  "the system refuses a System V segment of %llu bytes: %s (kernel.shmmax: %llu "
                  "bytes each, shmmni: %llu segments, shmall: %llu pages in all)",
                  module_u(len), error.text, module_u(most), module_u(number), module_u(all));
    else
        call->say(call, "the system refuses a System V segment of %llu bytes: %s", module_u(len),
                  error.text);
    return err;
}

/* Which set of System V segments this process sees: equal numbers, equal sets.  0: unknown. */
static uint64_t sysv_space(const struct tarn_os *os)
{
    struct tarn_fileid id = { 0, 0, 0 };
    tarn_file file;

    if (os->file->open(os, "/proc/self/ns/ipc", TARN_OPEN_RDONLY, 0, &file) != TARN_OK)
        return 0;
    if (os->file->fileid(os, file, &id) != TARN_OK)
        id.ino = 0;
    (void)os->file->close(os, file);
    return id.ino;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* A segment for the mark and req->reserve bytes, or as many as the system grants, at least size. */
static int sysv_get(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                    int *segment, uint64_t *reserve)
{
    const struct tarn_os *os = call->os;
    uint64_t len = req->reserve;
    size_t page;
    int err;

    if ((err = sysv_page(call, &page)) != TARN_OK)
        return err;
    for (;;) {
        err = len > SIZE_MAX - page
                  ? TARN_ENOMEM
                  : os->shm->sysv_get(os, (size_t)len + page, req->mode, len > req->size, segment);
        if ((err != TARN_ENOMEM && err != TARN_EINVAL && err != TARN_ENOSPC) || len == req->size)
            break;
        len = len / 2 & ~(uint64_t)(page - 1);
        if (len < req->size)
            len = req->size;
    }
    *reserve = len;
    return err == TARN_OK ? err : sysv_refused(call, len + page, err);
}

static int sysv_probe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                      struct tarn_probe *found)
{
    struct module_room room;
    uint64_t reserve;
    int segment, err;

    memset(found, 0, sizeof(*found));
    err = module_fits(call, req->size, &room);
    found->avail = room.bytes;
    memcpy(found->where, "System V", sizeof("System V"));
    if (err != TARN_OK || (err = sysv_get(call, req, &segment, &reserve)) != TARN_OK)
        return err;
    if ((err = call->os->shm->sysv_remove(call->os, segment)) != TARN_OK)
        (void)call->os->shm->sysv_remove(call->os, segment);
    return err;
}

static void sysv_cut(char *to, size_t len, const char *from)
{
    size_t n = from == NULL ? 0 : strlen(from);

    n = n < len ? n : len - 1;
    if (n > 0)
        memcpy(to, from, n);
    to[n] = '\0';
}

static void sysv_write_mark(const struct tarn_segment_request *req, uint64_t pid, uint32_t uid,
                            struct sysv_mark *mark)
{
    mark->version = SYSV_ID_VERSION;
    mark->uid = uid;
    mark->pid = pid;
    memcpy(mark->uuid, req->uuid, sizeof(mark->uuid));
    sysv_cut(mark->name, sizeof(mark->name), req->name);
    sysv_cut(mark->home, sizeof(mark->home), req->home);
    atomic_store(&mark->magic, SYSV_MAGIC);
}

/*
 * A new segment, attached.  The address space of this process may be smaller than what the system
 * grants: the reserve is then halved as if it had been refused.
 */
static int sysv_make(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                     size_t page, int *segment, uint64_t *reserve, void **at)
{
    const struct tarn_os *os = call->os;
    struct tarn_segment_request wish = *req;
    struct module_error error;
    int err;

    for (;;) {
        if ((err = sysv_get(call, &wish, segment, reserve)) != TARN_OK ||
            (err = os->shm->sysv_attach(os, *segment, 0, at)) == TARN_OK)
            return err;
        call->say(call, "cannot attach the new System V segment %d of %llu bytes: %s", *segment,
                  module_u(*reserve + page), module_error(os, &error));
        (void)os->shm->sysv_remove(os, *segment);
        if (err != TARN_ENOMEM || *reserve == req->size)
            return err == TARN_ENOENT ? TARN_EIO : err; /* somebody was faster than we are */
        wish.reserve = *reserve / 2 & ~(uint64_t)(page - 1);
        if (wish.reserve < req->size)
            wish.reserve = req->size;
    }
}

/* The segment is new and attached: mark it, commit it.  On failure it is attached no more. */
static int sysv_fill(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                     int segment, void *at, size_t page, const struct tarn_procid *self,
                     struct sysv_id *known, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    int err;

    sysv_write_mark(req, self->pid, known->uid, at);
    if ((err = module_commit(call, (char *)at + page, req->size)) == TARN_OK && req->home == NULL)
        err = os->shm->sysv_remove(os, segment);
    if (err != TARN_OK) {
        (void)os->shm->sysv_detach(os, at);
        return err;
    }
    seg->base = (char *)at + page;
    seg->size = req->size;
    ((struct sysv_priv *)seg->priv)->at = at;
    known->segment = segment;
    known->size = seg->reserve + page;
    if (seg->reserve > seg->size)
        (void)os->map->dontdump(os, (char *)seg->base + seg->size,
                                (size_t)(seg->reserve - seg->size));
    return TARN_OK;
}

static int sysv_create(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       struct tarn_segment_id *id, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct sysv_id known = { .version = SYSV_ID_VERSION, .mode = req->mode };
    struct tarn_segment made = { 0 };
    struct module_room room;
    struct tarn_procid self;
    int segment, err;
    size_t page;
    void *at;

    if ((err = module_fits(call, req->size, &room)) != TARN_OK ||
        (err = os->misc->page_size(os, &page)) != TARN_OK ||
        (err = os->proc->self(os, &self, &known.uid)) != TARN_OK ||
        (err = os->misc->malloc(os, sizeof(struct sysv_priv), &made.priv)) != TARN_OK)
        return err;
    memset(made.priv, 0, sizeof(struct sysv_priv));
    known.space = sysv_space(os);
    if ((err = sysv_make(call, req, page, &segment, &made.reserve, &at)) != TARN_OK)
        goto fail;
    if ((err = sysv_fill(call, req, segment, at, page, &self, &known, &made)) != TARN_OK) {
        (void)os->shm->sysv_remove(os, segment);
        goto fail;
    }
    memset(id, 0, sizeof(*id));
    memcpy(id->bytes, &known, sizeof(known));
    id->len = sizeof(known);
    *seg = made;
    return TARN_OK;
fail:
    os->misc->free(os, made.priv);
    return err;
}

/* ---- finding --------------------------------------------------------------------------------- */

static int sysv_read_id(struct tarn_backend_call *call, const struct tarn_segment_id *id,
                        struct sysv_id *known)
{
    if (id->len == sizeof(*known)) {
        memcpy(known, id->bytes, sizeof(*known));
        if (known->version == SYSV_ID_VERSION && known->segment >= 0)
            return TARN_OK;
    }
    call->say(call, "the id of the segment is damaged");
    return TARN_ECORRUPT;
}

/* The system's err for a call on the segment, said; gone only if this process would see it. */
static int sysv_say(struct tarn_backend_call *call, const struct sysv_id *known, const char *what,
                    int err)
{
    struct module_error error;
    uint64_t here;

    (void)module_error(call->os, &error);
    if (err == TARN_ENOENT && known->space != 0 && (here = sysv_space(call->os)) != known->space) {
        call->say(call,
                  "System V segment %d was made in IPC namespace %llu, this process is in %llu: "
                  "join it there (containers share segments by --ipc), or use mmap",
                  (int)known->segment, module_u(known->space), module_u(here));
        return TARN_EACCES;
    }
    call->say(call, "cannot %s System V segment %d: %s", what, (int)known->segment, error.text);
    return err;
}

/* Is there a segment of that number that may be the region's, and is not removed? */
static int sysv_look(struct tarn_backend_call *call, const struct sysv_id *known,
                     struct tarn_sysv_stat *out)
{
    struct tarn_sysv_stat st;
    int err = call->os->shm->sysv_stat(call->os, (int)known->segment, &st);

    if (err != TARN_OK)
        return sysv_say(call, known, "look at", err);
    *out = st;
    if (st.size != known->size) {
        call->say(call, "System V segment %d has %llu bytes, the region's had %llu: it is another",
                  (int)known->segment, module_u(st.size), module_u(known->size));
        return TARN_ENOENT;
    }
    if (st.doomed) {
        call->say(call, "System V segment %d is removed; %llu attachments keep it",
                  (int)known->segment, module_u(st.nattach));
        return TARN_ENOENT;
    }
    return TARN_OK;
}

/* May only those write it who may write the region? */
static int sysv_trust(struct tarn_backend_call *call, const struct sysv_id *known,
                      const struct tarn_sysv_stat *st)
{
    if (st->uid == known->uid && (st->mode & 0022 & ~known->mode) == 0)
        return TARN_OK;
    call->say(call,
              "System V segment %d belongs to user %u with mode %x (hexadecimal), it was made by "
              "user %u with %x",
              (int)known->segment, st->uid, st->mode, known->uid, known->mode);
    return TARN_EPERM;
}

/* Is the attached segment that of the region? */
static int sysv_check_mark(struct tarn_backend_call *call, const struct sysv_id *known,
                           const uint8_t uuid[16], const struct sysv_mark *mark)
{
    if (atomic_load(&mark->magic) != SYSV_MAGIC || mark->version != SYSV_ID_VERSION) {
        call->say(call,
                  "System V segment %d carries no mark of Tarn: damaged, or not ours; if it is "
                  "nobody else's, remove it by ipcrm -m %d",
                  (int)known->segment, (int)known->segment);
        return TARN_ECORRUPT;
    }
    if (memcmp(mark->uuid, uuid, sizeof(mark->uuid)) == 0)
        return TARN_OK;
    call->say(call, "System V segment %d is of another region now", (int)known->segment);
    return TARN_ENOENT;
}

/* Attach what known names, and nothing else. */
static int sysv_open(struct tarn_backend_call *call, const struct sysv_id *known,
                     const uint8_t uuid[16], int rdonly, void **at)
{
    const struct tarn_os *os = call->os;
    int err;

    if ((err = os->shm->sysv_attach(os, (int)known->segment, rdonly, at)) != TARN_OK)
        return sysv_say(call, known, "attach", err);
    if ((err = sysv_check_mark(call, known, uuid, *at)) != TARN_OK)
        (void)os->shm->sysv_detach(os, *at);
    return err;
}

static int sysv_attach(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id, uint64_t reserve, int rdonly,
                       struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct sysv_priv *priv;
    struct tarn_sysv_stat st;
    struct sysv_id known;
    void *memory;
    size_t page;
    int err;

    if ((err = sysv_read_id(call, id, &known)) != TARN_OK ||
        (err = sysv_page(call, &page)) != TARN_OK ||
        (err = sysv_look(call, &known, &st)) != TARN_OK ||
        (err = sysv_trust(call, &known, &st)) != TARN_OK)
        return err;
    if (reserve > UINT64_MAX - page || reserve + page != known.size) {
        call->say(call, "a reserve of %llu bytes is wanted, the segment was made with %llu",
                  module_u(reserve), module_u(known.size - page));
        return TARN_EINVAL;
    }
    if ((err = os->misc->malloc(os, sizeof(*priv), &memory)) != TARN_OK)
        return err;
    priv = memory;
    priv->rdonly = rdonly;
    if ((err = sysv_open(call, &known, req->uuid, rdonly, &priv->at)) != TARN_OK) {
        os->misc->free(os, priv);
        return err;
    }
    seg->base = (char *)priv->at + page;
    seg->size = 0;
    seg->reserve = reserve;
    seg->priv = priv;
    if (reserve > req->size)
        (void)os->map->dontdump(os, (char *)seg->base + req->size, (size_t)(reserve - req->size));
    return TARN_OK;
}

/* ---- using ----------------------------------------------------------------------------------- */

static int sysv_inside(struct tarn_backend_call *call, const struct tarn_segment *seg, uint64_t off,
                       uint64_t len)
{
    const struct sysv_priv *priv = seg->priv;

    if (!priv->rdonly)
        return module_inside(call, seg, off, len);
    call->say(call, "the segment is attached for reading only");
    return TARN_EPERM;
}

static int sysv_grow(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                     uint64_t len)
{
    struct module_room room;
    int err;

    if ((err = sysv_inside(call, seg, off, len)) != TARN_OK ||
        (err = module_fits(call, len, &room)) != TARN_OK)
        return err;
    err = module_commit(call, (char *)seg->base + off, len);
    if (err != TARN_OK)
        (void)call->os->map->discard(call->os, (char *)seg->base + off, (size_t)len);
    return err;
}

static int sysv_shrink(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                       uint64_t len)
{
    int err = sysv_inside(call, seg, off, len);

    return err != TARN_OK ? err : module_discard(call, (char *)seg->base + off, len);
}

static int sysv_detach(struct tarn_backend_call *call, struct tarn_segment *seg)
{
    struct sysv_priv *priv = seg->priv;
    int err = call->os->shm->sysv_detach(call->os, priv->at);

    call->os->misc->free(call->os, priv);
    memset(seg, 0, sizeof(*seg));
    return err;
}

static int sysv_remove(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id)
{
    const struct tarn_os *os = call->os;
    struct tarn_sysv_stat st;
    struct sysv_id known;
    void *at;
    int err;

    if ((err = sysv_read_id(call, id, &known)) != TARN_OK)
        return err;
    if (req->home == NULL)
        return TARN_OK; /* done when it was made */
    if ((err = sysv_look(call, &known, &st)) != TARN_OK ||
        (err = sysv_open(call, &known, req->uuid, 1, &at)) != TARN_OK)
        return err == TARN_ENOENT ? TARN_OK : err;
    if ((err = os->shm->sysv_detach(os, at)) != TARN_OK)
        return err;
    err = os->shm->sysv_remove(os, (int)known.segment);
    if (err == TARN_OK || err == TARN_ENOENT)
        return TARN_OK;
    return sysv_say(call, &known, "remove", err);
}

static int sysv_describe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         const struct tarn_segment_id *id, char *text, size_t len)
{
    struct sysv_id known;
    int err;

    (void)req;
    module_line(text, len, "SysV segment", 0, "");
    if ((err = sysv_read_id(call, id, &known)) == TARN_OK)
        module_line(text, len, "SysV segment ", (uint32_t)known.segment, "");
    return err;
}

TARN_API const struct tarn_backend tarn_backend_sysv = {
    .size = sizeof(struct tarn_backend),
    .abi = TARN_BACKEND_ABI,
    .caps = TARN_CAP_SHARED | TARN_CAP_NAMED | TARN_CAP_GROWS,
    .name = "sysv",
    .summary = "a System V segment, found by the number in the descriptor",
    .probe = sysv_probe,
    .create = sysv_create,
    .attach = sysv_attach,
    .grow = sysv_grow,
    .shrink = sysv_shrink,
    .detach = sysv_detach,
    .remove = sysv_remove,
    .describe = sysv_describe,
};
