/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table that this process starts from: platform, override, shims, in this order upwards.
 */
#include <stdatomic.h>
#include <string.h>

#include "os/fail.h"
#include "os/table.h"

extern const struct tarn_os tarn_port_os; /* made from the ports file */

/* Whoever works here holds the flag; the table is set once and then only read. */
static struct {
    atomic_flag busy;
    const struct tarn_os *base;            /* with the overrides; NULL: the platform's own */
    _Atomic(const struct tarn_os *) table; /* the finished one; NULL before the first use */
    int status;                            /* of TARN_OS */
    char text[FAIL_TEXT_MAX];
} host = { .busy = ATOMIC_FLAG_INIT };

const struct tarn_os *tarn_os_platform(void) { return &tarn_port_os; }

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&host.busy, memory_order_acquire))
        (void)tarn_port_os.misc->yield(&tarn_port_os);
}

static void unlock(void) { atomic_flag_clear_explicit(&host.busy, memory_order_release); }

static const struct tarn_os *base(void) { return host.base != NULL ? host.base : &tarn_port_os; }

/* With the shims that TARN_OS asks for; without them, and a note, if it is wrong. */
static const struct tarn_os *make_host(void)
{
    const struct tarn_os *os = base();
    struct tarn_os *shimmed;
    const char *spec = NULL;

    if (os->misc->getenv(os, "TARN_OS", &spec) != TARN_OK || spec == NULL)
        return os;
    host.status = tarn_os_shims(os, spec, &shimmed);
    if (host.status == TARN_OK)
        return shimmed;
    (void)text_format(host.text, sizeof(host.text), "TARN_OS=%s: %s", spec, tarn_last_message());
    return os;
}

const struct tarn_os *tarn_os_host(void)
{
    const struct tarn_os *table = atomic_load_explicit(&host.table, memory_order_acquire);

    if (table != NULL)
        return table;
    lock();
    table = atomic_load_explicit(&host.table, memory_order_relaxed);
    if (table == NULL) {
        table = make_host();
        atomic_store_explicit(&host.table, table, memory_order_release);
    }
    unlock();
    return table;
}

int table_host_status(const char **text)
{
    (void)tarn_os_host();
    if (host.status != TARN_OK)
        *text = host.text;
    return host.status;
}

int tarn_os_override(const struct tarn_os *over)
{
    struct tarn_os *stacked;
    int ret;

    if (over == NULL)
        return tarn_fail(NULL, TARN_EINVAL, "OS table: tarn_os_override needs a table");
    lock();
    if (atomic_load_explicit(&host.table, memory_order_relaxed) != NULL)
        ret = tarn_fail(NULL, TARN_EBUSY,
                        "OS table: %s comes too late, the process uses %s already; override before "
                        "the first environment is opened",
                        over->name != NULL ? over->name : "override", host.table->name);
    else if ((ret = table_stack(base(), over, NULL, &stacked)) == TARN_OK)
        host.base = stacked;
    unlock();
    return ret;
}
