/* SPDX-License-Identifier: BSD-2-Clause */
/* The linked library and its errors, seen as any program sees them: through the public header. */
#include "check.h"

#include <string.h>

static void the_library_is_the_one_of_the_header(void)
{
    char want[32];

    (void)snprintf(want, sizeof want, "%d.%d.%d", TARN_VERSION_MAJOR, TARN_VERSION_MINOR,
                   TARN_VERSION_PATCH);
    CU_ASSERT_STRING_EQUAL(tarn_version(), want);
}

static void every_error_has_a_name_and_words(void)
{
    static const struct {
        int err;
        const char *name, *text;
    } all[] = {
#define LINE(name, number, text) { number, "TARN_" #name, text },
        TARN_ERRORS(LINE)
#undef LINE
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        CU_ASSERT_STRING_EQUAL(tarn_err_name(all[i].err), all[i].name);
        CU_ASSERT_STRING_EQUAL(tarn_strerror(all[i].err), all[i].text);
        for (size_t j = 0; j < i; j++)
            CU_ASSERT_NOT_EQUAL(all[i].err, all[j].err);
    }
}

static void a_number_that_is_no_error_is_said_to_be_none(void)
{
    CU_ASSERT_STRING_EQUAL(tarn_err_name(-4000), "TARN_UNKNOWN");
    CU_ASSERT_STRING_EQUAL(tarn_strerror(17), "unknown error");
    CU_ASSERT(strlen(tarn_strerror(TARN_OK)) > 0);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "the library is the one of the header", the_library_is_the_one_of_the_header },
        { "every error has a name and words", every_error_has_a_name_and_words },
        { "a number that is no error", a_number_that_is_no_error_is_said_to_be_none },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "version", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
