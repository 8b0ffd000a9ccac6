/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding backends, and refusing those that must not run. */
#include "check.h"

#include "backends/load.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[512];

static int load(const char *name, const struct tarn_backend **out)
{
    why[0] = '\0';
    return load_backend(tarn_os_host(), name, out, NULL, why, sizeof(why));
}

static void says(const char *part)
{
    if (strstr(why, part) == NULL)
        printf("# \"%s\" does not say \"%s\"\n", why, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, part));
}

/* ---- the table -------------------------------------------------------------------------------- */

/* A table that is in order. */
static struct tarn_backend good(void)
{
    const struct tarn_backend *alpha = NULL;

    MUST(load("alpha", &alpha));
    return *alpha;
}

static int check(const struct tarn_backend *b)
{
    why[0] = '\0';
    return load_check(b, "alpha", why, sizeof(why));
}

static void another_abi_is_refused_with_both_versions(void)
{
    struct tarn_backend b = good();

    OK(check(&b));
    b.abi = 77;
    FAILS(TARN_EVERSION, check(&b));
    says("ABI 77");
    says("ABI 1 ");
    b.abi = 0;
    FAILS(TARN_EVERSION, check(&b));
    b = good();
    b.size--;
    FAILS(TARN_EVERSION, check(&b));
    b.size = sizeof(b) + 64; /* a newer one, of the same ABI */
    OK(check(&b));
}

static void a_table_that_contradicts_itself_is_refused(void)
{
    struct tarn_backend b = good();

    b.caps = TARN_CAP_SHARED | TARN_CAP_FORK;
    FAILS(TARN_EINVAL, check(&b));
    b.caps = TARN_CAP_SURVIVES;
    FAILS(TARN_EINVAL, check(&b));
    b.caps = TARN_CAP_SURVIVES | TARN_CAP_NAMED;
    OK(check(&b));
    b.caps = 0x80;
    FAILS(TARN_EINVAL, check(&b));
    says("0x80");
    b = good();
    b.name = "alph";
    FAILS(TARN_EINVAL, check(&b));
    b.name = NULL;
    FAILS(TARN_EINVAL, check(&b));
    b = good();
    b.summary = NULL;
    FAILS(TARN_EINVAL, check(&b));
}

static void every_slot_must_be_there(void)
{
    static const char *const slots[] = { "probe",  "create", "attach", "grow",
                                         "shrink", "detach", "remove", "describe" };

    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        struct tarn_backend b = good();
        unsigned char *slot = (unsigned char *)&b + offsetof(struct tarn_backend, probe);

        memset(slot + i * sizeof(b.probe), 0, sizeof(b.probe));
        FAILS(TARN_EINVAL, check(&b));
        says(slots[i]);
    }
}

static void names(void)
{
    CU_ASSERT_TRUE(load_name_ok("mmap", 4));
    CU_ASSERT_TRUE(load_name_ok("a_2", 3));
    CU_ASSERT_TRUE(load_name_ok("abcdefghijklmno", 15));
    CU_ASSERT_FALSE(load_name_ok("abcdefghijklmnop", 16));
    CU_ASSERT_FALSE(load_name_ok("", 0));
    CU_ASSERT_FALSE(load_name_ok("Mmap", 4));
    CU_ASSERT_FALSE(load_name_ok("a/b", 3));
    CU_ASSERT_FALSE(load_name_ok("a\0b", 3));
}

/* ---- modules ---------------------------------------------------------------------------------- */

static void modules_are_found_by_name(void)
{
    const struct tarn_backend *b = NULL, *again = NULL;
    struct load_place place;

    OK(load_backend(tarn_os_host(), "alpha", &b, &place, why, sizeof(why)));
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_STRING_EQUAL(b->name, "alpha");
    CU_ASSERT_STRING_EQUAL(place.path, TARN_FAKES "/tarn_backend_alpha.so");
    OK(load("alpha", &again));
    CU_ASSERT_PTR_EQUAL(b, again);
}

static void modules_of_no_use_are_refused(void)
{
    const struct tarn_backend *b = NULL;

    FAILS(TARN_EVERSION, load("old", &b));
    says("ABI 77");
    FAILS(TARN_EINVAL, load("liar", &b));
    says("alpha");
    FAILS(TARN_EINVAL, load("torn", &b));
    says("SHARED and FORK");
    FAILS(TARN_EINVAL, load("nameless", &b));
    says("does not export tarn_backend_nameless");
    FAILS(TARN_ENOENT, load("zeta", &b));
    says(TARN_FAKES);
    FAILS(TARN_EINVAL, load("../alpha", &b));
    FAILS(TARN_EINVAL, load("", &b));
    CU_ASSERT_PTR_NULL(b);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
    char buf[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    CU_ASSERT_FATAL(in >= 0 && out >= 0);
    while ((n = read(in, buf, sizeof(buf))) > 0)
        CU_ASSERT_EQUAL(write(out, buf, (size_t)n), n);
    CU_ASSERT_EQUAL(fchmod(out, mode), 0);
    close(in);
    close(out);
}

static void load_from_dir(const char *dir, mode_t dir_mode, mode_t mode, int want)
{
    const struct tarn_backend *b = NULL;
    char path[256];

    (void)mkdir(dir, 0700);
    (void)snprintf(path, sizeof(path), "%s/tarn_backend_alpha.so", dir);
    copy_file(TARN_FAKES "/tarn_backend_alpha.so", path, mode);
    CU_ASSERT_EQUAL(chmod(dir, dir_mode), 0);
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", dir, 1), 0);
    FAILS(want, load("alpha", &b));
    if (want != TARN_OK)
        says(path);
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", TARN_FAKES, 1), 0);
    (void)unlink(path);
    (void)rmdir(dir);
}

static void what_others_may_write_is_refused(void)
{
    load_from_dir("load_a", 0700, 0755, TARN_OK);
    load_from_dir("load_b", 0700, 0775, TARN_EPERM);
    load_from_dir("load_c", 0700, 0757, TARN_EPERM);
    load_from_dir("load_d", 0770, 0755, TARN_EPERM);
    load_from_dir("load_e", 0707, 0755, TARN_EPERM);
}

static void what_belongs_to_others_is_refused(void)
{
    const struct tarn_backend *b = NULL;

    if (geteuid() != 0)
        SKIP("only root can give a file away");
    (void)mkdir("load_o", 0700);
    copy_file(TARN_FAKES "/tarn_backend_alpha.so", "load_o/tarn_backend_alpha.so", 0755);
    CU_ASSERT_EQUAL(chown("load_o/tarn_backend_alpha.so", 65534, 65534), 0);
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", "load_o", 1), 0);
    FAILS(TARN_EPERM, load("alpha", &b));
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", TARN_FAKES, 1), 0);
    (void)unlink("load_o/tarn_backend_alpha.so");
    (void)rmdir("load_o");
}

/* The first directory that has it decides, also if what it has must be refused. */
static void a_refused_module_is_not_replaced_by_a_later_one(void)
{
    const struct tarn_backend *b = NULL;
    struct load_place place;

    (void)mkdir("load_f", 0700);
    copy_file(TARN_FAKES "/tarn_backend_alpha.so", "load_f/tarn_backend_beta.so", 0700);
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", "load_none::load_f:" TARN_FAKES, 1), 0);
    FAILS(TARN_EINVAL, load("beta", &b));
    OK(load_backend(tarn_os_host(), "alpha", &b, &place, why, sizeof(why)));
    CU_ASSERT_STRING_EQUAL(place.path, TARN_FAKES "/tarn_backend_alpha.so");
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", TARN_FAKES, 1), 0);
    (void)unlink("load_f/tarn_backend_beta.so");
    (void)rmdir("load_f");
}

static void names_are_listed_once_and_sorted(void)
{
    static const char *const want[] = { "alpha", "beta", "full",     "liar",
                                        "local", "old",  "nameless", "torn" };
    char found[LOAD_NAMES_MAX][LOAD_NAME_MAX + 1];
    char few[1][LOAD_NAME_MAX + 1];
    size_t n, seen = 0;

    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", TARN_FAKES ":" TARN_FAKES, 1), 0);
    load_names(tarn_os_host(), found, LOAD_NAMES_MAX, &n);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < sizeof(want) / sizeof(want[0]); j++)
            seen += strcmp(found[i], want[j]) == 0;
        CU_ASSERT(i == 0 || strcmp(found[i - 1], found[i]) < 0);
    }
    CU_ASSERT_EQUAL(seen, sizeof(want) / sizeof(want[0]));
    load_names(tarn_os_host(), few, 1, &n);
    CU_ASSERT_EQUAL(n, 1);
    CU_ASSERT_EQUAL(setenv("TARN_BACKEND_PATH", TARN_FAKES, 1), 0);
}

struct racer {
    pthread_t thread;
    const struct tarn_backend *backend;
    int err;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    char text[256];

    r->err = load_backend(tarn_os_host(), "beta", &r->backend, NULL, text, sizeof(text));
    return NULL;
}

static void threads_load_at_once(void)
{
    struct racer racers[8];

    for (size_t i = 0; i < 8; i++) {
        racers[i].backend = NULL;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(pthread_join(racers[i].thread, NULL), 0);
        OK(racers[i].err);
        CU_ASSERT_PTR_NOT_NULL(racers[i].backend);
        CU_ASSERT_PTR_EQUAL(racers[i].backend, racers[0].backend);
    }
}

int main(void)
{
    static CU_TestInfo table_tests[] = {
        { "another ABI is refused, both versions named",
          another_abi_is_refused_with_both_versions },
        { "a table that contradicts itself is refused",
          a_table_that_contradicts_itself_is_refused },
        { "every slot must be there", every_slot_must_be_there },
        { "names of backends", names },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo module_tests[] = {
        { "threads load at once", threads_load_at_once },
        { "modules are found by name, and kept", modules_are_found_by_name },
        { "modules of no use are refused", modules_of_no_use_are_refused },
        { "what others may write is refused", what_others_may_write_is_refused },
        { "what belongs to others is refused", what_belongs_to_others_is_refused },
        { "a refused module is not replaced by a later one",
          a_refused_module_is_not_replaced_by_a_later_one },
        { "names are listed once", names_are_listed_once_and_sorted },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "load table", NULL, NULL, NULL, NULL, table_tests },
        { "load modules", NULL, NULL, NULL, NULL, module_tests },
        CU_SUITE_INFO_NULL,
    };

    umask(022);
    if (setenv("TARN_BACKEND_PATH", TARN_FAKES, 1) != 0)
        return EXIT_FAILURE;
    return run_suites(suites);
}
