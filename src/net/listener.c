/* listener.c - binds a socket with errors a person can act on, and accepts on a loop.
 *
 * A burst of connections is taken in small portions, between which what is readable gets its turn
 * (the budget). When descriptors run out, accepting pauses for RESUME_MS instead of spinning: the
 * waiting connections stay in the kernel's queue. Accepted sockets inherit TCP_NODELAY from the
 * listening one, so an accept costs one system call and the registration. */
// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"
#include "base/assert.h"
#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG_DEFAULT = 4096,
    UNIX_MODE_DEFAULT = 0660,
    RESUME_MS = 100,
    ROUNDS_PER_TICK = 4 /* io_tick() may run an accept's done() so often */
};

static enum err errno_to_err(void)
{
    switch (errno) {
    case EADDRINUSE: return ERR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM: return ERR_NO_PERMISSION;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTORS;
    default: return ERR_IO;
    }
}

static enum err close_failed(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return errno_to_err();
}

/* Nobody answers at the path of this socket file. */
static bool is_stale(const struct addr *a)
{
    struct stat st;
    if (lstat(a->un.sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool stale = connect(fd, &a->sa, a->len) && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int bind_unix(int fd, const struct addr *a)
{
    if (bind(fd, &a->sa, a->len) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    if (!is_stale(a) || unlink(a->un.sun_path)) {
        errno = EADDRINUSE;
        return -1;
    }
    return bind(fd, &a->sa, a->len);
}

static int set_on(int fd, int level, int option)
{
    return setsockopt(fd, level, option, &(int){1}, sizeof(int));
}

static int bind_ip(int fd, const struct addr *a, const struct listen_options *o)
{
    if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) || set_on(fd, IPPROTO_TCP, TCP_NODELAY))
        return -1;
    if (o->reuseport && set_on(fd, SOL_SOCKET, SO_REUSEPORT))
        return -1;
    if (a->sa.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)))
        return -1;
    return bind(fd, &a->sa, a->len);
}

/* A kernel without IPv6 still serves ":80". */
static int open_socket(struct addr *a)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 || errno != EAFNOSUPPORT || a->sa.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr))
        return fd;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port};
    *a = (struct addr){.len = sizeof(any), .in = any};
    return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

enum err listener_bind(const struct addr *addr, const struct listen_options *o, int *out)
{
    struct addr a = *addr;
    int fd = open_socket(&a);
    if (fd < 0)
        return errno_to_err();
    bool is_unix = a.sa.sa_family == AF_UNIX;
    if (is_unix ? bind_unix(fd, &a) : bind_ip(fd, &a, o))
        return close_failed(fd);
    /* Before listen(): until then every connect is refused, whatever the mode. */
    if (is_unix && chmod(a.un.sun_path, o->unix_mode ? o->unix_mode : UNIX_MODE_DEFAULT))
        return close_failed(fd);
    if (!o->bind_only && listen(fd, o->backlog ? o->backlog : BACKLOG_DEFAULT))
        return close_failed(fd);
    *out = fd;
    return ERR_OK;
}

static void pause_accepting(struct listener *ln)
{
    ln->paused = true;
    counter_add(ln->loop->counters, METRIC_ACCEPT_PAUSED, 1);
    timer_set(&ln->loop->timers, &ln->resume, ln->loop->now_ms + RESUME_MS);
    if (ln->on_paused)
        ln->on_paused(ln);
}

/* The socket is bound: connections wait in its queue while the kernel can not watch it. */
static void watch(struct listener *ln)
{
    if (ln->waiting_fd >= 0 && !io_sock_open(ln->loop, &ln->sock, ln->waiting_fd)) {
        pause_accepting(ln);
        return;
    }
    ln->waiting_fd = -1;
    ln->paused = false;
    io_accept(ln->loop, &ln->sock, &ln->accept_op);
}

static void on_resume(struct timer *t)
{
    watch(CONTAINER_OF(t, struct listener, resume));
}

/* The result of the op, then as many more as the budget of this round allows. Returns the error
 * that ended it, or -EAGAIN. */
static int accept_some(struct listener *ln, int fd)
{
    int budget = ln->loop->budget.accepts_per_tick / ROUNDS_PER_TICK;
    for (int n = 1; fd >= 0; n++) {
        ln->on_accept(ln, fd);
        if (ln->closing || n >= budget)
            return -EAGAIN;
        fd = io_accept_next(ln->loop, &ln->sock);
    }
    return fd;
}

static void on_accepted(struct io_op *op, int res)
{
    struct listener *ln = CONTAINER_OF(op, struct listener, accept_op);
    if (ln->closing) {
        if (res >= 0)
            io_discard(ln->loop, res);
        return;
    }
    int error = accept_some(ln, res);
    if (ln->closing)
        return;
    if (error == -EAGAIN)
        io_accept(ln->loop, &ln->sock, &ln->accept_op);
    else
        pause_accepting(ln);
}

static bool dead_ready(struct dead *d)
{
    return !CONTAINER_OF(d, struct listener, dead)->accept_op.armed;
}

static void dead_free(struct dead *d)
{
    struct listener *ln = CONTAINER_OF(d, struct listener, dead);
    if (ln->waiting_fd >= 0)
        io_discard(ln->loop, ln->waiting_fd);
    io_sock_close(ln->loop, &ln->sock);
    if (ln->on_closed)
        ln->on_closed(ln);
}

bool listener_start(struct listener *ln, struct loop *l, int fd)
{
    if (fd < 0)
        return false;
    ln->loop = l;
    ln->waiting_fd = fd;
    ln->paused = ln->closing = false;
    ln->accept_op = (struct io_op){.done = on_accepted};
    ln->dead = (struct dead){.ready = dead_ready, .free = dead_free};
    timer_init(&ln->resume, on_resume);
    watch(ln);
    return true;
}

/* The filter sees the TCP header. A SYN that is dropped comes again, and finds the port closed. */
void listener_stop_new(int fd)
{
    enum { FLAGS_AT = 13, SYN = 0x02, ACK = 0x10, DROP = 0, PASS = 0x40000 };
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, DROP),
        BPF_STMT(BPF_RET | BPF_K, PASS),
    };
    struct sock_fprog all = {sizeof steps / sizeof *steps, steps};
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all);
}

void listener_accept_waiting(struct listener *ln)
{
    for (int n = 0; n < BACKLOG_DEFAULT && !ln->closing && ln->waiting_fd < 0; n++) {
        int fd = io_accept_next(ln->loop, &ln->sock);
        if (fd < 0)
            return;
        ln->on_accept(ln, fd);
    }
}

void listener_close(struct listener *ln)
{
    if (ln->closing)
        return;
    ln->closing = true;
    timer_stop(&ln->loop->timers, &ln->resume);
    if (ln->accept_op.armed)
        io_cancel(ln->loop, &ln->accept_op);
    dead_add(ln->loop, &ln->dead);
}
