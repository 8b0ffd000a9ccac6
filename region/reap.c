/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repair after a death.
 *
 *   announce --> LIVE, LEAVING --CAS--> REAPING   locks of all its lanes: taken over, mended, freed
 *                                       REAPING   everything else its lanes held
 *                                       REAPING   what the row alone held
 *                                       REAPING   the bits of the layers that did all this: cleared
 *                                       REAPED    if no bit is left
 *   withdraw --> if nobody is announced: lanes free, REAPED --CAS--> FREE
 *
 * Rules
 *   1. Repairing is helping: any number of processes may do it at once and die of it.  Each step is a
 *      CAS from exactly what the dead one left, or is done under a word that was first taken over.
 *   2. A layer whose code this process has not keeps its bit, and the row stays REAPING until
 *      somebody comes who has it.
 *   3. Lanes and row are used again only when no repairer is announced that can have seen the row as
 *      REAPING: the word is changed to REAPED first, then the announcements are looked at.  The last
 *      repairer to withdraw finds none and frees; all these accesses are seq_cst.  So a repairer may
 *      clear what a lane holds without fear that the lane is a new owner's.
 *   4. A repairer that dies is announced no more (its row is not alive).  One that is stopped keeps
 *      rows and lanes from being used again, nothing else.
 *
 * Not promised: that a dead row is free at once.  Its locks and claims are.
 *
 * tests/test_death.c kills participants, and repairers in the middle.
 */
#include "region/reap.h"

#include "region/own.h"
#include "region/rows.h"

/* ---- announcing ---------------------------------------------------------------------------------- */

static void announce(struct tarn_region *region)
{
    if (region->row_gen != 0)
        atomic_fetch_add(&rows_at(region, region->row)->helping, 1);
}

static void withdraw(struct tarn_region *region)
{
    if (region->row_gen != 0)
        atomic_fetch_sub(&rows_at(region, region->row)->helping, 1);
}

bool reap_announced(struct tarn_region *region)
{
    for (uint32_t i = 0; i < region->header->max_procs; i++) {
        uint64_t word = atomic_load(&rows_at(region, i)->state);

        if (row_state(word) != ROW_FREE && atomic_load(&rows_at(region, i)->helping) != 0 &&
            rows_alive(region, i, row_gen(word)))
            return true;
    }
    return false;
}

uint32_t reap_own_tag(struct tarn_region *region)
{
    uint32_t lane, tag;

    return rows_lane_spare(region, &lane, &tag) ? tag : 0;
}

/* ---- the region's own words ---------------------------------------------------------------------- */

static void mend_locks(struct tarn_region *region, uint32_t dead, uint32_t tag)
{
    struct region_header *h = region->header;

    if (own_steal(&h->lock, dead, tag)) {
        atomic_store(&h->lock_died, 1);
        own_unlock(region, &h->lock, tag);
    }
    if (own_steal(&h->grow, dead, tag))
        own_unlock(region, &h->grow, tag);
}

/* ---- one row ------------------------------------------------------------------------------------- */

/* The lanes of the row, one after another: *lane is where to go on. */
static bool next_lane(struct tarn_region *region, uint64_t holder, uint32_t *lane, uint64_t *owner)
{
    for (; *lane < rows_lane_count(region); ++*lane) {
        *owner = atomic_load(&region_lane(region, *lane)->owner);
        if (lane_holder(*owner) == holder)
            return true;
    }
    return false;
}

static void mend_all_locks(struct tarn_region *region, uint64_t holder, uint32_t tag)
{
    uint64_t owner;

    for (uint32_t lane = 0; next_lane(region, holder, &lane, &owner); lane++) {
        uint32_t dead = tag_make(lane, lane_tag_gen(owner));

        mend_locks(region, dead, tag);
        for (int i = 0; i < REGION_LAYERS; i++)
            if (region->layer_ops[i] != NULL)
                region->layer_ops[i]->locks(region, region->layer_ctx[i], lane, dead);
    }
}

static void repair_all(struct tarn_region *region, uint64_t holder)
{
    uint64_t owner;

    for (uint32_t lane = 0; next_lane(region, holder, &lane, &owner); lane++)
        for (int i = 0; i < REGION_LAYERS; i++)
            if (region->layer_ops[i] != NULL)
                region->layer_ops[i]->repair(region, region->layer_ctx[i], lane,
                                             tag_make(lane, lane_tag_gen(owner)));
}

/* Give back what the row, REAPING with this generation, held; its layers' bits are then cleared. */
static void repair_row(struct tarn_region *region, uint32_t row, uint64_t word)
{
    struct row *r = rows_at(region, row);
    uint64_t holder = lane_holder_make(row, row_gen(word)), owner;
    uint32_t tag = reap_own_tag(region), lane = 0, done = 0;

    if (tag == 0 && (row_layers(word) != 0 || next_lane(region, holder, &lane, &owner)))
        return;
    mend_all_locks(region, holder, tag);
    repair_all(region, holder);
    for (uint32_t i = 0; i < REGION_LAYERS; i++) {
        if (region->layer_ops[i] == NULL)
            continue;
        if (region->layer_ops[i]->row != NULL)
            region->layer_ops[i]->row(region, region->layer_ctx[i], row, row_gen(word));
        done |= 1u << i;
    }
    for (;;) {
        uint32_t left = row_layers(word) & ~done;
        enum row_state next = left == 0 ? ROW_REAPED : ROW_REAPING;

        if (atomic_compare_exchange_strong(&r->state, &word, row_make(next, row_gen(word), left)))
            return;
        if (row_state(word) != ROW_REAPING || lane_holder_make(row, row_gen(word)) != holder)
            return; /* somebody else was faster */
    }
}

/*
 * Once nobody can still be at it, the lanes and the row are free.  True if this was the one to do it.
 * The word is seen as REAPED before the announcements are looked at: rule 3.
 */
static bool free_row(struct tarn_region *region, uint32_t row)
{
    struct row *r = rows_at(region, row);
    uint64_t word = atomic_load(&r->state), owner;
    uint64_t holder = lane_holder_make(row, row_gen(word));

    if (row_state(word) != ROW_REAPED || reap_announced(region))
        return false;
    for (uint32_t lane = 0; next_lane(region, holder, &lane, &owner); lane++)
        rows_lane_clear(region, lane, owner);
    if (!atomic_compare_exchange_strong(&r->state, &word, row_make(ROW_FREE, row_gen(word), 0)))
        return false;
    atomic_fetch_add(&region->header->reaped, 1);
    return true;
}

/* A process that left, but for a life word of another thread of it, has ended: nothing is held. */
static void free_parked(struct tarn_region *region, uint32_t row, uint64_t word)
{
    if (!rows_byte_held(region, row))
        (void)atomic_compare_exchange_strong(&rows_at(region, row)->state, &word,
                                             row_make(ROW_FREE, row_gen(word), 0));
}

/* Is the row dead, or already being repaired?  Then repair it. */
static bool help(struct tarn_region *region, uint32_t row)
{
    struct row *r = rows_at(region, row);
    uint64_t word = atomic_load(&r->state);
    uint64_t reaping = row_make(ROW_REAPING, row_gen(word), row_layers(word));

    switch (row_state(word)) {
    case ROW_FREE:
        return false;
    case ROW_PARKED:
        free_parked(region, row, word);
        return false;
    case ROW_REAPED:
        return true;
    case ROW_REAPING:
        break;
    case ROW_JOINING:
    case ROW_LIVE:
    case ROW_LEAVING:
        if (rows_alive(region, row, row_gen(word)) ||
            !atomic_compare_exchange_strong(&r->state, &word, reaping))
            return false; /* not dead, or others are at it */
        break;
    }
    repair_row(region, row, reaping);
    return true;
}

/* Rows [from, end).  Repairing may wait for a lock of another dead process, and come here again. */
static uint32_t sweep(struct tarn_region *region, uint32_t from, uint32_t end)
{
    static _Thread_local unsigned depth;
    uint32_t helped = 0, freed = 0;

    if (region->private_)
        return 0;
    depth++;
    announce(region);
    for (uint32_t i = from; i < end; i++)
        helped += i != region->row && help(region, i);
    withdraw(region);
    for (uint32_t i = 0; helped > 0 && i < region->header->max_procs; i++)
        freed += free_row(region, i);
    if (--depth == 0 && helped > 0)
        rows_lane_unspare(region);
    return freed;
}

uint32_t reap_sweep(struct tarn_region *region)
{
    return sweep(region, 0, region->header->max_procs);
}

void reap_tag(struct tarn_region *region, uint32_t tag)
{
    uint32_t row;

    if (tag_lane(tag) >= rows_lane_count(region) || rows_lane_tag(region, tag_lane(tag)) != tag)
        return;
    row = rows_lane_row(region, tag_lane(tag));
    if (row < region->header->max_procs)
        (void)sweep(region, row, row + 1);
}
