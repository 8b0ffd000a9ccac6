/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading, writing and sizes.  A transfer goes on until it is whole, at its end, or failed; one that
 * moves nothing although it should is an error, never another round.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/posix/posix.h"

enum { IOV_LIMIT = 64 };

int posix_range(uint64_t off, uint64_t len)
{
    if (off > INT64_MAX || len > INT64_MAX - off)
        return posix_error(EINVAL);
    return TARN_OK;
}

int posix_file_close(const struct tarn_os *os, tarn_file f)
{
    if (close((int)f) == 0 || errno == EINTR) /* the descriptor is gone in both cases */
        return TARN_OK;
    return posix_failed();
}

/* What is left of a transfer: n pieces, the first of which may be begun. */
struct pieces {
    struct iovec iov[IOV_LIMIT];
    int first, n;
    size_t done;
};

static int pieces_from(struct pieces *p, const struct tarn_iov *iov, int n)
{
    if (n < 1 || n > IOV_LIMIT)
        return posix_error(EINVAL);
    for (int i = 0; i < n; i++)
        p->iov[i] = (struct iovec){ .iov_base = iov[i].base, .iov_len = iov[i].len };
    p->first = 0;
    p->n = n;
    p->done = 0;
    return TARN_OK;
}

static void pieces_skip_empty(struct pieces *p)
{
    while (p->first < p->n && p->iov[p->first].iov_len == 0)
        p->first++;
}

static void pieces_moved(struct pieces *p, size_t moved)
{
    p->done += moved;
    while (moved > 0) {
        struct iovec *v = &p->iov[p->first];
        size_t part = moved < v->iov_len ? moved : v->iov_len;

        v->iov_base = (char *)v->iov_base + part;
        v->iov_len -= part;
        moved -= part;
        pieces_skip_empty(p);
    }
}

int posix_file_read(const struct tarn_os *os, tarn_file f, void *buf, size_t len, size_t *got)
{
    size_t done = 0;

    while (done < len) {
        size_t want = len - done < INT_MAX ? len - done : INT_MAX;
        ssize_t n = read((int)f, (char *)buf + done, want);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return posix_failed();
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return TARN_OK;
}

int posix_file_write(const struct tarn_os *os, tarn_file f, const void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        size_t want = len - done < INT_MAX ? len - done : INT_MAX;
        ssize_t n = write((int)f, (const char *)buf + done, want);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return posix_failed();
        if (n == 0)
            return posix_error(EIO);
        done += (size_t)n;
    }
    return TARN_OK;
}

int posix_file_seek(const struct tarn_os *os, tarn_file f, int64_t off, enum tarn_whence whence,
                    uint64_t *pos)
{
    static const int how[] = {
        [TARN_SEEK_SET] = SEEK_SET, [TARN_SEEK_CUR] = SEEK_CUR, [TARN_SEEK_END] = SEEK_END
    };
    off_t at;

    if ((unsigned)whence > TARN_SEEK_END)
        return posix_error(EINVAL);
    at = lseek((int)f, (off_t)off, how[whence]);
    if (at < 0)
        return posix_failed();
    if (pos != NULL)
        *pos = (uint64_t)at;
    return TARN_OK;
}

int posix_file_preadv(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                      uint64_t off, size_t *got)
{
    struct pieces p;
    int ret = pieces_from(&p, iov, n);

    if (ret != TARN_OK || (ret = posix_range(off, 0)) != TARN_OK)
        return ret;
    for (pieces_skip_empty(&p); p.first < p.n;) {
        ssize_t moved = preadv((int)f, p.iov + p.first, p.n - p.first, (off_t)(off + p.done));

        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return posix_failed();
        if (moved == 0)
            break;
        pieces_moved(&p, (size_t)moved);
    }
    *got = p.done;
    return TARN_OK;
}

int posix_file_pwritev(const struct tarn_os *os, tarn_file f, const struct tarn_iov *iov, int n,
                       uint64_t off)
{
    struct pieces p;
    int ret = pieces_from(&p, iov, n);

    if (ret != TARN_OK || (ret = posix_range(off, 0)) != TARN_OK)
        return ret;
    for (pieces_skip_empty(&p); p.first < p.n;) {
        ssize_t moved = pwritev((int)f, p.iov + p.first, p.n - p.first, (off_t)(off + p.done));

        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            return posix_failed();
        if (moved == 0)
            return posix_error(EIO);
        pieces_moved(&p, (size_t)moved);
    }
    return TARN_OK;
}

int posix_file_pread(const struct tarn_os *os, tarn_file f, void *buf, size_t len, uint64_t off,
                     size_t *got)
{
    struct tarn_iov one = { .base = buf, .len = len };

    return posix_file_preadv(os, f, &one, 1, off, got);
}

int posix_file_pwrite(const struct tarn_os *os, tarn_file f, const void *buf, size_t len,
                      uint64_t off)
{
    struct tarn_iov one = { .base = (void *)(uintptr_t)buf, .len = len };

    return posix_file_pwritev(os, f, &one, 1, off);
}

int posix_file_truncate(const struct tarn_os *os, tarn_file f, uint64_t size)
{
    int ret = posix_range(size, 0);

    if (ret != TARN_OK)
        return ret;
    while (ftruncate((int)f, (off_t)size) != 0)
        if (errno != EINTR)
            return posix_failed();
    return TARN_OK;
}

int posix_file_allocate(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len)
{
    struct stat before, after;
    int error, ret = posix_range(off, len);

    if (ret != TARN_OK)
        return ret;
    if (fstat((int)f, &before) != 0)
        return posix_failed();
    do
        error = posix_fallocate((int)f, (off_t)off, (off_t)len);
    while (error == EINTR);
    if (error == 0)
        return TARN_OK;
    /* Some file systems keep what they had room for. */
    if (fstat((int)f, &after) == 0 && after.st_size > before.st_size)
        (void)posix_file_truncate(os, f, (uint64_t)before.st_size);
    return posix_error(error);
}

/* Never retried after an error: the system forgets which pages it could not write. */
int posix_file_fsync(const struct tarn_os *os, tarn_file f, int data_only)
{
    while ((data_only ? fdatasync((int)f) : fsync((int)f)) != 0)
        if (errno != EINTR)
            return posix_failed();
    return TARN_OK;
}

int posix_file_advise(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len,
                      enum tarn_advice advice)
{
    static const int how[] = { [TARN_ADVISE_WILLNEED] = POSIX_FADV_WILLNEED,
                               [TARN_ADVISE_DONTNEED] = POSIX_FADV_DONTNEED,
                               [TARN_ADVISE_RANDOM] = POSIX_FADV_RANDOM };

    if (advice < TARN_ADVISE_WILLNEED || advice > TARN_ADVISE_RANDOM)
        return posix_error(EINVAL);
    if (posix_range(off, len) == TARN_OK)
        (void)posix_fadvise((int)f, (off_t)off, (off_t)len, how[advice]);
    return TARN_OK;
}
