/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tables are made of, for os/ alone: a level, and the check of a table from outside.
 */
#ifndef TARN_OS_TABLE_H
#define TARN_OS_TABLE_H

#include <stdatomic.h>

#include "os/slots.h"

enum { TABLE_BUSY_FILES = 64 };

/*
 * A stacked table: the one that callers see, all groups filled.  `whole` is how many levels below
 * belong to it and go with it; `own` is memory that goes with it.
 */
struct table_level {
    struct tarn_os os;
    struct tarn_os_file file;
    struct tarn_os_map map;
    struct tarn_os_shm shm;
    struct tarn_os_sync sync;
    struct tarn_os_proc proc;
    struct tarn_os_misc misc;
    void *own;
    unsigned whole;
    atomic_flag busy_lock;            /* of the list below */
    tarn_file busy[TABLE_BUSY_FILES]; /* files in a derived call, TARN_NO_FILE where free */
};

struct table_level *table_level_of(const struct tarn_os *os);

/*
 * As tarn_os_stack.  own (may be NULL) is memory of below's malloc and goes with the level, also if
 * an error is returned; over->ctx may point to it.
 */
int table_stack(const struct tarn_os *below, const struct tarn_os *over, void *own,
                struct tarn_os **out);

/* Put what is derived from read, write and seek into the level (derive.c); over's groups as given. */
void table_derive(struct table_level *level, const struct tarn_os_file *over);

/* What is wrong with TARN_OS: TARN_OK, or the error and its text.  For tarn_env_open(). */
int table_host_status(const char **text);

#endif
