/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tarn stat HOME[/NAME]`: what regions and pools say of themselves.  It attaches to each for a
 * moment and takes part like any other process; nobody is stopped.
 */
#include "tools/tool.h"

#include "tools/json.h"
#include "tools/look.h"
#include "tools/table.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tarn/mpool.h>

struct known {
    int err;
    struct tarn_region_stat st;
};

/* One region on its way to the output: text, or JSON into the array that is open. */
struct look {
    apr_pool_t *pool;
    tarn_env *env;
    struct json *json; /* NULL: text */
    struct table table;
};

/* ---- one fact, either way --------------------------------------------------------------------- */

static void fact_text(struct look *l, const char *key, const char *value)
{
    if (l->json != NULL)
        json_text(l->json, key, value);
    else
        printf("  %-16s %s\n", key, value);
}

static void fact_count(struct look *l, const char *key, uint64_t n)
{
    if (l->json != NULL)
        json_number(l->json, key, n);
    else
        printf("  %-16s %s\n", key, text_count(l->pool, n));
}

static void fact_size(struct look *l, const char *key, uint64_t n)
{
    if (l->json != NULL)
        json_number(l->json, key, n);
    else
        printf("  %-16s %s\n", key, text_size(l->pool, n));
}

/* ---- a region --------------------------------------------------------------------------------- */

static void region_facts(struct look *l, const struct tarn_region_stat *st)
{
    char uuid[sizeof st->uuid * 2 + 1];

    for (size_t i = 0; i < sizeof st->uuid; i++)
        (void)snprintf(uuid + 2 * i, 3, "%02x", st->uuid[i]);
    fact_text(l, "kind", st->kind == 1 ? "pool" : "plain");
    fact_text(l, "backend", st->backend);
    fact_text(l, "memory", st->memory);
    fact_text(l, "uuid", uuid);
    fact_size(l, "bytes", st->bytes);
    fact_size(l, "committed", st->committed);
    fact_size(l, "reserve", st->reserve);
    fact_count(l, "procs", st->procs);
    fact_count(l, "max_procs", st->max_procs);
    fact_count(l, "threads", st->threads);
    fact_count(l, "max_threads", st->max_threads);
    fact_count(l, "reaped", st->reaped);
    fact_count(l, "lock_wait", st->lock_wait);
    fact_count(l, "lock_nowait", st->lock_nowait);
    fact_text(l, "pins", st->pin_exchange ? "by exchange" : "by store and barrier");
    fact_text(l, "panic", st->panic ? "yes" : "no");
}

static int on_participant(void *ctx, const struct tarn_participant *who)
{
    struct look *l = ctx;

    if (l->json != NULL) {
        json_object(l->json, NULL);
        json_number(l->json, "pid", who->pid);
        json_number(l->json, "threads", who->lanes);
        json_bool(l->json, "alive", who->alive != 0);
        json_end(l->json);
        return 0;
    }
    table_cell(&l->table, apr_psprintf(l->pool, "  %" PRIu64, who->pid));
    table_cell(&l->table, text_count(l->pool, who->lanes));
    table_cell(&l->table, who->alive ? "yes" : "no: will be given back");
    return 0;
}

static int participants(struct look *l, tarn_region *region)
{
    static const char *const headings[] = { "  pid", "threads", "alive" };
    int ret;

    if (l->json != NULL)
        json_array(l->json, "participants");
    table_open(&l->table, l->pool, 3, "rrl", headings);
    ret = tarn_region_participants(region, on_participant, l);
    if (l->json != NULL)
        json_end(l->json);
    else
        table_print(&l->table);
    return ret;
}

static int plain_region(struct look *l, const char *name)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct tarn_region_stat st;
    tarn_region *region;
    int ret = tarn_region_attach(l->env, name, &config, &region);

    if (ret != TARN_OK)
        return ret;
    ret = tarn_region_stat(region, &st);
    if (ret == TARN_OK) {
        region_facts(l, &st);
        ret = participants(l, region);
    }
    (void)tarn_region_detach(region);
    return ret;
}

/* ---- a pool ----------------------------------------------------------------------------------- */

static void pool_facts(struct look *l, const struct tarn_mpool_stat *st)
{
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        { "pages", st->pages },
        { "dirty", st->dirty },
        { "pinned", st->pinned },
        { "hits", st->hits },
        { "misses", st->misses },
        { "creates", st->creates },
        { "waits", st->waits },
        { "reads", st->reads },
        { "writes", st->writes },
        { "write_calls", st->write_calls },
        { "evict_clean", st->evict_clean },
        { "evict_dirty", st->evict_dirty },
        { "evict_pinned", st->evict_pinned },
        { "barriers", st->barriers },
        { "hash_entries", st->hash_entries },
        { "hash_searches", st->hash_searches },
        { "hash_examined", st->hash_examined },
        { "files_known", st->files },
        { "suspect", st->suspect },
    };

    fact_size(l, "page_memory", st->bytes);
    fact_size(l, "table", st->table);
    fact_size(l, "unit", st->unit);
    fact_size(l, "extent", st->extent);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        fact_count(l, counts[i].name, counts[i].n);
}

static int on_file(void *ctx, const struct tarn_mpf_stat *st)
{
    struct look *l = ctx;
    const uint64_t counts[] = { st->page_size, st->openers, st->last,    st->pages, st->dirty,
                                st->hits,      st->misses,  st->creates, st->reads, st->writes };
    static const char *const keys[] = { "page_size", "openers", "last",    "pages", "dirty",
                                        "hits",      "misses",  "creates", "reads", "writes" };

    if (l->json != NULL) {
        json_object(l->json, NULL);
        json_text(l->json, "path", st->path);
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        bool unknown = counts[i] == UINT64_MAX; /* hits of a file beyond those counted apart */

        if (l->json == NULL)
            table_cell(&l->table, unknown ? "-" : text_count(l->pool, counts[i]));
        else if (unknown)
            json_text(l->json, keys[i], NULL);
        else
            json_number(l->json, keys[i], counts[i]);
    }
    if (l->json != NULL) {
        json_bool(l->json, "suspect", st->suspect != 0);
        json_end(l->json);
        return 0;
    }
    table_cell(&l->table,
               apr_pstrcat(l->pool, st->path, st->suspect ? " (an fsync has failed)" : "", NULL));
    return 0;
}

static int files(struct look *l, tarn_mpool *pool)
{
    static const char *const headings[] = { "  page size", "openers", "last",   "pages",
                                            "dirty",       "hits",    "misses", "creates",
                                            "reads",       "writes",  "file" };
    int ret;

    if (l->json != NULL)
        json_array(l->json, "files");
    table_open(&l->table, l->pool, 11, "rrrrrrrrrrl", headings);
    ret = tarn_mpool_files(pool, on_file, l);
    if (l->json != NULL)
        json_end(l->json);
    else if (l->table.cells->nelts > 11)
        table_print(&l->table);
    return ret;
}

static int pool_region(struct look *l, const char *name)
{
    struct tarn_region_stat region;
    struct tarn_mpool_stat st;
    tarn_mpool *pool;
    int ret = tarn_mpool_open(l->env, name, NULL, &pool);

    if (ret != TARN_OK)
        return ret;
    ret = tarn_region_stat(tarn_mpool_region(pool), &region);
    if (ret == TARN_OK)
        ret = tarn_mpool_stat(pool, &st);
    if (ret == TARN_OK) {
        region_facts(l, &region);
        pool_facts(l, &st);
        ret = participants(l, tarn_mpool_region(pool));
    }
    if (ret == TARN_OK)
        ret = files(l, pool);
    (void)tarn_mpool_close(pool);
    return ret;
}

/* ---- which ------------------------------------------------------------------------------------ */

static int on_region(void *ctx, int err, const struct tarn_region_stat *st)
{
    struct known *k = apr_array_push(ctx);

    k->err = err;
    k->st = *st;
    return 0;
}

static int one_region(struct look *l, const struct known *k)
{
    int ret;

    if (l->json != NULL) {
        json_object(l->json, NULL);
        json_text(l->json, "name", k->st.name);
    } else {
        printf("region %s\n", k->st.name);
    }
    /* what cannot be listed cannot be attached either, and then Tarn says more about it */
    ret = k->st.kind == 1 ? pool_region(l, k->st.name) : plain_region(l, k->st.name);
    if (ret != TARN_OK)
        complain_tarn("");
    if (l->json != NULL) {
        json_text(l->json, "error", ret == TARN_OK ? NULL : tarn_err_name(ret));
        json_end(l->json);
    }
    return ret == TARN_OK ? EXIT_OK : EXIT_WRONG;
}

static int stat_regions(struct look *l, const char *home, const char *name)
{
    apr_array_header_t *all = apr_array_make(l->pool, 16, sizeof(struct known));
    int status = EXIT_OK, matched = 0;

    if (tarn_region_list(l->env, on_region, all) != TARN_OK)
        return complain_tarn("");
    if (l->json != NULL)
        json_array(l->json, NULL);
    for (int i = 0; i < all->nelts; i++) {
        const struct known *k = &APR_ARRAY_IDX(all, i, struct known);

        if (name != NULL && strcmp(name, k->st.name) != 0)
            continue;
        matched++;
        if (one_region(l, k) != EXIT_OK)
            status = EXIT_WRONG;
    }
    if (l->json != NULL)
        json_end(l->json);
    if (name != NULL && matched == 0)
        return complain(EXIT_WRONG, "no region '%s' in %s (see `tarn ls %s`)", name, home, home);
    if (matched == 0 && l->json == NULL)
        printf("no regions in %s\n", home);
    return status;
}

/* HOME, or HOME/NAME: a directory is a home. */
static void split(apr_pool_t *pool, const char *path, const char **home, const char **name)
{
    const char *slash = strrchr(path, '/');
    apr_finfo_t info;
    apr_status_t st = apr_stat(&info, path, APR_FINFO_TYPE, pool);

    *home = path;
    *name = NULL;
    if ((st == APR_SUCCESS || st == APR_INCOMPLETE) && info.filetype == APR_DIR)
        return;
    if (slash == NULL || slash[1] == '\0')
        return;
    *home = slash == path ? "/" : apr_pstrmemdup(pool, path, (apr_size_t)(slash - path));
    *name = slash + 1;
}

static int stat_command(struct tool *tool, const struct command *command, int argc,
                        const char *const *argv)
{
    struct json json = JSON_INIT(stdout);
    struct look l = { .pool = tool->pool };
    struct args args;
    const char *home, *name, *value;
    int status, key = args_open(&args, tool, command, argc, argv);

    while (key == ARGS_END && (key = args_next(&args, &value)) > 0) {
        l.json = &json;
        key = ARGS_END;
    }
    if (key != ARGS_END)
        return args_status(key);
    split(tool->pool, args.rest[0], &home, &name);
    if (look_open_home(home, &l.env) != EXIT_OK)
        return EXIT_WRONG;
    status = stat_regions(&l, home, name);
    (void)tarn_env_close(l.env);
    return status;
}

static const apr_getopt_option_t stat_options[] = {
    { "json", 'j', 0, "print JSON" },
    { NULL, 0, 0, NULL },
};

const struct command command_stat = {
    .name = "stat",
    .arguments = "[options] HOME[/NAME]",
    .summary = "statistics of regions, pools and page files",
    .more = "Counts are sums over all processes since the region was made.\n",
    .options = stat_options,
    .least = 1,
    .most = 1,
    .run = stat_command,
};
