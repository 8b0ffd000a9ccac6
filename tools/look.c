/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that look: backends, ports, and the regions of a home (ls, stat, rm). */
#include "tools/tool.h"

#include "ports/facts.h"
#include "tools/json.h"
#include "tools/look.h"
#include "tools/table.h"

#include <apr_strings.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tarn/backend.h>

static const apr_getopt_option_t json_only[] = {
    { "json", 'j', 0, "print JSON" },
    { NULL, 0, 0, NULL },
};

/* Options of a command that has none but --json. */
static int read_json_only(struct args *args, bool *json)
{
    const char *value;
    int key;

    while ((key = args_next(args, &value)) > 0)
        *json = true;
    return key;
}

int look_open_home(const char *home, tarn_env **env)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    config.home = home;
    return tarn_env_open(&config, env) == TARN_OK ? EXIT_OK : complain_tarn("");
}

/* ---- backends --------------------------------------------------------------------------------- */

static const struct {
    uint32_t cap;
    const char *name;
} cap_names[] = {
    { TARN_CAP_SHARED, "shared" },     { TARN_CAP_FORK, "fork" }, { TARN_CAP_NAMED, "named" },
    { TARN_CAP_GROWS, "grows" },       { TARN_CAP_HUGE, "huge" }, { TARN_CAP_SEALED, "sealed" },
    { TARN_CAP_SURVIVES, "survives" },
};
enum { CAP_NAMES = sizeof cap_names / sizeof cap_names[0] };

struct backends {
    apr_pool_t *pool;
    struct table table;
    struct json *json; /* NULL: text */
    bool explain;
    const char *reasons; /* printed behind the table */
};

static void backend_json(struct json *j, const struct tarn_backend_info *info)
{
    json_object(j, NULL);
    json_text(j, "name", info->name);
    json_text(j, "summary", info->summary);
    json_text(j, "path", info->path);
    json_array(j, "capabilities");
    for (int i = 0; i < CAP_NAMES; i++)
        if ((info->caps & cap_names[i].cap) != 0)
            json_text(j, NULL, cap_names[i].name);
    json_end(j);
    json_bool(j, "serves", info->err == TARN_OK);
    json_text(j, "error", info->err == TARN_OK ? NULL : tarn_err_name(info->err));
    json_text(j, "why", info->why);
    json_bool(j, "chosen", info->chosen);
    json_end(j);
}

static int on_backend(void *ctx, const struct tarn_backend_info *info)
{
    struct backends *b = ctx;
    const char *caps = "";

    if (b->json != NULL) {
        backend_json(b->json, info);
        return 0;
    }
    for (int i = 0; i < CAP_NAMES; i++)
        if ((info->caps & cap_names[i].cap) != 0)
            caps = apr_pstrcat(b->pool, caps, caps[0] != '\0' ? "," : "", cap_names[i].name, NULL);
    table_cell(&b->table, apr_pstrdup(b->pool, info->name));
    table_cell(&b->table, info->chosen ? "chosen" : info->err == TARN_OK ? "yes" : "no");
    table_cell(&b->table, caps);
    table_cell(&b->table, apr_pstrdup(b->pool, info->summary));
    if (b->explain)
        b->reasons =
            apr_pstrcat(b->pool, b->reasons, "\n", info->name, "\n  ",
                        info->path[0] != '\0' ? info->path : "linked in, or not found", "\n  ",
                        info->why[0] != '\0' ? info->why : "nothing to say", "\n", NULL);
    return 0;
}

static int list_backends(struct tool *tool, const char *home, uint64_t bytes, bool as_json,
                         bool explain)
{
    static const char *const headings[] = { "backend", "serves", "capabilities", "what it is" };
    struct json json = JSON_INIT(stdout);
    struct backends b = {
        .pool = tool->pool, .json = as_json ? &json : NULL, .explain = explain, .reasons = ""
    };
    tarn_env *env;
    int ret;

    if (look_open_home(home, &env) != EXIT_OK)
        return EXIT_WRONG;
    table_open(&b.table, tool->pool, 4, "llll", headings);
    if (as_json)
        json_array(&json, NULL);
    ret = tarn_backend_list(env, bytes, on_backend, &b);
    if (as_json)
        json_end(&json);
    else
        table_print(&b.table);
    printf("%s", b.reasons);
    if (ret != TARN_OK)
        complain_tarn("");
    (void)tarn_env_close(env);
    return ret == TARN_OK ? EXIT_OK : EXIT_WRONG;
}

static int backends_command(struct tool *tool, const struct command *command, int argc,
                            const char *const *argv)
{
    struct args args;
    const char *value;
    uint64_t bytes = 1 << 20;
    bool json = false, explain = false;
    int key = args_open(&args, tool, command, argc, argv);

    while (key == ARGS_END && (key = args_next(&args, &value)) > 0) {
        if (key == 'j')
            json = true;
        else if (key == 'e')
            explain = true;
        else if (!args_number(&args, "size", value, 1, UINT64_MAX >> 1, &bytes))
            return EXIT_USAGE;
        key = ARGS_END;
    }
    if (key != ARGS_END)
        return args_status(key);
    return list_backends(tool, args.given > 0 ? args.rest[0] : ".", bytes, json, explain);
}

static const apr_getopt_option_t backends_options[] = {
    { "size", 's', 1, "SIZE\tof the region that is asked for; 1M" },
    { "explain", 'e', 0, "where each backend is, and what its probe found or why it cannot serve" },
    { "json", 'j', 0, "print JSON" },
    { NULL, 0, 0, NULL },
};

const struct command command_backends = {
    .name = "backends",
    .arguments = "[options] [HOME]",
    .summary = "what memory a region could have, and which is taken",
    .more = "HOME is the directory of the environment; without it the current one.  The choice\n"
            "obeys TARN_BACKEND (\"mmap\", \"memfd,hugetlb?,^sysv\"), TARN_BACKEND_PATH and\n"
            "TARN_REGION_DIR, as every program does that uses Tarn.\n",
    .options = backends_options,
    .least = 0,
    .most = 1,
    .run = backends_command,
};

/* ---- ports ------------------------------------------------------------------------------------ */

static void print_facts(struct tool *tool)
{
    static const char *const headings[] = { "port", port_name, "" };
    struct table t;

    table_open(&t, tool->pool, 3, "lll", headings);
    for (const struct port_fact *f = port_facts; f->name != NULL; f++) {
        table_cell(&t, f->name);
        table_cell(&t, f->value);
        table_cell(&t, f->meaning);
    }
    table_print(&t);
}

static void json_facts(void)
{
    struct json j = JSON_INIT(stdout);

    json_object(&j, NULL);
    json_text(&j, "port", port_name);
    json_array(&j, "facts");
    for (const struct port_fact *f = port_facts; f->name != NULL; f++) {
        json_object(&j, NULL);
        json_text(&j, "name", f->name);
        json_text(&j, "value", f->value);
        json_text(&j, "meaning", f->meaning);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
}

static int ports_command(struct tool *tool, const struct command *command, int argc,
                         const char *const *argv)
{
    struct args args;
    bool json = false;
    int key = args_open(&args, tool, command, argc, argv);

    if (key == ARGS_END)
        key = read_json_only(&args, &json);
    if (key != ARGS_END)
        return args_status(key);
    if (json)
        json_facts();
    else
        print_facts(tool);
    return EXIT_OK;
}

const struct command command_ports = {
    .name = "ports",
    .arguments = "[options]",
    .summary = "what the ports file says of this platform",
    .more = NULL,
    .options = json_only,
    .least = 0,
    .most = 0,
    .run = ports_command,
};

/* ---- ls --------------------------------------------------------------------------------------- */

struct listing {
    apr_pool_t *pool;
    struct table table;
    struct json *json;
    int damaged; /* descriptors that could not be read */
};

static void region_json(struct json *j, int err, const struct tarn_region_stat *st)
{
    json_object(j, NULL);
    json_text(j, "name", st->name);
    if (err != TARN_OK) {
        json_text(j, "error", tarn_err_name(err));
        json_end(j);
        return;
    }
    json_text(j, "kind", st->kind == 1 ? "pool" : "plain");
    json_text(j, "backend", st->backend);
    json_text(j, "memory", st->memory);
    json_number(j, "bytes", st->bytes);
    json_number(j, "mode", st->mode);
    json_number(j, "max_procs", st->max_procs);
    json_number(j, "max_threads", st->max_threads);
    json_end(j);
}

static int on_region(void *ctx, int err, const struct tarn_region_stat *st)
{
    struct listing *l = ctx;

    l->damaged += err != TARN_OK;
    if (l->json != NULL) {
        region_json(l->json, err, st);
        return 0;
    }
    table_cell(&l->table, apr_pstrdup(l->pool, st->name));
    if (err != TARN_OK) {
        table_cell(&l->table, "?");
        table_cell(&l->table, "");
        table_cell(&l->table, "");
        table_cell(&l->table, "");
        table_cell(&l->table, tarn_strerror(err));
        return 0;
    }
    table_cell(&l->table, st->kind == 1 ? "pool" : "plain");
    table_cell(&l->table, text_size(l->pool, st->bytes));
    table_cell(&l->table, apr_psprintf(l->pool, "%04" PRIo32, st->mode));
    table_cell(&l->table, apr_pstrdup(l->pool, st->backend));
    table_cell(&l->table, apr_pstrdup(l->pool, st->memory));
    return 0;
}

static int list_regions(struct tool *tool, const char *home, bool as_json)
{
    static const char *const headings[] = { "region", "kind", "size", "mode", "backend", "memory" };
    struct json json = JSON_INIT(stdout);
    struct listing l = { .pool = tool->pool, .json = as_json ? &json : NULL };
    tarn_env *env;
    int ret;

    if (look_open_home(home, &env) != EXIT_OK)
        return EXIT_WRONG;
    table_open(&l.table, tool->pool, 6, "llrlll", headings);
    if (as_json)
        json_array(&json, NULL);
    ret = tarn_region_list(env, on_region, &l);
    if (as_json)
        json_end(&json);
    else if (ret == TARN_OK && l.table.cells->nelts > 6)
        table_print(&l.table);
    else if (ret == TARN_OK)
        printf("no regions in %s\n", home);
    if (ret != TARN_OK)
        complain_tarn("");
    (void)tarn_env_close(env);
    return ret == TARN_OK && l.damaged == 0 ? EXIT_OK : EXIT_WRONG;
}

static int ls_command(struct tool *tool, const struct command *command, int argc,
                      const char *const *argv)
{
    struct args args;
    bool json = false;
    int key = args_open(&args, tool, command, argc, argv);

    if (key == ARGS_END)
        key = read_json_only(&args, &json);
    return key == ARGS_END ? list_regions(tool, args.rest[0], json) : args_status(key);
}

const struct command command_ls = {
    .name = "ls",
    .arguments = "[options] HOME",
    .summary = "the regions of a home",
    .more = NULL,
    .options = json_only,
    .least = 1,
    .most = 1,
    .run = ls_command,
};

/* ---- rm --------------------------------------------------------------------------------------- */

static int remove_region(const char *home, const char *name, unsigned flags, bool as_json)
{
    struct json j = JSON_INIT(stdout);
    tarn_env *env;
    int ret;

    if (look_open_home(home, &env) != EXIT_OK)
        return EXIT_WRONG;
    ret = tarn_region_remove(env, name, flags);
    if (ret != TARN_OK)
        complain_tarn("");
    (void)tarn_env_close(env);
    if (ret != TARN_OK)
        return EXIT_WRONG;
    if (as_json) {
        json_object(&j, NULL);
        json_text(&j, "removed", name);
        json_end(&j);
    } else {
        printf("removed region %s of %s\n", name, home);
    }
    return EXIT_OK;
}

static int rm_command(struct tool *tool, const struct command *command, int argc,
                      const char *const *argv)
{
    struct args args;
    const char *value;
    bool json = false;
    unsigned flags = 0;
    int key = args_open(&args, tool, command, argc, argv);

    while (key == ARGS_END && (key = args_next(&args, &value)) > 0) {
        if (key == 'j')
            json = true;
        else
            flags |= TARN_REMOVE_FORCE;
        key = ARGS_END;
    }
    if (key != ARGS_END)
        return args_status(key);
    return remove_region(args.rest[0], args.rest[1], flags, json);
}

static const apr_getopt_option_t rm_options[] = {
    { "force", 'f', 0, "also while processes are attached; they keep what they have mapped" },
    { "json", 'j', 0, "print JSON" },
    { NULL, 0, 0, NULL },
};

const struct command command_rm = {
    .name = "rm",
    .arguments = "[options] HOME NAME",
    .summary = "remove a region and its memory",
    .more = NULL,
    .options = rm_options,
    .least = 2,
    .most = 2,
    .run = rm_command,
};
