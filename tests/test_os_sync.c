/* SPDX-License-Identifier: BSD-2-Clause */
/* The group sync: waiting between processes, the barrier, and the witnesses of death. */
#include "os_tables.h"

#include <pthread.h>
#include <stdatomic.h>

struct shared {
    _Atomic uint32_t words[8];
    struct tarn_life life;
};

static struct shared *shared;

static void share(void)
{
    struct tarn_map_request req = { .file = TARN_NO_FILE, .len = 4096, .flags = TARN_MAP_ANON };
    void *at = NULL;
    size_t bytes = 0;

    MUST(os->misc->page_size(os, &bytes));
    req.len = bytes;
    MUST(os->map->map(os, &req, &at));
    shared = at;
}

static void unshare_it(void)
{
    size_t bytes = 0;

    MUST(os->misc->page_size(os, &bytes));
    OK(os->map->unmap(os, shared, bytes));
}

static const uint32_t *word(int i) { return (const uint32_t *)(const void *)&shared->words[i]; }

static void waits_that_end_at_once(void)
{
    struct tarn_wait w[9];

    share();
    for (int i = 0; i < 9; i++)
        w[i] = (struct tarn_wait){ word(i % 8), 0 };
    OK(os->sync->wait(os, word(0), 1, TARN_FOREVER)); /* differs */
    FAILS(TARN_ETIMEDOUT, os->sync->wait(os, word(0), 0, 1000000));
    FAILS(TARN_ETIMEDOUT, os->sync->wait(os, word(0), 0, 0));
    FAILS(TARN_EINVAL, os->sync->wait_any(os, w, 0, 0));
    FAILS(TARN_EINVAL, os->sync->wait_any(os, w, 9, 0));
    FAILS(TARN_ETIMEDOUT, os->sync->wait_any(os, w, 8, 1000000));
    w[7].expect = 1;
    OK(os->sync->wait_any(os, w, 8, TARN_FOREVER));
    OK(os->sync->wake(os, word(0), 1)); /* nobody sleeps */
    unshare_it();
}

/* Rounds of the test below; the posix table polls, so a few must do. */
static uint32_t rounds(void) { return os_is_posix ? 5 : 200; }

/* The child answers word 0 on word `to`, round by round. */
static void answer(int to)
{
    for (uint32_t round = 1; round <= rounds(); round++) {
        while (atomic_load(&shared->words[0]) != round)
            if (os->sync->wait(os, word(0), round - 1, TARN_FOREVER) != TARN_OK)
                _exit(7);
        atomic_store(&shared->words[to], round);
        if (os->sync->wake(os, word(to), INT32_MAX) != TARN_OK)
            _exit(6);
    }
    _exit(0);
}

/* Sleep until the answer is there, on its word alone or among all eight. */
static void await(int to, uint32_t round, int any)
{
    struct tarn_wait w[8];

    for (int i = 0; i < 8; i++)
        w[i] = (struct tarn_wait){ word(i), i == 0 ? round : i == to ? round - 1 : 0 };
    while (atomic_load(&shared->words[to]) != round) {
        if (any)
            OK(os->sync->wait_any(os, w, 8, TARN_FOREVER));
        else
            OK(os->sync->wait(os, word(to), round - 1, TARN_FOREVER));
    }
}

static void ping_pong(int to, int any)
{
    int status = -1;
    pid_t child;

    share();
    (void)fflush(stdout);
    child = fork();
    if (child == 0)
        answer(to);
    for (uint32_t round = 1; round <= rounds(); round++) {
        atomic_store(&shared->words[0], round);
        OK(os->sync->wake(os, word(0), 1));
        await(to, round, any);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    unshare_it();
}

static void between_processes(void) { ping_pong(1, 0); }

static void on_several_words(void) { ping_pong(5, 1); }

enum { SLEEPERS = 4, TIMES = 50 };

static void *sleep_on_word(void *arg)
{
    const uint32_t *time = arg;

    atomic_fetch_add(&shared->words[1], 1);
    while (atomic_load(&shared->words[0]) == *time)
        (void)os->sync->wait(os, word(0), *time, TARN_FOREVER);
    return NULL;
}

/* One call wakes all who sleep on the word; if it does not, this ends by the test's time limit. */
static void all_are_woken(void)
{
    pthread_t threads[SLEEPERS];

    share();
    for (uint32_t time = 0; time < (os_is_posix ? 1 : TIMES); time++) {
        atomic_store(&shared->words[1], 0);
        for (int i = 0; i < SLEEPERS; i++)
            CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, sleep_on_word, &time), 0);
        while (atomic_load(&shared->words[1]) < SLEEPERS)
            OK(os->misc->yield(os));
        atomic_store(&shared->words[0], time + 1);
        OK(os->sync->wake(os, word(0), INT32_MAX));
        for (int i = 0; i < SLEEPERS; i++)
            (void)pthread_join(threads[i], NULL);
    }
    unshare_it();
}

static void heavy_barrier(void)
{
    ABSENT_IN_POSIX(os->sync->barrier_register(os));
    OK(os->sync->barrier_register(os));
    OK(os->sync->barrier_register(os)); /* twice does no harm */
    OK(os->sync->barrier(os));
}

/* ---- lock bytes ---- */

static void hold_byte_5(void *arg)
{
    tarn_file f;

    if (os->file->open(os, arg, 0, 0, &f) != TARN_OK ||
        os->sync->lock_byte(os, f, 5, TARN_LOCK_TRY, NULL) != TARN_OK)
        _exit(1);
}

static void lock_bytes(void)
{
    tarn_file f = new_file("locks");
    int held = 9;
    struct child c = start_child(hold_byte_5, "locks");

    OK(os->sync->lock_byte(os, f, 5, TARN_LOCK_TEST, &held));
    CU_ASSERT_EQUAL(held, 1);
    FAILS(TARN_EBUSY, os->sync->lock_byte(os, f, 5, TARN_LOCK_TRY, NULL));
    OK(os->sync->lock_byte(os, f, 6, TARN_LOCK_TEST, &held));
    CU_ASSERT_EQUAL(held, 0);
    OK(os->sync->lock_byte(os, f, 6, TARN_LOCK_TRY, NULL));
    OK(os->sync->lock_byte(os, f, UINT64_C(1) << 40, TARN_LOCK_TRY, NULL));
    FAILS(TARN_EINVAL, os->sync->lock_byte(os, f, UINT64_MAX, TARN_LOCK_TRY, NULL));
    FAILS(TARN_EINVAL, os->sync->lock_byte(os, f, 1, (enum tarn_lockop)9, NULL));
    kill_child(&c);
    OK(os->sync->lock_byte(os, f, 5, TARN_LOCK_TEST, &held));
    CU_ASSERT_EQUAL(held, 0);
    OK(os->sync->lock_byte(os, f, 5, TARN_LOCK_TRY, NULL));
    OK(os->sync->lock_byte(os, f, 6, TARN_LOCK_FREE, NULL));
    drop_file(f, "locks");
}

static void lock_byte_waits(void)
{
    tarn_file f = new_file("locks");
    struct child c = start_child(hold_byte_5, "locks");

    FAILS(TARN_EBUSY, os->sync->lock_byte(os, f, 5, TARN_LOCK_TRY, NULL));
    (void)close(c.let_go); /* the child goes on to its end, at some time */
    OK(os->sync->lock_byte(os, f, 5, TARN_LOCK_WAIT, NULL));
    CU_ASSERT_EQUAL(waitpid(c.pid, NULL, 0), c.pid);
    drop_file(f, "locks");
}

/* OFD locks belong to the open file: another descriptor of the same process is somebody else. */
static void lock_bytes_of_two_descriptors(void)
{
    tarn_file f = new_file("locks"), g;
    int held = 0;

    if (os_is_posix) {
        drop_file(f, "locks");
        SKIP("POSIX locks belong to the process");
    }
    MUST(os->file->open(os, "locks", 0, 0, &g));
    OK(os->sync->lock_byte(os, f, 1, TARN_LOCK_TRY, NULL));
    FAILS(TARN_EBUSY, os->sync->lock_byte(os, g, 1, TARN_LOCK_TRY, NULL));
    OK(os->sync->lock_byte(os, f, 1, TARN_LOCK_TEST, &held));
    CU_ASSERT_EQUAL(held, 0);   /* our own is not somebody else's */
    OK(os->file->close(os, g)); /* another close drops nothing */
    MUST(os->file->open(os, "locks", 0, 0, &g));
    OK(os->sync->lock_byte(os, g, 1, TARN_LOCK_TEST, &held));
    CU_ASSERT_EQUAL(held, 1);
    OK(os->file->close(os, g));
    drop_file(f, "locks");
}

/* ---- life words ---- */

static void take_life(void *arg)
{
    (void)arg;
    if (os->sync->life_take(os, &shared->life) != TARN_OK)
        _exit(1);
}

static enum tarn_life_state look(void)
{
    enum tarn_life_state state = (enum tarn_life_state)9;

    OK(os->sync->life_look(os, &shared->life, &state));
    return state;
}

static void *drop_in_thread(void *arg)
{
    int *ret = arg;

    *ret = os->sync->life_drop(os, &shared->life);
    return NULL;
}

static void life_taken_and_dropped(void)
{
    struct tarn_wait w;
    pthread_t thread;
    int ret = 0;

    share();
    ret = os->sync->life_take(os, &shared->life);
    if (os_is_posix)
        unshare_it();
    ABSENT_IN_POSIX(ret);
    MUST(ret);
    CU_ASSERT_EQUAL(look(), TARN_LIFE_HELD);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, drop_in_thread, &ret), 0);
    (void)pthread_join(thread, NULL);
    FAILS(TARN_EPERM, ret); /* only the thread that took it */
    CU_ASSERT_EQUAL(look(), TARN_LIFE_HELD);
    OK(os->sync->life_drop(os, &shared->life));
    CU_ASSERT_EQUAL(look(), TARN_LIFE_FREE);
    OK(os->sync->life_word(os, &shared->life, &w)); /* nobody to wait for: does not sleep */
    OK(os->sync->wait(os, w.word, w.expect, TARN_FOREVER));
    unshare_it();
}

static void death_of_the_holder(void)
{
    struct tarn_wait w[2];
    struct child c;

    if (os_is_posix)
        SKIP("POSIX does not show the owner of a robust mutex");
    share();
    c = start_child(take_life, NULL);
    CU_ASSERT_EQUAL(look(), TARN_LIFE_HELD);
    w[0] = (struct tarn_wait){ word(0), 0 };
    OK(os->sync->life_word(os, &shared->life, &w[1]));
    CU_ASSERT_EQUAL(look(), TARN_LIFE_HELD);
    FAILS(TARN_ETIMEDOUT, os->sync->wait_any(os, w, 2, 1000000));
    CU_ASSERT_EQUAL(kill(c.pid, SIGKILL), 0);
    while (look() == TARN_LIFE_HELD) /* ended by the kernel's wake-up alone */
        OK(os->sync->wait_any(os, w, 2, TARN_FOREVER));
    CU_ASSERT_EQUAL(look(), TARN_LIFE_DIED);
    CU_ASSERT_EQUAL(waitpid(c.pid, NULL, 0), c.pid);
    (void)close(c.let_go);
    OK(os->sync->life_word(os, &shared->life, &w[1]));
    OK(os->sync->wait_any(os, w, 2, TARN_FOREVER)); /* dead already: does not sleep */
    OK(os->sync->life_take(os, &shared->life));     /* the next holder */
    CU_ASSERT_EQUAL(look(), TARN_LIFE_HELD);
    OK(os->sync->life_drop(os, &shared->life));
    unshare_it();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "waits that end at once, and in time", waits_that_end_at_once },
        { "wait and wake between processes", between_processes },
        { "wait on several words", on_several_words },
        { "one wake wakes all", all_are_woken },
        { "the heavy barrier", heavy_barrier },
        { "X29: a lock byte falls with its process", lock_bytes },
        { "a lock byte is waited for", lock_byte_waits },
        { "lock bytes of two descriptors", lock_bytes_of_two_descriptors },
        { "the life word is taken and dropped by one thread", life_taken_and_dropped },
        { "X29: the life word tells of a death, and wakes", death_of_the_holder },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.sync", tests), CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
