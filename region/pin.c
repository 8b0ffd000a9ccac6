/* SPDX-License-Identifier: BSD-2-Clause */
#include "region/pin.h"

#include <string.h>

static int try_barrier(const struct tarn_os *os)
{
    int err = os->sync->barrier_register(os);

    return err == TARN_OK ? os->sync->barrier(os) : err;
}

int pin_choose(const struct tarn_os *os, const struct tarn_env_sink *sink, const char *name,
               uint32_t *exchange)
{
    const char *wish = NULL;
    int err;

    if (os->misc->getenv(os, "TARN_PIN", &wish) != TARN_OK)
        wish = NULL;
    if (wish != NULL && strcmp(wish, "exchange") == 0) {
        *exchange = 1;
        return TARN_OK;
    }
    if (wish != NULL && strcmp(wish, "barrier") != 0)
        return tarn_fail(sink, TARN_EINVAL,
                         "region %s: TARN_PIN is %s, it can be exchange or barrier", name, wish);
    err = try_barrier(os);
    if (err != TARN_OK && wish != NULL)
        return tarn_fail(
            sink, TARN_ENOSYS,
            "region %s: TARN_PIN=barrier, but this process cannot issue the barrier: %s", name,
            tarn_strerror(err));
    *exchange = err != TARN_OK;
    return TARN_OK;
}

int pin_join(const struct tarn_os *os, const struct tarn_env_sink *sink, const char *name,
             uint32_t exchange)
{
    int err = exchange ? TARN_OK : try_barrier(os);

    if (err == TARN_OK)
        return TARN_OK;
    return tarn_fail(sink, TARN_ENOSYS,
                     "region %s: its pins need the heavy barrier, which this process cannot issue "
                     "(%s): create the region with TARN_PIN=exchange, then it can join",
                     name, tarn_strerror(err));
}
