/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes share a counter.  Run it twice, at the same time or not: the second continues. */
#include <stdio.h>
#include <tarn/region.h>

int main(void)
{
    struct tarn_env_config where = { .size = sizeof where, .home = "." };
    struct tarn_region_config what = { .size = sizeof what, .flags = TARN_REGION_CREATE };
    tarn_env *env;
    tarn_region *region;

    if (tarn_env_open(&where, &env) || tarn_region_attach(env, "hello", &what, &region))
        return fprintf(stderr, "%s\n", tarn_last_message()), 1;
    tarn_region_lock(region); /* a holder that dies gives it back */
    printf("process number %d\n", ++*(int *)tarn_region_memory(region, NULL));
    tarn_region_unlock(region);
    return tarn_region_detach(region) || tarn_env_close(env);
}
