/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault: a level that lets chosen calls fail and counts what is held, so that every error path can
 * be run and shown to hold nothing.
 *
 * The loop that it is for:
 *     for (n = 1, fired = 1; fired; n++) {
 *         fault_arm(f, n, TARN_ENOSPC, FAULT_ONCE);
 *         ret = what_is_tested(fault_os(f));
 *         fired = fault_fired(f) > 0;
 *         CU_ASSERT(ret == (fired ? TARN_ENOSPC : TARN_OK) && fault_held_all(f) == 0);
 *     }
 *
 * A call that is made to fail does nothing, except that what lets go (close, unmap, ...) has done so
 * and only says otherwise: the contract of the table leaves the caller no second try.
 */
#ifndef TARN_OS_FAULT_H
#define TARN_OS_FAULT_H

#include <tarn/os.h>

enum fault_kind {
    FAULT_FILE,    /* open files, of all kinds */
    FAULT_MAP,     /* mappings and attachments */
    FAULT_MEMORY,  /* malloc */
    FAULT_SEGMENT, /* System V segments that exist */
    FAULT_NAME,    /* names of shm_open that were made with EXCL */
    FAULT_LIST,    /* dirlist */
    FAULT_LIFE,    /* life words */
    FAULT_THREAD,
    FAULT_KINDS
};

enum fault_mode {
    FAULT_ONCE,   /* call N fails */
    FAULT_ALWAYS, /* call N and all later ones */
    FAULT_SHORT   /* call N writes half, then fails; write, pwrite and pwritev only */
};

struct fault;

/* A fault level on below that lets nothing fail yet, and counts from now on. */
int fault_new(const struct tarn_os *below, struct fault **out);
void fault_free(struct fault *f);
const struct tarn_os *fault_os(const struct fault *f);

/*
 * Choose a further slot: "pwrite", "file.pwrite", or "*" for all but last_error.  TARN_EINVAL, with
 * a message, if there is no such slot or it cannot fail.
 */
int fault_choose(struct fault *f, const char *slot);

/* From now on: call nth (from 1) of the chosen slots fails with err.  nth 0: none. */
void fault_arm(struct fault *f, long nth, int err, enum fault_mode mode);

/* Since fault_arm: calls of chosen slots, how many failed, and the last that did ("" if none). */
long fault_calls(const struct fault *f);
long fault_fired(const struct fault *f);
const char *fault_where(const struct fault *f);

/* What was taken through this level and not given back. */
long fault_held(const struct fault *f, enum fault_kind kind);
long fault_held_all(const struct fault *f);

#endif
