/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backend mmap: a regular file, mapped.
 *
 * The file is DIR/NAME.<8 hexadecimal digits of the region's uuid>.mem, where DIR is the home, or
 * where the request wants it.  The whole reserve is mapped once, beyond the end of the file; memory
 * comes behind it when the file is allocated further, and every process that has it mapped reaches
 * that at once, with no system call of its own.  The file is never made shorter: shrink punches.
 *
 * What a joiner believes is the id, which the region keeps in its descriptor: directory, owner, mode
 * and size at creation.  The name follows from the region's name and uuid, so a forged id can name no
 * other file.  Owner, mode, kind and size are checked on the open descriptor (seed R14: a joiner
 * believes the file, and its own settings count for nothing).
 *
 * On a disk the kernel writes the pages out for as long as they change; probe says so.
 */
#include "backends/module.h"

#define MMAP_PATH_MAX   4096
#define MMAP_ID_VERSION 1u

/* The id; behind it, if the file is not in the home, the directory without an end byte. */
struct mmap_id {
    uint32_t version;
    uint32_t uid;
    uint32_t mode;
    uint32_t dir_len; /* 0: the home, so that a home may be moved */
    uint64_t size;
};

struct mmap_path {
    char text[MMAP_PATH_MAX];
};

/* priv of a segment. */
struct mmap_priv {
    tarn_file file;
    int rdonly;
    char path[];
};

static int mmap_path(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                     const char *dir, struct mmap_path *path)
{
    char unique[9];

    module_hex(unique, req->uuid, 4);
    path->text[0] = '\0';
    if (module_append(path->text, sizeof(path->text), dir) != TARN_OK ||
        module_append(path->text, sizeof(path->text), "/") != TARN_OK ||
        module_append(path->text, sizeof(path->text), req->name) != TARN_OK ||
        module_append(path->text, sizeof(path->text), ".") != TARN_OK ||
        module_append(path->text, sizeof(path->text), unique) != TARN_OK ||
        module_append(path->text, sizeof(path->text), ".mem") != TARN_OK) {
        call->say(call, "the path of directory %s is longer than %d bytes", dir,
                  MMAP_PATH_MAX - 40);
        return TARN_EINVAL;
    }
    return TARN_OK;
}

/* The directory of a file to be made; *len is what the id has to keep of it. */
static int mmap_dir(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                    const char **dir, uint32_t *len)
{
    size_t n;

    if (req->home == NULL || req->name == NULL) {
        call->say(call, "a private region has no files");
        return TARN_ENOSYS;
    }
    *dir = req->dir == NULL ? req->home : req->dir;
    *len = 0;
    if (strcmp(*dir, req->home) == 0)
        return TARN_OK;
    n = strlen(*dir);
    if (**dir != '/' && (n < 2 || (*dir)[1] != ':')) {
        call->say(call,
                  "TARN_REGION_DIR is %s: it must be a whole path, since other processes look "
                  "for it from elsewhere",
                  *dir);
        return TARN_EINVAL;
    }
    if (n > TARN_SEGMENT_ID_MAX - sizeof(struct mmap_id)) {
        call->say(call, "the directory %s has %u bytes, at most %u can be kept", *dir, (unsigned)n,
                  (unsigned)(TARN_SEGMENT_ID_MAX - sizeof(struct mmap_id)));
        return TARN_EINVAL;
    }
    *len = (uint32_t)n;
    return TARN_OK;
}

/* The id as it was made, and the path that it means now. */
static int mmap_find(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                     const struct tarn_segment_id *id, struct mmap_id *known,
                     struct mmap_path *path)
{
    char dir[TARN_SEGMENT_ID_MAX];

    if (id->len < sizeof(*known) || id->len > sizeof(id->bytes))
        goto fail;
    memcpy(known, id->bytes, sizeof(*known));
    if (known->version != MMAP_ID_VERSION || known->dir_len != id->len - sizeof(*known))
        goto fail;
    if (req->home == NULL || req->name == NULL)
        goto fail;
    if (known->dir_len == 0)
        return mmap_path(call, req, req->home, path);
    memcpy(dir, id->bytes + sizeof(*known), known->dir_len);
    dir[known->dir_len] = '\0';
    if (strlen(dir) == known->dir_len)
        return mmap_path(call, req, dir, path);
fail:
    call->say(call, "the id of the segment is damaged");
    return TARN_ECORRUPT;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* What the file system of the existing path `at` leaves, which in memory is also the machine's. */
static int mmap_room(struct tarn_backend_call *call, const char *at, struct tarn_fsinfo *fs,
                     struct module_room *room)
{
    struct module_error error;
    int err = call->os->file->fsinfo(call->os, at, fs);

    if (err != TARN_OK) {
        call->say(call, "cannot ask for the space in %s: %s", at, module_error(call->os, &error));
        return err;
    }
    room->bytes = fs->avail;
    room->limit = "file system";
    if (fs->flags & TARN_FS_MEMORY)
        module_memory(call->os, room);
    return TARN_OK;
}

static int mmap_fits(struct tarn_backend_call *call, const char *at, uint64_t size,
                     const struct tarn_fsinfo *fs, const struct module_room *room)
{
    if (size <= room->bytes)
        return TARN_OK;
    call->say(call,
              "%llu bytes asked, %llu free for %s (%s, limit: %s); TARN_REGION_DIR names "
              "another place",
              module_u(size), module_u(room->bytes), at, fs->type, room->limit);
    return TARN_ENOSPC;
}

/* Set [off, off+len) of the file aside; a failure tells the numbers. */
static int mmap_commit(struct tarn_backend_call *call, const char *path, tarn_file file,
                       uint64_t off, uint64_t len)
{
    struct module_error error;
    int err = call->os->file->allocate(call->os, file, off, len);

    if (err != TARN_OK)
        call->say(call, "cannot set %llu bytes aside at %llu of %s: %s", module_u(len),
                  module_u(off), path, module_error(call->os, &error));
    return err;
}

/* ---- probe ----------------------------------------------------------------------------------- */

/* Tried by doing, with a file that has no name; or that loses it at once where none can be without. */
static int mmap_try(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                    const char *dir)
{
    const struct tarn_os *os = call->os;
    struct tarn_map_request map = { NULL, TARN_NO_FILE, 0, 0, TARN_MAP_REGION };
    struct module_error error;
    struct mmap_path path;
    const char *step = "make a file";
    size_t page;
    void *base;
    int err, closed;

    if ((err = os->misc->page_size(os, &page)) != TARN_OK ||
        (err = mmap_path(call, req, dir, &path)) != TARN_OK)
        return err;
    err = os->file->open(os, dir, TARN_OPEN_UNNAMED, 0600, &map.file);
    if (err == TARN_ENOSYS)
        err = os->file->open(os, path.text,
                             TARN_OPEN_CREATE | TARN_OPEN_EXCL | TARN_OPEN_NOFOLLOW |
                                 TARN_OPEN_TEMPORARY,
                             0600, &map.file);
    if (err == TARN_OK) {
        step = "allocate a page of a file";
        map.len = page;
        if ((err = os->file->allocate(os, map.file, 0, page)) == TARN_OK) {
            step = "map a file";
            if ((err = os->map->map(os, &map, &base)) == TARN_OK)
                err = os->map->unmap(os, base, page);
        }
    }
    if (err != TARN_OK)
        call->say(call, "cannot %s in %s: %s", step, dir, module_error(os, &error));
    if (map.file != TARN_NO_FILE) {
        closed = os->file->close(os, map.file);
        err = err == TARN_OK ? closed : err;
    }
    return err;
}

static int mmap_forced(const struct tarn_os *os)
{
    const char *value;

    return os->misc->getenv(os, "TARN_FORCE_NETWORK", &value) == TARN_OK && value != NULL &&
           strcmp(value, "1") == 0;
}

static void mmap_note(struct tarn_probe *found, const struct tarn_fsinfo *fs)
{
    if (!(fs->flags & TARN_FS_FIRM))
        (void)module_append(found->note, sizeof(found->note),
                            "a full disk may still stop a process (SIGBUS) here; ");
    if (!(fs->flags & TARN_FS_MEMORY))
        (void)module_append(found->note, sizeof(found->note),
                            "the kernel writes the pool to disk for ever: set TARN_REGION_DIR to a "
                            "tmpfs (/dev/shm)");
}

static int mmap_probe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                      struct tarn_probe *found)
{
    struct tarn_fsinfo fs;
    struct module_room room;
    const char *dir;
    uint32_t len;
    int err;

    memset(found, 0, sizeof(*found));
    found->avail = UINT64_MAX;
    if ((err = mmap_dir(call, req, &dir, &len)) != TARN_OK ||
        (err = mmap_room(call, dir, &fs, &room)) != TARN_OK)
        return err;
    found->avail = room.bytes;
    (void)module_append(found->where, sizeof(found->where), fs.type);
    mmap_note(found, &fs);
    if (req->shared && (fs.flags & TARN_FS_NETWORK) && !mmap_forced(call->os)) {
        call->say(call,
                  "%s is on a network file system (%s), and the locks of other machines are "
                  "not seen: set TARN_REGION_DIR and the home to a local directory, or "
                  "TARN_FORCE_NETWORK=1",
                  dir, fs.type);
        return TARN_ENOSYS;
    }
    if ((err = mmap_fits(call, dir, req->size, &fs, &room)) != TARN_OK)
        return err;
    return mmap_try(call, req, dir);
}

/* ---- segments -------------------------------------------------------------------------------- */

/* Is the open file one that only those may write who may write the region? */
static int mmap_trust(struct tarn_backend_call *call, const char *path, const struct tarn_stat *st,
                      uint32_t uid, uint32_t mode)
{
    if (st->kind != TARN_KIND_FILE)
        call->say(call, "%s is not a regular file", path);
    else if (st->nlink != 1)
        call->say(call, "%s has %u names, expected 1", path, st->nlink);
    else if (st->uid != uid)
        call->say(call, "%s belongs to user %u, the region's memory was made by user %u", path,
                  st->uid, uid);
    else if (st->mode & 0022 & ~mode)
        call->say(call,
                  "%s may be written by others: its mode is %x (hexadecimal), the region's %x",
                  path, st->mode, mode);
    else
        return TARN_OK;
    return TARN_EPERM;
}

/* Map the reserve; if `least` allows, a smaller one where the system refuses so much. */
static int mmap_map(struct tarn_backend_call *call, const struct mmap_priv *priv, uint64_t least,
                    uint64_t reserve, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct tarn_map_request map = { priv->path, priv->file, 0, 0, TARN_MAP_REGION };
    struct module_error error;
    uint64_t len = reserve;
    size_t page;
    int err;

    if ((err = os->misc->page_size(os, &page)) != TARN_OK)
        return err;
    map.flags |= TARN_MAP_NORESERVE | (priv->rdonly ? TARN_MAP_RDONLY : 0u);
    for (;;) {
        map.len = (size_t)len;
        err = len > SIZE_MAX ? TARN_ENOMEM : os->map->map(os, &map, &seg->base);
        if ((err != TARN_ENOMEM && err != TARN_EINVAL) || len == least)
            break; /* EINVAL: more than any address space, as valgrind says it */
        len = len / 2 & ~(uint64_t)(page - 1);
        if (len < least)
            len = least;
    }
    if (err == TARN_OK)
        seg->reserve = len;
    else
        call->say(call, "cannot map %llu bytes of %s: %s", module_u(len), priv->path,
                  module_error(os, &error));
    return err;
}

static int mmap_new_priv(struct tarn_backend_call *call, const struct mmap_path *path, int rdonly,
                         struct mmap_priv **out)
{
    size_t len = strlen(path->text) + 1;
    void *memory;
    int err = call->os->misc->malloc(call->os, sizeof(**out) + len, &memory);

    if (err != TARN_OK)
        return err;
    *out = memory;
    (*out)->file = TARN_NO_FILE;
    (*out)->rdonly = rdonly;
    memcpy((*out)->path, path->text, len);
    return TARN_OK;
}

static int mmap_free_priv(const struct tarn_os *os, struct mmap_priv *priv)
{
    int err = TARN_OK;

    if (priv->file != TARN_NO_FILE)
        err = os->file->close(os, priv->file);
    os->misc->free(os, priv);
    return err;
}

/* The file is open and new; seg gets what is not zero. */
static int mmap_fill(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                     struct mmap_priv *priv, struct mmap_id *known, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct tarn_stat st;
    int err;

    if ((err = os->file->ioinfo(os, priv->file, &st)) != TARN_OK ||
        (err = mmap_trust(call, priv->path, &st, st.uid, req->mode)) != TARN_OK ||
        (err = mmap_commit(call, priv->path, priv->file, 0, req->size)) != TARN_OK ||
        (err = mmap_map(call, priv, req->size, req->reserve, seg)) != TARN_OK)
        return err;
    known->uid = st.uid;
    seg->size = req->size;
    seg->priv = priv;
    if (seg->reserve > seg->size)
        (void)os->map->dontdump(os, (char *)seg->base + seg->size,
                                (size_t)(seg->reserve - seg->size));
    return TARN_OK;
}

static void mmap_write_id(const struct mmap_id *known, const char *dir, struct tarn_segment_id *id)
{
    memset(id, 0, sizeof(*id));
    memcpy(id->bytes, known, sizeof(*known));
    memcpy(id->bytes + sizeof(*known), dir, known->dir_len);
    id->len = (uint32_t)sizeof(*known) + known->dir_len;
}

static int mmap_create(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       struct tarn_segment_id *id, struct tarn_segment *seg)
{
    const struct tarn_os *os = call->os;
    struct mmap_id known = { MMAP_ID_VERSION, 0, req->mode, 0, req->size };
    struct tarn_segment made = { 0 };
    struct mmap_priv *priv;
    struct module_error error;
    struct module_room room;
    struct tarn_fsinfo fs;
    struct mmap_path path;
    const char *dir;
    int err;

    if ((err = mmap_dir(call, req, &dir, &known.dir_len)) != TARN_OK ||
        (err = mmap_path(call, req, dir, &path)) != TARN_OK ||
        (err = mmap_room(call, dir, &fs, &room)) != TARN_OK ||
        (err = mmap_fits(call, dir, req->size, &fs, &room)) != TARN_OK ||
        (err = mmap_new_priv(call, &path, 0, &priv)) != TARN_OK)
        return err;
    err = os->file->open(os, priv->path, TARN_OPEN_CREATE | TARN_OPEN_EXCL | TARN_OPEN_NOFOLLOW,
                         req->mode, &priv->file);
    if (err != TARN_OK) {
        call->say(call, "cannot make %s: %s", priv->path, module_error(os, &error));
        goto fail;
    }
    if ((err = mmap_fill(call, req, priv, &known, &made)) != TARN_OK) {
        (void)os->map->runlink(os, priv->path);
        goto fail;
    }
    mmap_write_id(&known, dir, id);
    *seg = made;
    return TARN_OK;
fail:
    (void)mmap_free_priv(os, priv);
    return err;
}

/* Open the file of a segment, if it is the one that was made. */
static int mmap_open(struct tarn_backend_call *call, const struct mmap_id *known,
                     struct mmap_priv *priv)
{
    const struct tarn_os *os = call->os;
    struct module_error error;
    struct tarn_stat st;
    int err;

    err =
        os->file->open(os, priv->path, TARN_OPEN_NOFOLLOW | (priv->rdonly ? TARN_OPEN_RDONLY : 0u),
                       0, &priv->file);
    if (err != TARN_OK) {
        call->say(call, "cannot open %s: %s", priv->path, module_error(os, &error));
        return err;
    }
    if ((err = os->file->ioinfo(os, priv->file, &st)) != TARN_OK)
        return err == TARN_ENOENT ? TARN_EIO : err;
    if (st.nlink == 0) {
        call->say(call, "%s has just been removed", priv->path);
        return TARN_ENOENT;
    }
    if ((err = mmap_trust(call, priv->path, &st, known->uid, known->mode)) != TARN_OK)
        return err;
    if (st.size >= known->size)
        return TARN_OK;
    call->say(call, "%s has %llu bytes and was made with %llu: somebody cut it", priv->path,
              module_u(st.size), module_u(known->size));
    return TARN_ECORRUPT;
}

static int mmap_attach(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id, uint64_t reserve, int rdonly,
                       struct tarn_segment *seg)
{
    struct tarn_segment got = { 0 };
    struct mmap_priv *priv;
    struct mmap_path path;
    struct mmap_id known;
    int err;

    if ((err = mmap_find(call, req, id, &known, &path)) != TARN_OK)
        return err;
    if (reserve < known.size) {
        call->say(call, "a reserve of %llu bytes is less than the %llu that the segment has",
                  module_u(reserve), module_u(known.size));
        return TARN_EINVAL;
    }
    if ((err = mmap_new_priv(call, &path, rdonly, &priv)) != TARN_OK)
        return err;
    if ((err = mmap_open(call, &known, priv)) != TARN_OK ||
        (err = mmap_map(call, priv, reserve, reserve, &got)) != TARN_OK) {
        (void)mmap_free_priv(call->os, priv);
        return err;
    }
    if (reserve > known.size)
        (void)call->os->map->dontdump(call->os, (char *)got.base + known.size,
                                      (size_t)(reserve - known.size));
    got.priv = priv;
    *seg = got;
    return TARN_OK;
}

static int mmap_inside(struct tarn_backend_call *call, const struct tarn_segment *seg, uint64_t off,
                       uint64_t len)
{
    const struct mmap_priv *priv = seg->priv;

    if (priv->rdonly) {
        call->say(call, "%s is attached for reading only", priv->path);
        return TARN_EPERM;
    }
    if (len > 0 && off <= seg->reserve && len <= seg->reserve - off)
        return TARN_OK;
    call->say(call, "bytes %llu to %llu are not inside the reserve of %llu", module_u(off),
              module_u(off + len), module_u(seg->reserve));
    return TARN_EINVAL;
}

static int mmap_grow(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                     uint64_t len)
{
    const struct mmap_priv *priv = seg->priv;
    struct module_room room;
    struct tarn_fsinfo fs;
    int err;

    if ((err = mmap_inside(call, seg, off, len)) != TARN_OK)
        return err;
    /* Removed while attached, its path cannot be asked any more; allocate still knows. */
    if (mmap_room(call, priv->path, &fs, &room) == TARN_OK &&
        (err = mmap_fits(call, priv->path, len, &fs, &room)) != TARN_OK)
        return err;
    return mmap_commit(call, priv->path, priv->file, off, len);
}

static int mmap_shrink(struct tarn_backend_call *call, struct tarn_segment *seg, uint64_t off,
                       uint64_t len)
{
    const struct mmap_priv *priv = seg->priv;
    struct module_error error;
    int err;

    if ((err = mmap_inside(call, seg, off, len)) != TARN_OK)
        return err;
    if ((err = call->os->file->punch(call->os, priv->file, off, len)) != TARN_OK)
        call->say(call, "cannot give %llu bytes at %llu of %s back: %s", module_u(len),
                  module_u(off), priv->path, module_error(call->os, &error));
    return err;
}

static int mmap_detach(struct tarn_backend_call *call, struct tarn_segment *seg)
{
    int err = call->os->map->unmap(call->os, seg->base, (size_t)seg->reserve);
    int closed = mmap_free_priv(call->os, seg->priv);

    memset(seg, 0, sizeof(*seg));
    return err == TARN_OK ? closed : err;
}

static int mmap_remove(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                       const struct tarn_segment_id *id)
{
    struct module_error error;
    struct mmap_path path;
    struct mmap_id known;
    int err;

    if ((err = mmap_find(call, req, id, &known, &path)) != TARN_OK)
        return err;
    err = call->os->map->runlink(call->os, path.text);
    if (err == TARN_OK || err == TARN_ENOENT)
        return TARN_OK;
    call->say(call, "cannot remove %s: %s", path.text, module_error(call->os, &error));
    return err;
}

static int mmap_describe(struct tarn_backend_call *call, const struct tarn_segment_request *req,
                         const struct tarn_segment_id *id, char *text, size_t len)
{
    struct mmap_path path;
    struct mmap_id known;
    int err;

    if (len == 0)
        return TARN_OK;
    text[0] = '\0';
    if ((err = module_append(text, len, "file ")) != TARN_OK ||
        (err = mmap_find(call, req, id, &known, &path)) != TARN_OK)
        return err;
    if (module_append(text, len, path.text) != TARN_OK) {
        memcpy(text + 5, path.text, len - 6);
        text[len - 1] = '\0';
    }
    return TARN_OK;
}

TARN_API const struct tarn_backend tarn_backend_mmap = {
    .size = sizeof(struct tarn_backend),
    .abi = TARN_BACKEND_ABI,
    .caps = TARN_CAP_SHARED | TARN_CAP_NAMED | TARN_CAP_GROWS | TARN_CAP_SURVIVES,
    .name = "mmap",
    .summary = "a mapped file, in the home or in TARN_REGION_DIR",
    .probe = mmap_probe,
    .create = mmap_create,
    .attach = mmap_attach,
    .grow = mmap_grow,
    .shrink = mmap_shrink,
    .detach = mmap_detach,
    .remove = mmap_remove,
    .describe = mmap_describe,
};
