/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a platform does not have: absent_<group>_<slot>, functions that return TARN_ENOSYS.
 */
#ifndef TARN_OS_ABSENT_H
#define TARN_OS_ABSENT_H

#include "os/slots.h"

#define ABSENT_INT(group, name, params, ...)  int absent_##group##_##name params;
#define ABSENT_VOID(group, name, params, ...) void absent_##group##_##name params;
SLOTS(ABSENT_INT, ABSENT_INT, ABSENT_VOID)
#undef ABSENT_INT
#undef ABSENT_VOID

#endif
