/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/absent.h"
#include "os/posix/posix.h"

#define KNOWN_FLAGS                                                                                \
    (TARN_MAP_REGION | TARN_MAP_ANON | TARN_MAP_RDONLY | TARN_MAP_PRIVATE | TARN_MAP_NORESERVE |   \
     TARN_MAP_HUGE | TARN_MAP_FORKWIPE)

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

int posix_check_map(const struct tarn_map_request *req)
{
    const uint32_t wipe_needs = TARN_MAP_ANON | TARN_MAP_PRIVATE;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int has_file = req->file != TARN_NO_FILE;

    if ((req->flags & ~(uint32_t)KNOWN_FLAGS) != 0)
        return posix_refused(TARN_EINVAL, "unknown map flags 0x%x", (unsigned)req->flags);
    if (req->len == 0 || req->len % page != 0 || req->off % page != 0)
        return posix_refused(TARN_EINVAL, "map of %zu bytes at %llu: not whole pages of %zu",
                             req->len, (unsigned long long)req->off, page);
    if (has_file == ((req->flags & TARN_MAP_ANON) != 0))
        return posix_refused(TARN_EINVAL, "map needs either a file or ANON");
    if ((req->flags & TARN_MAP_FORKWIPE) && (req->flags & wipe_needs) != wipe_needs)
        return posix_refused(TARN_EINVAL, "map flag FORKWIPE needs ANON and PRIVATE");
    return posix_range(req->off, req->len);
}

int posix_map_map(const struct tarn_os *os, const struct tarn_map_request *req, void **addr)
{
    int prot = PROT_READ, flags = MAP_SHARED;
    void *at;
    int ret = posix_check_map(req);

    if (ret != TARN_OK)
        return ret;
    if (req->flags & TARN_MAP_HUGE)
        return posix_refused(TARN_ENOMEM, "POSIX has no huge pages");
    if (req->flags & TARN_MAP_FORKWIPE)
        return posix_refused(TARN_ENOSYS, "POSIX has no memory that fork wipes");
    if (!(req->flags & TARN_MAP_RDONLY))
        prot |= PROT_WRITE;
    if (req->flags & (TARN_MAP_RDONLY | TARN_MAP_PRIVATE))
        flags = MAP_PRIVATE;
    if (req->flags & TARN_MAP_NORESERVE)
        flags |= MAP_NORESERVE;
    if (req->flags & TARN_MAP_ANON)
        flags |= MAP_ANONYMOUS;
    at = mmap(NULL, req->len, prot, flags, (int)req->file, (off_t)req->off);
    if (at != MAP_FAILED) {
        *addr = at;
        return TARN_OK;
    }
    /* mmap says EAGAIN for too much locked memory; TARN_EAGAIN means "made anew, look again" here. */
    ret = posix_failed();
    return ret == TARN_EAGAIN ? TARN_ENOMEM : ret;
}

int posix_map_unmap(const struct tarn_os *os, void *addr, size_t len)
{
    return munmap(addr, len) == 0 ? TARN_OK : posix_failed();
}

int posix_map_runlink(const struct tarn_os *os, const char *path)
{
    return unlink(path) == 0 ? TARN_OK : posix_failed();
}

const struct tarn_os_map posix_map = {
    .size = sizeof(struct tarn_os_map),
    .map = posix_map_map,
    .unmap = posix_map_unmap,
    .runlink = posix_map_runlink,
    .populate = absent_map_populate,
    .dontdump = absent_map_dontdump,
    .discard = absent_map_discard,
};
