/* SPDX-License-Identifier: BSD-2-Clause */
#include <tarn/tarn.h>

#define TEXT_OF(x)                        #x
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *tarn_strerror(int err)
{
    switch (err) {
    case TARN_OK:
        return "success";
#define TARN_X(name, number, text)                                                                 \
    case number:                                                                                   \
        return text;
        TARN_ERRORS(TARN_X)
#undef TARN_X
    default:
        return "unknown error";
    }
}

const char *tarn_err_name(int err)
{
    switch (err) {
    case TARN_OK:
        return "TARN_OK";
#define TARN_X(name, number, text)                                                                 \
    case number:                                                                                   \
        return "TARN_" #name;
        TARN_ERRORS(TARN_X)
#undef TARN_X
    default:
        return "TARN_UNKNOWN";
    }
}

const char *tarn_version(void)
{
    return VERSION_TEXT(TARN_VERSION_MAJOR, TARN_VERSION_MINOR, TARN_VERSION_PATCH);
}
