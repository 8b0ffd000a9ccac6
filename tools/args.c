/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments: read by apr_getopt, complained about in one line that names the nearest thing that
 * exists.
 */
#include "tools/tool.h"

#include "os/text.h"

#include <apr_strings.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEY_HELP = 'h', OPTIONS_MAX = 24 };

const char *nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 3 + 2;

    for (; *list != NULL; list++) {
        unsigned distance = text_distance(word, *list);

        if (distance < best_distance) {
            best = *list;
            best_distance = distance;
        }
    }
    return best;
}

/* ---- help ------------------------------------------------------------------------------------- */

static void print_option(apr_pool_t *pool, const apr_getopt_option_t *o)
{
    const char *help = strchr(o->description, '\t');
    const char *left = apr_psprintf(pool, "--%s", o->name);

    if (help != NULL)
        left =
            apr_psprintf(pool, "--%s %.*s", o->name, (int)(help - o->description), o->description);
    printf("  %-22s %s\n", left, help != NULL ? help + 1 : o->description);
}

static void print_help(const struct args *args)
{
    const struct command *c = args->command;

    printf("usage: tarn %s %s\n\n%s\n", c->name, c->arguments, c->summary);
    printf("\noptions:\n");
    for (const apr_getopt_option_t *o = c->options; o->name != NULL; o++)
        print_option(args->tool->pool, o);
    printf("  %-22s %s\n", "--help, -h", "this text");
    if (c->more != NULL)
        printf("\n%s", c->more);
}

/* ---- options ---------------------------------------------------------------------------------- */

int args_open(struct args *args, struct tool *tool, const struct command *command, int argc,
              const char *const *argv)
{
    memset(args, 0, sizeof *args);
    args->tool = tool;
    args->command = command;
    if (apr_getopt_init(&args->getopt, tool->pool, argc, argv) != APR_SUCCESS)
        return ARGS_WRONG;
    args->getopt->interleave = 1;
    args->getopt->errfn = NULL;
    return ARGS_END;
}

/* The word that apr_getopt_long() stopped at, without its value. */
static int bad_option(const struct args *args, apr_status_t why)
{
    const struct command *c = args->command;
    const char *names[OPTIONS_MAX + 2];
    const char *word = args->getopt->argv[args->getopt->ind - 1];
    size_t n = 0;
    const char *near;

    word = apr_pstrndup(args->tool->pool, word, strcspn(word, "="));
    for (const apr_getopt_option_t *o = c->options; o->name != NULL && n < OPTIONS_MAX; o++) {
        if (why == APR_BADARG && strcmp(word + strspn(word, "-"), o->name) == 0) {
            complain(EXIT_USAGE, "%s: %s %s (see `tarn %s --help`)", c->name, word,
                     o->has_arg ? "wants a value" : "takes no value", c->name);
            return ARGS_WRONG;
        }
        names[n++] = apr_pstrcat(args->tool->pool, "--", o->name, NULL);
    }
    names[n++] = "--help";
    names[n] = NULL;
    near = nearest(word, names);
    if (near != NULL)
        complain(EXIT_USAGE, "%s: no option %s; did you mean %s?", c->name, word, near);
    else
        complain(EXIT_USAGE, "%s: no option %s (see `tarn %s --help`)", c->name, word, c->name);
    return ARGS_WRONG;
}

static int all_read(struct args *args)
{
    const struct command *c = args->command;

    args->given = args->getopt->argc - args->getopt->ind;
    args->rest = args->getopt->argv + args->getopt->ind;
    if (args->given >= c->least && args->given <= c->most)
        return ARGS_END;
    if (args->given < c->least)
        complain(EXIT_USAGE, "%s: something is missing; usage: tarn %s %s", c->name, c->name,
                 c->arguments);
    else
        complain(EXIT_USAGE, "%s: '%s' is one argument too many; usage: tarn %s %s", c->name,
                 args->rest[c->most], c->name, c->arguments);
    return ARGS_WRONG;
}

int args_next(struct args *args, const char **value)
{
    apr_getopt_option_t options[OPTIONS_MAX + 2];
    size_t n = 0;
    int key = 0;
    apr_status_t st;

    for (const apr_getopt_option_t *o = args->command->options; o->name != NULL && n < OPTIONS_MAX;)
        options[n++] = *o++;
    options[n++] = (apr_getopt_option_t){ "help", KEY_HELP, 0, "" };
    memset(&options[n], 0, sizeof options[n]);

    st = apr_getopt_long(args->getopt, options, &key, value);
    if (st == APR_EOF)
        return all_read(args);
    if (st != APR_SUCCESS)
        return bad_option(args, st);
    if (key == KEY_HELP) {
        print_help(args);
        return ARGS_HELP;
    }
    return key;
}

/* ---- values ----------------------------------------------------------------------------------- */

bool args_number(const struct args *args, const char *option, const char *value, uint64_t least,
                 uint64_t most, uint64_t *out)
{
    uint64_t n = 0;

    if (text_number(value, &n, NULL) == TARN_OK && n >= least && n <= most) {
        *out = n;
        return true;
    }
    complain(EXIT_USAGE, "%s: --%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
             args->command->name, option, least, most, value);
    return false;
}

int args_choice(const struct args *args, const char *option, const char *value,
                const char *const *list)
{
    const char *all = "", *near = nearest(value, list);

    for (int i = 0; list[i] != NULL; i++) {
        if (strcmp(list[i], value) == 0)
            return i;
        all = apr_pstrcat(args->tool->pool, all, i > 0 ? " or " : "", list[i], NULL);
    }
    if (near != NULL)
        complain(EXIT_USAGE, "%s: --%s is %s, not '%s'; did you mean %s?", args->command->name,
                 option, all, value, near);
    else
        complain(EXIT_USAGE, "%s: --%s is %s, not '%s'", args->command->name, option, all, value);
    return -1;
}
