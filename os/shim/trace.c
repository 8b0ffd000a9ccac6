/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace: one line on standard error for each call, written whole by one write, so that lines of
 * several processes do not mix:
 *     tarn: file.open /tmp/x 0x2 0600 = 5
 *     tarn: file.unlink /tmp/y: TARN_ENOENT (No such file or directory)
 */
#include <stdio.h>

#include "os/shim/shim.h"
#include "os/table.h"
#include "os/text.h"

struct line {
    size_t len;
    char text[512];
};

static void line_add(struct line *l, const char *fmt, ...) TEXT_PRINTF(2, 3);

/* What does not fit is cut; one byte stays for the end of the line. */
static void line_add(struct line *l, const char *fmt, ...)
{
    size_t room = sizeof(l->text) - 1 - l->len;
    va_list args;
    int n;

    va_start(args, fmt);
    n = text_vformat(l->text + l->len, room, fmt, args);
    va_end(args);
    if (n > 0)
        l->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void line_failed(struct line *l, const struct tarn_os *below, int err)
{
    char words[200];
    int number;

    line_add(l, ": %s", tarn_err_name(err));
    if (below->misc->last_error(below, &number, words, sizeof(words)) == TARN_OK && words[0] != 0)
        line_add(l, " (%s)", words);
}

static void line_print(struct line *l)
{
    l->text[l->len++] = '\n';
    (void)fwrite(l->text, 1, l->len, stderr);
}

/* clang-format off */
#define ADD(...) line_add(&l, __VA_ARGS__)
#define TRACE_INT(group, slot, params, args, shows, gives, effect)                                 \
    static int trace_##group##_##slot params                                                       \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        struct line l = { 0, "" };                                                                 \
        int ret;                                                                                   \
        ADD("tarn: " #group "." #slot " ");                                                        \
        ADD shows;                                                                                 \
        ret = to->group->slot args;                                                                \
        if (ret == TARN_OK)                                                                        \
            ADD gives;                                                                             \
        else                                                                                       \
            line_failed(&l, to, ret);                                                              \
        line_print(&l);                                                                            \
        return ret;                                                                                \
    }
#define TRACE_VOID(group, slot, params, args, shows, gives, effect)                                \
    static void trace_##group##_##slot params                                                      \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        struct line l = { 0, "" };                                                                 \
        ADD("tarn: " #group "." #slot " ");                                                        \
        ADD shows;                                                                                 \
        to->group->slot args;                                                                      \
        line_print(&l);                                                                            \
    }
SLOTS(TRACE_INT, TRACE_INT, TRACE_VOID)

#define ENTRY(group, slot, ...) .slot = trace_##group##_##slot,
static const struct tarn_os_file trace_file = {
    .size = sizeof(struct tarn_os_file), SLOTS_FILE(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_map trace_map = {
    .size = sizeof(struct tarn_os_map), SLOTS_MAP(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_shm trace_shm = {
    .size = sizeof(struct tarn_os_shm), SLOTS_SHM(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_sync trace_sync = {
    .size = sizeof(struct tarn_os_sync), SLOTS_SYNC(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_proc trace_proc = {
    .size = sizeof(struct tarn_os_proc), SLOTS_PROC(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_misc trace_misc = {
    .size = sizeof(struct tarn_os_misc), SLOTS_MISC(ENTRY, ENTRY, ENTRY) };
/* clang-format on */

static const struct tarn_os trace_table = {
    .size = sizeof(struct tarn_os),
    .name = "trace",
    .file = &trace_file,
    .map = &trace_map,
    .shm = &trace_shm,
    .sync = &trace_sync,
    .proc = &trace_proc,
    .misc = &trace_misc,
};

int trace_stack(const struct tarn_os *below, struct tarn_os **out)
{
    return table_stack(below, &trace_table, NULL, out);
}
