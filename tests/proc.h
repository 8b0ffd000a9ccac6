/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other processes for tests: children that go on when they are told to, and die when they are killed.
 *
 *     static int holder(struct side *me)          runs in the child
 *     {
 *         ... take something ...
 *         side_here(me);                          "I am there"
 *         side_wait(me);                          until the parent says go on, or kills
 *         return 0;
 *     }
 *
 *     struct child c;
 *     child_start(&c, holder, arg);
 *     child_await(&c);                            it is there
 *     child_kill(&c);                             SIGKILL, and wait for its end
 *
 * No test sleeps to let something happen: a point that was reached is a byte in a pipe.
 */
#ifndef TARN_TESTS_PROC_H
#define TARN_TESTS_PROC_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* The child's end. */
struct side {
    int in, out;
    void *arg;
};

struct child {
    pid_t pid;
    int to, from;
};

static inline void side_here(struct side *me)
{
    char c = 'h';

    while (write(me->out, &c, 1) < 0)
        if (errno != EINTR)
            _exit(99);
}

/* The parent that is gone ends the child, too. */
static inline void side_wait(struct side *me)
{
    char c;
    ssize_t n;

    do
        n = read(me->in, &c, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(98);
}

static inline void child_start(struct child *c, int (*fn)(struct side *me), void *arg)
{
    int down[2], up[2];

    (void)signal(SIGPIPE, SIG_IGN); /* a child that has ended early is a finding, not our end */
    if (pipe(down) != 0 || pipe(up) != 0) {
        perror("pipe");
        abort();
    }
    (void)fflush(NULL);
    c->pid = fork();
    if (c->pid < 0) {
        perror("fork");
        abort();
    }
    if (c->pid == 0) {
        struct side me = { down[0], up[1], arg };

        (void)close(down[1]);
        (void)close(up[0]);
        (void)alarm(50); /* a child that hangs is a failure, not a hanging test */
        _exit(fn(&me));
    }
    (void)close(down[0]);
    (void)close(up[1]);
    c->to = down[1];
    c->from = up[0];
}

/* 1: the child has reached its point; 0: it has ended instead. */
static inline int child_await(struct child *c)
{
    char byte;
    ssize_t n;

    do
        n = read(c->from, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

static inline void child_go_on(struct child *c)
{
    char byte = 'g';

    (void)!write(c->to, &byte, 1);
}

/* Its exit status, or 256 + the signal that ended it. */
static inline int child_end(struct child *c)
{
    int status;

    while (waitpid(c->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    (void)close(c->to);
    (void)close(c->from);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static inline void child_kill(struct child *c)
{
    (void)kill(c->pid, SIGKILL);
    CU_ASSERT_EQUAL(child_end(c), 256 + SIGKILL);
}

#endif
