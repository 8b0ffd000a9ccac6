/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the tests that use the programs from outside, as people do: run a line of shell, look at what
 * it printed and how it ended.  The variable TARN is the tool, EXAMPLES the folder of the examples.
 */
#ifndef TARN_TESTS_TOOL_H
#define TARN_TESTS_TOOL_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Threads of several processes on the same pages: what orders them may be in another process. */
#if defined(__SANITIZE_THREAD__)
#define TOOL_ONE_PROCESS_SEEN 1
#elif defined(__has_feature)
#define TOOL_ONE_PROCESS_SEEN __has_feature(thread_sanitizer)
#else
#define TOOL_ONE_PROCESS_SEEN 0
#endif

struct ran {
    int status; /* of exit, or 128 + signal */
    char out[64 * 1024], err[16 * 1024];
};

static inline void tool_read(const char *path, char *buf, size_t len)
{
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(buf, 1, len - 1, f) : 0;

    buf[n] = '\0';
    if (f != NULL)
        (void)fclose(f);
}

/* Set the variables; once, before the first run. */
static inline void tool_set_up(void)
{
    const char *build = getenv("TARN_TEST_BUILD");
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/tools/tarn", build != NULL ? build : ".");
    (void)setenv("TARN", path, 1);
    (void)snprintf(path, sizeof path, "%s/examples", build != NULL ? build : ".");
    (void)setenv("EXAMPLES", path, 1);
    (void)unsetenv("TARN_BACKEND");
    (void)unsetenv("TARN_REGION_DIR");
}

/* Run the line with sh -c in the current folder. */
static inline void tool_run(struct ran *r, const char *line)
{
    char wrapped[4096];
    int status;

    (void)snprintf(wrapped, sizeof wrapped, "{ %s\n} >tool.out 2>tool.err </dev/null", line);
    (void)fflush(NULL);
    status = system(wrapped);
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    tool_read("tool.out", r->out, sizeof r->out);
    tool_read("tool.err", r->err, sizeof r->err);
}

static inline int tool_lines(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* The line ends with that status; if not, say what it printed. */
static inline void tool_expect(struct ran *r, int status, const char *line)
{
    tool_run(r, line);
    if (r->status != status)
        printf("# %s\n# ended with %d, expected %d\n%s%s", line, r->status, status, r->out, r->err);
    CU_ASSERT_EQUAL(r->status, status);
}

/*
 * The line fails with that status and one line on standard error, which contains all the words
 * (NULL ends them); the message is printed, for people who read the log.
 */
static inline void tool_complains(int status, const char *line, ...)
{
    struct ran *r = malloc(sizeof *r);
    const char *word;
    va_list words;

    if (r == NULL)
        abort();
    tool_expect(r, status, line);
    printf("#   %s\n#     %s", line, r->err);
    if (tool_lines(r->err) != 1)
        printf("#     (not one line)\n");
    CU_ASSERT_EQUAL(tool_lines(r->err), 1);
    CU_ASSERT_EQUAL(strncmp(r->err, "tarn: ", 6), 0);
    va_start(words, line);
    while ((word = va_arg(words, const char *)) != NULL) {
        if (strstr(r->err, word) == NULL)
            printf("#     (does not say '%s')\n", word);
        CU_ASSERT_PTR_NOT_NULL(strstr(r->err, word));
    }
    va_end(words);
    free(r);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static inline const char *json_skip(const char *s) { return s + strspn(s, " \t\r\n"); }

static inline const char *json_string_end(const char *s)
{
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s != '\\')
            continue;
        s++;
        if (*s == 'u') {
            if (strspn(s + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            s += 4;
        } else if (*s == '\0' || strchr("\"\\/bfnrt", *s) == NULL) {
            return NULL;
        }
    }
    return s + 1;
}

static const char *json_value_end(const char *s);

static inline const char *json_members_end(const char *s, char close)
{
    s = json_skip(s + 1);
    if (*s == close)
        return s + 1;
    for (;;) {
        if (close == '}') {
            s = json_string_end(s);
            s = s != NULL ? json_skip(s) : NULL;
            if (s == NULL || *s != ':')
                return NULL;
            s = json_skip(s + 1);
        }
        s = json_value_end(s);
        s = s != NULL ? json_skip(s) : NULL;
        if (s == NULL || (*s != ',' && *s != close))
            return NULL;
        if (*s == close)
            return s + 1;
        s = json_skip(s + 1);
    }
}

/* The end of the JSON value at s, or NULL if there is none. */
static inline const char *json_value_end(const char *s)
{
    static const char *const words[] = { "true", "false", "null" };
    char *end;

    if (*s == '{' || *s == '[')
        return json_members_end(s, *s == '{' ? '}' : ']');
    if (*s == '"')
        return json_string_end(s);
    for (int i = 0; i < 3; i++)
        if (strncmp(s, words[i], strlen(words[i])) == 0)
            return s + strlen(words[i]);
    if (*s != '-' && (*s < '0' || *s > '9'))
        return NULL;
    (void)strtod(s, &end);
    return end;
}

/* text is one JSON value and nothing else. */
static inline int json_valid(const char *text)
{
    const char *end = json_value_end(json_skip(text));

    return end != NULL && *json_skip(end) == '\0';
}

/* The value of the first `"key": ` in text; "" if there is none. */
static inline const char *json_find(const char *text, const char *key)
{
    char quoted[80];
    const char *at;

    (void)snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    at = strstr(text, quoted);
    return at != NULL ? at + strlen(quoted) : "";
}

static inline long long json_count(const char *text, const char *key)
{
    const char *at = json_find(text, key);
    char *end;
    long long n = strtoll(at, &end, 10);

    return end != at ? n : -1;
}

#endif
