/* SPDX-License-Identifier: BSD-2-Clause */
#include "os/shim/fault.h"

#include <stdatomic.h>
#include <string.h>

#include "os/fail.h"
#include "os/shim/shim.h"
#include "os/table.h"

struct fault {
    struct tarn_os *os; /* its level, which owns it */
    unsigned char chosen[SLOT_COUNT];
    _Atomic long nth; /* 0: none */
    _Atomic int err;
    _Atomic int mode;
    _Atomic long calls, fired;
    _Atomic int where; /* enum slot */
    _Atomic long held[FAULT_KINDS];
};

/* The last error of this thread was ours. */
static _Thread_local int injected;

/* What this call is to fail with, or TARN_OK. */
static int strike(struct fault *f, enum slot slot)
{
    long nth = atomic_load(&f->nth), call;

    if (!f->chosen[slot] || nth == 0)
        return TARN_OK;
    call = atomic_fetch_add(&f->calls, 1) + 1;
    if (call < nth || (call > nth && atomic_load(&f->mode) != FAULT_ALWAYS))
        return TARN_OK;
    atomic_fetch_add(&f->fired, 1);
    atomic_store(&f->where, (int)slot);
    injected = 1;
    return atomic_load(&f->err);
}

static int done(int ret)
{
    if (ret != TARN_OK)
        injected = 0;
    return ret;
}

/* clang-format off */
#define HOLD(kind, change) (void)atomic_fetch_add(&self->held[FAULT_##kind], (change))
#define FAULT_INT(group, name, params, args, shows, gives, effect)                                 \
    static int fault_##group##_##name params                                                       \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        struct fault *self = os->ctx;                                                              \
        int ret = strike(self, SLOT_##group##_##name);                                             \
        if (ret != TARN_OK)                                                                        \
            return ret;                                                                            \
        ret = done(to->group->name args);                                                          \
        if (ret == TARN_OK)                                                                        \
            effect;                                                                                \
        return ret;                                                                                \
    }
#define FAULT_RELEASE(group, name, params, args, shows, gives, effect)                             \
    static int fault_##group##_##name params                                                       \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        struct fault *self = os->ctx;                                                              \
        int ours = strike(self, SLOT_##group##_##name);                                            \
        int ret = to->group->name args;                                                            \
        effect;                                                                                    \
        return ours != TARN_OK ? ours : done(ret);                                                 \
    }
#define FAULT_VOID(group, name, params, args, shows, gives, effect)                                \
    static void fault_##group##_##name params                                                      \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        struct fault *self = os->ctx;                                                              \
        to->group->name args;                                                                      \
        effect;                                                                                    \
    }
SLOTS(FAULT_INT, FAULT_RELEASE, FAULT_VOID)

#define ENTRY(group, name, ...) .name = fault_##group##_##name,
static const struct tarn_os_file all_file = {
    .size = sizeof(struct tarn_os_file), SLOTS_FILE(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_map fault_map = {
    .size = sizeof(struct tarn_os_map), SLOTS_MAP(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_shm fault_shm = {
    .size = sizeof(struct tarn_os_shm), SLOTS_SHM(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_sync fault_sync = {
    .size = sizeof(struct tarn_os_sync), SLOTS_SYNC(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_proc fault_proc = {
    .size = sizeof(struct tarn_os_proc), SLOTS_PROC(ENTRY, ENTRY, ENTRY) };
static const struct tarn_os_misc all_misc = {
    .size = sizeof(struct tarn_os_misc), SLOTS_MISC(ENTRY, ENTRY, ENTRY) };
/* clang-format on */

/* ---- the slots that do more ---- */

/* This call of ours failed, and half of it is to be done. */
static int is_short(const struct tarn_os *os, int ret)
{
    const struct fault *f = os->ctx;

    return ret != TARN_OK && injected && atomic_load(&f->mode) == FAULT_SHORT;
}

static int short_write(const struct tarn_os *os, tarn_file file, const void *buf, size_t len)
{
    int ret = all_file.write(os, file, buf, len);

    if (is_short(os, ret))
        (void)os->below->file->write(os->below, file, buf, len / 2);
    return ret;
}

static int short_pwrite(const struct tarn_os *os, tarn_file file, const void *buf, size_t len,
                        uint64_t off)
{
    int ret = all_file.pwrite(os, file, buf, len, off);

    if (is_short(os, ret))
        (void)os->below->file->pwrite(os->below, file, buf, len / 2, off);
    return ret;
}

static int short_pwritev(const struct tarn_os *os, tarn_file file, const struct tarn_iov *iov,
                         int n, uint64_t off)
{
    size_t left = 0;
    int ret = all_file.pwritev(os, file, iov, n, off);

    if (!is_short(os, ret))
        return ret;
    for (int i = 0; i < n; i++)
        left += iov[i].len;
    left /= 2;
    for (int i = 0; i < n && left > 0; i++) {
        size_t part = iov[i].len < left ? iov[i].len : left;

        (void)os->below->file->pwrite(os->below, file, iov[i].base, part, off);
        off += part;
        left -= part;
    }
    return ret;
}

static int own_last_error(const struct tarn_os *os, int *number, char *text, size_t len)
{
    if (!injected)
        return all_misc.last_error(os, number, text, len);
    *number = 0;
    (void)text_format(text, len, "injected by the fault shim");
    return TARN_OK;
}

/* ---- making one ---- */

int fault_new(const struct tarn_os *below, struct fault **out)
{
    struct tarn_os_file file = all_file;
    struct tarn_os_misc misc = all_misc;
    struct tarn_os over = { .size = sizeof(over),
                            .name = "fault",
                            .file = &file,
                            .map = &fault_map,
                            .shm = &fault_shm,
                            .sync = &fault_sync,
                            .proc = &fault_proc,
                            .misc = &misc };
    struct fault *f;
    struct tarn_os *os;
    void *memory;
    int ret = below->misc->malloc(below, sizeof(*f), &memory);

    if (ret != TARN_OK)
        return ret;
    f = over.ctx = memory;
    memset(memory, 0, sizeof(*f));
    file.write = short_write;
    file.pwrite = short_pwrite;
    file.pwritev = short_pwritev;
    misc.last_error = own_last_error;
    ret = table_stack(below, &over, f, &os);
    if (ret != TARN_OK)
        return ret;
    f->os = os;
    *out = f;
    return TARN_OK;
}

void fault_free(struct fault *f)
{
    if (f != NULL)
        tarn_os_unstack(f->os);
}

const struct tarn_os *fault_os(const struct fault *f) { return f->os; }

/* "pwrite" and "file.pwrite" name the slot. */
static int names_slot(const char *word, const struct slot_name *slot)
{
    size_t group = strlen(slot->group);

    if (strncmp(word, slot->group, group) == 0 && word[group] == '.')
        word += group + 1;
    return strcmp(word, slot->name) == 0;
}

static const char *nearest_slot(const char *word)
{
    const char *best = "";
    unsigned least = ~0u;

    for (int i = 0; i < SLOT_COUNT; i++) {
        unsigned d = text_distance(word, slot_names[i].name);

        if (slot_names[i].fails && d < least) {
            least = d;
            best = slot_names[i].name;
        }
    }
    return best;
}

int fault_choose(struct fault *f, const char *slot)
{
    int all = strcmp(slot, "*") == 0, found = 0;

    for (int i = 0; i < SLOT_COUNT; i++) {
        if (all ? i == SLOT_misc_last_error : !names_slot(slot, &slot_names[i]))
            continue;
        if (!all && !slot_names[i].fails)
            return tarn_fail(NULL, TARN_EINVAL, "fault: slot \"%s\" cannot fail", slot);
        f->chosen[i] = 1;
        found = 1;
    }
    if (found)
        return TARN_OK;
    return tarn_fail(NULL, TARN_EINVAL, "fault: there is no slot \"%s\"; did you mean \"%s\"?",
                     slot, nearest_slot(slot));
}

void fault_arm(struct fault *f, long nth, int err, enum fault_mode mode)
{
    atomic_store(&f->nth, 0);
    atomic_store(&f->calls, 0);
    atomic_store(&f->fired, 0);
    atomic_store(&f->err, err);
    atomic_store(&f->mode, (int)mode);
    atomic_store(&f->nth, nth);
}

long fault_calls(const struct fault *f) { return atomic_load(&f->calls); }

long fault_fired(const struct fault *f) { return atomic_load(&f->fired); }

const char *fault_where(const struct fault *f)
{
    return fault_fired(f) == 0 ? "" : slot_names[atomic_load(&f->where)].name;
}

long fault_held(const struct fault *f, enum fault_kind kind) { return atomic_load(&f->held[kind]); }

long fault_held_all(const struct fault *f)
{
    long sum = 0;

    for (int i = 0; i < FAULT_KINDS; i++)
        sum += fault_held(f, (enum fault_kind)i);
    return sum;
}

/* ---- from the text of TARN_OS ---- */

static int error_of(const char *word, int *err)
{
#define TARN_X(name, number, text)                                                                 \
    if (strcmp(word, #name) == 0 || strcmp(word, "TARN_" #name) == 0)                              \
        *err = number;
    *err = TARN_OK;
    TARN_ERRORS(TARN_X)
#undef TARN_X
    return *err != TARN_OK
               ? TARN_OK
               : tarn_fail(NULL, TARN_EINVAL,
                           "fault: \"%s\" is not an error of Tarn (such as ENOSPC)", word);
}

static int mode_of(const char *word, const char *slot, enum fault_mode *mode)
{
    if (strcmp(word, "once") == 0)
        *mode = FAULT_ONCE;
    else if (strcmp(word, "always") == 0)
        *mode = FAULT_ALWAYS;
    else if (strcmp(word, "short") == 0 && strstr(slot, "write") != NULL)
        *mode = FAULT_SHORT;
    else if (strcmp(word, "short") == 0)
        return tarn_fail(NULL, TARN_EINVAL,
                         "fault: \"short\" is for write, pwrite and pwritev, not for \"%s\"", slot);
    else
        return tarn_fail(NULL, TARN_EINVAL, "fault: \"%s\" is none of once, always, short", word);
    return TARN_OK;
}

int fault_stack(const struct tarn_os *below, char *const *fields, int n, struct tarn_os **out)
{
    enum fault_mode mode = FAULT_ONCE;
    struct fault *f;
    uint64_t nth = 0;
    int err, ret;

    if (n < 4 || n > 5)
        return tarn_fail(NULL, TARN_EINVAL,
                         "fault: %d fields; it is fault:SLOT:N:ERROR[:once|always|short]", n);
    if (text_number(fields[2], &nth, NULL) != TARN_OK || nth == 0 || nth > INT32_MAX)
        return tarn_fail(NULL, TARN_EINVAL, "fault: \"%s\" is not the number of a call, from 1 on",
                         fields[2]);
    ret = error_of(fields[3], &err);
    if (ret == TARN_OK && n == 5)
        ret = mode_of(fields[4], fields[1], &mode);
    if (ret != TARN_OK || (ret = fault_new(below, &f)) != TARN_OK)
        return ret;
    ret = fault_choose(f, fields[1]);
    if (ret != TARN_OK) {
        fault_free(f);
        return ret;
    }
    fault_arm(f, (long)nth, err, mode);
    *out = f->os;
    return TARN_OK;
}
