/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names, and what stands behind them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "os/absent.h"
#include "os/posix/posix.h"
#include "os/text.h"

static uint32_t kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return TARN_KIND_FILE;
    if (S_ISDIR(mode))
        return TARN_KIND_DIR;
    return S_ISLNK(mode) ? TARN_KIND_LINK : TARN_KIND_OTHER;
}

void posix_fill_stat(const struct stat *from, struct tarn_stat *to)
{
    to->size = (uint64_t)from->st_size;
    to->iosize = from->st_blksize > 0 ? (uint64_t)from->st_blksize : 8192;
    to->mtime = (uint64_t)from->st_mtim.tv_sec * 1000000000u + (uint64_t)from->st_mtim.tv_nsec;
    to->kind = kind_of(from->st_mode);
    to->mode = (uint32_t)(from->st_mode & 0777);
    to->uid = (uint32_t)from->st_uid;
    to->nlink = (uint32_t)from->st_nlink;
}

int posix_file_ioinfo(const struct tarn_os *os, tarn_file f, struct tarn_stat *st)
{
    struct stat sb;

    if (fstat((int)f, &sb) != 0)
        return posix_failed();
    posix_fill_stat(&sb, st);
    return TARN_OK;
}

int posix_file_stat(const struct tarn_os *os, const char *path, struct tarn_stat *st)
{
    struct stat sb;

    if (lstat(path, &sb) != 0)
        return posix_failed();
    posix_fill_stat(&sb, st);
    return TARN_OK;
}

int posix_file_chmod(const struct tarn_os *os, tarn_file f, unsigned mode)
{
    if (mode > 0777)
        return posix_error(EINVAL);
    return fchmod((int)f, (mode_t)mode) == 0 ? TARN_OK : posix_failed();
}

int posix_file_link(const struct tarn_os *os, tarn_file f, const char *from, const char *to)
{
    struct stat open_file, named;

    if (from == NULL)
        return posix_refused(TARN_ENOSYS, "a file without a name cannot be given one");
    if (fstat((int)f, &open_file) != 0 || lstat(from, &named) != 0)
        return posix_failed();
    if (open_file.st_dev != named.st_dev || open_file.st_ino != named.st_ino)
        return posix_refused(TARN_ENOENT, "%s is no longer the open file", from);
    return link(from, to) == 0 ? TARN_OK : posix_failed();
}

int posix_file_rename(const struct tarn_os *os, const char *from, const char *to, int noreplace)
{
    if (noreplace)
        return posix_refused(TARN_ENOSYS, "POSIX has no rename that replaces nothing");
    return rename(from, to) == 0 ? TARN_OK : posix_failed();
}

int posix_file_unlink(const struct tarn_os *os, const char *path)
{
    return unlink(path) == 0 ? TARN_OK : posix_failed();
}

/* The umask may have taken our own right to open it; then the name has to do. */
static int mode_of_new_dir(const char *path, unsigned mode)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int failed;

    if (fd < 0)
        return errno == EACCES ? fchmodat(AT_FDCWD, path, (mode_t)mode, 0) : -1;
    failed = fchmod(fd, (mode_t)mode);
    (void)close(fd);
    return failed;
}

int posix_file_mkdir(const struct tarn_os *os, const char *path, unsigned mode)
{
    int ret;

    if (mode > 0777)
        return posix_error(EINVAL);
    if (mkdir(path, (mode_t)mode) != 0)
        return posix_failed();
    if (mode_of_new_dir(path, mode) == 0)
        return TARN_OK;
    ret = posix_failed();
    (void)rmdir(path);
    return ret;
}

int posix_file_exists(const struct tarn_os *os, const char *path, int *isdir)
{
    struct stat sb;

    if (stat(path, &sb) != 0)
        return posix_failed();
    if (isdir != NULL)
        *isdir = S_ISDIR(sb.st_mode) ? 1 : 0;
    return TARN_OK;
}

void posix_file_dirfree(const struct tarn_os *os, char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* Put a copy of name behind the *n that there are. */
static int add_name(char ***names, size_t *n, size_t *room, const char *name)
{
    if (*n == *room) {
        size_t more = *room == 0 ? 16 : *room * 2;
        char **grown = realloc(*names, more * sizeof(*grown));

        if (grown == NULL)
            return posix_failed();
        *names = grown;
        *room = more;
    }
    (*names)[*n] = strdup(name);
    if ((*names)[*n] == NULL)
        return posix_failed();
    ++*n;
    return TARN_OK;
}

static int read_names(DIR *dir, char ***names, size_t *n)
{
    size_t room = 0;
    int ret = TARN_OK;

    while (ret == TARN_OK) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? TARN_OK : posix_failed();
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ret = add_name(names, n, &room, entry->d_name);
    }
    return ret;
}

int posix_file_dirlist(const struct tarn_os *os, const char *path, char ***names, size_t *n)
{
    char **list = NULL;
    size_t count = 0;
    DIR *dir;
    int ret, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return posix_failed();
    dir = fdopendir(fd);
    if (dir == NULL) {
        ret = posix_failed();
        (void)close(fd);
        return ret;
    }
    ret = read_names(dir, &list, &count);
    (void)closedir(dir);
    if (ret != TARN_OK) {
        posix_file_dirfree(os, list, count);
        return ret;
    }
    *names = list;
    *n = count;
    return TARN_OK;
}

int posix_file_fileid(const struct tarn_os *os, tarn_file f, struct tarn_fileid *id)
{
    struct stat sb;

    if (fstat((int)f, &sb) != 0)
        return posix_failed();
    *id = (struct tarn_fileid){ .dev = (uint64_t)sb.st_dev, .ino = (uint64_t)sb.st_ino };
    return TARN_OK;
}

int posix_file_fsinfo(const struct tarn_os *os, const char *path, struct tarn_fsinfo *info)
{
    struct statvfs fs;

    if (statvfs(path, &fs) != 0)
        return posix_failed();
    *info = (struct tarn_fsinfo){ .total = (uint64_t)fs.f_blocks * fs.f_frsize,
                                  .avail = (uint64_t)fs.f_bavail * fs.f_frsize };
    (void)text_format(info->type, sizeof(info->type), "0x%lx", (unsigned long)fs.f_fsid);
    return TARN_OK;
}

const struct tarn_os_file posix_file = {
    .size = sizeof(struct tarn_os_file),
    .open = posix_file_open,
    .close = posix_file_close,
    .read = posix_file_read,
    .write = posix_file_write,
    .seek = posix_file_seek,
    .pread = posix_file_pread,
    .pwrite = posix_file_pwrite,
    .preadv = posix_file_preadv,
    .pwritev = posix_file_pwritev,
    .truncate = posix_file_truncate,
    .allocate = posix_file_allocate,
    .punch = absent_file_punch,
    .fsync = posix_file_fsync,
    .advise = posix_file_advise,
    .ioinfo = posix_file_ioinfo,
    .stat = posix_file_stat,
    .chmod = posix_file_chmod,
    .link = posix_file_link,
    .rename = posix_file_rename,
    .unlink = posix_file_unlink,
    .mkdir = posix_file_mkdir,
    .exists = posix_file_exists,
    .dirlist = posix_file_dirlist,
    .dirfree = posix_file_dirfree,
    .fileid = posix_file_fileid,
    .fsinfo = posix_file_fsinfo,
};
