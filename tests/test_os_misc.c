/* SPDX-License-Identifier: BSD-2-Clause */
/* The group misc: memory, time, the machine, modules. */
#include "os_tables.h"

#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/xattr.h>

/* Too much memory is an error for us, not for the sanitizers. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

static void memory(void)
{
    const size_t too_much = SIZE_MAX / 4;
    char *p = NULL, *q = NULL, *empty = NULL;

    OK(os->misc->malloc(os, 0, (void **)&empty));
    CU_ASSERT_PTR_NOT_NULL(empty);
    *empty = 1;                                      /* 0 bytes are 1 */
    OK(os->misc->realloc(os, NULL, 4, (void **)&p)); /* as malloc */
    memcpy(p, "abc", 4);
    FAILS(TARN_ENOMEM, os->misc->malloc(os, too_much, (void **)&q));
    CU_ASSERT_PTR_NULL(q);
    FAILS(TARN_ENOMEM, os->misc->realloc(os, p, too_much, (void **)&q));
    CU_ASSERT_PTR_NULL(q);
    CU_ASSERT_STRING_EQUAL(p, "abc"); /* still ours */
    OK(os->misc->realloc(os, p, 4096, (void **)&q));
    CU_ASSERT_STRING_EQUAL(q, "abc");
    os->misc->free(os, q);
    os->misc->free(os, empty);
    os->misc->free(os, NULL);
}

static void time_and_turns(void)
{
    uint64_t before = 0, after = 0, wall = 0;

    OK(os->misc->clock(os, 0, &before));
    OK(os->misc->sleep(os, 2000000));
    OK(os->misc->sleep(os, 0));
    OK(os->misc->yield(os));
    OK(os->misc->clock(os, 0, &after));
    CU_ASSERT_TRUE(after - before >= 2000000);
    OK(os->misc->clock(os, 1, &wall));
    CU_ASSERT_TRUE(wall > UINT64_C(1577836800000000000)); /* 2020 */
}

static void chance(void)
{
    unsigned char a[64] = { 0 }, b[64] = { 0 }, zero[64] = { 0 };

    OK(os->misc->random(os, a, sizeof(a)));
    OK(os->misc->random(os, b, sizeof(b)));
    OK(os->misc->random(os, b, 0));
    CU_ASSERT_TRUE(memcmp(a, b, sizeof(a)) != 0 && memcmp(a, zero, sizeof(a)) != 0);
}

/* ---- environment variables ---- */

static int has_variable(const struct tarn_os *table)
{
    const char *value = NULL;

    return table->misc->getenv(table, "TARN_TEST_VARIABLE", &value) == TARN_OK && value != NULL;
}

static void variables(void)
{
    const char *value = "x";

    CU_ASSERT_EQUAL(setenv("TARN_TEST_VARIABLE", "", 1), 0);
    OK(os->misc->getenv(os, "TARN_TEST_VARIABLE", &value));
    CU_ASSERT_PTR_NULL(value);
    CU_ASSERT_EQUAL(setenv("TARN_TEST_VARIABLE", "yes", 1), 0);
    OK(os->misc->getenv(os, "TARN_TEST_VARIABLE", &value));
    CU_ASSERT_STRING_EQUAL(value, "yes");
    CU_ASSERT_EQUAL(unsetenv("TARN_TEST_VARIABLE"), 0);
    OK(os->misc->getenv(os, "TARN_TEST_VARIABLE", &value));
    CU_ASSERT_PTR_NULL(value);
}

static int copy_file(const char *from, const char *to, mode_t mode)
{
    char buf[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = -1;

    while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
        if (write(out, buf, (size_t)n) != n)
            n = -1;
    if (n == 0 && fchmod(out, mode) != 0)
        n = -1;
    (void)close(in);
    (void)close(out);
    return n == 0;
}

/* Run the copy as `user`: 0 if it saw no variable, 77 if it had no right that others lack. */
static int run_privileged(uid_t user)
{
    int status = -1;
    pid_t child;

    CU_ASSERT_EQUAL(setenv("TARN_TEST_VARIABLE", "yes", 1), 0);
    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        if (setuid(user) != 0)
            _exit(77);
        execl("./privileged", "privileged", os_is_posix ? "variable-posix" : "variable-linux",
              (char *)NULL);
        _exit(77);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(unsetenv("TARN_TEST_VARIABLE"), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* This very program, with the right of another user: what it says of the variable. */
static void variables_of_a_set_uid_program(void)
{
    int status;

    if (geteuid() != 0)
        SKIP("only root can make a program of another user");
    CU_ASSERT_TRUE(copy_file("/proc/self/exe", "privileged", 0755));
    CU_ASSERT_EQUAL(chown("privileged", 65534, (gid_t)-1), 0);
    CU_ASSERT_EQUAL(chmod("privileged", 04755), 0);
    status = run_privileged(0);
    CU_ASSERT_EQUAL(unlink("privileged"), 0);
    if (status == 77)
        SKIP("set-uid programs do not run here");
    CU_ASSERT_EQUAL(status, 0);
}

/* The user stays the same, the program gets a capability: only the kernel can tell. */
static void variables_of_a_capable_program(void)
{
    struct vfs_ns_cap_data caps = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE };
    int status = 77;

    if (geteuid() != 0 || os_is_posix)
        SKIP("only root can give a program a capability, and only Linux tells");
    caps.data[0].permitted = 1u << CAP_CHOWN;
    CU_ASSERT_TRUE(copy_file("/proc/self/exe", "privileged", 0755));
    if (setxattr("privileged", "security.capability", &caps, XATTR_CAPS_SZ_2, 0) == 0)
        status = run_privileged(65534);
    CU_ASSERT_EQUAL(unlink("privileged"), 0);
    if (status == 77)
        SKIP("programs with capabilities do not run here");
    CU_ASSERT_EQUAL(status, 0);
}

static int say_variable(const char *table)
{
    if (getauxval(AT_SECURE) == 0)
        return 77;
    return has_variable(strcmp(table, "variable-posix") == 0 ? &posix_table : &linux_table);
}

/* ---- the machine ---- */

static void machine(void)
{
    struct tarn_machine id, again;
    const uint8_t zeros[16] = { 0 };
    size_t bytes = 0;
    unsigned n = 0;

    OK(os->misc->boot_id(os, &id));
    OK(os->misc->boot_id(os, &again));
    CU_ASSERT_EQUAL(memcmp(&id, &again, sizeof(id)), 0);
    if (!os_is_posix)
        CU_ASSERT_NOT_EQUAL(memcmp(id.boot, zeros, 16), 0);
    OK(os->misc->page_size(os, &bytes));
    CU_ASSERT_TRUE(bytes >= 4096 && (bytes & (bytes - 1)) == 0);
    OK(os->misc->cpus(os, &n));
    CU_ASSERT_TRUE(n >= 1);
}

static void limits(void)
{
    struct tarn_limits out = { 0, 0, 0, 0 };

    OK(os->misc->limits(os, &out));
    CU_ASSERT_TRUE(os_is_posix ? out.memory == UINT64_MAX : out.memory > 1 << 20);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_TRUE(fputs(text, f) >= 0);
    (void)fclose(f);
}

/* Control groups made of plain files: every level counts, and the page cache is given back. */
static void limits_of_control_groups(void)
{
    char v2[] = "0::/outer/inner\n";
    char v1[] = "5:cpu:/\n4:memory:/job\n0::/nowhere\n";
    char none[] = "0::/nowhere\n";

    CU_ASSERT_EQUAL(system("rm -rf cg && mkdir -p cg/outer/inner cg/memory/job"), 0);
    put("cg/outer/inner/memory.max", "1000000\n");
    put("cg/outer/inner/memory.current", "100000\n");
    put("cg/outer/memory.max", "500000\n");
    put("cg/outer/memory.current", "300000\n");
    put("cg/outer/memory.stat", "anon 1\ninactive_file 40000\nactive_file 10000\n");
    put("cg/memory.max", "max\n");
    CU_ASSERT_EQUAL(linux_cgroup_left("cg", v2), 250000);
    put("cg/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    put("cg/memory/memory.limit_in_bytes", "700\n");
    put("cg/memory/memory.usage_in_bytes", "900\n");
    put("cg/memory/memory.stat", "cache 5\ntotal_inactive_file 300\n");
    CU_ASSERT_EQUAL(linux_cgroup_left("cg", v1), 100);
    CU_ASSERT_EQUAL(linux_cgroup_left("cg", none), UINT64_MAX);
    CU_ASSERT_EQUAL(system("rm -rf cg"), 0);
}

/* ---- modules ---- */

static void refused_for(const char *path, const char *why)
{
    void *module = NULL;
    char words[256] = "";
    int number = -1;

    FAILS(TARN_EPERM, os->misc->module_open(os, path, &module));
    OK(os->misc->last_error(os, &number, words, sizeof(words)));
    CU_ASSERT_PTR_NOT_NULL(strstr(words, why));
    CU_ASSERT_PTR_NULL(module);
}

static void modules(void)
{
    void *module = NULL, *again = NULL;
    tarn_symbol symbol = NULL;
    int (*answer)(void);
    char words[256] = "";
    int number;

    CU_ASSERT_EQUAL(mkdir("mod", 0755), 0);
    CU_ASSERT_TRUE(copy_file(TARN_OS_MODULE, "mod/m.so", 0755));
    MUST(os->misc->module_open(os, "mod/m.so", &module));
    MUST(os->misc->module_symbol(os, module, "module_answer", &symbol));
    memcpy(&answer, &symbol, sizeof(answer));
    CU_ASSERT_EQUAL(answer(), 42);
    FAILS(TARN_ENOENT, os->misc->module_symbol(os, module, "module_question", &symbol));
    OK(os->misc->module_open(os, "mod/m.so", &again));
    CU_ASSERT_PTR_EQUAL(module, again);
    FAILS(TARN_ENOENT, os->misc->module_open(os, "mod/other.so", &module));
    FAILS(TARN_ENOENT, os->misc->module_open(os, "other/m.so", &module));
    CU_ASSERT_EQUAL(symlink("m.so", "mod/link.so"), 0);
    OK(os->misc->module_open(os, "mod/link.so", &again));
    put("mod/text.so", "not a module");
    CU_ASSERT_EQUAL(chmod("mod/text.so", 0644), 0);
    FAILS(TARN_EINVAL, os->misc->module_open(os, "mod/text.so", &module));
    OK(os->misc->last_error(os, &number, words, sizeof(words)));
    CU_ASSERT_PTR_NOT_NULL(strstr(words, "text.so"));
    CU_ASSERT_EQUAL(system("rm -r mod"), 0);
}

static void modules_that_others_may_write(void)
{
    CU_ASSERT_EQUAL(mkdir("mod", 0755), 0);
    CU_ASSERT_EQUAL(mkdir("open", 0755), 0);
    CU_ASSERT_TRUE(copy_file(TARN_OS_MODULE, "mod/m.so", 0775));
    refused_for("mod/m.so", "m.so may be written");
    CU_ASSERT_EQUAL(chmod("mod/m.so", 0757), 0);
    refused_for("mod/m.so", "m.so may be written");
    CU_ASSERT_EQUAL(chmod("mod/m.so", 0755), 0);
    CU_ASSERT_EQUAL(chmod("mod", 0775), 0);
    refused_for("mod/m.so", "mod may be written");
    CU_ASSERT_EQUAL(symlink("../mod/m.so", "open/link.so"), 0);
    refused_for("open/link.so", "mod may be written"); /* where it leads */
    CU_ASSERT_EQUAL(chmod("mod", 0755), 0);
    CU_ASSERT_EQUAL(chmod("open", 0757), 0);
    refused_for("open/link.so", "open may be written"); /* where it is */
    if (geteuid() == 0) {
        CU_ASSERT_EQUAL(chown("mod/m.so", 65534, (gid_t)-1), 0);
        refused_for("mod/m.so", "belongs to user 65534");
    }
    CU_ASSERT_EQUAL(system("rm -r mod open"), 0);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "O3: memory", memory },
        { "O10: sleep, yield, clocks", time_and_turns },
        { "random bytes", chance },
        { "variables; an empty one is none", variables },
        { "variables of a set-uid program", variables_of_a_set_uid_program },
        { "variables of a program with capabilities", variables_of_a_capable_program },
        { "the machine and its processors", machine },
        { "limits of memory", limits },
        { "limits of control groups, every level", limits_of_control_groups },
        { "modules", modules },
        { "modules that others may write are refused", modules_that_others_may_write },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.misc", tests), CU_SUITE_INFO_NULL };

    if (argc > 1)
        _exit(say_variable(argv[1])); /* no leak check, which a set-uid program may not do */
    return run_suites(suites);
}
