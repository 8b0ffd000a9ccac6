/* SPDX-License-Identifier: BSD-2-Clause */
/* Who goes next: the clock, alone with its bytes. */
#include "check.h"

#include <string.h>

#include "mpool/replace.h"

enum { UNITS = 256, EXTENT = 64 };

static _Atomic uint8_t ref[UNITS];
static _Atomic uint32_t hand;
static unsigned mine_mask; /* extents of this page size, a bit each */

static bool mine(const void *ctx, uint32_t extent)
{
    (void)ctx;
    return (mine_mask >> extent & 1) != 0;
}

static struct replace_view view_of(uint32_t page_units)
{
    for (unsigned i = 0; i < UNITS; i++)
        ref[i] = 0;
    hand = 0;
    mine_mask = 0xf;
    return (struct replace_view){ ref, &hand, UNITS, EXTENT, page_units, mine, NULL };
}

/* One whole turn; how often each frame was offered. */
static uint64_t turn(const struct replace_view *v, uint32_t want, unsigned offered[UNITS])
{
    uint32_t out[64];
    uint64_t moved = 0;

    memset(offered, 0, UNITS * sizeof(unsigned));
    while (moved < UNITS) {
        uint32_t n = replace_next(v, want, out, &moved);

        CU_ASSERT_FATAL(n <= want || n <= 64);
        for (uint32_t i = 0; i < n; i++) {
            CU_ASSERT_FATAL(out[i] < UNITS);
            offered[out[i]]++;
        }
    }
    return moved;
}

static void all_are_offered_once(void)
{
    static const uint32_t wants[] = { 1, 3, 16, 64 };
    struct replace_view v = view_of(1);
    unsigned offered[UNITS];

    for (size_t w = 0; w < sizeof(wants) / sizeof(wants[0]); w++) {
        CU_ASSERT_EQUAL(turn(&v, wants[w], offered), UNITS);
        for (unsigned i = 0; i < UNITS; i++)
            CU_ASSERT_EQUAL(offered[i], 1);
    }
}

static void seen_pages_get_another_turn(void)
{
    struct replace_view v = view_of(1);
    unsigned offered[UNITS];

    for (unsigned i = 0; i < UNITS; i += 3)
        replace_touch(&ref[i]);
    (void)turn(&v, 16, offered);
    for (unsigned i = 0; i < UNITS; i++)
        CU_ASSERT_EQUAL(offered[i], i % 3 != 0);
    (void)turn(&v, 16, offered);
    for (unsigned i = 0; i < UNITS; i++)
        CU_ASSERT_EQUAL(offered[i], 1);
}

static void a_page_touched_each_turn_stays(void)
{
    struct replace_view v = view_of(1);
    unsigned offered[UNITS];

    for (int t = 0; t < 5; t++) {
        replace_touch(&ref[77]);
        (void)turn(&v, 8, offered);
        CU_ASSERT_EQUAL(offered[77], 0);
        CU_ASSERT_EQUAL(offered[78], 1);
    }
}

static void a_reset_page_goes(void)
{
    struct replace_view v = view_of(1);
    unsigned offered[UNITS];

    for (unsigned i = 0; i < UNITS; i++)
        replace_touch(&ref[i]);
    replace_reset(&ref[9]);
    (void)turn(&v, 32, offered);
    for (unsigned i = 0; i < UNITS; i++)
        CU_ASSERT_EQUAL(offered[i], i == 9);
}

static void extents_of_others_are_passed(void)
{
    struct replace_view v = view_of(1);
    unsigned offered[UNITS];

    mine_mask = 0x5;
    for (unsigned i = 0; i < UNITS; i++)
        replace_touch(&ref[i]);
    (void)turn(&v, 16, offered);
    (void)turn(&v, 16, offered);
    for (unsigned i = 0; i < UNITS; i++) {
        CU_ASSERT_EQUAL(offered[i], (mine_mask >> i / EXTENT & 1) != 0);
        CU_ASSERT_EQUAL(ref[i], (mine_mask >> i / EXTENT & 1) == 0); /* nor are they written */
    }
}

static void large_pages_are_named_by_their_first_unit(void)
{
    static const uint32_t units[] = { 2, 8, 64 };
    unsigned offered[UNITS];

    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        struct replace_view v = view_of(units[u]);

        (void)turn(&v, 4, offered);
        for (unsigned i = 0; i < UNITS; i++)
            CU_ASSERT_EQUAL(offered[i], i % units[u] == 0);
    }
}

/* A hand that another page size, or a death, left anywhere. */
static void any_hand_will_do(void)
{
    struct replace_view v = view_of(4);
    uint32_t out[64];
    uint64_t moved = 0;

    hand = UINT32_MAX;
    CU_ASSERT(replace_next(&v, 4, out, &moved) > 0);
    CU_ASSERT_EQUAL(out[0], 0);
    hand = 7;
    CU_ASSERT(replace_next(&v, 4, out, &moved) > 0);
    CU_ASSERT_EQUAL(out[0], 4);
    hand = UNITS - 1;
    CU_ASSERT(replace_next(&v, 4, out, &moved) > 0);
    CU_ASSERT_EQUAL(out[0], UNITS - 4);
    CU_ASSERT_EQUAL(hand, 0);
}

static void a_limit_inside_an_extent_is_kept(void)
{
    struct replace_view v = view_of(1);
    uint32_t out[64];
    uint64_t moved = 0;

    v.limit = EXTENT * 3;
    while (moved < 4 * (uint64_t)v.limit) {
        uint32_t n = replace_next(&v, 64, out, &moved);

        for (uint32_t i = 0; i < n; i++)
            CU_ASSERT(out[i] < v.limit);
        CU_ASSERT(hand < v.limit);
    }
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "one turn offers every page once", all_are_offered_once },
        { "what was seen since the last turn gets another one", seen_pages_get_another_turn },
        { "a page in use at each turn stays", a_page_touched_each_turn_stays },
        { "U6: a page that is to go first is offered first", a_reset_page_goes },
        { "extents of other page sizes are neither offered nor touched",
          extents_of_others_are_passed },
        { "large pages: one frame each", large_pages_are_named_by_their_first_unit },
        { "a hand that stands anywhere", any_hand_will_do },
        { "the limit is kept", a_limit_inside_an_extent_is_kept },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "replace", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
