/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Death at every call of the system: makers, joiners, leavers, removers and repairers are killed at
 * each point between two calls, and whoever comes next finds a region that works.
 */
#include <stdatomic.h>

#include "home.h"
#include "kill.h"
#include "proc.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"

#define CREATE TARN_REGION_CREATE

enum { CALLS_MAX = 2000 };

static struct home home;
static tarn_env *env;
static tarn_region *region; /* of a witness that lives on, or NULL */

static int open_env_that_kills(tarn_env **out)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    config.home = home.path;
    config.os = &kill_os;
    return tarn_env_open(&config, out);
}

static void arm(long n)
{
    kill_calls = 0;
    kill_at = n;
}

/* ---- what the victims do ------------------------------------------------------------------------- */

struct words {
    _Atomic uint64_t a, b;
};

/* Attach, change two words under the lock, detach; then take it away. */
static int use(tarn_env *e)
{
    struct words *w;
    tarn_region *r;
    int err = home_attach(e, "one", CREATE, 0, &r);

    if (err != 0)
        return err;
    err = tarn_region_lock(r);
    if (err != 0 && err != TARN_EOWNERDEAD)
        return err;
    w = tarn_region_memory(r, NULL);
    if (err == TARN_EOWNERDEAD)
        atomic_store(&w->b, atomic_load(&w->a));
    atomic_fetch_add(&w->a, 1);
    (void)tarn_env_os(e)->misc->yield(tarn_env_os(e)); /* a place to die with the lock held */
    atomic_fetch_add(&w->b, 1);
    if ((err = tarn_region_unlock(r)) != 0)
        return err;
    return tarn_region_detach(r);
}

static int victim(struct side *me)
{
    tarn_env *e;
    int err;

    if (open_env_that_kills(&e) != 0)
        return 1;
    arm(*(long *)me->arg);
    err = use(e);
    if (err == 0 && region == NULL)
        err = tarn_region_remove(e, "one", 0);
    arm(0);
    return err == 0 && tarn_env_close(e) == 0 ? 0 : 2;
}

static int remover_by_force(struct side *me)
{
    tarn_env *e;
    int err;

    if (open_env_that_kills(&e) != 0)
        return 1;
    arm(*(long *)me->arg);
    err = tarn_region_remove(e, "one", TARN_REMOVE_FORCE);
    arm(0);
    return err == 0 && tarn_env_close(e) == 0 ? 0 : 2;
}

/* What a death may leave besides a whole region: memory that has no descriptor yet. */
static void clear_orphans(void)
{
    DIR *d = opendir(home.path);
    struct dirent *e;

    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".mem") != NULL)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    (void)closedir(d);
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
}

/* Kill a child that runs fn at its first call, its second, ... until it ends by itself; after each
 * death `then` looks at what is left. */
static long kill_everywhere(int (*fn)(struct side *me), void (*then)(void))
{
    long n = 1;

    for (; n < CALLS_MAX; n++) {
        struct child c;
        int status;

        child_start(&c, fn, &n);
        status = child_end(&c);
        if (status != 256 + SIGKILL) {
            CU_ASSERT_EQUAL(status, 0);
            then();
            break;
        }
        then();
    }
    return n;
}

static void works_for_the_next(void)
{
    tarn_region *r;
    struct words *w;
    int err;

    MUST(use(env));
    MUST(home_attach(env, "one", 0, 0, &r));
    w = tarn_region_memory(r, NULL);
    err = tarn_region_lock(r);
    CU_ASSERT_EQUAL(err, 0);
    CU_ASSERT_EQUAL(atomic_load(&w->a), atomic_load(&w->b));
    CU_ASSERT_EQUAL(reap_sweep(r), 0); /* joining has done that already */
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    clear_orphans();
}

static void alone_at_every_call(void)
{
    long n;

    home_make(&home);
    region = NULL;
    MUST(home_open_env(&home, &env));
    n = kill_everywhere(victim, works_for_the_next);
    CU_ASSERT(n > 40 && n < CALLS_MAX); /* it was killed at all */
    OK(tarn_env_close(env));
    home_remove(&home);
}

static void witness_is_unharmed(void)
{
    struct words *w = tarn_region_memory(region, NULL);
    struct tarn_region_stat st;
    int err = tarn_region_lock(region);

    CU_ASSERT(err == 0 || err == TARN_EOWNERDEAD);
    CU_ASSERT(err != 0 || atomic_load(&w->a) == atomic_load(&w->b));
    atomic_store(&w->b, atomic_load(&w->a));
    OK(tarn_region_unlock(region));
    (void)reap_sweep(region);
    OK(tarn_region_stat(region, &st));
    CU_ASSERT_EQUAL(st.procs, 1);
    CU_ASSERT_EQUAL(st.threads, 1);
    CU_ASSERT_EQUAL(home_files(&home, 0), 3);
}

static void beside_a_witness(void)
{
    long n;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    MUST(home_attach(env, "one", CREATE, 0, &region));
    n = kill_everywhere(victim, witness_is_unharmed);
    CU_ASSERT(n > 20 && n < CALLS_MAX);
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

static void works_after_force(void)
{
    tarn_region *r;

    MUST(use(env));
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    MUST(home_attach(env, "one", CREATE | TARN_REGION_EXCL, 0, &r));
    OK(tarn_region_detach(r));
}

static void while_removing_by_force(void)
{
    long n;

    home_make(&home);
    region = NULL;
    MUST(home_open_env(&home, &env));
    works_after_force();
    n = kill_everywhere(remover_by_force, works_after_force);
    CU_ASSERT(n > 5 && n < CALLS_MAX);
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- repairers ----------------------------------------------------------------------------------- */

static int die_with_lock(struct side *me)
{
    tarn_env *e;
    tarn_region *r;

    (void)me;
    if (home_open_env(&home, &e) != 0 || home_attach(e, "one", 0, 0, &r) != 0)
        return 1;
    (void)tarn_region_lock(r);
    (void)kill(getpid(), SIGKILL);
    return 2;
}

static void somebody_dies(void)
{
    struct child c;

    child_start(&c, die_with_lock, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 256 + SIGKILL);
}

/* A row that dies holding the lock, then one who comes to repair and dies at call n of that. */
static int dead_then_victim(struct side *me)
{
    somebody_dies();
    return victim(me);
}

static void repairers_die(void)
{
    long n;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    MUST(home_attach(env, "one", CREATE, 0, &region));
    n = kill_everywhere(dead_then_victim, witness_is_unharmed);
    CU_ASSERT(n > 20 && n < CALLS_MAX);
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(env, "one", 0));
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* All rows and lanes are dead ones': a newcomer still finds a place to repair from. */
static void everybody_is_dead(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct tarn_region_stat st;
    tarn_region *r;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    config.flags = CREATE;
    config.max_procs = 1;
    config.max_threads = 1;
    for (int i = 0; i < 5; i++) {
        MUST(tarn_region_attach(env, "one", &config, &r));
        OK(tarn_region_detach(r));
        somebody_dies();
    }
    MUST(home_attach(env, "one", 0, 0, &r));
    OK(tarn_region_stat(r, &st));
    CU_ASSERT_EQUAL(st.procs, 1);
    CU_ASSERT_EQUAL(st.threads, 0);
    CU_ASSERT_EQUAL(st.reaped, 5);
    FAILS(TARN_EOWNERDEAD, tarn_region_lock(r));
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- a layer of its own -------------------------------------------------------------------------- */

static int locks_calls, repair_calls, row_calls, order_wrong;

static void count_locks(struct tarn_region *r, void *ctx, uint32_t lane, uint32_t tag)
{
    (void)ctx;
    locks_calls++;
    order_wrong += repair_calls > 0 || row_calls > 0 || tag_lane(tag) != lane;
    order_wrong += reap_own_tag(r) == 0 || reap_own_tag(r) == tag;
}

static void count_repair(struct tarn_region *r, void *ctx, uint32_t lane, uint32_t tag)
{
    (void)r, (void)ctx, (void)lane, (void)tag;
    repair_calls++;
    order_wrong += locks_calls == 0 || row_calls > 0;
}

static void count_row(struct tarn_region *r, void *ctx, uint32_t row, uint32_t gen)
{
    (void)ctx, (void)gen;
    row_calls++;
    order_wrong += repair_calls == 0 || row == r->row;
}

static bool always_idle(struct tarn_region *r, void *ctx, uint32_t lane)
{
    (void)r, (void)ctx, (void)lane;
    return true;
}

static int fine(struct tarn_region *r, void *ctx)
{
    (void)r, (void)ctx;
    return TARN_OK;
}

static const struct region_layer layer = {
    .locks = count_locks, .repair = count_repair, .idle = always_idle, .row = count_row
};

static const struct region_plan plan = { .layer = LAYER_MPOOL,
                                         .fingerprint = 5,
                                         .lane_bytes = 64,
                                         .init = fine,
                                         .join = fine,
                                         .ops = &layer };

static int die_with_lanes(struct side *me)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    tarn_env *e;
    tarn_region *r;
    uint32_t lane, tag;

    (void)me;
    if (home_open_env(&home, &e) != 0 || region_attach(e, "one", &config, &plan, &r) != 0 ||
        rows_lane(r, &lane, &tag) != 0 || rows_lane_take(r, &lane, &tag) != 0)
        return 1;
    (void)kill(getpid(), SIGKILL);
    return 2;
}

static void layer_repairs_in_order(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct child c;
    tarn_region *r;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    config.flags = CREATE;
    MUST(region_attach(env, "one", &config, &plan, &r));
    locks_calls = repair_calls = row_calls = order_wrong = 0;
    child_start(&c, die_with_lanes, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 256 + SIGKILL);

    r->layer_ops[LAYER_MPOOL] = NULL; /* a program that has not that layer: the row waits */
    CU_ASSERT_EQUAL(reap_sweep(r), 0);
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(r, 1)->state)), ROW_REAPING);
    CU_ASSERT_EQUAL(row_layers(atomic_load(&rows_at(r, 1)->state)), 1);
    CU_ASSERT_EQUAL(locks_calls + repair_calls + row_calls, 0);
    r->layer_ops[LAYER_MPOOL] = &layer;
    CU_ASSERT_EQUAL(reap_sweep(r), 1);
    CU_ASSERT_EQUAL(locks_calls, 2);
    CU_ASSERT_EQUAL(repair_calls, 2);
    CU_ASSERT_EQUAL(row_calls, 1);
    CU_ASSERT_EQUAL(order_wrong, 0);
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(r, 1)->state)), ROW_FREE);
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* While somebody else repairs, nothing is used again; the last one to end frees it. */
static void nothing_is_freed_under_a_repairer(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct child c;
    tarn_region *a, *b;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    config.flags = CREATE;
    MUST(region_attach(env, "one", &config, &plan, &a));
    MUST(region_attach(env, "one", &config, &plan, &b));
    child_start(&c, die_with_lanes, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 256 + SIGKILL);
    atomic_store(&rows_at(b, b->row)->helping, 1); /* b is at it */
    CU_ASSERT_EQUAL(reap_sweep(a), 0);
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(a, 2)->state)), ROW_REAPED);
    atomic_store(&rows_at(b, b->row)->helping, 0);
    CU_ASSERT_EQUAL(reap_sweep(b), 1);
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(a, 2)->state)), ROW_FREE);
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));
    OK(tarn_env_close(env));
    home_remove(&home);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "X29 R20 R24: alone, killed at every call", alone_at_every_call },
        { "X29 R19: beside a witness, killed at every call", beside_a_witness },
        { "X29 R26: killed while removing by force", while_removing_by_force },
        { "X29: repairers killed at every call", repairers_die },
        { "X29: everybody is dead", everybody_is_dead },
        { "X29: a layer repairs, in its order", layer_repairs_in_order },
        { "X29: nothing is freed under a repairer", nothing_is_freed_under_a_repairer },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "death", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
