/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract of include/tarn/backend.h, held against the backend that the first argument names:
 * what it says it can, it does; what it fails at leaves nothing.  Run once per backend of the port.
 */
#include "check.h"

#include "backends/call.h"
#include "backends/load.h"
#include "os/shim/fault.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct tarn_backend *be;
static const char *argument; /* that names it */
static size_t page;
static char home[512], elsewhere[512];

/* One region's memory, as its maker has it. */
struct made {
    struct tarn_segment_request req;
    struct tarn_segment_id id;
    struct tarn_segment seg;
    struct tarn_backend_call call;
};

static void prepare(struct made *m, const struct tarn_os *os, uint64_t pages, uint64_t reserve)
{
    memset(m, 0, sizeof(*m));
    call_init(&m->call, os);
    m->req.home = home;
    m->req.dir = home;
    m->req.name = "contract";
    memcpy(m->req.uuid, "\x01\xab\xcd\xef 12 more ..", 16);
    m->req.size = pages * page;
    m->req.reserve = reserve * page;
    m->req.mode = 0600;
    m->req.shared = (be->caps & TARN_CAP_SHARED) != 0;
}

static int make(struct made *m, uint64_t pages, uint64_t reserve)
{
    int err;

    prepare(m, tarn_os_host(), pages, reserve);
    err = be->create(&m->call, &m->req, &m->id, &m->seg);
    if (err != TARN_OK)
        printf("# create: %s\n", call_why(&m->call, err));
    return err;
}

static void drop(struct made *m)
{
    OK(be->detach(&m->call, &m->seg));
    CU_ASSERT(m->seg.base == NULL && m->seg.priv == NULL && m->seg.reserve == 0);
    OK(be->remove(&m->call, &m->req, &m->id));
}

static int attach(struct made *m, int rdonly, struct tarn_segment *seg)
{
    return be->attach(&m->call, &m->req, &m->id, m->seg.reserve, rdonly, seg);
}

static int all_are(const void *memory, uint64_t len, unsigned char value)
{
    const unsigned char *p = memory;

    for (uint64_t i = 0; i < len; i++)
        if (p[i] != value)
            return 0;
    return 1;
}

static unsigned entries(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2; /* "." and ".." */
}

static int has(uint32_t cap) { return (be->caps & cap) != 0; }

/* A second attach in the process that made it is possible. */
static int joins(void) { return has(TARN_CAP_SHARED) || has(TARN_CAP_FORK); }

/* ---- one process ------------------------------------------------------------------------------ */

static void probe_leaves_nothing(void)
{
    struct tarn_probe found;
    struct made m;

    prepare(&m, tarn_os_host(), 4, 64);
    for (int i = 0; i < 3; i++) {
        memset(&found, '#', sizeof(found));
        OK(be->probe(&m.call, &m.req, &found));
        CU_ASSERT_PTR_NOT_NULL(memchr(found.where, '\0', sizeof(found.where)));
        CU_ASSERT_PTR_NOT_NULL(memchr(found.note, '\0', sizeof(found.note)));
        CU_ASSERT(found.avail >= m.req.size);
        CU_ASSERT_EQUAL(entries(home), 0);
    }
}

static void probe_knows_what_is_too_much(void)
{
    struct tarn_probe found;
    struct made m;
    int err;

    prepare(&m, tarn_os_host(), 4, 64);
    m.req.size = m.req.reserve = (uint64_t)1 << 55;
    err = be->probe(&m.call, &m.req, &found);
    CU_ASSERT(err == TARN_ENOSPC || err == TARN_ENOMEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "36028797018963968"));
    err = be->create(&m.call, &m.req, &m.id, &m.seg);
    CU_ASSERT(err == TARN_ENOSPC || err == TARN_ENOMEM);
    CU_ASSERT(m.seg.base == NULL && m.seg.priv == NULL && m.id.len == 0);
    CU_ASSERT_EQUAL(entries(home), 0);
}

/* Who cannot share says so, with a way out; nobody finds out later. */
static void probe_tells_who_cannot_share(void)
{
    struct tarn_probe found;
    struct made m;

    prepare(&m, tarn_os_host(), 4, 64);
    m.req.shared = 1;
    if (has(TARN_CAP_SHARED)) {
        OK(be->probe(&m.call, &m.req, &found));
        return;
    }
    FAILS(TARN_ENOSYS, be->probe(&m.call, &m.req, &found));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "shared"));
}

static void new_memory_is_zero_and_writable(void)
{
    struct made m;

    MUST(make(&m, 5, 64));
    CU_ASSERT_EQUAL((uintptr_t)m.seg.base % page, 0);
    CU_ASSERT_EQUAL(m.seg.size, 5 * page);
    CU_ASSERT(m.seg.reserve >= m.seg.size && m.seg.reserve % page == 0);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0));
    memset(m.seg.base, 0x5a, m.seg.size);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x5a));
    drop(&m);
    CU_ASSERT_EQUAL(entries(home), 0);
    MUST(make(&m, 5, 5)); /* again: what was is not seen */
    CU_ASSERT_EQUAL(m.seg.reserve, 5 * page);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0));
    drop(&m);
    CU_ASSERT_EQUAL(entries(home), 0);
}

static void two_segments_are_two(void)
{
    struct made a, b;

    MUST(make(&a, 2, 8));
    prepare(&b, tarn_os_host(), 2, 8);
    b.req.uuid[0] ^= 0xff;
    MUST(be->create(&b.call, &b.req, &b.id, &b.seg));
    memset(a.seg.base, 1, a.seg.size);
    CU_ASSERT(all_are(b.seg.base, b.seg.size, 0));
    drop(&a);
    memset(b.seg.base, 2, b.seg.size);
    drop(&b);
    CU_ASSERT_EQUAL(entries(home), 0);
}

static void ids_and_descriptions_are_bounded(void)
{
    char text[600];
    struct made m;

    MUST(make(&m, 1, 1));
    CU_ASSERT(m.id.len <= TARN_SEGMENT_ID_MAX);
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        memset(text, '#', sizeof(text));
        (void)be->describe(&m.call, &m.req, &m.id, text, len);
        CU_ASSERT(len == 0 || memchr(text, '\0', len) != NULL);
        CU_ASSERT_EQUAL(text[len], '#');
    }
    OK(be->describe(&m.call, &m.req, &m.id, text, sizeof(text)));
    CU_ASSERT(strlen(text) > 3);
    drop(&m);
}

/* ---- several mappings ------------------------------------------------------------------------- */

static void a_second_mapping_sees_writes(void)
{
    struct tarn_segment other = { 0 };
    struct made m;

    MUST(make(&m, 4, 16));
    if (!joins()) {
        FAILS(TARN_ENOSYS, attach(&m, 0, &other));
        CU_ASSERT_PTR_NULL(other.base);
        drop(&m);
        return;
    }
    OK(attach(&m, 0, &other));
    CU_ASSERT_PTR_NOT_NULL_FATAL(other.base);
    CU_ASSERT_EQUAL(other.base == m.seg.base, has(TARN_CAP_FORK)); /* which may have one only */
    CU_ASSERT_EQUAL(other.reserve, m.seg.reserve);
    CU_ASSERT_EQUAL(other.size, 0);
    memset(m.seg.base, 0x11, m.seg.size);
    CU_ASSERT(all_are(other.base, m.seg.size, 0x11));
    memset(other.base, 0x22, m.seg.size);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x22));
    OK(be->detach(&m.call, &other));
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x22)); /* the others keep theirs */
    drop(&m);
}

/* Everything in a process of its own that knows nothing but request and id. */
static int join_in_child(void *arg)
{
    struct made *m = arg;
    struct tarn_segment seg = { 0 };
    uint64_t reserve = m->seg.reserve;

    call_init(&m->call, tarn_os_host());
    if (be->attach(&m->call, &m->req, &m->id, reserve, 0, &seg) != TARN_OK)
        return 1;
    if (!all_are(seg.base, m->req.size, 0x33))
        return 2;
    memset(seg.base, 0x44, m->req.size);
    return be->detach(&m->call, &seg) == TARN_OK ? 0 : 3;
}

static void another_process_joins(void)
{
    struct made m;
    int status = -1;

    if (!has(TARN_CAP_SHARED))
        SKIP("memory of one process");
    MUST(make(&m, 4, 16));
    memset(m.seg.base, 0x33, m.seg.size);
    OK(tarn_os_host()->proc->try_in_child(tarn_os_host(), join_in_child, &m, &status));
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x44));
    drop(&m);
}

/* ---- by fork ---------------------------------------------------------------------------------- */

static int use_inherited(void *arg)
{
    struct made *m = arg;
    struct tarn_segment seg = { 0 };

    call_init(&m->call, tarn_os_host());
    if (!all_are(m->seg.base, m->seg.size, 0x33))
        return 1;
    memset(m->seg.base, 0x44, m->seg.size);
    if (attach(m, 0, &seg) != TARN_OK) /* it has the parent's, so it may have a further one */
        return 2;
    if (be->grow(&m->call, &seg, seg.reserve - page, page) != TARN_OK)
        return 3;
    memset((char *)seg.base + seg.reserve - page, 0x55, page);
    if (be->detach(&m->call, &seg) != TARN_OK || !all_are(m->seg.base, m->seg.size, 0x44))
        return 4;
    return be->detach(&m->call, &m->seg) == TARN_OK ? 0 : 5;
}

static void children_by_fork_share_it(void)
{
    struct made m;
    int status = -1;

    if (!has(TARN_CAP_FORK))
        SKIP("is not shared by fork");
    MUST(make(&m, 4, 16));
    memset(m.seg.base, 0x33, m.seg.size);
    OK(tarn_os_host()->proc->try_in_child(tarn_os_host(), use_inherited, &m, &status));
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x44));
    CU_ASSERT(all_are((char *)m.seg.base + m.seg.reserve - page, page, 0x55));
    drop(&m);
}

/* This program anew, with nothing but the id: `test_backend NAME stranger ID`. */
static int be_a_stranger(const char *hex)
{
    struct tarn_segment seg = { 0 };
    struct made m;
    unsigned byte;
    int err;

    prepare(&m, tarn_os_host(), 4, 16);
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        m.id.bytes[m.id.len++] = (uint8_t)byte;
    m.seg.reserve = m.req.reserve;
    err = attach(&m, 0, &seg);
    if (err != TARN_ENOSYS || seg.base != NULL)
        return 1;
    return strstr(m.call.why, "fork") == NULL ? 2 : 0;
}

static void strangers_are_told(void)
{
    char line[1024], hex[2 * TARN_SEGMENT_ID_MAX + 1] = "";
    struct made m;

    if (!has(TARN_CAP_FORK))
        SKIP("is not shared by fork");
    MUST(make(&m, 4, 16));
    for (uint32_t i = 0; i < m.id.len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", m.id.bytes[i]);
    (void)snprintf(line, sizeof(line), "/proc/%ld/exe %s stranger %s", (long)getpid(), argument,
                   hex);
    CU_ASSERT_EQUAL(system(line), 0);
    drop(&m);
}

static int store(void *arg)
{
    *(volatile char *)arg = 1;
    return 0;
}

static void a_read_only_mapping_cannot_be_written(void)
{
    struct tarn_segment other = { 0 };
    struct made m;
    int status = -1;

    if (!has(TARN_CAP_SHARED))
        SKIP("memory of one process");
    MUST(make(&m, 4, 16));
    OK(attach(&m, 1, &other));
    memset(m.seg.base, 0x11, m.seg.size);
    CU_ASSERT(all_are(other.base, m.seg.size, 0x11));
    OK(tarn_os_host()->proc->try_in_child(tarn_os_host(), store, other.base, &status));
    CU_ASSERT(status > 256);
    CU_ASSERT_NOT_EQUAL(TARN_OK, be->grow(&m.call, &other, m.seg.size, page));
    OK(be->detach(&m.call, &other));
    drop(&m);
}

/* ---- growth ----------------------------------------------------------------------------------- */

static void grown_bytes_are_zero_and_seen_by_all(void)
{
    struct tarn_segment other = { 0 };
    struct made m;

    MUST(make(&m, 4, 16));
    if (!has(TARN_CAP_GROWS)) {
        FAILS(TARN_ENOSYS, be->grow(&m.call, &m.seg, m.seg.size, page));
        FAILS(TARN_ENOSYS, be->shrink(&m.call, &m.seg, 0, page));
        drop(&m);
        SKIP("does not grow");
    }
    CU_ASSERT_EQUAL_FATAL(m.seg.reserve, 16 * page);
    if (has(TARN_CAP_SHARED))
        MUST(attach(&m, 0, &other));
    else
        other = m.seg;
    OK(be->grow(&m.call, &m.seg, 4 * page, 2 * page));
    CU_ASSERT(all_are((char *)other.base + 4 * page, 2 * page, 0));
    memset((char *)other.base + 4 * page, 0x66, 2 * page);
    CU_ASSERT(all_are((char *)m.seg.base + 4 * page, 2 * page, 0x66));
    OK(be->grow(&m.call, &other, 6 * page, 10 * page)); /* by the other, to the end */
    CU_ASSERT(all_are((char *)m.seg.base + 6 * page, 10 * page, 0));
    memset((char *)m.seg.base + 6 * page, 0x77, 10 * page);
    CU_ASSERT(all_are((char *)other.base + 6 * page, 10 * page, 0x77));
    if (has(TARN_CAP_SHARED))
        OK(be->detach(&m.call, &other));
    drop(&m);
}

/* The kernel's word on the page at p: is it left out of core dumps?  -1: it does not say. */
static int left_out_of_dumps(const void *p)
{
    unsigned long from, to, at = (unsigned long)p;
    int inside = 0, answer = -1;
    char line[1024];
    FILE *f = fopen("/proc/self/smaps", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = at >= from && at < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            answer = strstr(line, " dd") != NULL;
    }
    if (f != NULL)
        (void)fclose(f);
    return answer;
}

/* Else a core dump would have memory put behind all of it. */
static void the_reserve_is_left_out_of_dumps(void)
{
    struct tarn_segment other = { 0 };
    struct made m;

    if (!has(TARN_CAP_GROWS))
        SKIP("has no reserve");
    MUST(make(&m, 4, 16));
    MUST(attach(&m, 0, &other));
    if (left_out_of_dumps(m.seg.base) >= 0) {
        CU_ASSERT_EQUAL(left_out_of_dumps(m.seg.base), 0);
        CU_ASSERT_EQUAL(left_out_of_dumps((char *)m.seg.base + 4 * page), 1);
        CU_ASSERT_EQUAL(left_out_of_dumps(other.base), 0);
        CU_ASSERT_EQUAL(left_out_of_dumps((char *)other.base + 15 * page), 1);
    }
    OK(be->detach(&m.call, &other));
    drop(&m);
}

static void a_failed_growth_changes_nothing(void)
{
    struct made m;
    uint64_t pages = (uint64_t)1 << 34; /* 64 TiB of 4 KiB */

    if (!has(TARN_CAP_GROWS))
        SKIP("does not grow");
    MUST(make(&m, 4, pages));
    memset(m.seg.base, 0x12, m.seg.size);
    FAILS(TARN_EINVAL, be->grow(&m.call, &m.seg, m.seg.reserve, page));
    FAILS(TARN_EINVAL, be->grow(&m.call, &m.seg, m.seg.size, m.seg.reserve));
    FAILS(TARN_EINVAL, be->grow(&m.call, &m.seg, UINT64_MAX - page + 1, 2 * page));
    FAILS(TARN_EINVAL, be->grow(&m.call, &m.seg, 2 * page, UINT64_MAX - 2 * page + 1));
    if (m.seg.reserve == pages * page) {
        int err = be->grow(&m.call, &m.seg, m.seg.size, m.seg.reserve - m.seg.size);

        CU_ASSERT(err == TARN_ENOSPC || err == TARN_ENOMEM);
        CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "free"));
    }
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x12));
    OK(be->grow(&m.call, &m.seg, m.seg.size, page)); /* and it goes on working */
    CU_ASSERT(all_are((char *)m.seg.base + m.seg.size, page, 0));
    drop(&m);
}

static void shrunk_bytes_come_back_as_zeros(void)
{
    struct made m;

    if (!has(TARN_CAP_GROWS))
        SKIP("does not grow");
    MUST(make(&m, 4, 16));
    OK(be->grow(&m.call, &m.seg, 4 * page, 4 * page));
    memset(m.seg.base, 0x55, 8 * page);
    OK(be->shrink(&m.call, &m.seg, 5 * page, 3 * page));
    CU_ASSERT(all_are(m.seg.base, 5 * page, 0x55));
    OK(be->grow(&m.call, &m.seg, 5 * page, 3 * page));
    CU_ASSERT(all_are((char *)m.seg.base + 5 * page, 3 * page, 0));
    FAILS(TARN_EINVAL, be->shrink(&m.call, &m.seg, 15 * page, 2 * page));
    drop(&m);
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void those_attached_outlive_removal(void)
{
    struct tarn_segment other = { 0 }, late = { 0 };
    struct made m;

    MUST(make(&m, 4, 16));
    if (has(TARN_CAP_SHARED))
        MUST(attach(&m, 0, &other));
    memset(m.seg.base, 0x21, m.seg.size);
    OK(be->remove(&m.call, &m.req, &m.id));
    OK(be->remove(&m.call, &m.req, &m.id)); /* gone already is no error */
    CU_ASSERT_EQUAL(entries(home), 0);
    CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x21));
    if (has(TARN_CAP_GROWS)) {
        OK(be->grow(&m.call, &m.seg, m.seg.size, page));
        CU_ASSERT(all_are((char *)m.seg.base + m.seg.size, page, 0));
    }
    if (has(TARN_CAP_SHARED)) {
        memset(other.base, 0x43, m.seg.size);
        CU_ASSERT(all_are(m.seg.base, m.seg.size, 0x43));
        FAILS(TARN_ENOENT, attach(&m, 0, &late));
        CU_ASSERT_PTR_NULL(late.base);
        OK(be->detach(&m.call, &other));
    }
    OK(be->detach(&m.call, &m.seg));
}

/* An id that means nothing is an error, but not the one by which a region is declared gone. */
static void a_damaged_id_is_not_a_missing_segment(void)
{
    struct tarn_segment other = { 0 };
    struct tarn_segment_id good;
    struct made m;

    MUST(make(&m, 1, 1));
    good = m.id;
    for (uint32_t len = 0; len <= sizeof(good.bytes) + 1; len++) {
        int err;

        m.id = good;
        m.id.len = len;
        if (len == good.len)
            continue;
        err = attach(&m, 0, &other);
        CU_ASSERT(err != TARN_OK && err != TARN_ENOENT);
        CU_ASSERT_PTR_NULL(other.base);
    }
    m.id = good;
    drop(&m);
}

static void the_directory_may_be_another(void)
{
    struct tarn_segment other = { 0 };
    char moved[600];
    struct made m;

    if (!has(TARN_CAP_SHARED) || !has(TARN_CAP_NAMED))
        SKIP("has no name");
    prepare(&m, tarn_os_host(), 4, 4);
    m.req.dir = elsewhere;
    OK(be->create(&m.call, &m.req, &m.id, &m.seg));
    CU_ASSERT_EQUAL(entries(home), 0);
    m.req.dir = home; /* the joiner's setting counts for nothing */
    OK(attach(&m, 0, &other));
    OK(be->detach(&m.call, &other));
    drop(&m);
    CU_ASSERT_EQUAL(entries(elsewhere), 0);

    MUST(make(&m, 4, 4)); /* and a home may be moved */
    (void)snprintf(moved, sizeof(moved), "%s-moved", home);
    CU_ASSERT_EQUAL_FATAL(rename(home, moved), 0);
    m.req.home = moved;
    OK(attach(&m, 0, &other));
    OK(be->detach(&m.call, &other));
    drop(&m);
    CU_ASSERT_EQUAL(rename(moved, home), 0);
    CU_ASSERT_EQUAL(entries(home), 0);
}

/* ---- every failure ---------------------------------------------------------------------------- */

/* Calls whose failure a backend may absorb, since it does without what they give. */
static const struct {
    const char *slot;
    int err; /* only this error; 0: any */
    const char *why;
    const char *backend; /* only of this one; NULL: any */
} absorbed[] = {
    { "open", 0, "an IPC namespace that cannot be asked for is unknown", "sysv" },
    { "fileid", 0, "the same", "sysv" },
    { "close", 0, "the same", "sysv" },
    { "sysv_get", TARN_ENOMEM, "a reserve that is refused is halved", NULL },
    { "sysv_get", TARN_ENOSPC, "a reserve that is refused is halved", NULL },
    { "sysv_attach", TARN_ENOMEM, "a reserve that has no room here is halved", NULL },
    { "populate", TARN_ENOSYS, "written to instead", NULL },
    { "limits", 0, "a limit that cannot be asked for is no limit", NULL },
    { "dontdump", 0, "a hint", NULL },
    { "fsinfo", 0, "growth after the name is gone: allocate itself decides", NULL },
    { "open", TARN_ENOSYS, "probe: where no file can be without a name, one loses it", NULL },
    { "map", TARN_ENOMEM, "a reserve that is refused is halved", NULL },
    { "mem_create", TARN_ENOMEM, "a reserve that is refused is halved", NULL },
};

static int may_absorb(const char *slot, int err)
{
    for (size_t i = 0; i < sizeof(absorbed) / sizeof(absorbed[0]); i++)
        if (strcmp(absorbed[i].slot, slot) == 0 &&
            (absorbed[i].err == 0 || absorbed[i].err == err) &&
            (absorbed[i].backend == NULL || strcmp(absorbed[i].backend, be->name) == 0))
            return 1;
    return 0;
}

static int whole_life(struct made *m, struct tarn_segment *other)
{
    struct tarn_probe found;
    int err;

    if ((err = be->probe(&m->call, &m->req, &found)) != TARN_OK ||
        (err = be->create(&m->call, &m->req, &m->id, &m->seg)) != TARN_OK)
        return err;
    if (joins() && (err = attach(m, 0, other)) != TARN_OK)
        return err;
    if (has(TARN_CAP_GROWS) &&
        ((err = be->grow(&m->call, &m->seg, m->seg.size, page)) != TARN_OK ||
         (err = be->shrink(&m->call, &m->seg, m->seg.size, page)) != TARN_OK))
        return err;
    if (joins() && (err = be->detach(&m->call, other)) != TARN_OK)
        return err;
    if ((err = be->remove(&m->call, &m->req, &m->id)) != TARN_OK)
        return err;
    return be->detach(&m->call, &m->seg);
}

/* Call nth of the OS table fails with err; afterwards nothing is held.  0: there was no such call. */
static long life_with_fault(struct fault *f, long nth, int err)
{
    struct tarn_segment other = { 0 };
    struct made m;
    int ret;

    prepare(&m, fault_os(f), 4, 16);
    fault_arm(f, nth, err, FAULT_ONCE);
    ret = whole_life(&m, &other);
    if (fault_fired(f) == 0)
        OK(ret);
    else if (ret != err && !(ret == TARN_OK && may_absorb(fault_where(f), err))) {
        printf("# call %ld, %s: %s became %s\n", nth, fault_where(f), tarn_err_name(err),
               tarn_err_name(ret));
        CU_FAIL("an error was lost");
    }
    if (other.base != NULL)
        OK(be->detach(&m.call, &other));
    if (m.seg.base != NULL) {
        OK(be->detach(&m.call, &m.seg));
        OK(be->remove(&m.call, &m.req, &m.id));
    }
    if (fault_held_all(f) != 0 || entries(home) != 0) {
        printf("# call %ld, %s: %ld held, %u files\n", nth, fault_where(f), fault_held_all(f),
               entries(home));
        CU_FAIL("something is left behind");
    }
    return fault_fired(f);
}

static void every_failure_is_clean(void)
{
    static const int errors[] = { TARN_EIO,    TARN_ENOMEM, TARN_ENOSPC, TARN_EACCES,
                                  TARN_EMFILE, TARN_EPERM,  TARN_ENOSYS };
    struct fault *f = NULL;

    MUST(fault_new(tarn_os_host(), &f));
    MUST(fault_choose(f, "*"));
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        long n = 1;

        while (life_with_fault(f, n, errors[i]) != 0 && n < 1000)
            n++;
        CU_ASSERT(n > 3 && n < 1000); /* it was tried, and there was an end */
    }
    fault_free(f);
}

/* A joiner that cannot is told why; it never hears that the segment is gone (seed X8). */
static void a_joiner_that_cannot_is_not_told_gone(void)
{
    static const int errors[] = { TARN_EACCES, TARN_EMFILE, TARN_ENOMEM, TARN_EIO };
    struct fault *f = NULL;
    struct made m;

    if (!has(TARN_CAP_SHARED))
        SKIP("memory of one process");
    MUST(make(&m, 4, 16));
    MUST(fault_new(tarn_os_host(), &f));
    MUST(fault_choose(f, "*"));
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        for (long n = 1, fired = 1; fired != 0; n++) {
            struct tarn_segment other = { 0 };
            struct tarn_backend_call call;
            int err;

            call_init(&call, fault_os(f));
            fault_arm(f, n, errors[i], FAULT_ONCE);
            err = be->attach(&call, &m.req, &m.id, m.seg.reserve, 0, &other);
            fired = fault_fired(f);
            CU_ASSERT(err == (fired != 0 ? errors[i] : TARN_OK) ||
                      (err == TARN_OK && may_absorb(fault_where(f), errors[i])));
            fault_arm(f, 0, TARN_OK, FAULT_ONCE);
            if (err == TARN_OK)
                OK(be->detach(&call, &other));
            CU_ASSERT(other.base == NULL && other.priv == NULL);
            CU_ASSERT_EQUAL(fault_held_all(f), 0);
            CU_ASSERT_EQUAL_FATAL(n < 1000, 1);
        }
    fault_free(f);
    drop(&m);
}

/* ---- main ------------------------------------------------------------------------------------- */

/* By name as a program does, or by path. */
static int load_argument(const char *arg)
{
    char why[512] = "", name[LOAD_NAME_MAX + 1] = "";
    const char *base = strrchr(arg, '/');
    int err;

    if (base == NULL)
        err = load_backend(tarn_os_host(), arg, &be, NULL, why, sizeof(why));
    else {
        (void)sscanf(base + 1, "tarn_backend_%15[a-z0-9_]", name);
        err = load_module(tarn_os_host(), arg, name, &be, why, sizeof(why));
    }
    if (err != TARN_OK)
        fprintf(stderr, "%s: %s\n", arg, why);
    return err;
}

static int set_up(const char *arg, int homes)
{
    char cwd[400], here[] = "home-XXXXXX", there[] = "else-XXXXXX";

    if (load_argument(arg) != TARN_OK || getcwd(cwd, sizeof(cwd)) == NULL ||
        tarn_os_host()->misc->page_size(tarn_os_host(), &page) != TARN_OK)
        return 0;
    if (homes && (mkdtemp(here) == NULL || mkdtemp(there) == NULL))
        return 0;
    (void)snprintf(home, sizeof(home), "%s/%s", cwd, here);
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s/%s", cwd, there);
    return 1;
}

int main(int argc, char **argv)
{
    static CU_TestInfo one_tests[] = {
        { "probe leaves nothing", probe_leaves_nothing },
        { "probe knows what is too much", probe_knows_what_is_too_much },
        { "P3: probe tells who cannot share", probe_tells_who_cannot_share },
        { "P2: new memory is zero and writable", new_memory_is_zero_and_writable },
        { "R13: two segments are two", two_segments_are_two },
        { "ids and descriptions are bounded", ids_and_descriptions_are_bounded },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo several_tests[] = {
        { "P3: a second mapping sees writes", a_second_mapping_sees_writes },
        { "R14: another process joins by the id", another_process_joins },
        { "children by fork share it", children_by_fork_share_it },
        { "P3: strangers are told who shares it", strangers_are_told },
        { "P6: a read-only mapping cannot be written", a_read_only_mapping_cannot_be_written },
        { "grown bytes are zero and seen by all", grown_bytes_are_zero_and_seen_by_all },
        { "the reserve is left out of core dumps", the_reserve_is_left_out_of_dumps },
        { "a failed growth changes nothing", a_failed_growth_changes_nothing },
        { "shrunk bytes come back as zeros", shrunk_bytes_come_back_as_zeros },
        { "P4: those attached outlive removal", those_attached_outlive_removal },
        { "X8: a damaged id is not a missing segment", a_damaged_id_is_not_a_missing_segment },
        { "R14: the directory may be another", the_directory_may_be_another },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo fault_tests[] = {
        { "every failure is clean", every_failure_is_clean },
        { "X8: a joiner that cannot is not told gone", a_joiner_that_cannot_is_not_told_gone },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { NULL, NULL, NULL, NULL, NULL, one_tests },
        { NULL, NULL, NULL, NULL, NULL, several_tests },
        { NULL, NULL, NULL, NULL, NULL, fault_tests },
        CU_SUITE_INFO_NULL,
    };
    static char names[3][64];
    int status;

    argument = argv[1];
    if (argc == 4 && strcmp(argv[2], "stranger") == 0)
        return set_up(argv[1], 0) ? be_a_stranger(argv[3]) : EXIT_FAILURE;
    if (argc != 2 || !set_up(argv[1], 1)) {
        fprintf(stderr, "usage: test_backend NAME|PATH/tarn_backend_NAME.so\n");
        return EXIT_FAILURE;
    }
    (void)snprintf(names[0], sizeof(names[0]), "backend %s", be->name);
    (void)snprintf(names[1], sizeof(names[1]), "backend %s, mappings", be->name);
    (void)snprintf(names[2], sizeof(names[2]), "backend %s, failures", be->name);
    for (int i = 0; i < 3; i++)
        suites[i].pName = names[i];
    status = run_suites(suites);
    if (rmdir(home) != 0 || rmdir(elsewhere) != 0) {
        printf("not ok - backend %s: %s or %s is not empty\n", be->name, home, elsewhere);
        return EXIT_FAILURE;
    }
    return status;
}
