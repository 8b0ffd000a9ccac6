/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Participants.
 *
 *            join: lock byte, CAS       life word taken            leave
 *     FREE ------------------> JOINING ------------------> LIVE ----------> LEAVING ----+
 *      ^                          |                          |                 |        |
 *      |                          | dead                     +------ dead -----+        |
 *      |                          v                                   v                 |
 *      +<-------------------------+<---- REAPED <----------------- REAPING              |
 *      |                                    ^                                           |
 *      |                                    | dead                                      |
 *      +<--- that thread ends ---- PARKED --+<--- another thread holds the life word ---+
 *      +<-------------------------------------------------------------------------------+
 *
 * Rules
 *   1. The lock byte 1 + row of the region's lock file is held from before JOINING until after the
 *      last change of the row by its process; the kernel frees it at death, after all threads have
 *      stopped.  So a row that is not FREE and whose byte is free is dead.
 *   2. The generation rises with each JOINING, and every change is a CAS from the word that was seen:
 *      who was too late changes nothing.
 *   3. The word of a row has a bit for each layer that the process uses; REAPED needs all cleared.
 *   4. A row is FREE again only when no lane names it.
 *
 * Who is dead.  The life word costs a load and is a hint, the lock byte a system call and decides,
 * the identity of the process breaks a tie:
 *
 *      life word      lock byte    the process is
 *      held           (not asked)  alive; a hint is enough to go on waiting
 *      held           free         the identity says, if it cannot: alive       (closed by mistake)
 *      free or died   held         the identity says, if it cannot: alive       (its thread ended, or
 *                                                                a child has the descriptor still)
 *      free or died   free         dead
 *
 * One mistake of an application never makes the living dead.  Not promised: that the dead are seen
 * where two witnesses are broken at once; then a row is lost until the region is removed.
 *
 * tests/test_rows.c and tests/test_death.c hold this.
 */
#include "region/rows.h"

#include "region/env.h"
#include "region/own.h"
#include "region/process.h"
#include "region/reap.h"

bool rows_byte_held(const struct tarn_region *region, uint32_t row)
{
    const struct tarn_os *os = region->os;
    int held;

    return os->sync->lock_byte(os, region->lock_file, 1 + (uint64_t)row, TARN_LOCK_TEST, &held) !=
               TARN_OK ||
           held;
}

static bool process_alive(const struct tarn_region *region, const struct tarn_procid *id)
{
    struct tarn_procid copy = *id;
    int alive;

    return region->os->proc->alive(region->os, &copy, &alive) != TARN_OK || alive;
}

bool rows_alive(struct tarn_region *region, uint32_t row, uint32_t gen)
{
    const struct tarn_os *os = region->os;
    struct row *r = rows_at(region, row);
    uint64_t word = atomic_load(&r->state);
    enum tarn_life_state life = TARN_LIFE_FREE;
    bool held;

    if (row_gen(word) != gen)
        return false;
    switch (row_state(word)) {
    case ROW_FREE:
    case ROW_REAPING:
    case ROW_REAPED:
    case ROW_PARKED:
        return false;
    default:
        break;
    }
    if (region->private_ || (row == region->row && gen == region->row_gen))
        return true;
    held = rows_byte_held(region, row);
    if (row_state(word) == ROW_JOINING)
        return held;
    if (os->sync->life_look(os, &r->life, &life) != TARN_OK)
        life = held ? TARN_LIFE_HELD : TARN_LIFE_FREE; /* no such witness: the byte alone */
    if (held == (life == TARN_LIFE_HELD))
        return held;
    return process_alive(region, &r->proc);
}

bool rows_in_use(const struct tarn_region *region, uint32_t row, uint32_t *gen)
{
    uint64_t word = atomic_load(&rows_at(region, row)->state);

    if (row_state(word) == ROW_FREE || row_state(word) == ROW_PARKED)
        return false;
    *gen = row_gen(word);
    return true;
}

/* ---- join -------------------------------------------------------------------------------------- */

static uint32_t my_layers(const struct tarn_region *region)
{
    uint32_t layers = 0;

    for (uint32_t i = 0; i < REGION_LAYERS; i++)
        layers |= region->layer_ops[i] == NULL ? 0u : 1u << i;
    return layers;
}

static int lock_row(struct tarn_region *region, uint32_t row, enum tarn_lockop op)
{
    if (region->lock_file == TARN_NO_FILE)
        return TARN_OK;
    return region->os->sync->lock_byte(region->os, region->lock_file, 1 + (uint64_t)row, op, NULL);
}

static int take_life(struct tarn_region *region, struct row *row)
{
    int err;

    region->life_thread = 0;
    if (region->private_)
        return TARN_OK;
    err = process_watch_thread(region->os);
    if (err == TARN_OK)
        err = region->os->sync->life_take(region->os, &row->life);
    if (err == TARN_OK)
        region->life_thread = process_thread();
    return err == TARN_ENOSYS ? TARN_OK : err;
}

/* Make row number i ours.  TARN_EBUSY: somebody has it. */
static int take_row(struct tarn_region *region, uint32_t i, const struct tarn_procid *self)
{
    struct row *row = rows_at(region, i);
    uint64_t word = atomic_load(&row->state);
    uint32_t gen = row_gen(word) == ROW_GEN_MAX ? 1 : row_gen(word) + 1;
    int err;

    if (row_state(word) != ROW_FREE)
        return TARN_EBUSY;
    if ((err = lock_row(region, i, TARN_LOCK_TRY)) != TARN_OK)
        return err;
    if (!atomic_compare_exchange_strong(&row->state, &word, row_make(ROW_JOINING, gen, 0))) {
        (void)lock_row(region, i, TARN_LOCK_FREE);
        return TARN_EBUSY;
    }
    row->proc = *self;
    atomic_store(&row->helping, 0);
    if ((err = take_life(region, row)) != TARN_OK) {
        atomic_store(&row->state, row_make(ROW_FREE, gen, 0));
        (void)lock_row(region, i, TARN_LOCK_FREE);
        return err;
    }
    region->row = i;
    region->row_gen = gen;
    atomic_store(&row->state, row_make(ROW_LIVE, gen, my_layers(region)));
    return TARN_OK;
}

static int take_any(struct tarn_region *region, const struct tarn_procid *self)
{
    for (uint32_t i = 0; i < region->header->max_procs; i++) {
        int err = take_row(region, i, self);

        if (err != TARN_EBUSY)
            return err;
    }
    return TARN_EBUSY;
}

int rows_join(struct tarn_region *region)
{
    struct env_reason reason;
    struct tarn_procid self;
    int err;

    region->row = UINT32_MAX;
    region->row_gen = 0;
    err = region->os->proc->self(region->os, &self, NULL);
    if (err == TARN_OK)
        err = take_any(region, &self);
    if (err == TARN_EBUSY) {
        (void)reap_sweep(region);
        err = take_any(region, &self);
    }
    if (err == TARN_EBUSY)
        return tarn_fail(region->sink, TARN_ENOSPC,
                         "region %s: all %u rows for processes are taken: create it with a larger "
                         "max_procs",
                         region->name, region->header->limit_procs);
    if (err != TARN_OK)
        return tarn_fail(region->sink, err, "region %s: cannot become a participant: %s",
                         region->name, env_reason(region->os, &reason));
    return TARN_OK;
}

bool rows_crowded(struct tarn_region *region)
{
    uint32_t living = 0;

    for (uint32_t i = 0; i < region->header->max_procs; i++) {
        uint64_t word = atomic_load(&rows_at(region, i)->state);

        living += row_state(word) == ROW_JOINING || row_state(word) == ROW_LIVE ||
                  row_state(word) == ROW_LEAVING;
    }
    return living > region->header->limit_procs;
}

/* ---- leave ------------------------------------------------------------------------------------- */

static void leave_lane(struct tarn_region *region, uint32_t lane, uint64_t owner)
{
    uint32_t tag = tag_make(lane, lane_tag_gen(owner));

    if (own_holder(&region->header->lock) == tag)
        own_unlock(region, &region->header->lock, tag);
    for (int i = 0; i < REGION_LAYERS; i++) {
        const struct region_layer *ops = region->layer_ops[i];

        if (ops == NULL || ops->idle(region, region->layer_ctx[i], lane))
            continue;
        ops->locks(region, region->layer_ctx[i], lane, tag);
        ops->repair(region, region->layer_ctx[i], lane, tag);
    }
    rows_lane_clear(region, lane, owner);
}

/* The last change of the row, and after it somebody else may have the byte. */
static void let_go(struct tarn_region *region)
{
    atomic_store(&rows_at(region, region->row)->state, row_make(ROW_FREE, region->row_gen, 0));
    (void)lock_row(region, region->row, TARN_LOCK_FREE);
}

void rows_leave(struct tarn_region *region)
{
    struct row *row = rows_at(region, region->row);
    uint64_t mine = lane_holder_make(region->row, region->row_gen);
    uint32_t layers = row_layers(atomic_load(&row->state));

    atomic_store(&row->state, row_make(ROW_LEAVING, region->row_gen, layers));
    for (uint32_t i = 0; i < rows_lane_count(region); i++) {
        uint64_t owner = atomic_load(&region_lane(region, i)->owner);

        if (lane_holder(owner) == mine)
            leave_lane(region, i, owner);
    }
    if (region->life_thread != 0 && region->life_thread != process_thread()) {
        region->parked = true;
        atomic_store(&row->state, row_make(ROW_PARKED, region->row_gen, 0));
        return;
    }
    if (region->life_thread != 0)
        (void)region->os->sync->life_drop(region->os, &row->life);
    let_go(region);
}

void rows_unpark(struct tarn_region *region)
{
    (void)region->os->sync->life_drop(region->os, &rows_at(region, region->row)->life);
    let_go(region);
}
