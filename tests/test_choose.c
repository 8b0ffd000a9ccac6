/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which backend serves a region.  The candidates are fakes: alpha and beta serve, full has no space,
 * local serves nobody but its own process, old is of another ABI.
 */
#include "check.h"

#include "backends/choose.h"

#include <string.h>
#include <unistd.h>

static char why[1024];
static struct choose_result result;
static struct choose_wish wish;
static struct tarn_segment_request req;

static int choose(const char *variable)
{
    wish.variable = variable;
    memset(&result, 0, sizeof(result));
    why[0] = '\0';
    return choose_backend(tarn_os_host(), &wish, &req, &result, why, sizeof(why));
}

static int begin(void)
{
    memset(&wish, 0, sizeof(wish));
    wish.order = "full,alpha";
    memset(&req, 0, sizeof(req));
    req.size = 8192;
    req.reserve = 8192;
    req.shared = 1;
    return 0;
}

static void chosen(const char *name)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(result.backend);
    CU_ASSERT_STRING_EQUAL(result.backend->name, name);
}

static void text_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        printf("# \"%s\" does not say \"%s\"\n", text, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static void the_first_that_serves_is_taken(void)
{
    begin();
    OK(choose("beta,alpha"));
    chosen("beta");
    text_has(result.reasons, "beta: chosen by TARN_BACKEND (nowhere, 4096 bytes free)");
    CU_ASSERT_EQUAL(result.found.avail, 4096);
    OK(choose("full,alpha,beta"));
    chosen("alpha");
    text_has(result.reasons, "full: passed over, full has no 8192 bytes; alpha: chosen");
    OK(choose(" alpha , beta"));
    chosen("alpha");
}

static void what_is_optional_is_skipped_quietly(void)
{
    begin();
    OK(choose("full?,alpha"));
    chosen("alpha");
    CU_ASSERT_PTR_NULL(strstr(result.reasons, "full"));
    OK(choose("zeta?,beta"));
    chosen("beta");
    CU_ASSERT_PTR_NULL(strstr(result.reasons, "zeta"));
    OK(choose("beta?,alpha"));
    chosen("beta");
    FAILS(TARN_ENOSPC, choose("full?,zeta?"));
    text_has(why, "full: full has no");
    text_has(why, "zeta: ");
    FAILS(TARN_ENOSYS,
          choose("zeta?,full?")); /* never ENOENT: that is a region that is not there */
}

static void what_is_excluded_is_never_taken(void)
{
    begin();
    OK(choose("alpha,^alpha,beta"));
    chosen("beta");
    OK(choose("^alpha,alpha,beta"));
    chosen("beta");
    wish.order = "alpha,beta";
    OK(choose("^alpha"));
    chosen("beta");
    OK(choose("^zeta?"));
    chosen("alpha");
    FAILS(TARN_EINVAL, choose("^alpha,^beta"));
    text_has(why, "excludes them all");
    FAILS(TARN_EINVAL, choose("^zeta"));
}

static void an_unknown_name_suggests_the_nearest(void)
{
    static const struct {
        const char *list, *nearest;
    } all[] = {
        { "alhpa", "\"alpha\"" },
        { "beta,ful", "\"full\"" },
        { "^bta", "\"beta\"" },
        { "loca", "\"local\"" },
    };

    begin();
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        FAILS(TARN_EINVAL, choose(all[i].list));
        text_has(why, all[i].list);
        text_has(why, "TARN_BACKEND");
        text_has(why, "did you mean");
        text_has(why, all[i].nearest);
        FAILS(TARN_EINVAL, choose_check(tarn_os_host(), &wish, why, sizeof(why)));
        CU_ASSERT_PTR_NULL(result.backend);
    }
    FAILS(TARN_EINVAL, choose("quicksilver"));
    CU_ASSERT_PTR_NULL(strstr(why, "did you mean"));
    text_has(why, "installed: alpha ");
    text_has(why, " beta full ");
    wish.variable = "full,zeta?";
    OK(choose_check(tarn_os_host(), &wish, why, sizeof(why)));
}

static void words_that_are_none(void)
{
    static const char *const bad[] = {
        ",", "alpha,", "alpha,,beta", "al pha",  "Alpha",           "alpha/beta",
        "^", "?",      "^^x",         "alpha??", "abcdefghijklmnop"
    };

    begin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FAILS(TARN_EINVAL, choose(bad[i]));
        text_has(why, bad[i]);
    }
}

static void who_decides(void)
{
    begin();
    OK(choose(NULL));
    chosen("alpha");
    text_has(result.reasons, "the order of the ports file");
    text_has(result.reasons, "full: passed over");
    wish.configured = "beta";
    OK(choose(NULL));
    chosen("beta");
    wish.preferred = "alpha";
    OK(choose(""));
    chosen("alpha");
    OK(choose("beta"));
    chosen("beta");
    wish.required = "alpha";
    OK(choose("beta"));
    chosen("alpha");
    text_has(result.reasons, "requires");
    wish.required = "";
    OK(choose("beta"));
    chosen("beta");
}

/* A list that decides and finds nothing is an error, whatever lists of less authority would give. */
static void nothing_is_changed_silently(void)
{
    begin();
    wish.preferred = "alpha";
    FAILS(TARN_ENOSPC, choose("full"));
    CU_ASSERT_PTR_NULL(result.backend);
    wish.required = "local,full";
    FAILS(TARN_ENOSYS, choose("alpha"));
    text_has(why, "shared region of 8192 bytes");
    text_has(why, "local: local has no 8192 bytes");
    text_has(why, "full: full has no 8192 bytes");
}

static void what_is_of_one_process_serves_private_regions(void)
{
    begin();
    OK(choose("local,alpha"));
    chosen("alpha");
    text_has(result.reasons, "local: passed over");
    req.shared = 0;
    OK(choose("local,alpha"));
    chosen("local");
}

static void a_module_of_another_abi_is_a_reason(void)
{
    begin();
    OK(choose("old,alpha"));
    chosen("alpha");
    text_has(result.reasons, "old: passed over, backend old is built for backend ABI 77");
    FAILS(TARN_EVERSION, choose("old"));
    text_has(why, "ABI 77");
}

static void joiners_never_hear_enoent(void)
{
    const struct tarn_backend *b = NULL;

    OK(choose_by_name(tarn_os_host(), "alpha", &b, why, sizeof(why)));
    CU_ASSERT_STRING_EQUAL(b->name, "alpha");
    FAILS(TARN_ENOSYS, choose_by_name(tarn_os_host(), "zeta", &b, why, sizeof(why)));
    text_has(why, "zeta");
    FAILS(TARN_EVERSION, choose_by_name(tarn_os_host(), "old", &b, why, sizeof(why)));
    FAILS(TARN_EINVAL, choose_by_name(tarn_os_host(), "", &b, why, sizeof(why)));
}

static void texts_are_cut_to_their_room(void)
{
    begin();
    wish.variable = "full,local";
    for (size_t len = 1; len < 200; len++) {
        memset(why, '#', sizeof(why));
        FAILS(TARN_ENOSPC, choose_backend(tarn_os_host(), &wish, &req, &result, why, len));
        CU_ASSERT_PTR_NOT_NULL(memchr(why, '\0', len));
        CU_ASSERT_EQUAL(why[len], '#');
    }
}

/* ---- the walk --------------------------------------------------------------------------------- */

struct seen {
    char text[512];
    int chosen, calls, stop;
};

static int note(void *ctx, const struct choose_candidate *c)
{
    struct seen *seen = ctx;
    size_t used = strlen(seen->text);

    (void)snprintf(seen->text + used, sizeof(seen->text) - used, "%s%s%s%s ", c->name,
                   c->listed ? "" : "-", c->err == TARN_OK ? "" : "!", c->chosen ? "*" : "");
    seen->chosen += c->chosen;
    CU_ASSERT_EQUAL(c->err == TARN_OK && c->backend == NULL, 0);
    CU_ASSERT_NOT_EQUAL(c->why[0], '\0');
    if (strcmp(c->name, "beta") == 0)
        CU_ASSERT_STRING_EQUAL(c->path, TARN_FAKES "/tarn_backend_beta.so");
    return ++seen->calls == seen->stop ? 42 : 0;
}

static void every_candidate_is_told(void)
{
    struct seen seen = { .calls = 0 };

    begin();
    wish.variable = "full,^alpha,zeta?,beta,local";
    OK(choose_walk(tarn_os_host(), &wish, &req, note, &seen, why, sizeof(why)));
    CU_ASSERT_EQUAL(strncmp(seen.text, "full! alpha! zeta! beta* local! ", 32), 0);
    text_has(seen.text, "old-! ");
    text_has(seen.text, "torn-! ");
    CU_ASSERT_EQUAL(seen.chosen, 1);
    OK(choose(wish.variable));
    chosen("beta");
}

static void the_walk_ends_when_asked(void)
{
    struct seen seen = { .stop = 2 };

    begin();
    wish.variable = "alpha,beta,full";
    CU_ASSERT_EQUAL(choose_walk(tarn_os_host(), &wish, &req, note, &seen, why, sizeof(why)), 42);
    CU_ASSERT_EQUAL(seen.calls, 2);
    wish.variable = "alpha,bta";
    FAILS(TARN_EINVAL, choose_walk(tarn_os_host(), &wish, &req, note, &seen, why, sizeof(why)));
    CU_ASSERT_EQUAL(seen.calls, 2);
}

int main(void)
{
    static CU_TestInfo list_tests[] = {
        { "the first that serves is taken", the_first_that_serves_is_taken },
        { "? is skipped quietly", what_is_optional_is_skipped_quietly },
        { "^ is never taken", what_is_excluded_is_never_taken },
        { "an unknown name suggests the nearest", an_unknown_name_suggests_the_nearest },
        { "words that are none", words_that_are_none },
        { "who decides", who_decides },
        { "nothing is changed silently", nothing_is_changed_silently },
        { "P1 P3: memory of one process serves private regions only",
          what_is_of_one_process_serves_private_regions },
        { "another ABI is a reason", a_module_of_another_abi_is_a_reason },
        { "X8: joiners never hear ENOENT", joiners_never_hear_enoent },
        { "texts are cut to their room", texts_are_cut_to_their_room },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo walk_tests[] = {
        { "every candidate is told", every_candidate_is_told },
        { "the walk ends when asked", the_walk_ends_when_asked },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "choose", NULL, NULL, NULL, NULL, list_tests },
        { "choose walk", NULL, NULL, NULL, NULL, walk_tests },
        CU_SUITE_INFO_NULL,
    };

    if (setenv("TARN_BACKEND_PATH", TARN_FAKES, 1) != 0)
        return EXIT_FAILURE;
    return run_suites(suites);
}
