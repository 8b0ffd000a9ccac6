/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of System V segments: the mode as asked, errors told from "gone", numbers that have come to
 * mean something else, and no segment left behind.  What there is, is read from the kernel's list.
 */
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "backends/call.h"
#include "backends/load.h"
#include "home.h"
#include "kill.h"
#include "proc.h"
#include "region/handle.h"

#define CREATE TARN_REGION_CREATE

static struct home home;
static tarn_env *env;
static tarn_region *region;

/* ---- the kernel's list --------------------------------------------------------------------------- */

/* Segments that process `creator` has made (0: whoever); the last one's number in *id. */
static int segments(long creator, int *id)
{
    char line[512];
    FILE *f = fopen("/proc/sysvipc/shm", "r");
    int n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof line, f) != NULL) {
        long key, number, perms, size, cpid;

        if (sscanf(line, "%ld %ld %lo %ld %ld", &key, &number, (unsigned long *)&perms, &size,
                   &cpid) != 5 ||
            (creator != 0 && cpid != creator))
            continue;
        n++;
        if (id != NULL)
            *id = (int)number;
    }
    (void)fclose(f);
    return n;
}

static int mine(int *id) { return segments((long)getpid(), id); }

static struct shmid_ds state_of(int id)
{
    struct shmid_ds ds;

    memset(&ds, 0, sizeof(ds));
    CU_ASSERT_EQUAL(shmctl(id, IPC_STAT, &ds), 0);
    return ds;
}

/* ---- a region, and a segment without one --------------------------------------------------------- */

static tarn_env *env_with(const char *required, const char *dir, const struct tarn_os *os)
{
    struct tarn_env_config config = TARN_ENV_CONFIG_INIT;
    tarn_env *e = NULL;

    config.home = dir;
    config.backend_required = required;
    config.os = os;
    MUST(tarn_env_open(&config, &e));
    return e;
}

static void begin(void)
{
    home_make(&home);
    env = env_with("sysv", home.path, NULL);
}

static void end(void)
{
    CU_ASSERT_EQUAL(mine(NULL), 0);
    CU_ASSERT_EQUAL(home_files(&home, 0), 0);
    OK(tarn_env_close(env));
    home_remove(&home);
}

struct made {
    const struct tarn_backend *be;
    struct tarn_backend_call call;
    struct tarn_segment_request req;
    struct tarn_segment_id id;
    struct tarn_segment seg;
};

static int make(struct made *m, char uuid, uint64_t size, uint64_t reserve)
{
    char why[512];

    memset(m, 0, sizeof(*m));
    MUST(load_backend(tarn_os_host(), "sysv", &m->be, NULL, why, sizeof(why)));
    call_init(&m->call, tarn_os_host());
    m->req.home = "home";
    m->req.name = "one";
    m->req.uuid[0] = (uint8_t)uuid;
    m->req.size = size;
    m->req.reserve = reserve;
    m->req.mode = 0600;
    m->req.shared = 1;
    return m->be->create(&m->call, &m->req, &m->id, &m->seg);
}

static void unmake(struct made *m)
{
    OK(m->be->detach(&m->call, &m->seg));
    OK(m->be->remove(&m->call, &m->req, &m->id));
}

static int attach(struct made *m)
{
    struct tarn_segment seg = { 0 };
    int err = m->be->attach(&m->call, &m->req, &m->id, m->req.reserve, 0, &seg);

    if (err == TARN_OK)
        OK(m->be->detach(&m->call, &seg));
    return err;
}

/* The number stands behind the version. */
static int number_of(const struct made *m)
{
    int32_t number;

    memcpy(&number, m->id.bytes + 4, sizeof(number));
    return number;
}

static void set_number(struct made *m, int32_t number)
{
    memcpy(m->id.bytes + 4, &number, sizeof(number));
}

/* ---- what the kernel says of it ------------------------------------------------------------------ */

static void made_as_asked(void)
{
    struct tarn_region_config config = TARN_REGION_CONFIG_INIT;
    struct tarn_region_stat st;
    struct shmid_ds ds;
    char line[1024], words[64];
    mode_t mask = umask(077);
    int id = -1, mapped = 0;
    FILE *f;

    begin();
    config.flags = CREATE;
    config.mode = 0640;
    MUST(tarn_region_attach(env, "one", &config, &region));
    CU_ASSERT_EQUAL(mine(&id), 1);
    ds = state_of(id);
    CU_ASSERT_EQUAL(ds.shm_perm.mode & 0777, 0640);
    CU_ASSERT_EQUAL(ds.shm_perm.__key, IPC_PRIVATE);
    CU_ASSERT(ds.shm_nattch >= 1); /* Linux counts the part that is left out of dumps once more */
    MUST(tarn_region_stat(region, &st));
    CU_ASSERT_STRING_EQUAL(st.backend, "sysv");
    (void)snprintf(words, sizeof(words), "SysV segment %d", id);
    CU_ASSERT_STRING_EQUAL(st.memory, words);
    CU_ASSERT(ds.shm_segsz > st.reserve); /* and the mark */
    f = fopen("/proc/self/maps", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        mapped += strstr(line, "/SYSV00000000") != NULL && strstr(line, " rw-s ") != NULL;
    if (f != NULL)
        (void)fclose(f);
    CU_ASSERT(mapped >= 1);
    OK(tarn_region_detach(region));
    CU_ASSERT_EQUAL(mine(NULL), 1); /* it stays */
    OK(tarn_region_remove(env, "one", 0));
    (void)umask(mask);
    end();
}

static void joiners_take_what_there_is(void)
{
    tarn_env *other;
    tarn_region *r = NULL;
    struct tarn_region_stat st;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &region));
    strcpy(tarn_region_memory(region, NULL), "kept");
    CU_ASSERT_EQUAL(home_files(&home, 0), 2); /* descriptor and lock file */
    OK(tarn_region_detach(region));
    other = env_with("mmap", home.path, NULL);
    FAILS(TARN_EEXIST, home_attach(other, "one", CREATE | TARN_REGION_EXCL, 0, &r));
    MUST(home_attach(other, "one", CREATE, 0, &r));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(r, NULL), "kept");
    MUST(tarn_region_stat(r, &st));
    CU_ASSERT_STRING_EQUAL(st.backend, "sysv");
    OK(tarn_region_detach(r));
    OK(tarn_env_close(other));
    OK(tarn_region_remove(env, "one", TARN_REMOVE_FORCE));
    end();
}

static void private_regions(void)
{
    tarn_env *e = env_with("sysv", NULL, NULL);
    int id = -1;

    MUST(home_attach(e, NULL, CREATE, 100000, &region));
    CU_ASSERT_EQUAL(mine(&id), 1);
    CU_ASSERT(state_of(id).shm_perm.mode & SHM_DEST); /* goes with the process, however that ends */
    memset(tarn_region_memory(region, NULL), 1, 100000);
    OK(tarn_region_detach(region));
    CU_ASSERT_EQUAL(mine(NULL), 0);
    OK(tarn_env_close(e));
}

/* ---- gone, or not --------------------------------------------------------------------------------- */

static int refuse_with;

static int attach_refused(const struct tarn_os *os, int id, int rdonly, void **addr)
{
    if (refuse_with == TARN_OK)
        return os->below->shm->sysv_attach(os->below, id, rdonly, addr);
    return refuse_with;
}

static int stat_refused(const struct tarn_os *os, int id, struct tarn_sysv_stat *st)
{
    return refuse_with == TARN_OK ? os->below->shm->sysv_stat(os->below, id, st) : refuse_with;
}

static void every_error_but_one_is_the_joiners(void)
{
    static const struct tarn_os_shm attach_shm = { .size = sizeof(attach_shm),
                                                   .sysv_attach = attach_refused };
    static const struct tarn_os_shm stat_shm = { .size = sizeof(stat_shm),
                                                 .sysv_stat = stat_refused };
    static const struct tarn_os over[] = {
        { .size = sizeof(over[0]), .name = "refuse", .shm = &attach_shm },
        { .size = sizeof(over[0]), .name = "refuse", .shm = &stat_shm },
    };
    static const int errors[] = { TARN_EACCES, TARN_EMFILE, TARN_ENOMEM,
                                  TARN_EIO,    TARN_EPERM,  TARN_EINVAL };
    tarn_region *r = NULL;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &region));
    strcpy(tarn_region_memory(region, NULL), "kept");
    OK(tarn_region_detach(region));
    for (int o = 0; o < 2; o++) {
        tarn_env *e = env_with("sysv", home.path, &over[o]);

        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
            refuse_with = errors[i];
            FAILS(errors[i], home_attach(e, "one", CREATE, 0, &r));
            CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "System V segment"));
            CU_ASSERT_NOT_EQUAL(TARN_OK, tarn_region_remove(e, "one", 0));
            CU_ASSERT_EQUAL(home_files(&home, 0), 2);
            CU_ASSERT_EQUAL(mine(NULL), 1);
        }
        refuse_with = TARN_OK;
        OK(tarn_env_close(e));
    }
    MUST(home_attach(env, "one", 0, 0, &region));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "kept");
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(env, "one", 0));
    end();
}

static void gone_means_made_anew(void)
{
    tarn_region *r = NULL;
    int id = -1;

    begin();
    MUST(home_attach(env, "one", CREATE, 0, &region));
    strcpy(tarn_region_memory(region, NULL), "old");
    OK(tarn_region_detach(region));
    CU_ASSERT_EQUAL(mine(&id), 1);
    CU_ASSERT_EQUAL(shmctl(id, IPC_RMID, NULL), 0); /* as ipcrm does, and the end of the machine */
    FAILS(TARN_ENOENT, home_attach(env, "one", 0, 0, &r));
    MUST(home_attach(env, "one", CREATE, 0, &region));
    CU_ASSERT_STRING_EQUAL((char *)tarn_region_memory(region, NULL), "");
    OK(tarn_region_detach(region));
    CU_ASSERT_EQUAL(mine(&id), 1);
    CU_ASSERT_EQUAL(shmctl(id, IPC_RMID, NULL), 0);
    FAILS(TARN_ENOENT, tarn_region_remove(env, "two", 0));
    OK(tarn_region_remove(env, "one", 0)); /* what is gone already is no error */
    end();
}

/* Numbers begin anew at a start of the machine: the one of the id may be anybody's. */
static void a_number_that_means_another(void)
{
    struct shmid_ds ds;
    struct made m, other;
    int own, foreign;

    MUST(make(&m, 1, 65536, 65536));
    own = number_of(&m);

    foreign = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600); /* of another size */
    set_number(&m, foreign);
    FAILS(TARN_ENOENT, attach(&m));
    OK(m.be->remove(&m.call, &m.req, &m.id));
    CU_ASSERT_EQUAL(shmctl(foreign, IPC_STAT, &ds), 0);
    CU_ASSERT_EQUAL(shmctl(foreign, IPC_RMID, NULL), 0);

    foreign = shmget(IPC_PRIVATE, state_of(own).shm_segsz, IPC_CREAT | 0600); /* without a mark */
    set_number(&m, foreign);
    FAILS(TARN_ECORRUPT, attach(&m));
    FAILS(TARN_ECORRUPT, m.be->remove(&m.call, &m.req, &m.id));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "ipcrm -m"));
    CU_ASSERT_EQUAL(shmctl(foreign, IPC_STAT, &ds), 0);
    CU_ASSERT_EQUAL(shmctl(foreign, IPC_RMID, NULL), 0);

    MUST(make(&other, 2, 65536, 65536)); /* of another region */
    set_number(&m, number_of(&other));
    FAILS(TARN_ENOENT, attach(&m));
    OK(m.be->remove(&m.call, &m.req, &m.id));
    OK(attach(&other));
    unmake(&other);

    set_number(&m, -1);
    FAILS(TARN_ECORRUPT, attach(&m));
    set_number(&m, own);
    OK(attach(&m));
    unmake(&m);
    CU_ASSERT_EQUAL(mine(NULL), 0);
}

static void others_may_write_it(void)
{
    struct shmid_ds ds;
    struct made m;

    MUST(make(&m, 1, 65536, 65536));
    ds = state_of(number_of(&m));
    ds.shm_perm.mode = 0666;
    CU_ASSERT_EQUAL(shmctl(number_of(&m), IPC_SET, &ds), 0);
    FAILS(TARN_EPERM, attach(&m));
    CU_ASSERT_PTR_NOT_NULL(strstr(m.call.why, "mode"));
    unmake(&m); /* which its owner may */
    CU_ASSERT_EQUAL(mine(NULL), 0);
}

static int from_another_namespace(struct side *me)
{
    struct made *m = me->arg;

    if (unshare(CLONE_NEWIPC) != 0)
        return 77;
    if (attach(m) != TARN_EACCES || strstr(m->call.why, "namespace") == NULL)
        return 1;
    return m->be->remove(&m->call, &m->req, &m->id) == TARN_EACCES ? 0 : 2;
}

static void another_ipc_namespace(void)
{
    struct child c;
    struct made m;
    int status;

    MUST(make(&m, 1, 65536, 65536));
    child_start(&c, from_another_namespace, &m);
    status = child_end(&c);
    unmake(&m);
    if (status == 77)
        SKIP("a new IPC namespace is not permitted");
    CU_ASSERT_EQUAL(status, 0);
}

/* ---- limits -------------------------------------------------------------------------------------- */

static int limit(const char *name, const char *value)
{
    char path[64];
    FILE *f;
    int ok;

    (void)snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    f = fopen(path, "w");
    ok = f != NULL && fputs(value, f) >= 0;
    return (f == NULL || fclose(f) == 0) && ok;
}

static int under_limits(struct side *me)
{
    struct tarn_probe found;
    struct made m;

    (void)me;
    if (unshare(CLONE_NEWIPC) != 0 || !limit("shmmax", "1048576"))
        return 77;
    if (make(&m, 1, 4 << 20, 4 << 20) != TARN_ENOSPC ||
        strstr(m.call.why, "shmmax: 1048576 bytes") == NULL)
        return 1;
    if (m.be->probe(&m.call, &m.req, &found) != TARN_ENOSPC)
        return 2;
    if (make(&m, 1, 512 << 10, 4 << 20) != TARN_OK || m.seg.reserve != 512 << 10)
        return 3; /* 1 MiB and the mark are too much */
    if (make(&m, 2, 256 << 10, 2 << 20) != TARN_OK || m.seg.reserve != 512 << 10)
        return 4;
    if (!limit("shmmni", "2"))
        return 77;
    if (make(&m, 3, 65536, 65536) != TARN_ENOSPC ||
        strstr(m.call.why, "shmmni: 2 segments") == NULL)
        return 5;
    return m.be->probe(&m.call, &m.req, &found) == TARN_ENOSPC && segments(0, NULL) == 2 ? 0 : 6;
}

static void limits_are_said_with_their_numbers(void)
{
    struct child c;
    int status;

    child_start(&c, under_limits, NULL);
    status = child_end(&c);
    if (status == 77)
        SKIP("the limits of an own IPC namespace cannot be set");
    CU_ASSERT_EQUAL(status, 0);
}

/* ---- killed at every call ------------------------------------------------------------------------ */

static int make_and_die(struct side *me)
{
    static const struct tarn_os *const os = &kill_os;
    tarn_env *e = env_with("sysv", home.path, os);

    kill_calls = 0;
    kill_at = *(long *)me->arg;
    if (home_attach(e, "one", CREATE, 0, &region) != TARN_OK)
        return 1;
    kill_at = 0;
    return tarn_region_detach(region) == TARN_OK ? 0 : 2;
}

/* What the mark says, which `tarn reap` goes by; 0: it is not there. */
static int marked(int id)
{
    const char *at = shmat(id, NULL, SHM_RDONLY);
    int right = 0;

    CU_ASSERT_NOT_EQUAL_FATAL((intptr_t)at, -1);
    if (memcmp(at, "TARTsysv", 8) == 0) {
        CU_ASSERT_STRING_EQUAL(at + 40, "one");
        CU_ASSERT_STRING_EQUAL(at + 112, home.path);
        right = 1;
    }
    (void)shmdt(at);
    return right;
}

/*
 * A death leaves a whole region, or a segment that says whose it was; only between two calls, one that
 * says nothing.
 */
static void killed_at_every_call(void)
{
    int whole = 0, said = 0, silent = 0, status = 256 + SIGKILL;
    long n;

    begin();
    for (n = 1; status == 256 + SIGKILL && n < 1000; n++) {
        int id = -1, left;
        struct child c;
        long pid;

        child_start(&c, make_and_die, &n);
        pid = (long)c.pid;
        status = child_end(&c);
        left = segments(pid, &id);
        CU_ASSERT(left <= 1);
        if (home_has(&home, "one.tarn")) {
            whole++;
            CU_ASSERT_EQUAL(left, 1);
            OK(tarn_region_remove(env, "one", 0));
        } else if (left == 1) {
            CU_ASSERT_EQUAL(state_of(id).shm_nattch, 0);
            if (marked(id))
                said++;
            else
                silent++;
            CU_ASSERT_EQUAL(shmctl(id, IPC_RMID, NULL), 0);
        }
        CU_ASSERT_EQUAL(segments(pid, NULL), 0);
        (void)home_files(&home, 1);
    }
    CU_ASSERT_EQUAL(status, 0); /* the last one lived */
    CU_ASSERT(n > 10 && n < 1000);
    CU_ASSERT(whole > 0 && said > 0);
    CU_ASSERT(silent <= 3); /* in probe before its trial is removed, and twice in create */
    printf("# %ld deaths: %d whole regions, %d marked segments, %d unmarked ones\n", n - 2, whole,
           said, silent);
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "P7 X7: made without a key, with the mode as asked", made_as_asked },
        { "R13 R14: joiners take what there is", joiners_take_what_there_is },
        { "P3: private regions leave nothing", private_regions },
        { "X8 P7: every error but one is the joiner's", every_error_but_one_is_the_joiners },
        { "R17 P4: gone means made anew", gone_means_made_anew },
        { "X8 P4: a number that means another", a_number_that_means_another },
        { "X7: others may write it", others_may_write_it },
        { "X8: another IPC namespace is not gone", another_ipc_namespace },
        { "limits are said with their numbers", limits_are_said_with_their_numbers },
        { "X8 X29: killed at every call", killed_at_every_call },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "sysv", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
