/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which backend serves a region.
 *
 * A list is words separated by commas, in order of preference:
 *
 *   mmap      take it if it can serve; else pass it over, and the reason is reported
 *   hugetlb?  the same, but it may be missing from this installation, and nothing is reported
 *   ^sysv     never (also with ?, if it may be missing)
 *
 * A region that others join by name gets memory that only children by fork share (anon) where
 * somebody asks for such a backend, and no other that is asked for can serve.
 *
 * A list of ^words only is the ports file's order without these.  A word that names no backend of
 * this installation is an error that suggests the nearest, unless it has a ?.  One list decides, the
 * first of struct choose_wish that is neither NULL nor empty; no other is fallen back to.
 */
#ifndef TARN_BACKENDS_CHOOSE_H
#define TARN_BACKENDS_CHOOSE_H

#include "backends/load.h"

/* The lists, in order of authority; each may be NULL. */
struct choose_wish {
    const char *required;   /* tarn_env_config.backend_required */
    const char *variable;   /* TARN_BACKEND */
    const char *preferred;  /* tarn_env_config.backend */
    const char *configured; /* tarn.conf */
    const char *order;      /* the ports file's; NULL: the one compiled in */
};

struct choose_result {
    const struct tarn_backend *backend;
    struct tarn_probe found; /* what its probe found */
    char reasons[1024]; /* "mmap: chosen by TARN_BACKEND; sysv: passed over: ...", to be kept */
};

/*
 * The first backend of the list that says it can serve req; *out is written on success only.  If
 * none can, the error of the most preferred one, and why has the reason of each.  TARN_EINVAL: the
 * list has a word that means nothing.
 */
int choose_backend(const struct tarn_os *os, const struct choose_wish *wish,
                   const struct tarn_segment_request *req, struct choose_result *out, char *why,
                   size_t why_len);

/*
 * The backend that a region has, for one who joins, looks or removes.  Never TARN_ENOENT: where it
 * is not installed the error is TARN_ENOSYS, so that nobody takes the region for gone (seed X8).
 */
int choose_by_name(const struct tarn_os *os, const char *name, const struct tarn_backend **out,
                   char *why, size_t why_len);

/* Are all words of the list that decides understood?  TARN_EINVAL; nothing is probed. */
int choose_check(const struct tarn_os *os, const struct choose_wish *wish, char *why,
                 size_t why_len);

/* One candidate, as choose_walk() reports it. */
struct choose_candidate {
    const char *name;
    const struct tarn_backend *backend; /* NULL: it cannot be loaded */
    const char *path;                   /* of its module; "" if linked in or not found */
    int err;                            /* 0: it could serve req */
    const char *why;                    /* why not; else what its probe found */
    struct tarn_probe found;
    int listed; /* 1: a word of the list, 0: installed, but the list does not ask for it */
    int chosen; /* 1: choose_backend() would take it */
};

/* Called for each candidate; anything but 0 ends the walk and is returned by it. */
typedef int (*choose_fn)(void *ctx, const struct choose_candidate *candidate);

/* Every candidate: the list in its order, then what else is installed.  TARN_EINVAL as above. */
int choose_walk(const struct tarn_os *os, const struct choose_wish *wish,
                const struct tarn_segment_request *req, choose_fn fn, void *ctx, char *why,
                size_t why_len);

#endif
