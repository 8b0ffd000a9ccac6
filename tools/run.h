/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `tarn run`: the rooms of the main job and what they share.
 *
 *   run.c         the order of things, signals
 *   run_plan.c    options; the private copy and where everything is put
 *   run_board.c   the board: memory outside Tarn that the parent and all workers see
 *   run_page.c    what a page must hold
 *   run_worker.c  a worker process and its threads
 *   run_crew.c    starting, watching, killing and ending the workers
 *   run_check.c   spoiling, and the last check with plain reads
 *   run_report.c  progress, table, JSON, verdict
 *   run_dist.c    which page next
 *
 * Workers are numbered 0 to W-1 over all processes.  A page may be stamped by one of them: the one
 * whose number is page modulo W.  A stamp is the word at byte 0 of the page, {worker + 1, sequence};
 * everything else in the page never changes, and every look at a page compares it with FILE.  What
 * the stamp must be stands on the board, for each page the sequence begun and the one put: a look
 * that began after n was put and ended before m was begun must see one of n to m.
 */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include <apr_mmap.h>
#include <apr_thread_proc.h>
#include <signal.h>
#include <stdatomic.h>

#include <tarn/mpool.h>

#include "tools/run_dist.h"
#include "tools/tool.h"

#define POOL_NAME "mpool"

enum { RUN_PROCS_MAX = 1024, RUN_THREADS_MAX = 256, RUN_PATH_MAX = 1024 };

/* How a backend's memory gets to the workers. */
enum run_mode {
    RUN_JOIN, /* new processes that join the pool by its name */
    RUN_FORK, /* children that have it from their parent */
    RUN_ALONE /* threads of this process: the memory cannot be shared */
};

/* ---- the plan: what was asked for ------------------------------------------------------------- */

struct run_plan {
    const char *file;    /* as given */
    const char *backend; /* NULL: as Tarn chooses */
    uint64_t procs;      /* 0: not given */
    uint64_t threads;
    uint64_t seconds; /* 0: not given */
    uint64_t cache;   /* 0: a quarter of the file */
    uint64_t page;
    uint64_t write; /* per cent */
    uint64_t spoil;
    uint64_t kill;
    uint64_t seed; /* 0: any */
    enum dist_kind dist;
    bool json;
};

/* 0 (all read), or what args_next said. */
int plan_read(struct run_plan *plan, struct args *args);

/* ---- the board -------------------------------------------------------------------------------- */

enum worker_state { WORKER_STARTING = 0, WORKER_READY = 1, WORKER_DONE = 2, WORKER_FAILED = 3 };

enum count {
    COUNT_OPERATIONS, /* pages got and put */
    COUNT_STAMPS,     /* of these with a stamp */
    COUNT_VERIFIED,   /* of these found right */
    COUNT_WRONG,
    COUNT_HITS,
    COUNT_MISSES,
    COUNT_EVICTIONS,
    COUNT_WRITEBACKS,
    COUNTS
};

struct board_worker {
    _Alignas(128) _Atomic uint32_t state; /* enum worker_state */
    _Atomic uint32_t passed;              /* has read its whole share once */
    _Atomic uint64_t count[COUNTS];
    char error[600]; /* when FAILED */
    char wrong[200]; /* the first wrong page that it met, or "" */
};

struct board_page {
    _Atomic uint32_t begun, put; /* sequence of the last stamp */
};

enum { PAGE_SEEN = 1, PAGE_WRONG = 2 };

/* Then follow board_worker[W], board_page[pages], and a byte of flags for each page. */
struct board {
    uint32_t procs, threads, dist, write;
    uint64_t page_size, pages, file_size, seed;
    uint64_t parent;                                                 /* pid */
    char file[RUN_PATH_MAX], copy[RUN_PATH_MAX], home[RUN_PATH_MAX]; /* absolute */
    _Alignas(64) _Atomic uint32_t go, stop;
};

/* ---- the run, as one process has it ----------------------------------------------------------- */

struct run_child {
    apr_proc_t proc;
    bool running, killed; /* killed by us, on purpose */
    int signal, status;   /* how it ended */
};

struct run {
    struct tool *tool;
    apr_pool_t *pool;

    /* board */
    struct board *board;
    struct board_worker *workers;
    struct board_page *pages;
    _Atomic uint8_t *flags;
    uint32_t crew; /* W */

    /* FILE, mapped; and its last page if FILE ends within it, padded with zeros */
    const unsigned char *original;
    unsigned char *last_page;

    tarn_env *env;
    tarn_mpool *mpool;
    tarn_mpf *mpf;

    /* the parent's */
    struct run_plan plan;
    enum run_mode mode;
    const char *dir;        /* of all files of this run, but the region's memory */
    const char *region_dir; /* made for the region's memory; NULL: not by us */
    uint64_t copy_size, padding;
    apr_time_t file_time; /* of FILE's last change */
    struct run_child *children;
    apr_thread_t **threads; /* RUN_ALONE: in this process */
    double seconds;         /* that the workers worked */
    uint64_t died;          /* processes that ended without being told to */
    uint64_t killed;        /* and those killed on purpose */
    uint64_t checked, wrong_pages;
    bool spoiled, synced;
    struct tarn_mpool_stat stat;
    struct tarn_region_stat region;
};

/* Set by a signal that wants us to end. */
extern volatile sig_atomic_t run_interrupted;

/* run_plan.c: a fresh place for the run, and the copy in it; EXIT_OK or said what is wrong. */
int place_make(struct run *run);
int place_copy(struct run *run);
void place_remove(struct run *run);

/* run_board.c */
int board_make(struct run *run);
int board_open(struct run *run, const char *dir);
int original_open(struct run *run);
uint64_t board_sum(const struct run *run, enum count what, uint32_t first, uint32_t n);

/* run_page.c */
const unsigned char *page_original(const struct run *run, uint64_t pgno);
uint64_t page_stamp(uint32_t worker, uint32_t sequence);

/*
 * Does the page hold what FILE has, and in its first word, which was read before as `word`, a stamp
 * of low to high (0: what FILE has)?  If not, why says where.
 */
bool page_agrees(const struct run *run, uint64_t pgno, const unsigned char *page, uint64_t word,
                 uint32_t low, uint32_t high, char *why, size_t len);

/* run_worker.c: all threads of process proc of this run, started and waited for. */
int crew_threads_start(struct run *run, uint32_t proc, apr_thread_t **threads);
void crew_threads_join(struct run *run, apr_thread_t **threads);
int worker_process(struct run *run, uint32_t proc);

/* run_crew.c */
int crew_start(struct run *run);
int crew_work(struct run *run);
void crew_end(struct run *run);

/* run_check.c */
int check_spoil(struct run *run);
int check_pages(struct run *run);

/* run_report.c */
void report_start(const struct run *run);
void report_progress(const struct run *run, double seconds, bool last);
int report_end(const struct run *run);

/* Pages that the workers have read. */
uint64_t report_seen(const struct run *run);

#endif
