/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STAMP_BYTES = 8 };

const unsigned char *page_original(const struct run *run, uint64_t pgno)
{
    const struct board *b = run->board;

    if (pgno + 1 == b->pages && run->last_page != NULL)
        return run->last_page;
    return run->original + pgno * b->page_size;
}

uint64_t page_stamp(uint32_t worker, uint32_t sequence)
{
    return (uint64_t)(worker + 1) << 32 | sequence;
}

static bool stamp_agrees(const struct run *run, uint64_t pgno, uint64_t word, uint32_t low,
                         uint32_t high)
{
    uint32_t owner = (uint32_t)(pgno % run->crew);
    uint32_t sequence = (uint32_t)word;
    uint64_t untouched;

    memcpy(&untouched, page_original(run, pgno), sizeof untouched);
    if (low == 0 && word == untouched)
        return true;
    return word == page_stamp(owner, sequence) && sequence != 0 && sequence >= low &&
           sequence <= high;
}

bool page_agrees(const struct run *run, uint64_t pgno, const unsigned char *page, uint64_t word,
                 uint32_t low, uint32_t high, char *why, size_t len)
{
    const unsigned char *want = page_original(run, pgno);
    size_t size = run->board->page_size, at = STAMP_BYTES;

    if (!stamp_agrees(run, pgno, word, low, high)) {
        (void)snprintf(why, len,
                       "page %" PRIu64 ": stamp {%" PRIu32 ", %" PRIu32 "} where worker %" PRIu32
                       " had begun %" PRIu32 " and put %" PRIu32,
                       pgno, (uint32_t)(word >> 32), (uint32_t)word,
                       (uint32_t)(pgno % run->crew) + 1, high, low);
        return false;
    }
    if (memcmp(page + STAMP_BYTES, want + STAMP_BYTES, size - STAMP_BYTES) == 0)
        return true;
    while (at + 1 < size && page[at] == want[at])
        at++;
    (void)snprintf(why, len, "page %" PRIu64 ": byte %zu is 0x%02x, in the file it is 0x%02x", pgno,
                   at, page[at], want[at]);
    return false;
}
