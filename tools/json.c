/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/json.h"

#include <inttypes.h>

/* Length of the UTF-8 sequence at s, 0 if it is none: too long, a surrogate, above U+10FFFF, cut. */
static int sequence(const unsigned char *s)
{
    int more = s[0] < 0x80 ? 0 : s[0] < 0xc2 ? -1 : s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;

    if (more < 0 || s[0] > 0xf4)
        return 0;
    for (int i = 1; i <= more; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return more + 1;
}

static void quoted(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    (void)fputc('"', out);
    while (*s != '\0') {
        int len = sequence(s);

        if (*s == '"' || *s == '\\')
            (void)fprintf(out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
            (void)fprintf(out, "\\u%04x", *s);
        else if (len == 0)
            (void)fputs("\\ufffd", out);
        else
            (void)fprintf(out, "%.*s", len, (const char *)s);
        s += len > 0 ? len : 1;
    }
    (void)fputc('"', out);
}

/* The comma, the line and the key that come before a value. */
static void before(struct json *j, const char *key)
{
    if (j->depth > 0) {
        (void)fprintf(j->out, "%s\n%*s", j->some[j->depth - 1] ? "," : "", 2 * j->depth, "");
        j->some[j->depth - 1] = true;
    }
    if (key != NULL) {
        quoted(j->out, key);
        (void)fputs(": ", j->out);
    }
}

static void open_level(struct json *j, const char *key, char open, char close)
{
    before(j, key);
    (void)fputc(open, j->out);
    j->close[j->depth] = close;
    j->some[j->depth] = false;
    j->depth++;
}

void json_object(struct json *j, const char *key) { open_level(j, key, '{', '}'); }

void json_array(struct json *j, const char *key) { open_level(j, key, '[', ']'); }

void json_end(struct json *j)
{
    j->depth--;
    if (j->some[j->depth])
        (void)fprintf(j->out, "\n%*s", 2 * j->depth, "");
    (void)fputc(j->close[j->depth], j->out);
    if (j->depth == 0)
        (void)fputc('\n', j->out);
}

void json_text(struct json *j, const char *key, const char *text)
{
    before(j, key);
    if (text == NULL)
        (void)fputs("null", j->out);
    else
        quoted(j->out, text);
}

void json_number(struct json *j, const char *key, uint64_t n)
{
    before(j, key);
    (void)fprintf(j->out, "%" PRIu64, n);
}

void json_real(struct json *j, const char *key, double n)
{
    before(j, key);
    (void)fprintf(j->out, "%.3f", n);
}

void json_bool(struct json *j, const char *key, bool truth)
{
    before(j, key);
    (void)fputs(truth ? "true" : "false", j->out);
}
