/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every call of the system fails once, under attach, use, detach and remove: the caller gets an error
 * or the call is one that may fail unseen (listed below), nothing is held, and nothing is in the way
 * of the next.
 */
#include "home.h"
#include "os/shim/fault.h"
#include "proc.h"
#include "region/descriptor.h"
#include "region/reap.h"
#include "region/rows.h"

#define CREATE TARN_REGION_CREATE

enum { CALLS_MAX = 1000 };

/* Calls whose failure is no failure of the operation, and why. */
static const struct {
    const char *slot, *why;
} absorbed[] = {
    { "close", "what was needed is done, and the file is gone all the same" },
    { "unlink", "a name that clears up after another failure: the next one clears it" },
    { "map", "a smaller reserve is asked for when memory is short" },
    { "unmap", "only looked at: the mapping is gone all the same" },
    { "module_open", "another backend serves, or the one that is linked in" },
    { "dirlist", "what else is installed, for messages" },
    { "exists", "only whether a lock file may be cleared away: it is left" },
    { "ioinfo", "only whether another failure is worth a message" },
    { "fsinfo", "a note for the user" },
    { "dontdump", "a hint" },
    { "cpus", "counted as one" },
    { "barrier_register", "pins are by exchange then" },
    { "barrier", "pins are by exchange then" },
    { "wait", "looked at again" },
    { "wake", "who sleeps looks every 10 ms" },
    { "lock_byte", "letting go: the close that follows does it; asking: taken for held" },
    { "life_look", "a hint: the lock byte decides" },
    { "life_drop", "the word is one of two witnesses, and the row is given back" },
    { "alive", "taken for alive" },
    { "getenv", "as if it were not set" },
    { "boot_id", "unknown: lock bytes decide alone" },
    { "limits", "no limit is known" },
    { "clock", "how long to wait is bounded by the tries then" },
    { "yield", "nothing depends on it" },
    { "sleep", "the wait is cut short" },
    { "last_error", "words for a message" },
};

static bool may_be_absorbed(const char *slot)
{
    for (size_t i = 0; i < sizeof(absorbed) / sizeof(absorbed[0]); i++)
        if (strcmp(slot, absorbed[i].slot) == 0)
            return true;
    return false;
}

static const int errors[] = { TARN_EIO, TARN_ENOMEM, TARN_ENOSPC, TARN_EACCES, TARN_EMFILE };
enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

static struct home home;
static struct fault *fault;
static tarn_env *env, *sound; /* through the fault level, and beside it */

static void begin(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    home_make(&home);
    MUST(home_open_env(&home, &sound));
    MUST(fault_new(tarn_os_host(), &fault));
    MUST(fault_choose(fault, "*"));
    fault_arm(fault, 0, TARN_EIO, FAULT_ONCE);
    config.home = home.path;
    config.os = fault_os(fault);
    config.backend = "mmap,malloc"; /* no other backend makes good for a failure of these */
    MUST(tarn_env_open(&config, &env));
}

static void end(void)
{
    OK(tarn_env_close(env));
    CU_ASSERT_EQUAL(fault_held_all(fault), 0);
    fault_free(fault);
    OK(tarn_env_close(sound));
    home_remove(&home);
}

static void complain(const char *step, long n, int err, int got)
{
    printf("# %s, call %ld (%s) with %s: %s: %s\n", step, n, fault_where(fault), tarn_err_name(err),
           tarn_err_name(got), tarn_last_message());
}

/* The step failed as it should: with an error and a message, or unseen where that may be. */
static void judge(const char *step, long n, int err, int got)
{
    bool well;

    if (fault_fired(fault) == 0)
        well = got == TARN_OK;
    else if (got == TARN_OK)
        well = may_be_absorbed(fault_where(fault));
    else
        well = tarn_last_message()[0] != '\0';
    if (!well)
        complain(step, n, err, got);
    CU_ASSERT(well);
}

/* ---- attach -------------------------------------------------------------------------------------- */

/* attach fails at call n; afterwards all works.  False: n is more calls than it makes. */
static bool attach_fails(long n, int err, bool there)
{
    tarn_region *r = NULL;
    long before = fault_held_all(fault);
    bool fired;
    int got;

    fault_arm(fault, n, err, FAULT_ONCE);
    got = home_attach(env, "one", CREATE, 0, &r);
    fired = fault_fired(fault) > 0;
    judge("attach", n, err, got);
    fault_arm(fault, 0, err, FAULT_ONCE);
    if (got != TARN_OK) {
        /* a lock file that could not be locked cannot be taken away either: the next one does that */
        int lock = strstr(tarn_last_message(), "one.lock") != NULL && home_has(&home, "one.lock");
        int files = there ? 3 : lock;

        CU_ASSERT_PTR_NULL(r);
        if (fault_held_all(fault) != before || home_files(&home, 0) != files) {
            fault_arm(fault, 0, err, FAULT_ONCE);
            complain("left behind by attach", n, err, got);
        }
        CU_ASSERT_EQUAL(fault_held_all(fault), before);
        CU_ASSERT_EQUAL(home_files(&home, 0), files);
        MUST(home_attach(env, "one", CREATE, 0, &r));
    }
    OK(tarn_region_lock(r));
    OK(tarn_region_unlock(r));
    OK(tarn_region_detach(r));
    return fired;
}

static void attach_makes(void)
{
    for (int e = 0; e < ERRORS; e++) {
        long n = 1;

        begin();
        /* what a process does once: the module of the backend, being told of the thread's end */
        CU_ASSERT(attach_fails(CALLS_MAX, errors[e], false) == false);
        OK(tarn_region_remove(env, "one", 0));
        while (attach_fails(n, errors[e], false) && n < CALLS_MAX) {
            OK(tarn_region_remove(env, "one", 0));
            CU_ASSERT_EQUAL(home_files(&home, 0), 0);
            n++;
        }
        CU_ASSERT(n > 25 && n < CALLS_MAX);
        OK(tarn_region_remove(env, "one", 0));
        end();
    }
}

static void attach_makes_private(void)
{
    for (int e = 0; e < ERRORS; e++) {
        long n = 1, fired = 1;

        begin();
        for (; fired > 0 && n < CALLS_MAX; n++) {
            long before = fault_held_all(fault);
            tarn_region *r = NULL;
            int got;

            fault_arm(fault, n, errors[e], FAULT_ONCE);
            got = home_attach(env, "one", TARN_REGION_PRIVATE, 0, &r);
            fired = fault_fired(fault);
            judge("private attach", n, errors[e], got);
            fault_arm(fault, 0, errors[e], FAULT_ONCE);
            if (got == TARN_OK)
                OK(tarn_region_detach(r));
            else
                CU_ASSERT_PTR_NULL(r);
            CU_ASSERT_EQUAL(fault_held_all(fault), before);
            CU_ASSERT_EQUAL(home_files(&home, 0), 0);
        }
        CU_ASSERT(n > 4 && n < CALLS_MAX);
        end();
    }
}

static void attach_joins(void)
{
    for (int e = 0; e < ERRORS; e++) {
        tarn_region *witness;
        long n = 1;

        begin();
        MUST(home_attach(sound, "one", CREATE, 0, &witness));
        while (attach_fails(n, errors[e], true) && n < CALLS_MAX) {
            struct tarn_region_stat st;

            OK(tarn_region_stat(witness, &st));
            CU_ASSERT_EQUAL(st.procs, 1);
            n++;
        }
        CU_ASSERT(n > 15 && n < CALLS_MAX);
        OK(tarn_region_detach(witness));
        OK(tarn_region_remove(sound, "one", 0));
        end();
    }
}

/* ---- the others ---------------------------------------------------------------------------------- */

static void detach_fails(void)
{
    for (int e = 0; e < ERRORS; e++) {
        long n = 1, fired = 1;

        begin();
        for (; fired > 0 && n < CALLS_MAX; n++) {
            tarn_region *r, *witness;
            struct tarn_region_stat st;
            int got;

            MUST(home_attach(sound, "one", CREATE, 0, &witness));
            MUST(home_attach(env, "one", 0, 0, &r));
            OK(tarn_region_lock(r));
            fault_arm(fault, n, errors[e], FAULT_ONCE);
            got = tarn_region_detach(r);
            fired = fault_fired(fault);
            judge("detach", n, errors[e], got);
            fault_arm(fault, 0, errors[e], FAULT_ONCE);
            OK(tarn_region_lock(witness)); /* what it held was given back */
            OK(tarn_region_unlock(witness));
            (void)reap_sweep(witness);
            OK(tarn_region_stat(witness, &st));
            CU_ASSERT_EQUAL(st.procs, 1);
            OK(tarn_region_detach(witness));
            OK(tarn_region_remove(sound, "one", 0));
            CU_ASSERT_EQUAL(home_files(&home, 0), 0);
        }
        CU_ASSERT(n > 3 && n < CALLS_MAX);
        end();
    }
}

static void remove_fails_with(unsigned flags)
{
    for (int e = 0; e < ERRORS; e++) {
        long n = 1, fired = 1;

        begin();
        for (; fired > 0 && n < CALLS_MAX; n++) {
            long before = fault_held_all(fault);
            tarn_region *r;
            int got;

            MUST(home_attach(sound, "one", CREATE, 0, &r));
            OK(tarn_region_detach(r));
            fault_arm(fault, n, errors[e], FAULT_ONCE);
            got = tarn_region_remove(env, "one", flags);
            fired = fault_fired(fault);
            if (got != TARN_OK || fired == 0 || !(flags & TARN_REMOVE_FORCE))
                judge("remove", n, errors[e], got);
            fault_arm(fault, 0, errors[e], FAULT_ONCE);
            CU_ASSERT_EQUAL(fault_held_all(fault), before);
            OK(tarn_region_remove(sound, "one", TARN_REMOVE_FORCE));
            if (home_files(&home, 0) != 0)
                complain("left behind by remove", n, errors[e], got);
            CU_ASSERT_EQUAL(home_files(&home, 0), 0);
            (void)home_files(&home, 1);
        }
        CU_ASSERT(n > 8 && n < CALLS_MAX);
        end();
    }
}

static void remove_fails(void) { remove_fails_with(0); }

static void remove_by_force_fails(void) { remove_fails_with(TARN_REMOVE_FORCE); }

static void env_open_fails(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    long n = 1, fired = 1;

    begin();
    config.home = home.path;
    config.os = fault_os(fault);
    config.backend = "mmap";
    for (; fired > 0 && n < CALLS_MAX; n++) {
        long before = fault_held_all(fault);
        tarn_env *e = NULL;
        int got;

        fault_arm(fault, n, TARN_ENOMEM, FAULT_ONCE);
        got = tarn_env_open(&config, &e);
        fired = fault_fired(fault);
        judge("env open", n, TARN_ENOMEM, got);
        fault_arm(fault, 0, TARN_ENOMEM, FAULT_ONCE);
        if (got == TARN_OK)
            OK(tarn_env_close(e));
        CU_ASSERT_EQUAL(fault_held_all(fault), before);
    }
    CU_ASSERT(n > 3 && n < CALLS_MAX);
    end();
}

/* Whatever fails, and however often, reaping harms nobody who lives. */
static void witnesses_fail(void)
{
    static const char *const slots[] = { "lock_byte", "life_look", "alive" };
    struct tarn_region_stat st;
    tarn_region *r, *other;

    for (int i = 0; i < 3; i++) {
        begin();
        MUST(home_attach(env, "one", CREATE, 0, &r));
        MUST(home_attach(sound, "one", 0, 0, &other));
        MUST(fault_choose(fault, slots[i]));
        fault_arm(fault, 1, TARN_EIO, FAULT_ALWAYS);
        CU_ASSERT_EQUAL(reap_sweep(r), 0);
        fault_arm(fault, 0, TARN_EIO, FAULT_ONCE);
        OK(tarn_region_stat(r, &st));
        CU_ASSERT_EQUAL(st.procs, 2);
        OK(tarn_region_detach(other));
        OK(tarn_region_detach(r));
        end();
    }
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "env: every call fails", env_open_fails },
        { "R11 R18 R20 M4: making: every call fails", attach_makes },
        { "R9 R21 X3: making a private one: every call fails", attach_makes_private },
        { "R12 R19 R20 X8: joining: every call fails", attach_joins },
        { "R23 R24 X5: leaving: every call fails", detach_fails },
        { "R25: removing: every call fails", remove_fails },
        { "R26: removing by force: every call fails", remove_by_force_fails },
        { "X29: witnesses that fail kill nobody", witnesses_fail },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "region-fault", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
