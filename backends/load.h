/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Find a backend by its name, or refuse it.
 *
 * Places, in this order: the directories of TARN_BACKEND_PATH (separated by ':'), the table of
 * backends that are linked in, the directories compiled in.  The first place that has it decides: a
 * module there that must be refused is an error, never a reason to look further.
 *
 * A module stays for the life of the process, and is remembered by its path: the next load of it
 * asks the OS table for the variable only.
 */
#ifndef TARN_BACKENDS_LOAD_H
#define TARN_BACKENDS_LOAD_H

#include <tarn/backend.h>

#define LOAD_NAME_MAX  15 /* bytes of a backend's name */
#define LOAD_NAMES_MAX 32 /* names that load_names() tells at most */
#define LOAD_PATH_MAX  1024

/* Where a backend was found, for reports; path is "" if it is linked in. */
struct load_place {
    char path[LOAD_PATH_MAX];
};

/*
 * The backend called name; where may be NULL.  On an error why holds one sentence.
 *
 *   TARN_ENOENT    no place has it (why names the places)
 *   TARN_EINVAL    the name is none, or the module's table contradicts itself
 *   TARN_EVERSION  it was built for another ABI: why names both
 *   TARN_EPERM     others may write the module or its directory
 *   TARN_EIO ...   what module_open said
 */
int load_backend(const struct tarn_os *os, const char *name, const struct tarn_backend **out,
                 struct load_place *where, char *why, size_t why_len);

/* The backend called name in the module at path; nothing else is tried. */
int load_module(const struct tarn_os *os, const char *path, const char *name,
                const struct tarn_backend **out, char *why, size_t why_len);

/*
 * Is what a module exports as backend `name` usable?  Called by the two above: ABI and size first,
 * nothing behind them is read if they are wrong.
 */
int load_check(const struct tarn_backend *backend, const char *name, char *why, size_t why_len);

/* Is s[0..len) a name that a backend may have: [a-z0-9_]{1,15}? */
int load_name_ok(const char *s, size_t len);

/* The names that the places have, each once; *n of them. */
void load_names(const struct tarn_os *os, char names[][LOAD_NAME_MAX + 1], size_t max, size_t *n);

#endif
