/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptor: the file home/NAME.tarn, written once, published whole, never changed.  It says
 * where the memory of a region is and who may believe it; what changes stands in the memory.
 */
#ifndef REGION_DESCRIPTOR_H
#define REGION_DESCRIPTOR_H

#include <tarn/backend.h>

#include "region/env.h"

#define DESCRIPTOR_SUFFIX      ".tarn"
#define DESCRIPTOR_TEMP_SUFFIX ".tarn.new" /* never a region's: made and removed under byte 0 */
#define DESCRIPTOR_ORDER       0x01020304u

enum { DESCRIPTOR_BYTES = 512, DESCRIPTOR_BYTES_MAX = 4096 };

/*
 * All in the byte order of the machine that wrote it.  The first 24 bytes stay what they are in every
 * format, so that a program can tell a damaged file from one that it is too old to read.
 */
struct descriptor {
    char magic[8];       /* "TARNREGN" */
    uint32_t byte_order; /* DESCRIPTOR_ORDER */
    uint32_t format;     /* REGION_FORMAT */
    uint32_t bytes;      /* of the whole file */
    uint32_t checksum;   /* CRC-32C of the file with 0 here */

    uint32_t word_bits; /* of a pointer */
    uint32_t kind;      /* 0 plain, else 1 + the layer */
    uint32_t compat, ro_compat, incompat;
    uint32_t mode; /* of the region */
    uint64_t fingerprint;
    uint8_t uuid[16], machine[16], boot[16];
    struct tarn_fileid lock; /* the lock file that the region was made with */
    char name[72];
    char backend[16];
    uint64_t user_bytes, committed, reserve;
    uint32_t max_procs, max_threads, pin_exchange, flags;
    struct tarn_segment_id id;
    uint8_t spare[12];
};

_Static_assert(sizeof(struct descriptor) == DESCRIPTOR_BYTES, "the file's size");

/* Fill in magic, byte order, format, size and checksum. */
void descriptor_seal(struct descriptor *d);

/*
 * Is what was read from path a descriptor of region name that this library understands?  bytes is
 * read once.  TARN_ECORRUPT: damaged; TARN_EVERSION: whole, but not for us, with the fields.
 */
int descriptor_check(const struct tarn_env_sink *sink, const char *path, const char *name,
                     const void *bytes, size_t len, struct descriptor *out);

/* Open, check who may write it, read, check.  TARN_ENOENT, without a message, if there is none. */
int descriptor_read(const struct tarn_env *env, const struct tarn_env_sink *sink, const char *name,
                    struct descriptor *out);

/*
 * Under byte 0: have the sealed *d appear as a whole.  TARN_EEXIST: there is one already.  On failure
 * nothing is left.
 */
int descriptor_publish(const struct tarn_env *env, const struct tarn_env_sink *sink,
                       const struct descriptor *d);

/* Under byte 0, or by force: the name is free afterwards.  What is not there is no error. */
int descriptor_remove(const struct tarn_env *env, const struct tarn_env_sink *sink,
                      const char *name);

/* CRC-32C (Castagnoli), as in iSCSI. */
uint32_t descriptor_crc(const void *bytes, size_t len);

#endif
