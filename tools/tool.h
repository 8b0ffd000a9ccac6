/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands of the tool share: how they are called, how they read their arguments, how they
 * say what went wrong.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <apr_getopt.h>
#include <apr_pools.h>
#include <stdbool.h>
#include <stdint.h>

#include <tarn/region.h>

enum { EXIT_OK = 0, EXIT_WRONG = 1, EXIT_USAGE = 2 };

#if defined(__GNUC__)
#define TOOL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TOOL_PRINTF(fmt, args)
#endif

struct tool {
    apr_pool_t *pool;
    const char *self; /* how this program can be started again */
};

/*
 * A command.  The description of an option is "VALUE\thelp", or only the help if it has no value.
 * Every command has --help besides (and its letter -h).
 */
struct command {
    const char *name;
    const char *arguments; /* "[options] HOME", for the usage line */
    const char *summary;   /* one line */
    const char *more;      /* further lines of --help, or NULL */
    const apr_getopt_option_t *options;
    int least, most; /* how many arguments that are no options */
    int (*run)(struct tool *tool, const struct command *command, int argc, const char *const *argv);
};

extern const struct command command_run, command_backends, command_ports, command_ls, command_stat,
    command_rm;

/* The hidden command that `tarn run` starts: DIR PROCESS. */
int worker_command(struct tool *tool, int argc, const char *const *argv);

/* Print "tarn: " and the text to standard error; returns status. */
int complain(int status, const char *fmt, ...) TOOL_PRINTF(2, 3);

/* The same with what Tarn said of its last error: "tarn: WHAT: message". */
int complain_tarn(const char *what);

/* The same with the words of the system for an APR status. */
int complain_apr(apr_status_t status, const char *fmt, ...) TOOL_PRINTF(2, 3);

/* ---- arguments -------------------------------------------------------------------------------- */

struct args {
    struct tool *tool;
    const struct command *command;
    apr_getopt_t *getopt;
    int given;               /* arguments that are no options, after the last args_next */
    const char *const *rest; /* and these */
};

/* What args_next returns beside the key of an option. */
enum { ARGS_END = 0, ARGS_WRONG = -1, ARGS_HELP = -2 };

int args_open(struct args *args, struct tool *tool, const struct command *command, int argc,
              const char *const *argv);

/*
 * The next option: its key, and its value.  ARGS_END: all read, args->rest has the others and there
 * are as many as the command wants.  ARGS_WRONG: it has been said what is wrong.  ARGS_HELP: printed.
 */
int args_next(struct args *args, const char **value);

/* What a command returns after args_next() did not end in ARGS_END. */
static inline int args_status(int key) { return key == ARGS_HELP ? EXIT_OK : EXIT_USAGE; }

/* Read a number, with K M G T if sizes are allowed; says what is wrong and returns false. */
bool args_number(const struct args *args, const char *option, const char *value, uint64_t least,
                 uint64_t most, uint64_t *out);

/* The index of value in the NULL-ended list, or -1 after naming the nearest. */
int args_choice(const struct args *args, const char *option, const char *value,
                const char *const *list);

/* The nearest of the list to word, or NULL if none is near. */
const char *nearest(const char *word, const char *const *list);

/* ---- texts ------------------------------------------------------------------------------------ */

/* "7.5 MiB", of the pool. */
const char *text_size(apr_pool_t *pool, uint64_t bytes);

/* "1,234,567", of the pool. */
const char *text_count(apr_pool_t *pool, uint64_t n);

/* "1 page", "3 pages", of the pool. */
const char *text_plural(apr_pool_t *pool, uint64_t n, const char *one, const char *many);

#endif
