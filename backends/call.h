/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's side of a call into a backend.
 */
#ifndef TARN_BACKENDS_CALL_H
#define TARN_BACKENDS_CALL_H

#include <tarn/backend.h>

/* Prepare call for one or more calls into a backend; call->why is "" until the backend says. */
void call_init(struct tarn_backend_call *call, const struct tarn_os *os);

/* What the backend said, or the text of err if it said nothing. */
const char *call_why(const struct tarn_backend_call *call, int err);

#endif
