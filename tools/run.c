/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tarn run`: processes share the pages of a real file through one pool that is smaller than the
 * file, read them, stamp them, and every page is compared, while they work and after a sync.
 * run.h says how.
 */
#include "tools/run.h"

#include <apr_signal.h>
#include <apr_strings.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/backend.h>

volatile sig_atomic_t run_interrupted;

static void on_signal(int number) { run_interrupted = number; }

/* ---- which backend, and so which way to the workers ------------------------------------------- */

struct choice {
    const char *wanted; /* by name; NULL: the one that would be chosen */
    bool found;
    uint32_t caps;
};

static int on_backend(void *ctx, const struct tarn_backend_info *info)
{
    struct choice *c = ctx;

    if (c->wanted != NULL ? strcmp(info->name, c->wanted) == 0 : info->chosen) {
        c->found = true;
        c->caps = info->caps;
    }
    return 0;
}

static int look_for_backend(struct run *run, const char *home, struct choice *c)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_env *env;
    int ret;

    config.home = home;
    config.backend_required = run->plan.backend;
    ret = tarn_env_open(&config, &env);
    if (ret != TARN_OK)
        return ret;
    ret = tarn_backend_list(env, run->plan.cache, on_backend, c);
    (void)tarn_env_close(env);
    return ret;
}

/*
 * A backend that is named says by its capabilities how its memory gets to the workers.  Otherwise
 * the one counts that Tarn would choose for memory that is shared, or if one process is asked for
 * and no such memory can be had, for memory that is not.
 */
static int choose_mode(struct run *run)
{
    const char *home = apr_pstrcat(run->pool, run->dir, "/home", NULL);
    struct choice c = { .wanted = run->plan.backend };
    uint64_t procs = run->plan.procs;

    if (look_for_backend(run, home, &c) != TARN_OK)
        return complain_tarn("run");
    run->mode = RUN_JOIN;
    if (!c.found && c.wanted == NULL && procs == 1 && look_for_backend(run, NULL, &c) != TARN_OK)
        return complain_tarn("run");
    if (c.found && (c.caps & TARN_CAP_SHARED) == 0)
        run->mode = (c.caps & TARN_CAP_FORK) != 0 ? RUN_FORK : RUN_ALONE;
    if (run->mode == RUN_ALONE && procs > 1)
        return complain(EXIT_WRONG,
                        "run: %s memory belongs to one process, and --procs is %" PRIu64
                        "; take --procs 1 --threads %" PRIu64 ", or another backend",
                        c.wanted != NULL ? c.wanted : "this", procs, procs);
    if (run->mode == RUN_ALONE && run->plan.kill > 0)
        return complain(EXIT_USAGE, "run: --kill needs processes that share memory");
    if (procs == 0)
        run->plan.procs = run->mode == RUN_ALONE ? 1 : 4;
    if (run->plan.kill >= run->plan.procs && run->plan.kill > 0)
        return complain(EXIT_USAGE,
                        "run: --kill %" PRIu64 " leaves none of %" PRIu64 " processes to go on",
                        run->plan.kill, run->plan.procs);
    return EXIT_OK;
}

/* ---- the pool --------------------------------------------------------------------------------- */

static int open_pool(struct run *run)
{
    struct tarn_env_config env = TARN_ENV_CONFIG_INIT;
    struct tarn_mpool_config pool = TARN_MPOOL_CONFIG_INIT;
    struct tarn_mpf_config file = TARN_MPF_CONFIG_INIT;
    uint32_t procs = (uint32_t)run->plan.procs, threads = (uint32_t)run->plan.threads;
    int ret;

    env.home = run->mode == RUN_ALONE ? NULL : run->board->home;
    env.backend_required = run->plan.backend;
    pool.flags = TARN_REGION_CREATE | TARN_REGION_EXCL;
    pool.bytes = run->plan.cache;
    pool.unit = (uint32_t)run->plan.page;
    pool.max_procs = procs + 8; /* the parent, and room for curious others */
    pool.max_threads = procs * threads + 64;
    file.page_size = (uint32_t)run->plan.page;
    ret = tarn_env_open(&env, &run->env);
    if (ret == TARN_OK)
        ret = tarn_mpool_open(run->env, POOL_NAME, &pool, &run->mpool);
    if (ret == TARN_OK)
        ret = tarn_mpf_open(run->mpool, run->board->copy, &file, &run->mpf);
    if (ret == TARN_OK)
        ret = tarn_region_stat(tarn_mpool_region(run->mpool), &run->region);
    if (ret == TARN_OK)
        ret = tarn_mpool_stat(run->mpool, &run->stat);
    if (ret != TARN_OK && run->mpool == NULL && run->mode == RUN_JOIN && run->plan.backend == NULL)
        return complain(EXIT_WRONG,
                        "run: %s (without processes that share it, more memory may do: "
                        "--procs 1 --threads %" PRIu32 ")",
                        tarn_last_message(), procs * threads);
    return ret == TARN_OK ? EXIT_OK : complain_tarn("run");
}

static int close_pool(struct run *run)
{
    int ret = TARN_OK, ret2 = TARN_OK;

    if (run->mpool != NULL) {
        ret = tarn_mpool_close(run->mpool);
        if (ret == TARN_OK && run->mode != RUN_ALONE)
            ret = tarn_mpool_remove(run->env, POOL_NAME, 0);
        if (ret != TARN_OK)
            complain_tarn("run: closing the pool");
    }
    if (run->env != NULL)
        ret2 = tarn_env_close(run->env);
    if (ret2 != TARN_OK)
        complain_tarn("run: closing the environment");
    run->mpool = NULL;
    run->env = NULL;
    return ret == TARN_OK && ret2 == TARN_OK ? EXIT_OK : EXIT_WRONG;
}

static int sync_and_count(struct run *run)
{
    run->synced = tarn_mpf_sync(run->mpf) == TARN_OK;
    if (!run->synced)
        complain_tarn("run: sync");
    if (tarn_mpool_stat(run->mpool, &run->stat) != TARN_OK)
        return complain_tarn("run: statistics");
    return EXIT_OK;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static int set_up(struct run *run)
{
    static int (*const steps[])(struct run *) = { place_make, choose_mode,   place_copy,
                                                  board_make, original_open, open_pool };

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int status = steps[i](run);

        if (status != EXIT_OK || run_interrupted)
            return status != EXIT_OK ? status : EXIT_WRONG;
    }
    return EXIT_OK;
}

static int do_run(struct run *run)
{
    int status = set_up(run);

    if (status != EXIT_OK)
        return status;
    status = crew_start(run);
    if (status == EXIT_OK) {
        report_start(run);
        status = crew_work(run);
    }
    crew_end(run);
    if (run_interrupted)
        return EXIT_WRONG;
    if (sync_and_count(run) != EXIT_OK || check_spoil(run) != EXIT_OK ||
        check_pages(run) != EXIT_OK || run_interrupted)
        return EXIT_WRONG;
    if (close_pool(run) != EXIT_OK)
        status = EXIT_WRONG;
    return report_end(run) == EXIT_OK ? status : EXIT_WRONG;
}

static int run_command(struct tool *tool, const struct command *command, int argc,
                       const char *const *argv)
{
    struct run run = { 0 };
    struct args args;
    int key = args_open(&args, tool, command, argc, argv);
    int status;

    if (key == ARGS_END)
        key = plan_read(&run.plan, &args);
    if (key != ARGS_END)
        return args_status(key);
    run.tool = tool;
    run.pool = tool->pool;
    if (run.plan.seed == 0) {
        uint64_t state = (uint64_t)apr_time_now();

        run.plan.seed = dist_random(&state) % 1000000000 + 1;
    }
    (void)apr_signal(SIGINT, on_signal);
    (void)apr_signal(SIGTERM, on_signal);
    (void)apr_signal(SIGHUP, on_signal);
    status = do_run(&run);
    crew_end(&run);
    (void)close_pool(&run);
    place_remove(&run);
    if (!run_interrupted)
        return status;
    complain(EXIT_WRONG, "run: stopped by a signal, everything put away, nothing checked");
    return 128 + (int)run_interrupted;
}

static const apr_getopt_option_t run_options[] = {
    { "backend", 'b', 1, "B\tmemory backend (see `tarn backends`); as Tarn chooses" },
    { "procs", 'p', 1, "N\tprocesses; 4" },
    { "threads", 't', 1, "N\tthreads of each process; 1" },
    { "seconds", 's', 1, "S\thow long; 3, or until every page was read" },
    { "cache", 'c', 1, "SIZE\tpage memory of the pool; a quarter of the file" },
    { "page", 'g', 1, "SIZE\tbytes of a page, a power of two, 512 to 64K; 4K" },
    { "write", 'w', 1, "PCT\tof 100 operations, how many stamp a page; 0" },
    { "dist", 'd', 1, "D\tuniform, or zipf (some pages far more often); uniform" },
    { "kill", 'k', 1, "N\tkill N processes in the middle of their work; 0" },
    { "spoil", 'o', 1, "N\tspoil N pages before the last check, which must find them; 0" },
    { "seed", 'e', 1, "N\tof the random numbers; any" },
    { "json", 'j', 0, "print one JSON object instead of tables" },
    { NULL, 0, 0, NULL },
};

const struct command command_run = {
    .name = "run",
    .arguments = "[options] FILE",
    .summary = "processes share FILE's pages and check every one",
    .more =
        "FILE itself is only read: the work is done on a copy in TMPDIR.  The pool's memory is in\n"
        "TARN_REGION_DIR, or in /dev/shm if there is room.  SIZE may end in K, M or G.\n\n"
        "Exit status: 0 if every page was right, evictions happened (FILE larger than the pool),\n"
        "95 % of the pages were read (uniform) and pages were written back (--write); 1 if not;\n"
        "2 for wrong arguments.\n",
    .options = run_options,
    .least = 1,
    .most = 1,
    .run = run_command,
};
