/* SPDX-License-Identifier: BSD-2-Clause */
/* Owned words: who holds them, waiting, and what happens when the holder or a waiter dies. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "home.h"
#include "proc.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"

#define CREATE TARN_REGION_CREATE

/* What the tests' processes share, in the region's user memory. */
struct shared {
    own_word word;
    _Atomic uint32_t tag, row, gen, n, half;
};

static struct home home;
static tarn_env *env;
static tarn_region *region;
static struct shared *shared;

static void begin(void)
{
    home_make(&home);
    MUST(home_open_env(&home, &env));
    MUST(home_attach(env, "one", CREATE, 0, &region));
    shared = tarn_region_memory(region, NULL);
}

static void end(void)
{
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* In a child: the region and the lane of the calling thread. */
static int come(struct tarn_region **r, uint32_t *tag)
{
    tarn_env *e;
    uint32_t lane;
    int err = home_open_env(&home, &e);

    if (err == 0)
        err = home_attach(e, "one", 0, 0, r);
    if (err == 0)
        err = rows_lane(*r, &lane, tag);
    if (err == 0)
        shared = tarn_region_memory(*r, NULL);
    return err;
}

static uint32_t my_tag(void)
{
    uint32_t lane, tag = 0;

    OK(rows_lane(region, &lane, &tag));
    return tag;
}

static uint32_t living(void)
{
    struct tarn_region_stat st = { .procs = 0 };

    OK(tarn_region_stat(region, &st));
    return st.procs;
}

/* ---- tags ---------------------------------------------------------------------------------------- */

static int show_tag(struct side *me)
{
    tarn_region *r;
    uint32_t tag;

    if (come(&r, &tag) != 0)
        return 1;
    atomic_store(&shared->tag, tag);
    atomic_store(&shared->row, r->row);
    atomic_store(&shared->gen, r->row_gen);
    side_here(me);
    side_wait(me);
    return tarn_region_detach(r) == 0 ? 0 : 2;
}

static void fate_of_an_owner(void)
{
    struct tarn_region_stat st;
    struct child c;
    uint32_t tag;

    begin();
    CU_ASSERT_EQUAL(own_look(region, my_tag()), OWN_ALIVE);
    CU_ASSERT_EQUAL(own_look(region, my_tag() + (1u << TAG_LANE_BITS)), OWN_GONE);
    CU_ASSERT_EQUAL(own_look(region, TAG_LANE_MASK | 1u << TAG_LANE_BITS), OWN_GONE);

    child_start(&c, show_tag, NULL); /* leaves in order */
    CU_ASSERT(child_await(&c));
    tag = atomic_load(&shared->tag);
    CU_ASSERT_EQUAL(own_look(region, tag), OWN_ALIVE);
    reap_tag(region, tag); /* harms nobody who lives */
    CU_ASSERT_EQUAL(own_look(region, tag), OWN_ALIVE);
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_EQUAL(own_look(region, tag), OWN_GONE);

    child_start(&c, show_tag, NULL); /* dies */
    CU_ASSERT(child_await(&c));
    tag = atomic_load(&shared->tag);
    CU_ASSERT_EQUAL(own_look(region, tag), OWN_ALIVE);
    CU_ASSERT_EQUAL(living(), 2);
    child_kill(&c);
    CU_ASSERT_EQUAL(own_look(region, tag), OWN_DEAD);
    CU_ASSERT_EQUAL(living(), 1);
    CU_ASSERT(!rows_alive(region, atomic_load(&shared->row), atomic_load(&shared->gen)));
    reap_tag(region, tag);
    CU_ASSERT_EQUAL(own_look(region, tag), OWN_GONE);
    OK(tarn_region_stat(region, &st));
    CU_ASSERT_EQUAL(st.reaped, 1);
    CU_ASSERT_EQUAL(reap_sweep(region), 0);
    end();
}

/* ---- the lock word ------------------------------------------------------------------------------- */

static void taken_given_stolen(void)
{
    uint32_t a, b = 5u << TAG_LANE_BITS | 3;

    begin();
    a = my_tag();
    CU_ASSERT_EQUAL(own_holder(&shared->word), 0);
    CU_ASSERT(own_trylock(&shared->word, a));
    CU_ASSERT(!own_trylock(&shared->word, b));
    CU_ASSERT_EQUAL(own_holder(&shared->word), a);
    CU_ASSERT(!own_steal(&shared->word, b, a));
    atomic_fetch_or(&shared->word, 1); /* somebody waits */
    CU_ASSERT(own_steal(&shared->word, a, b));
    CU_ASSERT_EQUAL(atomic_load(&shared->word), (uint64_t)b << 32 | 1);
    own_unlock(region, &shared->word, b);
    CU_ASSERT_EQUAL(atomic_load(&shared->word), 0);
    CU_ASSERT(!own_lock(region, &shared->word, a)); /* did not have to wait */
    own_unlock(region, &shared->word, a);
    end();
}

struct thread {
    pthread_t id;
    _Atomic uint32_t *mutex;
    uint64_t *n;
};

static void *count_under_mutex(void *arg)
{
    struct thread *t = arg;

    for (int i = 0; i < 20000; i++) {
        own_mutex_lock(region->os, t->mutex);
        ++*t->n;
        own_mutex_unlock(region->os, t->mutex);
    }
    return NULL;
}

static void *count_under_word(void *arg)
{
    struct thread *t = arg;
    uint32_t lane, tag;

    if (rows_lane(region, &lane, &tag) != 0)
        return NULL;
    for (int i = 0; i < 20000; i++) {
        (void)own_lock(region, &shared->word, tag);
        ++*t->n;
        own_unlock(region, &shared->word, tag);
    }
    return NULL;
}

static void threads_exclude_each_other(void)
{
    void *(*const ways[])(void *) = { count_under_mutex, count_under_word };

    begin();
    for (int way = 0; way < 2; way++) {
        _Atomic uint32_t mutex = 0;
        uint64_t n = 0;
        struct thread t[3];

        for (int i = 0; i < 3; i++) {
            t[i] = (struct thread){ .mutex = &mutex, .n = &n };
            CU_ASSERT_EQUAL(pthread_create(&t[i].id, NULL, ways[way], &t[i]), 0);
        }
        for (int i = 0; i < 3; i++)
            (void)pthread_join(t[i].id, NULL);
        CU_ASSERT_EQUAL(n, 60000);
    }
    end();
}

/* ---- waiting ------------------------------------------------------------------------------------- */

static int change_half(struct side *me)
{
    tarn_region *r;
    uint32_t tag;

    if (come(&r, &tag) != 0)
        return 1;
    atomic_store(&shared->tag, tag);
    side_here(me);
    side_wait(me);
    atomic_store(&shared->half, 1);
    own_wake(r, &shared->half);
    side_wait(me);
    return tarn_region_detach(r) == 0 ? 0 : 2;
}

static void waits_end(void)
{
    struct child c;

    begin();
    FAILS(TARN_ETIMEDOUT, own_wait(region, &shared->half, 0, 0, 1000000));
    FAILS(TARN_ETIMEDOUT, own_wait(region, &shared->half, 0, my_tag(), 1000000));
    OK(own_wait(region, &shared->half, 9, 0, TARN_FOREVER)); /* it differs already */
    child_start(&c, change_half, NULL);
    CU_ASSERT(child_await(&c));
    FAILS(TARN_ETIMEDOUT, own_wait(region, &shared->half, 0, atomic_load(&shared->tag), 1000000));
    child_go_on(&c);
    while (atomic_load(&shared->half) == 0)
        OK(own_wait(region, &shared->half, 0, atomic_load(&shared->tag), TARN_FOREVER));
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    OK(own_wait(region, &shared->half, 1, atomic_load(&shared->tag), TARN_FOREVER)); /* gone */
    end();
}

/* ---- deaths -------------------------------------------------------------------------------------- */

static int hold_lock(struct side *me)
{
    tarn_region *r;
    uint32_t tag;
    int err;

    if (come(&r, &tag) != 0)
        return 1;
    err = tarn_region_lock(r);
    if (err != 0 && err != TARN_EOWNERDEAD)
        return 2;
    atomic_store(&shared->tag, tag);
    side_here(me);
    side_wait(me);
    return tarn_region_unlock(r) == 0 && tarn_region_detach(r) == 0 ? 0 : 3;
}

/* Says "here" just before it waits for the lock; exit: 40 + what it got (0, or 1 for a death). */
static int want_lock(struct side *me)
{
    tarn_region *r;
    uint32_t tag;
    int err;

    if (come(&r, &tag) != 0)
        return 1;
    side_here(me);
    err = tarn_region_lock(r);
    if (err != 0 && err != TARN_EOWNERDEAD)
        return 2;
    atomic_fetch_add(&shared->n, err == TARN_EOWNERDEAD ? 0x10001 : 1);
    if (tarn_region_unlock(r) != 0 || tarn_region_detach(r) != 0)
        return 3;
    return 40 + (err == TARN_EOWNERDEAD);
}

static void lock_of_the_dead(void)
{
    struct child c;

    begin();
    for (int i = 0; i < 5; i++) {
        child_start(&c, hold_lock, NULL);
        CU_ASSERT(child_await(&c));
        CU_ASSERT_EQUAL(own_holder(&region->header->lock), atomic_load(&shared->tag));
        child_kill(&c);
        FAILS(TARN_EOWNERDEAD, tarn_region_lock(region)); /* and it is held */
        FAILS(TARN_EDEADLK, tarn_region_lock(region));
        OK(tarn_region_unlock(region));
        OK(tarn_region_lock(region)); /* said once */
        OK(tarn_region_unlock(region));
        CU_ASSERT_EQUAL(living(), 1);
    }
    end();
}

static void waiters_are_told_of_a_death(void)
{
    struct child holder, waiter[4], victim;
    int told = 0;

    begin();
    child_start(&holder, hold_lock, NULL);
    CU_ASSERT(child_await(&holder));
    for (int i = 0; i < 4; i++) {
        child_start(&waiter[i], want_lock, NULL);
        CU_ASSERT(child_await(&waiter[i]));
    }
    child_start(&victim, want_lock, NULL); /* one who waits dies, too */
    CU_ASSERT(child_await(&victim));
    child_kill(&victim);
    child_kill(&holder);
    for (int i = 0; i < 4; i++) {
        int status = child_end(&waiter[i]);

        CU_ASSERT(status == 40 || status == 41);
        told += status == 41;
    }
    CU_ASSERT_EQUAL(told, 1); /* the first of them, and nobody else */
    CU_ASSERT_EQUAL(atomic_load(&shared->n) & 0xffff, 4);
    CU_ASSERT_EQUAL(own_holder(&region->header->lock), 0);
    (void)reap_sweep(region);
    CU_ASSERT_EQUAL(living(), 1);
    end();
}

static int hold_grow(struct side *me)
{
    tarn_region *r;
    uint32_t tag;

    if (come(&r, &tag) != 0 || !own_trylock(&r->header->grow, tag))
        return 1;
    side_here(me);
    side_wait(me);
    return 0;
}

static void death_while_growing(void)
{
    struct child c;
    uint32_t lane[20], tag;

    begin();
    child_start(&c, hold_grow, NULL);
    CU_ASSERT(child_await(&c));
    child_kill(&c);
    for (int i = 0; i < 20; i++) /* more than a chunk */
        OK(rows_lane_take(region, &lane[i], &tag));
    CU_ASSERT_EQUAL(own_holder(&region->header->grow), 0);
    for (int i = 0; i < 20; i++)
        rows_lane_give(region, lane[i]);
    end();
}

static int wait_into_panic(struct side *me)
{
    tarn_region *r;
    uint32_t tag;

    if (come(&r, &tag) != 0)
        return 1;
    side_here(me);
    return tarn_region_lock(r) == TARN_ERUNRECOVERY ? 0 : 2;
}

static void panic_while_others_wait(void)
{
    struct child c;

    begin();
    OK(tarn_region_lock(region));
    child_start(&c, wait_into_panic, NULL);
    CU_ASSERT(child_await(&c));
    OK(tarn_region_panic(region));
    OK(tarn_region_unlock(region)); /* what is held can be given back */
    CU_ASSERT_EQUAL(child_end(&c), 0);
    FAILS(TARN_ERUNRECOVERY, tarn_region_lock(region));
    end();
}

static void *lock_and_end(void *arg)
{
    *(int *)arg = tarn_region_lock(region);
    return NULL;
}

static void thread_ends_with_the_lock(void)
{
    pthread_t t;
    int err = 1;

    begin();
    CU_ASSERT_EQUAL(pthread_create(&t, NULL, lock_and_end, &err), 0);
    (void)pthread_join(t, NULL);
    CU_ASSERT_EQUAL(err, 0);
    FAILS(TARN_EOWNERDEAD, tarn_region_lock(region));
    OK(tarn_region_unlock(region));
    end();
}

/* ---- witnesses ----------------------------------------------------------------------------------- */

static struct side other_side; /* a copy: the first stack goes with its thread */
static tarn_region *others_region;

/* The first thread of this process is a zombie: "PID (NAME) Z ...". */
static int leader_has_ended(void)
{
    char path[64], line[256] = "";
    const char *state;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
    if ((f = fopen(path, "r")) == NULL)
        return 0;
    (void)!fgets(line, sizeof(line), f);
    (void)fclose(f);
    state = strrchr(line, ')');
    return state != NULL && state[1] == ' ' && state[2] == 'Z';
}

static void *go_on_without_leader(void *arg)
{
    (void)arg;
    while (!leader_has_ended())
        (void)sched_yield();
    side_here(&other_side);
    side_wait(&other_side);
    _exit(tarn_region_detach(others_region) == 0 ? 0 : 2);
}

static int lose_leader(struct side *me)
{
    pthread_t other;
    uint32_t tag;

    if (come(&others_region, &tag) != 0)
        return 1;
    atomic_store(&shared->row, others_region->row);
    atomic_store(&shared->gen, others_region->row_gen);
    other_side = *me;
    if (pthread_create(&other, NULL, go_on_without_leader, NULL) != 0)
        return 1;
    pthread_exit(NULL);
}

#if defined(__SANITIZE_THREAD__)
#define NO_LEADER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_LEADER 1
#endif
#endif

/* The thread that joined, which is the first of its process, has ended: a zombie that is not dead. */
static void process_without_its_first_thread(void)
{
    struct child c;

#ifdef NO_LEADER
    SKIP("ThreadSanitizer does not let the first thread end alone");
#endif
    begin();
    child_start(&c, lose_leader, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT(rows_alive(region, atomic_load(&shared->row), atomic_load(&shared->gen)));
    CU_ASSERT_EQUAL(reap_sweep(region), 0);
    CU_ASSERT_EQUAL(living(), 2);
    child_kill(&c);
    CU_ASSERT(!rows_alive(region, atomic_load(&shared->row), atomic_load(&shared->gen)));
    CU_ASSERT_EQUAL(reap_sweep(region), 1);
    end();
}

static int close_all_files(struct side *me)
{
    tarn_region *r;
    uint32_t tag;

    if (come(&r, &tag) != 0)
        return 1;
    atomic_store(&shared->row, r->row);
    atomic_store(&shared->gen, r->row_gen);
    (void)close((int)r->lock_file); /* as a careless closefrom() would */
    side_here(me);
    side_wait(me);
    return 0;
}

static void lock_file_closed_by_mistake(void)
{
    struct child c;

    begin();
    child_start(&c, close_all_files, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT(rows_alive(region, atomic_load(&shared->row), atomic_load(&shared->gen)));
    CU_ASSERT_EQUAL(reap_sweep(region), 0);
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    child_kill(&c);
    CU_ASSERT_EQUAL(reap_sweep(region), 1);
    end();
}

/* A participant, killed while a child that it forked still has its descriptors. */
static int fork_and_wait(struct side *me)
{
    tarn_region *r;
    uint32_t tag;

    if (come(&r, &tag) != 0)
        return 1;
    atomic_store(&shared->row, r->row);
    atomic_store(&shared->gen, r->row_gen);
    if (fork() == 0) {
        side_here(me);
        side_wait(me); /* ends when the test closes the pipe */
        _exit(0);
    }
    side_wait(me);
    return 0;
}

static void child_keeps_the_descriptor(void)
{
    struct child c;

    begin();
    child_start(&c, fork_and_wait, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT(rows_alive(region, atomic_load(&shared->row), atomic_load(&shared->gen)));
    (void)kill(c.pid, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(c.pid, NULL, 0), c.pid);
    CU_ASSERT(!rows_alive(region, atomic_load(&shared->row), atomic_load(&shared->gen)));
    CU_ASSERT_EQUAL(reap_sweep(region), 1);
    (void)close(c.to);
    (void)close(c.from);
    end();
}

int main(void)
{
    static CU_TestInfo words[] = {
        { "L1: taken, given, stolen from the dead", taken_given_stolen },
        { "L3: threads exclude each other", threads_exclude_each_other },
        { "waits end by change, time and departure", waits_end },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo deaths[] = {
        { "X29: alive, dead, gone", fate_of_an_owner },
        { "X29 L3: the lock of the dead is taken over, and said once", lock_of_the_dead },
        { "X29 L3: waiters are told of a death", waiters_are_told_of_a_death },
        { "X29 R27: death while memory is committed", death_while_growing },
        { "Y12 M6: panic while others wait", panic_while_others_wait },
        { "a thread that ends with the lock", thread_ends_with_the_lock },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo witnesses[] = {
        { "X29: a process without its first thread lives", process_without_its_first_thread },
        { "X29: a lock file closed by mistake kills nobody", lock_file_closed_by_mistake },
        { "X29: a child's descriptor does not keep the parent alive", child_keeps_the_descriptor },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "own", NULL, NULL, NULL, NULL, words },
        { "own-deaths", NULL, NULL, NULL, NULL, deaths },
        { "own-witnesses", NULL, NULL, NULL, NULL, witnesses },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
