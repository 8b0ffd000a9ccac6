/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/load.h"

#include "os/text.h"
#include "tarn_port.h"
#include "tarn_static_backends.h"

#include <stdatomic.h>
#include <string.h>

#define MODULE_PREFIX "tarn_backend_"
#ifndef TARN_MODULE_SUFFIX
#define TARN_MODULE_SUFFIX ".so"
#endif

/* ---- modules that are loaded already ---------------------------------------------------------- */

#define KEPT_MAX 16

/*
 * Filled once each, never emptied: modules stay.  A slot counts when its backend is stored.  The same
 * path may come twice, from two threads, which does no harm; what does not fit is loaded again.
 */
static struct {
    char path[LOAD_PATH_MAX];
    const struct tarn_backend *_Atomic backend;
} kept[KEPT_MAX];
static atomic_uint kept_claimed;

static const struct tarn_backend *kept_find(const char *path, const char *name)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        const struct tarn_backend *b = atomic_load_explicit(&kept[i].backend, memory_order_acquire);

        if (b != NULL && strcmp(kept[i].path, path) == 0 && strcmp(b->name, name) == 0)
            return b;
    }
    return NULL;
}

static void kept_add(const char *path, const struct tarn_backend *backend)
{
    unsigned i = atomic_load_explicit(&kept_claimed, memory_order_relaxed);

    if (strlen(path) >= LOAD_PATH_MAX)
        return;
    while (i < KEPT_MAX &&
           !atomic_compare_exchange_weak_explicit(&kept_claimed, &i, i + 1, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    if (i == KEPT_MAX)
        return;
    memcpy(kept[i].path, path, strlen(path) + 1);
    atomic_store_explicit(&kept[i].backend, backend, memory_order_release);
}

/* ---- one module ------------------------------------------------------------------------------- */

int load_name_ok(const char *s, size_t len)
{
    if (len == 0 || len > LOAD_NAME_MAX)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '\0' || strchr("abcdefghijklmnopqrstuvwxyz0123456789_", s[i]) == NULL)
            return 0;
    return 1;
}

static const char *missing_slot(const struct tarn_backend *b)
{
    return b->probe == NULL      ? "probe"
           : b->create == NULL   ? "create"
           : b->attach == NULL   ? "attach"
           : b->grow == NULL     ? "grow"
           : b->shrink == NULL   ? "shrink"
           : b->detach == NULL   ? "detach"
           : b->remove == NULL   ? "remove"
           : b->describe == NULL ? "describe"
                                 : NULL;
}

int load_check(const struct tarn_backend *b, const char *name, char *why, size_t why_len)
{
    const uint32_t known = TARN_CAP_SHARED | TARN_CAP_FORK | TARN_CAP_NAMED | TARN_CAP_GROWS |
                           TARN_CAP_SURVIVES | TARN_CAP_HUGE | TARN_CAP_SEALED;
    const uint32_t both = TARN_CAP_SHARED | TARN_CAP_FORK;

    if (b->abi != TARN_BACKEND_ABI || b->size < sizeof(*b)) {
        (void)text_format(why, why_len,
                          "backend %s is built for backend ABI %u (table of %zu bytes), this Tarn "
                          "has ABI %u (%zu bytes): build it again",
                          name, b->abi, b->size, TARN_BACKEND_ABI, sizeof(*b));
        return TARN_EVERSION;
    }
    if (b->name == NULL || strcmp(b->name, name) != 0)
        (void)text_format(why, why_len, "the module of backend %s calls itself %s", name,
                          b->name == NULL ? "nothing" : b->name);
    else if (b->summary == NULL)
        (void)text_format(why, why_len, "backend %s has no summary", name);
    else if (missing_slot(b) != NULL)
        (void)text_format(why, why_len, "backend %s has no function %s", name, missing_slot(b));
    else if (b->caps & ~known)
        (void)text_format(why, why_len, "backend %s has unknown capabilities 0x%x", name,
                          b->caps & ~known);
    else if ((b->caps & both) == both)
        (void)text_format(why, why_len, "backend %s says both SHARED and FORK", name);
    else if ((b->caps & TARN_CAP_SURVIVES) && !(b->caps & TARN_CAP_NAMED))
        (void)text_format(why, why_len, "backend %s says SURVIVES, but not NAMED", name);
    else
        return TARN_OK;
    return TARN_EINVAL;
}

static int module_refused(const struct tarn_os *os, int err, const char *what, const char *path,
                          char *why, size_t why_len)
{
    char text[160] = "";
    int number;

    if (os->misc->last_error(os, &number, text, sizeof(text)) != TARN_OK || text[0] == '\0')
        (void)text_format(text, sizeof(text), "%s", tarn_strerror(err));
    (void)text_format(why, why_len, "%s %s: %s", what, path, text);
    return err;
}

int load_module(const struct tarn_os *os, const char *path, const char *name,
                const struct tarn_backend **out, char *why, size_t why_len)
{
    char exported[sizeof(MODULE_PREFIX) + LOAD_NAME_MAX];
    const struct tarn_backend *backend = kept_find(path, name);
    tarn_symbol symbol;
    void *module;
    int err;

    if (backend != NULL) {
        *out = backend;
        return TARN_OK;
    }
    err = os->misc->module_open(os, path, &module);
    if (err != TARN_OK)
        return module_refused(os, err, "cannot load", path, why, why_len);
    (void)text_format(exported, sizeof(exported), MODULE_PREFIX "%s", name);
    err = os->misc->module_symbol(os, module, exported, &symbol);
    if (err != TARN_OK) {
        (void)text_format(why, why_len, "%s does not export %s", path, exported);
        return err == TARN_ENOENT ? TARN_EINVAL : err;
    }
    backend = symbol;
    err = load_check(backend, name, why, why_len);
    if (err != TARN_OK)
        return err;
    kept_add(path, backend);
    *out = backend;
    return TARN_OK;
}

/* ---- places ----------------------------------------------------------------------------------- */

static const char *path_variable(const struct tarn_os *os)
{
    const char *value;

    if (os->misc->getenv(os, "TARN_BACKEND_PATH", &value) != TARN_OK || value == NULL)
        return "";
    return value;
}

/* The next directory of a list that ':' separates; 0 at its end.  One that is too long is left out. */
static int next_dir(const char **list, char dir[LOAD_PATH_MAX])
{
    while (**list != '\0') {
        const char *end = strchr(*list, ':');
        size_t len = end == NULL ? strlen(*list) : (size_t)(end - *list);
        const char *from = *list;

        *list += end == NULL ? len : len + 1;
        if (len == 0 || len >= LOAD_PATH_MAX)
            continue;
        memcpy(dir, from, len);
        dir[len] = '\0';
        return 1;
    }
    return 0;
}

/* TARN_ENOENT: no directory of the list has it. */
static int load_from(const struct tarn_os *os, const char *list, const char *name,
                     const struct tarn_backend **out, struct load_place *where, char *why,
                     size_t why_len)
{
    char dir[LOAD_PATH_MAX];
    int err;

    while (next_dir(&list, dir)) {
        int n = text_format(where->path, sizeof(where->path), "%s/" MODULE_PREFIX "%s%s", dir, name,
                            TARN_MODULE_SUFFIX);

        if (n < 0 || (size_t)n >= sizeof(where->path))
            continue;
        err = load_module(os, where->path, name, out, why, why_len);
        if (err != TARN_ENOENT && err != TARN_ENOSYS)
            return err;
    }
    return TARN_ENOENT;
}

static int load_linked(const char *name, const struct tarn_backend **out, char *why, size_t why_len)
{
    for (const struct tarn_backend *const *b = tarn_static_backends; *b != NULL; b++)
        if (strcmp((*b)->name, name) == 0) {
            int err = load_check(*b, name, why, why_len);

            if (err == TARN_OK)
                *out = *b;
            return err;
        }
    return TARN_ENOENT;
}

int load_backend(const struct tarn_os *os, const char *name, const struct tarn_backend **out,
                 struct load_place *where, char *why, size_t why_len)
{
    struct load_place place;
    const char *path;
    int err;

    if (!load_name_ok(name, strlen(name))) {
        (void)text_format(why, why_len, "\"%.32s\" is no name of a backend", name);
        return TARN_EINVAL;
    }
    path = path_variable(os);
    err = load_from(os, path, name, out, &place, why, why_len);
    if (err == TARN_ENOENT) {
        place.path[0] = '\0';
        err = load_linked(name, out, why, why_len);
    }
    if (err == TARN_ENOENT)
        err = load_from(os, TARN_BACKEND_DIR, name, out, &place, why, why_len);
    if (err == TARN_OK && where != NULL)
        memcpy(where->path, place.path, strlen(place.path) + 1);
    if (err == TARN_ENOENT)
        (void)text_format(why, why_len,
                          "this installation has no backend %s: no " MODULE_PREFIX
                          "%s%s in %s%s" TARN_BACKEND_DIR "%s",
                          name, name, TARN_MODULE_SUFFIX, path, path[0] != '\0' ? ":" : "",
                          path[0] != '\0' ? "" : " (TARN_BACKEND_PATH names other directories)");
    return err;
}

/* ---- names ------------------------------------------------------------------------------------ */

static void add_name(char names[][LOAD_NAME_MAX + 1], size_t max, size_t *n, const char *s,
                     size_t len)
{
    if (!load_name_ok(s, len) || *n == max)
        return;
    for (size_t i = 0; i < *n; i++)
        if (strncmp(names[i], s, len) == 0 && names[i][len] == '\0')
            return;
    memcpy(names[*n], s, len);
    names[*n][len] = '\0';
    (*n)++;
}

static void names_in(const struct tarn_os *os, const char *list, char names[][LOAD_NAME_MAX + 1],
                     size_t max, size_t *n)
{
    const size_t prefix = sizeof(MODULE_PREFIX) - 1, suffix = sizeof(TARN_MODULE_SUFFIX) - 1;
    char dir[LOAD_PATH_MAX];

    while (next_dir(&list, dir)) {
        char **files;
        size_t count;

        if (os->file->dirlist(os, dir, &files, &count) != TARN_OK)
            continue;
        for (size_t i = 0; i < count; i++) {
            size_t len = strlen(files[i]);

            if (len > prefix + suffix && strncmp(files[i], MODULE_PREFIX, prefix) == 0 &&
                strcmp(files[i] + len - suffix, TARN_MODULE_SUFFIX) == 0)
                add_name(names, max, n, files[i] + prefix, len - prefix - suffix);
        }
        os->file->dirfree(os, files, count);
    }
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

void load_names(const struct tarn_os *os, char names[][LOAD_NAME_MAX + 1], size_t max, size_t *n)
{
    *n = 0;
    names_in(os, path_variable(os), names, max, n);
    for (const struct tarn_backend *const *b = tarn_static_backends; *b != NULL; b++)
        add_name(names, max, n, (*b)->name, strlen((*b)->name));
    names_in(os, TARN_BACKEND_DIR, names, max, n);
    text_sort(names, *n, LOAD_NAME_MAX + 1, by_name);
}
