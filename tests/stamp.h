/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that say which they are and who changed them last, and a table beside the pool, shared by
 * all processes of a test, of the changes that were begun and of those that were done: so that what
 * a page says can be checked after any number of deaths.
 */
#ifndef TARN_TESTS_STAMP_H
#define TARN_TESTS_STAMP_H

#include <stdarg.h>
#include <sys/mman.h>

#include "pool.h"

enum { STAMP_FILES = 4, STAMP_PAGES = 256 };

struct stamp {
    uint32_t file, page, seq, worker;
    uint64_t sum;
};

struct progress {
    _Atomic uint32_t begun[STAMP_FILES][STAMP_PAGES];
    _Atomic uint32_t done[STAMP_FILES][STAMP_PAGES];
    _Atomic uint64_t ops[64]; /* by worker */
    _Atomic long steps;
    _Atomic int failed;
    char why[200];
};

static inline struct progress *progress_make(void)
{
    void *p = mmap(NULL, sizeof(struct progress), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    return p;
}

static inline void progress_drop(struct progress *p) { (void)munmap(p, sizeof(*p)); }

/* The first who fails says why. */
__attribute__((format(printf, 2, 3))) static inline int progress_fail(struct progress *p,
                                                                      const char *format, ...)
{
    va_list args;

    if (atomic_exchange(&p->failed, 1) == 0) {
        va_start(args, format);
        (void)vsnprintf(p->why, sizeof(p->why), format, args);
        va_end(args);
    }
    return 1;
}

static inline uint64_t stamp_sum(const struct stamp *s)
{
    uint64_t h = (uint64_t)s->file << 32 | s->page;

    return (h ^ ((uint64_t)s->seq << 32 | s->worker) * 0x9e3779b97f4a7c15ULL) + 1;
}

/* At the start of the page and at its end. */
static inline void stamp_write(void *page, size_t size, struct stamp s)
{
    s.sum = stamp_sum(&s);
    memcpy(page, &s, sizeof(s));
    memcpy((char *)page + size - sizeof(s), &s, sizeof(s));
}

static inline bool stamp_read(const void *page, size_t size, uint32_t file, uint32_t pgno,
                              struct stamp *s)
{
    memcpy(s, page, sizeof(*s));
    return s->file == file && s->page == pgno && s->sum == stamp_sum(s) &&
           memcmp(s, (const char *)page + size - sizeof(*s), sizeof(*s)) == 0;
}

/* Make file name of `pages` pages, all with sequence 0. */
static inline void stamp_fill(const struct bed *b, const char *name, uint32_t file, size_t size,
                              uint32_t pages)
{
    static uint8_t page[TARN_PAGE_SIZE_MAX];
    char path[128];
    FILE *f;

    bed_path(b, name, path);
    f = fopen(path, "we");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (uint32_t i = 0; i < pages; i++) {
        memset(page, 0, size);
        stamp_write(page, size, (struct stamp){ .file = file, .page = i });
        CU_ASSERT_EQUAL(fwrite(page, 1, size, f), size);
    }
    CU_ASSERT_EQUAL(fclose(f), 0);
}

#endif
