/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests that fail, skip or pass as they are told, for report.sh: who tests the tests? */
#include "check.h"

#include <string.h>

static const char *mode = "";

static int is(const char *what) { return strcmp(mode, what) == 0; }

static void first(void)
{
    if (is("skip"))
        SKIP("told to");
    OK(is("fail") ? TARN_EBUSY : TARN_OK);
    FAILS(TARN_ENOENT, is("wrong error") ? TARN_EIO : TARN_ENOENT);
    MUST(is("must") ? TARN_ENOMEM : TARN_OK);
    if (is("must"))
        abort(); /* MUST has left the test */
    if (is("abort"))
        abort();
}

static void second(void)
{
    if (is("skip") || is("skip one"))
        SKIP("told to");
    CU_PASS("nothing to do");
}

static int set_up(void) { return is("set-up"); }

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "G3 G4: first", first },
        { "second: a colon", second },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "self", set_up, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };

    if (argc > 1)
        mode = argv[1];
    return run_suites(suites);
}
