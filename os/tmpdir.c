/* SPDX-License-Identifier: BSD-2-Clause */
/* Where temporary files go. */
#include <tarn/os.h>

#include "os/text.h"

static int is_directory(const struct tarn_os *os, const char *path)
{
    int isdir = 0;

    return os->file->exists(os, path, &isdir) == TARN_OK && isdir;
}

/* The first variable that is set; NULL: none is, or this process may not believe any. */
static const char *from_environment(const struct tarn_os *os)
{
    static const char *const names[] = { "TMPDIR", "TEMP", "TMP", "TempFolder" };
    const char *value = NULL;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && value == NULL; i++)
        if (os->misc->getenv(os, names[i], &value) != TARN_OK)
            value = NULL;
    return value;
}

int tarn_os_tmpdir(const struct tarn_os *os, char *path, size_t len)
{
    static const char *const usual[] = { "/var/tmp", "/usr/tmp", "/temp",
                                         "/tmp",     "C:/temp",  "C:/tmp" };
    const char *found = from_environment(os);

    if (found != NULL && !is_directory(os, found))
        return TARN_ENOENT;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && found == NULL; i++)
        if (is_directory(os, usual[i]))
            found = usual[i];
    if (found == NULL)
        return TARN_ENOENT;
    if ((size_t)text_format(NULL, 0, "%s", found) >= len)
        return TARN_EINVAL;
    (void)text_format(path, len, "%s", found);
    return TARN_OK;
}
