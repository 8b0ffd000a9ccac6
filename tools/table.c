/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/table.h"

#include <stdio.h>
#include <string.h>

void table_open(struct table *t, apr_pool_t *pool, int columns, const char *right,
                const char *const *headings)
{
    t->columns = columns;
    t->right = right;
    t->cells = apr_array_make(pool, 64, sizeof(const char *));
    for (int i = 0; i < columns; i++)
        table_cell(t, headings[i]);
}

void table_cell(struct table *t, const char *text)
{
    APR_ARRAY_PUSH(t->cells, const char *) = text;
}

static const char *cell(const struct table *t, int i)
{
    return APR_ARRAY_IDX(t->cells, i, const char *);
}

void table_print(const struct table *t)
{
    int width[TABLE_COLUMNS] = { 0 };

    for (int i = 0; i < t->cells->nelts; i++) {
        int len = (int)strlen(cell(t, i));

        if (len > width[i % t->columns])
            width[i % t->columns] = len;
    }
    for (int i = 0; i < t->cells->nelts; i++) {
        int column = i % t->columns;
        int last = column == t->columns - 1;

        if (t->right[column] == 'r')
            printf("%*s", width[column], cell(t, i));
        else
            printf("%-*s", last ? 0 : width[column], cell(t, i));
        printf(last ? "\n" : "  ");
    }
}
