/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A page cache over a file: fill pages through the pool, sync, and have another process look at the
 * file in the ordinary way.
 *
 *     page_cache HOME      makes HOME/squares, 100 pages, each the square of its number
 *
 * Start it several times at once: the processes share one pool, and each page is made only once.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/mpool.h>

enum { PAGES = 100, PAGE_SIZE = 4096 };

static int fill(tarn_mpool *pool, tarn_mpf *file)
{
    tarn_thread *me; /* this thread's handle: what makes a hit cheap */
    int ret = tarn_mpool_thread(pool, &me);

    for (uint64_t n = 0; n < PAGES && ret == TARN_OK; n++) {
        uint64_t square = n * n;
        void *page;

        ret = tarn_page_get(me, file, n, TARN_GET_CREATE, &page);
        if (ret != TARN_OK)
            break;
        memcpy(page, &square, sizeof square); /* all who run this write the same bytes */
        ret = tarn_page_put(me, page, TARN_PAGE_DIRTY);
    }
    while (ret == TARN_OK && (ret = tarn_mpf_sync(file)) == TARN_EINCOMPLETE)
        ret = TARN_OK; /* another process holds one of them for a moment */
    return ret;
}

/* What any other program sees: no Tarn here, only open(2) and read(2).  0 if all is there. */
static int look(const char *path)
{
    unsigned char page[PAGE_SIZE];
    int fd = open(path, O_RDONLY);
    uint64_t n = 0, square = 0;

    while (fd >= 0 && read(fd, page, sizeof page) == PAGE_SIZE) {
        memcpy(&square, page, sizeof square);
        if (square != n * n)
            break;
        n++;
    }
    printf("process %ld read %llu right pages of %s with read(2)\n", (long)getpid(),
           (unsigned long long)n, path);
    return n == PAGES ? 0 : 1;
}

static int look_in_a_child(const char *path)
{
    int status = 1;
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        status = look(path);
        (void)fflush(stdout);
        _exit(status);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    return status != 0;
}

static int fail(const char *what)
{
    (void)fprintf(stderr, "page_cache: %s: %s\n", what, tarn_last_message());
    return 1;
}

int main(int argc, char **argv)
{
    struct tarn_env_config where = TARN_ENV_CONFIG_INIT;
    struct tarn_mpool_config cache = TARN_MPOOL_CONFIG_INIT;
    struct tarn_mpf_config pages = TARN_MPF_CONFIG_INIT;
    tarn_env *env;
    tarn_mpool *pool;
    tarn_mpf *file;
    char path[4096];
    int ret;

    if (argc != 2)
        return (void)fprintf(stderr, "usage: page_cache HOME\n"), 2;
    where.home = argv[1];
    cache.flags = TARN_REGION_CREATE;
    cache.bytes = 256 * 1024; /* smaller than the file: pages come and go */
    pages.flags = TARN_MPF_CREATE;
    pages.page_size = PAGE_SIZE;
    if (tarn_env_open(&where, &env) != TARN_OK)
        return fail("environment");
    if (tarn_mpool_open(env, NULL, &cache, &pool) != TARN_OK)
        return fail("pool");
    if (tarn_mpf_open(pool, "squares", &pages, &file) != TARN_OK)
        return fail("file");
    if (fill(pool, file) != TARN_OK)
        return fail("pages");

    (void)snprintf(path, sizeof path, "%s/squares", argv[1]);
    ret = look_in_a_child(path);

    if (tarn_mpool_close(pool) != TARN_OK) /* closes the file too */
        return fail("closing the pool");
    if (tarn_env_close(env) != TARN_OK)
        return fail("closing the environment");
    return ret;
}
