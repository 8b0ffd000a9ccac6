/* SPDX-License-Identifier: BSD-2-Clause */
/* Participants and lanes: limits, threads that come and go, tags that are never the same twice. */
#include <pthread.h>
#include <stdatomic.h>

#include "home.h"
#include "os/shim/fault.h"
#include "proc.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"
#include "region/sizes.h"

#define CREATE TARN_REGION_CREATE

enum { LANES_OF_USERS_AT_FIRST = LANE_CHUNK - LANES_SPARE };

static struct home home;
static tarn_env *env;

static void begin(void)
{
    home_make(&home);
    MUST(home_open_env(&home, &env));
}

static void end(void)
{
    OK(tarn_env_close(env));
    home_remove(&home);
}

static tarn_region *make(uint32_t procs, uint32_t threads)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    tarn_region *r = NULL;

    config.flags = CREATE;
    config.max_procs = procs;
    config.max_threads = threads;
    MUST(tarn_region_attach(env, "one", &config, &r));
    return r;
}

static uint32_t threads_of(tarn_region *r)
{
    struct tarn_region_stat st = { .threads = UINT32_MAX };

    OK(tarn_region_stat(r, &st));
    return st.threads;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static int sit(struct side *me)
{
    tarn_env *e;
    tarn_region *r;
    int err = home_open_env(&home, &e);

    if (err == 0)
        err = home_attach(e, "one", 0, 0, &r);
    if (err != 0)
        return err == TARN_ENOSPC ? 7 : 1;
    side_here(me);
    side_wait(me);
    return tarn_region_detach(r) == 0 && tarn_env_close(e) == 0 ? 0 : 2;
}

static void all_rows_taken(void)
{
    struct child c[4];
    tarn_region *r, *more = NULL;

    begin();
    r = make(4, 0);
    for (int i = 0; i < 3; i++) {
        child_start(&c[i], sit, NULL);
        CU_ASSERT(child_await(&c[i]));
    }
    FAILS(TARN_ENOSPC, home_attach(env, "one", 0, 0, &more));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "4"));
    child_start(&c[3], sit, NULL);
    CU_ASSERT(!child_await(&c[3]));
    CU_ASSERT_EQUAL(child_end(&c[3]), 7);

    child_go_on(&c[0]); /* one leaves: there is room again */
    CU_ASSERT_EQUAL(child_end(&c[0]), 0);
    MUST(home_attach(env, "one", 0, 0, &more));
    OK(tarn_region_detach(more));
    child_kill(&c[1]); /* one dies: the same */
    MUST(home_attach(env, "one", 0, 0, &more));
    OK(tarn_region_detach(more));
    child_go_on(&c[2]);
    CU_ASSERT_EQUAL(child_end(&c[2]), 0);
    OK(tarn_region_detach(r));
    end();
}

static int count_one(void *ctx, const struct tarn_participant *who)
{
    int *seen = ctx;

    seen[0]++;
    seen[1] += who->pid == (uint64_t)getpid();
    seen[2] += who->alive;
    seen[3] += (int)who->lanes;
    return 0;
}

static void same_process_twice(void)
{
    tarn_region *a, *b;
    tarn_env *other;
    int seen[4] = { 0 };

    begin();
    a = make(0, 0);
    MUST(home_open_env(&home, &other)); /* two environments in one process */
    MUST(home_attach(other, "one", 0, 0, &b));
    CU_ASSERT_NOT_EQUAL(a->row, b->row);
    OK(tarn_region_lock(a));
    OK(tarn_region_participants(a, count_one, seen));
    CU_ASSERT_EQUAL(seen[0], 2);
    CU_ASSERT_EQUAL(seen[1], 2);
    CU_ASSERT_EQUAL(seen[2], 2);
    CU_ASSERT_EQUAL(seen[3], 1);
    CU_ASSERT(rows_alive(a, b->row, b->row_gen));
    CU_ASSERT(rows_alive(b, a->row, a->row_gen));
    CU_ASSERT(!rows_alive(b, a->row, a->row_gen + 1));
    OK(tarn_region_unlock(a));
    OK(tarn_region_detach(a));
    CU_ASSERT(rows_alive(b, b->row, b->row_gen));
    FAILS(TARN_EBUSY, tarn_env_close(other));
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    OK(tarn_region_detach(b));
    OK(tarn_env_close(other));
    OK(tarn_region_remove(env, "one", 0));
    end();
}

/* Not the same homes: the name means another region. */
static void name_is_relative_to_the_home(void)
{
    struct home second;
    tarn_env *other;
    tarn_region *a, *b;

    begin();
    home_make(&second);
    MUST(home_open_env(&second, &other));
    a = make(0, 0);
    FAILS(TARN_ENOENT, home_attach(other, "one", 0, 0, &b));
    MUST(home_attach(other, "one", CREATE, 0, &b));
    CU_ASSERT_EQUAL(tarn_region_created(b), 1);
    CU_ASSERT(home_has(&home, "one.tarn"));
    CU_ASSERT(home_has(&second, "one.tarn"));
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));
    OK(tarn_env_close(other));
    home_remove(&second);
    end();
}

/* ---- a layer's say about idle lanes -------------------------------------------------------------- */

static _Atomic int busy_lanes, repaired;

static void no_locks(struct tarn_region *r, void *ctx, uint32_t lane, uint32_t tag)
{
    (void)r, (void)ctx, (void)lane, (void)tag;
}

static void note_repair(struct tarn_region *r, void *ctx, uint32_t lane, uint32_t tag)
{
    (void)r, (void)ctx, (void)lane, (void)tag;
    atomic_fetch_add(&repaired, 1);
}

static bool not_busy(struct tarn_region *r, void *ctx, uint32_t lane)
{
    (void)r, (void)ctx, (void)lane;
    return atomic_load(&busy_lanes) == 0;
}

static int fine(struct tarn_region *r, void *ctx)
{
    (void)r, (void)ctx;
    return TARN_OK;
}

static const struct region_layer layer = { .locks = no_locks,
                                           .repair = note_repair,
                                           .idle = not_busy };

static struct region_plan plan = { .layer = LAYER_MPOOL,
                                   .fingerprint = 77,
                                   .lane_bytes = 100,
                                   .init = fine,
                                   .join = fine,
                                   .ops = &layer };

/* ---- lanes --------------------------------------------------------------------------------------- */

struct worker {
    tarn_region *region;
    pthread_t thread;
    pthread_barrier_t *met, *done;
    uint32_t lane, tag, again, tag_again;
    int err, err_again;
};

static void *work(void *arg)
{
    struct worker *w = arg;

    w->err = rows_lane(w->region, &w->lane, &w->tag);
    w->err_again = rows_lane(w->region, &w->again, &w->tag_again);
    if (w->met != NULL) {
        (void)pthread_barrier_wait(w->met);
        (void)pthread_barrier_wait(w->done);
    }
    return NULL;
}

enum { WORKERS = 40 };

static void lane_of_each_thread(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    static struct worker w[WORKERS];
    struct region_plan large = plan;
    pthread_barrier_t met, done;
    tarn_region *r;
    uint32_t lane, tag;

    begin();
    config.flags = CREATE;
    config.max_threads = WORKERS;
    large.lane_bytes = 4000;
    MUST(region_attach(env, "one", &config, &large, &r));
    CU_ASSERT_EQUAL(rows_lane_count(r), LANE_CHUNK);
    (void)pthread_barrier_init(&met, NULL, WORKERS + 1);
    (void)pthread_barrier_init(&done, NULL, WORKERS + 1);
    for (int i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){ .region = r, .met = &met, .done = &done };
        CU_ASSERT_EQUAL(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    (void)pthread_barrier_wait(&met);
    for (int i = 0; i < WORKERS; i++) {
        CU_ASSERT_EQUAL(w[i].err, 0);
        CU_ASSERT_EQUAL(w[i].err_again, 0);
        CU_ASSERT_EQUAL(w[i].lane, w[i].again);
        CU_ASSERT_EQUAL(w[i].tag, w[i].tag_again);
        CU_ASSERT_EQUAL(tag_lane(w[i].tag), w[i].lane);
        CU_ASSERT_NOT_EQUAL(w[i].tag, 0);
        CU_ASSERT_NOT_EQUAL(tag_gen(w[i].tag), 0);
        CU_ASSERT_EQUAL(rows_lane_tag(r, w[i].lane), w[i].tag);
        CU_ASSERT_EQUAL(rows_lane_row(r, w[i].lane), r->row);
        for (int j = 0; j < i; j++)
            CU_ASSERT_NOT_EQUAL(w[i].lane, w[j].lane);
    }
    CU_ASSERT_EQUAL(threads_of(r), WORKERS);
    FAILS(TARN_ENOSPC, rows_lane(r, &lane, &tag)); /* all are taken */
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "40"));
    FAILS(TARN_ENOSPC, tarn_region_lock(r));
    CU_ASSERT(rows_lane_count(r) >= WORKERS); /* they came in chunks, on demand */
    (void)pthread_barrier_wait(&done);
    for (int i = 0; i < WORKERS; i++)
        (void)pthread_join(w[i].thread, NULL);
    CU_ASSERT_EQUAL(threads_of(r), 0); /* each thread gave its own back */
    OK(rows_lane(r, &lane, &tag));
    OK(tarn_region_detach(r));
    (void)pthread_barrier_destroy(&met);
    (void)pthread_barrier_destroy(&done);
    end();
}

static void tag_of_a_thread_that_ended(void)
{
    struct worker w;
    tarn_region *r;
    uint32_t last = 0;

    begin();
    r = make(0, 1);
    for (int i = 0; i < 20; i++) {
        w = (struct worker){ .region = r };
        CU_ASSERT_EQUAL(pthread_create(&w.thread, NULL, work, &w), 0);
        (void)pthread_join(w.thread, NULL);
        CU_ASSERT_EQUAL(w.err, 0);
        CU_ASSERT_NOT_EQUAL(w.tag, last);
        last = w.tag;
    }
    OK(tarn_region_detach(r));
    end();
}

static void lanes_that_a_caller_manages(void)
{
    tarn_region *r;
    uint32_t lane, tag, mine, my_tag, other, other_tag;

    begin();
    r = make(0, 2);
    OK(rows_lane_take(r, &lane, &tag));
    OK(rows_lane(r, &mine, &my_tag));
    CU_ASSERT_NOT_EQUAL(lane, mine);
    FAILS(TARN_ENOSPC, rows_lane_take(r, &other, &other_tag));
    rows_lane_give(r, lane);
    CU_ASSERT_EQUAL(rows_lane_tag(r, lane), 0);
    CU_ASSERT_EQUAL(rows_lane_row(r, lane), UINT32_MAX);
    OK(rows_lane_take(r, &other, &other_tag));
    CU_ASSERT_EQUAL(other, lane);
    CU_ASSERT_NOT_EQUAL(other_tag, tag);
    OK(tarn_region_detach(r)); /* it goes with the row */
    MUST(home_attach(env, "one", 0, 0, &r));
    CU_ASSERT_EQUAL(threads_of(r), 0);
    OK(tarn_region_detach(r));
    end();
}

static int take_all_lanes(struct side *me)
{
    tarn_env *e;
    tarn_region *r;
    uint32_t lane, tag;

    if (home_open_env(&home, &e) != 0 || home_attach(e, "one", 0, 0, &r) != 0)
        return 1;
    while (rows_lane_take(r, &lane, &tag) == 0)
        continue;
    side_here(me);
    side_wait(me);
    return 0;
}

static void lanes_of_the_dead(void)
{
    struct child c;
    tarn_region *r;
    uint32_t lane, tag;

    begin();
    r = make(0, 3);
    child_start(&c, take_all_lanes, NULL);
    CU_ASSERT(child_await(&c));
    FAILS(TARN_ENOSPC, rows_lane(r, &lane, &tag));
    child_kill(&c);
    OK(rows_lane(r, &lane, &tag));
    CU_ASSERT_EQUAL(threads_of(r), 1);
    OK(tarn_region_detach(r));
    end();
}

/* More regions than a thread remembers: its lane in each stays the same. */
static void many_regions_of_one_thread(void)
{
    enum { MANY = 20 };
    tarn_region *r[MANY];
    uint32_t lane[MANY], tag[MANY], again, tag_again;

    begin();
    for (int i = 0; i < MANY; i++) {
        MUST(home_attach(env, "x", TARN_REGION_PRIVATE, 0, &r[i]));
        OK(rows_lane(r[i], &lane[i], &tag[i]));
    }
    for (int i = 0; i < MANY; i++) {
        OK(rows_lane(r[i], &again, &tag_again));
        CU_ASSERT_EQUAL(again, lane[i]);
        CU_ASSERT_EQUAL(tag_again, tag[i]);
        CU_ASSERT_EQUAL(threads_of(r[i]), 1);
    }
    for (int i = 0; i < MANY; i++)
        OK(tarn_region_detach(r[i]));
    end();
}

static void no_memory_for_more_lanes(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct tarn_env_config env_config = TARN_ENV_CONFIG_INIT;
    struct region_plan large = plan;
    struct fault *fault;
    tarn_env *poor;
    tarn_region *r;
    uint32_t lane, tag;

    begin();
    MUST(fault_new(tarn_os_host(), &fault));
    MUST(fault_choose(fault, "allocate"));
    env_config.home = home.path;
    env_config.os = fault_os(fault);
    MUST(tarn_env_open(&env_config, &poor));
    config.flags = CREATE;
    large.lane_bytes = 4000;
    MUST(region_attach(poor, "one", &config, &large, &r));
    fault_arm(fault, 1, TARN_ENOSPC, FAULT_ALWAYS);
    for (int i = LANES_OF_USERS_AT_FIRST; i > 0; i--)
        OK(rows_lane_take(r, &lane, &tag));
    FAILS(TARN_ENOSPC, rows_lane_take(r, &lane, &tag));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "mmap"));
    CU_ASSERT_EQUAL(own_holder(&r->header->grow), 0);
    CU_ASSERT_EQUAL(rows_lane_count(r), LANE_CHUNK);
    fault_arm(fault, 0, TARN_ENOSPC, FAULT_ONCE);
    OK(rows_lane_take(r, &lane, &tag));
    OK(tarn_region_detach(r));
    OK(tarn_env_close(poor));
    fault_free(fault);
    end();
}

/* A generation that is used up begins at 1 again, and only while nobody repairs. */
static void generations_wrap(void)
{
    tarn_region *r;
    uint32_t lane, tag, same;

    begin();
    r = make(0, 1);
    OK(rows_lane_take(r, &lane, &tag));
    atomic_store(&region_lane(r, lane)->owner,
                 (uint64_t)TAG_GEN_MAX << 40 | lane_holder_make(r->row, r->row_gen));
    rows_lane_give(r, lane);
    atomic_store(&rows_at(r, r->row)->helping, 1);
    FAILS(TARN_ENOSPC, rows_lane_take(r, &same, &tag));
    atomic_store(&rows_at(r, r->row)->helping, 0);
    OK(rows_lane_take(r, &same, &tag));
    CU_ASSERT_EQUAL(same, lane);
    CU_ASSERT_EQUAL(tag_gen(tag), 1);
    rows_lane_give(r, lane);
    OK(tarn_region_detach(r));
    end();
}

static void lane_that_is_not_idle(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct worker w;
    tarn_region *r;
    uint32_t lane, tag;

    begin();
    config.flags = CREATE;
    config.max_threads = 2;
    MUST(region_attach(env, "one", &config, &plan, &r));
    w = (struct worker){ .region = r };
    atomic_store(&busy_lanes, 1);
    CU_ASSERT_EQUAL(pthread_create(&w.thread, NULL, work, &w), 0);
    (void)pthread_join(w.thread, NULL);
    CU_ASSERT_EQUAL(w.err, 0);
    CU_ASSERT_EQUAL(rows_lane_tag(r, w.lane), w.tag); /* kept: something is in it */
    OK(rows_lane(r, &lane, &tag));
    CU_ASSERT_NOT_EQUAL(lane, w.lane);
    atomic_store(&busy_lanes, 0);
    OK(rows_lane_take(r, &lane, &tag)); /* idle by now: used again, for the same process */
    CU_ASSERT_EQUAL(lane, w.lane);
    CU_ASSERT_EQUAL(tag, w.tag);
    atomic_store(&busy_lanes, 1);
    atomic_store(&repaired, 0);
    OK(tarn_region_detach(r)); /* what is left is given back */
    CU_ASSERT_EQUAL(atomic_load(&repaired), 2);
    atomic_store(&busy_lanes, 0);
    end();
}

static void kinds_do_not_mix(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct region_plan other = plan;
    tarn_region *r, *none = NULL;

    begin();
    config.flags = CREATE;
    MUST(region_attach(env, "one", &config, &plan, &r));
    FAILS(TARN_EINVAL, home_attach(env, "one", 0, 0, &none));
    other.fingerprint = 78;
    FAILS(TARN_EVERSION, region_attach(env, "one", &config, &other, &none));
    OK(tarn_region_detach(r));
    r = NULL;
    OK(tarn_region_remove(env, "one", 0)); /* a program without that layer may remove it */
    MUST(home_attach(env, "one", CREATE, 0, &r));
    FAILS(TARN_EINVAL, region_attach(env, "one", &config, &plan, &none));
    CU_ASSERT_PTR_NULL(none);
    OK(tarn_region_detach(r));
    end();
}

static int grows_badly(struct tarn_region *r, void *ctx)
{
    (void)ctx;
    FAILS(TARN_ENOSPC, region_grow(r, r->header->end_off - 4096, 4096));
    FAILS(TARN_ENOSPC, region_grow(r, r->header->end_off, 1ULL << 40));
    return tarn_fail(r->sink, TARN_EIO, "the layer has no wish");
}

static void memory_of_a_layer(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct region_plan big = plan;
    tarn_region *r = NULL, *b;
    struct tarn_region_stat st, after;

    begin();
    config.flags = CREATE;
    big.bytes = 100000;
    big.grow_bytes = 1 << 20;
    big.init = grows_badly;
    FAILS(TARN_EIO, region_attach(env, "one", &config, &big, &r));
    CU_ASSERT_STRING_EQUAL(tarn_last_message(), "the layer has no wish");
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    big.init = fine;
    MUST(region_attach(env, "one", &config, &big, &r));
    MUST(region_attach(env, "one", &config, &big, &b));
    CU_ASSERT(r->header->layer_bytes >= 100000);
    memset(region_at(r, r->header->layer_off), 1, 100000);
    CU_ASSERT_EQUAL(((char *)region_at(b, b->header->layer_off))[99999], 1);
    MUST(tarn_region_stat(r, &st));
    OK(region_grow(r, r->header->end_off + 8192, 65536));
    CU_ASSERT_EQUAL(((char *)region_at(b, b->header->end_off + 8192))[65535], 0);
    memset(region_at(r, r->header->end_off + 8192), 2, 65536);
    CU_ASSERT_EQUAL(((char *)region_at(b, b->header->end_off + 8192))[65535], 2);
    MUST(tarn_region_stat(b, &after));
    CU_ASSERT_EQUAL(after.committed, st.committed + 65536);
    CU_ASSERT_EQUAL(after.kind, 1);
    CU_ASSERT_EQUAL(after.bytes, 0);
    OK(tarn_region_detach(r));
    OK(tarn_region_detach(b));
    end();
}

/* ---- life words ---------------------------------------------------------------------------------- */

struct joiner {
    pthread_t thread;
    tarn_region *region;
    pthread_barrier_t *met, *done;
    int err;
};

static void *join_then_stay(void *arg)
{
    struct joiner *j = arg;

    j->err = home_attach(env, "one", CREATE, 0, &j->region);
    (void)pthread_barrier_wait(j->met);
    (void)pthread_barrier_wait(j->done);
    return NULL;
}

static void detached_by_another_thread(void)
{
    pthread_barrier_t met, done;
    struct joiner j = { .met = &met, .done = &done };
    tarn_env *first = NULL;
    tarn_region *r;

    begin();
    first = env;
    (void)pthread_barrier_init(&met, NULL, 2);
    (void)pthread_barrier_init(&done, NULL, 2);
    CU_ASSERT_EQUAL(pthread_create(&j.thread, NULL, join_then_stay, &j), 0);
    (void)pthread_barrier_wait(&met);
    CU_ASSERT_EQUAL_FATAL(j.err, 0);
    OK(tarn_region_lock(j.region));
    OK(tarn_region_detach(j.region));      /* the life word is the other thread's */
    OK(tarn_region_remove(env, "one", 0)); /* it is no participant any more */
    OK(tarn_env_close(first));
    MUST(home_open_env(&home, &env));
    MUST(home_attach(env, "one", CREATE, 0, &r));
    OK(tarn_region_lock(r));
    (void)pthread_barrier_wait(&done);
    (void)pthread_join(j.thread, NULL); /* lets go of it here */
    OK(tarn_region_unlock(r));
    OK(tarn_region_detach(r));
    (void)pthread_barrier_destroy(&met);
    (void)pthread_barrier_destroy(&done);
    end();
}

/* Detached, but a thread of it still holds the life word; then it dies. */
static int park_and_wait(struct side *me)
{
    pthread_barrier_t met, done;
    struct joiner j = { .met = &met, .done = &done };

    if (home_open_env(&home, &env) != 0)
        return 1;
    (void)pthread_barrier_init(&met, NULL, 2);
    (void)pthread_barrier_init(&done, NULL, 2);
    if (pthread_create(&j.thread, NULL, join_then_stay, &j) != 0)
        return 1;
    (void)pthread_barrier_wait(&met);
    if (j.err != 0 || tarn_region_detach(j.region) != 0)
        return 2;
    side_here(me);
    side_wait(me);
    return 3;
}

static void parked_and_dead(void)
{
    struct child c;
    tarn_region *r;

    begin();
    r = make(0, 0);
    child_start(&c, park_and_wait, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(r, 1)->state)), ROW_PARKED);
    CU_ASSERT_EQUAL(reap_sweep(r), 0);
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(r, 1)->state)), ROW_PARKED);
    child_kill(&c);
    CU_ASSERT_EQUAL(reap_sweep(r), 0); /* it held nothing */
    CU_ASSERT_EQUAL(row_state(atomic_load(&rows_at(r, 1)->state)), ROW_FREE);
    OK(tarn_region_detach(r));
    end();
}

static void *join_and_end(void *arg)
{
    struct joiner *j = arg;

    j->err = home_attach(env, "one", CREATE, 0, &j->region);
    return NULL;
}

static void joining_thread_ended(void)
{
    struct joiner j = { .err = 1 };
    tarn_region *b;
    uint32_t lane, tag;

    begin();
    CU_ASSERT_EQUAL(pthread_create(&j.thread, NULL, join_and_end, &j), 0);
    (void)pthread_join(j.thread, NULL);
    CU_ASSERT_EQUAL_FATAL(j.err, 0);
    MUST(home_attach(env, "one", 0, 0, &b));
    CU_ASSERT(rows_alive(b, j.region->row, j.region->row_gen)); /* no life word, but it lives */
    CU_ASSERT_EQUAL(reap_sweep(b), 0);
    OK(rows_lane(j.region, &lane, &tag)); /* the next thread takes the word over */
    CU_ASSERT_NOT_EQUAL(j.region->life_thread, 0);
    CU_ASSERT(rows_alive(b, j.region->row, j.region->row_gen));
    OK(tarn_region_detach(j.region));
    OK(tarn_region_detach(b));
    OK(tarn_region_remove(env, "one", 0));
    end();
}

int main(void)
{
    static CU_TestInfo rows[] = {
        { "R23 X29: all rows taken; those who leave and die make room", all_rows_taken },
        { "R10 R23: the same process twice, two environments", same_process_twice },
        { "O15 R10: a name is relative to its home", name_is_relative_to_the_home },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo lanes[] = {
        { "a lane for each thread, in chunks, up to the limit", lane_of_each_thread },
        { "no tag is used twice", tag_of_a_thread_that_ended },
        { "lanes that a caller manages", lanes_that_a_caller_manages },
        { "X29: lanes of the dead", lanes_of_the_dead },
        { "many regions of one thread", many_regions_of_one_thread },
        { "R28 R20: no memory for more lanes", no_memory_for_more_lanes },
        { "generations wrap while nobody repairs", generations_wrap },
        { "a lane that is not idle stays its process's", lane_that_is_not_idle },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo layers[] = {
        { "R3 X1: kinds and layouts do not mix", kinds_do_not_mix },
        { "R28 R29 R20 X6: a layer's memory, and more of it", memory_of_a_layer },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo lives[] = {
        { "R22 X4: detached by another thread than joined", detached_by_another_thread },
        { "X29: parked and dead", parked_and_dead },
        { "X29: the thread that joined has ended", joining_thread_ended },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "rows", NULL, NULL, NULL, NULL, rows },
        { "lanes", NULL, NULL, NULL, NULL, lanes },
        { "layers", NULL, NULL, NULL, NULL, layers },
        { "lives", NULL, NULL, NULL, NULL, lives },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
