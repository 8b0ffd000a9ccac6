/* SPDX-License-Identifier: BSD-2-Clause */
/* Page files: how they are opened, when two are the same, and what closing does. */
#include "pool.h"
#include "proc.h"

#include "mpool/entry.h"

static struct bed b;
static tarn_mpf *file, *second;

static void begin(void)
{
    bed_make(&b, 0, 0);
    bed_fill(&b, "file", PAGE, 10);
    file = second = NULL;
}

static void end(void)
{
    bed_remove(&b);
    file = second = NULL;
}

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- what is refused ---------------------------------------------------------------------------- */

static void bad_sizes(void)
{
    static const uint32_t sizes[] = { 0, 1, 256, 511, 513, 3000, 4095, 65535, 131072, UINT32_MAX };

    begin();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        FAILS(TARN_EINVAL, bed_open_file(&b, "file", sizes[i], 0, &file));
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "page_size"));
        CU_ASSERT_PTR_NULL(file);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0);
    end();
}

static void bad_configurations(void)
{
    struct tarn_mpf_config config = TARN_MPF_CONFIG_INIT;
    struct {
        struct tarn_mpf_config known;
        uint64_t unknown;
    } longer = { .known = TARN_MPF_CONFIG_INIT };

    begin();
    config.page_size = PAGE;
    config.clear_len = PAGE + 1;
    FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, "file", &config, &file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "clear_len 4097"));
    config.clear_len = 0;
    for (unsigned bit = 3; bit < 32; bit++) {
        config.flags = 1u << bit;
        FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, "file", &config, &file));
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "tarn_mpf_open"));
    }
    config.flags = 0;
    FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, NULL, &config, &file));
    FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, "", &config, &file));
    FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, "file", NULL, &file)); /* no page size */
    config.size = 3;
    FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, "file", &config, &file));

    longer.known.size = sizeof(longer);
    longer.known.page_size = PAGE;
    longer.unknown = 1;
    FAILS(TARN_EVERSION, tarn_mpf_open(b.pool, "file", &longer.known, &file));
    CU_ASSERT_PTR_NULL(file);
    longer.unknown = 0;
    OK(tarn_mpf_open(b.pool, "file", &longer.known, &file));
    OK(tarn_mpf_close(file));
    end();
}

static void what_cannot_be_opened(void)
{
    char path[128], long_path[2000];
    int before;

    begin();
    before = descriptors();
    FAILS(TARN_ENOENT, bed_open_file(&b, "missing", PAGE, 0, &file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "missing"));
    FAILS(TARN_ENOENT, bed_open_file(&b, "missing/file", PAGE, TARN_MPF_CREATE, &file));
    CU_ASSERT_FALSE(home_has(&b.home, "missing"));
    bed_path(&b, "folder", path);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT(bed_open_file(&b, "folder", PAGE, 0, &file) < 0);
    FAILS(TARN_EINVAL, bed_open_file(&b, "folder", PAGE, TARN_MPF_RDONLY, &file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "not a regular file"));
    CU_ASSERT_EQUAL(rmdir(path), 0);
    FAILS(TARN_EINVAL, bed_open_file(&b, "/dev/null", PAGE, 0, &file));
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    CU_ASSERT(bed_open_file(&b, long_path, PAGE, TARN_MPF_CREATE, &file) < 0);
    CU_ASSERT_PTR_NULL(file);
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0);
    CU_ASSERT_EQUAL(descriptors(), before);
    end();
}

static void not_a_multiple(void)
{
    char path[128];

    begin();
    bed_path(&b, "file", path);
    CU_ASSERT_EQUAL(truncate(path, 9 * PAGE + 100), 0);
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", PAGE, 0, &file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "36964"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "4096"));
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", PAGE, TARN_MPF_CREATE, &file));
    CU_ASSERT_EQUAL(bed_file_size(&b, "file"), 9 * PAGE + 100); /* nothing is mended silently */
    CU_ASSERT_EQUAL(truncate(path, 100), 0);                    /* shorter than one page */
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", PAGE, 0, &file));
    CU_ASSERT_EQUAL(truncate(path, 512), 0);
    OK(bed_open_file(&b, "file", 512, 0, &file));
    OK(tarn_mpf_close(file));
    end();
}

static void permissions(void)
{
    char path[128];

    if (geteuid() == 0)
        SKIP("root may open everything");
    begin();
    bed_path(&b, "file", path);
    CU_ASSERT_EQUAL(chmod(path, 0400), 0);
    FAILS(TARN_EACCES, bed_open_file(&b, "file", PAGE, 0, &file));
    OK(bed_open_file(&b, "file", PAGE, TARN_MPF_RDONLY, &file));
    OK(tarn_mpf_close(file));
    end();
}

/* ---- what is made ------------------------------------------------------------------------------- */

static void made_with_its_mode(void)
{
    struct tarn_mpf_config config = TARN_MPF_CONFIG_INIT;
    mode_t mask = umask(077);
    char path[128];
    struct stat st;

    begin();
    config.page_size = PAGE;
    config.flags = TARN_MPF_CREATE;
    OK(tarn_mpf_open(b.pool, "new", &config, &file));
    bed_path(&b, "new", path);
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT_EQUAL(st.st_size, 0);
    config.mode = 0644;
    OK(tarn_mpf_open(b.pool, "readable", &config, &second));
    bed_path(&b, "readable", path);
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0644); /* whatever the umask */
    (void)umask(mask);
    OK(tarn_mpf_close(second));
    OK(tarn_mpf_close(file));
    end();
}

static void the_last_page(void)
{
    tarn_pgno last = 99;
    char path[128];

    begin();
    file = bed_file(&b, "file", PAGE, 0);
    OK(tarn_mpf_last(file, &last));
    CU_ASSERT_EQUAL(last, 9);
    bed_path(&b, "file", path);
    CU_ASSERT_EQUAL(truncate(path, 20 * PAGE), 0);
    second = bed_file(&b, "file", PAGE, 0);
    OK(tarn_mpf_last(second, &last));
    CU_ASSERT_EQUAL(last, 9); /* what the first opener found stands */
    OK(tarn_mpf_close(second));
    OK(tarn_mpf_close(file));
    file = bed_file(&b, "file", PAGE, 0);
    OK(tarn_mpf_last(file, &last));
    CU_ASSERT_EQUAL(last, 19);
    OK(tarn_mpf_close(file));
    end();
}

/* ---- one file, several names -------------------------------------------------------------------- */

/* What is changed through one handle is there through the other, at the same address. */
static void share_pages(void)
{
    void *page, *same;

    bed_change(&b, file, PAGE, 3, 1);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    MUST(tarn_page_get(b.th, second, 3, 0, &same));
    CU_ASSERT_PTR_EQUAL(page, same);
    CU_ASSERT(page_is(same, PAGE, 3, 1));
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_page_put(b.th, same, TARN_PAGE_CLEAN));
    CU_ASSERT_EQUAL(bed_stat(&b).files, 1);
}

static void the_same_file_by_other_names(void)
{
    char path[128], other[128], *absolute;

    begin();
    file = bed_file(&b, "file", PAGE, 0);
    bed_path(&b, "file", path);
    bed_path(&b, "hard", other);
    CU_ASSERT_EQUAL(link(path, other), 0);
    second = bed_file(&b, "hard", PAGE, 0);
    share_pages();
    OK(tarn_mpf_close(second));
    bed_path(&b, "soft", other);
    CU_ASSERT_EQUAL(symlink("file", other), 0);
    second = bed_file(&b, "soft", PAGE, 0);
    share_pages();
    OK(tarn_mpf_close(second));
    absolute = realpath(path, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(absolute);
    second = bed_file(&b, absolute, PAGE, 0);
    share_pages();
    OK(tarn_mpf_close(second));
    free(absolute);
    second = bed_file(&b, "./file", PAGE, TARN_MPF_NOMMAP);
    share_pages();
    OK(tarn_mpf_close(second));
    OK(tarn_mpf_close(file));
    end();
}

static void another_file_with_the_same_name(void)
{
    char path[128];
    void *page;

    begin();
    file = bed_file(&b, "file", PAGE, 0);
    bed_change(&b, file, PAGE, 3, 1);
    bed_path(&b, "file", path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    bed_fill(&b, "file", PAGE, 5);
    second = bed_file(&b, "file", PAGE, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).files, 2);
    MUST(tarn_page_get(b.th, second, 3, 0, &page));
    CU_ASSERT(page_is(page, PAGE, 3, 0));
    OK(tarn_page_put(b.th, page, 0));
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    CU_ASSERT(page_is(page, PAGE, 3, 1));
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_sync(file)); /* to the one that has no name any more */
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    OK(tarn_mpf_close(second));
    OK(tarn_mpf_close(file));
    end();
}

/* A file that was deleted, and another one that may have got its inode: no page of the old one. */
static void a_file_made_anew(void)
{
    char path[128];

    begin();
    bed_path(&b, "file", path);
    for (unsigned i = 1; i < 20; i++) {
        file = bed_file(&b, "file", PAGE, 0);
        CU_ASSERT(bed_touch(&b, file, PAGE, 3));
        bed_change(&b, file, PAGE, 3, i);
        OK(tarn_mpf_close(file));
        CU_ASSERT_EQUAL(unlink(path), 0);
        bed_fill(&b, "file", PAGE, 10);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    end();
}

static void openers_must_agree(void)
{
    struct tarn_mpf_config config = TARN_MPF_CONFIG_INIT;

    begin();
    file = bed_file(&b, "file", PAGE, 0);
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", 1024, 0, &second));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "1024"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "4096"));
    config.page_size = PAGE;
    config.clear_len = 16;
    FAILS(TARN_EINVAL, tarn_mpf_open(b.pool, "file", &config, &second));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "16 cleared"));
    CU_ASSERT_PTR_NULL(second);
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
    OK(tarn_mpf_close(file));
    second = bed_file(&b, "file", 1024, 0); /* nobody has it any more */
    OK(tarn_mpf_close(second));
    end();
}

static void reading_and_writing_handles(void)
{
    void *page, *same;

    begin();
    file = bed_file(&b, "file", PAGE, TARN_MPF_RDONLY);
    second = bed_file(&b, "file", PAGE, 0);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    FAILS(TARN_EACCES, tarn_page_set(b.th, page, TARN_PAGE_DIRTY));
    OK(tarn_page_put(b.th, page, 0));
    MUST(tarn_page_get(b.th, second, 3, 0, &same));
    CU_ASSERT_PTR_EQUAL(page, same);
    page_fill(same, PAGE, 3, 1);
    OK(tarn_page_put(b.th, same, TARN_PAGE_DIRTY));
    OK(tarn_mpf_close(file)); /* not the last one: the change stays */
    OK(tarn_mpf_sync(second));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(tarn_mpf_close(second));
    end();
}

/* ---- where a path leads ------------------------------------------------------------------------- */

static void relative_to_the_home(void)
{
    struct tarn_mpf_stat st;
    char path[128], *absolute;

    begin();
    bed_path(&b, "sub", path);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    bed_fill(&b, "sub/file", PAGE, 3);
    file = bed_file(&b, "sub/file", PAGE, 0);
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(strncmp(st.path, b.home.path, strlen(b.home.path)), 0);
    CU_ASSERT_EQUAL(st.last, 2);
    OK(tarn_mpf_close(file));
    bed_path(&b, "sub/file", path);
    absolute = realpath(path, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(absolute);
    file = bed_file(&b, absolute, PAGE, 0);
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_STRING_EQUAL(st.path, absolute); /* untouched */
    OK(tarn_mpf_close(file));
    CU_ASSERT_EQUAL(unlink(absolute), 0);
    bed_path(&b, "sub", path);
    CU_ASSERT_EQUAL(rmdir(path), 0);
    free(absolute);
    end();
}

/* ---- closing ------------------------------------------------------------------------------------ */

static void the_last_close_discards(void)
{
    begin();
    file = bed_file(&b, "file", PAGE, 0);
    second = bed_file(&b, "file", PAGE, 0);
    io_reset(&b.io);
    for (tarn_pgno i = 0; i < 10; i++)
        bed_change(&b, file, PAGE, i, 1);
    OK(tarn_mpf_close(second));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 10);
    OK(tarn_mpf_close(file));
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0);
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    for (tarn_pgno i = 0; i < 10; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 0));
    file = bed_file(&b, "file", PAGE, 0);
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
    OK(tarn_mpf_close(file));
    end();
}

static void the_last_of_all_participants(void)
{
    struct tarn_mpf_stat st;
    struct bed other;

    begin();
    MUST(bed_join(&b, &other));
    file = bed_file(&b, "file", PAGE, 0);
    second = bed_file(&other, "file", PAGE, 0);
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(st.openers, 2);
    bed_change(&b, file, PAGE, 3, 1);
    OK(tarn_mpf_close(file));
    OK(tarn_mpf_stat(second, &st));
    CU_ASSERT_EQUAL(st.openers, 1);
    CU_ASSERT_EQUAL(st.dirty, 1);
    OK(tarn_mpf_sync(second));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(tarn_mpf_close(second));
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0);
    OK(bed_leave(&other));
    end();
}

static void closed_with_pins(void)
{
    void *page, *new_page;

    begin();
    file = bed_file(&b, "file", PAGE, 0);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    CU_ASSERT(bed_touch(&b, file, PAGE, 4));
    FAILS(TARN_EBUSY, tarn_mpf_close(file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "1 page"));
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0); /* closed all the same */
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 1);
    CU_ASSERT(page_is(page, PAGE, 3, 0)); /* it stays what it is */
    second = bed_file(&b, "file", PAGE, 0);
    MUST(tarn_page_get(b.th, second, 3, 0, &new_page));
    CU_ASSERT(page_is(new_page, PAGE, 3, 0));
    OK(tarn_page_put(b.th, new_page, 0));
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_close(second));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    for (int i = 0; i < 3; i++) { /* who needs a record clears away what was pinned then */
        file = bed_file(&b, "file", PAGE, 0);
        CU_ASSERT(bed_touch(&b, file, PAGE, 3));
        OK(tarn_mpf_close(file));
    }
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    end();
}

/* One handle of two is closed while pages are pinned: that is no error. */
static void one_of_two_closed_with_pins(void)
{
    void *page;

    begin();
    file = bed_file(&b, "file", PAGE, 0);
    second = bed_file(&b, "file", PAGE, 0);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    OK(tarn_mpf_close(file));
    CU_ASSERT(page_is(page, PAGE, 3, 0));
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_close(second));
    end();
}

static void descriptors_are_closed(void)
{
    int before;

    begin();
    before = descriptors();
    for (int i = 0; i < 5; i++) {
        file = bed_file(&b, "file", PAGE, 0);
        second = bed_file(&b, "file", PAGE, TARN_MPF_RDONLY);
        CU_ASSERT(descriptors() <= before + 2);
        CU_ASSERT(bed_touch(&b, second, PAGE, 3));
        OK(tarn_mpf_close(file));
        OK(tarn_mpf_close(second));
        CU_ASSERT_EQUAL(descriptors(), before);
    }
    end();
}

/* ---- how many ----------------------------------------------------------------------------------- */

static void as_many_as_asked_for(void)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;
    tarn_mpf *files[3];
    char name[16];

    config.max_files = 3;
    bed_make_as(&b, config);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        bed_fill(&b, name, PAGE, 2);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            (void)snprintf(name, sizeof(name), "f%d", (i + round) % 4);
            files[i] = bed_file(&b, name, PAGE, 0);
            CU_ASSERT(bed_touch(&b, files[i], PAGE, 1));
        }
        (void)snprintf(name, sizeof(name), "f%d", (3 + round) % 4);
        FAILS(TARN_ENOSPC, bed_open_file(&b, name, PAGE, 0, &file));
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "3 files"));
        (void)snprintf(name, sizeof(name), "f%d", round % 4);
        second = bed_file(&b, name, PAGE, 0); /* one that is known needs no record */
        OK(tarn_mpf_close(second));
        for (int i = 0; i < 3; i++)
            OK(tarn_mpf_close(files[i]));
    }
    end();
}

/* Many files in a small pool; the same page number of each is another page. */
static void many_files(void)
{
    enum { MANY = 200 };
    static tarn_mpf *files[MANY];
    char name[16];

    bed_make(&b, 1 << 20, 0);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        bed_fill(&b, name, 512, 0);
        files[i] = bed_file(&b, name, 512, 0);
        bed_change(&b, files[i], 512, 0, i);
        bed_change(&b, files[i], 512, 1, i);
    }
    for (unsigned i = 0; i < MANY; i++) {
        void *page;

        MUST(tarn_page_get(b.th, files[i], 0, 0, &page));
        CU_ASSERT(page_is(page, 512, 0, i));
        OK(tarn_page_put(b.th, page, 0));
    }
    OK(tarn_mpool_sync(b.pool));
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "f%u", i);
        CU_ASSERT(bed_has(&b, name, 512, 1, i));
        OK(tarn_mpf_close(files[i]));
    }
    end();
}

/* ---- opening at the same time ------------------------------------------------------------------- */

enum { THREADS = 4, TIMES = 60 };

static void *open_and_close(void *arg)
{
    bool *well = arg;

    for (int i = 0; i < TIMES && *well; i++) {
        tarn_mpf *f;
        void *page;

        *well = bed_open_file(&b, i % 3 ? "file" : "other", PAGE, 0, &f) == TARN_OK &&
                tarn_mpf_get(f, 3, 0, &page) == TARN_OK;
        if (!*well)
            break;
        *well = page_is(page, PAGE, 3, 0) && tarn_mpf_put(f, page, 0) == TARN_OK &&
                tarn_mpf_close(f) == TARN_OK;
    }
    return NULL;
}

static void opened_and_closed_by_all(void)
{
    pthread_t id[THREADS];
    bool well[THREADS];

    begin();
    bed_fill(&b, "other", PAGE, 10);
    for (int i = 0; i < THREADS; i++) {
        well[i] = true;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&id[i], NULL, open_and_close, &well[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL(pthread_join(id[i], NULL), 0);
        CU_ASSERT(well[i]);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    end();
}

/* ---- messages ----------------------------------------------------------------------------------- */

static int told;
static bool well_told;

/* Who hears of a failure may use the pool. */
static void use_the_pool(void *ctx, int err, const char *prefix, const char *text)
{
    tarn_mpf *f;

    (void)ctx;
    (void)err;
    (void)prefix;
    (void)text;
    told++;
    well_told = bed_open_file(&b, "file", PAGE, 0, &f) == TARN_OK && bed_touch(&b, f, PAGE, 3) &&
                tarn_mpf_sync(f) == TARN_OK && tarn_mpf_close(f) == TARN_OK;
}

static void messages_come_without_a_lock(void)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct tarn_mpool_config pool_config = TARN_MPOOL_CONFIG_INIT;
    tarn_mpf *f;
    void *page;

    memset(&b, 0, sizeof(b));
    home_make(&b.home);
    config.home = b.home.path;
    config.message = use_the_pool;
    MUST(tarn_env_open(&config, &b.env));
    pool_config.flags = TARN_REGION_CREATE;
    pool_config.max_files = 2;
    MUST(tarn_mpool_open(b.env, NULL, &pool_config, &b.pool));
    MUST(tarn_mpool_thread(b.pool, &b.th));
    bed_fill(&b, "file", PAGE, 10);
    bed_fill(&b, "other", PAGE, 10);
    bed_fill(&b, "third", PAGE, 10);
    told = 0;
    file = bed_file(&b, "file", PAGE, 0);
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", 1024, 0, &f));
    CU_ASSERT(told == 1 && well_told);
    second = bed_file(&b, "other", PAGE, 0);
    FAILS(TARN_ENOSPC, bed_open_file(&b, "third", PAGE, 0, &f));
    CU_ASSERT(told == 2 && well_told);
    FAILS(TARN_ENOENT, tarn_page_get(b.th, file, 99, 0, &page));
    CU_ASSERT(told == 3 && well_told);
    MUST(tarn_page_get(b.th, second, 3, 0, &page));
    FAILS(TARN_EBUSY, tarn_mpf_close(second));
    CU_ASSERT(told == 4 && well_told);
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_close(file));
    end();
}

/* ---- opened while it is being closed ------------------------------------------------------------ */

static _Atomic int opened, open_result;
static pthread_t opener_id;

static void *open_again(void *arg)
{
    (void)arg;
    atomic_store(&open_result, bed_open_file(&b, "file", PAGE, 0, &second));
    atomic_store(&opened, 1);
    return NULL;
}

/*
 * In the middle of a close.  It is right if the opener waits for the end of that, so this waits for
 * him a bounded number of times.
 */
static void open_in_the_middle(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    if (kind != IO_LOCK)
        return;
    b.io.before = NULL;
    (void)pthread_create(&opener_id, NULL, open_again, NULL);
    for (int i = 0; i < 5000 && atomic_load(&opened) == 0; i++)
        (void)sched_yield();
}

static void opened_while_it_is_closed(void)
{
    struct tarn_mpf_stat st;
    struct bed other;

    begin();
    MUST(bed_join(&b, &other)); /* somebody whose lock byte is looked at */
    file = bed_file(&b, "file", PAGE, 0);
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
    atomic_store(&opened, 0);
    b.io.before = open_in_the_middle;
    OK(tarn_mpf_close(file));
    CU_ASSERT_PTR_NULL(b.io.before); /* the point was reached */
    CU_ASSERT_EQUAL(pthread_join(opener_id, NULL), 0);
    MUST(atomic_load(&open_result));
    OK(tarn_mpf_stat(second, &st));
    CU_ASSERT_EQUAL(st.openers, 1);
    CU_ASSERT_EQUAL(bed_stat(&b).files, 1);
    bed_change(&b, second, PAGE, 3, 1);
    OK(tarn_mpf_sync(second));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(tarn_mpf_close(second));
    OK(bed_leave(&other));
    end();
}

/* ---- pages that come while it is being opened --------------------------------------------------- */

static struct bed busy_other;

/* The opener has looked at the file: another participant makes it longer and closes it. */
static void lengthen(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    tarn_mpf *its;

    (void)ctx;
    (void)off;
    if (kind != IO_ALLOC || len != sizeof(struct tarn_mpf))
        return;
    b.io.before = NULL;
    its = bed_file(&busy_other, "file", PAGE, 0);
    for (tarn_pgno i = 10; i < 20; i++)
        bed_change(&busy_other, its, PAGE, i, 1);
    OK(tarn_mpf_sync(its));
    OK(tarn_mpf_close(its));
}

static void longer_while_it_is_opened(void)
{
    tarn_pgno last = 0, made = 0;
    void *page;

    begin();
    MUST(bed_join(&b, &busy_other));
    b.io.before = lengthen;
    file = bed_file(&b, "file", PAGE, 0);
    CU_ASSERT_PTR_NULL(b.io.before); /* the point was reached */
    OK(tarn_mpf_last(file, &last));
    CU_ASSERT_EQUAL(last, 19);
    MUST(tarn_page_new(b.th, file, &made, &page));
    CU_ASSERT_EQUAL(made, 20);
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 10; i < 20; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    OK(tarn_mpf_close(file));
    OK(bed_leave(&busy_other));
    end();
}

/* ---- closed while it is written ----------------------------------------------------------------- */

static _Atomic int writing, write_on, sleeping, sleep_on;

/* The first write and the first sleep stay until they are let go on. */
static void hold_first_ones(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    if (kind == IO_WRITE && atomic_fetch_add(&writing, 1) == 0)
        await(&write_on, 1);
    if (kind == IO_SLEEP && atomic_fetch_add(&sleeping, 1) == 0)
        await(&sleep_on, 1);
}

static int sync_whole_pool(tarn_mpf *f)
{
    (void)f;
    return tarn_mpool_sync(b.pool);
}

struct call {
    pthread_t id;
    int (*fn)(tarn_mpf *file);
    tarn_mpf *file;
    int got;
};

static void *make_call(void *arg)
{
    struct call *c = arg;

    c->got = c->fn(c->file);
    return NULL;
}

static void start_call(struct call *c, int (*fn)(tarn_mpf *), tarn_mpf *f)
{
    *c = (struct call){ .fn = fn, .file = f, .got = 1 };
    CU_ASSERT_EQUAL_FATAL(pthread_create(&c->id, NULL, make_call, c), 0);
}

/* Another participant's page is written through our way to the file: both closes wait for that. */
static void closed_while_it_is_written(void)
{
    struct call first, again, syncing;
    tarn_mpf *its;
    struct bed other;
    int before;

    begin();
    before = descriptors();
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, 0);
    file = bed_file(&b, "file", PAGE, 0);
    bed_change(&other, its, PAGE, 3, 1);
    atomic_store(&writing, 0);
    atomic_store(&write_on, 0);
    atomic_store(&sleeping, 0);
    atomic_store(&sleep_on, 0);
    b.io.before = hold_first_ones;
    start_call(&syncing, sync_whole_pool, file);
    await(&writing, 1);
    start_call(&first, tarn_mpf_close, file);
    await(&sleeping, 1);
    second = bed_file(&b, "file", PAGE, 0);
    start_call(&again, tarn_mpf_close, second);
    await(&sleeping, 2);
    atomic_store(&write_on, 1);
    atomic_store(&sleep_on, 1);
    CU_ASSERT_EQUAL(pthread_join(syncing.id, NULL), 0);
    CU_ASSERT_EQUAL(pthread_join(first.id, NULL), 0);
    CU_ASSERT_EQUAL(pthread_join(again.id, NULL), 0);
    b.io.before = NULL;
    OK(syncing.got);
    OK(first.got);
    OK(again.got);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    CU_ASSERT(bed_touch(&other, its, PAGE, 4));
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    CU_ASSERT(descriptors() <= before);
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "F1: page sizes that are none", bad_sizes },
        { "F1 F2 F3 O16: configurations that are none", bad_configurations },
        { "F6: what cannot be opened leaves nothing", what_cannot_be_opened },
        { "F4: a file that is not a multiple of the page size", not_a_multiple },
        { "F6: a file that may not be opened", permissions },
        { "F1: a file that is made has its mode", made_with_its_mode },
        { "F4 F5: the last page is the first opener's", the_last_page },
        { "F5: one file by several names", the_same_file_by_other_names },
        { "F5 X27: another file with the same name", another_file_with_the_same_name },
        { "X27 F9: a file made anew has none of the old pages", a_file_made_anew },
        { "F5: openers must agree", openers_must_agree },
        { "F1 F5 U1: handles for reading and for writing", reading_and_writing_handles },
        { "O15: a relative path is below the home", relative_to_the_home },
        { "F9: the last close discards what is dirty", the_last_close_discards },
        { "F5 F9: the last close of all participants", the_last_of_all_participants },
        { "F8 X17: closed with a page pinned", closed_with_pins },
        { "F8: one of two handles closed with a page pinned", one_of_two_closed_with_pins },
        { "F8 M5: descriptors are closed", descriptors_are_closed },
        { "F6: as many files as asked for", as_many_as_asked_for },
        { "M9: the same page number of 200 files", many_files },
        { "F5 F8: opened and closed by all at once", opened_and_closed_by_all },
        { "messages come without a lock", messages_come_without_a_lock },
        { "F8: two closes wait for one write", closed_while_it_is_written },
        { "F5 F9: opened while it is being closed", opened_while_it_is_closed },
        { "F4 F5: made longer while it is being opened", longer_while_it_is_opened },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "file", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
