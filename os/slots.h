/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every slot of struct tarn_os, once.  Forwarders, absent slots, declarations and the shims are
 * made from this list, so that a new slot is one line here, one in the header, and its code.
 *
 * Each line is
 *   I(group, name, (parameters), (arguments), (what trace shows), (what it gives back), effect)
 * I is a slot that fails and then has done nothing; R one that lets go of something and has done so
 * also when it fails; V one that returns nothing.  The table called is `to` in the arguments; the
 * two trace columns are a format and its values, the second one used on success only; the effect
 * tells the fault shim what is held afterwards (see shim/fault.h), NOTHING or HOLD(kind, change).
 */
#ifndef TARN_OS_SLOTS_H
#define TARN_OS_SLOTS_H

#include <tarn/os.h>

#define SLOT_OS const struct tarn_os *os
#define NOTHING (void)0
#define PLAIN   ("%s", "")

/* clang-format off */
#define SLOTS_FILE(I, R, V) \
    I(file, open, (SLOT_OS, const char *path, unsigned flags, unsigned mode, tarn_file *out), \
      (to, path, flags, mode, out), \
      ("%s 0x%x 0%o", path, flags, mode), (" = %ld", (long)*out), HOLD(FILE, 1)) \
    R(file, close, (SLOT_OS, tarn_file f), (to, f), ("%ld", (long)f), PLAIN, HOLD(FILE, -1)) \
    I(file, read, (SLOT_OS, tarn_file f, void *buf, size_t len, size_t *got), \
      (to, f, buf, len, got), ("%ld %zu", (long)f, len), (" = %zu", *got), NOTHING) \
    I(file, write, (SLOT_OS, tarn_file f, const void *buf, size_t len), (to, f, buf, len), \
      ("%ld %zu", (long)f, len), PLAIN, NOTHING) \
    I(file, seek, (SLOT_OS, tarn_file f, int64_t off, enum tarn_whence whence, uint64_t *pos), \
      (to, f, off, whence, pos), ("%ld %lld %d", (long)f, (long long)off, (int)whence), PLAIN, NOTHING) \
    I(file, pread, (SLOT_OS, tarn_file f, void *buf, size_t len, uint64_t off, size_t *got), \
      (to, f, buf, len, off, got), \
      ("%ld %zu @%llu", (long)f, len, (unsigned long long)off), (" = %zu", *got), NOTHING) \
    I(file, pwrite, (SLOT_OS, tarn_file f, const void *buf, size_t len, uint64_t off), \
      (to, f, buf, len, off), ("%ld %zu @%llu", (long)f, len, (unsigned long long)off), PLAIN, NOTHING) \
    I(file, preadv, \
      (SLOT_OS, tarn_file f, const struct tarn_iov *iov, int n, uint64_t off, size_t *got), \
      (to, f, iov, n, off, got), \
      ("%ld %d pieces @%llu", (long)f, n, (unsigned long long)off), (" = %zu", *got), NOTHING) \
    I(file, pwritev, (SLOT_OS, tarn_file f, const struct tarn_iov *iov, int n, uint64_t off), \
      (to, f, iov, n, off), ("%ld %d pieces @%llu", (long)f, n, (unsigned long long)off), PLAIN, NOTHING) \
    I(file, truncate, (SLOT_OS, tarn_file f, uint64_t size), (to, f, size), \
      ("%ld %llu", (long)f, (unsigned long long)size), PLAIN, NOTHING) \
    I(file, allocate, (SLOT_OS, tarn_file f, uint64_t off, uint64_t len), (to, f, off, len), \
      ("%ld %llu @%llu", (long)f, (unsigned long long)len, (unsigned long long)off), PLAIN, NOTHING) \
    I(file, punch, (SLOT_OS, tarn_file f, uint64_t off, uint64_t len), (to, f, off, len), \
      ("%ld %llu @%llu", (long)f, (unsigned long long)len, (unsigned long long)off), PLAIN, NOTHING) \
    I(file, fsync, (SLOT_OS, tarn_file f, int data_only), (to, f, data_only), \
      ("%ld %d", (long)f, data_only), PLAIN, NOTHING) \
    I(file, advise, (SLOT_OS, tarn_file f, uint64_t off, uint64_t len, enum tarn_advice advice), \
      (to, f, off, len, advice), \
      ("%ld %llu @%llu %d", (long)f, (unsigned long long)len, (unsigned long long)off, (int)advice), \
      PLAIN, NOTHING) \
    I(file, ioinfo, (SLOT_OS, tarn_file f, struct tarn_stat *st), (to, f, st), \
      ("%ld", (long)f), (" = %llu bytes", (unsigned long long)st->size), NOTHING) \
    I(file, stat, (SLOT_OS, const char *path, struct tarn_stat *st), (to, path, st), \
      ("%s", path), (" = %llu bytes", (unsigned long long)st->size), NOTHING) \
    I(file, chmod, (SLOT_OS, tarn_file f, unsigned mode), (to, f, mode), \
      ("%ld 0%o", (long)f, mode), PLAIN, NOTHING) \
    I(file, link, (SLOT_OS, tarn_file f, const char *from, const char *to_path), \
      (to, f, from, to_path), ("%ld %s %s", (long)f, from == NULL ? "-" : from, to_path), PLAIN, NOTHING) \
    I(file, rename, (SLOT_OS, const char *from, const char *to_path, int noreplace), \
      (to, from, to_path, noreplace), ("%s %s %d", from, to_path, noreplace), PLAIN, NOTHING) \
    I(file, unlink, (SLOT_OS, const char *path), (to, path), ("%s", path), PLAIN, NOTHING) \
    I(file, mkdir, (SLOT_OS, const char *path, unsigned mode), (to, path, mode), \
      ("%s 0%o", path, mode), PLAIN, NOTHING) \
    I(file, exists, (SLOT_OS, const char *path, int *isdir), (to, path, isdir), \
      ("%s", path), PLAIN, NOTHING) \
    I(file, dirlist, (SLOT_OS, const char *path, char ***names, size_t *n), (to, path, names, n), \
      ("%s", path), (" = %zu names", *n), HOLD(LIST, 1)) \
    V(file, dirfree, (SLOT_OS, char **names, size_t n), (to, names, n), ("%zu names", n), PLAIN, \
      HOLD(LIST, -1)) \
    I(file, fileid, (SLOT_OS, tarn_file f, struct tarn_fileid *id), (to, f, id), \
      ("%ld", (long)f), (" = %llu", (unsigned long long)id->ino), NOTHING) \
    I(file, fsinfo, (SLOT_OS, const char *path, struct tarn_fsinfo *info), (to, path, info), \
      ("%s", path), (" = %s", info->type), NOTHING)

#define SLOTS_MAP(I, R, V) \
    I(map, map, (SLOT_OS, const struct tarn_map_request *req, void **addr), (to, req, addr), \
      ("%s %ld %zu @%llu 0x%x", req->path == NULL ? "-" : req->path, (long)req->file, req->len, \
       (unsigned long long)req->off, (unsigned)req->flags), (" = %p", *addr), HOLD(MAP, 1)) \
    R(map, unmap, (SLOT_OS, void *addr, size_t len), (to, addr, len), ("%p %zu", addr, len), PLAIN, \
      HOLD(MAP, -1)) \
    I(map, runlink, (SLOT_OS, const char *path), (to, path), ("%s", path), PLAIN, NOTHING) \
    I(map, populate, (SLOT_OS, void *addr, size_t len), (to, addr, len), \
      ("%p %zu", addr, len), PLAIN, NOTHING) \
    I(map, dontdump, (SLOT_OS, void *addr, size_t len), (to, addr, len), \
      ("%p %zu", addr, len), PLAIN, NOTHING) \
    I(map, discard, (SLOT_OS, void *addr, size_t len), (to, addr, len), \
      ("%p %zu", addr, len), PLAIN, NOTHING)

#define SLOTS_SHM(I, R, V) \
    I(shm, sysv_get, (SLOT_OS, size_t len, unsigned mode, int noreserve, int *id), \
      (to, len, mode, noreserve, id), ("%zu 0%o %d", len, mode, noreserve), (" = %d", *id), \
      HOLD(SEGMENT, 1)) \
    I(shm, sysv_attach, (SLOT_OS, int id, int rdonly, void **addr), (to, id, rdonly, addr), \
      ("%d %d", id, rdonly), (" = %p", *addr), HOLD(MAP, 1)) \
    R(shm, sysv_detach, (SLOT_OS, void *addr), (to, addr), ("%p", addr), PLAIN, HOLD(MAP, -1)) \
    I(shm, sysv_stat, (SLOT_OS, int id, struct tarn_sysv_stat *st), (to, id, st), ("%d", id), \
      (" = %llu bytes", (unsigned long long)st->size), NOTHING) \
    I(shm, sysv_remove, (SLOT_OS, int id), (to, id), ("%d", id), PLAIN, HOLD(SEGMENT, -1)) \
    I(shm, name_open, \
      (SLOT_OS, const char *name, unsigned flags, unsigned mode, tarn_file *out), \
      (to, name, flags, mode, out), ("%s 0x%x 0%o", name, flags, mode), (" = %ld", (long)*out), \
      (HOLD(FILE, 1), HOLD(NAME, (flags & TARN_OPEN_EXCL) != 0))) \
    I(shm, name_unlink, (SLOT_OS, const char *name), (to, name), ("%s", name), PLAIN, \
      HOLD(NAME, -1)) \
    I(shm, mem_create, (SLOT_OS, const char *label, int huge, tarn_file *out), \
      (to, label, huge, out), ("%s %d", label, huge), (" = %ld", (long)*out), HOLD(FILE, 1)) \
    I(shm, seal, (SLOT_OS, tarn_file f, unsigned seals), (to, f, seals), \
      ("%ld 0x%x", (long)f, seals), PLAIN, NOTHING)

#define SLOTS_SYNC(I, R, V) \
    I(sync, wait, (SLOT_OS, const uint32_t *word, uint32_t expect, uint64_t timeout), \
      (to, word, expect, timeout), \
      ("%p %u %llu", (const void *)word, (unsigned)expect, (unsigned long long)timeout), PLAIN, NOTHING) \
    I(sync, wake, (SLOT_OS, const uint32_t *word, int n), (to, word, n), \
      ("%p %d", (const void *)word, n), PLAIN, NOTHING) \
    I(sync, wait_any, (SLOT_OS, const struct tarn_wait *w, int n, uint64_t timeout), \
      (to, w, n, timeout), ("%d words %llu", n, (unsigned long long)timeout), PLAIN, NOTHING) \
    I(sync, barrier_register, (SLOT_OS), (to), PLAIN, PLAIN, NOTHING) \
    I(sync, barrier, (SLOT_OS), (to), PLAIN, PLAIN, NOTHING) \
    I(sync, lock_byte, \
      (SLOT_OS, tarn_file f, uint64_t byte, enum tarn_lockop op, int *held), \
      (to, f, byte, op, held), ("%ld %llu %d", (long)f, (unsigned long long)byte, (int)op), \
      PLAIN, NOTHING) \
    I(sync, life_take, (SLOT_OS, struct tarn_life *life), (to, life), ("%p", (void *)life), PLAIN, \
      HOLD(LIFE, 1)) \
    R(sync, life_drop, (SLOT_OS, struct tarn_life *life), (to, life), ("%p", (void *)life), PLAIN, \
      HOLD(LIFE, -1)) \
    I(sync, life_look, (SLOT_OS, const struct tarn_life *life, enum tarn_life_state *state), \
      (to, life, state), ("%p", (const void *)life), (" = %d", (int)*state), NOTHING) \
    I(sync, life_word, (SLOT_OS, struct tarn_life *life, struct tarn_wait *w), (to, life, w), \
      ("%p", (void *)life), PLAIN, NOTHING)

#define SLOTS_PROC(I, R, V) \
    I(proc, self, (SLOT_OS, struct tarn_procid *id, uint32_t *euid), (to, id, euid), PLAIN, \
      (" = %llu", (unsigned long long)id->pid), NOTHING) \
    I(proc, identity, (SLOT_OS, uint64_t pid, struct tarn_procid *id), (to, pid, id), \
      ("%llu", (unsigned long long)pid), PLAIN, NOTHING) \
    I(proc, alive, (SLOT_OS, const struct tarn_procid *id, int *alive), (to, id, alive), \
      ("%llu", (unsigned long long)id->pid), (" = %d", *alive), NOTHING) \
    I(proc, on_fork, (SLOT_OS, void (*child)(void *arg), void *arg), (to, child, arg), \
      ("%p", arg), PLAIN, NOTHING) \
    I(proc, on_thread_exit, (SLOT_OS, void (*fn)(void *arg), void *arg), (to, fn, arg), \
      ("%p", arg), PLAIN, NOTHING) \
    I(proc, thread_start, \
      (SLOT_OS, void (*fn)(void *arg), void *arg, uintptr_t *thread), (to, fn, arg, thread), \
      ("%p", arg), PLAIN, HOLD(THREAD, 1)) \
    I(proc, thread_join, (SLOT_OS, uintptr_t thread), (to, thread), PLAIN, PLAIN, \
      HOLD(THREAD, -1)) \
    I(proc, try_in_child, (SLOT_OS, int (*fn)(void *arg), void *arg, int *status), \
      (to, fn, arg, status), ("%p", arg), (" = %d", *status), NOTHING)

#define SLOTS_MISC(I, R, V) \
    I(misc, malloc, (SLOT_OS, size_t len, void **out), (to, len, out), ("%zu", len), \
      (" = %p", *out), HOLD(MEMORY, 1)) \
    I(misc, realloc, (SLOT_OS, void *old, size_t len, void **out), (to, old, len, out), \
      ("%p %zu", old, len), (" = %p", *out), HOLD(MEMORY, old == NULL)) \
    V(misc, free, (SLOT_OS, void *p), (to, p), ("%p", p), PLAIN, HOLD(MEMORY, -(p != NULL))) \
    I(misc, sleep, (SLOT_OS, uint64_t ns), (to, ns), ("%llu", (unsigned long long)ns), PLAIN, NOTHING) \
    I(misc, yield, (SLOT_OS), (to), PLAIN, PLAIN, NOTHING) \
    I(misc, clock, (SLOT_OS, int wall, uint64_t *ns), (to, wall, ns), ("%d", wall), \
      (" = %llu", (unsigned long long)*ns), NOTHING) \
    I(misc, random, (SLOT_OS, void *buf, size_t len), (to, buf, len), ("%zu", len), PLAIN, NOTHING) \
    I(misc, getenv, (SLOT_OS, const char *name, const char **value), (to, name, value), \
      ("%s", name), (" = %s", *value == NULL ? "-" : *value), NOTHING) \
    I(misc, boot_id, (SLOT_OS, struct tarn_machine *id), (to, id), PLAIN, PLAIN, NOTHING) \
    I(misc, page_size, (SLOT_OS, size_t *bytes), (to, bytes), PLAIN, (" = %zu", *bytes), NOTHING) \
    I(misc, cpus, (SLOT_OS, unsigned *n), (to, n), PLAIN, (" = %u", *n), NOTHING) \
    I(misc, limits, (SLOT_OS, struct tarn_limits *out), (to, out), PLAIN, \
      (" = %llu free", (unsigned long long)out->memory), NOTHING) \
    I(misc, module_open, (SLOT_OS, const char *path, void **module), (to, path, module), \
      ("%s", path), PLAIN, NOTHING) \
    I(misc, module_symbol, \
      (SLOT_OS, void *module, const char *name, tarn_symbol *symbol), \
      (to, module, name, symbol), ("%s", name), PLAIN, NOTHING) \
    I(misc, last_error, (SLOT_OS, int *number, char *text, size_t len), (to, number, text, len), \
      PLAIN, (" = %d", *number), NOTHING)

#define SLOTS(I, R, V) \
    SLOTS_FILE(I, R, V) SLOTS_MAP(I, R, V) SLOTS_SHM(I, R, V) \
    SLOTS_SYNC(I, R, V) SLOTS_PROC(I, R, V) SLOTS_MISC(I, R, V)
/* clang-format on */

/* G(group): the groups in the order of struct tarn_os. */
#define SLOT_GROUPS(G) G(file) G(map) G(shm) G(sync) G(proc) G(misc)

/* The number of each slot: SLOT_file_open, ... */
#define SLOT_NUMBER(group, name, ...) SLOT_##group##_##name,
enum slot { SLOTS(SLOT_NUMBER, SLOT_NUMBER, SLOT_NUMBER) SLOT_COUNT };
#undef SLOT_NUMBER

#endif
