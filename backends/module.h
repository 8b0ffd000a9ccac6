/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What backends have in common.  A backend is a file of its own that calls nothing but the OS table
 * and mem*, str*; so everything here is inline.
 */
#ifndef TARN_BACKENDS_MODULE_H
#define TARN_BACKENDS_MODULE_H

#include <string.h>
#include <tarn/backend.h>

/* The words of the system's last error in this thread, for the end of a message. */
struct module_error {
    char text[96];
};

static inline const char *module_error(const struct tarn_os *os, struct module_error *error)
{
    int number;

    error->text[0] = '\0';
    if (os->misc->last_error(os, &number, error->text, sizeof(error->text)) != TARN_OK ||
        error->text[0] == '\0')
        memcpy(error->text, "no reason given", sizeof("no reason given"));
    return error->text;
}

/* Append s to the string in buf[len]; TARN_EINVAL, and buf as it was, if it does not fit. */
static inline int module_append(char *buf, size_t len, const char *s)
{
    size_t have = strlen(buf), more = strlen(s);

    if (more >= len - have)
        return TARN_EINVAL;
    memcpy(buf + have, s, more + 1);
    return TARN_OK;
}

/* 2n hexadecimal digits of n bytes, and the end of the string. */
static inline void module_hex(char *text, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * n] = '\0';
}

/* What of the machine's memory could be had now, and which limit that is. */
struct module_room {
    uint64_t bytes;
    const char *limit;
};

static inline void module_least(struct module_room *room, uint64_t bytes, const char *limit)
{
    if (bytes < room->bytes) {
        room->bytes = bytes;
        room->limit = limit;
    }
}

/*
 * Memory that still can be committed.  Asked before each commit: past the limit of a control group
 * there is no error but the kernel's SIGKILL.  A system that cannot tell sets no limit.
 */
static inline void module_memory(const struct tarn_os *os, struct module_room *room)
{
    struct tarn_limits limits;

    if (os->misc->limits(os, &limits) != TARN_OK)
        return;
    module_least(room, limits.memory, "free memory");
    module_least(room, limits.cgroup, "control group");
    module_least(room, limits.commit, "strict overcommit");
    module_least(room, limits.address, "address space");
}

/* For %llu. */
static inline unsigned long long module_u(uint64_t n) { return n; }

#endif
