/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn, the command-line tool: finds the command and hands over.
 *
 *     run       the main job: processes share a file's pages and check every one     run.c
 *     backends  what memory there is, and why or why not                             look.c
 *     ports     what this build knows of its platform                                look.c
 *     ls, stat, rm   regions of a home                                               look.c
 */
#include "tools/tool.h"

#include <apr_env.h>
#include <apr_file_info.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROC_SELF "/proc/self/exe"

static const struct command *const commands[] = {
    &command_run, &command_backends, &command_ports, &command_ls, &command_stat, &command_rm,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out)
{
    (void)fputs("usage: tarn COMMAND [options] ...\n\n", out);
    for (int i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    (void)fputs("\n`tarn COMMAND --help` says more; `tarn --version` prints the version.\n", out);
}

static int no_such_command(const char *word)
{
    const char *names[COMMANDS + 1];
    const char *near;

    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    names[COMMANDS] = NULL;
    near = nearest(word, names);
    if (near != NULL)
        return complain(EXIT_USAGE, "no command '%s'; did you mean `tarn %s`?", word, near);
    return complain(EXIT_USAGE, "no command '%s' (see `tarn --help`)", word);
}

static int dispatch(struct tool *tool, int argc, const char *const *argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_usage(stdout);
        return EXIT_OK;
    }
    if (strcmp(word, "--version") == 0) {
        printf("tarn %s\n", tarn_version());
        return EXIT_OK;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, word) == 0)
            return commands[i]->run(tool, commands[i], argc - 1, argv + 1);
    if (strcmp(word, "worker") == 0)
        return worker_command(tool, argc - 1, argv + 1);
    return no_such_command(word);
}

static bool is_there(apr_pool_t *pool, const char *path)
{
    apr_finfo_t info;

    return apr_stat(&info, path, APR_FINFO_TYPE, pool) == APR_SUCCESS;
}

/*
 * A tool that was built and not installed, or installed and then moved, finds its backends beside
 * itself.  Whoever sets TARN_BACKEND_PATH knows better.
 */
static void find_backends(struct tool *tool, const char *argv0)
{
    static const char *const beside[] = { "../backends", TOOL_LIBDIR_FROM_BIN };
    char *value, *path;
    const char *slash;

    if (apr_env_get(&value, "TARN_BACKEND_PATH", tool->pool) == APR_SUCCESS && value[0] != '\0')
        return;
    path = realpath(strcmp(tool->self, PROC_SELF) == 0 ? PROC_SELF : argv0, NULL);
    slash = path != NULL ? strrchr(path, '/') : NULL;
    for (size_t i = 0; slash != NULL && i < sizeof beside / sizeof beside[0]; i++) {
        char *dir = realpath(
            apr_psprintf(tool->pool, "%.*s/%s", (int)(slash - path), path, beside[i]), NULL);

        if (dir != NULL &&
            is_there(tool->pool, apr_pstrcat(tool->pool, dir, "/tarn_backend_mmap.so", NULL))) {
            (void)apr_env_set("TARN_BACKEND_PATH", apr_pstrdup(tool->pool, dir), tool->pool);
            slash = NULL;
        }
        free(dir);
    }
    free(path);
}

int main(int argc, const char *const *argv, const char *const *env)
{
    struct tool tool = { 0 };
    int status;

    if (apr_app_initialize(&argc, &argv, &env) != APR_SUCCESS ||
        apr_pool_create(&tool.pool, NULL) != APR_SUCCESS)
        return complain(EXIT_WRONG, "the portable runtime does not start");
    (void)atexit(apr_terminate);
    tool.self = is_there(tool.pool, PROC_SELF) ? PROC_SELF : argv[0];
    find_backends(&tool, argv[0]);
    status = dispatch(&tool, argc, argv);
    if (fflush(stdout) != 0 && status == EXIT_OK)
        status = complain(EXIT_WRONG, "standard output cannot be written");
    return status;
}
