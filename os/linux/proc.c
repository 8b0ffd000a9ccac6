/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which process: by the inode of its pidfd, which no later process of this boot gets again, else
 * (before Linux 6.9) by the tick in which it was started.  Both are asked through the namespace that
 * this process is in; of another namespace nothing can be told.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/linux/linux.h"
#include "os/text.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { PIDFS = 0x50494446 };

/* The inode of our pid namespace; 0 without /proc. */
static uint64_t own_namespace(void)
{
    struct stat sb;

    return stat("/proc/self/ns/pid", &sb) == 0 ? (uint64_t)sb.st_ino : 0;
}

static int pidfd_open(uint64_t pid)
{
    if (pid == 0 || pid > INT32_MAX) {
        errno = ESRCH;
        return -1;
    }
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

/* The inode of fd if it is of pidfs; the pidfds of older kernels share one inode: 0. */
static uint64_t pidfs_inode(int fd)
{
    struct statfs fs;
    struct stat sb;

    if (fstatfs(fd, &fs) != 0 || fs.f_type != PIDFS || fstat(fd, &sb) != 0)
        return 0;
    return (uint64_t)sb.st_ino;
}

struct process_stat {
    char state;
    uint64_t threads;
    uint64_t start;
};

/*
 * From /proc/PID/stat: "PID (NAME) STATE ..." with the number of threads as field 20 and the start as
 * field 22.  The name may hold anything, also ')': the last one counts.
 */
static int read_stat(uint64_t pid, struct process_stat *out)
{
    struct process_stat st = { .threads = 0 };
    char path[64], text[1024];
    const char *at;

    (void)text_format(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
    if (linux_slurp(path, text, sizeof(text)) < 0)
        return TARN_ENOENT;
    at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ')
        return TARN_ENOENT;
    st.state = at[2];
    for (int field = 3; field <= 22 && at != NULL; field++) {
        at = strchr(at + 1, ' ');
        if (field == 20 && at != NULL)
            st.threads = strtoull(at + 1, NULL, 10);
    }
    if (at == NULL)
        return TARN_ENOENT;
    st.start = strtoull(at + 1, NULL, 10);
    *out = st;
    return TARN_OK;
}

/* A first thread that has ended while others run makes the state 'Z', and nothing is dead. */
static int is_zombie(const struct process_stat *st)
{
    return st->state == 'X' || (st->state == 'Z' && st->threads <= 1);
}

int linux_proc_identity(const struct tarn_os *os, uint64_t pid, struct tarn_procid *id)
{
    struct tarn_procid it = { .pid = pid, .ns = own_namespace() };
    struct process_stat st = { .start = 0 };
    int fd = pidfd_open(pid);

    if (fd < 0 && errno == ESRCH)
        return posix_failed();
    if (fd >= 0) {
        it.ino = pidfs_inode(fd);
        (void)close(fd);
    }
    if (read_stat(pid, &st) != TARN_OK && fd < 0)
        return posix_proc_identity(os, pid, id);
    it.start = st.start;
    *id = it;
    return TARN_OK;
}

int linux_proc_self(const struct tarn_os *os, struct tarn_procid *id, uint32_t *euid)
{
    int ret = linux_proc_identity(os, (uint64_t)getpid(), id);

    if (ret == TARN_OK && euid != NULL)
        *euid = (uint32_t)geteuid();
    return ret;
}

/* A pidfd becomes readable when its process has ended, reaped or not. */
static int has_ended(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

int linux_proc_alive(const struct tarn_os *os, const struct tarn_procid *id, int *alive)
{
    uint64_t ino = 0, ns = own_namespace();
    struct process_stat st;
    int ended, fd;

    if (id->ns != 0 && ns != id->ns)
        return posix_refused(TARN_ENOSYS, "process %llu is of another pid namespace",
                             (unsigned long long)id->pid);
    fd = pidfd_open(id->pid);
    if (fd < 0 && errno != ESRCH && errno != EINVAL && errno != ENOSYS && errno != EPERM)
        return posix_failed();
    ended = fd < 0 && (errno == ESRCH || errno == EINVAL); /* EINVAL: a thread's number by now */
    if (fd >= 0) {
        ino = pidfs_inode(fd);
        ended = has_ended(fd);
        (void)close(fd);
    }
    if (!ended && id->ino != 0 && ino != 0)
        ended = ino != id->ino;
    else if (!ended && read_stat(id->pid, &st) == TARN_OK)
        ended = (fd < 0 && is_zombie(&st)) || (id->start != 0 && st.start != id->start);
    else if (!ended && fd < 0)
        return posix_proc_alive(os, id, alive);
    *alive = !ended;
    return TARN_OK;
}

const struct tarn_os_proc linux_proc = {
    .size = sizeof(struct tarn_os_proc),
    .self = linux_proc_self,
    .identity = linux_proc_identity,
    .alive = linux_proc_alive,
    .on_fork = posix_proc_on_fork,
    .on_thread_exit = posix_proc_on_thread_exit,
    .thread_start = posix_proc_thread_start,
    .thread_join = posix_proc_thread_join,
    .try_in_child = posix_proc_try_in_child,
};
