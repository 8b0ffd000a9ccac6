/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory for temporary files, on a system that the test makes up. */
#include <string.h>

#include <tarn/os.h>

#include "tests/check.h"

/* What is there: directories, and one variable. */
static const char *const *there;
static const char *variable, *value;

static int exists(const struct tarn_os *os, const char *path, int *isdir)
{
    (void)os;
    for (const char *const *p = there; *p != NULL; p++)
        if (strcmp(*p, path) == 0) {
            *isdir = strncmp(path, "/file", 5) != 0;
            return TARN_OK;
        }
    return TARN_ENOENT;
}

static int get_variable(const struct tarn_os *os, const char *name, const char **out)
{
    (void)os;
    *out = variable != NULL && strcmp(variable, name) == 0 ? value : NULL;
    return TARN_OK;
}

static struct tarn_os *made_up(void)
{
    static const struct tarn_os_file file = { .size = sizeof file, .exists = exists };
    static const struct tarn_os_misc misc = { .size = sizeof misc, .getenv = get_variable };
    static const struct tarn_os over = {
        .size = sizeof over, .name = "made up", .file = &file, .misc = &misc
    };
    struct tarn_os *os = NULL;

    MUST(tarn_os_stack(tarn_os_platform(), &over, &os));
    return os;
}

static void first_of_the_usual_places(void)
{
    static const char *const some[] = { "/temp", "/tmp", NULL };
    struct tarn_os *os = made_up();
    char path[64];

    variable = NULL;
    there = some;
    OK(tarn_os_tmpdir(os, path, sizeof path));
    CU_ASSERT_STRING_EQUAL(path, "/temp");
    tarn_os_unstack(os);
}

static void variables_go_first(void)
{
    static const char *const names[] = { "TMPDIR", "TEMP", "TMP", "TempFolder" };
    static const char *const some[] = { "/mine", "/tmp", NULL };
    struct tarn_os *os = made_up();
    char path[64];

    there = some;
    value = "/mine";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        variable = names[i];
        OK(tarn_os_tmpdir(os, path, sizeof path));
        CU_ASSERT_STRING_EQUAL(path, "/mine");
    }
    tarn_os_unstack(os);
}

static void a_wrong_variable_is_an_error(void)
{
    static const char *const some[] = { "/file", "/tmp", NULL };
    struct tarn_os *os = made_up();
    char path[64] = "as it was";

    there = some;
    variable = "TMPDIR";
    value = "/nowhere";
    FAILS(TARN_ENOENT, tarn_os_tmpdir(os, path, sizeof path));
    value = "/file";
    FAILS(TARN_ENOENT, tarn_os_tmpdir(os, path, sizeof path));
    value = "/tmp";
    FAILS(TARN_EINVAL, tarn_os_tmpdir(os, path, strlen("/tmp")));
    CU_ASSERT_STRING_EQUAL(path, "as it was");
    tarn_os_unstack(os);
}

static void none_is_there(void)
{
    static const char *const none[] = { "/file", NULL };
    struct tarn_os *os = made_up();
    char path[64];

    there = none;
    variable = NULL;
    FAILS(TARN_ENOENT, tarn_os_tmpdir(os, path, sizeof path));
    tarn_os_unstack(os);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "O14: the first of the usual places that is there", first_of_the_usual_places },
        { "O14: what a variable names goes first", variables_go_first },
        { "O14: a variable that names no directory is an error", a_wrong_variable_is_an_error },
        { "O14 X12: none is there, and none is made up", none_is_there },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "tmpdir", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
