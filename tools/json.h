/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A JSON writer: values go out as they come.  key is NULL inside an array, and for the outermost.
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 16 };

struct json {
    FILE *out;
    int depth;
    char close[JSON_DEPTH]; /* what ends each level */
    bool some[JSON_DEPTH];  /* it has a member already */
};

#define JSON_INIT(file)                                                                            \
    {                                                                                              \
        .out = (file)                                                                              \
    }

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j); /* of the object or array opened last */

/* text may hold any bytes; what is not UTF-8 becomes U+FFFD.  NULL: null. */
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t n);
void json_real(struct json *j, const char *key, double n); /* three places */
void json_bool(struct json *j, const char *key, bool truth);

#endif
