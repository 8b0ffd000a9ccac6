/* SPDX-License-Identifier: BSD-2-Clause */
/* This process's ways to the page files.  channel.c has the rules. */
#ifndef MPOOL_CHANNEL_H
#define MPOOL_CHANNEL_H

#include "mpool/pool.h"

/* Give the new handle its way to the file; fd is used, or closed if there is one already. */
int channel_attach(struct tarn_mpool *pool, struct tarn_mpf *file, bool writable, tarn_file fd);

/*
 * Take the handle out of the pool, and close its way to the file if no other needs it.  *last: this
 * process has no other handle of its file.  parents: this is a child after fork.
 */
int channel_detach(struct tarn_mpool *pool, struct tarn_mpf *file, bool parents, bool *last);

/*
 * Borrow the way to write pages of file id: that of a handle of this process, else the file is
 * opened by the record's path, if this process may.  TARN_EACCES: it may not; asked again of the
 * system after a second.  Given back by channel_return().
 */
int channel_borrow(struct tarn_mpool *pool, uint32_t id, struct file_channel **out);
void channel_return(struct tarn_mpool *pool, struct file_channel *channel);

/* Is the file that the channel leads to the one that its number stands for now? */
bool channel_leads(const struct tarn_mpool *pool, const struct file_channel *channel);

/* Close all: no handle needs one any more.  The first error. */
int channel_close_all(struct tarn_mpool *pool);

#endif /* MPOOL_CHANNEL_H */
