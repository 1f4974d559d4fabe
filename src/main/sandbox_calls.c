/* sandbox_calls.c - system calls by seccomp: tables of rows, made into one BPF program.
 *
 * Worker: what is on the list passes, some of it with certain arguments only. What no part of weir
 * would ever do ends the process; anything else is answered by ENOSYS, as by a kernel that does not
 * have it, so that a newer C library falls back instead of failing. Supervisor: the contrary, only
 * what is never wanted is refused, because the next version of weir inherits the filter.
 *
 * Calls of another architecture, x32 among them, end the process: their numbers mean other things.
 * The kernel remembers which calls pass whatever their arguments (Linux 5.11), so the length of the
 * program costs nothing there. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "base/assert.h"
#include "main/sandbox_priv.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0 /* no filter */
#endif
#define X32_BIT 0x40000000u

/* Headers may be older than C libraries. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

enum test { ANY, IS, HAS, IS_SELF };

struct call {
    int number;
    uint8_t test; /* of argument `arg`, its low half: which is all that the kernel takes of these */
    uint8_t arg;
    uint32_t value;
};

#define CALL(name)            \
    {                         \
        SYS_##name, ANY, 0, 0 \
    }

static const struct call allowed[] = {
    /* those with a look at an argument come first: the rest is remembered by the kernel */
    {SYS_socket, IS, 0, AF_INET},
    {SYS_socket, IS, 0, AF_INET6},
    {SYS_socket, IS, 0, AF_UNIX},
    {SYS_socketpair, IS, 0, AF_UNIX},
    {SYS_clone, HAS, 0, CLONE_THREAD},
    {SYS_tgkill, IS_SELF, 0, 0},
    {SYS_kill, IS_SELF, 0, 0},
    {SYS_prlimit64, IS, 0, 0},
    {SYS_prlimit64, IS_SELF, 0, 0},
    {SYS_prctl, IS, 0, PR_SET_NAME},
    {SYS_prctl, IS, 0, PR_GET_NAME},
    {SYS_prctl, IS, 0, PR_GET_DUMPABLE},
    {SYS_prctl, IS, 0, PR_GET_SECCOMP},
    {SYS_prctl, IS, 0, PR_GET_NO_NEW_PRIVS},
    {SYS_prctl, IS, 0, PR_CAPBSET_READ},
    {SYS_prctl, IS, 0, 0x53564d41}, /* PR_SET_VMA: names of mappings */
    {SYS_ioctl, IS, 1, FIONREAD},
    {SYS_ioctl, IS, 1, FIONBIO},
    {SYS_ioctl, IS, 1, FIOCLEX},
    {SYS_ioctl, IS, 1, 0x5401}, /* TCGETS: is it a terminal? */
    {SYS_ioctl, IS, 1, TIOCGWINSZ},
    {SYS_ioctl, IS, 1, 0x8933}, /* SIOCGIFINDEX: the number behind fe80::1%eth0 */
    {SYS_ioctl, IS, 1, 0x8910}, /* SIOCGIFNAME */
    /* bytes */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(preadv2),
    CALL(pwritev2),
    CALL(sendfile),
    CALL(splice),
    CALL(copy_file_range),
    CALL(sendto),
    CALL(sendmsg),
    CALL(sendmmsg),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(recvmmsg),
    /* waiting */
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(ppoll),
    CALL(pselect6),
    CALL(eventfd2),
    CALL(signalfd4),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(futex),
    CALL(futex_waitv),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(restart_syscall),
    CALL(sched_yield),
    /* sockets */
    CALL(accept),
    CALL(accept4),
    CALL(connect),
    CALL(bind),
    CALL(listen),
    CALL(shutdown),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    /* descriptors and files */
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup3),
    CALL(fcntl),
    CALL(pipe2),
    CALL(flock),
    CALL(openat),
    CALL(openat2),
    CALL(fstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(statfs),
    CALL(fstatfs),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(readlinkat),
    CALL(getdents64),
    CALL(getcwd),
    CALL(lseek),
    CALL(ftruncate),
    CALL(fallocate),
    CALL(fadvise64),
    CALL(fsync),
    CALL(fdatasync),
    CALL(sync_file_range),
    CALL(mkdirat),
    CALL(unlinkat),
    CALL(renameat),
    CALL(renameat2),
    CALL(fchmod),
    CALL(umask),
    CALL(memfd_create),
    CALL(inotify_init1),
    CALL(inotify_add_watch),
    CALL(inotify_rm_watch),
    /* memory */
    CALL(brk),
    CALL(mmap),
    CALL(munmap),
    CALL(mremap),
    CALL(mprotect),
    CALL(madvise),
    CALL(mincore),
    CALL(mlock),
    CALL(mlock2),
    CALL(munlock),
    CALL(membarrier),
    CALL(getrandom),
    /* this process and its threads */
    CALL(exit),
    CALL(exit_group),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(set_tid_address),
    CALL(gettid),
    CALL(getpid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(capget),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigtimedwait),
    CALL(rt_sigpending),
    CALL(sigaltstack),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(getcpu),
    CALL(getrusage),
    CALL(times),
    CALL(uname),
    CALL(sysinfo),
#ifdef SYS_open /* the older half of what x86-64 has */
    CALL(open),
    CALL(stat),
    CALL(lstat),
    CALL(access),
    CALL(readlink),
    CALL(mkdir),
    CALL(rmdir),
    CALL(unlink),
    CALL(rename),
    CALL(poll),
    CALL(select),
    CALL(epoll_wait),
    CALL(epoll_create),
    CALL(dup2),
    CALL(pipe),
    CALL(getdents),
    CALL(getrlimit),
    CALL(time),
    CALL(getpgrp),
    CALL(arch_prctl),
#endif
};

/* What the tools in a build with sanitizers do for a report: they stop all threads and run a
 * program that knows names. */
static const struct call sanitizers[] = {
    CALL(clone),
    CALL(clone3),
    CALL(execve),
    CALL(wait4),
    CALL(ptrace),
    CALL(prctl),
    CALL(process_vm_readv),
    CALL(personality),
    CALL(setrlimit),
    CALL(getrlimit),
    CALL(prlimit64),
    CALL(tgkill),
    CALL(kill),
    CALL(socketpair),
    CALL(ioctl),
#ifdef SYS_fork
    CALL(fork),
    CALL(vfork),
#endif
};

/* No version of weir has a use for these. In a worker whoever calls one has taken it over. */
static const struct call never[] = {
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(keyctl),
    CALL(add_key),
    CALL(request_key),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(chroot),
    CALL(setns),
    CALL(unshare),
    CALL(open_by_handle_at),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(reboot),
    CALL(swapon),
    CALL(swapoff),
    CALL(acct),
    CALL(quotactl),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(clock_adjtime),
    CALL(adjtimex),
    CALL(sethostname),
    CALL(setdomainname),
    CALL(syslog),
    CALL(vhangup),
    CALL(lookup_dcookie),
    CALL(move_pages),
    CALL(migrate_pages),
    CALL(mbind),
    CALL(kcmp),
    CALL(personality),
    CALL(name_to_handle_at),
    CALL(fanotify_init),
#ifdef SYS_open
    CALL(iopl),
    CALL(ioperm),
    CALL(modify_ldt),
    CALL(uselib),
    CALL(ustat),
#endif
};

/* Nor a worker, which starts nothing and stays who it is. */
static const struct call never_of_workers[] = {
    CALL(execve),
    CALL(execveat),
    CALL(setuid),
    CALL(setgid),
    CALL(setreuid),
    CALL(setregid),
    CALL(setresuid),
    CALL(setresgid),
    CALL(setgroups),
    CALL(capset),
    CALL(mknodat),
    CALL(symlinkat),
    CALL(linkat),
    CALL(fchownat),
    CALL(io_uring_setup),
    CALL(io_uring_enter),
    CALL(io_uring_register),
#ifdef SYS_open
    CALL(fork),
    CALL(vfork),
    CALL(mknod),
    CALL(symlink),
    CALL(link),
    CALL(chown),
#endif
};

/* ---- the program ---- */

enum { PROGRAM_MAX = 1024 };

struct program {
    struct sock_filter at[PROGRAM_MAX];
    unsigned short count;
    bool only_log;
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    ASSERT(p->count < PROGRAM_MAX);
    p->at[p->count++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *p, size_t offset)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct program *p, uint32_t action)
{
    emit(p, BPF_RET | BPF_K, action, 0, 0);
}

static uint32_t refusal(const struct program *p, uint32_t action)
{
    return p->only_log ? SECCOMP_RET_LOG : action;
}

/* The low half of an argument, in the byte order that all of these processors have. */
static size_t arg_offset(const struct call *c)
{
    return offsetof(struct seccomp_data, args) + sizeof(uint64_t) * c->arg;
}

/* With the call's number loaded, before and after. */
static void row(struct program *p, const struct call *c, uint32_t action)
{
    uint32_t value = c->test == IS_SELF ? (uint32_t)getpid() : c->value;
    if (c->test == ANY) {
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->number, 0, 1);
        answer(p, action);
        return;
    }
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->number, 0, 4);
    load(p, arg_offset(c));
    emit(p, BPF_JMP | (c->test == HAS ? BPF_JSET : BPF_JEQ) | BPF_K, value, 0, 1);
    answer(p, action);
    load(p, offsetof(struct seccomp_data, nr));
}

static void rows(struct program *p, const struct call *all, size_t count, uint32_t action)
{
    for (size_t i = 0; i < count; i++)
        row(p, &all[i], action);
}

static void begin(struct program *p)
{
    load(p, offsetof(struct seccomp_data, arch));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    answer(p, refusal(p, SECCOMP_RET_KILL_PROCESS));
    load(p, offsetof(struct seccomp_data, nr));
    if (ARCHITECTURE == AUDIT_ARCH_X86_64) {
        emit(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
        answer(p, refusal(p, SECCOMP_RET_KILL_PROCESS));
    }
}

static void worker_make(struct program *p)
{
    begin(p);
    if (ASAN_ON || TSAN_ON)
        rows(p, sanitizers, COUNT_OF(sanitizers), SECCOMP_RET_ALLOW);
    rows(p, allowed, COUNT_OF(allowed), SECCOMP_RET_ALLOW);
    rows(p, never, COUNT_OF(never), refusal(p, SECCOMP_RET_KILL_PROCESS));
    rows(p, never_of_workers, COUNT_OF(never_of_workers), refusal(p, SECCOMP_RET_KILL_PROCESS));
    answer(p, refusal(p, SECCOMP_RET_ERRNO | ENOSYS));
}

/* What the worker of a build with sanitizers may do its starter must not forbid. */
static void supervisor_make(struct program *p)
{
    begin(p);
    if (ASAN_ON || TSAN_ON)
        rows(p, sanitizers, COUNT_OF(sanitizers), SECCOMP_RET_ALLOW);
    rows(p, never, COUNT_OF(never), refusal(p, SECCOMP_RET_ERRNO | EPERM));
    answer(p, SECCOMP_RET_ALLOW);
}

bool sandbox_calls(enum sandbox_calls_for whom, bool only_log)
{
    struct program p = {.only_log = only_log};
    if (ARCHITECTURE == 0) {
        errno = ENOSYS;
        return false;
    }
    if (whom == CALLS_OF_WORKER)
        worker_make(&p);
    else
        supervisor_make(&p);
    struct sock_fprog program = {p.count, p.at};
    /* TSYNC: a sanitizer has a thread of its own already. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}
