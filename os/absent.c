/* SPDX-License-Identifier: BSD-2-Clause */
#include "os/absent.h"

/* clang-format off */
#define ABSENT_INT(group, name, params, ...) int absent_##group##_##name params { return TARN_ENOSYS; }
#define ABSENT_VOID(group, name, params, ...) void absent_##group##_##name params {}
/* clang-format on */
SLOTS(ABSENT_INT, ABSENT_INT, ABSENT_VOID)
