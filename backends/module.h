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

/* May size bytes of the machine's memory be asked for?  TARN_ENOMEM with the numbers. */
static inline int module_fits(struct tarn_backend_call *call, uint64_t size,
                              struct module_room *room)
{
    room->bytes = UINT64_MAX;
    room->limit = "none";
    module_memory(call->os, room);
    if (size <= room->bytes)
        return TARN_OK;
    call->say(call, "%llu bytes of memory asked, %llu free (limit: %s)", module_u(size),
              module_u(room->bytes), room->limit);
    return TARN_ENOMEM;
}

/*
 * Have memory behind [at, at+len), which nobody uses yet; where the system cannot be asked, by
 * writing to every page.
 */
static inline int module_commit(struct tarn_backend_call *call, void *at, uint64_t len)
{
    struct module_error error;
    size_t page;
    int err = call->os->misc->page_size(call->os, &page);

    if (err != TARN_OK)
        return err;
    err = call->os->map->populate(call->os, at, (size_t)len);
    if (err == TARN_ENOSYS) {
        for (uint64_t i = 0; i < len; i += page)
            ((volatile char *)at)[i] = 0;
        return TARN_OK;
    }
    if (err != TARN_OK)
        call->say(call, "cannot commit %llu bytes of memory: %s", module_u(len),
                  module_error(call->os, &error));
    return err;
}

/* Give [at, at+len) back to the system. */
static inline int module_discard(struct tarn_backend_call *call, void *at, uint64_t len)
{
    struct module_error error;
    int err = call->os->map->discard(call->os, at, (size_t)len);

    if (err != TARN_OK)
        call->say(call, "cannot give %llu bytes of memory back: %s", module_u(len),
                  module_error(call->os, &error));
    return err;
}

/* Is [off, off+len) inside the reserve? */
static inline int module_inside(struct tarn_backend_call *call, const struct tarn_segment *seg,
                                uint64_t off, uint64_t len)
{
    if (len > 0 && off <= seg->reserve && len <= seg->reserve - off)
        return TARN_OK;
    call->say(call, "bytes %llu to %llu are not inside the reserve of %llu", module_u(off),
              module_u(off + len), module_u(seg->reserve));
    return TARN_EINVAL;
}

/* before, n in decimal, and after, as one string in text[len]; what does not fit is cut. */
static inline void module_line(char *text, size_t len, const char *before, uint64_t n,
                               const char *after)
{
    char line[160] = "", digits[21] = "";
    size_t at = sizeof(digits) - 1;

    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    (void)module_append(line, sizeof(line), before);
    (void)module_append(line, sizeof(line), digits + at);
    (void)module_append(line, sizeof(line), after);
    if (len == 0)
        return;
    at = strlen(line) < len ? strlen(line) : len - 1;
    memcpy(text, line, at);
    text[at] = '\0';
}

#endif
