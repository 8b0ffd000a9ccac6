/* SPDX-License-Identifier: BSD-2-Clause */
/* Pins of one process: where they stand, how many there can be, and who may put them. */
#include "pool.h"

#include "mpool/pin.h"

static struct bed b;
static tarn_mpf *file;

static void begin(uint64_t bytes, tarn_pgno pages)
{
    bed_make(&b, bytes, 0);
    bed_fill(&b, "file", PAGE, pages);
    file = bed_file(&b, "file", PAGE, 0);
}

static void end(void)
{
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    OK(tarn_mpf_close(file));
    bed_remove(&b);
}

static void *get(tarn_pgno pgno)
{
    void *page = NULL;

    MUST(tarn_page_get(b.th, file, pgno, 0, &page));
    return page;
}

static uint32_t frame_of(const void *page)
{
    return (uint32_t)((uint64_t)((const uint8_t *)page - b.pool->data) >>
                      b.pool->header->unit_shift);
}

static unsigned frames_of_kind(enum own_kind kind)
{
    unsigned n = 0;

    for (uint32_t f = 0; f < b.pool->frame_limit; f++)
        n += own_kind(atomic_load(&b.pool->frames[f].own)) == kind;
    return n;
}

/* ---- more pins than the line has ---------------------------------------------------------------- */

static void pins_behind_the_line(void)
{
    void *page[40];

    begin(0, 50);
    for (unsigned i = 0; i < 16; i++)
        page[i] = get(i);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 0);
    for (unsigned i = 16; i < 40; i++)
        page[i] = get(i);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 1);
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 40);
    for (unsigned i = 0; i < 40; i++) {
        CU_ASSERT(page_is(page[i], PAGE, i, 0));
        CU_ASSERT(pin_any(b.pool, frame_of(page[i])));
    }
    for (unsigned i = 0; i < 40; i++)
        OK(tarn_page_put(b.th, page[(i * 7) % 40], 0));
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 0);
    for (unsigned i = 0; i < 40; i++)
        CU_ASSERT_FALSE(pin_any(b.pool, frame_of(page[i])));
    end();
}

static void chained_frames_come_and_go(void)
{
    void *page[20];

    begin(0, 50);
    for (int round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 20; i++)
            page[i] = get(i);
        for (unsigned i = 20; i-- > 0;)
            OK(tarn_page_put(b.th, page[i], 0));
        CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 0);
    }
    end();
}

/* The frame that keeps further pins is taken from the pages, and pinned ones are not. */
static void chained_frames_in_a_full_pool(void)
{
    void *page[40];

    begin(0, 300);
    for (unsigned i = 0; i < 16; i++)
        page[i] = get(i);
    for (tarn_pgno i = 50; i < 300; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
    for (unsigned i = 16; i < 40; i++)
        page[i] = get(i);
    for (tarn_pgno i = 50; i < 300; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 1);
    for (unsigned i = 0; i < 40; i++) {
        CU_ASSERT(page_is(page[i], PAGE, i, 0));
        CU_ASSERT_PTR_EQUAL(get(i), page[i]);
        OK(tarn_page_put(b.th, page[i], 0));
        OK(tarn_page_put(b.th, page[i], 0));
    }
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 0);
    end();
}

/* Fill the places of the newest chained frame but the first, as gets would; returns how many. */
static uint32_t stuff_block(uint32_t value, uint32_t most, bool undo)
{
    uint32_t n = (PAGE - (uint32_t)sizeof(struct pin_block)) / (uint32_t)sizeof(uint32_t), i;
    struct pin_block *block =
        (void *)(b.pool->data +
                 ((uint64_t)(atomic_load(&b.th->part->chain) - 1) << b.pool->header->unit_shift));

    for (i = 1; i < n && i <= most; i++)
        atomic_store(&block->pin[i], undo ? 0 : value);
    return i - 1;
}

static void pins_have_a_limit(void)
{
    void *page, *again;
    uint32_t pins = 0, value;

    begin(1 << 20, 4);
    while (pins < LANE_PINS) {
        page = get(1);
        pins++;
    }
    value = atomic_load(&b.th->part->pin[0]);
    while (pins < 65535) {
        again = get(1);
        CU_ASSERT_PTR_EQUAL_FATAL(again, page);
        pins++;
        if (pins < 65535 - 1)
            pins += stuff_block(value, 65535 - 1 - pins, false);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 65535);
    again = NULL;
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, 1, 0, &again));
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, 2, 0, &again));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "65535"));
    CU_ASSERT_PTR_NULL(again);
    OK(tarn_page_put(b.th, page, 0));
    CU_ASSERT_PTR_EQUAL(get(1), page);
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 65535);
    FAILS(TARN_EBUSY, tarn_mpf_close(file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "65535"));
    bed_remove(&b);
}

/* ---- one page, several pins --------------------------------------------------------------------- */

static void pinned_twice(void)
{
    void *first, *second;

    begin(0, 4);
    first = get(2);
    second = get(2);
    CU_ASSERT_PTR_EQUAL(first, second);
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 2);
    OK(tarn_page_put(b.th, first, 0));
    CU_ASSERT(pin_any(b.pool, frame_of(first)));
    CU_ASSERT(page_is(second, PAGE, 2, 0));
    OK(tarn_page_put(b.th, second, 0));
    CU_ASSERT_FALSE(pin_any(b.pool, frame_of(first)));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, second, 0));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, second, TARN_PAGE_DIRTY));
    FAILS(TARN_EINVAL, tarn_page_set(b.th, second, TARN_PAGE_DIRTY));
    end();
}

static void puts_in_any_order(void)
{
    void *page[16];

    begin(0, 20);
    for (unsigned step = 1; step < 16; step += 2) {
        for (unsigned i = 0; i < 16; i++)
            page[i] = get(i);
        for (unsigned i = 0; i < 16; i++) {
            OK(tarn_page_put(b.th, page[i * step % 16], 0));
            CU_ASSERT_EQUAL(bed_stat(&b).pinned, 15 - i);
        }
    }
    end();
}

static void what_is_no_page(void)
{
    uint8_t *page;
    int local;

    begin(0, 4);
    page = get(0);
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page + 8, 0));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page + PAGE, 0));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page - PAGE, 0));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, &local, 0));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, NULL, 0));
    FAILS(TARN_EINVAL,
          tarn_page_put(b.th, b.pool->data + ((uint64_t)b.pool->frame_limit << 12), 0));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 1);
    OK(tarn_page_put(b.th, page, 0));
    end();
}

/* ---- threads and processes ---------------------------------------------------------------------- */

struct other {
    void *page;
    int got;
    bool pin; /* the thread pins page 1 and ends with it; else it puts `page` */
};

static void *other_thread(void *arg)
{
    struct other *o = arg;
    tarn_thread *th;

    o->got = tarn_mpool_thread(b.pool, &th);
    if (o->got == TARN_OK)
        o->got = o->pin ? tarn_page_get(th, file, 1, 0, &o->page) : tarn_page_put(th, o->page, 0);
    return NULL;
}

static void in_other_thread(struct other *o)
{
    pthread_t id;

    CU_ASSERT_EQUAL_FATAL(pthread_create(&id, NULL, other_thread, o), 0);
    CU_ASSERT_EQUAL(pthread_join(id, NULL), 0);
}

static void put_by_another_thread(void)
{
    struct other o = { NULL, 0, false };
    void *page[20];

    begin(0, 20);
    for (unsigned i = 0; i < 20; i++)
        page[i] = get(i);
    o.page = page[3]; /* in the line */
    in_other_thread(&o);
    OK(o.got);
    o.page = page[18]; /* behind it */
    in_other_thread(&o);
    OK(o.got);
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 18);
    in_other_thread(&o);
    FAILS(TARN_EINVAL, o.got);
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page[3], 0));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page[18], 0));
    for (unsigned i = 0; i < 20; i++)
        if (i != 3 && i != 18)
            OK(tarn_page_put(b.th, page[i], 0));
    end();
}

static void a_thread_ends_with_a_pin(void)
{
    struct other o = { NULL, 0, true };

    begin(0, 20);
    for (int round = 0; round < 20; round++) {
        o.page = NULL;
        in_other_thread(&o);
        MUST(o.got);
        CU_ASSERT_EQUAL(bed_stat(&b).pinned, 1);
        CU_ASSERT(page_is(o.page, PAGE, 1, 0));
        OK(tarn_page_put(b.th, o.page, 0));
    }
    CU_ASSERT(bed_stat(&b).threads <= 4);
    end();
}

static void pins_of_others_cannot_be_put(void)
{
    struct bed other;
    tarn_mpf *its;
    void *page, *same;

    begin(0, 20);
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, 0);
    page = get(5);
    OK(tarn_page_get(other.th, its, 5, 0, &same));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 2);
    CU_ASSERT_EQUAL(bed_stat(&b).procs, 2);
    OK(tarn_page_put(other.th, same, 0));
    FAILS(TARN_EINVAL, tarn_page_put(other.th, same, 0)); /* there is a pin, but not its own */
    CU_ASSERT(pin_any(b.pool, frame_of(page)));
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    end();
}

/* A participant that leaves takes its pins along, also those behind the line. */
static void leaving_gives_pins_back(void)
{
    struct bed other;
    tarn_mpf *its;
    void *page;

    begin(0, 40);
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, 0);
    for (unsigned i = 0; i < 30; i++)
        OK(tarn_page_get(other.th, its, i, 0, &page));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 30);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 1);
    FAILS(TARN_EBUSY, bed_leave(&other));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 0);
    for (unsigned i = 0; i < 40; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
    end();
}

/* ---- where a pin is found ----------------------------------------------------------------------- */

static void finding(void)
{
    struct pin_batch batch = { .n = 3 };
    void *page[18];

    begin(0, 20);
    for (unsigned i = 0; i < 18; i++)
        page[i] = get(i);
    for (unsigned i = 0; i < 18; i++) {
        _Atomic uint32_t *at = pin_find(b.th, frame_of(page[i])).at;

        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        CU_ASSERT_EQUAL(atomic_load(at) & PIN_FRAME, frame_of(page[i]) + 1);
        CU_ASSERT((atomic_load(at) & PIN_WRITABLE) != 0);
        CU_ASSERT_EQUAL(pin_in_line(b.th, at), i < 16);
    }
    OK(tarn_page_put(b.th, page[9], 0));
    CU_ASSERT_PTR_NULL(pin_find(b.th, frame_of(page[9])).at);
    batch.frame[0] = frame_of(page[17]);
    batch.frame[1] = frame_of(page[9]);
    batch.frame[2] = frame_of(page[0]);
    pin_scan(b.th, &batch);
    CU_ASSERT_TRUE(batch.pinned[0]);
    CU_ASSERT_FALSE(batch.pinned[1]);
    CU_ASSERT_TRUE(batch.pinned[2]);
    for (unsigned i = 0; i < 18; i++)
        if (i != 9)
            OK(tarn_page_put(b.th, page[i], 0));
    end();
}

static int use_exchange(void) { return setenv("TARN_PIN", "exchange", 1); }

static void both_modes(void)
{
    begin(0, 4);
    CU_ASSERT_EQUAL(bed_stat(&b).pin_exchange, getenv("TARN_PIN") != NULL);
    CU_ASSERT_EQUAL(b.th->exchange, getenv("TARN_PIN") != NULL);
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "G5: more pins than a line has", pins_behind_the_line },
        { "frames for further pins come and go", chained_frames_come_and_go },
        { "further pins in a full pool", chained_frames_in_a_full_pool },
        { "G5: 65,535 pins and no more", pins_have_a_limit },
        { "G5 U4: a page pinned twice is put twice", pinned_twice },
        { "puts in any order", puts_in_any_order },
        { "U2 U4: what is no page", what_is_no_page },
        { "a page put by another thread", put_by_another_thread },
        { "a thread that ends with a page pinned", a_thread_ends_with_a_pin },
        { "U4: others' pins cannot be put", pins_of_others_cannot_be_put },
        { "F8 M5: who leaves takes its pins along", leaving_gives_pins_back },
        { "where a pin is found", finding },
        { "the mode is the one asked for", both_modes },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "pin", NULL, NULL, NULL, NULL, tests },
        { "pin by exchange", use_exchange, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
