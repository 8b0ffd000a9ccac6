/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The groups map and shm: huge pages, memory that fork wipes, memory behind a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/linux/linux.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { HUGETLBFS = 0x958458f6 - 0x100000000 }; /* as the signed 32 bits of it */

/* A file gives huge pages by where it lies; anonymous memory is asked for them. */
static int huge_flags(const struct tarn_map_request *req, int *flags)
{
    struct statfs fs;

    if (!(req->flags & TARN_MAP_HUGE))
        return TARN_OK;
    if (req->flags & TARN_MAP_ANON) {
        *flags |= MAP_HUGETLB | MAP_HUGE_2MB;
        return TARN_OK;
    }
    if (fstatfs((int)req->file, &fs) != 0)
        return posix_failed();
    if ((int)fs.f_type != HUGETLBFS)
        return posix_refused(TARN_ENOMEM, "the file is not on hugetlbfs");
    return TARN_OK;
}

static int map_flags(const struct tarn_map_request *req)
{
    int flags = req->flags & (TARN_MAP_RDONLY | TARN_MAP_PRIVATE) ? MAP_PRIVATE : MAP_SHARED;

    flags |= req->flags & TARN_MAP_NORESERVE ? MAP_NORESERVE : 0;
    flags |= req->flags & TARN_MAP_ANON ? MAP_ANONYMOUS : 0;
    return flags;
}

int linux_map_map(const struct tarn_os *os, const struct tarn_map_request *req, void **addr)
{
    int prot = req->flags & TARN_MAP_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
    int flags = map_flags(req);
    void *at;
    int ret = posix_check_map(req);

    if (ret != TARN_OK || (ret = huge_flags(req, &flags)) != TARN_OK)
        return ret;
    at = mmap(NULL, req->len, prot, flags, (int)req->file, (off_t)req->off);
    if (at == MAP_FAILED) {
        ret = posix_failed(); /* EAGAIN here is too much locked memory */
        return ret == TARN_EAGAIN ? TARN_ENOMEM : ret;
    }
    if ((req->flags & TARN_MAP_FORKWIPE) && madvise(at, req->len, MADV_WIPEONFORK) != 0) {
        ret = posix_failed();
        (void)munmap(at, req->len);
        return ret == TARN_EINVAL ? TARN_ENOSYS : ret;
    }
    *addr = at;
    return TARN_OK;
}

/* EFAULT is what a SIGBUS would have been: the file system or the huge pages have run out. */
int linux_map_populate(const struct tarn_os *os, void *addr, size_t len)
{
    int ret;

    while (madvise(addr, len, MADV_POPULATE_WRITE) != 0) {
        if (errno == EINTR || errno == EAGAIN)
            continue;
        ret = posix_failed();
        if (errno == EFAULT)
            return TARN_ENOSPC;
        return errno == EINVAL ? TARN_ENOSYS : ret;
    }
    return TARN_OK;
}

int linux_map_dontdump(const struct tarn_os *os, void *addr, size_t len)
{
    return madvise(addr, len, MADV_DONTDUMP) == 0 ? TARN_OK : posix_failed();
}

int linux_shm_sysv_get(const struct tarn_os *os, size_t len, unsigned mode, int noreserve, int *id)
{
    int segment;

    if (!noreserve || mode > 0777)
        return posix_shm_sysv_get(os, len, mode, 0, id);
    segment = shmget(IPC_PRIVATE, len, IPC_CREAT | SHM_NORESERVE | (int)mode);
    if (segment < 0)
        return posix_failed();
    *id = segment;
    return TARN_OK;
}

/* A kernel before 6.3 does not know MFD_NOEXEC_SEAL and says EINVAL. */
int linux_shm_mem_create(const struct tarn_os *os, const char *label, int huge, tarn_file *out)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd;

    flags |= huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
    fd = memfd_create(label, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(label, flags);
    if (fd < 0)
        return posix_failed();
    *out = fd;
    return TARN_OK;
}

int linux_shm_seal(const struct tarn_os *os, tarn_file f, unsigned seals)
{
    const unsigned known = TARN_SEAL_SHRINK | TARN_SEAL_GROW | TARN_SEAL_SEAL;
    int to = 0;

    if ((seals & ~known) != 0)
        return posix_error(EINVAL);
    to |= seals & TARN_SEAL_SHRINK ? F_SEAL_SHRINK : 0;
    to |= seals & TARN_SEAL_GROW ? F_SEAL_GROW : 0;
    to |= seals & TARN_SEAL_SEAL ? F_SEAL_SEAL : 0;
    return fcntl((int)f, F_ADD_SEALS, to) == 0 ? TARN_OK : posix_failed();
}

/* MADV_DONTNEED would only unmap: the bytes of shared memory are there again at the next look. */
int linux_map_discard(const struct tarn_os *os, void *addr, size_t len)
{
    return madvise(addr, len, MADV_REMOVE) == 0 ? TARN_OK : posix_failed();
}

const struct tarn_os_map linux_map = {
    .size = sizeof(struct tarn_os_map),
    .map = linux_map_map,
    .unmap = posix_map_unmap,
    .runlink = posix_map_runlink,
    .populate = linux_map_populate,
    .dontdump = linux_map_dontdump,
    .discard = linux_map_discard,
};

const struct tarn_os_shm linux_shm = {
    .size = sizeof(struct tarn_os_shm),
    .sysv_get = linux_shm_sysv_get,
    .sysv_attach = posix_shm_sysv_attach,
    .sysv_detach = posix_shm_sysv_detach,
    .sysv_stat = posix_shm_sysv_stat,
    .sysv_remove = posix_shm_sysv_remove,
    .name_open = posix_shm_name_open,
    .name_unlink = posix_shm_name_unlink,
    .mem_create = linux_shm_mem_create,
    .seal = linux_shm_seal,
};
