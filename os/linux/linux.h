/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GNU/Linux, glibc or musl: the table of POSIX with what the kernel does better put in its place.
 * A kernel or a sandbox that lacks a call gets TARN_ENOSYS from its slot, nothing worse.
 */
#ifndef TARN_OS_LINUX_H
#define TARN_OS_LINUX_H

#include "os/posix/posix.h"

#define LINUX_INT(group, name, params, ...) int linux_##group##_##name params;
#define LINUX_VOID(group, name, params, ...)
SLOTS(LINUX_INT, LINUX_INT, LINUX_VOID)
#undef LINUX_INT
#undef LINUX_VOID

#define LINUX_GROUP(group) extern const struct tarn_os_##group linux_##group;
SLOT_GROUPS(LINUX_GROUP)
#undef LINUX_GROUP

extern const struct tarn_os linux_table;

/*
 * Read a small file of /proc or /sys whole into buf, ended with a 0 byte; its length, or an error
 * below 0.  A longer file is cut.
 */
int linux_slurp(const char *path, char *buf, size_t len);

/*
 * What the tightest memory limit leaves, over every level from the control group that `groups` (the
 * text of /proc/self/cgroup) names up to the root; UINT64_MAX if there is no limit.  mount is where
 * the control groups are mounted.
 */
uint64_t linux_cgroup_left(const char *mount, char *groups);

#endif
