/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/choose.h"

#include "backends/call.h"
#include "os/text.h"
#include "tarn_port.h"

#include <string.h>

/* One word of a list. */
struct word {
    char name[LOAD_NAME_MAX + 1];
    int never; /* ^ */
    int maybe; /* ? */
};

/* The list that decides, each name once. */
struct list {
    const char *text;
    const char *source; /* where it comes from, for messages */
    struct word words[LOAD_NAMES_MAX];
    size_t n;
    int ports; /* the words are the ports file's: nobody asked for one of them */
};

/* The names of the backends that are installed. */
struct names {
    char name[LOAD_NAMES_MAX][LOAD_NAME_MAX + 1];
    size_t n;
};

/* ---- text that is put together ----------------------------------------------------------------- */

struct text {
    char *buf;
    size_t len, used;
};

static void add(struct text *t, const char *fmt, ...) TEXT_PRINTF(2, 3);

/* What does not fit is cut, and ends in "...". */
static void add(struct text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = text_vformat(t->buf + t->used, t->len - t->used, fmt, args);
    va_end(args);
    if (n < 0 || t->len == 0)
        return;
    if ((size_t)n < t->len - t->used) {
        t->used += (size_t)n;
        return;
    }
    if (t->len >= 4)
        memcpy(t->buf + t->len - 4, "...", 4);
    t->used = t->len - 1;
}

/* ---- the list ---------------------------------------------------------------------------------- */

static struct word *list_find(struct list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->words[i].name, name) == 0)
            return &list->words[i];
    return NULL;
}

/* The word in s[0..len).  A name that comes again keeps its first place; ^ wins wherever it is. */
static int parse_word(struct list *list, const char *s, size_t len)
{
    struct word word = { .never = 0 };
    struct word *known;

    if (len > 0 && s[0] == '^') {
        word.never = 1;
        s++, len--;
    }
    if (len > 0 && s[len - 1] == '?') {
        word.maybe = 1;
        len--;
    }
    if (!load_name_ok(s, len))
        return TARN_EINVAL;
    memcpy(word.name, s, len);
    known = list_find(list, word.name);
    if (known != NULL) {
        known->never |= word.never;
        return TARN_OK;
    }
    if (list->n == LOAD_NAMES_MAX)
        return TARN_EINVAL;
    list->words[list->n++] = word;
    return TARN_OK;
}

static int parse(struct list *list, const char *text, char *why, size_t why_len)
{
    for (const char *s = text;; s++) {
        size_t len = strcspn(s, ",");
        size_t first = strspn(s, " "), end = len;

        while (end > first && s[end - 1] == ' ')
            end--;
        if (parse_word(list, s + first, end - first) != TARN_OK) {
            (void)text_format(why, why_len,
                              "%s is \"%s\": \"%.*s\" is no word of a list of backends (as in "
                              "\"mmap,hugetlb?,^sysv\")",
                              list->source, text, (int)len, s);
            return TARN_EINVAL;
        }
        s += len;
        if (*s == '\0')
            return TARN_OK;
    }
}

/* The first list that is there; 1 if it is the ports file's, which may name what is not installed. */
static int pick(const struct choose_wish *wish, struct list *list)
{
    const struct {
        const char *text, *source;
    } all[] = {
        { wish->required, "the backend that the application requires" },
        { wish->variable, "TARN_BACKEND" },
        { wish->preferred, "the backend that the application prefers" },
        { wish->configured, "backend of tarn.conf" },
    };

    list->n = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].text != NULL && all[i].text[0] != '\0') {
            list->text = all[i].text;
            list->source = all[i].source;
            return 0;
        }
    list->text = wish->order != NULL ? wish->order : TARN_PORT_BACKENDS;
    list->source = "the order of the ports file";
    return 1;
}

static int installed(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->name[i], name) == 0)
            return 1;
    return 0;
}

/* Unknown: say so, with the nearest name there is. */
static int unknown(const struct list *list, const struct word *word, const struct names *names,
                   char *why, size_t why_len)
{
    struct text t = { why, why_len, 0 };
    const char *nearest = NULL;
    unsigned least = 3; /* what differs in more is another word */

    for (size_t i = 0; i < names->n; i++) {
        unsigned far = text_distance(word->name, names->name[i]);

        if (far <= least && far < strlen(names->name[i])) {
            if (nearest == NULL || far < least)
                nearest = names->name[i];
            least = far;
        }
    }
    add(&t, "%s is \"%s\": there is no backend \"%s\"", list->source, list->text, word->name);
    if (nearest != NULL)
        add(&t, ", did you mean \"%s\"?", nearest);
    add(&t, " (installed:");
    for (size_t i = 0; i < names->n; i++)
        add(&t, " %s", names->name[i]);
    add(&t, "%s)", names->n == 0 ? " none; TARN_BACKEND_PATH names their directory" : "");
    return TARN_EINVAL;
}

/* The list that decides, checked; words marked never stay in it. */
static int resolve(const struct tarn_os *os, const struct choose_wish *wish, struct list *list,
                   struct names *names, char *why, size_t why_len)
{
    int builtin = pick(wish, list), some = 0, err;

    load_names(os, names->name, LOAD_NAMES_MAX, &names->n);
    err = parse(list, list->text, why, why_len);
    for (size_t i = 0; err == TARN_OK && i < list->n; i++) {
        some |= !list->words[i].never;
        if (!builtin && !list->words[i].maybe && !installed(names, list->words[i].name))
            err = unknown(list, &list->words[i], names, why, why_len);
    }
    list->ports = builtin || !some;
    if (err == TARN_OK && !some)
        err = parse(list, wish->order != NULL ? wish->order : TARN_PORT_BACKENDS, why, why_len);
    return err;
}

int choose_check(const struct tarn_os *os, const struct choose_wish *wish, char *why,
                 size_t why_len)
{
    struct list list;
    struct names names;

    return resolve(os, wish, &list, &names, why, why_len);
}

/* ---- candidates -------------------------------------------------------------------------------- */

struct attempt {
    const struct tarn_backend *backend;
    struct load_place place;
    struct tarn_probe found;
    int err;
    char why[512];
};

/*
 * by_fork: memory that only children by fork share will do, too, and nothing else is meant; the other
 * backends have been asked before.
 */
static void attempt(const struct tarn_os *os, const char *name,
                    const struct tarn_segment_request *req, int by_fork, struct attempt *a)
{
    struct text t = { a->why, sizeof(a->why), 0 };
    struct tarn_segment_request wanted = *req;
    struct tarn_backend_call call;

    memset(a, 0, sizeof(*a));
    a->err = load_backend(os, name, &a->backend, &a->place, a->why, sizeof(a->why));
    if (a->err != TARN_OK) {
        a->err = a->err == TARN_ENOENT ? TARN_ENOSYS : a->err;
        return;
    }
    call_init(&call, os);
    if (by_fork && (a->backend->caps & TARN_CAP_FORK))
        wanted.shared = 0;
    a->err = a->backend->probe(&call, &wanted, &a->found);
    if (a->err != TARN_OK) {
        add(&t, "%s", call_why(&call, a->err));
        return;
    }
    add(&t, "%s", a->found.where);
    if (a->found.avail != UINT64_MAX)
        add(&t, ", %llu bytes free", (unsigned long long)a->found.avail);
    if (a->found.note[0] != '\0')
        add(&t, "; %s", a->found.note);
}

/* The first of the list that serves. */
static int choose_first(const struct tarn_os *os, const struct list *list,
                        const struct tarn_segment_request *req, int by_fork,
                        struct choose_result *out, char *why, size_t why_len)
{
    char passed[sizeof(out->reasons)] = "";
    struct text quiet = { passed, sizeof(passed), 0 }, all = { why, why_len, 0 };
    struct attempt a;
    int first = TARN_OK;

    add(&all, "no backend can serve %s of %llu bytes (%s: \"%s\")",
        req->shared ? "a shared region" : "a private region", (unsigned long long)req->size,
        list->source, list->text);
    for (size_t i = 0; i < list->n; i++) {
        const struct word *word = &list->words[i];

        if (word->never)
            continue;
        attempt(os, word->name, req, by_fork, &a);
        if (a.err == TARN_OK) {
            add(&quiet, "%s: chosen by %s (%s)", word->name, list->source, a.why);
            out->backend = a.backend;
            out->found = a.found;
            memcpy(out->reasons, passed, sizeof(passed));
            return TARN_OK;
        }
        if (!word->maybe)
            add(&quiet, "%s: passed over, %s; ", word->name, a.why);
        add(&all, "; %s: %s", word->name, a.why);
        first = first == TARN_OK ? a.err : first;
    }
    if (first == TARN_OK)
        add(&all, ": it excludes them all");
    return first == TARN_OK ? TARN_EINVAL : first;
}

/*
 * Must memory that only children by fork share do for req?  When somebody asked for such a backend, and
 * nothing that he asked for can be joined by name.
 */
static int only_by_fork(const struct tarn_os *os, const struct list *list,
                        const struct tarn_segment_request *req)
{
    struct attempt a;
    int some = 0;

    if (list->ports || !req->shared)
        return 0;
    for (size_t i = 0; i < list->n; i++) {
        if (list->words[i].never)
            continue;
        attempt(os, list->words[i].name, req, 0, &a);
        if (a.err == TARN_OK)
            return 0;
        some |= a.backend != NULL && (a.backend->caps & TARN_CAP_FORK) != 0;
    }
    return some;
}

int choose_backend(const struct tarn_os *os, const struct choose_wish *wish,
                   const struct tarn_segment_request *req, struct choose_result *out, char *why,
                   size_t why_len)
{
    struct list list;
    struct names names;
    int err = resolve(os, wish, &list, &names, why, why_len);

    if (err != TARN_OK)
        return err;
    err = choose_first(os, &list, req, 0, out, why, why_len);
    if (err != TARN_OK && only_by_fork(os, &list, req))
        err = choose_first(os, &list, req, 1, out, why, why_len);
    return err;
}

int choose_by_name(const struct tarn_os *os, const char *name, const struct tarn_backend **out,
                   char *why, size_t why_len)
{
    int err = load_backend(os, name, out, NULL, why, why_len);

    return err == TARN_ENOENT ? TARN_ENOSYS : err;
}

/* ---- every candidate --------------------------------------------------------------------------- */

int choose_walk(const struct tarn_os *os, const struct choose_wish *wish,
                const struct tarn_segment_request *req, choose_fn fn, void *ctx, char *why,
                size_t why_len)
{
    struct list list;
    struct names names;
    size_t asked;
    int err, by_fork, taken = 0;

    if ((err = resolve(os, wish, &list, &names, why, why_len)) != TARN_OK)
        return err;
    asked = list.n;
    by_fork = only_by_fork(os, &list, req);
    for (size_t i = 0; i < names.n && list.n < LOAD_NAMES_MAX; i++)
        (void)parse_word(&list, names.name[i], strlen(names.name[i]));
    for (size_t i = 0; i < list.n && err == TARN_OK; i++) {
        struct choose_candidate c = { .name = list.words[i].name, .listed = i < asked };
        struct attempt a;

        attempt(os, c.name, req, by_fork && c.listed, &a);
        if (list.words[i].never && a.err == TARN_OK) {
            struct text t = { a.why, sizeof(a.why), 0 };

            add(&t, "excluded by %s", list.source);
            a.err = TARN_EPERM;
        }
        c.backend = a.backend;
        c.path = a.place.path;
        c.err = a.err;
        c.why = a.why;
        c.found = a.found;
        c.chosen = c.listed && c.err == TARN_OK && !taken;
        taken |= c.chosen;
        err = fn(ctx, &c);
    }
    return err;
}
