/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "os/posix/posix.h"

int posix_misc_malloc(const struct tarn_os *os, size_t len, void **out)
{
    void *p = malloc(len > 0 ? len : 1);

    if (p == NULL)
        return posix_error(ENOMEM);
    *out = p;
    return TARN_OK;
}

int posix_misc_realloc(const struct tarn_os *os, void *old, size_t len, void **out)
{
    void *p = realloc(old, len > 0 ? len : 1);

    if (p == NULL)
        return posix_error(ENOMEM);
    *out = p;
    return TARN_OK;
}

void posix_misc_free(const struct tarn_os *os, void *p) { free(p); }

int posix_misc_sleep(const struct tarn_os *os, uint64_t ns)
{
    struct timespec left = posix_timespec(ns);

    while (nanosleep(&left, &left) != 0)
        if (errno != EINTR)
            return posix_failed();
    return TARN_OK;
}

int posix_misc_yield(const struct tarn_os *os)
{
    return sched_yield() == 0 ? TARN_OK : posix_failed();
}

int posix_misc_clock(const struct tarn_os *os, int wall, uint64_t *ns)
{
    struct timespec now;

    if (clock_gettime(wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now) != 0)
        return posix_failed();
    *ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return TARN_OK;
}

int posix_misc_random(const struct tarn_os *os, void *buf, size_t len)
{
    size_t got = 0;
    int ret, fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return posix_failed();
    ret = posix_file_read(os, fd, buf, len, &got);
    (void)close(fd);
    return ret == TARN_OK && got < len ? posix_error(EIO) : ret;
}

int posix_misc_getenv(const struct tarn_os *os, const char *name, const char **value)
{
    const char *found = NULL;

    if (getuid() == geteuid() && getgid() == getegid())
        found = getenv(name);
    *value = found != NULL && *found != '\0' ? found : NULL;
    return TARN_OK;
}

int posix_misc_boot_id(const struct tarn_os *os, struct tarn_machine *id)
{
    *id = (struct tarn_machine){ .boot = { 0 } };
    return TARN_OK;
}

int posix_misc_page_size(const struct tarn_os *os, size_t *bytes)
{
    *bytes = (size_t)sysconf(_SC_PAGESIZE);
    return TARN_OK;
}

int posix_misc_cpus(const struct tarn_os *os, unsigned *n)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);

    *n = online > 0 ? (unsigned)online : 1;
    return TARN_OK;
}

int posix_misc_limits(const struct tarn_os *os, struct tarn_limits *out)
{
    struct rlimit space;

    *out = (struct tarn_limits){ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        out->address = (uint64_t)space.rlim_cur;
    return TARN_OK;
}

const struct tarn_os_misc posix_misc = {
    .size = sizeof(struct tarn_os_misc),
    .malloc = posix_misc_malloc,
    .realloc = posix_misc_realloc,
    .free = posix_misc_free,
    .sleep = posix_misc_sleep,
    .yield = posix_misc_yield,
    .clock = posix_misc_clock,
    .random = posix_misc_random,
    .getenv = posix_misc_getenv,
    .boot_id = posix_misc_boot_id,
    .page_size = posix_misc_page_size,
    .cpus = posix_misc_cpus,
    .limits = posix_misc_limits,
    .module_open = posix_misc_module_open,
    .module_symbol = posix_misc_module_symbol,
    .last_error = posix_misc_last_error,
};

const struct tarn_os posix_table = {
    .size = sizeof(struct tarn_os),
    .name = "posix",
    .file = &posix_file,
    .map = &posix_map,
    .shm = &posix_shm,
    .sync = &posix_sync,
    .proc = &posix_proc,
    .misc = &posix_misc,
};
