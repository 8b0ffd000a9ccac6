/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place where errno becomes enum tarn_err.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "os/posix/posix.h"
#include "os/text.h"

/* The last error of this thread; words are empty if the number says all. */
static _Thread_local struct {
    int number;
    char words[256];
} last;

/* What is not here is TARN_EIO. */
static const struct {
    int number, err;
} names[] = {
    { ENOMEM, TARN_ENOMEM },    { ENOENT, TARN_ENOENT },       { ENOTDIR, TARN_ENOENT },
    { ESRCH, TARN_ENOENT },     { EIDRM, TARN_ENOENT },        { EEXIST, TARN_EEXIST },
    { ENOTEMPTY, TARN_EEXIST }, { EACCES, TARN_EACCES },       { EPERM, TARN_EPERM },
    { ELOOP, TARN_EPERM },      { EISDIR, TARN_EPERM },        { EMFILE, TARN_EMFILE },
    { ENFILE, TARN_EMFILE },    { EBUSY, TARN_EBUSY },         { ETXTBSY, TARN_EBUSY },
    { ENOSPC, TARN_ENOSPC },    { EDQUOT, TARN_ENOSPC },       { EFBIG, TARN_ENOSPC },
    { ENOSYS, TARN_ENOSYS },    { ENOTSUP, TARN_ENOSYS },      { EOPNOTSUPP, TARN_ENOSYS },
    { EAGAIN, TARN_EAGAIN },    { ETIMEDOUT, TARN_ETIMEDOUT }, { EDEADLK, TARN_EDEADLK },
    { EROFS, TARN_EROFS },      { EINVAL, TARN_EINVAL },       { EBADF, TARN_EINVAL },
    { EFAULT, TARN_EINVAL },    { EOVERFLOW, TARN_EINVAL },    { ENAMETOOLONG, TARN_EINVAL },
    { ESPIPE, TARN_EINVAL },    { EXDEV, TARN_EINVAL },
};

static int translate(int number)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == number)
            return names[i].err;
    return TARN_EIO;
}

int posix_error(int number)
{
    last.number = number;
    last.words[0] = '\0';
    return translate(number);
}

int posix_failed(void) { return posix_error(errno); }

int posix_refused(int err, const char *fmt, ...)
{
    va_list args;

    last.number = 0;
    va_start(args, fmt);
    (void)text_vformat(last.words, sizeof(last.words), fmt, args);
    va_end(args);
    return err;
}

/* strerror_r returns the words or, in POSIX's own form, a number. */
static const char *words_or_buffer(const char *words, const char *buffer)
{
    return words != NULL ? words : buffer;
}

static const char *buffer_if_zero(int failed, const char *buffer)
{
    return failed == 0 ? buffer : "unknown error";
}

#define WORDS(result, buffer)                                                                      \
    _Generic((result), int : buffer_if_zero, char * : words_or_buffer)(result, buffer)

int posix_misc_last_error(const struct tarn_os *os, int *number, char *text, size_t len)
{
    char buffer[256] = "";
    const char *words = last.words;

    if (words[0] == '\0' && last.number != 0)
        words = WORDS(strerror_r(last.number, buffer, sizeof(buffer)), buffer);
    *number = last.number;
    if (len > 0)
        (void)text_format(text, len, "%s", words);
    return TARN_OK;
}
