/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes at a place, made from an override's own seek, read and write (seed O8), so that
 * all page traffic goes through them.
 *
 * Rules
 *   1. The position of a file is one for all its users, so a derived call has the file to itself:
 *      its number stands in the level's list of busy files, once.
 *   2. A derived call leaves the position where it found it.
 *   3. What a level has itself is never replaced: only slots that the override leaves NULL are
 *      derived, and if it brings pread or pwrite, the vectored ones are made of that.
 *
 * Not promised: speed.  Waiting for a busy file is yielding, then sleeping.
 * tests/test_stack.c counts the calls that overlap: none may.
 */
#include "os/table.h"

enum { SPINS = 100, NAP = 50000 /* ns */ };

/* The place of f in the list, or of a free place if it is not there; -1: neither. */
static int find_busy(const struct table_level *level, tarn_file f)
{
    for (int i = 0; i < TABLE_BUSY_FILES; i++)
        if (level->busy[i] == f)
            return i;
    return -1;
}

static void list_lock(struct table_level *level)
{
    while (atomic_flag_test_and_set_explicit(&level->busy_lock, memory_order_acquire))
        (void)level->os.below->misc->yield(level->os.below);
}

static void list_unlock(struct table_level *level)
{
    atomic_flag_clear_explicit(&level->busy_lock, memory_order_release);
}

static int try_busy(struct table_level *level, tarn_file f)
{
    int place = -1;

    list_lock(level);
    if (find_busy(level, f) < 0)
        place = find_busy(level, TARN_NO_FILE);
    if (place >= 0)
        level->busy[place] = f;
    list_unlock(level);
    return place >= 0;
}

static void file_lock(struct table_level *level, tarn_file f)
{
    const struct tarn_os *below = level->os.below;

    for (int tries = 0; !try_busy(level, f); tries++)
        if (tries < SPINS)
            (void)below->misc->yield(below);
        else
            (void)below->misc->sleep(below, NAP);
}

static void file_unlock(struct table_level *level, tarn_file f)
{
    list_lock(level);
    level->busy[find_busy(level, f)] = TARN_NO_FILE;
    list_unlock(level);
}

/* Go to off and remember where the file was. */
static int go(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t *before)
{
    int ret;

    if (off > INT64_MAX)
        return TARN_EINVAL;
    ret = os->file->seek(os, f, 0, TARN_SEEK_CUR, before);
    return ret != TARN_OK ? ret : os->file->seek(os, f, (int64_t)off, TARN_SEEK_SET, NULL);
}

static int go_back(const struct tarn_os *os, tarn_file f, uint64_t before, int ret)
{
    int back = os->file->seek(os, f, (int64_t)before, TARN_SEEK_SET, NULL);

    return ret != TARN_OK ? ret : back;
}

static int derived_preadv(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                          uint64_t off, size_t *got)
{
    struct table_level *level = table_level_of(os);
    uint64_t before;
    size_t done = 0, part;
    int ret;

    if (n < 1 || n > 64)
        return TARN_EINVAL;
    file_lock(level, f);
    ret = go(os, f, off, &before);
    if (ret == TARN_OK) {
        for (int i = 0; i < n; i++) {
            ret = os->file->read(os, f, iov[i].base, iov[i].len, &part);
            done += ret == TARN_OK ? part : 0;
            if (ret != TARN_OK || part < iov[i].len)
                break;
        }
        ret = go_back(os, f, before, ret);
    }
    file_unlock(level, f);
    if (ret == TARN_OK)
        *got = done;
    return ret;
}

static int derived_pwritev(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                           uint64_t off)
{
    struct table_level *level = table_level_of(os);
    uint64_t before;
    int ret;

    if (n < 1 || n > 64)
        return TARN_EINVAL;
    file_lock(level, f);
    ret = go(os, f, off, &before);
    if (ret == TARN_OK) {
        for (int i = 0; i < n && ret == TARN_OK; i++)
            ret = os->file->write(os, f, iov[i].base, iov[i].len);
        ret = go_back(os, f, before, ret);
    }
    file_unlock(level, f);
    return ret;
}

static int derived_pread(const struct tarn_os *os, tarn_file f, void *buf, size_t len, uint64_t off,
                         size_t *got)
{
    struct tarn_iov one = { .base = buf, .len = len };

    return derived_preadv(os, f, &one, 1, off, got);
}

static int derived_pwrite(const struct tarn_os *os, tarn_file f, const void *buf, size_t len,
                          uint64_t off)
{
    struct tarn_iov one = { .base = (void *)(uintptr_t)buf, .len = len };

    return derived_pwritev(os, f, &one, 1, off);
}

static int preadv_by_pread(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                           uint64_t off, size_t *got)
{
    size_t done = 0, part;

    if (n < 1 || n > 64)
        return TARN_EINVAL;
    for (int i = 0; i < n; i++) {
        int ret = os->file->pread(os, f, iov[i].base, iov[i].len, off + done, &part);

        if (ret != TARN_OK)
            return ret;
        done += part;
        if (part < iov[i].len)
            break;
    }
    *got = done;
    return TARN_OK;
}

static int pwritev_by_pwrite(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov,
                             int n, uint64_t off)
{
    int ret = n < 1 || n > 64 ? TARN_EINVAL : TARN_OK;

    for (int i = 0; i < n && ret == TARN_OK; i++) {
        ret = os->file->pwrite(os, f, iov[i].base, iov[i].len, off);
        off += iov[i].len;
    }
    return ret;
}

void table_derive(struct table_level *level, const struct tarn_os_file *over)
{
    int serial = over->read != NULL || over->write != NULL || over->seek != NULL;

    if (serial && over->pread == NULL)
        level->file.pread = derived_pread;
    if (serial && over->pwrite == NULL)
        level->file.pwrite = derived_pwrite;
    if (over->preadv == NULL && over->pread != NULL)
        level->file.preadv = preadv_by_pread;
    else if (over->preadv == NULL && serial)
        level->file.preadv = derived_preadv;
    if (over->pwritev == NULL && over->pwrite != NULL)
        level->file.pwritev = pwritev_by_pwrite;
    else if (over->pwritev == NULL && serial)
        level->file.pwritev = derived_pwritev;
}
