/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening, with three promises that open(2) alone does not give: the mode of a new file is exact
 * whatever the umask, a temporary file has lost its name before anybody can be interrupted, and a
 * FIFO that somebody put there does not make us hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/posix/posix.h"

enum { OPEN_TRIES = 10 }; /* somebody makes and removes the file all the time: then TARN_EAGAIN */

#define KNOWN_FLAGS                                                                                \
    (TARN_OPEN_RDONLY | TARN_OPEN_CREATE | TARN_OPEN_EXCL | TARN_OPEN_TRUNCATE |                   \
     TARN_OPEN_TEMPORARY | TARN_OPEN_NOFOLLOW | TARN_OPEN_UNNAMED | TARN_OPEN_SEQUENTIAL)

static int check_flags(unsigned flags, unsigned mode)
{
    if ((flags & ~(unsigned)KNOWN_FLAGS) != 0)
        return posix_refused(TARN_EINVAL, "unknown open flags 0x%x",
                             flags & ~(unsigned)KNOWN_FLAGS);
    if ((flags & TARN_OPEN_EXCL) && !(flags & TARN_OPEN_CREATE))
        return posix_refused(TARN_EINVAL, "open flag EXCL without CREATE");
    if ((flags & TARN_OPEN_RDONLY) && (flags & TARN_OPEN_TRUNCATE))
        return posix_refused(TARN_EINVAL, "open flags RDONLY and TRUNCATE exclude each other");
    if (mode > 0777)
        return posix_refused(TARN_EINVAL, "open mode 0%o has more than permission bits", mode);
    return TARN_OK;
}

static int system_flags(unsigned flags)
{
    int to = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    to |= flags & TARN_OPEN_RDONLY ? O_RDONLY : O_RDWR;
    to |= flags & TARN_OPEN_TRUNCATE ? O_TRUNC : 0;
    to |= flags & TARN_OPEN_NOFOLLOW ? O_NOFOLLOW : 0;
    return to;
}

static int open_again(posix_opener *open_path, const char *path, int flags, unsigned mode)
{
    int fd;

    do
        fd = open_path(path, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/*
 * The descriptor, or -1 and errno.  CREATE without EXCL is two calls that each know what they did;
 * between them the file may come or go, then it starts over.
 */
static int open_or_make(posix_opener *open_path, const char *path, unsigned flags, unsigned mode,
                        int *made)
{
    int how = system_flags(flags);

    for (int i = 0; i < OPEN_TRIES; i++) {
        int fd = -1;

        *made = 0;
        if (!(flags & TARN_OPEN_EXCL)) {
            fd = open_again(open_path, path, how, 0);
            if (fd >= 0 || errno != ENOENT || !(flags & TARN_OPEN_CREATE))
                return fd;
        }
        *made = 1;
        fd = open_again(open_path, path, (how & ~O_TRUNC) | O_CREAT | O_EXCL, mode);
        if (fd >= 0 || errno != EEXIST || (flags & TARN_OPEN_EXCL))
            return fd;
    }
    errno = EAGAIN;
    return -1;
}

/* fchmod, and the name taken away if it is temporary; errno's number, 0 if all went well. */
static int finish(posix_opener *unlink_path, const char *path, int fd, unsigned flags,
                  unsigned mode, int made)
{
    int error = 0;

    if (made && fchmod(fd, (mode_t)mode) != 0)
        error = errno;
    if ((flags & TARN_OPEN_TEMPORARY) || (made && error != 0))
        if (unlink_path(path, 0, 0) != 0 && error == 0)
            error = errno;
    return error;
}

int posix_open_exact(posix_opener *open_path, posix_opener *unlink_path, const char *path,
                     unsigned flags, unsigned mode, tarn_file *out)
{
    sigset_t all, before;
    int fd, made, error, ret = check_flags(flags, mode);

    if (ret != TARN_OK)
        return ret;
    if (flags & TARN_OPEN_TEMPORARY) {
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    fd = open_or_make(open_path, path, flags, mode, &made);
    error = fd < 0 ? errno : finish(unlink_path, path, fd, flags, mode, made);
    if (flags & TARN_OPEN_TEMPORARY)
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        if (fd >= 0)
            (void)close(fd);
        return posix_error(error);
    }
    *out = fd;
    return TARN_OK;
}

static int open_path(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }

static int unlink_path(const char *path, int flags, unsigned mode)
{
    (void)flags;
    (void)mode;
    return unlink(path);
}

int posix_file_open(const struct tarn_os *os, const char *path, unsigned flags, unsigned mode,
                    tarn_file *out)
{
    tarn_file f;
    int ret;

    if (flags & TARN_OPEN_UNNAMED)
        return posix_refused(TARN_ENOSYS, "files without a name are not part of POSIX");
    ret = posix_open_exact(open_path, unlink_path, path, flags, mode, &f);
    if (ret != TARN_OK)
        return ret;
    if (flags & TARN_OPEN_SEQUENTIAL)
        (void)posix_fadvise((int)f, 0, 0, POSIX_FADV_SEQUENTIAL);
    *out = f;
    return TARN_OK;
}
