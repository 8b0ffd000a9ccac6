/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts, numbers, errors and messages. */
#include "check.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "os/fail.h"
#include "os/text.h"

static void numbers(void)
{
    static const struct {
        const char *text;
        uint64_t value;
        const char *rest;
    } good[] = { { "0", 0, "" },         { "18446744073709551615", UINT64_MAX, "" },
                 { "64K", 65536, "" },   { "3m,", 3u << 20, "," },
                 { "1G", 1u << 30, "" }, { "2t", UINT64_C(2) << 40, "" },
                 { "12x", 12, "x" } };
    static const char *const bad[] = { "", "x", "-1", " 1", "18446744073709551616", "16777216T" };
    uint64_t value = 7;
    const char *end;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        OK(text_number(good[i].text, &value, &end));
        CU_ASSERT_EQUAL(value, good[i].value);
        CU_ASSERT_STRING_EQUAL(end, good[i].rest);
        FAILS(*end == '\0' ? TARN_OK : TARN_EINVAL, text_number(good[i].text, &value, NULL));
    }
    value = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        FAILS(TARN_EINVAL, text_number(bad[i], &value, &end));
    CU_ASSERT_EQUAL(value, 7);
}

static void formats(void)
{
    char buf[8] = "";

    CU_ASSERT_EQUAL(text_format(buf, sizeof(buf), "%d-%s", 12, "abcdef"), 9);
    CU_ASSERT_STRING_EQUAL(buf, "12-abcd");
    CU_ASSERT_EQUAL(text_format(NULL, 0, "%d", 123), 3);
}

static void distances(void)
{
    char longer[80];

    memset(longer, 'a', 79);
    longer[79] = '\0';
    CU_ASSERT_EQUAL(text_distance("", ""), 0);
    CU_ASSERT_EQUAL(text_distance("mmap", "mmap"), 0);
    CU_ASSERT_EQUAL(text_distance("", "abc"), 3);
    CU_ASSERT_EQUAL(text_distance("map", "mmap"), 1);
    CU_ASSERT_EQUAL(text_distance("kitten", "sitting"), 3);
    CU_ASSERT_EQUAL(text_distance("sitting", "kitten"), 3);
    CU_ASSERT_EQUAL(text_distance(longer, "a"), UINT_MAX);
    longer[63] = '\0';
    CU_ASSERT_EQUAL(text_distance(longer, "a"), 62);
}

static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void sorting(void)
{
    int values[] = { 3, 1, 2, 1, 0 };
    static const int sorted[] = { 0, 1, 1, 2, 3 };

    text_sort(values, 5, sizeof(int), by_value);
    CU_ASSERT_EQUAL(memcmp(values, sorted, sizeof(sorted)), 0);
    text_sort(NULL, 0, sizeof(int), by_value);
}

static void errors_have_names(void)
{
    CU_ASSERT_STRING_EQUAL(tarn_err_name(TARN_EBUSY), "TARN_EBUSY");
    CU_ASSERT_STRING_EQUAL(tarn_err_name(TARN_OK), "TARN_OK");
    CU_ASSERT_STRING_EQUAL(tarn_err_name(-999), "TARN_UNKNOWN");
    CU_ASSERT_STRING_EQUAL(tarn_strerror(TARN_EBUSY), "in use");
    CU_ASSERT_STRING_EQUAL(tarn_strerror(5), "unknown error");
    for (int err = TARN_ESUSPECT; err < 0; err++)
        CU_ASSERT_STRING_NOT_EQUAL(tarn_strerror(err), "unknown error");
}

/* ---- messages ---- */

struct heard {
    int err, count;
    char text[FAIL_TEXT_MAX];
    const char *prefix;
};

static void hear(void *ctx, int err, const char *prefix, const char *text)
{
    struct heard *h = ctx;

    h->err = err;
    h->prefix = prefix;
    h->count++;
    (void)snprintf(h->text, sizeof(h->text), "%s", text);
}

static void *fail_elsewhere(void *arg)
{
    *(int *)arg = tarn_last_message()[0] == '\0' &&
                  tarn_fail(NULL, TARN_EIO, "of another thread") == TARN_EIO;
    return NULL;
}

static void messages(void)
{
    struct heard h = { .count = 0 };
    const struct tarn_env_sink sink = { .fn = hear, .ctx = &h, .prefix = "env" };
    const struct tarn_env_sink silent = { .fn = NULL };
    char long_text[2000];
    pthread_t thread;
    int ok = 0;

    FAILS(TARN_ENOSPC, tarn_fail(&sink, TARN_ENOSPC, "%s: %d bytes", "home/x", 12));
    CU_ASSERT_TRUE(h.err == TARN_ENOSPC && h.count == 1 && strcmp(h.prefix, "env") == 0);
    CU_ASSERT_STRING_EQUAL(h.text, "home/x: 12 bytes");
    CU_ASSERT_STRING_EQUAL(tarn_last_message(), "home/x: 12 bytes");
    FAILS(TARN_EIO, tarn_fail(&silent, TARN_EIO, "around %s", tarn_last_message()));
    CU_ASSERT_STRING_EQUAL(tarn_last_message(), "around home/x: 12 bytes");
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    FAILS(TARN_EIO, tarn_fail(NULL, TARN_EIO, "%s", long_text));
    CU_ASSERT_EQUAL(strlen(tarn_last_message()), FAIL_TEXT_MAX - 1);
    CU_ASSERT_STRING_EQUAL(tarn_last_message() + FAIL_TEXT_MAX - 4, "...");
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, fail_elsewhere, &ok), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(ok, 1);
    CU_ASSERT_EQUAL(tarn_last_message()[0], 'x');
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "numbers with suffixes", numbers },
        { "formats", formats },
        { "distances", distances },
        { "sorting", sorting },
        { "errors have names and texts", errors_have_names },
        { "messages, per thread and to the environment", messages },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { { "text", NULL, NULL, NULL, NULL, tests },
                                     CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
