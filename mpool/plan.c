/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes.  The page memory asked for is cut into extents of a 64th of it, between 64 KiB and 2 MiB.
 * Behind the region's end there is address space for as many extents more as all other page sizes
 * need at least (rule 4 of extent.c); the lanes lie between, so some numbers of extents are holes.
 * Tables are made for all numbers.
 */
#include "mpool/plan.h"
#include "mpool/extent.h"

enum { POOL_DEFAULT = 256 * 1024, POOL_LEAST = 20 * 1024, FILES_DEFAULT = 256 };

#define EXTENT_LEAST_SHIFT 16
#define EXTENT_MOST_SHIFT  21
#define UNITS_MAX          (1u << 28)
#define UNIT_DEFAULT       4096u

static uint64_t round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

static uint32_t extent_shift(uint64_t bytes)
{
    uint32_t shift = EXTENT_LEAST_SHIFT;

    while (shift < EXTENT_MOST_SHIFT && 64ULL << shift < bytes)
        shift++;
    return shift;
}

/* Extents that the page sizes from the unit up need at least, all together. */
static uint32_t spare_extents(uint32_t unit_shift, uint32_t shift)
{
    uint32_t n = 0;

    for (uint32_t page = 1U << unit_shift; page <= TARN_PAGE_SIZE_MAX; page *= 2)
        n += extent_least(page, shift);
    return n;
}

static int check(const struct tarn_mpool_config *c, const struct tarn_env_sink *sink)
{
    if (c->unit != 0 && (c->unit < TARN_PAGE_SIZE_MIN || c->unit > TARN_PAGE_SIZE_MAX ||
                         (c->unit & (c->unit - 1)) != 0))
        return tarn_fail(sink, TARN_EINVAL, "pool: unit %u: a power of two from %u to %u", c->unit,
                         TARN_PAGE_SIZE_MIN, TARN_PAGE_SIZE_MAX);
    if (c->max_files > KEY_FILE_MAX)
        return tarn_fail(sink, TARN_EINVAL, "pool: max_files %u: at most %u", c->max_files,
                         KEY_FILE_MAX);
    if (c->bytes / (c->unit ? c->unit : UNIT_DEFAULT) > UNITS_MAX / 2)
        return tarn_fail(
            sink, TARN_EINVAL,
            "pool: %llu bytes are more than %u units of %u bytes: choose a larger unit",
            (unsigned long long)c->bytes, UNITS_MAX / 2, c->unit ? c->unit : UNIT_DEFAULT);
    return 0;
}

/* Where the tables stand, one after the other. */
static void place(struct pool_plan *s)
{
    uint64_t words = (s->units + 63) / 64;
    uint64_t at = round_up(sizeof(struct pool_header), 64);

    s->files_off = at;
    at = round_up(at + (uint64_t)s->max_files * s->file_stride, 64);
    s->extent_off = at;
    at = round_up(at + s->extents * sizeof(uint64_t), 64);
    s->lock_off = at;
    at = round_up(at + (s->groups + 1) * sizeof(own_word), 64);
    s->ovf_off = at;
    at = round_up(at + ((uint64_t)s->groups + 1) * GROUP_BUCKETS, 64);
    s->frame_off = at;
    at = round_up(at + (uint64_t)s->units * sizeof(struct frame), 64);
    s->ref_off = at;
    at = round_up(at + s->units, 64);
    s->free_off = at;
    at = round_up(at + (words + 1) * sizeof(uint64_t), 64);
    s->dirty_off = at;
    at = round_up(at + (words + 1) * sizeof(uint64_t), 64);
    s->entry_off = at;
    at += ((uint64_t)s->groups + 1) * GROUP_ENTRIES * sizeof(struct entry);
    s->data_off = round_up(at, TARN_PAGE_SIZE_MAX);
    s->bytes = s->data_off + ((uint64_t)s->extents_made << s->extent_shift);
}

int plan_make(const struct tarn_mpool_config *c, const struct tarn_env_sink *sink,
              struct pool_plan *s)
{
    uint64_t bytes = c->bytes ? c->bytes : POOL_DEFAULT;
    uint32_t procs = c->max_procs ? c->max_procs : 128, threads = c->max_threads;
    uint64_t lanes = ((uint64_t)(threads ? threads : 1024) + 64) * (sizeof(struct pool_lane) + 128);
    uint32_t spare, gap;
    int ret = check(c, sink);

    if (ret != 0)
        return ret;
    bytes = bytes > POOL_LEAST ? bytes : POOL_LEAST;
    s->unit_shift = (uint32_t)__builtin_ctz(c->unit ? c->unit : UNIT_DEFAULT);
    s->extent_shift = extent_shift(bytes);
    s->extents_made = (uint32_t)((bytes + (1ULL << s->extent_shift) - 1) >> s->extent_shift);
    spare = spare_extents(s->unit_shift, s->extent_shift);
    gap = (uint32_t)(lanes >> s->extent_shift) + 2;
    s->extents = s->extents_made + gap + spare;
    s->grow_bytes = (uint64_t)(spare + 1) << s->extent_shift;
    s->units = s->extents << (s->extent_shift - s->unit_shift);
    s->groups = ((s->extents_made + spare) << (s->extent_shift - s->unit_shift)) / GROUP_UNITS;
    s->groups += s->groups == 0;
    s->max_files = c->max_files ? c->max_files : FILES_DEFAULT;
    s->opener_words = (procs + 8) / 64 + 1;
    s->file_stride =
        (uint32_t)round_up(sizeof(struct file_record) + s->opener_words * sizeof(uint64_t), 64);
    place(s);
    return 0;
}

uint64_t plan_fingerprint(void)
{
    static const uint64_t facts[] = { sizeof(struct pool_header),
                                      sizeof(struct file_record),
                                      sizeof(struct frame),
                                      sizeof(struct pool_lane),
                                      GROUP_BUCKETS,
                                      BUCKET_ENTRIES,
                                      BATCH_MAX,
                                      INTENTS,
                                      LANE_PINS,
                                      KEY_PAGE_BITS };
    uint64_t hash = 0;

    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
        hash = (hash ^ facts[i]) * 0x9e3779b97f4a7c15ULL + 1;
    return hash;
}

/* ---- a header that is there already ---------------------------------------------------------- */

/* Shifts and numbers; what is computed from them later neither overflows nor shifts too far. */
static bool sane_numbers(const struct pool_header *h)
{
    return h->unit_shift >= 9 && h->unit_shift <= 16 && h->extent_shift >= EXTENT_LEAST_SHIFT &&
           h->extent_shift <= EXTENT_MOST_SHIFT && h->extents_made <= h->extents_spare &&
           h->extents_spare <= h->extents && h->units <= UNITS_MAX &&
           (uint64_t)h->extents << (h->extent_shift - h->unit_shift) == h->units &&
           h->groups != 0 && h->groups <= UNITS_MAX / GROUP_UNITS && h->max_files != 0 &&
           h->max_files <= KEY_FILE_MAX;
}

/* A table of len bytes at off ends before the next one; all words in it are aligned. */
static bool fits(uint64_t off, uint64_t len, uint64_t next)
{
    return off % 64 == 0 && off <= next && len <= next - off;
}

bool plan_holds_rows(const struct pool_header *h, uint32_t rows)
{
    uint64_t openers = h->opener_words * sizeof(uint64_t);

    return rows <= h->opener_words * 64ULL && h->file_stride % 64 == 0 &&
           h->file_stride >= sizeof(struct file_record) + openers;
}

bool plan_sane(const struct pool_header *h, uint64_t layer_bytes)
{
    uint64_t groups = h->groups + 1ULL, map = (h->units + 63ULL) / 64 * 8;

    return sane_numbers(h) && plan_holds_rows(h, 1) && h->files_off >= sizeof(*h) &&
           fits(h->files_off, (uint64_t)h->max_files * h->file_stride, h->extent_off) &&
           fits(h->extent_off, h->extents * sizeof(uint64_t), h->lock_off) &&
           fits(h->lock_off, groups * sizeof(own_word), h->ovf_off) &&
           fits(h->ovf_off, groups * GROUP_BUCKETS, h->frame_off) &&
           fits(h->frame_off, h->units * sizeof(struct frame), h->ref_off) &&
           fits(h->ref_off, h->units, h->free_off) && fits(h->free_off, map, h->dirty_off) &&
           fits(h->dirty_off, map, h->entry_off) &&
           fits(h->entry_off, groups * GROUP_ENTRIES * sizeof(struct entry), h->data_off) &&
           fits(h->data_off, (uint64_t)h->extents_made << h->extent_shift, layer_bytes);
}
