/* SPDX-License-Identifier: BSD-2-Clause */
#include "region/env.h"

#include <string.h>

#include "os/table.h"
#include "region/own.h"
#include "region/process.h"

/* ---- what other layers use too ----------------------------------------------------------------- */

int env_config(const void *user, size_t known, void *copy, const struct tarn_env_sink *sink,
               const char *what)
{
    const uint8_t *bytes = user;
    size_t size;

    if (user == NULL) {
        memset(copy, 0, known);
        return TARN_OK;
    }
    memcpy(&size, user, sizeof(size));
    if (size < sizeof(size) || size > 65536)
        return tarn_fail(sink, TARN_EINVAL, "%s: its size field is %zu: start from the _INIT macro",
                         what, size);
    for (size_t i = known; i < size; i++)
        if (bytes[i] != 0)
            return tarn_fail(sink, TARN_EVERSION,
                             "%s: byte %zu is set, this library knows %zu bytes of it: the program "
                             "was compiled for a newer Tarn",
                             what, i, known);
    memset(copy, 0, known);
    memcpy(copy, user, size < known ? size : known);
    return TARN_OK;
}

const char *env_reason(const struct tarn_os *os, struct env_reason *reason)
{
    int number;

    reason->text[0] = '\0';
    if (os->misc->last_error(os, &number, reason->text, sizeof(reason->text)) != TARN_OK ||
        reason->text[0] == '\0')
        memcpy(reason->text, "no reason given", sizeof("no reason given"));
    return reason->text;
}

int env_path(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
             const char *suffix, char path[ENV_PATH_MAX])
{
    int n = text_format(path, ENV_PATH_MAX, "%s/%s%s", env->home, name, suffix);

    if (n < 0 || n >= ENV_PATH_MAX)
        return tarn_fail(sink, TARN_EINVAL, "region %s: its path has %d bytes, at most %d can be",
                         name, n, ENV_PATH_MAX - 1);
    return TARN_OK;
}

int env_trust(const struct tarn_env *env, const struct tarn_env_sink *sink, tarn_file f,
              const char *path, uint32_t mode, uint32_t max_names)
{
    const struct tarn_os *os = env->os;
    struct env_reason reason;
    struct tarn_procid self;
    struct tarn_stat st;
    uint32_t euid;
    int err;

    if ((err = os->file->ioinfo(os, f, &st)) != TARN_OK ||
        (err = os->proc->self(os, &self, &euid)) != TARN_OK)
        return tarn_fail(sink, err, "%s: cannot ask what it is: %s", path, env_reason(os, &reason));
    if (st.kind != TARN_KIND_FILE)
        return tarn_fail(sink, TARN_EPERM, "%s: is not a regular file", path);
    if (st.uid != euid && st.uid != 0 && st.uid != env->home_uid)
        return tarn_fail(
            sink, TARN_EPERM,
            "%s: belongs to user %u; believed are user %u, root and the home's owner %u", path,
            st.uid, euid, env->home_uid);
    if ((st.mode & 0022 & ~mode) != 0)
        return tarn_fail(sink, TARN_EPERM,
                         "%s: others may write it: its mode is 0%o, the region's 0%o", path,
                         st.mode, mode);
    if (st.nlink > max_names)
        return tarn_fail(sink, TARN_EPERM, "%s: has %u names, expected %u", path, st.nlink,
                         max_names);
    return TARN_OK;
}

int env_local(const struct tarn_env *env, const struct tarn_env_sink *sink)
{
    const char *forced = NULL;
    struct tarn_fsinfo fs;

    if (env->os->file->fsinfo(env->os, env->home, &fs) != TARN_OK ||
        (fs.flags & TARN_FS_NETWORK) == 0)
        return TARN_OK;
    if (env->os->misc->getenv(env->os, "TARN_FORCE_NETWORK", &forced) == TARN_OK &&
        forced != NULL && strcmp(forced, "1") == 0)
        return TARN_OK;
    return tarn_fail(sink, TARN_ENOSYS,
                     "home %s: is on a network file system (%s), where locks of other machines may "
                     "not be seen: use a local directory, or set TARN_FORCE_NETWORK=1",
                     env->home, fs.type);
}

void env_wish(const struct tarn_env *env, struct choose_wish *wish)
{
    const char *variable = NULL;

    if (env->os->misc->getenv(env->os, "TARN_BACKEND", &variable) != TARN_OK)
        variable = NULL;
    *wish = (struct choose_wish){ .required = env->required,
                                  .variable = variable,
                                  .preferred = env->preferred };
}

/* ---- open and close ------------------------------------------------------------------------------ */

static const char *variable_of(const struct tarn_os *os, const char *name)
{
    const char *value;

    return os->misc->getenv(os, name, &value) == TARN_OK ? value : NULL;
}

/* The host's table as it is below the shims of TARN_OS, which go over an application's override. */
static const struct tarn_os *below_shims(void)
{
    const struct tarn_os *os = tarn_os_host();

    while (os->below != NULL && (strcmp(os->name, "trace") == 0 || strcmp(os->name, "fault") == 0))
        os = os->below;
    return os;
}

/* Fill in os, stacked and shims.  On failure nothing is stacked. */
static int open_table(struct tarn_env *env, const struct tarn_os *over)
{
    const char *spec = variable_of(tarn_os_host(), "TARN_OS"), *text;
    int err = table_host_status(&text);

    env->os = tarn_os_host();
    if (err != TARN_OK)
        return tarn_fail(&env->sink, err, "environment: TARN_OS: %s", text);
    if (over == NULL)
        return TARN_OK;
    err = tarn_os_stack(below_shims(), over, &env->stacked);
    if (err != TARN_OK)
        return tarn_fail(&env->sink, err, "environment: its OS table is refused: %s",
                         tarn_last_message());
    env->os = env->stacked;
    if (spec == NULL)
        return TARN_OK;
    err = tarn_os_shims(env->stacked, spec, &env->shims);
    if (err != TARN_OK) {
        err = tarn_fail(&env->sink, err, "environment: TARN_OS=%s is refused: %s", spec,
                        tarn_last_message());
        tarn_os_unstack(env->stacked);
        return err;
    }
    env->os = env->shims;
    return TARN_OK;
}

static void close_table(struct tarn_env *env)
{
    if (env->shims != NULL)
        tarn_os_unstack(env->shims);
    if (env->stacked != NULL)
        tarn_os_unstack(env->stacked);
}

static int check_home(struct tarn_env *env, const char *home)
{
    struct env_reason reason;
    struct tarn_stat st;
    int isdir, err;

    if (*home == '\0')
        return tarn_fail(&env->sink, TARN_EINVAL, "environment: home is the empty string");
    if (strlen(home) > ENV_PATH_MAX - 128)
        return tarn_fail(&env->sink, TARN_EINVAL, "environment: home has %zu bytes, at most %d",
                         strlen(home), ENV_PATH_MAX - 128);
    err = env->os->file->exists(env->os, home, &isdir);
    if (err == TARN_ENOENT)
        return tarn_fail(&env->sink, err, "environment: home %s is not there: make the directory",
                         home);
    if (err == TARN_OK && !isdir)
        return tarn_fail(&env->sink, TARN_EINVAL, "environment: home %s is not a directory", home);
    if (err == TARN_OK)
        err = env->os->file->stat(env->os, home, &st);
    if (err != TARN_OK)
        return tarn_fail(&env->sink, err, "environment: cannot look at home %s: %s", home,
                         env_reason(env->os, &reason));
    env->home_uid = st.uid;
    return TARN_OK;
}

/* A copy behind *at, which moves on. */
static const char *keep(char **at, const char *s)
{
    char *copy = *at;

    if (s == NULL)
        return NULL;
    memcpy(copy, s, strlen(s) + 1);
    *at += strlen(s) + 1;
    return copy;
}

static size_t room_for(const char *s) { return s == NULL ? 0 : strlen(s) + 1; }

/* Another processor may open the lock meanwhile: the more there are, the likelier. */
static uint32_t default_spins(const struct tarn_os *os)
{
    unsigned cpus = 1;

    if (os->misc->cpus(os, &cpus) != TARN_OK || cpus == 0)
        cpus = 1;
    return 50 * cpus;
}

/* env is checked: make the lasting one, with copies of all strings. */
static int make_env(const struct tarn_env *env, const struct tarn_env_config *config,
                    struct tarn_env **out)
{
    const char *dir = config->home == NULL ? NULL : variable_of(env->os, "TARN_REGION_DIR");
    struct tarn_env *made;
    void *memory;
    char *at;
    int err;

    err = env->os->misc->malloc(env->os,
                                sizeof(*made) + room_for(config->home) + room_for(dir) +
                                    room_for(config->message_prefix) +
                                    room_for(config->backend_required) + room_for(config->backend),
                                &memory);
    if (err != TARN_OK)
        return tarn_fail(&env->sink, err, "environment: no memory for its handle");
    made = memory;
    at = (char *)(made + 1);
    *made = *env;
    made->home = keep(&at, config->home);
    made->dir = dir == NULL ? made->home : keep(&at, dir);
    made->sink.prefix = keep(&at, config->message_prefix);
    made->required = keep(&at, config->backend_required);
    made->preferred = keep(&at, config->backend);
    *out = made;
    return TARN_OK;
}

int tarn_env_open(const struct tarn_env_config *user, tarn_env **out)
{
    struct tarn_env_config config;
    struct tarn_env env, *made = NULL;
    struct choose_wish wish;
    char why[512];
    int err;

    memset(&env, 0, sizeof(env));
    if (out == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "environment: no place for the handle");
    if ((err = env_config(user, sizeof(config), &config, NULL, "tarn_env_config")) != TARN_OK)
        return err;
    env.sink = (struct tarn_env_sink){ config.message, config.message_ctx, config.message_prefix };
    if ((err = open_table(&env, config.os)) != TARN_OK)
        return err;
    env.required = config.backend_required;
    env.preferred = config.backend;
    env.spins = config.spins != 0 ? config.spins : default_spins(env.os);
    env_wish(&env, &wish);
    if (config.home != NULL && (err = check_home(&env, config.home)) != TARN_OK)
        goto fail;
    if ((err = choose_check(env.os, &wish, why, sizeof(why))) != TARN_OK) {
        err = tarn_fail(&env.sink, err, "environment: %s", why);
        goto fail;
    }
    if ((err = process_watch(env.os)) != TARN_OK) {
        err = tarn_fail(&env.sink, err, "environment: cannot ask to be told of a fork");
        goto fail;
    }
    if ((err = make_env(&env, &config, &made)) != TARN_OK)
        goto fail;
    process_add_env(made);
    *out = made;
    return TARN_OK;

fail:
    close_table(&env);
    return err;
}

void env_release(struct tarn_env *env)
{
    struct tarn_env old = *env;

    process_remove_env(env);
    old.os->misc->free(old.os, env);
    close_table(&old);
}

int tarn_env_close(tarn_env *env)
{
    unsigned open = 0;

    if (env == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "environment: the handle is NULL");
    process_settle();
    own_mutex_lock(env->os, &env->lock);
    for (struct tarn_region *r = env->regions; r != NULL; r = r->next)
        open++;
    own_mutex_unlock(env->os, &env->lock);
    if (open > 0)
        return tarn_fail(&env->sink, TARN_EBUSY,
                         "environment %s: %u regions or pools of it are open: close them first",
                         env->home == NULL ? "(private)" : env->home, open);
    if (!process_close_env(env))
        env_release(env);
    return TARN_OK;
}

const struct tarn_os *tarn_env_os(const tarn_env *env) { return env->os; }
