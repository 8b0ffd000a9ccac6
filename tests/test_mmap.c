/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backend mmap, where it has to do with files: names, modes, what somebody put in the file's place,
 * full file systems, other machines.  The contract itself is in test_backend.c.
 */
#include "check.h"

#include "backends/call.h"
#include "backends/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct tarn_backend *be;
static size_t page;
static char home[512];

struct made {
    struct tarn_segment_request req;
    struct tarn_segment_id id;
    struct tarn_segment seg;
    struct tarn_backend_call call;
    char path[600];
};

static void prepare(struct made *m, uint64_t pages, uint64_t reserve)
{
    memset(m, 0, sizeof(*m));
    call_init(&m->call, tarn_os_host());
    m->req.home = home;
    m->req.dir = home;
    m->req.name = "Some.name-1";
    memcpy(m->req.uuid, "\x01\xab\xcd\xef 12 more ..", 16);
    m->req.size = pages * page;
    m->req.reserve = reserve * page;
    m->req.mode = 0600;
    m->req.shared = 1;
    (void)snprintf(m->path, sizeof(m->path), "%s/Some.name-1.01abcdef.mem", home);
}

static int make(struct made *m, uint32_t mode)
{
    prepare(m, 4, 16);
    m->req.mode = mode;
    return be->create(&m->call, &m->req, &m->id, &m->seg);
}

static void drop(struct made *m)
{
    if (m->seg.base != NULL)
        OK(be->detach(&m->call, &m->seg));
    OK(be->remove(&m->call, &m->req, &m->id));
    CU_ASSERT(access(m->path, F_OK) != 0 && errno == ENOENT);
}

/* An attach that must not work, and says a part of why. */
static void refused(struct made *m, int want, const char *part)
{
    struct tarn_segment other = { 0 };

    FAILS(want, be->attach(&m->call, &m->req, &m->id, 16 * page, 0, &other));
    CU_ASSERT_PTR_NULL(other.base);
    if (strstr(m->call.why, part) == NULL)
        printf("# \"%s\" does not say \"%s\"\n", m->call.why, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(m->call.why, part));
}

static void the_file_has_the_mode_whatever_the_umask(void)
{
    static const uint32_t modes[] = { 0600, 0660, 0666, 0640 };
    mode_t old = umask(077);

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct tarn_segment other = { 0 };
        struct stat st;
        struct made m;

        umask(i % 2 ? 077 : 0);
        MUST(make(&m, modes[i]));
        CU_ASSERT_EQUAL(stat(m.path, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, modes[i]);
        CU_ASSERT(S_ISREG(st.st_mode) && st.st_nlink == 1);
        CU_ASSERT_EQUAL(st.st_size, 4 * (off_t)page);
        CU_ASSERT(st.st_blocks * 512 >= st.st_size); /* committed, not sparse */
        OK(be->attach(&m.call, &m.req, &m.id, 16 * page, 0, &other));
        OK(be->detach(&m.call, &other));
        drop(&m);
    }
    umask(old);
}

static void what_stands_there_already_is_not_taken(void)
{
    struct made m;
    struct stat st;
    int fd;

    prepare(&m, 4, 16);
    fd = open(m.path, O_CREAT | O_WRONLY, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, "mine", 4), 4);
    close(fd);
    FAILS(TARN_EEXIST, make(&m, 0600));
    CU_ASSERT(stat(m.path, &st) == 0 && st.st_size == 4);
    CU_ASSERT_EQUAL(unlink(m.path), 0);
    CU_ASSERT_EQUAL(symlink("nowhere", m.path), 0);
    CU_ASSERT_NOT_EQUAL(make(&m, 0600), TARN_OK);
    CU_ASSERT_EQUAL(lstat(m.path, &st), 0);
    CU_ASSERT(access("nowhere", F_OK) != 0);
    CU_ASSERT_EQUAL(unlink(m.path), 0);
}

/* What others could have put in the file's place is refused, and is never "gone". */
static void what_was_put_in_its_place_is_refused(void)
{
    char aside[700];
    struct made m;

    MUST(make(&m, 0600));
    (void)snprintf(aside, sizeof(aside), "%s.aside", m.path);

    CU_ASSERT_EQUAL(link(m.path, aside), 0);
    refused(&m, TARN_EPERM, "2 names");
    CU_ASSERT_EQUAL(unlink(aside), 0);

    CU_ASSERT_EQUAL(chmod(m.path, 0622), 0);
    refused(&m, TARN_EPERM, "written by others");
    CU_ASSERT_EQUAL(chmod(m.path, 0600), 0);

    CU_ASSERT_EQUAL(rename(m.path, aside), 0);
    CU_ASSERT_EQUAL(symlink(aside, m.path), 0);
    refused(&m, TARN_EPERM, m.path);
    CU_ASSERT_EQUAL(unlink(m.path), 0);
    CU_ASSERT_EQUAL(mkfifo(m.path, 0600), 0);
    refused(&m, TARN_EPERM, "not a regular file");
    CU_ASSERT_EQUAL(unlink(m.path), 0);
    refused(&m, TARN_ENOENT, m.path);
    CU_ASSERT_EQUAL(rename(aside, m.path), 0);

    CU_ASSERT_EQUAL(truncate(m.path, 4 * (off_t)page - 1), 0);
    refused(&m, TARN_ECORRUPT, "somebody cut it");
    CU_ASSERT_EQUAL(truncate(m.path, 4 * (off_t)page), 0);

    if (geteuid() == 0) {
        CU_ASSERT_EQUAL(chown(m.path, 65534, (gid_t)-1), 0);
        refused(&m, TARN_EPERM, "belongs to user 65534");
        CU_ASSERT_EQUAL(chown(m.path, 0, (gid_t)-1), 0);
    }
    drop(&m);
}

static int join_by_group(void *arg)
{
    struct made *m = arg;
    struct tarn_segment seg = { 0 };
    int err;

    if (setgroups(0, NULL) != 0 || seteuid(65534) != 0) /* the group stays */
        return 99;
    err = be->attach(&m->call, &m->req, &m->id, m->seg.reserve, 0, &seg);
    if (err != TARN_OK)
        return -err;
    ((char *)seg.base)[0] = 'g';
    return -be->detach(&m->call, &seg);
}

/* Who may join is what the mode says, and nothing else. */
static void a_group_shares_if_the_mode_says_so(void)
{
    static const struct {
        uint32_t mode;
        int status;
    } all[] = { { 0660, 0 }, { 0640, -TARN_EACCES }, { 0600, -TARN_EACCES } };
    char dir[] = "/tmp/tarn-test-XXXXXX";

    if (geteuid() != 0)
        SKIP("only root can be somebody else");
    CU_ASSERT_FATAL(mkdtemp(dir) != NULL && chmod(dir, 0755) == 0);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct made m;
        int status = -1;

        prepare(&m, 4, 16);
        m.req.home = m.req.dir = dir;
        m.req.mode = all[i].mode;
        OK(be->create(&m.call, &m.req, &m.id, &m.seg));
        OK(tarn_os_host()->proc->try_in_child(tarn_os_host(), join_by_group, &m, &status));
        CU_ASSERT_EQUAL(status, all[i].status);
        CU_ASSERT_EQUAL(((char *)m.seg.base)[0], all[i].status == 0 ? 'g' : 0);
        drop(&m);
    }
    CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* In another's name: no other file can be reached by a forged id. */
static void a_forged_id_names_no_other_file(void)
{
    char victim[600];
    struct made m;
    int fd;

    MUST(make(&m, 0600));
    (void)snprintf(victim, sizeof(victim), "%s/victim", home);
    fd = open(victim, O_CREAT | O_WRONLY, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    for (uint32_t i = 0; i < m.id.len; i++) {
        struct tarn_segment_id good = m.id;

        m.id.bytes[i] ^= 0x41;
        (void)be->remove(&m.call, &m.req, &m.id);
        CU_ASSERT_EQUAL(access(victim, F_OK), 0);
        m.id = good;
    }
    CU_ASSERT_EQUAL(unlink(victim), 0);
    drop(&m);
}

static void directories_that_will_not_do(void)
{
    char deep[TARN_SEGMENT_ID_MAX + 8];
    struct tarn_probe found;
    struct made m;

    prepare(&m, 4, 16);
    m.req.dir = "relative";
    FAILS(TARN_EINVAL, be->probe(&m.call, &m.req, &found));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "whole path"));
    memset(deep, 'd', sizeof(deep) - 1);
    deep[0] = '/';
    deep[sizeof(deep) - 1] = '\0';
    m.req.dir = deep;
    FAILS(TARN_EINVAL, be->probe(&m.call, &m.req, &found));
    m.req.dir = "/nonexistent/directory";
    FAILS(TARN_ENOENT, be->probe(&m.call, &m.req, &found));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "/nonexistent/directory"));
    m.req.home = NULL;
    FAILS(TARN_ENOSYS, be->probe(&m.call, &m.req, &found));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "private"));
}

static int probe_as_nobody(void *arg)
{
    struct made *m = arg;
    struct tarn_probe found;

    if (setgid(65534) != 0 || seteuid(65534) != 0)
        return 9;
    return -be->probe(&m->call, &m->req, &found);
}

static void a_directory_that_may_not_be_written(void)
{
    struct made m;
    int status = -1;

    if (geteuid() != 0)
        SKIP("only root can be somebody else");
    prepare(&m, 4, 16);
    m.req.dir = m.req.home = "/";
    OK(tarn_os_host()->proc->try_in_child(tarn_os_host(), probe_as_nobody, &m, &status));
    CU_ASSERT(status == -TARN_EACCES || status == -TARN_EROFS);
}

/* ---- file systems ----------------------------------------------------------------------------- */

static int fill(const char *path)
{
    char buf[4096] = { 1 };
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    if (fd < 0)
        return -1;
    while (write(fd, buf, sizeof(buf)) > 0)
        ;
    return close(fd);
}

static int write_all(void *arg)
{
    struct made *m = arg;

    memset(m->seg.base, 0x5a, m->seg.size);
    return 0;
}

/* Committed is writable although the disk is full; what does not fit is refused with the numbers. */
static void a_full_file_system(void)
{
    char small[600], ballast[640];
    struct tarn_probe found;
    struct made m;
    int status = -1;

    (void)snprintf(small, sizeof(small), "%s/small", home);
    (void)snprintf(ballast, sizeof(ballast), "%s/ballast", small);
    CU_ASSERT_EQUAL_FATAL(mkdir(small, 0700), 0);
    /* In a mount namespace of our own, so that nothing stays mounted if we die. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", small, "tmpfs", 0, "size=1m") != 0) {
        (void)rmdir(small);
        SKIP("may not mount a small file system");
    }
    prepare(&m, 512, 4096);
    m.req.dir = small;
    FAILS(TARN_ENOSPC, be->probe(&m.call, &m.req, &found));
    CU_ASSERT_EQUAL(found.avail, 1u << 20);
    CU_ASSERT_STRING_EQUAL(found.where, "tmpfs");
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "2097152 bytes asked, 1048576 free"));
    FAILS(TARN_ENOSPC, be->create(&m.call, &m.req, &m.id, &m.seg));
    m.req.size = 64 * page;
    OK(be->probe(&m.call, &m.req, &found));
    CU_ASSERT_STRING_EQUAL(found.note, "");
    OK(be->create(&m.call, &m.req, &m.id, &m.seg));
    CU_ASSERT_EQUAL(fill(ballast), 0);
    OK(tarn_os_host()->proc->try_in_child(tarn_os_host(), write_all, &m, &status));
    CU_ASSERT_EQUAL(status, 0);
    FAILS(TARN_ENOSPC, be->grow(&m.call, &m.seg, m.seg.size, page));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "4096 bytes asked, 0 free"));
    CU_ASSERT_EQUAL(unlink(ballast), 0);
    OK(be->grow(&m.call, &m.seg, m.seg.size, page));
    CU_ASSERT_EQUAL(((char *)m.seg.base)[0], 0x5a);
    drop(&m);
    CU_ASSERT_EQUAL(umount(small), 0);
    CU_ASSERT_EQUAL(rmdir(small), 0);
}

static uint32_t pretended;

static int pretend_fsinfo(const struct tarn_os *os, const char *path, struct tarn_fsinfo *info)
{
    int err = os->below->file->fsinfo(os->below, path, info);

    info->flags = pretended;
    (void)snprintf(info->type, sizeof(info->type), "pretended");
    return err;
}

static void other_machines_and_disks(void)
{
    static const struct tarn_os_file file = { .size = sizeof(file), .fsinfo = pretend_fsinfo };
    static const struct tarn_os over = { .size = sizeof(over), .name = "pretend", .file = &file };
    struct tarn_probe found;
    struct tarn_os *os = NULL;
    struct made m;

    MUST(tarn_os_stack(tarn_os_host(), &over, &os));
    prepare(&m, 4, 16);
    call_init(&m.call, os);
    pretended = TARN_FS_NETWORK;
    FAILS(TARN_ENOSYS, be->probe(&m.call, &m.req, &found));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "network file system (pretended)"));
    m.req.shared = 0;
    OK(be->probe(&m.call, &m.req, &found));
    m.req.shared = 1;
    CU_ASSERT_EQUAL(setenv("TARN_FORCE_NETWORK", "1", 1), 0);
    OK(be->probe(&m.call, &m.req, &found));
    CU_ASSERT_EQUAL(unsetenv("TARN_FORCE_NETWORK"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(found.note, "SIGBUS"));
    CU_ASSERT_PTR_NOT_NULL(strstr(found.note, "TARN_REGION_DIR to a tmpfs"));
    pretended = TARN_FS_FIRM;
    OK(be->probe(&m.call, &m.req, &found));
    CU_ASSERT_PTR_NULL(strstr(found.note, "SIGBUS"));
    pretended = TARN_FS_FIRM | TARN_FS_MEMORY;
    OK(be->probe(&m.call, &m.req, &found));
    CU_ASSERT_STRING_EQUAL(found.note, "");
    tarn_os_unstack(os);
}

/* ---- hooks ------------------------------------------------------------------------------------ */

static char hooked[700];
static unsigned hooked_flags;

static int hook_runlink(const struct tarn_os *os, const char *path)
{
    (void)snprintf(hooked, sizeof(hooked), "%s", path);
    return os->below->map->runlink(os->below, path);
}

static int hook_map(const struct tarn_os *os, const struct tarn_map_request *req, void **addr)
{
    hooked_flags = req->flags;
    (void)snprintf(hooked, sizeof(hooked), "%s", req->path);
    return os->below->map->map(os->below, req, addr);
}

static void an_applications_hooks_are_told(void)
{
    static const struct tarn_os_map map = { .size = sizeof(map),
                                            .map = hook_map,
                                            .runlink = hook_runlink };
    static const struct tarn_os over = { .size = sizeof(over), .name = "hooks", .map = &map };
    struct tarn_os *os = NULL;
    struct tarn_segment other = { 0 };
    struct made m;

    MUST(tarn_os_stack(tarn_os_host(), &over, &os));
    prepare(&m, 4, 16);
    call_init(&m.call, os);
    OK(be->create(&m.call, &m.req, &m.id, &m.seg));
    CU_ASSERT_STRING_EQUAL(hooked, m.path);
    CU_ASSERT_EQUAL(hooked_flags, TARN_MAP_REGION | TARN_MAP_NORESERVE);
    OK(be->attach(&m.call, &m.req, &m.id, 16 * page, 1, &other));
    CU_ASSERT_EQUAL(hooked_flags, TARN_MAP_REGION | TARN_MAP_NORESERVE | TARN_MAP_RDONLY);
    OK(be->detach(&m.call, &other));
    hooked[0] = '\0';
    drop(&m);
    CU_ASSERT_STRING_EQUAL(hooked, m.path);
    tarn_os_unstack(os);
}

/* A reserve that the system refuses is halved, and what was got is told. */
static uint64_t map_limit;

static int narrow_map(const struct tarn_os *os, const struct tarn_map_request *req, void **addr)
{
    return req->len > map_limit ? TARN_ENOMEM : os->below->map->map(os->below, req, addr);
}

static void a_refused_reserve_is_halved(void)
{
    static const struct tarn_os_map map = { .size = sizeof(map), .map = narrow_map };
    static const struct tarn_os over = { .size = sizeof(over), .name = "narrow", .map = &map };
    struct tarn_segment other = { 0 };
    struct tarn_os *os = NULL;
    struct made m;

    MUST(tarn_os_stack(tarn_os_host(), &over, &os));
    for (uint64_t limit = 3; limit < 64; limit++) {
        prepare(&m, 4, 61);
        call_init(&m.call, os);
        map_limit = limit * page;
        if (limit < 4) {
            FAILS(TARN_ENOMEM, be->create(&m.call, &m.req, &m.id, &m.seg));
            CU_ASSERT(access(m.path, F_OK) != 0);
            continue;
        }
        OK(be->create(&m.call, &m.req, &m.id, &m.seg));
        CU_ASSERT(m.seg.reserve >= 4 * page && m.seg.reserve <= map_limit);
        CU_ASSERT(m.seg.reserve % page == 0 && m.seg.size == 4 * page);
        CU_ASSERT(limit < 61 || m.seg.reserve == 61 * page);
        CU_ASSERT(limit < 30 || m.seg.reserve >= 30 * page);
        FAILS(TARN_ENOMEM, be->attach(&m.call, &m.req, &m.id, 64 * page, 0, &other));
        drop(&m);
    }
    tarn_os_unstack(os);
}

static void segments_are_described(void)
{
    char text[700], want[700];
    struct made m;

    MUST(make(&m, 0600));
    OK(be->describe(&m.call, &m.req, &m.id, text, sizeof(text)));
    (void)snprintf(want, sizeof(want), "file %s", m.path);
    CU_ASSERT_STRING_EQUAL(text, want);
    OK(be->describe(&m.call, &m.req, &m.id, text, 20));
    want[19] = '\0';
    CU_ASSERT_STRING_EQUAL(text, want);
    drop(&m);
}

int main(void)
{
    static CU_TestInfo file_tests[] = {
        { "P7 X7: the file has the mode asked for, whatever the umask",
          the_file_has_the_mode_whatever_the_umask },
        { "X7: a group shares if the mode says so", a_group_shares_if_the_mode_says_so },
        { "what stands there already is not taken", what_stands_there_already_is_not_taken },
        { "R14 X8: what was put in its place is refused", what_was_put_in_its_place_is_refused },
        { "a forged id names no other file", a_forged_id_names_no_other_file },
        { "R13: segments are described by their file", segments_are_described },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo place_tests[] = {
        { "directories that will not do", directories_that_will_not_do },
        { "a directory that may not be written", a_directory_that_may_not_be_written },
        { "a full file system", a_full_file_system },
        { "other machines and disks", other_machines_and_disks },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo hook_tests[] = {
        { "P3 P4: an application's hooks are told", an_applications_hooks_are_told },
        { "a refused reserve is halved", a_refused_reserve_is_halved },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "mmap files", NULL, NULL, NULL, NULL, file_tests },
        { "mmap places", NULL, NULL, NULL, NULL, place_tests },
        { "mmap hooks", NULL, NULL, NULL, NULL, hook_tests },
        CU_SUITE_INFO_NULL,
    };
    char why[512], cwd[400], here[] = "home-XXXXXX";
    int status;

    if (load_backend(tarn_os_host(), "mmap", &be, NULL, why, sizeof(why)) != TARN_OK) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    if (getcwd(cwd, sizeof(cwd)) == NULL || mkdtemp(here) == NULL ||
        tarn_os_host()->misc->page_size(tarn_os_host(), &page) != TARN_OK)
        return EXIT_FAILURE;
    (void)snprintf(home, sizeof(home), "%s/%s", cwd, here);
    status = run_suites(suites);
    if (rmdir(home) != 0) {
        printf("not ok - mmap: %s is not empty\n", home);
        return EXIT_FAILURE;
    }
    return status;
}
