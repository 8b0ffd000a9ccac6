/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions as a program uses them: make, join, use, leave, remove. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "home.h"
#include "proc.h"

#define CREATE TARN_REGION_CREATE
#define MAKE   (TARN_REGION_CREATE | TARN_REGION_EXCL)

static struct home home;
static tarn_env *env;

static void begin(void)
{
    home_make(&home);
    MUST(home_open_env(&home, &env));
}

static void end(void)
{
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* ---- make and join ------------------------------------------------------------------------------- */

static void made_and_joined(void)
{
    tarn_region *a, *b;
    uint64_t bytes = 1;
    char *mine, *other;

    begin();
    MUST(home_attach(env, "one", MAKE, 100000, &a));
    CU_ASSERT_EQUAL(tarn_region_created(a), 1);
    mine = tarn_region_memory(a, &bytes);
    CU_ASSERT(bytes >= 100000 && bytes % 4096 == 0);
    CU_ASSERT_EQUAL((uintptr_t)mine % 4096, 0);
    for (uint64_t i = 0; i < bytes; i++)
        if (mine[i] != 0) {
            CU_FAIL("new memory is not zero");
            break;
        }
    MUST(home_attach(env, "one", CREATE, 0, &b));
    CU_ASSERT_EQUAL(tarn_region_created(b), 0);
    other = tarn_region_memory(b, NULL);
    CU_ASSERT_PTR_NOT_EQUAL(mine, other);
    memcpy(mine + bytes - 6, "hello", 6);
    CU_ASSERT_STRING_EQUAL(other + bytes - 6, "hello");
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));

    MUST(home_attach(env, "one", 0, 0, &a)); /* it stays when nobody is attached */
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(a, NULL) + bytes - 6, "hello");
    OK(tarn_region_detach(a));
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

static void there_or_not_there(void)
{
    tarn_region *a, *none = NULL;

    begin();
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &none));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    FAILS(TARN_ENOENT, tarn_region_remove(env, "one", 0));
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    MUST(home_attach(env, "one", MAKE, 0, &a));
    FAILS(TARN_EEXIST, home_attach(env, "one", MAKE, 0, &none));
    OK(tarn_region_detach(a));
    FAILS(TARN_EEXIST, home_attach(env, "one", MAKE, 0, &none));
    CU_ASSERT_PTR_NULL(none);
    OK(tarn_region_remove(env, "one", 0));
    end();
}

static void sizes_of_a_joiner(void)
{
    tarn_region *a, *b;
    uint64_t bytes;

    begin();
    MUST(home_attach(env, "one", CREATE, 8192, &a));
    MUST(home_attach(env, "one", 0, 100, &b)); /* less than there is: as it is */
    (void)tarn_region_memory(b, &bytes);
    CU_ASSERT_EQUAL(bytes, 8192);
    OK(tarn_region_detach(b));
    FAILS(TARN_EINVAL, home_attach(env, "one", CREATE, 8193, &b));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "8193"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "8192"));
    OK(tarn_region_detach(a));
    OK(tarn_region_remove(env, "one", 0));
    MUST(home_attach(env, "two", CREATE, 0, &a));
    (void)tarn_region_memory(a, &bytes);
    CU_ASSERT_EQUAL(bytes, 65536);
    OK(tarn_region_detach(a));
    end();
}

static void wrong_arguments(void)
{
    static const char *const names[] = { "", "a/b", "a b", "\xc3\xa4", "x\n", NULL };
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    char longest[80];
    tarn_region *r = NULL;

    begin();
    for (int i = 0; names[i] != NULL; i++)
        FAILS(TARN_EINVAL, home_attach(env, names[i], CREATE, 0, &r));
    FAILS(TARN_EINVAL, home_attach(env, NULL, CREATE, 0, &r));
    memset(longest, 'x', sizeof(longest));
    longest[65] = '\0';
    FAILS(TARN_EINVAL, home_attach(env, longest, CREATE, 0, &r));
    FAILS(TARN_EINVAL, home_attach(env, "one", TARN_REGION_EXCL, 0, &r));
    FAILS(TARN_EINVAL, home_attach(env, "one", 0x100 | CREATE, 0, &r));
    FAILS(TARN_EINVAL, tarn_region_attach(NULL, "one", &config, &r));
    FAILS(TARN_EINVAL, tarn_region_attach(env, "one", &config, NULL));
    FAILS(TARN_EINVAL, tarn_region_detach(NULL));
    FAILS(TARN_EINVAL, tarn_region_remove(env, "a/b", 0));
    FAILS(TARN_EINVAL, tarn_region_remove(env, "one", 2));
    config.flags = CREATE;
    config.max_procs = 4096;
    FAILS(TARN_EINVAL, tarn_region_attach(env, "one", &config, &r));
    config.max_procs = 0;
    config.max_threads = 16384;
    FAILS(TARN_EINVAL, tarn_region_attach(env, "one", &config, &r));
    config.max_threads = 0;
    config.mode = 01777;
    FAILS(TARN_EINVAL, tarn_region_attach(env, "one", &config, &r));
    config.mode = 0;
    config.bytes = UINT64_MAX;
    FAILS(TARN_EINVAL, tarn_region_attach(env, "one", &config, &r));
    config.bytes = 1ULL << 50; /* more than any file system here has */
    CU_ASSERT(tarn_region_attach(env, "one", &config, &r) < 0);
    CU_ASSERT_PTR_NULL(r);
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    longest[64] = '\0';
    MUST(home_attach(env, longest, CREATE, 0, &r));
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, longest, 0));
    end();
}

static void modes(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    mode_t mask = umask(0);
    struct stat st;
    char path[128];
    tarn_region *r;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &r));
    for (int i = 0; i < 2; i++) {
        home_file(&home, i == 0 ? "one.tarn" : "one.lock", path);
        CU_ASSERT_EQUAL(stat(path, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
    }
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    (void)umask(0777);
    config.flags = CREATE;
    config.mode = 0660;
    MUST(tarn_region_attach(env, "two", &config, &r));
    (void)umask(mask);
    for (int i = 0; i < 2; i++) {
        home_file(&home, i == 0 ? "two.tarn" : "two.lock", path);
        CU_ASSERT_EQUAL(stat(path, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
    }
    OK(tarn_region_detach(r));
    MUST(home_attach(env, "two", 0, 0, &r));
    OK(tarn_region_detach(r));
    end();
}

/* ---- private ------------------------------------------------------------------------------------- */

static void private_regions(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct tarn_region_stat st;
    tarn_region *a, *b;
    tarn_env *alone;
    char *memory;

    begin();
    MUST(tarn_env_open(&config, &alone));
    MUST(home_attach(alone, "x", 0, 0, &a));
    MUST(home_attach(env, NULL, TARN_REGION_PRIVATE, 70000, &b));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    CU_ASSERT_EQUAL(tarn_region_created(a), 1);
    CU_ASSERT_EQUAL(tarn_region_created(b), 1);
    memory = tarn_region_memory(b, NULL);
    for (int i = 0; i < 70000; i++)
        CU_ASSERT_EQUAL_FATAL(memory[i], 0);
    memset(memory, 7, 70000);
    OK(tarn_region_lock(b));
    OK(tarn_region_unlock(b));
    OK(tarn_region_stat(b, &st));
    CU_ASSERT_STRING_EQUAL(st.backend, "malloc");
    CU_ASSERT_EQUAL(st.procs, 1);
    CU_ASSERT_EQUAL(st.max_procs, 1);
    FAILS(TARN_EBUSY, tarn_env_close(alone));
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));
    FAILS(TARN_EINVAL, tarn_region_remove(alone, "x", 0));
    OK(tarn_env_close(alone));
    end();
}

/* ---- the lock ------------------------------------------------------------------------------------ */

static void lock_and_unlock(void)
{
    struct tarn_region_stat st;
    tarn_region *a, *b;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &a));
    MUST(home_attach(env, "one", 0, 0, &b));
    FAILS(TARN_EPERM, tarn_region_unlock(a)); /* attach returns unlocked */
    OK(tarn_region_lock(a));
    FAILS(TARN_EDEADLK, tarn_region_lock(a));
    FAILS(TARN_EPERM, tarn_region_unlock(b));
    OK(tarn_region_unlock(a));
    FAILS(TARN_EPERM, tarn_region_unlock(a));
    OK(tarn_region_lock(b));
    OK(tarn_region_detach(b)); /* gives it back */
    OK(tarn_region_lock(a));
    OK(tarn_region_unlock(a));
    OK(tarn_region_stat(a, &st));
    CU_ASSERT_EQUAL(st.lock_nowait, 3);
    CU_ASSERT_EQUAL(st.lock_wait, 0);
    OK(tarn_region_detach(a));
    end();
}

struct counter {
    _Atomic uint32_t inside;
    uint64_t n;
};

enum { ROUNDS = 3000, COUNTERS = 4 };

static int count_up(struct side *me)
{
    tarn_env *e;
    tarn_region *r;
    struct counter *c;

    if (home_open_env(&home, &e) != 0 || home_attach(e, "one", 0, 0, &r) != 0)
        return 1;
    c = tarn_region_memory(r, NULL);
    side_here(me);
    side_wait(me);
    for (int i = 0; i < ROUNDS; i++) {
        if (tarn_region_lock(r) != 0)
            return 2;
        if (atomic_fetch_add(&c->inside, 1) != 0)
            return 3;
        c->n++;
        atomic_fetch_sub(&c->inside, 1);
        if (tarn_region_unlock(r) != 0)
            return 4;
    }
    return tarn_region_detach(r) == 0 && tarn_env_close(e) == 0 ? 0 : 5;
}

static void lock_excludes(void)
{
    struct child c[COUNTERS];
    tarn_region *r;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &r));
    for (int i = 0; i < COUNTERS; i++)
        child_start(&c[i], count_up, NULL);
    for (int i = 0; i < COUNTERS; i++)
        CU_ASSERT(child_await(&c[i]));
    for (int i = 0; i < COUNTERS; i++)
        child_go_on(&c[i]);
    for (int i = 0; i < COUNTERS; i++)
        CU_ASSERT_EQUAL(child_end(&c[i]), 0);
    CU_ASSERT_EQUAL(((struct counter *)tarn_region_memory(r, NULL))->n, ROUNDS * COUNTERS);
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    end();
}

/* ---- remove -------------------------------------------------------------------------------------- */

static void removed_only_when_unused(void)
{
    tarn_region *a, *b;
    char *memory;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &a));
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    MUST(home_attach(env, "one", 0, 0, &b)); /* nothing was harmed */
    memory = tarn_region_memory(a, NULL);
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    strcpy(memory, "still mine");
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(b, NULL), "still mine");
    OK(tarn_region_lock(a));
    OK(tarn_region_unlock(a));
    OK(tarn_region_detach(b));
    MUST(home_attach(env, "one", MAKE, 0, &b)); /* a new one of the same name */
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(b, NULL), "");
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));
    CU_ASSERT_EQUAL(home_files(&home, 0), 3);
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

static void last_one_removes(void)
{
    tarn_region *a, *b;

    begin();
    MUST(home_attach(env, "one", MAKE | TARN_REGION_REMOVE_LAST, 0, &a));
    MUST(home_attach(env, "one", 0, 0, &b));
    OK(tarn_region_detach(a));
    CU_ASSERT_EQUAL(home_files(&home, 0), 3);
    OK(tarn_region_detach(b));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

static void memory_that_vanished(void)
{
    tarn_region *r;
    DIR *d;
    struct dirent *e;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &r));
    strcpy(tarn_region_memory(r, NULL), "old");
    OK(tarn_region_detach(r));
    d = opendir(home.path);
    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".mem") != NULL)
            CU_ASSERT_EQUAL(unlinkat(dirfd(d), e->d_name, 0), 0);
    (void)closedir(d);
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &r));
    MUST(home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_EQUAL(tarn_region_created(r), 1);
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(r, NULL), "");
    OK(tarn_region_detach(r));
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

/* ---- panic --------------------------------------------------------------------------------------- */

static void panic_stops_everything(void)
{
    tarn_region *a, *b, *c = NULL;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &a));
    MUST(home_attach(env, "one", 0, 0, &b));
    OK(tarn_region_lock(b));
    OK(tarn_region_panic(a));
    FAILS(TARN_ERUNRECOVERY, tarn_region_lock(a));
    FAILS(TARN_ERUNRECOVERY, tarn_region_lock(b));
    FAILS(TARN_ERUNRECOVERY, home_attach(env, "one", 0, 0, &c));
    FAILS(TARN_ERUNRECOVERY, home_attach(env, "one", CREATE, 0, &c));
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));
    FAILS(TARN_ERUNRECOVERY, home_attach(env, "one", CREATE, 0, &c));
    OK(tarn_region_remove(env, "one", 0));
    MUST(home_attach(env, "one", CREATE, 0, &c));
    OK(tarn_region_lock(c));
    OK(tarn_region_detach(c));
    end();
}

/* ---- stat and list ------------------------------------------------------------------------------- */

struct seen {
    int n, bad;
    char names[128];
    struct tarn_region_stat last;
};

static int see(void *ctx, int err, const struct tarn_region_stat *st)
{
    struct seen *s = ctx;

    s->n++;
    s->bad += err != 0;
    strcat(s->names, st->name);
    strcat(s->names, " ");
    s->last = *st;
    return 0;
}

static int stop_at_once(void *ctx, int err, const struct tarn_region_stat *st)
{
    (void)err;
    (void)st;
    ++*(int *)ctx;
    return -5;
}

static void seen_from_outside(void)
{
    struct seen s = { 0 };
    struct tarn_region_stat st;
    tarn_region *a, *b;
    char path[128];
    int calls = 0, fd;

    begin();
    OK(tarn_region_list(env, see, &s));
    CU_ASSERT_EQUAL(s.n, 0);
    MUST(home_attach(env, "b.x", CREATE, 5000, &a));
    MUST(home_attach(env, "a", CREATE, 0, &b));
    home_file(&home, "no-region", path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    (void)close(fd);
    OK(tarn_region_list(env, see, &s));
    CU_ASSERT_STRING_EQUAL(s.names, "a b.x ");
    CU_ASSERT_EQUAL(s.bad, 0);
    OK(tarn_region_stat(a, &st));
    CU_ASSERT_STRING_EQUAL(st.name, "b.x");
    CU_ASSERT_STRING_EQUAL(st.name, s.last.name);
    CU_ASSERT_STRING_EQUAL(st.backend, s.last.backend);
    CU_ASSERT_STRING_EQUAL(st.memory, s.last.memory);
    CU_ASSERT_NOT_EQUAL(st.memory[0], '\0');
    CU_ASSERT_EQUAL(memcmp(st.uuid, s.last.uuid, 16), 0);
    CU_ASSERT_EQUAL(st.bytes, 8192);
    CU_ASSERT_EQUAL(st.bytes, s.last.bytes);
    CU_ASSERT_EQUAL(st.procs, 1);
    CU_ASSERT_EQUAL(s.last.procs, 1);
    CU_ASSERT_EQUAL(st.max_procs, 128);
    CU_ASSERT_EQUAL(s.last.max_procs, 128);
    CU_ASSERT_EQUAL(st.max_threads, 1024);
    CU_ASSERT_EQUAL(st.mode, 0600);
    CU_ASSERT(st.committed >= st.bytes && st.committed <= st.reserve);
    CU_ASSERT_EQUAL(st.kind, 0);

    home_file(&home, "c.tarn", path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    CU_ASSERT_EQUAL(write(fd, "junk", 4), 4);
    (void)close(fd);
    memset(&s, 0, sizeof(s));
    OK(tarn_region_list(env, see, &s));
    CU_ASSERT_STRING_EQUAL(s.names, "a b.x c ");
    CU_ASSERT_EQUAL(s.bad, 1);
    FAILS(-5, tarn_region_list(env, stop_at_once, &calls));
    CU_ASSERT_EQUAL(calls, 1);
    OK(tarn_region_detach(a));
    OK(tarn_region_detach(b));
    end();
}

/* ---- races --------------------------------------------------------------------------------------- */

enum { RACES = 60, RACERS = 3 };

/* Attach with CREATE when told to; here: 1 if it made the region.  Then remove when told to. */
static int racer(struct side *me)
{
    tarn_env *e;
    tarn_region *r;

    if (home_open_env(&home, &e) != 0)
        return 1;
    for (int i = 0; i < RACES; i++) {
        char c;

        side_wait(me);
        if (home_attach(e, "race", CREATE, 0, &r) != 0) {
            (void)fprintf(stderr, "racer: %s\n", tarn_last_message());
            return 2;
        }
        atomic_fetch_add((_Atomic uint64_t *)tarn_region_memory(r, NULL), 1);
        c = (char)('0' + tarn_region_created(r));
        if (write(me->out, &c, 1) != 1)
            return 3;
        side_wait(me);
        if (tarn_region_detach(r) != 0)
            return 4;
        side_here(me);
    }
    return tarn_env_close(e) == 0 ? 0 : 5;
}

static void one_of_many_makes_it(void)
{
    struct child c[RACERS];
    tarn_region *r;

    begin();
    for (int i = 0; i < RACERS; i++)
        child_start(&c[i], racer, NULL);
    for (int round = 0; round < RACES; round++) {
        int made = 0;

        for (int i = 0; i < RACERS; i++)
            child_go_on(&c[i]);
        for (int i = 0; i < RACERS; i++) {
            char byte = 'x';

            CU_ASSERT_EQUAL_FATAL(read(c[i].from, &byte, 1), 1);
            made += byte == '1';
        }
        CU_ASSERT_EQUAL(made, 1);
        MUST(home_attach(env, "race", 0, 0, &r));
        CU_ASSERT_EQUAL(atomic_load((_Atomic uint64_t *)tarn_region_memory(r, NULL)), RACERS);
        OK(tarn_region_detach(r));
        for (int i = 0; i < RACERS; i++)
            child_go_on(&c[i]);
        for (int i = 0; i < RACERS; i++)
            CU_ASSERT(child_await(&c[i]));
        OK(tarn_region_remove(env, "race", 0));
    }
    for (int i = 0; i < RACERS; i++)
        CU_ASSERT_EQUAL(child_end(&c[i]), 0);
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

/* Make, use, leave, remove, as fast as it can; nobody may meet anything but a whole region. */
static int churner(struct side *me)
{
    tarn_env *e;
    tarn_region *r;

    if (home_open_env(&home, &e) != 0)
        return 1;
    side_here(me);
    side_wait(me);
    for (int i = 0; i < 150; i++) {
        int err = home_attach(e, "churn", CREATE, 0, &r);
        uint64_t *word;

        if (err != 0) {
            (void)fprintf(stderr, "churner: %s\n", tarn_last_message());
            return 2;
        }
        if (tarn_region_lock(r) != 0)
            return 3;
        word = tarn_region_memory(r, NULL);
        if (word[0] != word[1])
            return 4;
        word[0]++;
        word[1]++;
        if (tarn_region_unlock(r) != 0 || tarn_region_detach(r) != 0)
            return 5;
        err = tarn_region_remove(e, "churn", 0);
        if (err != 0 && err != TARN_EBUSY && err != TARN_ENOENT) {
            (void)fprintf(stderr, "churner: %s\n", tarn_last_message());
            return 6;
        }
    }
    return tarn_env_close(e) == 0 ? 0 : 7;
}

static void removed_while_joining(void)
{
    struct child c[RACERS];

    begin();
    for (int i = 0; i < RACERS; i++)
        child_start(&c[i], churner, NULL);
    for (int i = 0; i < RACERS; i++)
        CU_ASSERT(child_await(&c[i]));
    for (int i = 0; i < RACERS; i++)
        child_go_on(&c[i]);
    for (int i = 0; i < RACERS; i++)
        CU_ASSERT_EQUAL(child_end(&c[i]), 0);
    OK(tarn_region_remove(env, "churn", TARN_REMOVE_FORCE));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "R10 R11 R12 R14: made once, joined by name, zeroed, stays", made_and_joined },
        { "R11 R12 R25 R26: there or not there", there_or_not_there },
        { "X2 R16 R6: what a joiner's size means", sizes_of_a_joiner },
        { "R4 R5: arguments that mean nothing", wrong_arguments },
        { "X7: mode as asked, whatever the umask", modes },
        { "R8 R9 R21 R22: private regions", private_regions },
        { "R23: the region's lock: not recursive, owned, given back at detach", lock_and_unlock },
        { "R19: the region's lock excludes other processes", lock_excludes },
        { "R25 R26 R24 X5: removed when unused, or by force", removed_only_when_unused },
        { "R24 R23: the last one removes it", last_one_removes },
        { "R17 R13 X8: memory that vanished", memory_that_vanished },
        { "R19 M6 Y12: panic", panic_stops_everything },
        { "R1 R3 X1: what stat and list say", seen_from_outside },
        { "R11 R15 R18 R20: one of many makes it", one_of_many_makes_it },
        { "R2 R7 R19 R20: removed while others join", removed_while_joining },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "region", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
