/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the tool that can be looked at alone: JSON, texts, which page next. */
#include "tool.h"

#include <apr_general.h>
#include <math.h>

#include "tools/json.h"
#include "tools/run_dist.h"
#include "tools/tool.h"

static apr_pool_t *pool;

static int set_up(void) { return apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL); }

static int tear_down(void)
{
    apr_terminate();
    return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------- */

/* What json_text() makes of the bytes. */
static const char *written(const char *bytes)
{
    static char text[400];
    FILE *f = tmpfile();
    struct json j = JSON_INIT(f);
    size_t n;

    if (f == NULL)
        return "";
    json_array(&j, NULL);
    json_text(&j, NULL, bytes);
    json_end(&j);
    rewind(f);
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return text;
}

static void any_bytes_become_valid_json(void)
{
    static const struct {
        const char *bytes, *json;
    } cases[] = {
        { "plain", "[\n  \"plain\"\n]\n" },
        { "a\"b\\c", "[\n  \"a\\\"b\\\\c\"\n]\n" },
        { "tab\tnew\n\x01\x7f", "[\n  \"tab\\u0009new\\u000a\\u0001\\u007f\"\n]\n" },
        { "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80",
          "[\n  \"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"\n]\n" },
        { "\xff", "[\n  \"\\ufffd\"\n]\n" },                       /* never in UTF-8 */
        { "\xc0\xaf", "[\n  \"\\ufffd\\ufffd\"\n]\n" },            /* too long a form of '/' */
        { "\xed\xa0\x80", "[\n  \"\\ufffd\\ufffd\\ufffd\"\n]\n" }, /* a surrogate */
        { "x\xe2\x82", "[\n  \"x\\ufffd\\ufffd\"\n]\n" },          /* cut */
        { "\xf4\x90\x80\x80", "[\n  \"\\ufffd\\ufffd\\ufffd\\ufffd\"\n]\n" }, /* above U+10FFFF */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CU_ASSERT_STRING_EQUAL(written(cases[i].bytes), cases[i].json);
        CU_ASSERT(json_valid(written(cases[i].bytes)));
    }
}

static void levels_and_commas(void)
{
    static const char want[] = "{\n  \"a\": 1,\n  \"b\": [],\n  \"c\": {\n    \"d\": true,\n"
                               "    \"e\": null,\n    \"f\": 0.500\n  }\n}\n";
    char text[400];
    FILE *f = tmpfile();
    struct json j = JSON_INIT(f);

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    json_object(&j, NULL);
    json_number(&j, "a", 1);
    json_array(&j, "b");
    json_end(&j);
    json_object(&j, "c");
    json_bool(&j, "d", true);
    json_text(&j, "e", NULL);
    json_real(&j, "f", 0.5);
    json_end(&j);
    json_end(&j);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    (void)fclose(f);
    CU_ASSERT_STRING_EQUAL(text, want);
}

/* The judge of the other tests must be able to say no. */
static void what_is_not_json_is_refused(void)
{
    static const char *const bad[] = { "",    "{",       "[1,]",    "{\"a\" 1}", "[1] 2",
                                       "nul", "\"a\n\"", "\"\\x\"", "{1: 2}",    "\"\\u12\"" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(json_valid(bad[i]));
    CU_ASSERT(json_valid(" {\"a\": [1, -2.5, \"x\", null, {}]} "));
}

/* ---- texts ------------------------------------------------------------------------------------ */

static void sizes_and_counts(void)
{
    CU_ASSERT_STRING_EQUAL(text_size(pool, 0), "0 B");
    CU_ASSERT_STRING_EQUAL(text_size(pool, 1023), "1023 B");
    CU_ASSERT_STRING_EQUAL(text_size(pool, 4096), "4 KiB");
    CU_ASSERT_STRING_EQUAL(text_size(pool, 1536 * 1024), "1.5 MiB");
    CU_ASSERT_STRING_EQUAL(text_size(pool, (uint64_t)3 << 40), "3 TiB");
    CU_ASSERT_STRING_EQUAL(text_count(pool, 0), "0");
    CU_ASSERT_STRING_EQUAL(text_count(pool, 999), "999");
    CU_ASSERT_STRING_EQUAL(text_count(pool, 1234567), "1,234,567");
    CU_ASSERT_STRING_EQUAL(text_count(pool, UINT64_MAX), "18,446,744,073,709,551,615");
    CU_ASSERT_STRING_EQUAL(text_plural(pool, 1, "page", "pages"), "1 page");
    CU_ASSERT_STRING_EQUAL(text_plural(pool, 2000, "page", "pages"), "2,000 pages");
}

static void the_nearest_is_near(void)
{
    static const char *const words[] = { "backends", "ports", "ls", "stat", "rm", "run", NULL };

    CU_ASSERT_STRING_EQUAL(nearest("backend", words), "backends");
    CU_ASSERT_STRING_EQUAL(nearest("stats", words), "stat");
    CU_ASSERT_STRING_EQUAL(nearest("rin", words), "run");
    CU_ASSERT_PTR_NULL(nearest("something-else", words));
}

/* ---- which page next -------------------------------------------------------------------------- */

enum { ITEMS = 50, DRAWS = 1000000 };

static void zipf_follows_the_law(void)
{
    static uint64_t seen[ITEMS];
    struct dist d;
    uint64_t state = 42;
    double sum = 0;

    dist_open(&d, DIST_ZIPF, ITEMS);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t item = dist_next(&d, &state);

        CU_ASSERT_FATAL(item < ITEMS);
        seen[item]++;
    }
    for (int k = 1; k <= ITEMS; k++)
        sum += pow(k, -0.99);
    for (uint64_t k = 1; k <= ITEMS; k++) {
        double want = DRAWS * pow((double)k, -0.99) / sum;
        double got = (double)seen[k % ITEMS * d.step % ITEMS];

        /* five standard deviations: the draws are the same every time, so this never flickers */
        if (fabs(got - want) > 5 * sqrt(want))
            printf("# rank %d: %.0f times, the law says %.0f\n", (int)k, got, want);
        CU_ASSERT(fabs(got - want) <= 5 * sqrt(want));
    }
}

static void uniform_is_even_and_small_counts_work(void)
{
    static uint64_t seen[ITEMS];
    struct dist d;
    uint64_t state = 7;

    dist_open(&d, DIST_UNIFORM, ITEMS);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < DRAWS; i++)
        seen[dist_next(&d, &state)]++;
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT(fabs((double)seen[i] - DRAWS / ITEMS) <= 5 * sqrt(DRAWS / ITEMS));
    for (uint64_t n = 1; n <= 5; n++) {
        dist_open(&d, DIST_ZIPF, n);
        for (int i = 0; i < 1000; i++)
            CU_ASSERT_FATAL(dist_next(&d, &state) < n);
    }
}

static void shuffling_loses_nothing(void)
{
    uint64_t items[ITEMS], sum = 0, moved = 0, state = 3;

    for (uint64_t i = 0; i < ITEMS; i++)
        items[i] = i;
    dist_shuffle(items, ITEMS, &state);
    for (uint64_t i = 0; i < ITEMS; i++) {
        sum += (uint64_t)1 << items[i];
        moved += items[i] != i;
    }
    CU_ASSERT_EQUAL(sum, ((uint64_t)1 << ITEMS) - 1);
    CU_ASSERT(moved > ITEMS / 2);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "any bytes become valid JSON", any_bytes_become_valid_json },
        { "JSON: levels and commas", levels_and_commas },
        { "what is not JSON is refused", what_is_not_json_is_refused },
        { "sizes and counts", sizes_and_counts },
        { "the nearest is near", the_nearest_is_near },
        { "zipf follows the law", zipf_follows_the_law },
        { "uniform is even, small counts work", uniform_is_even_and_small_counts_work },
        { "shuffling loses nothing", shuffling_loses_nothing },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "tool_texts", set_up, tear_down, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
