/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tarn run` from outside: it finds what is wrong and only that, on every backend, and leaves
 * nothing behind.  The file that is shared is the tool itself: larger than its pool, and real.
 */
#include "tool.h"

#include <errno.h>
#include <signal.h>

static struct ran r;

/* Each test works in its own temporary folder below the current one, empty again at its end. */
static void before(void)
{
    tool_set_up();
    tool_expect(&r, 0, "rm -rf tmp && mkdir tmp");
    (void)setenv("TMPDIR", "tmp", 1);
}

static void nothing_is_left(void) { CU_ASSERT_EQUAL(system("test -z \"$(ls -A tmp)\""), 0); }

static const char *in_json(const char *line, int status)
{
    tool_expect(&r, status, line);
    CU_ASSERT(json_valid(r.out));
    nothing_is_left();
    return r.out;
}

/* ---- it works --------------------------------------------------------------------------------- */

static void processes_share_the_pages_of_a_file(void)
{
    static const char *const keys[] = { "backend",  "procs",  "threads",   "operations",
                                        "hits",     "misses", "evictions", "writebacks",
                                        "verified", "wrong",  "killed" };
    const char *out;

    before();
    out = in_json("$TARN run --procs 4 --write 30 --seconds 1 --json $TARN", 0);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        CU_ASSERT(json_find(out, keys[i])[0] != '\0');
    CU_ASSERT_EQUAL(json_count(out, "procs"), 4);
    CU_ASSERT_EQUAL(json_count(out, "threads"), 1);
    CU_ASSERT(json_count(out, "operations") > 0);
    CU_ASSERT(json_count(out, "hits") > 0);
    CU_ASSERT(json_count(out, "misses") > 0);
    CU_ASSERT(json_count(out, "evictions") > 0);
    CU_ASSERT(json_count(out, "writebacks") > 0);
    CU_ASSERT(json_count(out, "stamps") > 0);
    CU_ASSERT_EQUAL(json_count(out, "verified"), json_count(out, "operations"));
    CU_ASSERT_EQUAL(json_count(out, "checked"), json_count(out, "pages"));
    CU_ASSERT_EQUAL(json_count(out, "pages_read"), json_count(out, "pages"));
    CU_ASSERT_EQUAL(json_count(out, "wrong"), 0);
    CU_ASSERT_EQUAL(json_count(out, "killed"), 0);
}

static void threads_share_memory_that_no_process_can(void)
{
    const char *out;

    before();
    out = in_json("$TARN run --backend malloc --threads 4 --write 30 --seconds 1 --json $TARN", 0);
    CU_ASSERT_EQUAL(strncmp(json_find(out, "backend"), "\"malloc\"", 8), 0);
    CU_ASSERT_EQUAL(json_count(out, "procs"), 1);
    CU_ASSERT_EQUAL(json_count(out, "threads"), 4);
    CU_ASSERT(json_count(out, "evictions") > 0);
    CU_ASSERT(json_count(out, "writebacks") > 0);
}

/* Each kind of memory that processes can share, asked for in both ways. */
static void processes_share_memory_of_every_kind(void)
{
    static const char *const kinds[] = { "mmap", "sysv", "anon" };
    char line[256], name[16];

    before();
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "\"%s\"", kinds[i]);
        (void)snprintf(line, sizeof line,
                       "$TARN run --backend %s --procs 4 --write 30 --seconds 1 --json $TARN",
                       kinds[i]);
        (void)in_json(line, 0);
        CU_ASSERT_EQUAL(strncmp(json_find(r.out, "backend"), name, strlen(name)), 0);
        CU_ASSERT_EQUAL(json_count(r.out, "procs"), 4);
        CU_ASSERT_EQUAL(json_count(r.out, "wrong"), 0);
        CU_ASSERT_EQUAL(json_count(r.out, "verified"), json_count(r.out, "operations"));
        CU_ASSERT(json_count(r.out, "writebacks") > 0);
        (void)snprintf(line, sizeof line,
                       "TARN_BACKEND=%s $TARN run --write 50 --kill 2 --seconds 1 --json $TARN",
                       kinds[i]);
        (void)in_json(line, 0);
        CU_ASSERT_EQUAL(strncmp(json_find(r.out, "backend"), name, strlen(name)), 0);
        CU_ASSERT_EQUAL(json_count(r.out, "killed"), 2);
        CU_ASSERT_EQUAL(json_count(r.out, "wrong"), 0);
    }
}

static void processes_of_several_threads(void)
{
    if (TOOL_ONE_PROCESS_SEEN)
        SKIP("ThreadSanitizer does not see how other processes order the accesses of two threads");
    before();
    (void)in_json("$TARN run --procs 2 --threads 3 --write 50 --seconds 1 --json $TARN", 0);
    CU_ASSERT_EQUAL(json_count(r.out, "threads"), 3);
    CU_ASSERT(json_count(r.out, "stamps") > 0);
}

static void some_pages_far_more_often(void)
{
    before();
    (void)in_json("$TARN run --procs 2 --dist zipf --write 10 --seconds 1 --json $TARN", 0);
    CU_ASSERT(json_count(r.out, "hits") > json_count(r.out, "misses"));
}

static void small_and_large_pages(void)
{
    before();
    (void)in_json("$TARN run --procs 2 --page 512 --cache 64K --write 20 --seconds 1 --json $TARN",
                  0);
    CU_ASSERT_EQUAL(json_count(r.out, "page_bytes"), 512);
    CU_ASSERT(json_count(r.out, "evictions") > 0);
    (void)in_json("$TARN run --procs 2 --page 16K --write 20 --seconds 1 --json $TARN", 0);
    CU_ASSERT_EQUAL(json_count(r.out, "page_bytes"), 16384);
}

static void the_table_is_for_people(void)
{
    static const char *const words[] = { "pool  ",         "backend ", "process  ", "operations",
                                         "hits",           "misses",   "evictions", "writebacks",
                                         "per second",     "together", "verified",  "wrong",
                                         "all pages right" };

    before();
    tool_expect(&r, 0, "$TARN run --procs 2 --seconds 1 $TARN");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(r.out, words[i]) == NULL)
            printf("# no '%s' in\n%s", words[i], r.out);
        CU_ASSERT_PTR_NOT_NULL(strstr(r.out, words[i]));
    }
    CU_ASSERT_STRING_EQUAL(r.err, ""); /* progress is for terminals */
    nothing_is_left();
}

/* ---- FILE ------------------------------------------------------------------------------------- */

static void a_file_that_ends_within_a_page(void)
{
    before();
    tool_expect(&r, 0, "head -c 400001 $TARN >odd && cp odd kept");
    (void)in_json("$TARN run --procs 2 --cache 64K --write 50 --seconds 1 --json odd", 0);
    CU_ASSERT_EQUAL(json_count(r.out, "file_bytes"), 400001);
    CU_ASSERT_EQUAL(json_count(r.out, "pages"), 98);
    CU_ASSERT_EQUAL(json_count(r.out, "padding"), 98 * 4096 - 400001);
    CU_ASSERT(json_count(r.out, "stamps") > 0);
    tool_expect(&r, 0, "cmp odd kept"); /* FILE itself is only read */
    tool_expect(&r, 0, "$TARN run --procs 2 --seconds 1 odd");
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "padded with 1,407 zero bytes"));
}

static void a_file_shorter_than_a_page(void)
{
    before();
    tool_expect(&r, 0, "printf tiny >tiny");
    (void)in_json("$TARN run --procs 2 --write 50 --seconds 1 --json tiny", 0);
    CU_ASSERT_EQUAL(json_count(r.out, "pages"), 1);
    CU_ASSERT_EQUAL(json_count(r.out, "checked"), 1);
}

/* ---- it finds what is wrong ------------------------------------------------------------------- */

static void spoiled_pages_are_found_all_and_only_they(void)
{
    static const char *const lines[] = {
        "$TARN run --procs 2 --write 30 --spoil 1 --seconds 1 --json $TARN",
        "$TARN run --procs 2 --write 30 --spoil 7 --seconds 1 --json $TARN",
        "$TARN run --procs 2 --spoil 20 --seed 5 --seconds 1 --json $TARN",
    };
    static const int wrong[] = { 1, 7, 20 };

    before();
    for (int i = 0; i < 3; i++) {
        (void)in_json(lines[i], 1);
        CU_ASSERT_EQUAL(json_count(r.out, "wrong"), wrong[i]);
        CU_ASSERT_EQUAL(json_count(r.out, "wrong_operations"), 0);
        CU_ASSERT_EQUAL(strncmp(json_find(r.out, "ok"), "false", 5), 0);
    }
    tool_expect(&r, 0, "printf tiny >tiny");
    tool_complains(2, "$TARN run --spoil 2 tiny", "--spoil 2", "has 1", NULL);
    tool_expect(&r, 1, "$TARN run --procs 2 --spoil 3 --seconds 1 $TARN");
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "FAILED: 3 pages are wrong"));
}

/* ---- while it works --------------------------------------------------------------------------- */

enum { PIDS = 8 };

struct running {
    pid_t pid;
    FILE *out;
    int n;
    long worker[PIDS];
    char said[2048]; /* before it named them */
};

/* Start the line, and read what it prints until it names its workers: they work now. */
static void start(struct running *run, const char *line)
{
    char text[1024];
    int ends[2];

    run->n = 0;
    run->said[0] = '\0';
    (void)fflush(NULL);
    CU_ASSERT_FATAL(pipe(ends) == 0);
    run->pid = fork();
    if (run->pid == 0) {
        char wrapped[2048];

        (void)dup2(ends[1], 1);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)snprintf(wrapped, sizeof wrapped, "exec %s 2>tool.err </dev/null", line);
        (void)execl("/bin/sh", "sh", "-c", wrapped, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    run->out = fdopen(ends[0], "r");
    CU_ASSERT_FATAL(run->pid > 0 && run->out != NULL);
    while (run->n == 0 && fgets(text, sizeof text, run->out) != NULL) {
        char *at = text + 8;

        (void)strncat(run->said, text, sizeof run->said - strlen(run->said) - 1);
        if (strncmp(text, "started ", 8) != 0)
            continue;
        while (run->n < PIDS && (run->worker[run->n] = strtol(at, &at, 10)) > 0)
            run->n++;
    }
}

/* Wait for its end; what else it printed is in r.out. */
static int finish(struct running *run)
{
    int status;
    size_t n = fread(r.out, 1, sizeof r.out - 1, run->out);

    r.out[n] = '\0';
    (void)fclose(run->out);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    tool_read("tool.err", r.err, sizeof r.err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The kernel's own list says that the process has a file of that name mapped, shared and writable. */
static int has_mapped(long pid, const char *name)
{
    char path[64], line[1024];
    int found = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%ld/maps", pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        found |= strstr(line, name) != NULL && strstr(line, " rw-s ") != NULL;
    if (f != NULL)
        (void)fclose(f);
    return found;
}

static void the_kernel_lists_the_memory_of_mmap(void)
{
    struct running run;
    char dir[1024];

    before();
    tool_expect(&r, 0, "mkdir -p memory && rm -rf memory/* && pwd -P");
    (void)snprintf(dir, sizeof dir, "%.*s/memory", (int)strcspn(r.out, "\n"), r.out);
    (void)setenv("TARN_REGION_DIR", dir, 1);
    start(&run, "$TARN run --backend mmap --procs 3 --write 10 --seconds 600 $TARN");
    CU_ASSERT_EQUAL(run.n, 3);
    for (int i = 0; i < run.n; i++)
        CU_ASSERT(has_mapped(run.worker[i], dir));
    CU_ASSERT_FALSE(has_mapped(run.worker[0], "/no/such/memory"));
    (void)kill(run.pid, SIGTERM);
    CU_ASSERT_EQUAL(finish(&run), 128 + SIGTERM);
    (void)unsetenv("TARN_REGION_DIR");
    nothing_is_left();
    tool_expect(&r, 0, "rmdir memory"); /* and nothing there */
}

/* How many processes have segment `id` attached, by the kernel's list; -1: there is none. */
static long attachments(int id)
{
    char line[512];
    long key, number, perms, size, cpid, lpid, nattch, found = -1;
    FILE *f = fopen("/proc/sysvipc/shm", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "%ld %ld %ld %ld %ld %ld %ld", &key, &number, &perms, &size, &cpid, &lpid,
                   &nattch) == 7 &&
            number == id)
            found = nattch;
    if (f != NULL)
        (void)fclose(f);
    return found;
}

static void the_kernel_lists_the_memory_of_sysv(void)
{
    struct running run;
    const char *at;
    int id = -1;

    before();
    start(&run, "$TARN run --backend sysv --procs 3 --write 10 --seconds 600 $TARN");
    CU_ASSERT_EQUAL(run.n, 3);
    at = strstr(run.said, "SysV segment ");
    CU_ASSERT_FATAL(at != NULL && sscanf(at, "SysV segment %d", &id) == 1);
    CU_ASSERT(attachments(id) >= 4); /* the parent, too */
    for (int i = 0; i < run.n; i++)
        CU_ASSERT(has_mapped(run.worker[i], "/SYSV00000000"));
    (void)kill(run.pid, SIGTERM);
    CU_ASSERT_EQUAL(finish(&run), 128 + SIGTERM);
    CU_ASSERT_EQUAL(attachments(id), -1);
    nothing_is_left();
}

static void the_kernel_lists_the_memory_of_anon(void)
{
    struct running run;
    char words[64];

    before();
    start(&run, "$TARN run --backend anon --procs 3 --write 10 --seconds 600 $TARN");
    CU_ASSERT_EQUAL(run.n, 3);
    (void)snprintf(words, sizeof words, "anonymous memory of process %ld ", (long)run.pid);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.said, words));
    for (int i = 0; i < run.n; i++)
        CU_ASSERT(has_mapped(run.worker[i], "/dev/zero (deleted)"));
    (void)kill(run.pid, SIGTERM);
    CU_ASSERT_EQUAL(finish(&run), 128 + SIGTERM);
    nothing_is_left();
}

static void a_signal_ends_it_and_leaves_nothing(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct running run;

    before();
    for (int i = 0; i < 3; i++) {
        start(&run, "$TARN run --procs 2 --write 10 --seconds 600 $TARN");
        CU_ASSERT_EQUAL(run.n, 2);
        (void)kill(run.pid, signals[i]);
        CU_ASSERT_EQUAL(finish(&run), 128 + signals[i]);
        CU_ASSERT_EQUAL(tool_lines(r.err), 1);
        for (int w = 0; w < run.n; w++)
            CU_ASSERT(kill((pid_t)run.worker[w], 0) != 0);
        nothing_is_left();
    }
}

static void a_worker_that_dies_fails_the_run(void)
{
    struct running run;

    before();
    start(&run, "$TARN run --procs 3 --write 30 --seconds 2 $TARN");
    CU_ASSERT_EQUAL_FATAL(run.n, 3);
    (void)kill((pid_t)run.worker[1], SIGKILL);
    CU_ASSERT_EQUAL(finish(&run), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "FAILED: process 2 ended: signal 9"));
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, ", 0 wrong")); /* and the others lost nothing */
    nothing_is_left();
}

static void workers_killed_on_purpose_cost_the_others_nothing(void)
{
    before();
    (void)in_json("$TARN run --procs 4 --write 50 --kill 3 --seconds 2 --json $TARN", 0);
    CU_ASSERT_EQUAL(json_count(r.out, "killed"), 3);
    CU_ASSERT_EQUAL(json_count(r.out, "died"), 0);
    CU_ASSERT_EQUAL(json_count(r.out, "wrong"), 0);
    tool_complains(2, "$TARN run --procs 2 --kill 2 $TARN", "--kill 2", NULL);
}

/* The comparison would mean nothing, so nothing is claimed. */
static void a_file_that_changes_is_noticed(void)
{
    struct running run;
    FILE *f;

    before();
    tool_expect(&r, 0, "head -c 400000 $TARN >moving");
    start(&run, "$TARN run --procs 2 --cache 64K --seconds 1 moving");
    f = fopen("moving", "r+");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    (void)fputc('!', f);
    (void)fclose(f);
    CU_ASSERT_EQUAL(finish(&run), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.err, "was changed during the run"));
    nothing_is_left();
}

int main(void)
{
    static CU_TestInfo works[] = {
        { "M10: processes share the pages of a file", processes_share_the_pages_of_a_file },
        { "R9: threads share memory that no process can",
          threads_share_memory_that_no_process_can },
        { "P3 M10: processes share memory of every kind", processes_share_memory_of_every_kind },
        { "processes of several threads", processes_of_several_threads },
        { "some pages far more often", some_pages_far_more_often },
        { "small and large pages", small_and_large_pages },
        { "the table is for people", the_table_is_for_people },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo file[] = {
        { "a file that ends within a page", a_file_that_ends_within_a_page },
        { "a file shorter than a page", a_file_shorter_than_a_page },
        { "a file that changes is noticed", a_file_that_changes_is_noticed },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo wrong[] = {
        { "spoiled pages are found, all and only they", spoiled_pages_are_found_all_and_only_they },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo meanwhile[] = {
        { "the kernel lists the memory of mmap", the_kernel_lists_the_memory_of_mmap },
        { "P7: the kernel lists the memory of sysv", the_kernel_lists_the_memory_of_sysv },
        { "P3: the kernel lists the memory of anon", the_kernel_lists_the_memory_of_anon },
        { "a signal ends it and leaves nothing", a_signal_ends_it_and_leaves_nothing },
        { "a worker that dies fails the run", a_worker_that_dies_fails_the_run },
        { "X29: workers killed on purpose cost the others nothing",
          workers_killed_on_purpose_cost_the_others_nothing },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "run", NULL, NULL, NULL, NULL, works },
        { "run_file", NULL, NULL, NULL, NULL, file },
        { "run_wrong", NULL, NULL, NULL, NULL, wrong },
        { "run_meanwhile", NULL, NULL, NULL, NULL, meanwhile },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
