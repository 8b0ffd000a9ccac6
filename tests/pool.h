/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool of its own for each test, in a fresh home, and files that are filled, read and compared
 * with plain system calls beside it.
 *
 *     struct bed b;
 *     bed_make(&b, 0, 0);                              a shared pool of 256 KiB
 *     bed_fill(&b, "file", 4096, 100);                 100 pages, each knows its number
 *     tarn_mpf *f = bed_file(&b, "file", 4096, 0);
 *     ...
 *     OK(tarn_mpf_close(f));
 *     bed_remove(&b);
 *
 * The environment stands on a table (struct io) that counts page I/O, fails what it is told to
 * fail, and calls a function before each open, read, write, fsync, look at a lock byte, allocation, heavy
 * barrier and sleep, so that a test can be inside one.
 * Where it is told to hurry, sleeps are over at once: a bounded wait is then as long in tries, but
 * not in seconds.
 */
#ifndef TARN_TESTS_POOL_H
#define TARN_TESTS_POOL_H

#include "home.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/mpool.h>

enum { PAGE = 4096 }; /* the usual one here */

/* ---- the table ---------------------------------------------------------------------------------- */

enum io_kind {
    IO_READ,
    IO_WRITE,
    IO_FSYNC,
    IO_LOCK,
    IO_ALLOC,
    IO_SLEEP,
    IO_OPEN,
    IO_BARRIER,
    IO_KINDS
};

struct io {
    struct tarn_os os;
    struct tarn_os_file file;
    struct tarn_os_misc misc;
    struct tarn_os_sync sync;
    _Atomic bool hurry; /* a sleep is over at once */
    _Atomic long calls[IO_KINDS];
    _Atomic long bytes[IO_KINDS];
    _Atomic int err[IO_KINDS]; /* what they return, instead of doing it; 0: they do it */
    void (*before)(void *ctx, enum io_kind kind, uint64_t off, size_t len);
    void *ctx;
};

static inline int io_step(struct io *io, enum io_kind kind, uint64_t off, size_t len)
{
    atomic_fetch_add(&io->calls[kind], 1);
    atomic_fetch_add(&io->bytes[kind], (long)len);
    if (io->before != NULL)
        io->before(io->ctx, kind, off, len);
    return atomic_load(&io->err[kind]);
}

static inline int io_pread(const struct tarn_os *os, tarn_file f, void *buf, size_t len,
                           uint64_t off, size_t *got)
{
    int ret = io_step(os->ctx, IO_READ, off, len);

    return ret != 0 ? ret : os->below->file->pread(os->below, f, buf, len, off, got);
}

static inline int io_pwrite(const struct tarn_os *os, tarn_file f, const void *buf, size_t len,
                            uint64_t off)
{
    int ret = io_step(os->ctx, IO_WRITE, off, len);

    return ret != 0 ? ret : os->below->file->pwrite(os->below, f, buf, len, off);
}

static inline int io_fsync(const struct tarn_os *os, tarn_file f, int data_only)
{
    int ret = io_step(os->ctx, IO_FSYNC, 0, 0);

    return ret != 0 ? ret : os->below->file->fsync(os->below, f, data_only);
}

static inline int io_open(const struct tarn_os *os, const char *path, unsigned flags, unsigned mode,
                          tarn_file *f)
{
    int ret = io_step(os->ctx, IO_OPEN, 0, 0);

    return ret != 0 ? ret : os->below->file->open(os->below, path, flags, mode, f);
}

static inline int io_close(const struct tarn_os *os, tarn_file f)
{
    return os->below->file->close(os->below, f);
}

/* A lock byte of another participant is looked at, or taken. */
static inline int io_lock_byte(const struct tarn_os *os, tarn_file f, uint64_t byte,
                               enum tarn_lockop op, int *held)
{
    int ret = io_step(os->ctx, IO_LOCK, byte, 0);

    return ret != 0 ? ret : os->below->sync->lock_byte(os->below, f, byte, op, held);
}

static inline int io_malloc(const struct tarn_os *os, size_t len, void **out)
{
    int ret = io_step(os->ctx, IO_ALLOC, 0, len);

    return ret != 0 ? ret : os->below->misc->malloc(os->below, len, out);
}

static inline int io_realloc(const struct tarn_os *os, void *p, size_t len, void **out)
{
    return os->below->misc->realloc(os->below, p, len, out);
}

static inline void io_free(const struct tarn_os *os, void *p)
{
    os->below->misc->free(os->below, p);
}

static inline int io_barrier(const struct tarn_os *os)
{
    int ret = io_step(os->ctx, IO_BARRIER, 0, 0);

    return ret != 0 ? ret : os->below->sync->barrier(os->below);
}

static inline int io_sleep(const struct tarn_os *os, uint64_t ns)
{
    struct io *io = os->ctx;

    (void)io_step(io, IO_SLEEP, ns, 0);
    return atomic_load(&io->hurry) ? TARN_OK : os->below->misc->sleep(os->below, ns);
}

static inline void io_make(struct io *io)
{
    memset(io, 0, sizeof(*io));
    io->file.size = sizeof(io->file);
    io->file.open = io_open;
    io->file.close = io_close;
    io->file.pread = io_pread;
    io->file.pwrite = io_pwrite;
    io->file.fsync = io_fsync;
    io->sync.size = sizeof(io->sync);
    io->sync.lock_byte = io_lock_byte;
    io->sync.barrier = io_barrier;
    io->misc.size = sizeof(io->misc);
    io->misc.sleep = io_sleep;
    io->misc.malloc = io_malloc;
    io->misc.realloc = io_realloc;
    io->misc.free = io_free;
    io->os.size = sizeof(io->os);
    io->os.name = "counted";
    io->os.ctx = io;
    io->os.file = &io->file;
    io->os.misc = &io->misc;
    io->os.sync = &io->sync;
}

/* Count from here on. */
static inline void io_reset(struct io *io)
{
    for (int i = 0; i < IO_KINDS; i++) {
        atomic_store(&io->calls[i], 0);
        atomic_store(&io->bytes[i], 0);
    }
}

/* ---- the pool ----------------------------------------------------------------------------------- */

struct bed {
    struct home home;
    struct io io;
    tarn_env *env;
    tarn_mpool *pool;
    tarn_thread *th;
};

static inline int bed_env(struct bed *b, tarn_env **env)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    config.home = b->home.path;
    config.os = &b->io.os;
    return tarn_env_open(&config, env);
}

/* A pool as config says, with CREATE, in a home of its own. */
static inline void bed_make_as(struct bed *b, struct tarn_mpool_config config)
{
    memset(b, 0, sizeof(*b));
    home_make(&b->home);
    io_make(&b->io);
    config.flags |= TARN_REGION_CREATE;
    MUST(bed_env(b, &b->env));
    MUST(tarn_mpool_open(b->env, NULL, &config, &b->pool));
    MUST(tarn_mpool_thread(b->pool, &b->th));
    io_reset(&b->io);
}

/* bytes 0: 256 KiB; flags: TARN_REGION_PRIVATE or 0. */
static inline void bed_make(struct bed *b, uint64_t bytes, unsigned flags)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;

    config.bytes = bytes;
    config.flags = flags;
    bed_make_as(b, config);
}

static inline void bed_remove(struct bed *b)
{
    OK(tarn_mpool_close(b->pool));
    OK(tarn_env_close(b->env));
    home_remove(&b->home);
}

/* The pool of b once more, in this process or in a child: another participant. */
static inline int bed_join(struct bed *b, struct bed *other)
{
    int ret;

    memset(other, 0, sizeof(*other));
    other->home = b->home;
    io_make(&other->io);
    ret = bed_env(other, &other->env);
    if (ret == 0)
        ret = tarn_mpool_open(other->env, NULL, NULL, &other->pool);
    if (ret == 0)
        ret = tarn_mpool_thread(other->pool, &other->th);
    return ret;
}

static inline int bed_leave(struct bed *b)
{
    int ret = tarn_mpool_close(b->pool), t = tarn_env_close(b->env);

    return ret != 0 ? ret : t;
}

static inline struct tarn_mpool_stat bed_stat(struct bed *b)
{
    struct tarn_mpool_stat st;

    memset(&st, 0, sizeof(st));
    OK(tarn_mpool_stat(b->pool, &st));
    return st;
}

/* ---- files -------------------------------------------------------------------------------------- */

/* Every byte of page pgno of a file that nobody has changed. */
static inline void page_fill(void *page, size_t size, tarn_pgno pgno, unsigned salt)
{
    memset(page, (int)((pgno * 7 + salt) & 0xff), size);
    memcpy(page, &pgno, sizeof(pgno));
}

static inline bool page_is(const void *page, size_t size, tarn_pgno pgno, unsigned salt)
{
    static _Thread_local uint8_t want[TARN_PAGE_SIZE_MAX];

    page_fill(want, size, pgno, salt);
    return memcmp(page, want, size) == 0;
}

static inline bool page_is_zero(const uint8_t *page, size_t size)
{
    return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

static inline void bed_path(const struct bed *b, const char *name, char path[128])
{
    home_file(&b->home, name, path);
}

/* Make file name with this many pages, by plain writes. */
static inline void bed_fill(const struct bed *b, const char *name, size_t size, tarn_pgno pages)
{
    static uint8_t page[TARN_PAGE_SIZE_MAX];
    char path[128];
    FILE *f;

    bed_path(b, name, path);
    f = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (tarn_pgno i = 0; i < pages; i++) {
        page_fill(page, size, i, 0);
        CU_ASSERT_EQUAL(fwrite(page, 1, size, f), size);
    }
    CU_ASSERT_EQUAL(fclose(f), 0);
}

static inline long long bed_file_size(const struct bed *b, const char *name)
{
    char path[128];
    struct stat st;

    bed_path(b, name, path);
    return stat(path, &st) == 0 ? (long long)st.st_size : -1;
}

/* Page pgno of the file as read(2) sees it now; false if it is not there whole. */
static inline bool bed_read(const struct bed *b, const char *name, size_t size, tarn_pgno pgno,
                            void *page)
{
    char path[128];
    int fd;
    ssize_t n;

    bed_path(b, name, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : pread(fd, page, size, (off_t)(pgno * size));
    if (fd >= 0)
        (void)close(fd);
    return n == (ssize_t)size;
}

static inline bool bed_has(const struct bed *b, const char *name, size_t size, tarn_pgno pgno,
                           unsigned salt)
{
    static _Thread_local uint8_t page[TARN_PAGE_SIZE_MAX];

    return bed_read(b, name, size, pgno, page) && page_is(page, size, pgno, salt);
}

static inline int bed_open_file(struct bed *b, const char *name, uint32_t size, unsigned flags,
                                tarn_mpf **file)
{
    struct tarn_mpf_config config = TARN_MPF_CONFIG_INIT;

    config.page_size = size;
    config.flags = flags;
    return tarn_mpf_open(b->pool, name, &config, file);
}

static inline tarn_mpf *bed_file(struct bed *b, const char *name, uint32_t size, unsigned flags)
{
    tarn_mpf *file = NULL;

    MUST(bed_open_file(b, name, size, flags, &file));
    return file;
}

/* Pin and put page pgno; whether it was what bed_fill() wrote. */
static inline bool bed_touch(struct bed *b, tarn_mpf *file, size_t size, tarn_pgno pgno)
{
    void *page = NULL;
    bool right;

    if (tarn_page_get(b->th, file, pgno, 0, &page) != TARN_OK)
        return false;
    right = page_is(page, size, pgno, 0);
    return tarn_page_put(b->th, page, 0) == TARN_OK && right;
}

/* Write new contents into page pgno and say so. */
static inline void bed_change(struct bed *b, tarn_mpf *file, size_t size, tarn_pgno pgno,
                              unsigned salt)
{
    void *page = NULL;

    MUST(tarn_page_get(b->th, file, pgno, TARN_GET_CREATE, &page));
    page_fill(page, size, pgno, salt);
    OK(tarn_page_put(b->th, page, TARN_PAGE_DIRTY));
}

/* ---- threads ------------------------------------------------------------------------------------ */

/* Wait until *flag is at least n, by looking: whoever raises it is running. */
static inline void await(const _Atomic int *flag, int n)
{
    while (atomic_load(flag) < n)
        (void)sched_yield();
}

#endif
