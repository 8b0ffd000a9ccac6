/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that look, and rm: on regions that other programs have made. */
#include "tool.h"

#include <tarn/mpool.h>

static struct ran r;

/* An empty home called "home". */
static void before(void)
{
    tool_set_up();
    tool_expect(&r, 0, "rm -rf home && mkdir home");
}

static void says(const char *word)
{
    if (strstr(r.out, word) == NULL)
        printf("# no '%s' in\n%s", word, r.out);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, word));
}

/* ---- backends and ports ----------------------------------------------------------------------- */

static void backends_with_reasons(void)
{
    before();
    tool_expect(&r, 0, "$TARN backends home");
    says("mmap ");
    says("malloc ");
    says("shared");
    says("chosen");
    tool_expect(&r, 0, "$TARN backends --explain home");
    says("\nmmap\n  "); /* where it is, or that it is linked in */
    tool_expect(&r, 0, "$TARN backends --json --size 4M home");
    CU_ASSERT(json_valid(r.out));
    says("\"name\": \"mmap\"");
    says("\"name\": \"malloc\"");
    says("\"chosen\": true");
    tool_expect(&r, 0, "cd home && $TARN backends"); /* the current folder is a home too */
    says("chosen");
}

static void a_wrong_variable_is_answered_with_the_nearest(void)
{
    before();
    tool_complains(1, "TARN_BACKEND=nmap $TARN backends home", "nmap", "mmap", NULL);
    tool_expect(&r, 0, "TARN_BACKEND= $TARN backends home"); /* empty counts as not set */
}

static void ports_prints_the_facts(void)
{
    before();
    tool_expect(&r, 0, "$TARN ports");
    says("fact lock_byte");
    says("fact membarrier");
    tool_expect(&r, 0, "$TARN ports --json");
    CU_ASSERT(json_valid(r.out));
    says("\"fact lock_byte\"");
}

/* ---- ls, stat, rm ----------------------------------------------------------------------------- */

static void an_empty_home(void)
{
    before();
    tool_expect(&r, 0, "$TARN ls home");
    says("no regions in home");
    tool_expect(&r, 0, "$TARN ls --json home");
    CU_ASSERT(json_valid(r.out));
    tool_expect(&r, 0, "$TARN stat home");
    says("no regions in home");
    tool_expect(&r, 0, "$TARN stat --json home");
    CU_ASSERT(json_valid(r.out));
    tool_complains(1, "$TARN rm home nothing", "nothing", NULL);
    tool_expect(&r, 0, "$TARN rm --force home nothing");
}

static void a_region_and_a_pool(void)
{
    before();
    tool_expect(&r, 0, "(cd home && $EXAMPLES/hello_region) && $EXAMPLES/page_cache home");
    tool_expect(&r, 0, "$TARN ls home");
    says("hello ");
    says("plain");
    says("mpool ");
    says("pool");
    says("0600");
    tool_expect(&r, 0, "$TARN ls --json home");
    CU_ASSERT(json_valid(r.out));
    says("\"name\": \"hello\"");
    says("\"kind\": \"pool\"");
    tool_expect(&r, 0, "$TARN stat home/hello");
    says("region hello");
    says("lock_nowait ");
    tool_expect(&r, 0, "$TARN stat --json home");
    CU_ASSERT(json_valid(r.out));
    CU_ASSERT_EQUAL(json_count(r.out, "creates"), 100); /* counted since the pool was made */
    CU_ASSERT_EQUAL(json_count(r.out, "lock_nowait"), 1);
    tool_complains(1, "$TARN stat home/helo", "helo", "home", NULL);

    tool_expect(&r, 0, "$TARN rm home hello");
    says("removed region hello");
    tool_expect(&r, 0, "$TARN rm --json home mpool");
    CU_ASSERT(json_valid(r.out));
    tool_expect(&r, 0, "$TARN ls home && ls home");
    says("no regions in home\nsquares\n"); /* nothing but the page file is left */
}

/* A pool with a file open and a page pinned, in this process, seen by the tool. */
static void what_others_do_is_seen(void)
{
    struct tarn_env_config where = TARN_ENV_CONFIG_INIT;
    struct tarn_mpool_config cache = TARN_MPOOL_CONFIG_INIT;
    struct tarn_mpf_config pages = TARN_MPF_CONFIG_INIT;
    tarn_env *env;
    tarn_mpool *pool;
    tarn_mpf *file;
    char pid[40];
    void *page;

    before();
    where.home = "home";
    cache.flags = TARN_REGION_CREATE;
    pages.flags = TARN_MPF_CREATE;
    pages.page_size = 4096;
    MUST(tarn_env_open(&where, &env));
    MUST(tarn_mpool_open(env, "shop", &cache, &pool));
    MUST(tarn_mpf_open(pool, "goods", &pages, &file));
    MUST(tarn_mpf_get(file, 0, TARN_GET_CREATE, &page));
    OK(tarn_mpf_set(file, page, TARN_PAGE_DIRTY));

    tool_expect(&r, 0, "$TARN stat --json home/shop");
    CU_ASSERT(json_valid(r.out));
    CU_ASSERT_EQUAL(json_count(r.out, "pinned"), 1);
    CU_ASSERT_EQUAL(json_count(r.out, "dirty"), 1);
    CU_ASSERT_EQUAL(json_count(r.out, "procs"), 2); /* this one and the tool */
    says("goods\",");
    (void)snprintf(pid, sizeof pid, "\"pid\": %ld,", (long)getpid());
    says(pid);
    tool_expect(&r, 0, "$TARN stat home");
    says("goods");

    tool_complains(1, "$TARN rm home shop", "shop", NULL); /* in use, and still there */
    tool_expect(&r, 0, "$TARN ls home");
    says("shop");
    tool_expect(&r, 0, "$TARN rm --force home shop");
    OK(tarn_mpf_put(file, page, 0)); /* what is mapped works on */
    OK(tarn_mpf_sync(file));
    OK(tarn_mpool_close(pool));
    OK(tarn_env_close(env));
}

static void a_damaged_descriptor(void)
{
    before();
    tool_expect(&r, 0, "cd home && $EXAMPLES/hello_region && truncate -s 10 hello.tarn");
    tool_expect(&r, 1, "$TARN ls home");
    says("hello");
    says(tarn_strerror(TARN_ECORRUPT));
    tool_expect(&r, 1, "$TARN ls --json home");
    CU_ASSERT(json_valid(r.out));
    tool_complains(1, "$TARN stat home/hello", "hello", NULL);
    tool_expect(&r, 0, "$TARN rm --force home hello");
    tool_expect(&r, 0, "cd home && $EXAMPLES/hello_region");
    says("process number 1");
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "backends with reasons", backends_with_reasons },
        { "a wrong variable is answered with the nearest",
          a_wrong_variable_is_answered_with_the_nearest },
        { "ports prints the facts", ports_prints_the_facts },
        { "R26: an empty home", an_empty_home },
        { "Y9: a region and a pool", a_region_and_a_pool },
        { "Y10 R25 M6: what others do is seen", what_others_do_is_seen },
        { "R26: a damaged descriptor", a_damaged_descriptor },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "look", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
