/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An environment: the home, the table, where messages go; and what every layer needs of it.
 */
#ifndef REGION_ENV_H
#define REGION_ENV_H

#include <stdbool.h>
#include <tarn/region.h>

#include "backends/choose.h"
#include "os/fail.h"

enum { ENV_PATH_MAX = 4096 };

struct tarn_env {
    const struct tarn_os *os;
    struct tarn_os *stacked; /* the application's override over the host's table; NULL none */
    struct tarn_os *shims;   /* what TARN_OS asks for over it; NULL none */
    struct tarn_env_sink sink;
    const char *home; /* NULL: private */
    const char *dir;  /* where backends put files: TARN_REGION_DIR, else the home */
    const char *required, *preferred;
    uint32_t home_uid;
    uint32_t spins;        /* looks at a lock before its taker sleeps */
    _Atomic uint32_t lock; /* guards regions */
    struct tarn_region *regions;
    struct tarn_env *process_next; /* process.c */
    bool closed;                   /* by its user; a parked region still needs it */
};

/*
 * The rule for every configuration structure: user begins with its own size.  Copies what this
 * library knows (known bytes) to copy, zeros where user is shorter or NULL; TARN_EVERSION if user is
 * longer and says something there, TARN_EINVAL if its size is none.  what names it in messages.
 */
int env_config(const void *user, size_t known, void *copy, const struct tarn_env_sink *sink,
               const char *what);

/* home/NAMEsuffix; TARN_EINVAL if that does not fit. */
int env_path(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
             const char *suffix, char path[ENV_PATH_MAX]);

/*
 * May this process believe the open file f?  A regular file with at most max_names names, that
 * belongs to this user, to root or to the owner of the home, and that nobody else may write, as far
 * as mode does not say so.  TARN_EPERM and the reason.
 */
int env_trust(const struct tarn_env *env, const struct tarn_env_sink *sink, tarn_file f,
              const char *path, uint32_t mode, uint32_t max_names);

/* May shared regions be made in this home?  TARN_ENOSYS: its file system reaches other machines. */
int env_local(const struct tarn_env *env, const struct tarn_env_sink *sink);

/* The system's words for the last error of this thread. */
struct env_reason {
    char text[128];
};
const char *env_reason(const struct tarn_os *os, struct env_reason *reason);

/* Free what is left of an environment that its user has closed. */
void env_release(struct tarn_env *env);

/* The lists that decide about the backend. */
void env_wish(const struct tarn_env *env, struct choose_wish *wish);

#endif
