/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading code.  Whoever can write the file, or put another in its place, runs what he likes in this
 * process; so both are looked at through open descriptors before the loader sees the name.  The
 * directories above are the administrator's affair.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/posix/posix.h"

/* TARN_EPERM, with words, unless only root or this user may change what fd is. */
static int check_trusted(int fd, const char *what)
{
    struct stat sb;

    if (fstat(fd, &sb) != 0)
        return posix_failed();
    if (sb.st_uid != 0 && sb.st_uid != geteuid())
        return posix_refused(TARN_EPERM, "%s belongs to user %lu, neither root nor this one", what,
                             (unsigned long)sb.st_uid);
    if ((sb.st_mode & 022) != 0)
        return posix_refused(TARN_EPERM, "%s may be written by group or others (mode 0%o)", what,
                             (unsigned)(sb.st_mode & 0777));
    return TARN_OK;
}

/* Open path with flags and look at it; the descriptor, or an error below 0. */
static int open_trusted(int dir, const char *name, int flags, const char *what)
{
    int ret, fd = openat(dir, name, flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return posix_failed();
    ret = check_trusted(fd, what);
    if (ret == TARN_OK)
        return fd;
    (void)close(fd);
    return ret;
}

/* path is absolute and without links: its directory and it. */
static int check_module(char *path)
{
    char *slash = strrchr(path, '/');
    int dir, file;

    *slash = '\0';
    dir = open_trusted(AT_FDCWD, slash == path ? "/" : path, O_DIRECTORY, path);
    *slash = '/';
    if (dir < 0)
        return dir;
    file = open_trusted(dir, slash + 1, O_NOFOLLOW, path);
    (void)close(dir);
    if (file < 0)
        return file;
    (void)close(file);
    return TARN_OK;
}

/* A link is as good as what it names: the directory that it is in counts too. */
static int check_named_dir(const char *path)
{
    char dir_name[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    int dir;

    if (len >= sizeof(dir_name))
        return posix_error(ENAMETOOLONG);
    memcpy(dir_name, path, len);
    dir_name[len] = '\0';
    if (len == 0)
        memcpy(dir_name, slash == NULL ? "." : "/", 2);
    dir = open_trusted(AT_FDCWD, dir_name, O_DIRECTORY, dir_name);
    if (dir < 0)
        return dir;
    (void)close(dir);
    return TARN_OK;
}

int posix_misc_module_open(const struct tarn_os *os, const char *path, void **module)
{
    char *real;
    void *handle;
    int ret = check_named_dir(path);

    if (ret != TARN_OK)
        return ret;
    real = realpath(path, NULL);
    if (real == NULL)
        return posix_failed();
    ret = check_module(real);
    handle = ret == TARN_OK ? dlopen(real, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    free(real);
    if (ret != TARN_OK)
        return ret;
    if (handle == NULL)
        return posix_refused(TARN_EINVAL, "%s", dlerror());
    *module = handle;
    return TARN_OK;
}

int posix_misc_module_symbol(const struct tarn_os *os, void *module, const char *name,
                             tarn_symbol *symbol)
{
    void *found = dlsym(module, name);

    if (found == NULL)
        return posix_refused(TARN_ENOENT, "no symbol %s", name);
    *symbol = found;
    return TARN_OK;
}
