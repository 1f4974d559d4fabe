/* shim.c - makes exactly one call of a program fail (LD_PRELOAD).
 *
 * Every wrapped call from main() on is counted, in two groups: allocations and system calls. Each
 * is also known by its site: the call and the top of the stack that made it, relative to the
 * modules, so that a site keeps its name from run to run whatever threads do. The page (SHIM_PAGE
 * names the file; failtest.py has the same layout) says which call is to fail: the n-th of a group,
 * or the k-th of a site. It is shared with the driver and with children of the program. What the
 * kernel cannot fail, or not alone, is left alone: epoll deletions, reads and writes of eventfds,
 * shutdown.
 *
 * What OpenSSL allocates is known by where weir called OpenSSL: its own hundreds of places are not
 * ours to test. Not counted is what it allocates to set up itself (see is_set_up()). */
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

/* name, group, what it fails with unless the page says otherwise */
#define CALLS(X)                      \
    X(malloc, ALLOC, ENOMEM)          \
    X(calloc, ALLOC, ENOMEM)          \
    X(realloc, ALLOC, ENOMEM)         \
    X(posix_memalign, ALLOC, ENOMEM)  \
    X(aligned_alloc, ALLOC, ENOMEM)   \
    X(accept4, SYSTEM, EMFILE)        \
    X(recv, SYSTEM, ECONNRESET)       \
    X(recvmsg, SYSTEM, ECONNRESET)    \
    X(sendmsg, SYSTEM, EPIPE)         \
    X(sendmsg_local, SYSTEM, ENOBUFS) \
    X(read, SYSTEM, EIO)              \
    X(pread, SYSTEM, EIO)             \
    X(write, SYSTEM, ENOSPC)          \
    X(writev, SYSTEM, ENOSPC)         \
    X(splice, SYSTEM, ENOMEM)         \
    X(epoll_create1, SYSTEM, EMFILE)  \
    X(epoll_ctl, SYSTEM, ENOMEM)      \
    X(epoll_wait, SYSTEM, EINTR)      \
    X(eventfd, SYSTEM, EMFILE)        \
    X(signalfd, SYSTEM, EMFILE)       \
    X(pipe2, SYSTEM, EMFILE)          \
    X(socket, SYSTEM, EMFILE)         \
    X(socketpair, SYSTEM, EMFILE)     \
    X(connect, SYSTEM, EADDRNOTAVAIL) \
    X(bind, SYSTEM, EADDRINUSE)       \
    X(listen, SYSTEM, EADDRINUSE)     \
    X(setsockopt, SYSTEM, ENOMEM)     \
    X(getsockopt, SYSTEM, ENOBUFS)    \
    X(getsockname, SYSTEM, ENOBUFS)   \
    X(getpeername, SYSTEM, ENOTCONN)  \
    X(fcntl, SYSTEM, EMFILE)          \
    X(open, SYSTEM, EMFILE)           \
    X(fopen, SYSTEM, EMFILE)          \
    X(mkostemp, SYSTEM, EMFILE)       \
    X(unlink, SYSTEM, EACCES)         \
    X(mkdir, SYSTEM, EACCES)          \
    X(fork, SYSTEM, EAGAIN)           \
    X(pthread_create, SYSTEM, EAGAIN)

enum group { ALLOC, SYSTEM, GROUPS };
enum { MODE_COUNT, MODE_NTH, MODE_SITE };
enum {
    FRAMES = 12,
    SKIPPED_FRAMES = 3,
    ALLOCATOR_FRAMES = 3,
    RUN_ONCE_BYTES = 64,
    SITES = 4096,
    MODULES = 64,
    CALLS_MAX = 64,
    NAME_BYTES = 64
};

#define AS_ID(name, group, error) CALL_##name,
enum call { CALLS(AS_ID) CALL_COUNT };

static const struct {
    const char *name;
    int group, error;
} calls[] = {
#define AS_ROW(name, group, error) {#name, group, error},
    CALLS(AS_ROW)};

struct site {
    uint64_t id; /* 0: free */
    uint32_t call, frame_count;
    uint64_t count, first;   /* how often, and the number in its group of the first */
    uint64_t frames[FRAMES]; /* module << 48 | offset */
};

struct page {
    atomic_uint lock;
    uint32_t mode, group, error;
    uint64_t n, site; /* MODE_NTH: the n-th of group; MODE_SITE: the n-th of site */
    uint64_t seen[GROUPS];
    uint32_t fired, fired_site, is_full, module_count, call_count, pid;
    char thread[16]; /* that it failed in */
    char call_names[CALLS_MAX][16];
    char modules[MODULES][NAME_BYTES * 2];
    struct site sites[SITES];
};

static struct page *page; /* NULL: nothing is counted yet */
static struct module {
    uintptr_t from, to, base;
    bool is_openssl;
} modules[MODULES];
static int module_count;
static uintptr_t run_once, libc_from, libc_to; /* CRYPTO_THREAD_run_once(), the C library */
static __thread volatile bool inside __attribute__((tls_model("initial-exec")));

/* ---- which stack ---- */

struct walk {
    uint64_t frames[FRAMES];
    int skip, count, seen;
    bool inside_openssl; /* still: the frames are not ours */
    uintptr_t entry;     /* in OpenSSL, the outermost function so far */
    bool once;           /* something that OpenSSL does once */
};

static bool is_openssl(uintptr_t pc)
{
    for (int i = 0; i < module_count; i++)
        if (pc >= modules[i].from && pc < modules[i].to)
            return modules[i].is_openssl;
    return false;
}

/* OpenSSL 3.0 crashes when memory ends while it sets up itself or a library context: nothing that
 * weir could do about, once in a process or worker, at its first TLS. */
static bool is_set_up(uintptr_t entry)
{
    static const char *const names[] = {"OSSL_LIB_CTX_new", "OPENSSL_init_crypto",
                                        "OPENSSL_init_ssl", "OSSL_LIB_CTX_free"};
    Dl_info info;
    if (!entry || !dladdr((void *)entry, &info) || !info.dli_sname)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(info.dli_sname, names[i]) == 0)
            return true;
    return false;
}

static uint64_t frame_name(uintptr_t pc)
{
    for (int i = 0; i < module_count; i++)
        if (pc >= modules[i].from && pc < modules[i].to)
            return (uint64_t)i << 48 | (pc - modules[i].base);
    return (uint64_t)MODULES << 48;
}

static _Unwind_Reason_Code walk_one(struct _Unwind_Context *at, void *ctx)
{
    struct walk *w = ctx;
    uintptr_t pc = (uintptr_t)_Unwind_GetIP(at) - 1;
    if (w->skip-- > 0)
        return _URC_NO_REASON;
    if (w->seen++ < ALLOCATOR_FRAMES && is_openssl(pc)) {
        w->inside_openssl = true;
        w->count = 0; /* weir's allocator, which OpenSSL was given */
    }
    if (w->inside_openssl && is_openssl(pc)) {
        w->entry = pc;
        w->once |= pc >= run_once && pc < run_once + RUN_ONCE_BYTES;
        return _URC_NO_REASON;
    }
    if (w->inside_openssl && pc >= libc_from && pc < libc_to)
        return _URC_NO_REASON; /* pthread_once() */
    w->inside_openssl = false;
    w->frames[w->count++] = frame_name((uintptr_t)_Unwind_GetIP(at) - 1);
    return w->count == FRAMES ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static uint64_t walk_hash(const struct walk *w, enum call c)
{
    uint64_t h = 14695981039346656037u ^ c; /* FNV-1a, a frame at a time */
    for (int i = 0; i < w->count; i++)
        h = (h ^ w->frames[i]) * 1099511628211u;
    return h ? h : 1;
}

static int add_module(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size, (void)ctx;
    for (int i = 0; i < info->dlpi_phnum && module_count < MODULES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        struct module *m = &modules[module_count];
        m->base = info->dlpi_addr;
        m->from = m->base + p->p_vaddr;
        m->to = m->from + p->p_memsz;
        m->is_openssl = strstr(info->dlpi_name, "libcrypto.so") != NULL ||
                        strstr(info->dlpi_name, "libssl.so") != NULL;
        if (strstr(info->dlpi_name, "libc.so")) {
            libc_from = m->from;
            libc_to = m->to;
        }
        snprintf(page->modules[module_count++], sizeof page->modules[0], "%s", info->dlpi_name);
    }
    return 0;
}

/* ---- the page ---- */

static void page_lock(void)
{
    while (atomic_exchange_explicit(&page->lock, 1, memory_order_acquire))
        sched_yield();
}

static void page_unlock(void)
{
    atomic_store_explicit(&page->lock, 0, memory_order_release);
}

static struct site *site_find(uint64_t id, enum call c, const struct walk *w)
{
    for (uint32_t i = 0; i < SITES; i++) {
        struct site *s = &page->sites[(id + i) % SITES];
        if (s->id == id)
            return s;
        if (s->id)
            continue;
        s->id = id;
        s->call = c;
        s->frame_count = (uint32_t)w->count;
        memcpy(s->frames, w->frames, sizeof s->frames);
        return s;
    }
    page->is_full = 1;
    return NULL;
}

static bool is_wanted(const struct site *s, int group)
{
    if (page->fired || page->mode == MODE_COUNT)
        return false;
    if (page->mode == MODE_NTH)
        return page->group == (uint32_t)group && page->seen[group] == page->n;
    return s && s->id == page->site && s->count == page->n;
}

__attribute__((noinline)) static bool count_call(enum call c)
{
    struct walk w = {.skip = SKIPPED_FRAMES};
    int group = calls[c].group;
    _Unwind_Backtrace(walk_one, &w);
    if (w.once || is_set_up(w.entry))
        return false;
    uint64_t id = walk_hash(&w, c);
    page_lock();
    struct site *s = site_find(id, c, &w);
    page->seen[group]++;
    if (s && s->count++ == 0)
        s->first = page->seen[group];
    bool fail = is_wanted(s, group);
    if (fail) {
        page->fired = 1;
        page->fired_site = s ? (uint32_t)(s - page->sites) : SITES;
        page->pid = (uint32_t)getpid();
        prctl(PR_GET_NAME, page->thread);
    }
    page_unlock();
    return fail;
}

/* Is this the call that fails? Then errno is set. */
__attribute__((noinline)) static bool fails(enum call c)
{
    int error = errno;
    if (!page || inside)
        return false;
    inside = true;
    bool fail = count_call(c);
    inside = false;
    errno = !fail ? error : page->error ? (int)page->error : calls[c].error;
    return fail;
}

static void page_open(void)
{
    const char *path = getenv("SHIM_PAGE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED)
        return;
    inside = true;
    page = at;
    for (int i = 0; i < CALL_COUNT; i++)
        snprintf(page->call_names[i], sizeof page->call_names[i], "%s", calls[i].name);
    page->call_count = CALL_COUNT;
    module_count = 0;
    dl_iterate_phdr(add_module, NULL);
    run_once = (uintptr_t)dlsym(RTLD_DEFAULT, "CRYPTO_THREAD_run_once");
    page->module_count = (uint32_t)module_count;
    inside = false;
}

/* ---- from main() on ---- */

typedef int main_fn(int, char **, char **);
static main_fn *real_main;

static int counted_main(int argc, char **argv, char **env)
{
    page_open();
    return real_main(argc, argv, env);
}

int __libc_start_main(main_fn *m, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*ld_fini)(void), void *stack_end);
int __libc_start_main(main_fn *m, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*ld_fini)(void), void *stack_end)
{
    __typeof__(&__libc_start_main) next = (__typeof__(next))dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = m;
    return next(counted_main, argc, argv, init, fini, ld_fini, stack_end);
}

/* ---- allocation ---- */

/* volatile: glibc calls its functions leaves, and they are not.
 * dlsym() itself may allocate while we look up the real functions: it gets some of this. */
static char early[4096];
static size_t early_used;
static __thread volatile bool looking_up __attribute__((tls_model("initial-exec")));

static void *early_take(size_t size)
{
    void *at = &early[early_used];
    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof early ? at : NULL;
}

static bool is_early(const void *at)
{
    return (const char *)at >= early && (const char *)at < early + sizeof early;
}

static void *look_up(const char *name)
{
    looking_up = true;
    void *at = dlsym(RTLD_NEXT, name);
    looking_up = false;
    return at;
}

#define NEXT(name)                 \
    static __typeof__(&name) next; \
    if (!next)                     \
    next = (__typeof__(next))look_up(#name)

void *malloc(size_t size)
{
    if (looking_up)
        return early_take(size);
    NEXT(malloc);
    return fails(CALL_malloc) ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
    if (looking_up)
        return early_take(count * size);
    NEXT(calloc);
    return fails(CALL_calloc) ? NULL : next(count, size);
}

void *realloc(void *at, size_t size)
{
    NEXT(realloc);
    return fails(CALL_realloc) ? NULL : next(at, size);
}

/* dlsym() frees the text of an earlier error: when that is the first free of all, it is leaked. */
void free(void *at)
{
    static __typeof__(&free) next;
    if (!next && !looking_up)
        next = (__typeof__(next))look_up("free");
    if (next && !is_early(at))
        next(at);
}

void *aligned_alloc(size_t align, size_t size)
{
    NEXT(aligned_alloc);
    return fails(CALL_aligned_alloc) ? NULL : next(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    NEXT(posix_memalign);
    return fails(CALL_posix_memalign) ? errno : next(out, align, size);
}

/* ---- system calls ---- */

#define WRAP(type, failed, name, params, ...)                   \
    type name params                                            \
    {                                                           \
        NEXT(name);                                             \
        return fails(CALL_##name) ? failed : next(__VA_ARGS__); \
    }

WRAP(int, -1, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags), fd, a, len, flags)
WRAP(ssize_t, -1, recv, (int fd, void *at, size_t len, int flags), fd, at, len, flags)
WRAP(ssize_t, -1, recvmsg, (int fd, struct msghdr *m, int flags), fd, m, flags)
WRAP(ssize_t, -1, pread, (int fd, void *at, size_t len, off_t from), fd, at, len, from)
WRAP(ssize_t, -1, writev, (int fd, const struct iovec *v, int count), fd, v, count)
WRAP(ssize_t, -1, splice,
     (int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags), in, in_at, out,
     out_at, len, flags)
WRAP(int, -1, epoll_create1, (int flags), flags)
WRAP(int, -1, epoll_wait, (int fd, struct epoll_event *e, int max, int timeout), fd, e, max,
     timeout)
WRAP(int, -1, eventfd, (unsigned from, int flags), from, flags)
WRAP(int, -1, signalfd, (int fd, const sigset_t *set, int flags), fd, set, flags)
WRAP(int, -1, pipe2, (int fds[2], int flags), fds, flags)
WRAP(int, -1, socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(int, -1, socketpair, (int domain, int type, int protocol, int fds[2]), domain, type, protocol,
     fds)
WRAP(int, -1, connect, (int fd, const struct sockaddr *a, socklen_t len), fd, a, len)
WRAP(int, -1, bind, (int fd, const struct sockaddr *a, socklen_t len), fd, a, len)
WRAP(int, -1, listen, (int fd, int backlog), fd, backlog)
WRAP(int, -1, setsockopt, (int fd, int level, int name, const void *at, socklen_t len), fd, level,
     name, at, len)
WRAP(int, -1, getsockopt, (int fd, int level, int name, void *at, socklen_t *len), fd, level, name,
     at, len)
WRAP(int, -1, getsockname, (int fd, struct sockaddr *a, socklen_t *len), fd, a, len)
WRAP(int, -1, getpeername, (int fd, struct sockaddr *a, socklen_t *len), fd, a, len)
WRAP(FILE *, NULL, fopen, (const char *path, const char *mode), path, mode)
WRAP(int, -1, mkostemp, (char *path, int flags), path, flags)
WRAP(int, -1, unlink, (const char *path), path)
WRAP(int, -1, mkdir, (const char *path, mode_t mode), path, mode)
WRAP(pid_t, -1, fork, (void), )

int epoll_ctl(int fd, int what, int which, struct epoll_event *e)
{
    NEXT(epoll_ctl);
    return what != EPOLL_CTL_DEL && fails(CALL_epoll_ctl) ? -1 : next(fd, what, which, e);
}

/* A send on a local socket fails like that of TCP only when the other end is gone; memory may be
 * short. */
static enum call send_kind(int fd)
{
    int domain = AF_INET, error = errno;
    socklen_t len = sizeof domain;
    if (page)
        syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    errno = error;
    return domain == AF_UNIX ? CALL_sendmsg_local : CALL_sendmsg;
}

/* TCP refuses to send only when the connection is dead: then nothing is to be received either. */
static void end_connection(int fd)
{
    int error = errno;
    syscall(SYS_shutdown, fd, SHUT_RDWR);
    errno = error;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    NEXT(sendmsg);
    enum call kind = send_kind(fd);
    if (!fails(kind))
        return next(fd, m, flags);
    if (kind == CALL_sendmsg)
        end_connection(fd);
    return -1;
}

ssize_t send(int fd, const void *at, size_t len, int flags)
{
    NEXT(send);
    enum call kind = send_kind(fd);
    if (!fails(kind))
        return next(fd, at, len, flags);
    if (kind == CALL_sendmsg)
        end_connection(fd);
    return -1;
}

/* eventfd and its like have no file type, and their reads and writes cannot fail. */
static bool can_fail(int fd)
{
    struct stat st;
    int error = errno;
    bool can = !page || (fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) != 0);
    errno = error;
    return can;
}

ssize_t read(int fd, void *at, size_t len)
{
    NEXT(read);
    return can_fail(fd) && fails(CALL_read) ? -1 : next(fd, at, len);
}

ssize_t write(int fd, const void *at, size_t len)
{
    NEXT(write);
    return can_fail(fd) && fails(CALL_write) ? -1 : next(fd, at, len);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    NEXT(open);
    return fails(CALL_open) ? -1 : next(path, flags, mode);
}

int fcntl(int fd, int what, ...)
{
    va_list more;
    va_start(more, what);
    void *arg = va_arg(more, void *);
    va_end(more);
    NEXT(fcntl);
    return fails(CALL_fcntl) ? -1 : next(fd, what, arg);
}

/* A sanitizer's own way to look at a thread that begins; it takes no failure. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *out)
{
    NEXT(pthread_getattr_np);
    bool before = inside;
    inside = true;
    int error = next(thread, out);
    inside = before;
    return error;
}

int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    NEXT(pthread_create);
    return fails(CALL_pthread_create) ? errno : next(out, attr, run, arg);
}
