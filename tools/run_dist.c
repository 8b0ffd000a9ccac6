/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zipf's law: rank k is drawn with probability h(k) / sum of h, h(x) = x^-S.
 *
 * Drawn by rejection-inversion (W. Hoermann and G. Derflinger, 1996): a point is thrown evenly under
 * the curve h between 1/2 and n + 1/2, which inverting the integral H gives at once; the bar over
 * the nearest rank k is then accepted if the point lies in its area h(k).  No table, and the set-up
 * does not depend on n.
 *
 *     H(x) = (x^(1-S) - 1) / (1-S)       its inverse  (1 + (1-S) a)^(1 / (1-S))
 *
 * Points within `squeeze` below their rank are always inside, so that most draws need no second
 * look.  tests/test_tool_dist.c compares frequencies with the law.
 */
#include "tools/run_dist.h"

#include <math.h>

#define S 0.99 /* as the usual benchmarks have it; not 1, where H would be a logarithm */

static double curve(double x) { return pow(x, -S); }

static double area(double x) { return (pow(x, 1 - S) - 1) / (1 - S); }

static double area_inverse(double a) { return pow(1 + (1 - S) * a, 1 / (1 - S)); }

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

void dist_open(struct dist *d, enum dist_kind kind, uint64_t n)
{
    d->kind = kind;
    d->n = n;
    d->step = 1;
    if (kind == DIST_UNIFORM || n < 3)
        return;
    d->area_first = area(1.5) - 1;
    d->area_last = area((double)n + 0.5);
    d->squeeze = 2 - area_inverse(area(2.5) - curve(2));
    if (n > UINT32_MAX)
        return; /* rank * step would not fit */
    d->step = (uint64_t)((double)n * 0.618) | 1;
    while (common_divisor(d->step, n) != 1)
        d->step++;
}

static uint64_t zipf_rank(const struct dist *d, uint64_t *state)
{
    for (;;) {
        double even = (double)(dist_random(state) >> 11) * 0x1p-53;
        double a = d->area_last + even * (d->area_first - d->area_last);
        double x = area_inverse(a);
        uint64_t k = x < 1 ? 1 : (uint64_t)(x + 0.5);

        if (k > d->n)
            k = d->n;
        if ((double)k - x <= d->squeeze || a >= area((double)k + 0.5) - curve((double)k))
            return k;
    }
}

uint64_t dist_next(const struct dist *d, uint64_t *state)
{
    if (d->kind == DIST_UNIFORM || d->n < 3)
        return dist_random(state) % d->n;
    return zipf_rank(d, state) % d->n * d->step % d->n;
}

void dist_shuffle(uint64_t *items, uint64_t n, uint64_t *state)
{
    for (uint64_t i = n; i > 1; i--) {
        uint64_t other = dist_random(state) % i;
        uint64_t keep = items[i - 1];

        items[i - 1] = items[other];
        items[other] = keep;
    }
}
