/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Included before everything else in a build of the pool for one test: every write to an atomic word
 * is a step, announced to step_here() before it is made, and step_here() may end the process.  So a
 * test can have a process die between any two such writes.
 */
#ifndef TARN_TESTS_STEPS_H
#define TARN_TESTS_STEPS_H

#include <stdatomic.h>

void step_here(void);

#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit

#ifdef __clang__
#define STEP_STORE(p, v, o)           __c11_atomic_store(p, v, o)
#define STEP_EXCHANGE(p, v, o)        __c11_atomic_exchange(p, v, o)
#define STEP_CAS(p, e, v, weak, s, f) __c11_atomic_compare_exchange_##weak(p, e, v, s, f)
#define STEP_FETCH(op, p, v, o)       __c11_atomic_fetch_##op(p, v, o)
#else
#define STEP_strong                   0
#define STEP_weak                     1
#define STEP_STORE(p, v, o)           __atomic_store_n(p, v, o)
#define STEP_EXCHANGE(p, v, o)        __atomic_exchange_n(p, v, o)
#define STEP_CAS(p, e, v, weak, s, f) __atomic_compare_exchange_n(p, e, v, STEP_##weak, s, f)
#define STEP_FETCH(op, p, v, o)       __atomic_fetch_##op(p, v, o)
#endif

#define STEP_SEQ memory_order_seq_cst

#define atomic_store_explicit(p, v, o)    (step_here(), STEP_STORE(p, v, o))
#define atomic_store(p, v)                atomic_store_explicit(p, v, STEP_SEQ)
#define atomic_exchange_explicit(p, v, o) (step_here(), STEP_EXCHANGE(p, v, o))
#define atomic_exchange(p, v)             atomic_exchange_explicit(p, v, STEP_SEQ)
#define atomic_compare_exchange_strong_explicit(p, e, v, s, f)                                     \
    (step_here(), STEP_CAS(p, e, v, strong, s, f))
#define atomic_compare_exchange_strong(p, e, v)                                                    \
    atomic_compare_exchange_strong_explicit(p, e, v, STEP_SEQ, STEP_SEQ)
#define atomic_compare_exchange_weak_explicit(p, e, v, s, f)                                       \
    (step_here(), STEP_CAS(p, e, v, weak, s, f))
#define atomic_compare_exchange_weak(p, e, v)                                                      \
    atomic_compare_exchange_weak_explicit(p, e, v, STEP_SEQ, STEP_SEQ)
#define atomic_fetch_add_explicit(p, v, o) (step_here(), STEP_FETCH(add, p, v, o))
#define atomic_fetch_add(p, v)             atomic_fetch_add_explicit(p, v, STEP_SEQ)
#define atomic_fetch_sub_explicit(p, v, o) (step_here(), STEP_FETCH(sub, p, v, o))
#define atomic_fetch_sub(p, v)             atomic_fetch_sub_explicit(p, v, STEP_SEQ)
#define atomic_fetch_or_explicit(p, v, o)  (step_here(), STEP_FETCH(or, p, v, o))
#define atomic_fetch_or(p, v)              atomic_fetch_or_explicit(p, v, STEP_SEQ)
#define atomic_fetch_and_explicit(p, v, o) (step_here(), STEP_FETCH(and, p, v, o))
#define atomic_fetch_and(p, v)             atomic_fetch_and_explicit(p, v, STEP_SEQ)

#endif
