/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much memory the control groups leave.  A limit may stand at any level, so every one from ours
 * up to the root is asked.  The page cache is counted as used and yet given up under pressure, so
 * it is added back.
 */
#include <stdlib.h>
#include <string.h>

#include "os/linux/linux.h"
#include "os/text.h"

/* Names of the same things in the two versions. */
struct version {
    const char *mount; /* below the mount point of all */
    const char *limit, *usage;
    const char *cached[2]; /* keys of memory.stat */
};

static const struct version v1 = { "/memory",
                                   "memory.limit_in_bytes",
                                   "memory.usage_in_bytes",
                                   { "\ntotal_inactive_file ", "\ntotal_active_file " } };
static const struct version v2 = {
    "", "memory.max", "memory.current", { "\ninactive_file ", "\nactive_file " }
};
static const struct version hybrid = {
    "/unified", "memory.max", "memory.current", { "\ninactive_file ", "\nactive_file " }
};

enum { PATH_LIMIT = 4096, STAT_LIMIT = 8192 };

/* The number in file dir/name; UINT64_MAX if it says "max", is not there, or is v1's "no limit". */
static uint64_t number_in(const char *dir, const char *name)
{
    char path[PATH_LIMIT], text[64];
    uint64_t value;

    if (text_format(path, sizeof(path), "%s/%s", dir, name) >= PATH_LIMIT)
        return UINT64_MAX;
    if (linux_slurp(path, text, sizeof(text)) < 0)
        return UINT64_MAX;
    if (text[0] < '0' || text[0] > '9')
        return UINT64_MAX;
    value = strtoull(text, NULL, 10);
    return value >= UINT64_C(1) << 60 ? UINT64_MAX : value;
}

static uint64_t cached_in(const char *dir, const struct version *v)
{
    char path[PATH_LIMIT], text[STAT_LIMIT];
    uint64_t sum = 0;

    text[0] = '\n'; /* so that the first line begins like the others */
    if (text_format(path, sizeof(path), "%s/memory.stat", dir) >= PATH_LIMIT)
        return 0;
    if (linux_slurp(path, text + 1, sizeof(text) - 1) < 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        const char *at = strstr(text, v->cached[i]);

        if (at != NULL)
            sum += strtoull(at + strlen(v->cached[i]), NULL, 10);
    }
    return sum;
}

static uint64_t left_in(const char *dir, const struct version *v)
{
    uint64_t limit = number_in(dir, v->limit), usage, cached;

    if (limit == UINT64_MAX)
        return UINT64_MAX;
    usage = number_in(dir, v->usage);
    cached = cached_in(dir, v);
    usage = usage == UINT64_MAX || usage < cached ? 0 : usage - cached;
    return limit > usage ? limit - usage : 0;
}

/* The least that group and the levels above it leave; group is an absolute path, and cut up. */
static uint64_t least_left(const char *mount, const struct version *v, char *group)
{
    uint64_t least = UINT64_MAX;
    char dir[PATH_LIMIT];

    for (;;) {
        char *slash = strrchr(group, '/');
        uint64_t left;

        if (text_format(dir, sizeof(dir), "%s%s%s", mount, v->mount, group) >= PATH_LIMIT)
            return least;
        left = left_in(dir, v);
        least = left < least ? left : least;
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* A line is "NUMBER:CONTROLLERS:PATH"; version 2 is number 0 without controllers. */
static uint64_t left_by_line(const char *mount, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    uint64_t left, other;
    char copy[PATH_LIMIT];

    if (group == NULL || strlen(group + 1) >= sizeof(copy))
        return UINT64_MAX;
    *group++ = '\0';
    memcpy(copy, group, strlen(group) + 1);
    controllers++;
    if (strcmp(controllers, "memory") == 0 || strncmp(controllers, "memory,", 7) == 0 ||
        strstr(controllers, ",memory") != NULL)
        return least_left(mount, &v1, group);
    if (*controllers != '\0')
        return UINT64_MAX;
    left = least_left(mount, &v2, group);
    other = least_left(mount, &hybrid, copy);
    return left < other ? left : other;
}

uint64_t linux_cgroup_left(const char *mount, char *groups)
{
    uint64_t least = UINT64_MAX;

    for (char *line = groups, *next; line != NULL && *line != '\0'; line = next) {
        uint64_t left;

        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        left = left_by_line(mount, line);
        least = left < least ? left : least;
    }
    return least;
}
