/* sandbox_test.c - each case is a process of its own that confines itself and then tries something:
 * its exit code is the errno of the try, 0 when it went well, or it was killed for it. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "base/assert.h"
#include "main/privileges.h"
#include "main/sandbox.h"
#include "tests/unit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLED = -1, NO_SANDBOX = 250 };

typedef long try_fn(void);

/* Folders below one of this test's own: what is let in, and what is not. */
static char base[64], read_dir[96], log_file[96], own_dir[96], outside[96], link_dir[96],
    data_file[96];

static void file_put(const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
}

static void folder_make(char *to, size_t cap, const char *name)
{
    snprintf(to, cap, "%s/%s", base, name);
    assert_int_equal(mkdir(to, 0755), 0);
}

static int folders_make(void **state)
{
    char log_dir[80], releases[80], release[90], data[80];
    (void)state;
    /* Not in /tmp, which is let in for request bodies. */
    snprintf(base, sizeof base, "/var/tmp/weir-sandbox-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    folder_make(read_dir, sizeof read_dir, "read");
    folder_make(own_dir, sizeof own_dir, "own");
    folder_make(outside, sizeof outside, "outside");
    folder_make(log_dir, sizeof log_dir, "log");
    folder_make(data, sizeof data, "data");
    folder_make(releases, sizeof releases, "releases");
    snprintf(release, sizeof release, "%s/1", releases);
    snprintf(link_dir, sizeof link_dir, "%s/current", base);
    snprintf(log_file, sizeof log_file, "%s/access", log_dir);
    snprintf(data_file, sizeof data_file, "%s/table", data);
    if (mkdir(release, 0755) != 0 || symlink(release, link_dir) != 0)
        return -1;
    file_put(read_dir, "page");
    file_put(outside, "page");
    file_put(release, "page");
    file_put(own_dir, "entry");
    file_put(data, "table");
    return 0;
}

static int folders_remove(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

/* ---- trying ---- */

static const struct conf_place *places(void)
{
    static struct conf_place all[5];
    const struct conf_place list[] = {
        {.path = read_dir, .access = CONF_READS},  {.path = log_file, .access = CONF_APPENDS},
        {.path = own_dir, .access = CONF_OWNS},    {.path = link_dir, .access = CONF_READS},
        {.path = data_file, .access = CONF_READS},
    };
    memcpy(all, list, sizeof all);
    for (size_t i = 0; i + 1 < COUNT_OF(all); i++)
        all[i].next = &all[i + 1];
    return all;
}

static void child_run(enum sandbox_mode mode, try_fn *try)
{
    struct sandbox s;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sandbox_enter(&s, mode, places());
    if (s.seccomp_error)
        _exit(NO_SANDBOX);
    long result = try();
    _exit(result < 0 ? (errno ? errno : 255) : 0);
}

static int outcome(enum sandbox_mode mode, try_fn *try)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child_run(mode, try);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGSYS);
        return KILLED;
    }
    return WEXITSTATUS(status);
}

struct try_case {
    const char *what;
    try_fn *try;
    int want;
    bool tools; /* allowed in a build with sanitizers, whose tools need it */
};

static void try_all(const struct try_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cases[i].tools && (ASAN_ON || TSAN_ON))
            continue;
        int got = outcome(SANDBOX_ON, cases[i].try);
        if (got == NO_SANDBOX)
            skip();
        if (got != cases[i].want)
            fail_msg("%s: %d (%s), not %d", cases[i].what, got, got > 0 ? strerror(got) : "killed",
                     cases[i].want);
    }
}

/* ---- what only an attacker does ---- */

static long try_execve(void)
{
    char *argv[] = {(char *)"true", NULL};
    return execv("/bin/true", argv);
}

static long try_execveat(void)
{
    char *argv[] = {(char *)"true", NULL};
    return syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv + 1, 0);
}

static long try_fork(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long try_ptrace(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long try_process_vm(void)
{
    return syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0);
}

static long try_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long try_mount(void)
{
    return mount("none", own_dir, "tmpfs", 0, NULL);
}

static long try_unshare(void)
{
    return unshare(CLONE_NEWUSER);
}

static long try_setns(void)
{
    return setns(0, 0);
}

static long try_chroot(void)
{
    return chroot(own_dir);
}

static long try_io_uring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL);
}

static long try_keyctl(void)
{
    return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long try_module(void)
{
    return syscall(SYS_init_module, NULL, 0, "");
}

static long try_setuid(void)
{
    return setresuid(0, 0, 0);
}

static long try_capset(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capset, &head, caps);
}

static long try_userfaultfd(void)
{
    return syscall(SYS_userfaultfd, 0);
}

static long try_handle(void)
{
    return syscall(SYS_open_by_handle_at, 0, NULL, 0);
}

static long try_perf(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0);
}

#ifdef __x86_64__
static long try_x32(void)
{
    return syscall(0x40000000 | SYS_getpid);
}

/* The 32-bit way in: number 20 is getpid() there. */
static long try_int80(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    return result;
}
#endif

static void an_attacker_is_ended(void **state)
{
    static const struct try_case cases[] = {
        {"execve", try_execve, KILLED, true},
        {"execveat", try_execveat, KILLED, false},
        {"ptrace", try_ptrace, KILLED, true},
        {"process_vm_writev", try_process_vm, KILLED, false},
        {"bpf", try_bpf, KILLED, false},
        {"mount", try_mount, KILLED, false},
        {"unshare", try_unshare, KILLED, false},
        {"setns", try_setns, KILLED, false},
        {"chroot", try_chroot, KILLED, false},
        {"io_uring_setup", try_io_uring, KILLED, false},
        {"keyctl", try_keyctl, KILLED, false},
        {"init_module", try_module, KILLED, false},
        {"setresuid", try_setuid, KILLED, false},
        {"capset", try_capset, KILLED, false},
        {"userfaultfd", try_userfaultfd, KILLED, false},
        {"open_by_handle_at", try_handle, KILLED, false},
        {"perf_event_open", try_perf, KILLED, false},
#ifdef __x86_64__
        {"x32", try_x32, KILLED, false},
        {"int 0x80", try_int80, KILLED, false},
#endif
    };
    (void)state;
    try_all(cases, COUNT_OF(cases));
}

/* ---- what is refused ---- */

static long try_packet(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}

static long try_netlink(void)
{
    return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long try_vsock(void)
{
    return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static long try_kill_parent(void)
{
    return kill(getppid(), 0);
}

static long try_tgkill_parent(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long try_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long try_type_into_terminal(void)
{
    return ioctl(0, TIOCSTI, "x");
}

static long try_limits_of_another(void)
{
    struct rlimit r;
    return syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &r);
}

static long try_unknown(void)
{
    return syscall(9999);
}

static void calls_that_nothing_needs_do_not_exist(void **state)
{
    static const struct try_case cases[] = {
        {"AF_PACKET", try_packet, ENOSYS, false},
        {"AF_NETLINK", try_netlink, ENOSYS, false},
        {"AF_VSOCK", try_vsock, ENOSYS, false},
        {"fork", try_fork, ENOSYS, true},
        {"kill", try_kill_parent, ENOSYS, true},
        {"tgkill", try_tgkill_parent, ENOSYS, true},
        {"PR_SET_DUMPABLE", try_dumpable, ENOSYS, true},
        {"TIOCSTI", try_type_into_terminal, ENOSYS, true},
        {"prlimit64", try_limits_of_another, ENOSYS, true},
        {"9999", try_unknown, ENOSYS, false},
    };
    (void)state;
    try_all(cases, COUNT_OF(cases));
}

/* ---- what works ---- */

static void *thread_main(void *ctx)
{
    return ctx;
}

static long try_thread(void)
{
    pthread_t t;
    errno = pthread_create(&t, NULL, thread_main, NULL);
    return errno ? -1 : pthread_join(t, NULL);
}

static long try_memory(void)
{
    size_t len = 32 << 20;
    void *at = malloc(len);
    if (!at)
        return -1;
    memset(at, 1, len);
    free(at);
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) == MAP_FAILED /* regular expressions become code */
               ? -1
               : 0;
}

static long try_sockets(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 || socket(AF_INET6, SOCK_DGRAM, 0) < 0
               ? -1
               : socket(AF_UNIX, SOCK_STREAM, 0);
}

static long try_own_limits(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_NOFILE, &r);
}

static long try_name(void)
{
    return prctl(PR_SET_NAME, "weir-test");
}

static long try_abort_self(void)
{
    signal(SIGUSR1, SIG_IGN);
    return raise(SIGUSR1);
}

static void what_workers_do_works(void **state)
{
    static const struct try_case cases[] = {
        {"a thread", try_thread, 0, false}, {"memory", try_memory, 0, false},
        {"sockets", try_sockets, 0, false}, {"own limits", try_own_limits, 0, false},
        {"a name", try_name, 0, false},     {"raise", try_abort_self, 0, false},
    };
    (void)state;
    try_all(cases, COUNT_OF(cases));
}

/* ---- files ---- */

static long open_in(const char *folder, const char *name, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static long rename_in(const char *from, const char *to, const char *name)
{
    char a[PATH_MAX], b[PATH_MAX];
    snprintf(a, sizeof a, "%s/%s", from, name);
    snprintf(b, sizeof b, "%s/%s", to, name);
    return rename(a, b);
}

static long read_named(void)
{
    return open_in(read_dir, "page", O_RDONLY);
}

static long read_folder(void)
{
    return open_in(read_dir, ".", O_RDONLY | O_DIRECTORY);
}

static long read_outside(void)
{
    return open_in(outside, "page", O_RDONLY);
}

static long read_around(void)
{
    return open_in(read_dir, "../outside/page", O_RDONLY);
}

static long read_by_link(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/leads-out", own_dir);
    return open(path, O_RDONLY);
}

static long read_by_descriptor(void)
{
    int dir = open(base, O_PATH | O_DIRECTORY);
    return openat(dir, "outside/page", O_RDONLY);
}

static long read_root(void)
{
    return open("/root", O_RDONLY | O_DIRECTORY);
}

static long read_home(void)
{
    return open("/home", O_RDONLY | O_DIRECTORY);
}

static long read_other_process(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", getppid());
    return open(path, O_RDONLY);
}

static long write_read_only(void)
{
    return open_in(read_dir, "page", O_WRONLY);
}

static long make_read_only(void)
{
    return open_in(read_dir, "new", O_WRONLY | O_CREAT);
}

static long write_settings(void)
{
    return open_in("/etc", "weir-test", O_WRONLY | O_CREAT);
}

static long write_own(void)
{
    return open_in(own_dir, "new", O_RDWR | O_CREAT | O_TRUNC);
}

static long rename_own(void)
{
    return rename_in(own_dir, own_dir, "entry");
}

static long rename_out(void)
{
    return rename_in(own_dir, outside, "entry");
}

static long log_open(void)
{
    return open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0640);
}

static long log_read(void)
{
    int fd = (int)log_open();
    if (fd < 0)
        return 0;
    return open(log_file, O_RDONLY);
}

static long log_rotated(void)
{
    return open_in(base, "log/access.1", O_WRONLY | O_CREAT | O_APPEND);
}

static long read_link_now(void)
{
    return open_in(link_dir, "page", O_RDONLY);
}

static long read_next_release(void)
{
    return open_in(base, "releases/2/page", O_RDONLY);
}

static long read_exchanged_table(void)
{
    return open_in(base, "data/exchanged", O_RDONLY);
}

static long read_names(void)
{
    return open("/etc/hosts", O_RDONLY);
}

static long write_null(void)
{
    return open("/dev/null", O_WRONLY);
}

static long keep_body(void)
{
    return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

static long listen_by_itself(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return bind(fd, (struct sockaddr *)&a, sizeof a);
}

/* Landlock's version here; 0: none, and nothing to test. */
static int version(void)
{
    int v = (int)syscall(444, NULL, 0, 1);
    return v < 0 ? 0 : v;
}

static void files_are_those_of_the_configuration(void **state)
{
    static const struct try_case cases[] = {
        {"a named folder's file", read_named, 0, false},
        {"a named folder", read_folder, 0, false},
        {"a file outside", read_outside, EACCES, false},
        {"a file outside, by ..", read_around, EACCES, false},
        {"a file outside, by a link", read_by_link, EACCES, false},
        {"a file outside, from a descriptor", read_by_descriptor, EACCES, false},
        {"/root", read_root, EACCES, false},
        {"/home", read_home, EACCES, false},
        {"another process", read_other_process, EACCES, true},
        {"writing what may be read", write_read_only, EACCES, false},
        {"making where may be read", make_read_only, EACCES, false},
        {"writing settings", write_settings, EACCES, false},
        {"an own folder", write_own, 0, false},
        {"renaming in an own folder", rename_own, 0, false},
        {"renaming out of it", rename_out, EACCES, false},
        {"a log", log_open, 0, false},
        {"a log's next file", log_rotated, 0, false},
        {"reading a log", log_read, EACCES, false},
        {"a folder behind a link", read_link_now, 0, false},
        {"the folder that the link leads to next", read_next_release, 0, false},
        {"a table that was exchanged", read_exchanged_table, 0, false},
        {"names", read_names, 0, false},
        {"/dev/null", write_null, 0, false},
        {"a kept body", keep_body, 0, false},
    };
    char path[PATH_MAX], target[PATH_MAX];
    (void)state;
    if (version() == 0)
        skip();
    snprintf(path, sizeof path, "%s/leads-out", own_dir);
    snprintf(target, sizeof target, "%s/page", outside);
    assert_int_equal(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/releases/2", base);
    assert_int_equal(mkdir(path, 0755), 0);
    file_put(path, "page");
    snprintf(path, sizeof path, "%s/data", base);
    file_put(path, "exchanged");
    try_all(cases, COUNT_OF(cases));
}

static void variables_name_files_of_libraries(void **state)
{
    char path[PATH_MAX];
    (void)state;
    if (version() == 0)
        skip();
    snprintf(path, sizeof path, "%s/page", outside);
    setenv("SSL_CERT_FILE", path, 1);
    int got = outcome(SANDBOX_ON, read_outside);
    unsetenv("SSL_CERT_FILE");
    if (got == NO_SANDBOX)
        skip();
    assert_int_equal(got, 0);
    assert_int_equal(outcome(SANDBOX_ON, read_outside), EACCES);
}

static void a_worker_opens_no_address(void **state)
{
    static const struct try_case one = {"bind", listen_by_itself, EACCES, false};
    (void)state;
    if (version() < 4)
        skip();
    try_all(&one, 1);
}

static void a_mode_that_logs_refuses_nothing(void **state)
{
    (void)state;
    if (outcome(SANDBOX_LOG, try_thread) == NO_SANDBOX)
        skip();
    assert_int_equal(outcome(SANDBOX_LOG, read_outside), 0);
    assert_int_equal(outcome(SANDBOX_LOG, try_execve), 0);
    assert_int_equal(outcome(SANDBOX_OFF, try_execve), 0);
}

/* ---- what later configurations want ---- */

static long ask_reach(const char *path, enum conf_access access, const struct sandbox *s)
{
    struct conf_place p = {.path = path, .access = (uint8_t)access};
    return sandbox_reaches(s, &p);
}

static int reach_of_a_child(void)
{
    char path[PATH_MAX], moved[PATH_MAX];
    struct sandbox s;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sandbox_enter(&s, SANDBOX_ON, places());
    if (!ask_reach(read_dir, CONF_READS, &s) || !ask_reach(log_file, CONF_APPENDS, &s))
        return 1;
    snprintf(path, sizeof path, "%s/log/other", base); /* not there yet */
    if (!ask_reach(path, CONF_APPENDS, &s) || ask_reach(read_dir, CONF_OWNS, &s))
        return 2;
    if (ask_reach(outside, CONF_READS, &s) || ask_reach(outside, CONF_OWNS, &s))
        return 3;
    snprintf(path, sizeof path, "%s/outside/new", base);
    if (ask_reach(path, CONF_APPENDS, &s))
        return 4;
    snprintf(path, sizeof path, "%s-not", read_dir); /* a name that only begins alike */
    if (!ask_reach(path, CONF_READS, &s) || !ask_reach("/etc/ssl", CONF_READS, &s))
        return 5; /* missing: whoever opens it says so */
    snprintf(moved, sizeof moved, "%s/moved", own_dir);
    snprintf(path, sizeof path, "%s/inner", own_dir);
    if (mkdir(path, 0700) != 0 || !ask_reach(path, CONF_OWNS, &s))
        return 6;
    sandbox_release(&s);
    return 0;
}

static void later_configurations_are_told_what_is_out_of_reach(void **state)
{
    int status;
    (void)state;
    if (version() == 0)
        skip();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(reach_of_a_child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_folder_that_was_replaced_is_another(void **state)
{
    char kept[PATH_MAX], replaced[PATH_MAX];
    struct stat st;
    (void)state;
    assert_int_equal(stat(read_dir, &st), 0);
    snprintf(kept, sizeof kept, "%s", read_dir);
    struct sandbox_place p = {kept, st.st_dev, st.st_ino, CONF_READS};
    struct sandbox s = {.landlock = 1, .places = &p, .count = 1};
    assert_true(ask_reach(read_dir, CONF_READS, &s));
    snprintf(replaced, sizeof replaced, "%s.old", read_dir);
    assert_int_equal(rename(read_dir, replaced), 0);
    assert_int_equal(mkdir(read_dir, 0755), 0);
    assert_false(ask_reach(read_dir, CONF_READS, &s));
    assert_int_equal(rmdir(read_dir), 0);
    assert_int_equal(rename(replaced, read_dir), 0);
}

/* ---- the supervisor ---- */

static int supervisor_child(void)
{
    struct sandbox_facts f;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    privileges_keep_few();
    sandbox_facts_read(&f);
    uint64_t few = UINT64_C(1) << CAP_NET_BIND_SERVICE | UINT64_C(1) << CAP_DAC_OVERRIDE |
                   UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID |
                   UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_KILL | UINT64_C(1) << CAP_SETPCAP |
                   UINT64_C(1) << CAP_NET_ADMIN;
    if (!f.no_new_privs || (f.capabilities & ~few) || (geteuid() == 0 && (f.bounding & ~few)))
        return 1;
    if (f.dumpable && !ASAN_ON)
        return 2;
    if (!sandbox_enter_supervisor(SANDBOX_ON))
        return NO_SANDBOX;
    if (try_bpf() >= 0 || errno != EPERM || try_unshare() >= 0 || errno != EPERM)
        return 3;
    return (int)try_execve(); /* it starts workers and the next version */
}

static void the_supervisor_keeps_what_it_needs(void **state)
{
    int status;
    (void)state;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(supervisor_child());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == NO_SANDBOX)
        skip();
    assert_int_equal(status, 0);
}

static void check_same(const struct sandbox_facts *a, const struct sandbox_facts *b)
{
    assert_int_equal(a->known, b->known);
    assert_int_equal(a->no_new_privs, b->no_new_privs);
    assert_int_equal(a->dumpable, b->dumpable);
    assert_int_equal(a->seccomp, b->seccomp);
    assert_true(a->capabilities == b->capabilities);
}

static void facts_fit_a_number(void **state)
{
    struct sandbox_facts f = {true, true, false, 2, UINT64_C(0x1ffffffffff), 0}, back;
    (void)state;
    sandbox_facts_unpack(&back, sandbox_facts_pack(&f));
    check_same(&f, &back);
    f = (struct sandbox_facts){true, false, true, 0, 0, 0};
    sandbox_facts_unpack(&back, sandbox_facts_pack(&f));
    check_same(&f, &back);
    sandbox_facts_unpack(&back, 0); /* from a version that tells nothing */
    assert_false(back.known);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, folders_make, folders_remove)

UNIT_SUITE(main_sandbox, CASE(an_attacker_is_ended), CASE(calls_that_nothing_needs_do_not_exist),
           CASE(what_workers_do_works), CASE(files_are_those_of_the_configuration),
           CASE(variables_name_files_of_libraries), CASE(a_worker_opens_no_address),
           CASE(a_mode_that_logs_refuses_nothing),
           CASE(later_configurations_are_told_what_is_out_of_reach),
           CASE(a_folder_that_was_replaced_is_another),
           cmocka_unit_test(the_supervisor_keeps_what_it_needs),
           cmocka_unit_test(facts_fit_a_number));
