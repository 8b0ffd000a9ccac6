/* SPDX-License-Identifier: BSD-2-Clause */
/* The examples do what they say, and the README shows what is true: its program and its commands. */
#include "tool.h"

#include <ctype.h>

static struct ran r;

static void before(void)
{
    tool_set_up();
    tool_expect(&r, 0, "rm -rf home && mkdir home");
}

/* ---- examples --------------------------------------------------------------------------------- */

static void processes_share_a_counter(void)
{
    before();
    tool_expect(&r, 0, "cd home && $EXAMPLES/hello_region && $EXAMPLES/hello_region");
    CU_ASSERT_STRING_EQUAL(r.out, "process number 1\nprocess number 2\n");
    tool_expect(&r, 0,
                "cd home && for i in 1 2 3 4 5 6 7 8; do $EXAMPLES/hello_region & done >all; wait\n"
                "sort -n -k 3 all");
    CU_ASSERT_STRING_EQUAL(r.out, "process number 3\nprocess number 4\nprocess number 5\n"
                                  "process number 6\nprocess number 7\nprocess number 8\n"
                                  "process number 9\nprocess number 10\n");
    tool_expect(&r, 0, "$TARN rm home hello");
}

static void pages_reach_the_file(void)
{
    before();
    tool_expect(&r, 0, "$EXAMPLES/page_cache home");
    CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "read 100 right pages of home/squares"));
    tool_expect(&r, 0,
                "for i in 1 2 3 4; do $EXAMPLES/page_cache home >out.$i & pids=\"$pids $!\"; done\n"
                "for p in $pids; do wait $p || exit 1; done; cat out.*");
    CU_ASSERT_EQUAL(tool_lines(r.out), 4);
    tool_expect(&r, 0, "$TARN rm home mpool && test \"$(wc -c <home/squares)\" = 409600");
    tool_expect(&r, 2, "$EXAMPLES/page_cache");
}

/* ---- README ----------------------------------------------------------------------------------- */

static char readme[64 * 1024];
static char program[16 * 1024];

/* The text of the next ```KIND block after *at, which moves behind it; NULL if there is no more. */
static char *block(char **at, const char *kind)
{
    static char text[8 * 1024];
    char fence[32];
    char *begin, *end;

    (void)snprintf(fence, sizeof fence, "\n```%s\n", kind);
    begin = strstr(*at, fence);
    if (begin == NULL)
        return NULL;
    begin += strlen(fence);
    end = strstr(begin, "\n```\n");
    if (end == NULL || (size_t)(end + 1 - begin) >= sizeof text)
        return NULL;
    memcpy(text, begin, (size_t)(end + 1 - begin));
    text[end + 1 - begin] = '\0';
    *at = end;
    return text;
}

static void the_program_is_the_example(void)
{
    char *at = readme, *code;
    const char *line;
    int lines = 0;

    tool_read(TARN_SOURCE "/README.md", readme, sizeof readme);
    tool_read(TARN_SOURCE "/examples/hello_region.c", program, sizeof program);
    line = strstr(program, "#include"); /* behind the licence and what it is */
    code = block(&at, "c");
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    CU_ASSERT_PTR_NOT_NULL_FATAL(code);
    CU_ASSERT_STRING_EQUAL(code, line);
    for (; line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n'))
        lines += line[1] != '\n';
    CU_ASSERT(lines <= 16); /* the 15 of the program, and the empty rest */
    /* on the first screen: 50 lines */
    *at = '\0';
    CU_ASSERT(tool_lines(readme) < 50);
}

/* Each ```sh block is run in an empty folder, with the tool and the examples in the path. */
static void the_commands_work(void)
{
    char *at = readme, *commands;
    int n = 0;
    FILE *f;

    if (TOOL_ONE_PROCESS_SEEN)
        SKIP("ThreadSanitizer does not see how other processes order the accesses of two threads");
    before();
    tool_read(TARN_SOURCE "/README.md", readme, sizeof readme);
    while ((commands = block(&at, "sh")) != NULL) {
        f = fopen("block.sh", "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        (void)fputs(commands, f);
        (void)fclose(f);
        tool_expect(&r, 0,
                    "PATH=$(dirname \"$TARN\"):$EXAMPLES:$PATH && export PATH\n"
                    "cp " TARN_SOURCE "/README.md home/ && cd home && sh -e ../block.sh");
        n++;
    }
    CU_ASSERT(n >= 2);
}

/* What is shown and not run here must at least exist: ./dev's own commands. */
static void what_is_shown_exists(void)
{
    const char *at = readme;
    int n = 0;

    before();
    tool_read(TARN_SOURCE "/README.md", readme, sizeof readme);
    while ((at = strstr(at, "./dev ")) != NULL) {
        char word[32], line[200];
        size_t len = 0;

        at += strlen("./dev ");
        while (islower((unsigned char)at[len]) && len < sizeof word - 1)
            len++;
        (void)snprintf(word, sizeof word, "%.*s", (int)len, at);
        (void)snprintf(line, sizeof line, TARN_SOURCE "/dev help | grep -q '^./dev %s '", word);
        tool_expect(&r, 0, line);
        n++;
    }
    CU_ASSERT(n >= 2);
}

/* Every path that stands in `quotes` or as a link is there. */
static void what_is_named_is_there(void)
{
    const char *at = readme;
    int n = 0;

    before();
    tool_read(TARN_SOURCE "/README.md", readme, sizeof readme);
    while ((at = strstr(at, "](")) != NULL) {
        char path[200], line[400];
        size_t len = strcspn(at + 2, ")#");

        (void)snprintf(path, sizeof path, "%.*s", (int)len, at + 2);
        at += 2;
        if (strstr(path, "://") != NULL)
            continue;
        (void)snprintf(line, sizeof line, "test -e " TARN_SOURCE "/%s", path);
        tool_expect(&r, 0, line);
        n++;
    }
    CU_ASSERT(n > 0);
}

int main(void)
{
    static CU_TestInfo examples[] = {
        { "R11 R12: processes share a counter", processes_share_a_counter },
        { "G3 Y7: pages reach the file", pages_reach_the_file },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo shown[] = {
        { "the program is the example", the_program_is_the_example },
        { "the commands work", the_commands_work },
        { "what is shown exists", what_is_shown_exists },
        { "what is named is there", what_is_named_is_there },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "examples", NULL, NULL, NULL, NULL, examples },
        { "readme", NULL, NULL, NULL, NULL, shown },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
