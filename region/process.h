/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this process has attached, and what happens to it at fork and at the end of a thread.
 */
#ifndef REGION_PROCESS_H
#define REGION_PROCESS_H

#include "region/handle.h"

/* Have every handle learn of a fork.  Once per process does something. */
int process_watch(const struct tarn_os *os);

/* Have the lanes and life words of the calling thread given back at its end. */
int process_watch_thread(const struct tarn_os *os);

/* A number that tells the calling thread from every other living one of the process; never 0. */
uint64_t process_thread(void);

/* A number that no earlier attach of this process had. */
uint64_t process_serial(void);

void process_add_env(struct tarn_env *env);
void process_remove_env(struct tarn_env *env);

void process_add(struct tarn_region *region);
/* Afterwards no end of a thread looks at it any more. */
void process_remove(struct tarn_region *region);

/*
 * The user of env has closed it.  True: detached regions of it wait for the thread that holds their
 * life word, and the last of them takes env with it (process_settle).
 */
bool process_close_env(struct tarn_env *env);

/* Let go of the parked regions whose life word the calling thread holds. */
void process_settle(void);

#endif
