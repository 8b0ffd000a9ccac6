/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is asked for, and the place where it happens: a fresh directory with the home, the board and
 * the private copy of FILE, and for the region's memory a directory in memory if there is one.
 */
#include "tools/run.h"

#include <apr_env.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_DIR "/dev/shm"

enum { COPY_CHUNK = 1 << 20 };

/* ---- options ---------------------------------------------------------------------------------- */

static bool plan_option(struct run_plan *plan, const struct args *args, int key, const char *value)
{
    static const char *const dists[] = { "uniform", "zipf", NULL };
    int choice;

    switch (key) {
    case 'b':
        plan->backend = value;
        return true;
    case 'p':
        return args_number(args, "procs", value, 1, RUN_PROCS_MAX, &plan->procs);
    case 't':
        return args_number(args, "threads", value, 1, RUN_THREADS_MAX, &plan->threads);
    case 's':
        return args_number(args, "seconds", value, 1, 1000000, &plan->seconds);
    case 'c':
        return args_number(args, "cache", value, 1, UINT64_MAX >> 1, &plan->cache);
    case 'g':
        return args_number(args, "page", value, TARN_PAGE_SIZE_MIN, TARN_PAGE_SIZE_MAX,
                           &plan->page);
    case 'w':
        return args_number(args, "write", value, 0, 100, &plan->write);
    case 'o':
        return args_number(args, "spoil", value, 1, UINT64_MAX >> 1, &plan->spoil);
    case 'k':
        return args_number(args, "kill", value, 1, RUN_PROCS_MAX, &plan->kill);
    case 'e':
        return args_number(args, "seed", value, 1, UINT64_MAX, &plan->seed);
    case 'd':
        choice = args_choice(args, "dist", value, dists);
        plan->dist = choice == 1 ? DIST_ZIPF : DIST_UNIFORM;
        return choice >= 0;
    default:
        plan->json = true;
        return true;
    }
}

int plan_read(struct run_plan *plan, struct args *args)
{
    const char *value;
    int key;

    plan->threads = 1;
    plan->page = 4096;
    while ((key = args_next(args, &value)) > 0)
        if (!plan_option(plan, args, key, value))
            return ARGS_WRONG;
    if (key != ARGS_END)
        return key;
    plan->file = args->rest[0];
    if ((plan->page & (plan->page - 1)) == 0)
        return ARGS_END;
    complain(EXIT_USAGE, "run: --page wants a power of two, not %" PRIu64, plan->page);
    return ARGS_WRONG;
}

/* ---- places ----------------------------------------------------------------------------------- */

/* A directory of our own in parent, for nobody else. */
static apr_status_t fresh_dir(struct run *run, const char *parent, const char **out)
{
    apr_fileperms_t mode = APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE;
    uint64_t state = (uint64_t)apr_time_now() ^ (uint64_t)getpid() << 40;
    apr_status_t st = APR_SUCCESS;

    for (int tries = 0; tries < 100; tries++) {
        const char *dir = apr_psprintf(run->pool, "%s/tarn-run-%08x", parent,
                                       (unsigned)(dist_random(&state) & 0xffffffff));

        st = apr_dir_make(dir, mode, run->pool);
        if (st == APR_SUCCESS)
            *out = dir;
        if (!APR_STATUS_IS_EEXIST(st))
            break;
    }
    return st;
}

/*
 * On a disk the kernel would write the pool out for ever, so it goes into memory where there is
 * room for it twice, unless somebody said where.
 */
static void place_region(struct run *run, uint64_t bytes)
{
    const struct tarn_os *os = tarn_os_host();
    struct tarn_fsinfo info;
    char *value;

    if (apr_env_get(&value, "TARN_REGION_DIR", run->pool) == APR_SUCCESS && value[0] != '\0')
        return;
    if (os->file->fsinfo(os, MEMORY_DIR, &info) != TARN_OK || info.avail / 2 < bytes ||
        (info.flags & TARN_FS_MEMORY) == 0)
        return;
    if (fresh_dir(run, MEMORY_DIR, &run->region_dir) == APR_SUCCESS)
        (void)apr_env_set("TARN_REGION_DIR", run->region_dir, run->pool);
}

static int file_facts(struct run *run)
{
    const char *file = run->plan.file;
    apr_finfo_t info;
    char *whole;
    apr_status_t st =
        apr_stat(&info, file, APR_FINFO_SIZE | APR_FINFO_TYPE | APR_FINFO_MTIME, run->pool);

    if (st != APR_SUCCESS && st != APR_INCOMPLETE)
        return complain_apr(st, "run: cannot read %s", file);
    if (info.filetype != APR_REG)
        return complain(EXIT_WRONG, "run: %s is not a regular file", file);
    if (info.size == 0)
        return complain(EXIT_WRONG, "run: %s is empty: there is no page to read", file);
    if (apr_filepath_merge(&whole, NULL, file, APR_FILEPATH_TRUENAME, run->pool) != APR_SUCCESS ||
        strlen(whole) >= RUN_PATH_MAX)
        return complain(EXIT_WRONG, "run: the path of %s is too long", file);
    run->plan.file = whole;
    run->file_time = info.mtime;
    run->copy_size = ((uint64_t)info.size + run->plan.page - 1) / run->plan.page * run->plan.page;
    run->padding = run->copy_size - (uint64_t)info.size;
    return EXIT_OK;
}

/* TMPDIR, if it is set, and nothing else then; absolute, as a page file counts from its home. */
static apr_status_t temp_dir(struct run *run, char **out)
{
    char dir[RUN_PATH_MAX];

    if (tarn_os_tmpdir(tarn_os_host(), dir, sizeof dir) != TARN_OK)
        return APR_ENOENT;
    return apr_filepath_merge(out, NULL, dir, APR_FILEPATH_TRUENAME, run->pool);
}

/* ", TMPDIR is X", for a message. */
static const char *temp_wish(struct run *run)
{
    char *value;

    if (apr_env_get(&value, "TMPDIR", run->pool) != APR_SUCCESS || value[0] == '\0')
        return "";
    return apr_pstrcat(run->pool, ", TMPDIR is ", value, NULL);
}

int place_make(struct run *run)
{
    char *parent;
    apr_status_t st;
    uint64_t pages;

    if (file_facts(run) != EXIT_OK)
        return EXIT_WRONG;
    pages = run->copy_size / run->plan.page;
    if (run->plan.spoil > pages)
        return complain(EXIT_USAGE, "run: --spoil %" PRIu64 " needs as many pages, %s has %" PRIu64,
                        run->plan.spoil, run->plan.file, pages);
    if (run->plan.cache == 0)
        run->plan.cache = run->copy_size / 4;
    st = temp_dir(run, &parent);
    if (st != APR_SUCCESS)
        return complain_apr(st, "run: no directory for temporary files%s (set TMPDIR)",
                            temp_wish(run));
    st = fresh_dir(run, parent, &run->dir);
    if (st == APR_SUCCESS)
        st = apr_dir_make(apr_pstrcat(run->pool, run->dir, "/home", NULL),
                          APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, run->pool);
    if (st != APR_SUCCESS)
        return complain_apr(st, "run: cannot make a directory in %s (set TMPDIR)", parent);
    place_region(run, run->plan.cache);
    return EXIT_OK;
}

/* ---- the private copy ------------------------------------------------------------------------- */

static apr_status_t copy_bytes(struct run *run, apr_file_t *from, apr_file_t *to)
{
    char *buf = apr_palloc(run->pool, COPY_CHUNK);
    uint64_t left = run->copy_size - run->padding;
    apr_status_t st = APR_SUCCESS;

    while (left > 0 && st == APR_SUCCESS && !run_interrupted) {
        apr_size_t n = left < COPY_CHUNK ? (apr_size_t)left : COPY_CHUNK;

        st = apr_file_read_full(from, buf, n, NULL);
        if (st == APR_SUCCESS)
            st = apr_file_write_full(to, buf, n, NULL);
        left -= n;
    }
    memset(buf, 0, COPY_CHUNK);
    if (st == APR_SUCCESS && run->padding > 0)
        st = apr_file_write_full(to, buf, (apr_size_t)run->padding, NULL);
    return st;
}

static int copy_failed(struct run *run, const char *path, apr_status_t st)
{
    const struct tarn_os *os = tarn_os_host();
    struct tarn_fsinfo info = { 0 };

    if (APR_STATUS_IS_ENOSPC(st) && os->file->fsinfo(os, run->dir, &info) == TARN_OK)
        return complain_apr(st,
                            "run: a copy of %s needs %s, the file system of %s has %s (set TMPDIR)",
                            run->plan.file, text_size(run->pool, run->copy_size), run->dir,
                            text_size(run->pool, info.total));
    return complain_apr(st, "run: cannot copy %s to %s", run->plan.file, path);
}

int place_copy(struct run *run)
{
    const char *path = apr_pstrcat(run->pool, run->dir, "/copy", NULL);
    apr_file_t *from, *to;
    apr_status_t st = apr_file_open(&from, run->plan.file, APR_FOPEN_READ | APR_FOPEN_BINARY,
                                    APR_FPROT_OS_DEFAULT, run->pool);

    if (st != APR_SUCCESS)
        return complain_apr(st, "run: cannot read %s", run->plan.file);
    st = apr_file_open(&to, path,
                       APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL | APR_FOPEN_BINARY,
                       APR_FPROT_UREAD | APR_FPROT_UWRITE, run->pool);
    if (st == APR_SUCCESS) {
        apr_status_t closed;

        st = copy_bytes(run, from, to);
        closed = apr_file_close(to);
        st = st == APR_SUCCESS ? closed : st;
    }
    (void)apr_file_close(from);
    return st == APR_SUCCESS ? EXIT_OK : copy_failed(run, path, st);
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* Remove dir and what is in it; no link is followed. */
static void remove_tree(apr_pool_t *pool, const char *dir)
{
    apr_finfo_t info;
    apr_dir_t *d;
    apr_status_t st = apr_dir_open(&d, dir, pool);

    while (st == APR_SUCCESS) {
        const char *path;

        st = apr_dir_read(&info, APR_FINFO_NAME | APR_FINFO_TYPE, d);
        if (st != APR_SUCCESS && st != APR_INCOMPLETE)
            break;
        st = APR_SUCCESS;
        if (strcmp(info.name, ".") == 0 || strcmp(info.name, "..") == 0)
            continue;
        path = apr_pstrcat(pool, dir, "/", info.name, NULL);
        if (info.filetype == APR_DIR)
            remove_tree(pool, path);
        else
            (void)apr_file_remove(path, pool);
    }
    (void)apr_dir_remove(dir, pool);
}

void place_remove(struct run *run)
{
    if (run->dir != NULL)
        remove_tree(run->pool, run->dir);
    if (run->region_dir != NULL)
        remove_tree(run->pool, run->region_dir);
    run->dir = run->region_dir = NULL;
}
