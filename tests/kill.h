/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table that kills its process at the n-th call that goes through it, so that every point between
 * two calls of the system is tried as the place of a death.
 */
#ifndef TARN_TESTS_KILL_H
#define TARN_TESTS_KILL_H

#include <signal.h>
#include <unistd.h>

#include "os/slots.h"

static long kill_at, kill_calls; /* kill_at 0: never */

static inline void kill_step(void)
{
    if (kill_at == 0 || ++kill_calls != kill_at)
        return;
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* clang-format off */
#define KILL_INT(group, name, params, args, ...) \
    static int kill_##group##_##name params \
    { \
        const struct tarn_os *to = os->below; \
        kill_step(); \
        return to->group->name args; \
    }
#define KILL_VOID(group, name, params, args, ...) \
    static void kill_##group##_##name params \
    { \
        const struct tarn_os *to = os->below; \
        kill_step(); \
        to->group->name args; \
    }
SLOTS(KILL_INT, KILL_INT, KILL_VOID)

#define KILL_SLOT(group, name, ...) .name = kill_##group##_##name,
static const struct tarn_os_file kill_file = {
    .size = sizeof(struct tarn_os_file), SLOTS_FILE(KILL_SLOT, KILL_SLOT, KILL_SLOT)
};
static const struct tarn_os_map kill_map = {
    .size = sizeof(struct tarn_os_map), SLOTS_MAP(KILL_SLOT, KILL_SLOT, KILL_SLOT)
};
static const struct tarn_os_shm kill_shm = {
    .size = sizeof(struct tarn_os_shm), SLOTS_SHM(KILL_SLOT, KILL_SLOT, KILL_SLOT)
};
static const struct tarn_os_sync kill_sync = {
    .size = sizeof(struct tarn_os_sync), SLOTS_SYNC(KILL_SLOT, KILL_SLOT, KILL_SLOT)
};
static const struct tarn_os_proc kill_proc = {
    .size = sizeof(struct tarn_os_proc), SLOTS_PROC(KILL_SLOT, KILL_SLOT, KILL_SLOT)
};
static const struct tarn_os_misc kill_misc = {
    .size = sizeof(struct tarn_os_misc), SLOTS_MISC(KILL_SLOT, KILL_SLOT, KILL_SLOT)
};
/* clang-format on */

static const struct tarn_os kill_os = {
    .size = sizeof(struct tarn_os),
    .name = "kill",
    .file = &kill_file,
    .map = &kill_map,
    .shm = &kill_shm,
    .sync = &kill_sync,
    .proc = &kill_proc,
    .misc = &kill_misc,
};

#endif
