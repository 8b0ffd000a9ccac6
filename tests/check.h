/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every test file needs.
 *
 *     static void last_page_of_an_empty_file(void)
 *     {
 *         OK(tarn_mpf_open(...));
 *         FAILS(TARN_EINVAL, tarn_mpf_get(...));
 *     }
 *
 *     int main(void)
 *     {
 *         static CU_TestInfo get_tests[] = {
 *             { "G3 G4: last page of an empty file", last_page_of_an_empty_file },
 *             CU_TEST_INFO_NULL,
 *         };
 *         static CU_SuiteInfo suites[] = {
 *             { "get", NULL, NULL, NULL, NULL, get_tests },
 *             CU_SUITE_INFO_NULL,
 *         };
 *         return run_suites(suites);
 *     }
 *
 * A test name begins with the IDs of docs/seed.md that it proves, at most four, then a colon.  Each
 * test prints one line, which ./dev test counts:
 *     ok - SUITE: NAME        not ok - SUITE: NAME        skip - SUITE: NAME # REASON
 *
 * Checks are made in the thread that runs the test: CUnit counts without a lock.  Other threads and
 * child processes hand their findings back to it.
 */
#ifndef TARN_TESTS_CHECK_H
#define TARN_TESTS_CHECK_H

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <stdio.h>
#include <stdlib.h>

#include <tarn/tarn.h>

/* The call returns TARN_OK; if not, the failure names the error and Tarn's message. */
#define OK(call) check_result((call), TARN_OK, #call, __FILE__, __LINE__, CU_FALSE)

/* As OK, but the test ends here if it does not hold: what follows needs it. */
#define MUST(call) check_result((call), TARN_OK, #call, __FILE__, __LINE__, CU_TRUE)

/* The call returns the error err. */
#define FAILS(err, call) check_result((call), (err), #call, __FILE__, __LINE__, CU_FALSE)

/* This machine lacks what the test is about: says so and leaves the test (not a macro in a callee). */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        check_skipped = (why);                                                                     \
        return;                                                                                    \
    } while (0)

enum { CHECK_EXIT_SKIPPED = 77 };

static const char *check_skipped;
static unsigned check_counts[3]; /* ok, not ok, skipped */

static inline void check_result(int got, int want, const char *call, const char *file,
                                unsigned line, CU_BOOL fatal)
{
    char text[900];

    (void)snprintf(text, sizeof text, "%s: %s (%d), expected %s: %s", call,
                   got > 0 ? "positive" : tarn_err_name(got), got, tarn_err_name(want),
                   got == TARN_OK ? "" : tarn_last_message());
    CU_assertImplementation(got == want, line, text, file, "", fatal);
}

static inline void check_before(const CU_pTest test, const CU_pSuite suite)
{
    (void)test;
    (void)suite;
    check_skipped = NULL;
}

static inline void check_after(const CU_pTest test, const CU_pSuite suite,
                               const CU_pFailureRecord failure)
{
    if (failure == NULL && check_skipped != NULL) {
        check_counts[2]++;
        printf("skip - %s: %s # %s\n", suite->pName, test->pName, check_skipped);
        return;
    }
    check_counts[failure != NULL]++;
    printf("%s - %s: %s\n", failure != NULL ? "not ok" : "ok", suite->pName, test->pName);
    for (CU_pFailureRecord f = failure; f != NULL; f = f->pNext)
        printf("#   %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
}

static inline void check_suite_failed(const CU_pSuite suite)
{
    check_counts[1]++;
    printf("not ok - %s: its set-up failed\n", suite->pName);
}

/* Run them all; what main returns: 0 passed, 1 something failed, 77 nothing but skips. */
static inline int run_suites(CU_SuiteInfo *suites)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef CHECK_BACKEND_PATH
    (void)setenv("TARN_BACKEND_PATH", CHECK_BACKEND_PATH, 0); /* started by hand */
#endif
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
        printf("not ok - cunit: %s\n", CU_get_error_msg());
        return EXIT_FAILURE;
    }
    CU_set_error_action(CUEA_IGNORE);
    CU_set_test_start_handler(check_before);
    CU_set_test_complete_handler(check_after);
    CU_set_suite_init_failure_handler(check_suite_failed);
    (void)CU_run_all_tests();
    CU_cleanup_registry();
    if (check_counts[0] + check_counts[1] + check_counts[2] == 0)
        printf("not ok - cunit: no test ran\n");
    if (check_counts[1] > 0 || check_counts[0] + check_counts[2] == 0)
        return EXIT_FAILURE;
    return check_counts[0] > 0 ? EXIT_SUCCESS : CHECK_EXIT_SKIPPED;
}

#endif /* TARN_TESTS_CHECK_H */
