/* SPDX-License-Identifier: BSD-2-Clause */
#include "region/sizes.h"

#include <stddef.h>

/* Far more than any machine has, and small enough that sums of a few do not overflow. */
#define BYTES_MAX (1ULL << 56)

static uint64_t round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

static int limits(const struct tarn_region_config *config, bool private_,
                  const struct tarn_env_sink *sink, const char *name, struct region_sizes *s)
{
    uint32_t procs = config->max_procs == 0 ? DEFAULT_PROCS : config->max_procs;
    uint32_t threads = config->max_threads == 0 ? DEFAULT_THREADS : config->max_threads;

    if (procs > ROWS_MAX)
        return tarn_fail(sink, TARN_EINVAL, "region %s: max_procs is %u, it can be 1 to %d", name,
                         procs, ROWS_MAX);
    if (threads > LANES_MAX - 1)
        return tarn_fail(sink, TARN_EINVAL, "region %s: max_threads is %u, it can be 1 to %d", name,
                         threads, LANES_MAX - 1);
    s->limit_procs = private_ ? 1 : procs;
    s->max_procs = private_ ? 1 : sizes_rows(procs);
    s->limit_threads = threads;
    if (s->limit_threads > LANES_MAX - LANES_SPARE)
        s->limit_threads = LANES_MAX - LANES_SPARE;
    s->max_lanes = (uint32_t)round_up(s->limit_threads + LANES_SPARE, LANE_CHUNK);
    return TARN_OK;
}

int sizes_compute(const struct tarn_region_config *config, const struct region_plan *plan,
                  size_t page, bool private_, const struct tarn_env_sink *sink, const char *name,
                  struct region_sizes *out)
{
    struct region_sizes s = { 0 };
    uint64_t layer = plan == NULL ? 0 : plan->bytes;
    uint64_t grow = plan == NULL ? 0 : plan->grow_bytes;
    uint64_t user = config->bytes;
    int err = limits(config, private_, sink, name, &s);

    if (err != TARN_OK)
        return err;
    if (user == 0 && plan == NULL)
        user = DEFAULT_BYTES;
    if (user > BYTES_MAX || layer > BYTES_MAX || grow > BYTES_MAX)
        return tarn_fail(sink, TARN_EINVAL, "region %s: %llu bytes are more than can be addressed",
                         name, (unsigned long long)(user > layer ? user : layer));
    s.lane_bytes = (uint32_t)round_up(sizeof(struct lane) + (plan == NULL ? 0 : plan->lane_bytes),
                                      _Alignof(struct lane));
    s.rows_off = round_up(sizeof(struct region_header), page);
    s.layer_off = round_up(s.rows_off + (uint64_t)s.max_procs * sizeof(struct row), page);
    s.layer_bytes = round_up(layer, page);
    s.user_off = s.layer_off + s.layer_bytes;
    s.user_bytes = round_up(user, page);
    s.lanes_off = s.user_off + s.user_bytes;
    s.end_off = sizes_lanes_end(s.lanes_off, s.lane_bytes, s.max_lanes, page);
    s.committed = sizes_lanes_end(s.lanes_off, s.lane_bytes, LANE_CHUNK, page);
    s.reserve = s.end_off + round_up(grow, page);
    *out = s;
    return TARN_OK;
}

static bool in_order(uint64_t off, uint64_t bytes, uint64_t next)
{
    return off <= next && bytes <= next - off;
}

bool sizes_sane(const struct region_header *h)
{
    return h->max_procs >= 1 && h->max_procs <= ROWS_MAX && h->limit_procs >= 1 &&
           h->limit_procs <= h->max_procs && h->max_lanes >= LANE_CHUNK &&
           h->max_lanes <= LANES_MAX && h->max_lanes % LANE_CHUNK == 0 &&
           h->spare_lanes < h->max_lanes && h->limit_threads <= h->max_lanes - h->spare_lanes &&
           h->lane_bytes >= sizeof(struct lane) && h->lane_bytes % _Alignof(struct lane) == 0 &&
           h->lane_bytes <= 1u << 24 && h->reserve <= BYTES_MAX && h->rows_off % 64 == 0 &&
           h->layer_off % 64 == 0 && h->user_off % 64 == 0 && h->lanes_off % 64 == 0 &&
           in_order(0, sizeof(*h), h->rows_off) &&
           in_order(h->rows_off, (uint64_t)h->max_procs * sizeof(struct row), h->layer_off) &&
           in_order(h->layer_off, h->layer_bytes, h->user_off) &&
           in_order(h->user_off, h->user_bytes, h->lanes_off) &&
           in_order(h->lanes_off, (uint64_t)h->max_lanes * h->lane_bytes, h->end_off) &&
           h->end_off <= h->reserve &&
           atomic_load_explicit(&h->lane_chunks, memory_order_acquire) <= h->max_lanes / LANE_CHUNK;
}

uint64_t sizes_fingerprint(const struct region_plan *plan)
{
    static const uint64_t facts[] = {
        REGION_FORMAT,
        TAG_LANE_BITS,
        LANE_CHUNK,
        sizeof(struct region_header),
        offsetof(struct region_header, uuid),
        offsetof(struct region_header, backend),
        offsetof(struct region_header, committed),
        offsetof(struct region_header, grow),
        offsetof(struct region_header, lock),
        offsetof(struct region_header, reasons),
        sizeof(struct row),
        offsetof(struct row, proc),
        offsetof(struct row, life),
        offsetof(struct row, helping),
        sizeof(struct lane),
        offsetof(struct lane, thread),
        sizeof(struct tarn_procid),
        sizeof(struct tarn_life),
    };
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a, a word at a time */

    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        hash = (hash ^ facts[i]) * 0x100000001b3ULL;
    return plan == NULL ? hash : (hash ^ plan->fingerprint) * 0x100000001b3ULL;
}
