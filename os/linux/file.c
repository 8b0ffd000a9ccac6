/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/linux/linux.h"
#include "os/text.h"
#include "tarn_port.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

int linux_slurp(const char *path, char *buf, size_t len)
{
    size_t got = 0;
    int ret, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return posix_failed();
    ret = posix_file_read(NULL, fd, buf, len - 1, &got);
    (void)close(fd);
    if (ret != TARN_OK)
        return ret;
    buf[got] = '\0';
    return (int)got;
}

/*
 * A file without a name.  A file system without such files says EOPNOTSUPP; a kernel without them
 * says EISDIR, because it sees a directory opened for writing.
 */
static int open_unnamed(const char *dir, unsigned flags, unsigned mode, tarn_file *out)
{
    const unsigned allowed = TARN_OPEN_UNNAMED | TARN_OPEN_CREATE | TARN_OPEN_EXCL |
                             TARN_OPEN_TEMPORARY | TARN_OPEN_NOFOLLOW | TARN_OPEN_SEQUENTIAL;
    int fd, ret;

    if ((flags & ~allowed) != 0 || mode > 0777)
        return posix_refused(TARN_EINVAL, "open flags 0x%x do not go with UNNAMED", flags);
    do
        fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        ret = posix_failed();
        return errno == EISDIR ? TARN_ENOSYS : ret;
    }
    if (fchmod(fd, (mode_t)mode) != 0) {
        ret = posix_failed();
        (void)close(fd);
        return ret;
    }
    *out = fd;
    return TARN_OK;
}

int linux_file_open(const struct tarn_os *os, const char *path, unsigned flags, unsigned mode,
                    tarn_file *out)
{
    if (flags & TARN_OPEN_UNNAMED)
        return open_unnamed(path, flags, mode, out);
    return posix_file_open(os, path, flags, mode, out);
}

int linux_file_link(const struct tarn_os *os, tarn_file f, const char *from, const char *to)
{
    char self[64];

    if (from != NULL)
        return posix_file_link(os, f, from, to);
    (void)text_format(self, sizeof(self), "/proc/self/fd/%d", (int)f);
    if (linkat(AT_FDCWD, self, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
        return TARN_OK;
    return posix_failed();
}

/* The call itself: older C libraries have no function for it. */
int linux_file_rename(const struct tarn_os *os, const char *from, const char *to, int noreplace)
{
    int ret;

    if (!noreplace)
        return posix_file_rename(os, from, to, noreplace);
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return TARN_OK;
    ret = posix_failed();
    return ret == TARN_EINVAL ? TARN_ENOSYS : ret; /* this file system cannot promise it */
}

int linux_file_allocate(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len)
{
    struct stat before, after;
    int error, ret = posix_range(off, len);

    if (ret != TARN_OK)
        return ret;
    if (fstat((int)f, &before) != 0)
        return posix_failed();
    while (fallocate((int)f, 0, (off_t)off, (off_t)len) != 0) {
        error = errno;
        if (error == EINTR)
            continue;
        if (error == EOPNOTSUPP || error == ENOSYS)
            return posix_file_allocate(os, f, off, len); /* writes what it must */
        if (fstat((int)f, &after) == 0 && after.st_size > before.st_size)
            (void)posix_file_truncate(os, f, (uint64_t)before.st_size);
        return posix_error(error);
    }
    return TARN_OK;
}

int linux_file_punch(const struct tarn_os *os, tarn_file f, uint64_t off, uint64_t len)
{
    const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    int ret = posix_range(off, len);

    if (ret != TARN_OK)
        return ret;
    while (fallocate((int)f, hole, (off_t)off, (off_t)len) != 0)
        if (errno != EINTR)
            return posix_failed();
    return TARN_OK;
}

/* The time of birth, or the generation of the inode, tells a file from a later one in its place. */
int linux_file_fileid(const struct tarn_os *os, tarn_file f, struct tarn_fileid *id)
{
    struct statx sx;
    int generation = 0;
    int ret = posix_file_fileid(os, f, id);

    if (ret != TARN_OK)
        return ret;
    if (statx((int)f, "", AT_EMPTY_PATH | AT_STATX_SYNC_AS_STAT, STATX_BTIME, &sx) == 0 &&
        (sx.stx_mask & STATX_BTIME) != 0)
        id->birth = (uint64_t)sx.stx_btime.tv_sec * 1000000000u + sx.stx_btime.tv_nsec;
    else if (ioctl((int)f, FS_IOC_GETVERSION, &generation) == 0)
        id->birth = (uint32_t)generation;
    return TARN_OK;
}

/* The magic numbers are the kernel's, of linux/magic.h and of file systems that are not in it. */
static const struct {
    unsigned long magic;
    uint32_t flags;
    const char *name;
} types[] = {
    { 0xef53, 0, "ext4" },
    { 0x58465342, 0, "xfs" },
    { 0x01021994, TARN_FS_MEMORY, "tmpfs" },
    { 0x958458f6, TARN_FS_MEMORY, "hugetlbfs" },
    { 0x858458f6, TARN_FS_MEMORY, "ramfs" },
    { 0x9123683e, 0, "btrfs" },
    { 0xf2f52010, 0, "f2fs" },
    { 0x2fc12fc1, 0, "zfs" },
    { 0xca451a4e, 0, "bcachefs" },
    { 0x794c7630, 0, "overlay" },
    { 0x4d44, 0, "vfat" },
    { 0x2011bab0, 0, "exfat" },
    { 0x65735546, 0, "fuse" },
    { 0x6969, TARN_FS_NETWORK, "nfs" },
    { 0xff534d42, TARN_FS_NETWORK, "cifs" },
    { 0xfe534d42, TARN_FS_NETWORK, "smb2" },
    { 0x517b, TARN_FS_NETWORK, "smb" },
    { 0x01021997, TARN_FS_NETWORK, "9p" },
    { 0x00c36400, TARN_FS_NETWORK, "ceph" },
    { 0x0bd00bd0, TARN_FS_NETWORK, "lustre" },
    { 0x01161970, TARN_FS_NETWORK, "gfs2" },
    { 0x7461636f, TARN_FS_NETWORK, "ocfs2" },
    { 0x5346414f, TARN_FS_NETWORK, "afs" },
};

/* The ports file lists them, with blanks between. */
static int is_firm(const char *type)
{
    const char *list = TARN_FACT_FIRM_FS;
    size_t len = strlen(type);

    for (const char *at = list; (at = strstr(at, type)) != NULL; at += len)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return 1;
    return 0;
}

int linux_file_fsinfo(const struct tarn_os *os, const char *path, struct tarn_fsinfo *info)
{
    struct statfs fs;
    unsigned long magic;

    if (statfs(path, &fs) != 0)
        return posix_failed();
    magic = (unsigned long)fs.f_type & 0xffffffffu;
    *info = (struct tarn_fsinfo){ .total = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize,
                                  .avail = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize };
    (void)text_format(info->type, sizeof(info->type), "0x%lx", magic);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].magic == magic) {
            info->flags = types[i].flags | (is_firm(types[i].name) ? TARN_FS_FIRM : 0u);
            (void)text_format(info->type, sizeof(info->type), "%s", types[i].name);
        }
    return TARN_OK;
}

const struct tarn_os_file linux_file = {
    .size = sizeof(struct tarn_os_file),
    .open = linux_file_open,
    .close = posix_file_close,
    .read = posix_file_read,
    .write = posix_file_write,
    .seek = posix_file_seek,
    .pread = posix_file_pread,
    .pwrite = posix_file_pwrite,
    .preadv = posix_file_preadv,
    .pwritev = posix_file_pwritev,
    .truncate = posix_file_truncate,
    .allocate = linux_file_allocate,
    .punch = linux_file_punch,
    .fsync = posix_file_fsync,
    .advise = posix_file_advise,
    .ioinfo = posix_file_ioinfo,
    .stat = posix_file_stat,
    .chmod = posix_file_chmod,
    .link = linux_file_link,
    .rename = linux_file_rename,
    .unlink = posix_file_unlink,
    .mkdir = posix_file_mkdir,
    .exists = posix_file_exists,
    .dirlist = posix_file_dirlist,
    .dirfree = posix_file_dirfree,
    .fileid = linux_file_fileid,
    .fsinfo = linux_file_fsinfo,
};
