/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stranger's program: compiled as C and as C++17 against the installed headers and library.
 *   stranger HOME
 */
#include <stdio.h>
#include <string.h>

#include <tarn/backend.h>
#include <tarn/mpool.h>
#include <tarn/os.h>
#include <tarn/region.h>
#include <tarn/tarn.h>

static int failed(const char *what, int err)
{
    fprintf(stderr, "%s: %s: %s\n", what, tarn_strerror(err), tarn_last_message());
    return 1;
}

/* Make a region, write into it, and leave nothing. */
static int use_a_region(tarn_env *env, const char *name)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    tarn_region *region;
    uint64_t bytes = 0;
    int err;

    config.flags = TARN_REGION_CREATE;
    if ((err = tarn_region_attach(env, name, &config, &region)) != TARN_OK)
        return failed("attach", err);
    memset(tarn_region_memory(region, &bytes), 7, 64);
    if ((err = tarn_region_detach(region)) != TARN_OK)
        return failed("detach", err);
    if ((err = tarn_region_remove(env, name, 0)) != TARN_OK)
        return failed("remove", err);
    return bytes >= 64 ? 0 : failed("memory", TARN_EINVAL);
}

int main(int argc, char **argv)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_env *env;
    int err;

    if (argc != 2)
        return failed("stranger HOME", TARN_EINVAL);
    config.home = argv[1];
    if ((err = tarn_env_open(&config, &env)) != TARN_OK)
        return failed("open", err);
    if (use_a_region(env, "strange") != 0)
        return 1;
    if ((err = tarn_env_close(env)) != TARN_OK)
        return failed("close", err);
    printf("tarn %s\n", tarn_version());
    return 0;
}
