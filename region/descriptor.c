/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Publishing.
 *
 *     a file without a name, written, synced  --- link --->  NAME.tarn
 *     else NAME.tarn.new, written, synced     --- rename, replacing nothing --->  NAME.tarn
 *     else NAME.tarn.new, written, synced     --- link, then unlink NAME.tarn.new --->  NAME.tarn
 *
 * Rules
 *   1. The name NAME.tarn appears with all its bytes or not at all, and is never written again.
 *   2. Publishers of one region follow one another (byte 0 of the lock file), so what stands under
 *      the temporary name is left over from a death: the next publisher takes it away.
 *   3. A reader copies the file once and believes nothing before the checksum; then each field that
 *      decides is compared, and its message names it.
 *   4. A descriptor with two names is believed (a death between link and unlink); with more it is not.
 *
 * tests/test_descriptor.c: every byte flipped, every length, foreign files, deaths, racing makers.
 */
#include "region/descriptor.h"

#include <stddef.h>
#include <string.h>

#include "region/layout.h"

static const char magic[8] = "TARNREGN";

/* Bits of formats that this library knows; none so far. */
enum { KNOWN_COMPAT = 0, KNOWN_RO_COMPAT = 0, KNOWN_INCOMPAT = 0 };

uint32_t descriptor_crc(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* Of the file in bytes with its checksum field as 0. */
static uint32_t checksum_of(const uint8_t *bytes, size_t len)
{
    uint8_t copy[DESCRIPTOR_BYTES_MAX];

    memcpy(copy, bytes, len);
    memset(copy + offsetof(struct descriptor, checksum), 0, sizeof(uint32_t));
    return descriptor_crc(copy, len);
}

void descriptor_seal(struct descriptor *d)
{
    memcpy(d->magic, magic, sizeof(magic));
    d->byte_order = DESCRIPTOR_ORDER;
    d->format = REGION_FORMAT;
    d->bytes = sizeof(*d);
    d->word_bits = 8 * sizeof(void *);
    d->checksum = checksum_of((const uint8_t *)d, sizeof(*d));
}

/* ---- checking ------------------------------------------------------------------------------------ */

static uint32_t swapped(uint32_t n)
{
    return n >> 24 | (n >> 8 & 0xff00) | (n << 8 & 0xff0000) | n << 24;
}

/* What is the same in every format: magic, byte order, size, checksum. */
static int check_frame(const struct tarn_env_sink *sink, const char *path, const uint8_t *bytes,
                       size_t len)
{
    struct descriptor d;
    uint32_t sum;

    memset(&d, 0, sizeof(d));
    memcpy(&d, bytes, len < sizeof(d) ? len : sizeof(d));
    if (len < offsetof(struct descriptor, word_bits) || memcmp(d.magic, magic, sizeof(magic)) != 0)
        return tarn_fail(sink, TARN_ECORRUPT,
                         "%s: magic: the file is not the descriptor of a region (%zu bytes); if it "
                         "is a damaged one, remove the region by force",
                         path, len);
    if (d.byte_order == swapped(DESCRIPTOR_ORDER))
        return tarn_fail(sink, TARN_EVERSION,
                         "%s: byte order: made on a machine of the other byte order", path);
    if (d.byte_order != DESCRIPTOR_ORDER)
        return tarn_fail(sink, TARN_ECORRUPT,
                         "%s: byte order: the field says 0x%x; remove the region by force", path,
                         d.byte_order);
    if (d.bytes != len)
        return tarn_fail(
            sink, TARN_ECORRUPT,
            "%s: size: the file has %zu bytes, its field says %u; remove the region by "
            "force",
            path, len, d.bytes);
    sum = checksum_of(bytes, len);
    if (d.checksum != sum)
        return tarn_fail(
            sink, TARN_ECORRUPT,
            "%s: checksum: 0x%x in the file, 0x%x from its bytes; remove the region by "
            "force",
            path, d.checksum, sum);
    return TARN_OK;
}

static int check_version(const struct tarn_env_sink *sink, const char *path,
                         const struct descriptor *d, size_t len)
{
    if (d->format != REGION_FORMAT)
        return tarn_fail(
            sink, TARN_EVERSION,
            "%s: format: the region has format %u, this library knows %u: use the Tarn "
            "that made it, or remove it by force",
            path, d->format, REGION_FORMAT);
    if (len != sizeof(*d))
        return tarn_fail(sink, TARN_ECORRUPT, "%s: size: %zu bytes, format %u has %zu", path, len,
                         d->format, sizeof(*d));
    if (d->word_bits != 8 * sizeof(void *))
        return tarn_fail(sink, TARN_EVERSION,
                         "%s: word size: made by a %u-bit program, this is a %u-bit one", path,
                         d->word_bits, 8 * (unsigned)sizeof(void *));
    if (((d->incompat & ~(unsigned)KNOWN_INCOMPAT) | (d->ro_compat & ~(unsigned)KNOWN_RO_COMPAT)) !=
        0)
        return tarn_fail(
            sink, TARN_EVERSION,
            "%s: incompat 0x%x, ro_compat 0x%x: this library knows 0x%x and 0x%x: use a "
            "newer Tarn",
            path, d->incompat, d->ro_compat, (unsigned)KNOWN_INCOMPAT, (unsigned)KNOWN_RO_COMPAT);
    return TARN_OK;
}

static bool ended(const char *s, size_t len) { return memchr(s, 0, len) != NULL; }

/* The checksum was right, so these say that somebody forged or copied the file. */
static int check_fields(const struct tarn_env_sink *sink, const char *path, const char *name,
                        const struct descriptor *d)
{
    const char *field = NULL;

    if (!ended(d->name, sizeof(d->name)) || strcmp(d->name, name) != 0)
        return tarn_fail(sink, TARN_ECORRUPT,
                         "%s: name: it describes region %.71s: the file was "
                         "renamed or copied; remove it by force",
                         path, d->name);
    if (!ended(d->backend, sizeof(d->backend)) || d->backend[0] == '\0')
        field = "backend";
    else if (d->id.len > sizeof(d->id.bytes))
        field = "segment id";
    else if ((d->mode & ~0777u) != 0)
        field = "mode";
    else if (d->reserve < d->committed || d->committed < d->user_bytes)
        field = "sizes";
    if (field != NULL)
        return tarn_fail(sink, TARN_ECORRUPT,
                         "%s: %s: the value cannot be; remove the region by "
                         "force",
                         path, field);
    return TARN_OK;
}

int descriptor_check(const struct tarn_env_sink *sink, const char *path, const char *name,
                     const void *bytes, size_t len, struct descriptor *out)
{
    uint8_t copy[DESCRIPTOR_BYTES_MAX];
    struct descriptor d;
    int err;

    if (len > sizeof(copy))
        return tarn_fail(sink, TARN_ECORRUPT,
                         "%s: size: %zu bytes, no descriptor has more than %d; remove it by force",
                         path, len, DESCRIPTOR_BYTES_MAX);
    memcpy(copy, bytes, len);
    if ((err = check_frame(sink, path, copy, len)) != TARN_OK)
        return err;
    memset(&d, 0, sizeof(d));
    memcpy(&d, copy, len < sizeof(d) ? len : sizeof(d));
    if ((err = check_version(sink, path, &d, len)) != TARN_OK ||
        (err = check_fields(sink, path, name, &d)) != TARN_OK)
        return err;
    *out = d;
    return TARN_OK;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static int read_open(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                     const char *path, tarn_file f, struct descriptor *out)
{
    uint8_t bytes[DESCRIPTOR_BYTES_MAX + 1]; /* one more: to see that a file is too long */
    struct env_reason reason;
    struct descriptor d;
    size_t len;
    int err = env_trust(env, sink, f, path, 0777, 2); /* the mode is compared once it is known */

    if (err != TARN_OK)
        return err;
    err = env->os->file->pread(env->os, f, bytes, sizeof(bytes), 0, &len);
    if (err != TARN_OK)
        return tarn_fail(sink, err, "%s: cannot read: %s", path, env_reason(env->os, &reason));
    if ((err = descriptor_check(sink, path, name, bytes, len, &d)) != TARN_OK ||
        (err = env_trust(env, sink, f, path, d.mode, 2)) != TARN_OK)
        return err;
    *out = d;
    return TARN_OK;
}

int descriptor_read(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                    struct descriptor *out)
{
    const struct tarn_os *os = env->os;
    struct env_reason reason;
    char path[ENV_PATH_MAX];
    tarn_file f;
    int err = env_path(env, sink, name, DESCRIPTOR_SUFFIX, path);

    if (err != TARN_OK)
        return err;
    err = os->file->open(os, path, TARN_OPEN_RDONLY | TARN_OPEN_NOFOLLOW, 0, &f);
    if (err == TARN_ENOENT)
        return err;
    if (err != TARN_OK)
        return tarn_fail(sink, err, "%s: cannot open: %s", path, env_reason(os, &reason));
    err = read_open(env, sink, name, path, f, out);
    (void)os->file->close(os, f);
    return err;
}

/* ---- publishing ---------------------------------------------------------------------------------- */

static int write_all(const struct tarn_os *os, tarn_file f, const struct descriptor *d)
{
    int err = os->file->pwrite(os, f, d, sizeof(*d), 0);

    if (err == TARN_OK && (err = os->file->fsync(os, f, 0)) == TARN_ENOSYS)
        err = TARN_OK;
    return err;
}

/* TARN_ENOSYS: the file system or the platform has no files without a name. */
static int publish_unnamed(const struct tarn_env *env, const struct descriptor *d, const char *path)
{
    const struct tarn_os *os = env->os;
    tarn_file f;
    int err = os->file->open(os, env->home, TARN_OPEN_UNNAMED, d->mode, &f);

    if (err != TARN_OK)
        return err;
    if ((err = write_all(os, f, d)) == TARN_OK)
        err = os->file->link(os, f, NULL, path);
    (void)os->file->close(os, f);
    return err;
}

static int publish_named(const struct tarn_env *env, const struct descriptor *d, const char *path,
                         const char *temp)
{
    const struct tarn_os *os = env->os;
    tarn_file f;
    int err = os->file->unlink(os, temp);

    if (err != TARN_OK && err != TARN_ENOENT)
        return err;
    err = os->file->open(os, temp, TARN_OPEN_CREATE | TARN_OPEN_EXCL | TARN_OPEN_NOFOLLOW, d->mode,
                         &f);
    if (err != TARN_OK)
        return err;
    if ((err = write_all(os, f, d)) == TARN_OK) {
        err = os->file->rename(os, temp, path, 1);
        if (err == TARN_OK) {
            (void)os->file->close(os, f);
            return TARN_OK;
        }
        if (err == TARN_ENOSYS)
            err = os->file->link(os, f, temp, path);
    }
    (void)os->file->close(os, f);
    (void)os->file->unlink(os, temp); /* what it left is taken away by the next publisher */
    return err;
}

int descriptor_publish(const struct tarn_env *env, const struct tarn_env_sink *sink,
                       const struct descriptor *d)
{
    char path[ENV_PATH_MAX], temp[ENV_PATH_MAX];
    struct env_reason reason;
    int err;

    if ((err = env_path(env, sink, d->name, DESCRIPTOR_SUFFIX, path)) != TARN_OK ||
        (err = env_path(env, sink, d->name, DESCRIPTOR_TEMP_SUFFIX, temp)) != TARN_OK)
        return err;
    err = publish_unnamed(env, d, path);
    if (err == TARN_ENOSYS)
        err = publish_named(env, d, path, temp);
    if (err != TARN_OK && err != TARN_EEXIST)
        return tarn_fail(sink, err, "%s: cannot publish the descriptor: %s", path,
                         env_reason(env->os, &reason));
    return err;
}

int descriptor_remove(const struct tarn_env *env, const struct tarn_env_sink *sink,
                      const char *name)
{
    static const char *const suffixes[] = { DESCRIPTOR_TEMP_SUFFIX, DESCRIPTOR_SUFFIX };
    const struct tarn_os *os = env->os;
    struct env_reason reason;
    char path[ENV_PATH_MAX];

    for (int i = 0; i < 2; i++) {
        int err = env_path(env, sink, name, suffixes[i], path);

        if (err != TARN_OK)
            return err;
        err = os->file->unlink(os, path);
        if (err != TARN_OK && err != TARN_ENOENT)
            return tarn_fail(sink, err, "%s: cannot remove: %s", path, env_reason(os, &reason));
    }
    return TARN_OK;
}
