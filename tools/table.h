/* SPDX-License-Identifier: BSD-2-Clause */
/* A table of plain text: columns as wide as their widest cell, two spaces between. */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <apr_tables.h>

enum { TABLE_COLUMNS = 16 };

struct table {
    int columns;
    const char *right;         /* one letter per column: 'r' right, anything else left */
    apr_array_header_t *cells; /* of const char *, row by row */
};

/* columns many headings follow. */
void table_open(struct table *t, apr_pool_t *pool, int columns, const char *right,
                const char *const *headings);

/* The next cell, kept by reference; rows fill from the left. */
void table_cell(struct table *t, const char *text);

/* To standard output. */
void table_print(const struct table *t);

#endif
