/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the shims share: each is a table that overrides every slot and calls down.
 */
#ifndef TARN_OS_SHIM_H
#define TARN_OS_SHIM_H

#include "os/slots.h"

/* "file" and "pwrite" of SLOT_file_pwrite; fails is 0 for the slots that return nothing. */
struct slot_name {
    const char *group, *name;
    int fails;
};
extern const struct slot_name slot_names[SLOT_COUNT];

/* Stack a trace level, or a fault level from the fields of "fault:SLOT:N:ERROR[:MODE]". */
int trace_stack(const struct tarn_os *below, struct tarn_os **out);
int fault_stack(const struct tarn_os *below, char *const *fields, int n, struct tarn_os **out);

#endif
