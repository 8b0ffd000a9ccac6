/* SPDX-License-Identifier: BSD-2-Clause */
/* Which page next: random numbers, and pages that are all alike or follow Zipf's law. */
#ifndef TOOLS_RUN_DIST_H
#define TOOLS_RUN_DIST_H

#include <stdint.h>

/* splitmix64: every state is a good one. */
static inline uint64_t dist_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

enum dist_kind { DIST_UNIFORM = 0, DIST_ZIPF = 1 };

struct dist {
    enum dist_kind kind;
    uint64_t n;    /* items */
    uint64_t step; /* rank to item, so that the popular ones are not neighbours */
    double area_first, area_last, squeeze;
};

void dist_open(struct dist *d, enum dist_kind kind, uint64_t n);

/* An item, 0 to n-1; n must not be 0. */
uint64_t dist_next(const struct dist *d, uint64_t *state);

/* Put items in random order. */
void dist_shuffle(uint64_t *items, uint64_t n, uint64_t *state);

#endif
