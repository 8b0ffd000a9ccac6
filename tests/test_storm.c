/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that join, lock, use lanes, leave, and are killed at any instruction, for as long as it
 * takes until `kills` participants were killed.  Whenever it ends, whatever was killed where: the lock works, every
 * row and lane is free again, and nobody has waited for the dead.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "home.h"
#include "proc.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"

enum { WORKERS = 5 };

static unsigned long kills = 400; /* or as many as the first argument says */

struct shared {
    own_word word;
    _Atomic uint64_t a, b;   /* changed together under the region's lock */
    _Atomic uint32_t holder; /* tag that is in the region's lock; 0 nobody */
    _Atomic uint64_t rounds, mended;
    _Atomic uint64_t overlaps; /* two in the lock at once: must stay 0 */
};

static struct home home;

static int enter(tarn_region *r, struct shared *s, uint32_t tag)
{
    uint32_t nobody = 0;
    int err = tarn_region_lock(r);

    if (err != 0 && err != TARN_EOWNERDEAD)
        return err;
    if (err == TARN_EOWNERDEAD) { /* mend what the dead one left */
        atomic_store(&s->b, atomic_load(&s->a));
        atomic_store(&s->holder, 0);
        atomic_fetch_add(&s->mended, 1);
    }
    if (!atomic_compare_exchange_strong(&s->holder, &nobody, tag))
        atomic_fetch_add(&s->overlaps, 1);
    if (atomic_load(&s->a) != atomic_load(&s->b))
        atomic_fetch_add(&s->overlaps, 1);
    atomic_fetch_add(&s->a, 1);
    atomic_fetch_add(&s->b, 1);
    atomic_store(&s->holder, 0);
    return tarn_region_unlock(r);
}

static void mend_word(struct tarn_region *r, void *ctx, uint32_t lane, uint32_t tag)
{
    struct shared *s = tarn_region_memory(r, NULL);
    uint32_t mine = reap_own_tag(r);

    (void)ctx, (void)lane;
    if (mine != 0 && own_steal(&s->word, tag, mine))
        own_unlock(r, &s->word, mine);
}

static void nothing(struct tarn_region *r, void *ctx, uint32_t lane, uint32_t tag)
{
    (void)r, (void)ctx, (void)lane, (void)tag;
}

static bool idle(struct tarn_region *r, void *ctx, uint32_t lane)
{
    (void)r, (void)ctx, (void)lane;
    return true;
}

static int fine(struct tarn_region *r, void *ctx)
{
    (void)r, (void)ctx;
    return TARN_OK;
}

/* A layer that has one word. */
static const struct region_layer layer = { .locks = mend_word, .repair = nothing, .idle = idle };

static const struct region_plan plan = {
    .layer = LAYER_MPOOL, .fingerprint = 9, .init = fine, .join = fine, .ops = &layer
};

static int attach(tarn_env *e, tarn_region **r)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;

    config.flags = TARN_REGION_CREATE;
    config.bytes = 4096;
    config.max_procs = WORKERS + 1;
    config.max_threads = 3 * (WORKERS + 1);
    return region_attach(e, "storm", &config, &plan, r);
}

static void *use_a_lane(void *arg)
{
    uint32_t lane, tag;

    if (rows_lane(arg, &lane, &tag) == 0)
        (void)tarn_region_lock(arg); /* and ends with it, now and then */
    return NULL;
}

static int visit(tarn_env *e, unsigned round)
{
    uint32_t lane, tag;
    struct shared *s;
    tarn_region *r;
    int err = attach(e, &r);

    if (err != 0)
        return 10;
    s = tarn_region_memory(r, NULL);
    if (rows_lane(r, &lane, &tag) != 0)
        return 11;
    for (int i = 0; i < 30; i++)
        if ((err = enter(r, s, tag)) != 0)
            return 12;
    if (round % 8 == 0) {
        pthread_t t;

        if (pthread_create(&t, NULL, use_a_lane, r) != 0)
            return 13;
        (void)pthread_join(t, NULL);
    }
    (void)own_lock(r, &s->word, tag);
    own_unlock(r, &s->word, tag);
    atomic_fetch_add(&s->rounds, 1);
    return tarn_region_detach(r) == 0 ? 0 : 14;
}

static int work(struct side *me)
{
    unsigned round = 0;
    tarn_env *e;

    (void)me;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (home_open_env(&home, &e) != 0)
        return 9;
    for (;;) {
        int err = visit(e, round++);

        if (err != 0) {
            (void)fprintf(stderr, "worker: %d: %s\n", err, tarn_last_message());
            return err;
        }
    }
}

/* A xorshift generator: the same seed kills in the same order, if not at the same instructions. */
static uint32_t next_random(void)
{
    static uint32_t x = 20261122;

    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

static void check_after_the_storm(tarn_region *r, struct shared *s)
{
    struct tarn_region_stat st;
    uint32_t lane, tag;
    int err;

    (void)reap_sweep(r);
    OK(rows_lane(r, &lane, &tag));
    err = enter(r, s, tag);
    CU_ASSERT_EQUAL(err, 0);
    OK(tarn_region_stat(r, &st));
    CU_ASSERT_EQUAL(st.procs, 1);
    CU_ASSERT_EQUAL(st.threads, 1);
    CU_ASSERT_EQUAL(own_holder(&s->word), 0);
    CU_ASSERT_EQUAL(atomic_load(&s->overlaps), 0);
    CU_ASSERT_EQUAL(atomic_load(&s->a), atomic_load(&s->b));
    for (uint32_t i = 0; i < r->header->max_procs; i++)
        CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(r, i)->state)),
                        i == r->row ? ROW_LIVE : ROW_FREE);
    printf("# %llu visits, %llu times mended, %llu rows given back\n",
           (unsigned long long)atomic_load(&s->rounds), (unsigned long long)atomic_load(&s->mended),
           (unsigned long long)st.reaped);
}

static void storm_of_kills(void)
{
    struct child c[WORKERS];
    struct shared *s;
    tarn_region *r;
    tarn_env *env;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    MUST(attach(env, &r));
    s = tarn_region_memory(r, NULL);
    for (int i = 0; i < WORKERS; i++)
        child_start(&c[i], work, NULL);
    while (atomic_load(&r->header->reaped) < kills) {
        uint32_t which = next_random() % WORKERS;
        uint64_t until = atomic_load(&s->a) + next_random() % 100;

        while (atomic_load(&s->a) < until) /* the survivors get on */
            (void)sched_yield();
        child_kill(&c[which]);
        child_start(&c[which], work, NULL);
    }
    for (int i = 0; i < WORKERS; i++)
        child_kill(&c[i]);
    check_after_the_storm(r, s);
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "storm", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "X29: killed at any instruction", storm_of_kills },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "storm", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    if (argc > 1)
        kills = strtoul(argv[1], NULL, 10);
    return run_suites(suites);
}
