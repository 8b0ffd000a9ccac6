/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_LOOK_H
#define TOOLS_LOOK_H

#include <tarn/region.h>

/* Open the environment of home; says what is wrong. */
int look_open_home(const char *home, tarn_env **env);

#endif
