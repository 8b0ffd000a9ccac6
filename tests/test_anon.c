/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of anonymous memory: for who made them and its children by fork, with a clear word to
 * everybody else, and gone with the last of them.
 */
#include <sys/prctl.h>

#include "home.h"
#include "proc.h"
#include "region/handle.h"
#include "region/rows.h"

#define CREATE TARN_REGION_CREATE

static struct home home;
static tarn_env *env;
static tarn_region *region;

static tarn_env *env_with(const char *required, const char *wished, const char *dir)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_env *e = NULL;

    config.home = dir;
    config.backend_required = required;
    config.backend = wished;
    MUST(tarn_env_open(&config, &e));
    return e;
}

static void begin(void)
{
    home_make(&home);
    env = env_with("anon", NULL, home.path);
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

static char *text_of(tarn_region *r) { return tarn_region_memory(r, NULL); }

static void backend_is(tarn_region *r, const char *name)
{
    struct tarn_region_stat st;

    MUST(tarn_region_stat(r, &st));
    CU_ASSERT_STRING_EQUAL(st.backend, name);
}

/* ---- who gets it --------------------------------------------------------------------------------- */

static int is_chosen(void *ctx, const struct tarn_backend_info *info)
{
    *(int *)ctx += info->chosen && strcmp(info->name, "anon") == 0;
    return 0;
}

static void made_with(const char *required, const char *wished, const char *got)
{
    tarn_env *e = env_with(required, wished, home.path);
    tarn_region *r = NULL;
    int chosen = 0;

    OK(tarn_backend_list(e, 65536, is_chosen, &chosen));
    CU_ASSERT_EQUAL(chosen, strcmp(got, "anon") == 0); /* what is said is what is done */
    MUST(home_attach(e, "one", CREATE, 0, &r));
    backend_is(r, got);
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(e, "one", 0));
    OK(tarn_env_close(e));
}

/* A region with a name is joined by name if it can be: anon is taken where nothing else is asked for. */
static void only_who_asks_for_it(void)
{
    home_make(&home);
    made_with("anon", NULL, "anon");
    made_with(NULL, "anon", "anon");
    made_with(NULL, "malloc,anon", "anon");
    made_with(NULL, "anon,mmap", "mmap");
    made_with(NULL, NULL, "mmap");
    made_with(NULL, "^malloc", "mmap");
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    home_remove(&home);
}

/* The order of the ports file never ends in memory that the next process cannot join. */
static void never_by_itself(void)
{
    tarn_region *r = NULL;
    tarn_env *e;

    home_make(&home);
    e = env_with(NULL, "^mmap,^sysv", home.path);
    FAILS(TARN_ENOSYS, home_attach(e, "one", CREATE, 0, &r));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "anon: anonymous memory is shared by fork"));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(e));
    home_remove(&home);
}

static void private_regions(void)
{
    tarn_env *e = env_with("anon", NULL, NULL);
    tarn_region *r;

    MUST(home_attach(e, NULL, CREATE, 100000, &r));
    backend_is(r, "anon");
    memset(text_of(r), 1, 100000);
    OK(tarn_region_detach(r));
    OK(tarn_env_close(e));
}

/* The kernel's list of what this process has mapped. */
static int maps_have(const char *name)
{
    char line[1024];
    int found = 0;
    FILE *f = fopen("/proc/self/maps", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        found += strstr(line, name) != NULL && strstr(line, " rw-s ") != NULL;
    if (f != NULL)
        (void)fclose(f);
    return found;
}

static void no_system_resource(void)
{
    int before = maps_have("/dev/zero (deleted)");

    begin();
    CU_ASSERT(maps_have("/dev/zero (deleted)") > before);
    CU_ASSERT_EQUAL(maps_have(home.path), 0);
    CU_ASSERT_EQUAL(home_files(&home, 0), 2); /* descriptor and lock file, no memory */
    end();
    CU_ASSERT_EQUAL(maps_have("/dev/zero (deleted)"), before);
}

/* ---- one process --------------------------------------------------------------------------------- */

static void attached_twice(void)
{
    tarn_region *again = NULL, *none = NULL;
    struct tarn_region_stat st;

    begin();
    FAILS(TARN_EEXIST, home_attach(env, "one", CREATE | TARN_REGION_EXCL, 0, &none));
    MUST(home_attach(env, "one", 0, 0, &again));
    MUST(tarn_region_stat(region, &st));
    CU_ASSERT_EQUAL(st.procs, 2);
    strcpy(text_of(region), "twice");
    CU_ASSERT_STRING_EQUAL(text_of(again), "twice");
    OK(tarn_region_lock(region));
    OK(tarn_region_unlock(region));
    OK(tarn_region_detach(region)); /* the first goes, the second stays */
    CU_ASSERT_STRING_EQUAL(text_of(again), "twice");
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    region = again;
    end();
}

static void through_another_table(void)
{
    static const struct tarn_os nothing = { .size = sizeof(nothing), .name = "nothing" };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_region *none = NULL;
    tarn_env *other;

    begin();
    config.home = home.path;
    config.os = &nothing;
    MUST(tarn_env_open(&config, &other));
    FAILS(TARN_ENOSYS, home_attach(other, "one", 0, 0, &none));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "another table"));
    OK(tarn_env_close(other));
    end();
}

static void gone_with_the_last(void)
{
    tarn_region *none = NULL;

    begin();
    strcpy(text_of(region), "old");
    OK(tarn_region_detach(region));
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &none));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    MUST(home_attach(env, "one", CREATE, 0, &region));
    CU_ASSERT_EQUAL(tarn_region_created(region), 1);
    CU_ASSERT_STRING_EQUAL(text_of(region), "");
    OK(tarn_region_detach(region));
    MUST(
        home_attach(env, "one", CREATE | TARN_REGION_EXCL, 0, &region)); /* nothing is in the way */
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    strcpy(text_of(region), "mine still");
    OK(tarn_region_detach(region));
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- strangers ----------------------------------------------------------------------------------- */

/* This program anew: `test_anon stranger HOME`. */
static int be_a_stranger(const char *path)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_region *r = NULL;
    tarn_env *e;

    config.home = path;
    if (tarn_env_open(&config, &e) != TARN_OK)
        return 5;
    if (home_attach(e, "one", 0, 0, &r) != TARN_ENOSYS ||
        strstr(tarn_last_message(), "by fork") == NULL ||
        strstr(tarn_last_message(), "region one") == NULL)
        return 1;
    if (home_attach(e, "one", CREATE, 0, &r) != TARN_ENOSYS || r != NULL)
        return 2;
    if (tarn_region_remove(e, "one", 0) != TARN_EBUSY)
        return 3;
    return tarn_env_close(e) == TARN_OK ? 0 : 4;
}

static void strangers_are_told(void)
{
    char line[256];

    begin();
    (void)snprintf(line, sizeof(line), "/proc/%ld/exe stranger %s", (long)getpid(), home.path);
    CU_ASSERT_EQUAL(system(line), 0);
    CU_ASSERT_EQUAL(home_has(&home, "one.tarn"), 1);
    OK(tarn_region_lock(region)); /* nothing has happened to it */
    OK(tarn_region_unlock(region));
    end();
}

/* ---- children ------------------------------------------------------------------------------------ */

static int share(struct side *me)
{
    uint32_t lane, tag;

    if (tarn_region_lock(region) != TARN_EFORK || tarn_env_reattach(env) != TARN_OK ||
        tarn_region_lock(region) != TARN_OK)
        return 1;
    if (strcmp(text_of(region), "parent") != 0)
        return 2;
    strcpy(text_of(region), "child");
    if (tarn_region_unlock(region) != TARN_OK)
        return 3;
    for (int i = 0; i < 3 * LANE_CHUNK; i++) /* the region grows, seen by all */
        if (rows_lane_take(region, &lane, &tag) != TARN_OK)
            return 4;
    side_here(me);
    side_wait(me);
    return tarn_region_detach(region) == TARN_OK && tarn_env_close(env) == TARN_OK ? 0 : 5;
}

static void children_share_it(void)
{
    struct tarn_region_stat st;
    struct child c;

    begin();
    strcpy(text_of(region), "parent");
    child_start(&c, share, NULL);
    CU_ASSERT(child_await(&c));
    CU_ASSERT_STRING_EQUAL(text_of(region), "child");
    MUST(tarn_region_stat(region, &st));
    CU_ASSERT_EQUAL(st.procs, 2);
    CU_ASSERT(st.threads > 3 * LANE_CHUNK);
    CU_ASSERT(rows_lane_count(region) > 3 * LANE_CHUNK);
    CU_ASSERT_STRING_NOT_EQUAL(st.memory, "");
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    end();
}

/* By the name, like anybody, since it has the memory. */
static int join_by_name(struct side *me)
{
    tarn_env *e = env_with(NULL, NULL, home.path);
    tarn_region *r = NULL;

    (void)me;
    if (home_attach(e, "one", 0, 0, &r) != TARN_OK || strcmp(text_of(r), "parent") != 0)
        return 1;
    strcpy(text_of(r), "joined");
    return tarn_region_detach(r) == TARN_OK && tarn_env_close(e) == TARN_OK ? 0 : 2;
}

static void children_join_by_name(void)
{
    struct child c;

    begin();
    strcpy(text_of(region), "parent");
    child_start(&c, join_by_name, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_STRING_EQUAL(text_of(region), "joined");
    end();
}

static int hold_and_die(struct side *me)
{
    if (tarn_env_reattach(env) != TARN_OK || tarn_region_lock(region) != TARN_OK)
        return 1;
    side_here(me);
    side_wait(me);
    return 2;
}

static void a_child_is_killed(void)
{
    struct child c;

    begin();
    child_start(&c, hold_and_die, NULL);
    CU_ASSERT(child_await(&c));
    child_kill(&c);
    FAILS(TARN_EOWNERDEAD, tarn_region_lock(region));
    OK(tarn_region_unlock(region));
    end();
}

/* A maker that is killed while a child of its own goes on, until that one is told to end. */
static int make_and_fork(struct side *me)
{
    env = env_with("anon", NULL, home.path);
    MUST(home_attach(env, "one", CREATE, 0, &region));
    strcpy(text_of(region), "inherited");
    if (fork() == 0) {
        if (tarn_env_reattach(env) != TARN_OK)
            _exit(1);
        side_here(me);
        side_wait(me); /* the maker is dead by now */
        if (tarn_region_lock(region) != TARN_OK || strcmp(text_of(region), "inherited") != 0 ||
            tarn_region_unlock(region) != TARN_OK)
            _exit(2);
        side_here(me);
        side_wait(me);
        _exit(0); /* without detaching */
    }
    for (;;)
        (void)pause();
}

static void the_maker_is_killed(void)
{
    tarn_region *r = NULL;
    struct child c;
    int status = -1;

    CU_ASSERT_EQUAL_FATAL(prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L), 0);
    home_make(&home);
    child_start(&c, make_and_fork, NULL);
    CU_ASSERT_FATAL(child_await(&c));
    env = env_with("anon", NULL, home.path);
    (void)kill(c.pid, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(c.pid, NULL, 0), c.pid);
    FAILS(TARN_ENOSYS, home_attach(env, "one", CREATE, 0, &r)); /* not gone: the child has it */
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    child_go_on(&c);
    CU_ASSERT(child_await(&c));
    child_go_on(&c);
    CU_ASSERT(waitpid(-1, &status, 0) > 0); /* the child that went on */
    CU_ASSERT_EQUAL(status, 0);
    (void)close(c.to);
    (void)close(c.from);
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &r));
    MUST(home_attach(env, "one", CREATE, 0, &region));
    CU_ASSERT_STRING_EQUAL(text_of(region), "");
    end();
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "P1: only who asks for it", only_who_asks_for_it },
        { "P1: never by itself", never_by_itself },
        { "private regions", private_regions },
        { "P3: no resource of the system", no_system_resource },
        { "R13: attached twice by one process", attached_twice },
        { "P4: through another table", through_another_table },
        { "R13 R14 R25 R26: gone with the last, and nothing is in the way", gone_with_the_last },
        { "P3 X8: strangers are told, and take nothing away", strangers_are_told },
        { "children share it, and what is grown", children_share_it },
        { "children join by name", children_join_by_name },
        { "X29: a child is killed", a_child_is_killed },
        { "X29 X8: the maker is killed, a child goes on", the_maker_is_killed },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "anon", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };

    if (argc == 3 && strcmp(argv[1], "stranger") == 0)
        return be_a_stranger(argv[2]);
    return run_suites(suites);
}
