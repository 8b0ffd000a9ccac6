/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V segments, always private ones: a key can be guessed and squatted, an id in a checked
 * file cannot.  And the names of shm_open(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "os/absent.h"
#include "os/posix/posix.h"

#ifndef SHM_DEST
#define SHM_DEST 0
#endif

/* POSIX has no reservation to leave out. */
int posix_shm_sysv_get(const struct tarn_os *os, size_t len, unsigned mode, int noreserve, int *id)
{
    int segment;

    if (mode > 0777)
        return posix_error(EINVAL);
    segment = shmget(IPC_PRIVATE, len, IPC_CREAT | (int)mode);
    if (segment < 0)
        return posix_failed();
    *id = segment;
    return TARN_OK;
}

/* EINVAL of the calls on an id means that there is no such segment. */
static int failed_on_id(void)
{
    int ret = posix_failed();

    return ret == TARN_EINVAL ? TARN_ENOENT : ret;
}

int posix_shm_sysv_attach(const struct tarn_os *os, int id, int rdonly, void **addr)
{
    void *at = shmat(id, NULL, rdonly ? SHM_RDONLY : 0);

    if (at == (void *)-1)
        return failed_on_id();
    *addr = at;
    return TARN_OK;
}

int posix_shm_sysv_detach(const struct tarn_os *os, void *addr)
{
    return shmdt(addr) == 0 ? TARN_OK : posix_failed();
}

int posix_shm_sysv_stat(const struct tarn_os *os, int id, struct tarn_sysv_stat *st)
{
    struct shmid_ds ds;

    if (shmctl(id, IPC_STAT, &ds) != 0)
        return failed_on_id();
    *st = (struct tarn_sysv_stat){ .size = (uint64_t)ds.shm_segsz,
                                   .nattach = (uint64_t)ds.shm_nattch,
                                   .uid = (uint32_t)ds.shm_perm.uid,
                                   .mode = (uint32_t)(ds.shm_perm.mode & 0777),
                                   .doomed = (ds.shm_perm.mode & SHM_DEST) != 0 };
    return TARN_OK;
}

int posix_shm_sysv_remove(const struct tarn_os *os, int id)
{
    return shmctl(id, IPC_RMID, NULL) == 0 ? TARN_OK : failed_on_id();
}

/* shm_open(3) takes care of O_CLOEXEC itself, and not every system knows more than these flags. */
static int open_name(const char *name, int flags, unsigned mode)
{
    return shm_open(name, flags & (O_RDWR | O_CREAT | O_EXCL | O_TRUNC), (mode_t)mode);
}

static int unlink_name(const char *name, int flags, unsigned mode)
{
    (void)flags;
    (void)mode;
    return shm_unlink(name);
}

int posix_shm_name_open(const struct tarn_os *os, const char *name, unsigned flags, unsigned mode,
                        tarn_file *out)
{
    if (flags & TARN_OPEN_UNNAMED)
        return posix_refused(TARN_EINVAL, "open flag UNNAMED has no meaning for %s", name);
    return posix_open_exact(open_name, unlink_name, name, flags, mode, out);
}

int posix_shm_name_unlink(const struct tarn_os *os, const char *name)
{
    return shm_unlink(name) == 0 ? TARN_OK : posix_failed();
}

const struct tarn_os_shm posix_shm = {
    .size = sizeof(struct tarn_os_shm),
    .sysv_get = posix_shm_sysv_get,
    .sysv_attach = posix_shm_sysv_attach,
    .sysv_detach = posix_shm_sysv_detach,
    .sysv_stat = posix_shm_sysv_stat,
    .sysv_remove = posix_shm_sysv_remove,
    .name_open = posix_shm_name_open,
    .name_unlink = posix_shm_name_unlink,
    .mem_create = absent_shm_mem_create,
    .seal = absent_shm_seal,
};
