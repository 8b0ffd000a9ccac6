/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables on tables: overriding, deriving, refusing, and the shims by name. */
#include "os_tables.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#include "os/shim/fault.h"
#include "os/table.h"

static const struct tarn_os *base = &posix_table;

/* ---- overriding ---- */

static char said[32];

static void say(char c)
{
    size_t n = strlen(said);

    if (n + 1 < sizeof(said))
        said[n] = c;
}

/* Each level says the letter that its ctx points to, and calls down. */
static int saying_exists(const struct tarn_os *os_, const char *path, int *isdir)
{
    say(*(const char *)os_->ctx);
    return os_->below->file->exists(os_->below, path, isdir);
}

static int saying_yield(const struct tarn_os *os_)
{
    say((char)(*(const char *)os_->ctx + 'a' - 'A'));
    return os_->below->misc->yield(os_->below);
}

static const struct tarn_os_file saying_file = { .size = sizeof(struct tarn_os_file),
                                                 .exists = saying_exists };
static const struct tarn_os_misc saying_misc = { .size = sizeof(struct tarn_os_misc),
                                                 .yield = saying_yield };

static struct tarn_os saying(char *letter)
{
    return (struct tarn_os){ .size = sizeof(struct tarn_os),
                             .name = "saying",
                             .ctx = letter,
                             .file = &saying_file,
                             .misc = *letter == 'B' ? NULL : &saying_misc };
}

static void levels_call_down(void)
{
    char letters[] = "ABC";
    struct tarn_os *levels[3];
    const struct tarn_os *top = base;
    size_t bytes = 0;
    int isdir = 0;

    memset(said, 0, sizeof(said));
    for (int i = 0; i < 3; i++) {
        struct tarn_os over = saying(&letters[i]); /* only what it points to must live on */

        MUST(tarn_os_stack(top, &over, &levels[i]));
        top = levels[i];
    }
    CU_ASSERT_STRING_EQUAL(top->name, "saying");
    CU_ASSERT_PTR_EQUAL(levels[0]->below, base);
    OK(top->file->exists(top, ".", &isdir));
    CU_ASSERT_EQUAL(isdir, 1);
    OK(top->misc->yield(top));
    CU_ASSERT_STRING_EQUAL(said, "CBAca"); /* the latest first; B has no yield */
    OK(top->misc->page_size(top, &bytes)); /* nobody's: the platform's */
    FAILS(TARN_ENOENT, top->file->exists(top, "nothing", NULL));
    for (int i = 2; i >= 0; i--)
        tarn_os_unstack(levels[i]);
    tarn_os_unstack(NULL);
}

static void no_slot_is_null(void)
{
    struct tarn_os *level;
    const struct tarn_os *tables[4] = { &posix_table, &linux_table, tarn_os_platform(), NULL };

    MUST(tarn_os_stack(base, &os_nothing, &level));
    tables[3] = level;
    for (int i = 0; i < 4; i++) {
        const struct tarn_os *t = tables[i];
        int missing = 0;

#define COUNT_MISSING(group, name, ...) missing += t->group->name == NULL;
        SLOTS(COUNT_MISSING, COUNT_MISSING, COUNT_MISSING)
#undef COUNT_MISSING
        CU_ASSERT_EQUAL(missing, 0);
    }
    tarn_os_unstack(level);
}

/* ---- deriving ---- */

enum { FILES = 2, LOOPS = 300 };

/* How many calls are inside the application's functions, per file; more than one is an error. */
static struct {
    atomic_int inside[1024];
    atomic_int overlaps, calls;
} counts;

static void enter(tarn_file f)
{
    if (atomic_fetch_add(&counts.inside[f], 1) != 0)
        atomic_fetch_add(&counts.overlaps, 1);
    atomic_fetch_add(&counts.calls, 1);
    (void)sched_yield();
}

static void leave(tarn_file f) { atomic_fetch_sub(&counts.inside[f], 1); }

static int own_read(const struct tarn_os *os_, tarn_file f, void *buf, size_t len, size_t *got)
{
    int ret;

    enter(f);
    ret = os_->below->file->read(os_->below, f, buf, len, got);
    leave(f);
    return ret;
}

static int own_write(const struct tarn_os *os_, tarn_file f, const void *buf, size_t len)
{
    int ret;

    enter(f);
    ret = os_->below->file->write(os_->below, f, buf, len);
    leave(f);
    return ret;
}

static int own_seek(const struct tarn_os *os_, tarn_file f, int64_t off, enum tarn_whence whence,
                    uint64_t *pos)
{
    int ret;

    enter(f);
    ret = os_->below->file->seek(os_->below, f, off, whence, pos);
    leave(f);
    return ret;
}

static const struct tarn_os_file own_file = {
    .size = sizeof(struct tarn_os_file), .read = own_read, .write = own_write, .seek = own_seek
};
static const struct tarn_os own = { .size = sizeof(struct tarn_os),
                                    .name = "own",
                                    .file = &own_file };

struct traffic {
    const struct tarn_os *os;
    tarn_file files[FILES];
    int number;
    int wrong;
};

/* Write and read back our own 8 bytes in every file, single and vectored. */
static void *run_traffic(void *arg)
{
    struct traffic *t = arg;

    for (uint32_t i = 0; i < LOOPS; i++) {
        uint32_t word[2] = { i, (uint32_t)t->number }, back[2] = { 0, 0 };
        struct tarn_iov out[2] = { { &word[0], 4 }, { &word[1], 4 } };
        struct tarn_iov in[2] = { { &back[0], 4 }, { &back[1], 4 } };
        uint64_t at = (uint64_t)t->number * 8;
        tarn_file f = t->files[i % FILES];
        size_t got = 0;

        if (i % 4 < 2) {
            t->wrong |= t->os->file->pwrite(t->os, f, word, 8, at);
            t->wrong |= t->os->file->pread(t->os, f, back, 8, at, &got);
        } else {
            t->wrong |= t->os->file->pwritev(t->os, f, out, 2, at);
            t->wrong |= t->os->file->preadv(t->os, f, in, 2, at, &got);
        }
        t->wrong |= got != 8 || memcmp(word, back, 8) != 0;
    }
    return NULL;
}

static void derived_calls_are_serial(void)
{
    struct traffic traffic[3];
    pthread_t threads[3];
    struct tarn_os *level;
    uint64_t pos = 0;

    MUST(tarn_os_stack(base, &own, &level));
    os = level;
    atomic_store(&counts.overlaps, 0);
    atomic_store(&counts.calls, 0);
    for (int i = 0; i < 3; i++)
        traffic[i] = (struct traffic){ .os = level, .number = i };
    traffic[0].files[0] = new_file("one");
    traffic[0].files[1] = new_file("two");
    OK(level->file->seek(level, traffic[0].files[0], 3, TARN_SEEK_SET, NULL));
    for (int i = 0; i < 3; i++) {
        memcpy(traffic[i].files, traffic[0].files, sizeof(traffic[0].files));
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, run_traffic, &traffic[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(traffic[i].wrong, 0);
    }
    CU_ASSERT_EQUAL(atomic_load(&counts.overlaps), 0);
    CU_ASSERT_TRUE(atomic_load(&counts.calls) >= 3 * LOOPS * 2 * 2); /* all of it went through */
    OK(level->file->seek(level, traffic[0].files[0], 0, TARN_SEEK_CUR, &pos));
    CU_ASSERT_EQUAL(pos, 3);
    drop_file(traffic[0].files[0], "one");
    drop_file(traffic[0].files[1], "two");
    tarn_os_unstack(level);
}

static int counted_pread(const struct tarn_os *os_, tarn_file f, void *buf, size_t len,
                         uint64_t off, size_t *got)
{
    atomic_fetch_add(&counts.calls, 1);
    return os_->below->file->pread(os_->below, f, buf, len, off, got);
}

static int counted_pwrite(const struct tarn_os *os_, tarn_file f, const void *buf, size_t len,
                          uint64_t off)
{
    atomic_fetch_add(&counts.calls, 1);
    return os_->below->file->pwrite(os_->below, f, buf, len, off);
}

static void vectors_are_made_of_single_calls(void)
{
    const struct tarn_os_file file = { .size = sizeof(file),
                                       .pread = counted_pread,
                                       .pwrite = counted_pwrite };
    const struct tarn_os over = { .size = sizeof(over), .file = &file };
    char text[] = "abcdef", back[7] = "";
    struct tarn_iov out[3] = { { text, 1 }, { text + 1, 2 }, { text + 3, 3 } };
    struct tarn_iov in[3] = { { back, 3 }, { back + 3, 3 }, { back + 6, 1 } };
    struct tarn_os *level;
    size_t got = 0;
    tarn_file f;

    MUST(tarn_os_stack(base, &over, &level));
    CU_ASSERT_STRING_EQUAL(level->name, "override");
    os = level;
    f = new_file("vectors");
    atomic_store(&counts.calls, 0);
    OK(level->file->pwritev(level, f, out, 3, 0));
    OK(level->file->preadv(level, f, in, 3, 0, &got));
    CU_ASSERT_TRUE(got == 6 && strcmp(back, "abcdef") == 0);
    CU_ASSERT_EQUAL(atomic_load(&counts.calls), 6);
    FAILS(TARN_EINVAL, level->file->preadv(level, f, in, 65, 0, &got));
    FAILS(TARN_EINVAL, level->file->pwritev(level, f, out, 0, 0));
    drop_file(f, "vectors");
    tarn_os_unstack(level);
}

/* ---- refusing ---- */

static int no_malloc(const struct tarn_os *os_, size_t len, void **out)
{
    (void)os_;
    (void)len;
    (void)out;
    return TARN_ENOMEM;
}

static int no_open(const struct tarn_os *os_, const char *path, unsigned flags, unsigned mode,
                   tarn_file *out)
{
    (void)os_;
    (void)path;
    (void)flags;
    (void)mode;
    (void)out;
    return TARN_ENOENT;
}

static void refused(int err, const struct tarn_os *below, const struct tarn_os *over,
                    const char *word)
{
    struct tarn_os *level = NULL;

    FAILS(err, tarn_os_stack(below, over, &level));
    CU_ASSERT_PTR_NULL(level);
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), word));
}

static void overrides_that_are_refused(void)
{
    const struct tarn_os_misc half = { .size = sizeof(half), .malloc = no_malloc };
    const struct tarn_os_file opens = { .size = sizeof(opens), .open = no_open };
    const struct tarn_os_map sizeless = { .size = 0 };
    struct {
        struct tarn_os_map map;
        void *later;
    } newer = { { .size = sizeof(newer) }, &newer };
    struct tarn_os over = { .size = sizeof(over), .misc = &half };
    struct tarn_os hollow = *base;
    struct tarn_os *level;

    refused(TARN_EINVAL, base, &over, "malloc, realloc and free");
    over = (struct tarn_os){ .size = sizeof(over), .file = &opens };
    refused(TARN_EINVAL, base, &over, "open is there without close");
    over = (struct tarn_os){ .size = sizeof(over), .map = &sizeless };
    refused(TARN_EINVAL, base, &over, "group map has size 0");
    over = (struct tarn_os){ .size = sizeof(over), .map = &newer.map };
    refused(TARN_EVERSION, base, &over, "group map");
    newer.later = NULL; /* a longer group that uses nothing new is welcome */
    MUST(tarn_os_stack(base, &over, &level));
    tarn_os_unstack(level);
    hollow.sync = NULL;
    refused(TARN_EINVAL, &hollow, &os_nothing, "lacks group sync");
    hollow = *base;
    hollow.file = &opens;
    refused(TARN_EINVAL, &hollow, &os_nothing, "lacks file.");
    FAILS(TARN_EINVAL, tarn_os_stack(NULL, &os_nothing, &level));
    FAILS(TARN_EINVAL, tarn_os_override(NULL));
}

static int mapping_called;

static int own_map(const struct tarn_os *os_, const struct tarn_map_request *req, void **addr)
{
    mapping_called++;
    return os_->below->map->map(os_->below, req, addr);
}

static int must_not_unmap(const struct tarn_os *os_, void *addr, size_t len)
{
    (void)os_;
    (void)addr;
    (void)len;
    return TARN_ECORRUPT;
}

/* Compiled against an older Tarn: what lies behind `size` is not read. */
static void older_tables(void)
{
    const struct tarn_os_map map = { .size = offsetof(struct tarn_os_map, unmap),
                                     .map = own_map,
                                     .unmap = must_not_unmap };
    const struct tarn_os over = { .size = offsetof(struct tarn_os, shm),
                                  .map = &map,
                                  .shm = (const struct tarn_os_shm *)8,
                                  .misc = (const struct tarn_os_misc *)8 };
    struct tarn_map_request req = { .file = TARN_NO_FILE, .len = 65536, .flags = TARN_MAP_ANON };
    struct tarn_os *level;
    void *at = NULL;

    MUST(tarn_os_stack(base, &over, &level));
    OK(level->map->map(level, &req, &at));
    CU_ASSERT_EQUAL(mapping_called, 1);
    OK(level->map->unmap(level, at, req.len));
    tarn_os_unstack(level);
}

/* ---- the shims by name ---- */

static void bad_spec(const char *spec, const char *word)
{
    struct tarn_os *level = NULL;

    FAILS(TARN_EINVAL, tarn_os_shims(base, spec, &level));
    CU_ASSERT_PTR_NULL(level);
    if (strstr(tarn_last_message(), word) == NULL)
        printf("# %s: %s\n", spec, tarn_last_message());
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), word));
}

static void specs_that_are_wrong(void)
{
    bad_spec("trce", "\"trce\"; did you mean \"trace\"");
    bad_spec("trace,falt:pwrite:1:EIO", "\"falt\"; did you mean \"fault\"");
    bad_spec("trace:loud", "\"loud\"");
    bad_spec("", "there is no shim \"\"");
    bad_spec("fault", "fault:SLOT:N:ERROR");
    bad_spec("fault:pwrit:1:EIO", "\"pwrit\"; did you mean \"pwrite\"");
    bad_spec("fault:map.pwrite:1:EIO", "\"map.pwrite\"");
    bad_spec("fault:free:1:EIO", "\"free\" cannot fail");
    bad_spec("fault:pwrite:0:EIO", "\"0\"");
    bad_spec("fault:pwrite:x:EIO", "\"x\"");
    bad_spec("fault:pwrite:1:ENOTHING", "\"ENOTHING\"");
    bad_spec("fault:pwrite:1:EIO:often", "\"often\"");
    bad_spec("fault:pread:1:EIO:short", "\"pread\"");
    bad_spec("fault:pwrite:1:EIO:once:more", "6 fields");
    bad_spec("trace,trace,trace,trace,trace,trace,trace,trace,trace", "limit");
    bad_spec("trace,,trace", "there is no shim \"\"");
}

/* The results of three one-byte writes under spec, and the size of the file afterwards. */
static uint64_t writes_under(const char *spec, int results[3])
{
    struct tarn_stat st = { .size = 99 };
    struct tarn_os *level;
    tarn_file f;

    MUST(tarn_os_shims(base, spec, &level));
    os = base;
    f = new_file("writes");
    for (int i = 0; i < 3; i++)
        results[i] = level->file->pwrite(level, f, "abcdefgh", 8, (uint64_t)i * 8);
    OK(os->file->ioinfo(os, f, &st));
    drop_file(f, "writes");
    tarn_os_unstack(level);
    return st.size;
}

static void faults_by_name(void)
{
    int r[3];

    CU_ASSERT_EQUAL(writes_under("fault:pwrite:2:ENOSPC", r), 24);
    CU_ASSERT_TRUE(r[0] == TARN_OK && r[1] == TARN_ENOSPC && r[2] == TARN_OK);
    CU_ASSERT_EQUAL(writes_under("fault:file.pwrite:2:TARN_EIO:always", r), 8);
    CU_ASSERT_TRUE(r[0] == TARN_OK && r[1] == TARN_EIO && r[2] == TARN_EIO);
    CU_ASSERT_EQUAL(writes_under("fault:pwrite:3:ENOSPC:short", r), 20);
    CU_ASSERT_TRUE(r[0] == TARN_OK && r[1] == TARN_OK && r[2] == TARN_ENOSPC);
    CU_ASSERT_EQUAL(writes_under("fault:*:1:EACCES:once,fault:pwrite:1:EROFS", r), 24);
    CU_ASSERT_TRUE(r[0] == TARN_EACCES && r[1] == TARN_EROFS && r[2] == TARN_OK);
}

/* What `spec` writes to standard error while a file is opened and a missing one removed. */
static void traced(const char *spec, char *text, size_t len)
{
    struct tarn_os *level;
    int ends[2], before = fcntl(2, F_DUPFD_CLOEXEC, 3);
    tarn_file f;
    ssize_t n;

    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    MUST(tarn_os_shims(base, spec, &level));
    CU_ASSERT_TRUE(dup2(ends[1], 2) == 2);
    OK(level->file->open(level, "traced", TARN_OPEN_CREATE, 0600, &f));
    (void)level->file->unlink(level, "nothing");
    CU_ASSERT_TRUE(dup2(before, 2) == 2);
    (void)close(before);
    (void)close(ends[1]);
    n = read(ends[0], text, len - 1);
    text[n > 0 ? n : 0] = '\0';
    (void)close(ends[0]);
    os = base;
    drop_file(f, "traced");
    tarn_os_unstack(level);
}

static void trace_prints_a_line_for_each_call(void)
{
    char text[600];

    traced("trace", text, sizeof(text));
    CU_ASSERT_PTR_EQUAL(strstr(text, "tarn: file.open traced 0x2 0600 = "), text);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "\ntarn: file.unlink nothing: TARN_ENOENT (No such file or directory)\n"));
    CU_ASSERT_EQUAL(text[strlen(text) - 1], '\n');
    traced("trace,fault:unlink:1:EBUSY", text, sizeof(text)); /* the leftmost is on top */
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text, "file.unlink nothing: TARN_EBUSY (injected by the fault shim)\n"));
    traced("fault:unlink:1:EBUSY,trace", text, sizeof(text));
    CU_ASSERT_PTR_NULL(strstr(text, "unlink"));
}

/* ---- the host's table; each try in a process of its own ---- */

static int override_then_use(void *arg)
{
    char letter = 'O';
    static struct tarn_os over;
    const struct tarn_os *host;

    (void)arg;
    over = saying(&letter);
    if (tarn_os_override(&over) != TARN_OK)
        return 1;
    host = tarn_os_host();
    if (host != tarn_os_host() || host->file->exists(host, ".", NULL) != TARN_OK ||
        strcmp(said, "O") != 0)
        return 2;
    if (tarn_os_override(&over) != TARN_EBUSY ||
        strstr(tarn_last_message(), "comes too late") == NULL)
        return 3;
    return 0;
}

static int shims_of_the_variable(void *arg)
{
    const char *text = NULL;
    const struct tarn_os *host;
    tarn_file f;

    (void)arg;
    if (setenv("TARN_OS", "fault:open:1:EMFILE", 1) != 0)
        return 1;
    host = tarn_os_host();
    if (table_host_status(&text) != TARN_OK || text != NULL || strcmp(host->name, "fault") != 0)
        return 2;
    return host->file->open(host, ".", TARN_OPEN_RDONLY, 0, &f) == TARN_EMFILE ? 0 : 3;
}

static int wrong_variable(void *arg)
{
    const char *text = NULL;

    (void)arg;
    if (setenv("TARN_OS", "fault:opn:1:EMFILE", 1) != 0)
        return 1;
    if (tarn_os_host() != tarn_os_platform())
        return 2;
    if (table_host_status(&text) != TARN_EINVAL || text == NULL)
        return 3;
    return strstr(text, "TARN_OS=fault:opn") != NULL && strstr(text, "\"opn\"") != NULL ? 0 : 4;
}

static int no_variable(void *arg)
{
    (void)arg;
    return unsetenv("TARN_OS") == 0 && tarn_os_host() == tarn_os_platform() ? 0 : 1;
}

static void table_of_the_host(void)
{
    int (*const tries[])(void *) = { override_then_use, shims_of_the_variable, wrong_variable,
                                     no_variable };

    memset(said, 0, sizeof(said));
    for (int i = 0; i < 4; i++) {
        int status = -1;

        OK(base->proc->try_in_child(base, tries[i], NULL, &status));
        CU_ASSERT_EQUAL(status, 0);
    }
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "O1: levels call down, each with its ctx", levels_call_down },
        { "O1: no slot is NULL", no_slot_is_null },
        { "O8: derived calls go through the override, one at a time per file",
          derived_calls_are_serial },
        { "O8: vectored calls are made of an override's single ones",
          vectors_are_made_of_single_calls },
        { "O1: overrides that are refused", overrides_that_are_refused },
        { "tables of an older version", older_tables },
        { "O16: shims that are wrong are named", specs_that_are_wrong },
        { "faults by name: once, always, short", faults_by_name },
        { "trace prints a line for each call", trace_prints_a_line_for_each_call },
        { "O1: the table of the host, overridden and under TARN_OS", table_of_the_host },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { { "stack", NULL, NULL, NULL, NULL, tests },
                                     CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
