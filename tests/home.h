/* SPDX-License-Identifier: BSD-2-Clause */
/* A home of its own for each test, below the test's folder, and what is left in it afterwards. */
#ifndef TARN_TESTS_HOME_H
#define TARN_TESTS_HOME_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tarn/region.h>

#include "check.h"

struct home {
    char path[64];
};

static inline void home_make(struct home *h)
{
    (void)snprintf(h->path, sizeof(h->path), "home.XXXXXX");
    if (mkdtemp(h->path) == NULL) {
        perror("mkdtemp");
        abort();
    }
}

/* How many files are in it; all of them are removed if `away`. */
static inline int home_files(const struct home *h, int away)
{
    DIR *d = opendir(h->path);
    struct dirent *e;
    int n = 0;

    if (d == NULL)
        return -1;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        if (away)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    (void)closedir(d);
    return n;
}

/* Regions first: the memory of some is no file in it. */
static inline void home_regions_away(const struct home *h)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    DIR *d = opendir(h->path);
    struct dirent *e;
    tarn_env *env;

    config.home = h->path;
    if (d == NULL)
        return;
    if (tarn_env_open(&config, &env) == TARN_OK) {
        while ((e = readdir(d)) != NULL) {
            char *end = strrchr(e->d_name, '.');

            if (end == NULL || strcmp(end, ".tarn") != 0)
                continue;
            *end = '\0';
            (void)tarn_region_remove(env, e->d_name, TARN_REMOVE_FORCE);
        }
        (void)tarn_env_close(env);
    }
    (void)closedir(d);
}

static inline void home_remove(const struct home *h)
{
    home_regions_away(h);
    (void)home_files(h, 1);
    (void)rmdir(h->path);
}

static inline void home_file(const struct home *h, const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", h->path, name);
}

static inline int home_has(const struct home *h, const char *name)
{
    char path[128];
    struct stat st;

    home_file(h, name, path);
    return lstat(path, &st) == 0;
}

static inline int home_open_env(const struct home *h, tarn_env **env)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    config.home = h->path;
    return tarn_env_open(&config, env);
}

static inline int home_attach(tarn_env *env, const char *name, unsigned flags, uint64_t bytes,
                              tarn_region **out)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;

    config.flags = flags;
    config.bytes = bytes;
    return tarn_region_attach(env, name, &config, out);
}

#endif
