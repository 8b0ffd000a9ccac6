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

static int translate(int number)
{
    switch (number) {
    case ENOMEM: return TARN_ENOMEM;
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
    case EIDRM: return TARN_ENOENT;
    case EEXIST:
    case ENOTEMPTY: return TARN_EEXIST;
    case EACCES: return TARN_EACCES;
    case EPERM:
    case ELOOP:
    case EISDIR: return TARN_EPERM;
    case EMFILE:
    case ENFILE: return TARN_EMFILE;
    case EBUSY:
    case ETXTBSY: return TARN_EBUSY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return TARN_ENOSPC;
    case ENOSYS:
    case ENOTSUP: return TARN_ENOSYS;
    case EAGAIN: return TARN_EAGAIN;
    case ETIMEDOUT: return TARN_ETIMEDOUT;
    case EDEADLK: return TARN_EDEADLK;
    case EROFS: return TARN_EROFS;
    case EINVAL:
    case EBADF:
    case EFAULT:
    case EOVERFLOW:
    case ENAMETOOLONG:
    case ESPIPE:
    case EXDEV: return TARN_EINVAL;
    default: return TARN_EIO;
    }
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
    _Generic((result), int: buffer_if_zero, char *: words_or_buffer)(result, buffer)

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
