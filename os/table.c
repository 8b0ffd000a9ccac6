/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacking tables.
 *
 *      caller --> level.file.pwrite --+--> over's pwrite(level, ...)     if over has one
 *                                     +--> forward: below->file->pwrite(below, ...)
 *
 * A level is a table with every slot filled: with over's function, which gets the level as `os` (its
 * ctx is over's, its below is where to call down), or with a forwarder.  So a caller never tests a
 * slot for NULL, and a level in the middle sees exactly the calls that come through it.
 */
#include "os/table.h"

#include <string.h>

#include "os/absent.h"
#include "os/fail.h"

/* clang-format off */
#define FORWARD_INT(group, name, params, args, ...)                                                \
    static int forward_##group##_##name params                                                     \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        return to->group->name args;                                                               \
    }
#define FORWARD_VOID(group, name, params, args, ...)                                               \
    static void forward_##group##_##name params                                                    \
    {                                                                                              \
        const struct tarn_os *to = os->below;                                                      \
        to->group->name args;                                                                      \
    }
SLOTS(FORWARD_INT, FORWARD_INT, FORWARD_VOID)

#define FORWARDER(group, name, ...) .name = forward_##group##_##name,
static const struct table_level forwarders = {
    .file = { .size = sizeof(struct tarn_os_file), SLOTS_FILE(FORWARDER, FORWARDER, FORWARDER) },
    .map = { .size = sizeof(struct tarn_os_map), SLOTS_MAP(FORWARDER, FORWARDER, FORWARDER) },
    .shm = { .size = sizeof(struct tarn_os_shm), SLOTS_SHM(FORWARDER, FORWARDER, FORWARDER) },
    .sync = { .size = sizeof(struct tarn_os_sync), SLOTS_SYNC(FORWARDER, FORWARDER, FORWARDER) },
    .proc = { .size = sizeof(struct tarn_os_proc), SLOTS_PROC(FORWARDER, FORWARDER, FORWARDER) },
    .misc = { .size = sizeof(struct tarn_os_misc), SLOTS_MISC(FORWARDER, FORWARDER, FORWARDER) },
};
/* clang-format on */

/* An override with every group there, as long as this Tarn's, NULL where over has nothing. */
struct copy {
    struct tarn_os_file file;
    struct tarn_os_map map;
    struct tarn_os_shm shm;
    struct tarn_os_sync sync;
    struct tarn_os_proc proc;
    struct tarn_os_misc misc;
};

/*
 * Copy a group up to the size that its author knew.  A longer one is of a newer Tarn; it may have
 * nothing in the part that this one does not know.
 */
static int copy_group(const char *name, void *to, size_t known, const void *from)
{
    const unsigned char *bytes = from;
    size_t size;

    if (from == NULL)
        return TARN_OK;
    memcpy(&size, from, sizeof(size));
    if (size < sizeof(size))
        return tarn_fail(NULL, TARN_EINVAL,
                         "OS table: group %s has size %zu; set it to sizeof(struct tarn_os_%s)",
                         name, size, name);
    for (size_t i = known; i < size; i++)
        if (bytes[i] != 0)
            return tarn_fail(NULL, TARN_EVERSION,
                             "OS table: group %s uses byte %zu, this version knows %zu", name, i,
                             known);
    memcpy(to, from, size < known ? size : known);
    return TARN_OK;
}

/* The group pointers lie in the table too, and an older table has fewer. */
static int copy_over(const struct tarn_os *over, struct copy *to)
{
    struct tarn_os os = { .size = 0 };
    int ret = copy_group("os", &os, sizeof(os), over);

    memset(to, 0, sizeof(*to));
#define COPY_GROUP(group)                                                                          \
    if (ret == TARN_OK)                                                                            \
        ret = copy_group(#group, &to->group, sizeof(to->group), os.group);
    SLOT_GROUPS(COPY_GROUP)
#undef COPY_GROUP
    return ret;
}

static int check_belongings(const struct copy *over)
{
    int memory =
        (over->misc.malloc != NULL) + (over->misc.realloc != NULL) + (over->misc.free != NULL);

    if (memory != 0 && memory != 3)
        return tarn_fail(NULL, TARN_EINVAL,
                         "OS table: malloc, realloc and free belong together, and only %d of them "
                         "are there",
                         memory);
    if (over->file.open != NULL && over->file.close == NULL)
        return tarn_fail(NULL, TARN_EINVAL,
                         "OS table: open is there without close, which would be given its files");
    return TARN_OK;
}

/* The table below must have every slot: a platform's has, and so has a stacked one. */
static int check_below(const struct tarn_os *below)
{
    const char *missing = NULL;

    if (below->size < sizeof(*below))
        return tarn_fail(NULL, TARN_EINVAL, "OS table: the table below is incomplete");
#define CHECK_GROUP(group)                                                                         \
    if (below->group == NULL || below->group->size < sizeof(*below->group))                        \
        missing = #group;
    SLOT_GROUPS(CHECK_GROUP)
#undef CHECK_GROUP
    if (missing != NULL)
        return tarn_fail(NULL, TARN_EINVAL, "OS table: the table below lacks group %s", missing);
#define CHECK_SLOT(group, name, ...)                                                               \
    if (below->group->name == NULL)                                                                \
        missing = #group "." #name;
    SLOTS(CHECK_SLOT, CHECK_SLOT, CHECK_SLOT)
#undef CHECK_SLOT
    return missing == NULL
               ? TARN_OK
               : tarn_fail(NULL, TARN_EINVAL, "OS table: the table below lacks %s", missing);
}

static void fill(struct table_level *level, const struct tarn_os *below, const struct tarn_os *over,
                 const struct copy *slots)
{
    *level = forwarders;
    level->os = (struct tarn_os){ .size = sizeof(level->os),
                                  .name = over->name != NULL ? over->name : "override",
                                  .ctx = over->ctx,
                                  .below = below,
                                  .file = &level->file,
                                  .map = &level->map,
                                  .shm = &level->shm,
                                  .sync = &level->sync,
                                  .proc = &level->proc,
                                  .misc = &level->misc };
#define FILL_SLOT(group, slot, ...)                                                                \
    if (slots->group.slot != NULL)                                                                 \
        level->group.slot = slots->group.slot;
    SLOTS(FILL_SLOT, FILL_SLOT, FILL_SLOT)
#undef FILL_SLOT
    atomic_flag_clear(&level->busy_lock);
    for (int i = 0; i < TABLE_BUSY_FILES; i++)
        level->busy[i] = TARN_NO_FILE;
}

struct table_level *table_level_of(const struct tarn_os *os)
{
    return (struct table_level *)(uintptr_t)os; /* its first member */
}

static int make_level(const struct tarn_os *below, const struct tarn_os *over, void *own,
                      struct tarn_os **out)
{
    struct copy slots;
    struct table_level *level;
    void *memory;
    int ret = check_below(below);

    if (ret != TARN_OK || (ret = copy_over(over, &slots)) != TARN_OK ||
        (ret = check_belongings(&slots)) != TARN_OK)
        return ret;
    ret = below->misc->malloc(below, sizeof(*level), &memory);
    if (ret != TARN_OK)
        return tarn_fail(NULL, ret, "OS table: no memory for a level of %zu bytes", sizeof(*level));
    level = memory;
    fill(level, below, over, &slots);
    table_derive(level, &slots.file);
    level->own = own;
    level->whole = 1;
    *out = &level->os;
    return TARN_OK;
}

int table_stack(const struct tarn_os *below, const struct tarn_os *over, void *own,
                struct tarn_os **out)
{
    int ret = make_level(below, over, own, out);

    if (ret != TARN_OK && own != NULL)
        below->misc->free(below, own);
    return ret;
}

int tarn_os_stack(const struct tarn_os *below, const struct tarn_os *over, struct tarn_os **out)
{
    if (below == NULL || over == NULL || out == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "OS table: tarn_os_stack needs below, over and out");
    return table_stack(below, over, NULL, out);
}

void tarn_os_unstack(struct tarn_os *os)
{
    unsigned left = os == NULL ? 0 : table_level_of(os)->whole;

    for (; left > 0; left--) {
        struct table_level *level = table_level_of(os);
        const struct tarn_os *below = os->below;

        if (level->own != NULL)
            below->misc->free(below, level->own);
        below->misc->free(below, level);
        os = (struct tarn_os *)(uintptr_t)below;
    }
}
