/* SPDX-License-Identifier: BSD-2-Clause */
/* Environments: configuration, homes, messages, overrides. */
#include <stddef.h>

#include "home.h"
#include "region/env.h"

#define CREATE TARN_REGION_CREATE

/* ---- values ------------------------------------------------------------------------------------- */

static int three_cpus(const struct tarn_os *os, unsigned *n)
{
    (void)os;
    *n = 3;
    return TARN_OK;
}

static int unknown_cpus(const struct tarn_os *os, unsigned *n)
{
    (void)os, (void)n;
    return TARN_ENOSYS;
}

static uint32_t spins_with(int (*cpus)(const struct tarn_os *, unsigned *), uint32_t wish)
{
    struct tarn_os_misc misc = { .size = sizeof(misc), .cpus = cpus };
    struct tarn_os over = { .size = sizeof(over), .name = "cpus", .misc = &misc };
    struct tarn_env_config c = TARN_ENV_CONFIG_INIT;
    tarn_env *env = NULL;
    uint32_t spins;

    c.os = &over;
    c.spins = wish;
    MUST(tarn_env_open(&c, &env));
    spins = env->spins;
    OK(tarn_env_close(env));
    return spins;
}

static void spins_by_processors(void)
{
    CU_ASSERT_EQUAL(spins_with(three_cpus, 0), 150);
    CU_ASSERT_EQUAL(spins_with(unknown_cpus, 0), 50);
    CU_ASSERT_EQUAL(spins_with(three_cpus, 7), 7);
}

/* ---- configuration structures -------------------------------------------------------------------- */

struct newer {
    struct tarn_env_config known;
    char unknown[24];
};

static void sizes_of_configurations(void)
{
    struct newer n = { .known = TARN_ENV_CONFIG_INIT };
    struct tarn_env_config c = TARN_ENV_CONFIG_INIT, out;
    tarn_env *env = NULL;

    n.known.size = sizeof(n);
    MUST(tarn_env_open(&n.known, &env)); /* a newer program that asks for nothing new */
    OK(tarn_env_close(env));
    env = NULL;
    n.unknown[23] = 1;
    FAILS(TARN_EVERSION, tarn_env_open(&n.known, &env));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "tarn_env_config"));
    CU_ASSERT_PTR_NULL(env);

    c.size = offsetof(struct tarn_env_config, os); /* an older program: what it lacks is default */
    c.os = (const struct tarn_os *)1;
    MUST(tarn_env_open(&c, &env));
    OK(tarn_env_close(env));
    c.size = 0;
    FAILS(TARN_EINVAL, tarn_env_open(&c, &env));
    c.size = 1 << 20;
    FAILS(TARN_EINVAL, tarn_env_open(&c, &env));
    MUST(tarn_env_open(NULL, &env)); /* no wishes at all */
    OK(tarn_env_close(env));
    FAILS(TARN_EINVAL, tarn_env_open(NULL, NULL));
    FAILS(TARN_EINVAL, tarn_env_close(NULL));

    memset(&out, 0xff, sizeof(out));
    OK(env_config(NULL, sizeof(out), &out, NULL, "x"));
    CU_ASSERT_PTR_NULL(out.home);
    CU_ASSERT_EQUAL(out.size, 0);
}

/* ---- homes --------------------------------------------------------------------------------------- */

static int open_home(const char *home, tarn_env **env)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;

    config.home = home;
    return tarn_env_open(&config, env);
}

static void homes_that_are_none(void)
{
    static char longest[5000];
    struct home home;
    char file[128];
    tarn_env *env = NULL;

    home_make(&home);
    FAILS(TARN_ENOENT, open_home("no/such/home", &env));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "no/such/home"));
    home_file(&home, "file", file);
    (void)close(open(file, O_CREAT | O_WRONLY, 0600));
    FAILS(TARN_EINVAL, open_home(file, &env));
    FAILS(TARN_EINVAL, open_home("", &env));
    memset(longest, 'x', sizeof(longest) - 1);
    FAILS(TARN_EINVAL, open_home(longest, &env));
    CU_ASSERT_PTR_NULL(env);
    home_remove(&home);
}

static void home_that_cannot_be_written(void)
{
    struct home home;
    tarn_region *r = NULL;
    tarn_env *env;

    if (geteuid() == 0)
        SKIP("root may write everywhere");
    home_make(&home);
    (void)chmod(home.path, 0500);
    MUST(home_open_env(&home, &env));
    FAILS(TARN_EACCES, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "one"));
    OK(tarn_env_close(env));
    (void)chmod(home.path, 0700);
    home_remove(&home);
}

static void home_that_went_away(void)
{
    struct home home;
    tarn_region *r = NULL;
    tarn_env *env;

    home_make(&home);
    MUST(home_open_env(&home, &env));
    home_remove(&home);
    FAILS(TARN_ENOENT, home_attach(env, "one", CREATE, 0, &r));
    FAILS(TARN_ENOENT, tarn_region_remove(env, "one", 0));
    CU_ASSERT_PTR_NULL(r);
    OK(tarn_env_close(env));
}

static int network_fs(const struct tarn_os *os, const char *path, struct tarn_fsinfo *info)
{
    int err = os->below->file->fsinfo(os->below, path, info);

    info->flags |= TARN_FS_NETWORK;
    return err;
}

static void home_of_several_machines(void)
{
    static const struct tarn_os_file file = { .size = sizeof(file), .fsinfo = network_fs };
    static const struct tarn_os over = { .size = sizeof(over), .name = "far", .file = &file };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct home home;
    tarn_region *r = NULL;
    tarn_env *env;

    home_make(&home);
    config.home = home.path;
    config.os = &over;
    MUST(tarn_env_open(&config, &env));
    FAILS(TARN_ENOSYS, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "TARN_FORCE_NETWORK"));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    (void)setenv("TARN_FORCE_NETWORK", "1", 1);
    MUST(home_attach(env, "one", CREATE, 0, &r));
    (void)unsetenv("TARN_FORCE_NETWORK");
    OK(tarn_region_detach(r));
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- messages ------------------------------------------------------------------------------------ */

struct heard {
    int n, err, again;
    char prefix[32], text[1024];
    tarn_env *env;
};

static void hear(void *ctx, int err, const char *prefix, const char *text)
{
    struct heard *h = ctx;

    h->n++;
    h->err = err;
    (void)snprintf(h->prefix, sizeof(h->prefix), "%s", prefix == NULL ? "-" : prefix);
    (void)snprintf(h->text, sizeof(h->text), "%s", text);
    if (h->env != NULL && !h->again) { /* no lock is held: it may call Tarn */
        tarn_env *env = h->env;
        tarn_region *r;

        h->again = 1;
        if (home_attach(env, "one", CREATE, 0, &r) == 0)
            (void)tarn_region_detach(r);
        else
            h->again = -1;
    }
}

static void messages_go_to_the_callback(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct heard heard = { 0 };
    struct home home;
    tarn_region *r, *none;
    char prefix[16] = "server: ", path[64];
    tarn_env *env;

    home_make(&home);
    (void)snprintf(path, sizeof(path), "%s", home.path);
    config.home = path;
    config.message = hear;
    config.message_ctx = &heard;
    config.message_prefix = prefix;
    MUST(tarn_env_open(&config, &env));
    memset(prefix, 'x', 8); /* strings are copied */
    memset(path, 'x', 8);
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &none));
    CU_ASSERT_EQUAL(heard.n, 1); /* one message for one error */
    CU_ASSERT_EQUAL(heard.err, TARN_ENOENT);
    CU_ASSERT_STRING_EQUAL(heard.prefix, "server: ");
    CU_ASSERT_STRING_EQUAL(heard.text, tarn_last_message());
    CU_ASSERT_PTR_NOT_NULL(strstr(heard.text, "one"));
    CU_ASSERT_PTR_NOT_NULL(strstr(heard.text, home.path));
    MUST(home_attach(env, "one", CREATE, 100, &r));
    CU_ASSERT_EQUAL(heard.n, 1); /* none for none */
    heard.env = env;
    FAILS(TARN_EINVAL, home_attach(env, "one", 0, 1 << 20, &none));
    CU_ASSERT_EQUAL(heard.again, 1);
    heard.env = NULL;
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(heard.err, TARN_EBUSY);
    heard.n = 0;
    FAILS(TARN_EBUSY, tarn_env_close(env));
    CU_ASSERT_EQUAL(heard.n, 1);
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- backends ------------------------------------------------------------------------------------ */

static void backends_that_are_none(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct home home;
    tarn_env *env = NULL;

    home_make(&home);
    config.home = home.path;
    (void)setenv("TARN_BACKEND", "mmpa", 1);
    FAILS(TARN_EINVAL, tarn_env_open(&config, &env));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "mmap")); /* the nearest */
    (void)setenv("TARN_BACKEND", "", 1);
    MUST(tarn_env_open(&config, &env));
    OK(tarn_env_close(env));
    (void)unsetenv("TARN_BACKEND");
    config.backend = "quite?,mmap";
    MUST(tarn_env_open(&config, &env));
    OK(tarn_env_close(env));
    config.backend_required = "nosuch";
    FAILS(TARN_EINVAL, tarn_env_open(&config, &env));
    home_remove(&home);
}

static void backend_that_cannot_serve(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct home home;
    tarn_region *r = NULL;
    tarn_env *env;

    home_make(&home);
    config.home = home.path;
    config.backend_required = "malloc"; /* of one process only: never a silent change */
    MUST(tarn_env_open(&config, &env));
    FAILS(TARN_ENOSYS, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "malloc"));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    MUST(home_attach(env, "one", TARN_REGION_PRIVATE, 0, &r));
    OK(tarn_region_detach(r));
    OK(tarn_env_close(env));
    config.backend_required = "mmap"; /* of files only */
    MUST(tarn_env_open(&config, &env));
    FAILS(TARN_ENOSYS, home_attach(env, "one", TARN_REGION_PRIVATE, 0, &r));
    OK(tarn_env_close(env));
    home_remove(&home);
}

static int note_backend(void *ctx, const struct tarn_backend_info *info)
{
    int *seen = ctx;

    seen[0]++;
    seen[1] += info->chosen;
    seen[2] +=
        strcmp(info->name, "malloc") == 0 && info->err == TARN_ENOSYS && info->why[0] != '\0';
    seen[3] += info->summary[0] != '\0';
    return 0;
}

static void what_backends_could_do(void)
{
    struct home home;
    tarn_env *env;
    int seen[4] = { 0 };

    home_make(&home);
    MUST(home_open_env(&home, &env));
    OK(tarn_backend_list(env, 100000, note_backend, seen));
    CU_ASSERT(seen[0] >= 2);
    CU_ASSERT_EQUAL(seen[1], 1);
    CU_ASSERT_EQUAL(seen[2], 1);
    CU_ASSERT_EQUAL(seen[3], seen[0]);
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* Memory elsewhere than the home, and the whole of it gone with the region. */
static void directory_for_the_memory(void)
{
    struct home home, there;
    char whole[4200];
    tarn_region *r;
    tarn_env *env;

    home_make(&home);
    home_make(&there);
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(whole, 4000));
    strcat(whole, "/");
    strcat(whole, there.path);
    (void)setenv("TARN_REGION_DIR", whole, 1);
    MUST(home_open_env(&home, &env));
    (void)unsetenv("TARN_REGION_DIR");
    MUST(home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_EQUAL(home_files(&home, 0), 2);
    CU_ASSERT_EQUAL(home_files(&there, 0), 1);
    strcpy(tarn_region_memory(r, NULL), "kept");
    OK(tarn_region_detach(r));
    OK(tarn_env_close(env));
    MUST(home_open_env(&home, &env)); /* a joiner takes what the region has */
    MUST(home_attach(env, "one", 0, 0, &r));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(r, NULL), "kept");
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    CU_ASSERT_EQUAL(home_files(&there, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
    home_remove(&there);
}

/* ---- overrides ----------------------------------------------------------------------------------- */

static int opens;

static int count_open(const struct tarn_os *os, const char *path, unsigned flags, unsigned mode,
                      tarn_file *out)
{
    opens++;
    return os->below->file->open(os->below, path, flags, mode, out);
}

static int count_close(const struct tarn_os *os, tarn_file f)
{
    opens--;
    return os->below->file->close(os->below, f);
}

static void overrides_of_one_environment(void)
{
    static const struct tarn_os_file file = { .size = sizeof(file),
                                              .open = count_open,
                                              .close = count_close };
    static const struct tarn_os_file half = { .size = sizeof(half), .open = count_open };
    static struct tarn_os over = { .size = sizeof(over), .name = "count", .file = &file };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct home home;
    tarn_region *a, *b;
    tarn_env *mine, *other;

    home_make(&home);
    config.home = home.path;
    config.os = &over;
    MUST(tarn_env_open(&config, &mine));
    MUST(home_open_env(&home, &other));
    CU_ASSERT_PTR_NOT_EQUAL(tarn_env_os(mine), tarn_env_os(other));
    CU_ASSERT_PTR_EQUAL(tarn_env_os(other), tarn_os_host());
    MUST(home_attach(other, "one", CREATE, 0, &b));
    CU_ASSERT_EQUAL(opens, 0); /* the other one knows nothing of it */
    MUST(home_attach(mine, "one", 0, 0, &a));
    CU_ASSERT(opens >= 1);
    OK(tarn_region_detach(a));
    CU_ASSERT_EQUAL(opens, 0); /* what was opened was closed */
    OK(tarn_region_detach(b));
    OK(tarn_env_close(mine));
    OK(tarn_env_close(other));
    over.file = &half;
    FAILS(TARN_EINVAL, tarn_env_open(&config, &mine));
    home_remove(&home);
}

static void shims_over_an_override(void)
{
    static const struct tarn_os_file file = { .size = sizeof(file),
                                              .open = count_open,
                                              .close = count_close };
    static const struct tarn_os over = { .size = sizeof(over), .name = "count", .file = &file };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct home home;
    tarn_region *r = NULL;
    tarn_env *env = NULL;

    home_make(&home);
    config.home = home.path;
    config.os = &over;
    (void)setenv("TARN_OS", "fault:open:1:ENOSPC:always", 1);
    MUST(tarn_env_open(&config, &env));
    opens = 0;
    FAILS(TARN_ENOSPC, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_EQUAL(opens, 0); /* the shim is on top */
    OK(tarn_env_close(env));
    (void)setenv("TARN_OS", "fualt", 1);
    env = NULL;
    FAILS(TARN_EINVAL, tarn_env_open(&config, &env));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "TARN_OS"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "fault"));
    CU_ASSERT_PTR_NULL(env);
    (void)unsetenv("TARN_OS");
    home_remove(&home);
}

/* ---- pin mode ------------------------------------------------------------------------------------ */

static int no_barrier(const struct tarn_os *os)
{
    (void)os;
    return TARN_ENOSYS;
}

static void pin_mode_is_fixed_at_creation(void)
{
    static const struct tarn_os_sync sync = { .size = sizeof(sync),
                                              .barrier_register = no_barrier };
    static const struct tarn_os over = { .size = sizeof(over), .name = "poor", .sync = &sync };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct tarn_region_stat st;
    struct home home;
    const char *was = getenv("TARN_PIN");
    char keep[32] = "";
    tarn_region *a, *b = NULL;
    tarn_env *able, *unable;

    if (was != NULL)
        (void)snprintf(keep, sizeof(keep), "%s", was);
    (void)unsetenv("TARN_PIN");
    home_make(&home);
    MUST(home_open_env(&home, &able));
    config.home = home.path;
    config.os = &over;
    MUST(tarn_env_open(&config, &unable));
    MUST(home_attach(able, "one", CREATE, 0, &a));
    OK(tarn_region_stat(a, &st));
    if (st.pin_exchange == 0) {
        FAILS(TARN_ENOSYS, home_attach(unable, "one", 0, 0, &b));
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "TARN_PIN=exchange"));
    }
    OK(tarn_region_detach(a));
    OK(tarn_region_remove(able, "one", 0));
    MUST(home_attach(unable, "two", CREATE, 0, &a));
    OK(tarn_region_stat(a, &st));
    CU_ASSERT_EQUAL(st.pin_exchange, 1);
    OK(tarn_region_detach(a));
    (void)setenv("TARN_PIN", "exchange", 1);
    MUST(home_attach(able, "one", CREATE, 0, &a));
    OK(tarn_region_stat(a, &st));
    CU_ASSERT_EQUAL(st.pin_exchange, 1);
    MUST(home_attach(unable, "one", 0, 0, &b));
    OK(tarn_region_detach(b));
    OK(tarn_region_detach(a));
    (void)setenv("TARN_PIN", "barrier", 1);
    FAILS(TARN_ENOSYS, home_attach(unable, "three", CREATE, 0, &b));
    (void)setenv("TARN_PIN", "barier", 1);
    FAILS(TARN_EINVAL, home_attach(able, "three", CREATE, 0, &b));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "barier"));
    (void)unsetenv("TARN_PIN");
    if (keep[0] != '\0')
        (void)setenv("TARN_PIN", keep, 1);
    OK(tarn_env_close(able));
    OK(tarn_env_close(unable));
    home_remove(&home);
}

/* ---- patience ------------------------------------------------------------------------------------ */

static uint64_t fake_now;
static int sleeps;

static int fake_clock(const struct tarn_os *os, int wall, uint64_t *ns)
{
    (void)os;
    (void)wall;
    *ns = fake_now;
    return TARN_OK;
}

static int fake_sleep(const struct tarn_os *os, uint64_t ns)
{
    (void)os;
    fake_now += ns;
    sleeps++;
    return TARN_OK;
}

/* Somebody is making the region and does not get on: a temporary error after a bounded time. */
static void waiting_for_a_maker_ends(void)
{
    static const struct tarn_os_misc misc = { .size = sizeof(misc),
                                              .sleep = fake_sleep,
                                              .clock = fake_clock };
    static const struct tarn_os over = { .size = sizeof(over), .name = "clock", .misc = &misc };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    const struct tarn_os *os = tarn_os_host();
    struct home home;
    tarn_region *r = NULL;
    tarn_env *env;
    tarn_file f;
    char path[128];

    home_make(&home);
    config.home = home.path;
    config.os = &over;
    MUST(tarn_env_open(&config, &env));
    home_file(&home, "one.lock", path);
    MUST(os->file->open(os, path, TARN_OPEN_CREATE, 0600, &f));
    MUST(os->sync->lock_byte(os, f, 0, TARN_LOCK_TRY, NULL));
    FAILS(TARN_EAGAIN, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT(sleeps > 100);
    CU_ASSERT(fake_now >= 20000000000u && fake_now < 21000000000u);
    CU_ASSERT_EQUAL(home_files(&home, 0), 1);
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE)); /* waits for nobody */
    CU_ASSERT_EQUAL(home_files(&home, 0), 1);
    MUST(os->sync->lock_byte(os, f, 0, TARN_LOCK_FREE, NULL));
    MUST(home_attach(env, "one", CREATE, 0, &r));
    OK(tarn_region_detach(r));
    OK(os->file->close(os, f));
    OK(tarn_env_close(env));
    home_remove(&home);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "sizes of configurations, older and newer", sizes_of_configurations },
        { "O11: looks at a lock, by processors or as asked", spins_by_processors },
        { "R10: homes that are none", homes_that_are_none },
        { "R11: a home that cannot be written", home_that_cannot_be_written },
        { "R11: a home that went away", home_that_went_away },
        { "R13: a home that other machines reach", home_of_several_machines },
        { "R11: messages, once, with no lock held", messages_go_to_the_callback },
        { "backends that are none", backends_that_are_none },
        { "R9: a backend that cannot serve", backend_that_cannot_serve },
        { "what backends could do", what_backends_could_do },
        { "R13 R15: a directory for the memory", directory_for_the_memory },
        { "O1: overrides of one environment", overrides_of_one_environment },
        { "O1: shims go over an override", shims_over_an_override },
        { "R14: the pin mode is fixed at creation", pin_mode_is_fixed_at_creation },
        { "R20 R26: waiting for a maker ends", waiting_for_a_maker_ends },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "env", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
