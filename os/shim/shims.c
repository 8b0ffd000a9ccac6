/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From "trace,fault:pwrite:3:ENOSPC" to a stack of levels.
 */
#include <string.h>

#include "os/fail.h"
#include "os/shim/shim.h"
#include "os/table.h"

enum { SPEC_LIMIT = 512, SHIM_LIMIT = 8, FIELD_LIMIT = 8 };

/* clang-format off */
#define NAME_FAILS(group, name, ...) { #group, #name, 1 },
#define NAME_VOID(group, name, ...) { #group, #name, 0 },
const struct slot_name slot_names[SLOT_COUNT] = { SLOTS(NAME_FAILS, NAME_FAILS, NAME_VOID) };
/* clang-format on */

/* Cut text at each sep; at most limit pieces, more are counted and not stored. */
static int cut(char *text, char sep, char **pieces, int limit)
{
    int n = 0;

    for (char *next; text != NULL; text = next) {
        next = strchr(text, sep);
        if (next != NULL)
            *next++ = '\0';
        if (n < limit)
            pieces[n] = text;
        n++;
    }
    return n;
}

static int stack_shim(const struct tarn_os *below, char *word, struct tarn_os **out)
{
    char *fields[FIELD_LIMIT];
    int n = cut(word, ':', fields, FIELD_LIMIT);

    if (strcmp(fields[0], "trace") == 0 && n == 1)
        return trace_stack(below, out);
    if (strcmp(fields[0], "trace") == 0)
        return tarn_fail(NULL, TARN_EINVAL, "trace: it takes no \"%s\"", fields[1]);
    if (strcmp(fields[0], "fault") == 0)
        return fault_stack(below, fields, n, out);
    return tarn_fail(
        NULL, TARN_EINVAL, "there is no shim \"%s\"; did you mean \"%s\"?", fields[0],
        text_distance(fields[0], "trace") <= text_distance(fields[0], "fault") ? "trace" : "fault");
}

int tarn_os_shims(const struct tarn_os *below, const char *spec, struct tarn_os **out)
{
    char copy[SPEC_LIMIT];
    char *words[SHIM_LIMIT];
    struct tarn_os *top = NULL;
    unsigned made = 0;
    int n, ret;

    if (below == NULL || spec == NULL || out == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "tarn_os_shims needs below, spec and out");
    if (strlen(spec) >= sizeof(copy))
        return tarn_fail(NULL, TARN_EINVAL, "shims: more than %d bytes", SPEC_LIMIT - 1);
    memcpy(copy, spec, strlen(spec) + 1);
    n = cut(copy, ',', words, SHIM_LIMIT);
    if (n > SHIM_LIMIT)
        return tarn_fail(NULL, TARN_EINVAL, "shims: %d of them, the limit is %d", n, SHIM_LIMIT);
    for (int i = n - 1; i >= 0; i--) {
        ret = stack_shim(top == NULL ? below : top, words[i], &top);
        if (ret != TARN_OK) {
            tarn_os_unstack(top);
            return ret;
        }
        table_level_of(top)->whole = ++made;
    }
    *out = top;
    return TARN_OK;
}
