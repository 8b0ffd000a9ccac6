/* SPDX-License-Identifier: BSD-2-Clause */
/* The group proc: who lives, forks, threads. */
#include "os_tables.h"

#include <pthread.h>

static void idle(void *arg) { (void)arg; }

static int is_alive(const struct tarn_procid *id)
{
    int alive = 9;

    OK(os->proc->alive(os, id, &alive));
    return alive;
}

static void this_process(void)
{
    struct tarn_procid self, same;
    uint32_t euid = 99;

    OK(os->proc->self(os, &self, &euid));
    OK(os->proc->self(os, &self, NULL));
    CU_ASSERT_EQUAL(self.pid, (uint64_t)getpid());
    CU_ASSERT_EQUAL(euid, geteuid());
    OK(os->proc->identity(os, self.pid, &same));
    CU_ASSERT_EQUAL(memcmp(&self, &same, sizeof(self)), 0);
    CU_ASSERT_EQUAL(is_alive(&self), 1);
    FAILS(TARN_ENOENT, os->proc->identity(os, UINT64_C(1) << 40, &same));
    FAILS(TARN_ENOENT, os->proc->identity(os, 0, &same));
}

static void death_of_a_child(void)
{
    struct child c = start_child(idle, NULL);
    struct tarn_procid id;
    siginfo_t ended;

    OK(os->proc->identity(os, (uint64_t)c.pid, &id));
    CU_ASSERT_EQUAL(is_alive(&id), 1);
    CU_ASSERT_EQUAL(kill(c.pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(waitid(P_PID, (id_t)c.pid, &ended, WEXITED | WNOWAIT), 0);
    CU_ASSERT_EQUAL(is_alive(&id), 0); /* a zombie */
    CU_ASSERT_EQUAL(waitpid(c.pid, NULL, 0), c.pid);
    (void)close(c.let_go);
    CU_ASSERT_EQUAL(is_alive(&id), 0);
    FAILS(TARN_ENOENT, os->proc->identity(os, (uint64_t)c.pid, &id));
}

static void reuse_of_a_number(void)
{
    struct tarn_procid self, other;
    int alive = 9;

    if (os_is_posix)
        SKIP("POSIX knows processes by number alone");
    OK(os->proc->self(os, &self, NULL));
    CU_ASSERT_TRUE(self.ns != 0 && self.start != 0);
    other = self;
    other.start++;
    other.ino = other.ino == 0 ? 0 : other.ino + 1;
    CU_ASSERT_EQUAL(is_alive(&other), 0); /* an earlier owner of our number */
    other = self;
    other.ino = 0; /* stored by a kernel without pidfs */
    CU_ASSERT_EQUAL(is_alive(&other), 1);
    other.start--;
    CU_ASSERT_EQUAL(is_alive(&other), 0);
    other = self;
    other.ns++;
    FAILS(TARN_ENOSYS, os->proc->alive(os, &other, &alive));
    CU_ASSERT_EQUAL(alive, 9);
}

/* ---- forks ---- */

static char order[16];

static void note(void *arg)
{
    size_t n = strlen(order);

    if (n + 1 < sizeof(order))
        order[n] = *(const char *)arg;
}

static int order_in_child(void *arg) { return strcmp(order, arg) == 0 ? 0 : 1; }

/* Registered for the life of the process: each table adds its own two. */
static void told_of_a_fork(void)
{
    static char expected[16];
    size_t n = strlen(expected);
    int status = -1;

    memset(order, 0, sizeof(order));
    OK(os->proc->on_fork(os, note, "1"));
    OK(os->proc->on_fork(os, note, "2"));
    if (n + 2 < sizeof(expected))
        memcpy(expected + n, "12", 2);
    OK(os->proc->try_in_child(os, order_in_child, expected, &status));
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(order[0], 0); /* the parent is not told */
}

/* ---- threads ---- */

static void note_again(void *arg)
{
    note(arg);
    (void)os->proc->on_thread_exit(os, note, "z"); /* also from within */
}

static void thread_with_exits(void *arg)
{
    int *ret = arg;

    *ret = os->proc->on_thread_exit(os, note, "a");
    *ret |= os->proc->on_thread_exit(os, note_again, "b");
    *ret |= os->proc->on_thread_exit(os, note, "c");
}

static void told_of_a_threads_end(void)
{
    uintptr_t thread = 0;
    int ret = 1;

    memset(order, 0, sizeof(order));
    MUST(os->proc->thread_start(os, thread_with_exits, &ret, &thread));
    OK(os->proc->thread_join(os, thread));
    OK(ret);
    CU_ASSERT_STRING_EQUAL(order, "cbaz"); /* the latest first */
}

/* ---- trying ---- */

static int seven(void *arg) { return *(const int *)arg + 3; }

static int killed(void *arg)
{
    (void)raise(*(const int *)arg);
    return 0;
}

static int broken(void *arg)
{
    *(volatile int *)arg = 1;
    return 0;
}

static void tried_in_a_child(void)
{
    static const int signals[] = { SIGKILL, SIGABRT, SIGBUS, SIGSEGV };
    int four = 4, status = -1;
    sigset_t all, before;
    void (*handler)(int) = signal(SIGSEGV, SIG_IGN);

    OK(os->proc->try_in_child(os, seven, &four, &status));
    CU_ASSERT_EQUAL(status, 7);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    for (int i = 0; i < 4; i++) {
        int s = signals[i];

        OK(os->proc->try_in_child(os, killed, &s, &status));
        CU_ASSERT_EQUAL(status, 256 + s);
    }
    OK(os->proc->try_in_child(os, broken, (void *)(uintptr_t)8, &status));
    CU_ASSERT_EQUAL(status, 256 + SIGSEGV);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGSEGV, handler);
}

/* A program that ignores SIGCHLD is not told how its children end. */
static void tried_where_children_are_ignored(void)
{
    void (*handler)(int) = signal(SIGCHLD, SIG_IGN);
    int before = open_descriptors();
    int four = 4, deadly = SIGKILL, status = -1;

    OK(os->proc->try_in_child(os, seven, &four, &status));
    CU_ASSERT_EQUAL(status, 7);
    OK(os->proc->try_in_child(os, killed, &deadly, &status));
    CU_ASSERT_EQUAL(status, 256 + SIGKILL);
    CU_ASSERT_EQUAL(open_descriptors(), before);
    (void)signal(SIGCHLD, handler);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "this process", this_process },
        { "X29: the death of a child", death_of_a_child },
        { "X29: a number that was given out again", reuse_of_a_number },
        { "told of a fork, in order", told_of_a_fork },
        { "told of a thread's end, the latest first", told_of_a_threads_end },
        { "tried in a child, with signals", tried_in_a_child },
        { "tried where SIGCHLD is ignored", tried_where_children_are_ignored },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = { OS_SUITES("os.proc", tests), CU_SUITE_INFO_NULL };

    return run_suites(suites);
}
