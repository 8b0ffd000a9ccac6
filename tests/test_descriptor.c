/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors: hostile, damaged, foreign, of other boots and machines; and how they are published. */
#include <grp.h>
#include <stddef.h>
#include <sys/types.h>

#include "home.h"
#include "proc.h"
#include "region/descriptor.h"
#include "region/handle.h"
#include "region/lockfile.h"

#define CREATE TARN_REGION_CREATE

static struct home home;
static tarn_env *env;

static void begin(void)
{
    home_make(&home);
    MUST(home_open_env(&home, &env));
}

static void end(void)
{
    OK(tarn_env_close(env));
    home_remove(&home);
}

/* A region that was made and left, with the word "kept" in it. */
static void make_one(void)
{
    tarn_region *r;

    MUST(home_attach(env, "one", CREATE, 0, &r));
    strcpy(tarn_region_memory(r, NULL), "kept");
    OK(tarn_region_detach(r));
}

static void still_kept(void)
{
    tarn_region *r;

    MUST(home_attach(env, "one", 0, 0, &r));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(r, NULL), "kept");
    OK(tarn_region_detach(r));
}

static void load(struct descriptor *d)
{
    char path[128];
    FILE *f;

    home_file(&home, "one.tarn", path);
    f = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fread(d, 1, sizeof(*d), f), sizeof(*d));
    (void)fclose(f);
}

static void store(const void *bytes, size_t len)
{
    char path[128];
    FILE *f;

    home_file(&home, "one.tarn", path);
    f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(bytes, 1, len, f), len);
    (void)fclose(f);
}

/* With the right checksum: as somebody would write it who means it. */
static void store_sealed(struct descriptor *d)
{
    uint32_t order = d->byte_order, format = d->format, words = d->word_bits, bytes = d->bytes;

    descriptor_seal(d);
    d->byte_order = order;
    d->format = format;
    d->word_bits = words;
    d->bytes = bytes;
    d->checksum = 0;
    d->checksum = descriptor_crc(d, sizeof(*d));
    store(d, sizeof(*d));
}

/* Refused with err; the message names the file and says `what`; nothing is taken away. */
static void refused(int err, const char *what)
{
    tarn_region *r = NULL;

    FAILS(err, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "one"));
    if (strstr(tarn_last_message(), what) == NULL) {
        printf("# message lacks \"%s\": %s\n", what, tarn_last_message());
        CU_FAIL("the message does not say what is wrong");
    }
    FAILS(err, tarn_region_remove(env, "one", 0));
    CU_ASSERT_PTR_NULL(r);
    CU_ASSERT_EQUAL(home_files(&home, 0), 3);
}

/* ---- the bytes ----------------------------------------------------------------------------------- */

static void crc_is_castagnoli(void)
{
    uint8_t zeros[32] = { 0 }, ones[32];

    memset(ones, 0xff, sizeof(ones));
    CU_ASSERT_EQUAL(descriptor_crc("123456789", 9), 0xe3069283u);
    CU_ASSERT_EQUAL(descriptor_crc(zeros, 32), 0x8a9136aau); /* RFC 3720, B.4 */
    CU_ASSERT_EQUAL(descriptor_crc(ones, 32), 0x62a8ab43u);
    CU_ASSERT_EQUAL(descriptor_crc("", 0), 0);
}

static void every_bit_flipped(void)
{
    struct descriptor d, out;
    uint8_t bytes[sizeof(d)];

    begin();
    make_one();
    load(&d);
    memcpy(bytes, &d, sizeof(d));
    OK(descriptor_check(NULL, "file", "one", bytes, sizeof(bytes), &out));
    CU_ASSERT_EQUAL(memcmp(&out, &d, sizeof(d)), 0);
    memset(&out, 0x55, sizeof(out));
    for (size_t i = 0; i < 8 * sizeof(bytes); i++) {
        bytes[i / 8] = (uint8_t)(bytes[i / 8] ^ 1u << i % 8);
        CU_ASSERT_EQUAL(descriptor_check(NULL, "file", "one", bytes, sizeof(bytes), &out),
                        TARN_ECORRUPT);
        bytes[i / 8] = (uint8_t)(bytes[i / 8] ^ 1u << i % 8);
    }
    CU_ASSERT_EQUAL(out.byte_order, 0x55555555);    /* untouched by failures */
    for (size_t i = 0; i < sizeof(bytes); i += 7) { /* the same through the file */
        bytes[i] ^= 0x10;
        store(bytes, sizeof(bytes));
        refused(TARN_ECORRUPT, "one.tarn");
        bytes[i] ^= 0x10;
    }
    store(bytes, sizeof(bytes));
    still_kept();
    end();
}

static void every_length(void)
{
    struct descriptor d, out;
    uint8_t *bytes = calloc(1, DESCRIPTOR_BYTES_MAX + 1);

    begin();
    make_one();
    load(&d);
    memcpy(bytes, &d, sizeof(d));
    for (size_t len = 0; len <= DESCRIPTOR_BYTES_MAX + 1; len++)
        if (len != sizeof(d))
            CU_ASSERT_EQUAL(descriptor_check(NULL, "file", "one", bytes, len, &out), TARN_ECORRUPT);
    store(bytes, 0);
    refused(TARN_ECORRUPT, "magic");
    store(bytes, 100);
    refused(TARN_ECORRUPT, "size");
    store(bytes, DESCRIPTOR_BYTES_MAX + 1);
    refused(TARN_ECORRUPT, "size");
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    free(bytes);
    end();
}

static void each_field_is_named(void)
{
    struct descriptor whole, d;

    begin();
    make_one();
    load(&whole);
#define WITH(change, err, what)                                                                    \
    do {                                                                                           \
        d = whole;                                                                                 \
        change;                                                                                    \
        store_sealed(&d);                                                                          \
        refused(err, what);                                                                        \
    } while (0)
    WITH(d.format = 99, TARN_EVERSION, "format 99");
    WITH(d.word_bits = 32, TARN_EVERSION, "32-bit");
    WITH(d.incompat = 4, TARN_EVERSION, "incompat 0x4");
    WITH(d.ro_compat = 8, TARN_EVERSION, "ro_compat 0x8");
    WITH(d.byte_order = 0x04030201, TARN_EVERSION, "byte order");
    WITH(d.byte_order = 7, TARN_ECORRUPT, "byte order");
    WITH(d.bytes = 511, TARN_ECORRUPT, "size");
    WITH(strcpy(d.name, "two"), TARN_ECORRUPT, "two");
    WITH(memset(d.name, 'x', sizeof(d.name)), TARN_ECORRUPT, "name");
    WITH(memset(d.backend, 'x', sizeof(d.backend)), TARN_ECORRUPT, "backend");
    WITH(d.backend[0] = 0, TARN_ECORRUPT, "backend");
    WITH(d.id.len = 241, TARN_ECORRUPT, "segment id");
    WITH(d.mode = 07777, TARN_ECORRUPT, "mode");
    WITH(d.reserve = 1, TARN_ECORRUPT, "sizes");
    WITH(d.uuid[8] ^= 1, TARN_ECORRUPT, "uuid");
    WITH(d.reserve += 4096, TARN_ECORRUPT, "sizes");
    WITH(strcpy(d.backend, "nosuch"), TARN_ENOSYS, "nosuch");
    WITH(d.lock.ino ^= 1, TARN_EBUSY, "lock file");
    if (memcmp(whole.machine, (uint8_t[sizeof(whole.machine)]){ 0 }, sizeof(whole.machine)) != 0)
        WITH(d.machine[3] ^= 1, TARN_EBUSY,
             "another machine"); /* a container may not know its own */
#undef WITH
    d = whole; /* what only the one decides who joins */
    d.fingerprint ^= 1;
    store_sealed(&d);
    FAILS(TARN_EVERSION, home_attach(env, "one", CREATE, 0, &(tarn_region *){ NULL }));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "fingerprint"));
    d = whole;
    d.compat = 1; /* what is compatible is joined */
    store_sealed(&d);
    still_kept();
    d = whole;
    store_sealed(&d);
    still_kept();
    end();
}

/* ---- the file ------------------------------------------------------------------------------------ */

static void not_a_file_of_ours(void)
{
    char path[128], other[128];

    begin();
    make_one();
    home_file(&home, "one.tarn", path);
    home_file(&home, "real", other);
    CU_ASSERT_EQUAL(rename(path, other), 0);
    CU_ASSERT_EQUAL(symlink("real", path), 0);
    FAILS(TARN_EPERM, home_attach(env, "one", CREATE, 0, &(tarn_region *){ NULL }));
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
    CU_ASSERT(home_attach(env, "one", CREATE, 0, &(tarn_region *){ NULL }) < 0);
    CU_ASSERT_EQUAL(rmdir(path), 0);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0); /* does not hang */
    FAILS(TARN_EPERM, home_attach(env, "one", CREATE, 0, &(tarn_region *){ NULL }));
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rename(other, path), 0);
    still_kept();

    CU_ASSERT_EQUAL(chmod(path, 0620), 0);
    refused(TARN_EPERM, "others may write");
    CU_ASSERT_EQUAL(chmod(path, 0600), 0);
    CU_ASSERT_EQUAL(link(path, other), 0); /* two names: a maker died between link and unlink */
    still_kept();
    home_file(&home, "third", other);
    CU_ASSERT_EQUAL(link(path, other), 0);
    FAILS(TARN_EPERM, home_attach(env, "one", CREATE, 0, &(tarn_region *){ NULL }));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "names"));
    end();
}

static void lock_file_of_somebody_else(void)
{
    char path[128];

    begin();
    make_one();
    home_file(&home, "one.lock", path);
    CU_ASSERT_EQUAL(chmod(path, 0622), 0);
    refused(TARN_EPERM, "one.lock");
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(symlink("one.tarn", path), 0);
    refused(TARN_EPERM, "one.lock");
    CU_ASSERT_EQUAL(unlink(path), 0);
    FAILS(TARN_EBUSY, home_attach(env, "one", CREATE, 0, &(tarn_region *){ NULL }));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "lock file"));
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

static void file_of_another_user(void)
{
    static const char *const files[] = { "one.tarn", "one.lock" };
    char path[128];

    if (geteuid() != 0)
        SKIP("only root can give a file away");
    begin();
    make_one();
    for (int i = 0; i < 2; i++) {
        home_file(&home, files[i], path);
        CU_ASSERT_EQUAL(chown(path, 65534, 65534), 0);
        refused(TARN_EPERM, "65534");
        CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
    }
    CU_ASSERT_EQUAL(chown(home.path, 65534, 65534), 0); /* who owns the home is believed */
    OK(tarn_env_close(env));
    MUST(home_open_env(&home, &env));
    home_file(&home, files[0], path);
    CU_ASSERT_EQUAL(chown(path, 65534, 65534), 0);
    still_kept();
    end();
}

static int join_as_nobody(struct side *me)
{
    tarn_env *e;
    tarn_region *r;

    (void)me;
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    if (home_open_env(&home, &e) != 0)
        return 2;
    return home_attach(e, "one", 0, 0, &r) == TARN_EACCES ? 0 : 3;
}

/* One who may not join takes nothing away from those who may. */
static void joiner_without_the_right(void)
{
    tarn_region *r;
    struct child c;

    if (geteuid() != 0)
        SKIP("only root can become somebody else");
    begin();
    CU_ASSERT_EQUAL(chmod(home.path, 0777), 0);
    MUST(home_attach(env, "one", CREATE, 0, &r));
    strcpy(tarn_region_memory(r, NULL), "kept");
    child_start(&c, join_as_nobody, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_EQUAL(home_files(&home, 0), 3);
    still_kept();
    OK(tarn_region_detach(r));
    end();
}

/* ---- other boots, other machines ----------------------------------------------------------------- */

static struct tarn_machine now;

static int boot_id_now(const struct tarn_os *os, struct tarn_machine *id)
{
    (void)os;
    *id = now;
    return TARN_OK;
}

static void other_boots_and_machines(void)
{
    static const struct tarn_os_misc misc = { .size = sizeof(misc), .boot_id = boot_id_now };
    static const struct tarn_os over = { .size = sizeof(over), .name = "boot", .misc = &misc };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_region *r, *none = NULL;

    home_make(&home);
    config.home = home.path;
    config.os = &over;
    MUST(tarn_env_open(&config, &env));
    memset(&now, 1, sizeof(now));
    make_one();
    still_kept();

    now.machine[0] = 9; /* a copy on another machine */
    FAILS(TARN_EBUSY, home_attach(env, "one", CREATE, 0, &none));
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    now.boot[0] = 9; /* also after a start of that one */
    FAILS(TARN_EBUSY, home_attach(env, "one", CREATE, 0, &none));
    now.machine[0] = 1;

    MUST(home_attach(env, "one", CREATE, 0, &r)); /* this machine, started again: gone */
    CU_ASSERT_EQUAL(tarn_region_created(r), 1);
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(r, NULL), "");
    now.boot[0] = 8;
    FAILS(TARN_EBUSY, home_attach(env, "one", CREATE, 0, &none)); /* somebody has a byte of it */
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    OK(tarn_region_detach(r));
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &none));
    MUST(home_attach(env, "one", CREATE | TARN_REGION_EXCL, 0, &r));
    OK(tarn_region_detach(r));
    now.boot[0] = 7;
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);

    memset(&now, 0, sizeof(now)); /* a system without such numbers: gone when nobody has a byte */
    MUST(home_attach(env, "one", CREATE, 0, &r));
    FAILS(TARN_EBUSY, tarn_region_remove(env, "one", 0));
    OK(tarn_region_detach(r));
    MUST(home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_EQUAL(tarn_region_created(r), 1);
    OK(tarn_region_detach(r));
    end();
}

/* ---- the memory ---------------------------------------------------------------------------------- */

static void mark_memory(uint64_t mark)
{
    DIR *d = opendir(home.path);
    struct dirent *e;
    int fd = -1;

    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".mem") != NULL)
            fd = openat(dirfd(d), e->d_name, O_WRONLY);
    CU_ASSERT_EQUAL(pwrite(fd, &mark, sizeof(mark), 0), sizeof(mark));
    (void)close(fd);
    (void)closedir(d);
}

static void memory_that_is_not_a_regions(void)
{
    tarn_region *r = NULL;

    begin();
    make_one();
    mark_memory(0); /* as if it had not been made to the end */
    refused(TARN_ECORRUPT, "memory");
    mark_memory(0x1234);
    refused(TARN_ECORRUPT, "1234");
    mark_memory(REGION_GONE); /* a remover died half way */
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &r));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    make_one();
    mark_memory(REGION_GONE);
    MUST(home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_EQUAL(tarn_region_created(r), 1);
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(r, NULL), "");
    OK(tarn_region_detach(r));
    mark_memory(REGION_GONE);
    OK(tarn_region_remove(env, "one", 0));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    end();
}

/* ---- publishing ---------------------------------------------------------------------------------- */

static int lacks_unnamed, lacks_rename, fails_link;

static int open_named_only(const struct tarn_os *os, const char *path, unsigned flags,
                           unsigned mode, tarn_file *out)
{
    if ((flags & TARN_OPEN_UNNAMED) && lacks_unnamed)
        return TARN_ENOSYS;
    return os->below->file->open(os->below, path, flags, mode, out);
}

static int rename_maybe(const struct tarn_os *os, const char *from, const char *to, int noreplace)
{
    return lacks_rename && noreplace ? TARN_ENOSYS
                                     : os->below->file->rename(os->below, from, to, noreplace);
}

static int link_maybe(const struct tarn_os *os, tarn_file f, const char *from, const char *to)
{
    return fails_link ? TARN_ENOSPC : os->below->file->link(os->below, f, from, to);
}

static int close_it(const struct tarn_os *os, tarn_file f)
{
    return os->below->file->close(os->below, f);
}

static void every_way_to_publish(void)
{
    static const struct tarn_os_file file = { .size = sizeof(file),
                                              .open = open_named_only,
                                              .close = close_it,
                                              .rename = rename_maybe,
                                              .link = link_maybe };
    static const struct tarn_os over = { .size = sizeof(over), .name = "poor", .file = &file };
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    struct descriptor d;
    char path[128];
    tarn_region *r;

    home_make(&home);
    config.home = home.path;
    config.os = &over;
    MUST(tarn_env_open(&config, &env));
    for (int way = 0; way < 3; way++) {
        lacks_unnamed = way > 0;
        lacks_rename = way > 1;
        home_file(&home, "one.tarn.new", path); /* what a death left */
        (void)close(open(path, O_CREAT | O_WRONLY, 0600));
        make_one();
        CU_ASSERT_EQUAL(home_has(&home, "one.tarn.new"), way == 0);
        still_kept();
        load(&d);
        FAILS(TARN_EEXIST, descriptor_publish(env, NULL, &d));
        still_kept();
        OK(tarn_region_remove(env, "one", 0));
        CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    }
    fails_link = 1;
    FAILS(TARN_ENOSPC, home_attach(env, "one", CREATE, 0, &r));
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    lacks_unnamed = lacks_rename = fails_link = 0;
    end();
}

int main(void)
{
    static CU_TestInfo bytes[] = {
        { "the checksum is CRC-32C", crc_is_castagnoli },
        { "R15 R20: every bit flipped", every_bit_flipped },
        { "R15 R26: every length", every_length },
        { "R3 X1 R26: each field has its own message", each_field_is_named },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo files[] = {
        { "R15: not a file of ours", not_a_file_of_ours },
        { "R13: the lock file of somebody else", lock_file_of_somebody_else },
        { "R12: files of another user", file_of_another_user },
        { "X8 R12: one who may not join takes nothing away", joiner_without_the_right },
        { "R17 X8: other boots and other machines", other_boots_and_machines },
        { "R2 R19: memory that is not a region's", memory_that_is_not_a_regions },
        { "R2 R18 R11: every way to publish", every_way_to_publish },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "descriptor", NULL, NULL, NULL, NULL, bytes },
        { "descriptor-files", NULL, NULL, NULL, NULL, files },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
