/* SPDX-License-Identifier: BSD-2-Clause */
/* After fork: the child's handles say so, harm nobody, and work again after tarn_env_reattach(). */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "home.h"
#include "proc.h"
#include "region/own.h"
#include "region/reap.h"
#include "region/rows.h"

#define CREATE TARN_REGION_CREATE

static struct home home;
static tarn_env *env;
static tarn_region *region;

static void begin(void)
{
    home_make(&home);
    MUST(home_open_env(&home, &env));
    MUST(home_attach(env, "one", CREATE, 0, &region));
}

static void end(void)
{
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

static uint32_t living(void)
{
    struct tarn_region_stat st = { .procs = 0 };

    OK(tarn_region_stat(region, &st));
    return st.procs;
}

/* ---- without reattach ---------------------------------------------------------------------------- */

static int nobody(void *ctx, const struct tarn_participant *who)
{
    (void)ctx;
    (void)who;
    return 0;
}

static int try_everything(struct side *me)
{
    struct tarn_region_stat st;
    uint32_t lane, tag;

    (void)me;
    if (tarn_region_lock(region) != TARN_EFORK || tarn_region_unlock(region) != TARN_EFORK ||
        tarn_region_panic(region) != TARN_EFORK || tarn_region_stat(region, &st) != TARN_EFORK ||
        tarn_region_participants(region, nobody, NULL) != TARN_EFORK ||
        rows_lane(region, &lane, &tag) != TARN_EFORK ||
        rows_lane_take(region, &lane, &tag) != TARN_EFORK || region_check(region) != TARN_EFORK)
        return 1;
    if (strstr(tarn_last_message(), "tarn_env_reattach") == NULL)
        return 2;
    if (tarn_env_close(env) != TARN_EBUSY || tarn_region_detach(region) != 0)
        return 3;
    return tarn_env_close(env) == 0 ? 0 : 4;
}

static void child_that_only_leaves(void)
{
    struct child c;

    begin();
    OK(tarn_region_lock(region));
    child_start(&c, try_everything, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_EQUAL(living(), 1); /* the parent is where it was, with its lock and its byte */
    CU_ASSERT(own_holder(&region->header->lock) != 0);
    OK(tarn_region_unlock(region));
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    end();
}

/* ---- with reattach ------------------------------------------------------------------------------- */

static int open_files(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static int take_part(struct side *me)
{
    uint32_t row = region->row;
    int files = open_files();

    if (tarn_region_lock(region) != TARN_EFORK || tarn_env_reattach(env) != 0)
        return 1;
    if (region->row == row || open_files() != files) /* the parent's lock file is closed */
        return 2;
    if (tarn_region_unlock(region) != TARN_EPERM) /* the lock is the parent's */
        return 3;
    side_here(me);
    side_wait(me);
    if (tarn_region_lock(region) != 0)
        return 4;
    strcpy(tarn_region_memory(region, NULL), "child");
    if (tarn_region_unlock(region) != 0)
        return 5;
    side_here(me);
    side_wait(me);
    return tarn_region_detach(region) == 0 && tarn_env_close(env) == 0 ? 0 : 6;
}

static void child_that_takes_part(void)
{
    struct child c;

    begin();
    OK(tarn_region_lock(region));
    child_start(&c, take_part, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT_EQUAL(living(), 2);
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "");
    child_go_on(&c);
    OK(tarn_region_unlock(region));
    CU_ASSERT(child_await(&c));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "child");
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_EQUAL(living(), 1);
    OK(tarn_env_reattach(env)); /* nothing to do in the parent */
    CU_ASSERT_EQUAL(living(), 1);
    end();
}

static int die_as_participant(struct side *me)
{
    if (tarn_env_reattach(env) != 0 || tarn_region_lock(region) != 0)
        return 1;
    side_here(me);
    side_wait(me);
    return 2;
}

static void child_that_dies(void)
{
    struct child c;

    begin();
    child_start(&c, die_as_participant, NULL);
    CU_ASSERT(child_await(&c));
    child_kill(&c);
    FAILS(TARN_EOWNERDEAD, tarn_region_lock(region));
    OK(tarn_region_unlock(region));
    CU_ASSERT_EQUAL(living(), 1);
    end();
}

/* The parent dies; the child, which had reattached, is not taken for it, and repairs. */
static int parent_with_child(struct side *me)
{
    if (tarn_env_reattach(env) != 0)
        return 1;
    if (tarn_region_lock(region) != 0)
        return 2;
    if (fork() == 0) {
        if (tarn_env_reattach(env) != 0)
            _exit(3);
        side_here(me);
        side_wait(me); /* the parent is dead by now */
        if (tarn_region_lock(region) != TARN_EOWNERDEAD)
            strcpy(tarn_region_memory(region, NULL), "wrong");
        else
            strcpy(tarn_region_memory(region, NULL), "right");
        if (tarn_region_unlock(region) != 0)
            strcpy(tarn_region_memory(region, NULL), "worse");
        side_here(me);
        _exit(0);
    }
    for (;;)
        (void)pause();
}

static void parent_that_dies(void)
{
    struct child c;

    CU_ASSERT_EQUAL_FATAL(prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L), 0);
    begin();
    child_start(&c, parent_with_child, NULL);
    CU_ASSERT(child_await(&c));
    (void)kill(c.pid, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(c.pid, NULL, 0), c.pid);
    child_go_on(&c);
    CU_ASSERT(child_await(&c));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "right");
    CU_ASSERT(waitpid(-1, NULL, 0) > 0); /* the grandchild has ended, too */
    (void)close(c.to);
    (void)close(c.from);
    (void)reap_sweep(region);
    CU_ASSERT_EQUAL(living(), 1);
    end();
}

/* ---- what cannot be -------------------------------------------------------------------------------*/

static int reattach_private(struct side *me)
{
    (void)me;
    if (tarn_env_reattach(env) != TARN_ENOSYS)
        return 1;
    return strstr(tarn_last_message(), "private") == NULL ? 2 : 0;
}

static void private_memory_is_the_parents(void)
{
    struct child c;
    tarn_region *mine;

    begin();
    MUST(home_attach(env, "own", TARN_REGION_PRIVATE, 0, &mine));
    child_start(&c, reattach_private, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    OK(tarn_region_detach(mine));
    end();
}

static int reattach_removed(struct side *me)
{
    side_here(me);
    side_wait(me);
    return tarn_env_reattach(env) == TARN_ENOENT ? 0 : 1;
}

static void removed_before_reattach(void)
{
    struct child c;

    begin();
    child_start(&c, reattach_removed, NULL);
    CU_ASSERT(child_await(&c));
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    OK(tarn_region_detach(region));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- memory that only children share ------------------------------------------------------------- */

static int find_anon(void *ctx, const struct tarn_backend_info *info)
{
    *(int *)ctx += strcmp(info->name, "anon") == 0 && (info->caps & TARN_CAP_FORK) != 0;
    return 0;
}

/* A child may also join by name, in an environment of its own. */
static int join_as_child(struct side *me)
{
    tarn_region *r;
    tarn_env *e;

    (void)me;
    if (home_open_env(&home, &e) != 0 || home_attach(e, "anon", 0, 0, &r) != 0)
        return 1;
    strcpy(tarn_region_memory(r, NULL), "joined");
    if (tarn_region_detach(r) != 0)
        return 2;
    return tarn_region_remove(e, "anon", 0) == TARN_EBUSY ? 0 : 3;
}

static void memory_of_the_family(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct child c;
    int found = 0;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    OK(tarn_backend_list(env, 65536, find_anon, &found));
    OK(tarn_env_close(env));
    if (found == 0) {
        home_remove(&home);
        SKIP("no backend is shared by fork only");
    }
    config.home = home.path;
    config.backend_required = "anon";
    MUST(tarn_env_open(&config, &env));
    MUST(home_attach(env, "anon", CREATE, 0, &region));
    CU_ASSERT_EQUAL(home_files(&home, 0), 2);
    child_start(&c, join_as_child, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "joined");
    child_start(&c, die_as_participant, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT_EQUAL(living(), 2);
    child_kill(&c);
    FAILS(TARN_EOWNERDEAD, tarn_region_lock(region));
    OK(tarn_region_unlock(region));
    child_start(&c, take_part, NULL);
    CU_ASSERT(child_await(&c));
    child_go_on(&c);
    CU_ASSERT(child_await(&c));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "child");
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    OK(tarn_region_detach(region)); /* the memory goes with the last one */
    FAILS(TARN_ENOENT, home_attach(env, "anon", 0, 0, &region));
    MUST(home_attach(env, "anon", CREATE, 0, &region));
    CU_ASSERT_EQUAL(tarn_region_created(region), 1);
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "");
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(env, "anon", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- fork among threads -------------------------------------------------------------------------- */

static _Atomic int stop;

static void *churn(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        tarn_region *r;

        if (home_attach(env, "churn", CREATE, 0, &r) != 0 || tarn_region_lock(r) != 0 ||
            tarn_region_unlock(r) != 0 || tarn_region_detach(r) != 0)
            return (void *)1;
    }
    return NULL;
}

static int leave_or_take_part(struct side *me)
{
    if (*(int *)me->arg % 2 == 0)
        return tarn_region_lock(region) == TARN_EFORK ? 0 : 1;
    /* the other thread may have had a region of its own, which the child cannot see the end of */
    (void)tarn_env_reattach(env);
    if (tarn_region_lock(region) != 0)
        return 2;
    return tarn_region_unlock(region) == 0 && tarn_region_detach(region) == 0 ? 0 : 3;
}

static void fork_while_threads_attach(void)
{
    pthread_t t;
    void *wrong;

    begin();
    atomic_store(&stop, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, churn, NULL), 0);
    for (int i = 0; i < 40; i++) {
        struct child c;

        child_start(&c, leave_or_take_part, &i);
        CU_ASSERT_EQUAL(child_end(&c), 0);
    }
    atomic_store(&stop, 1);
    (void)pthread_join(t, &wrong);
    CU_ASSERT_PTR_NULL(wrong);
    OK(tarn_region_remove(env, "churn", TARN_REMOVE_FORCE));
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "a child that only leaves", child_that_only_leaves },
        { "a child that takes part", child_that_takes_part },
        { "X29: a child that dies", child_that_dies },
        { "X29: a parent that dies", parent_that_dies },
        { "R9: private memory is the parent's", private_memory_is_the_parents },
        { "R13 P3: memory that only children share", memory_of_the_family },
        { "R26: removed before reattach", removed_before_reattach },
        { "fork while other threads attach", fork_while_threads_attach },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "fork", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
