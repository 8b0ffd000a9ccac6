/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/linux/linux.h"

int linux_misc_random(const struct tarn_os *os, void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = getrandom((char *)buf + done, len - done, 0);

        if (n < 0 && errno == ENOSYS)
            return posix_misc_random(os, buf, len);
        if (n < 0 && errno != EINTR)
            return posix_failed();
        done += n > 0 ? (size_t)n : 0;
    }
    return TARN_OK;
}

/* AT_SECURE also knows of file capabilities and security modules. */
int linux_misc_getenv(const struct tarn_os *os, const char *name, const char **value)
{
    if (getauxval(AT_SECURE) == 0)
        return posix_misc_getenv(os, name, value);
    *value = NULL;
    return TARN_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hexadecimal digits, with dashes anywhere, as 16 bytes; zeros if the file says anything else. */
static void read_id(const char *path, uint8_t id[16])
{
    char text[64];
    int digits = 0;

    memset(id, 0, 16);
    if (linux_slurp(path, text, sizeof(text)) < 0)
        return;
    for (const char *c = text; *c != '\0' && *c != '\n'; c++) {
        int digit = hex_digit(*c);

        if (*c == '-')
            continue;
        if (digit < 0 || digits == 32) {
            digits = 0;
            break;
        }
        id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | digit);
        digits++;
    }
    if (digits != 32)
        memset(id, 0, 16);
}

int linux_misc_boot_id(const struct tarn_os *os, struct tarn_machine *id)
{
    read_id("/etc/machine-id", id->machine);
    read_id("/proc/sys/kernel/random/boot_id", id->boot);
    return TARN_OK;
}

/* Those that this process may run on, not those that there are. */
int linux_misc_cpus(const struct tarn_os *os, unsigned *n)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;

    if (count == 0)
        return posix_misc_cpus(os, n);
    *n = (unsigned)count;
    return TARN_OK;
}

/* The number behind "\nKEY" in text, in bytes (the file has KiB); UINT64_MAX if it is not there. */
static uint64_t kilobytes_of(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    return at == NULL ? UINT64_MAX : strtoull(at + strlen(key), NULL, 10) * 1024;
}

static uint64_t address_left(void)
{
    char text[128];
    struct rlimit space;
    uint64_t used = 0;

    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    if (linux_slurp("/proc/self/statm", text, sizeof(text)) > 0)
        used = strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return space.rlim_cur > used ? (uint64_t)space.rlim_cur - used : 0;
}

/* Only strict overcommit (2) is a limit that can be known beforehand. */
static uint64_t commit_left(const char *meminfo)
{
    char mode[16];
    uint64_t limit = kilobytes_of(meminfo, "\nCommitLimit:");
    uint64_t used = kilobytes_of(meminfo, "\nCommitted_AS:");

    if (linux_slurp("/proc/sys/vm/overcommit_memory", mode, sizeof(mode)) < 1 || mode[0] != '2')
        return UINT64_MAX;
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return UINT64_MAX;
    return limit > used ? limit - used : 0;
}

int linux_misc_limits(const struct tarn_os *os, struct tarn_limits *out)
{
    char meminfo[4096], groups[4096];

    *out = (struct tarn_limits){ UINT64_MAX, UINT64_MAX, address_left(), UINT64_MAX };
    if (linux_slurp("/proc/meminfo", meminfo, sizeof(meminfo)) > 0) {
        out->memory = kilobytes_of(meminfo, "\nMemAvailable:");
        out->commit = commit_left(meminfo);
    }
    if (linux_slurp("/proc/self/cgroup", groups, sizeof(groups)) > 0)
        out->cgroup = linux_cgroup_left("/sys/fs/cgroup", groups);
    return TARN_OK;
}

const struct tarn_os_misc linux_misc = {
    .size = sizeof(struct tarn_os_misc),
    .malloc = posix_misc_malloc,
    .realloc = posix_misc_realloc,
    .free = posix_misc_free,
    .sleep = posix_misc_sleep,
    .yield = posix_misc_yield,
    .clock = posix_misc_clock,
    .random = linux_misc_random,
    .getenv = linux_misc_getenv,
    .boot_id = linux_misc_boot_id,
    .page_size = posix_misc_page_size,
    .cpus = linux_misc_cpus,
    .limits = linux_misc_limits,
    .module_open = posix_misc_module_open,
    .module_symbol = posix_misc_module_symbol,
    .last_error = posix_misc_last_error,
};

const struct tarn_os linux_table = {
    .size = sizeof(struct tarn_os),
    .name = "linux",
    .file = &linux_file,
    .map = &linux_map,
    .shm = &linux_shm,
    .sync = &linux_sync,
    .proc = &linux_proc,
    .misc = &linux_misc,
};
