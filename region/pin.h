/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pin mode of a region: pins by a plain store with a heavy barrier at whoever looks at them, or
 * by an exchange where there is no such barrier.  Fixed when the region is made.
 */
#ifndef REGION_PIN_H
#define REGION_PIN_H

#include "os/fail.h"
#include <tarn/os.h>

/* For a maker: TARN_PIN, else by barrier where this process can register and issue one. */
int pin_choose(const struct tarn_os *os, const struct tarn_env_sink *sink, const char *name,
               uint32_t *exchange);

/* For a joiner of a region with that mode: be reachable by the barriers of the others, and able. */
int pin_join(const struct tarn_os *os, const struct tarn_env_sink *sink, const char *name,
             uint32_t exchange);

#endif
