/* signals.c - signals as completions: blocked in every thread, read from a signalfd.
 *
 * So a signal is handled at a known place of the tick, never in the middle of something. */
// SPDX-License-Identifier: Apache-2.0
#include "io/signals.h"
#include "base/assert.h"
#include "base/mem.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int handled[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};

struct signals {
    struct loop *loop;
    struct io_sock sock;
    struct io_op op;
    struct dead dead;
    void (*on_signal)(void *ctx, int signo);
    void *ctx;
    bool closing;
};

static sigset_t handled_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(handled); i++)
        sigaddset(&set, handled[i]);
    return set;
}

void signals_block(void)
{
    sigset_t set = handled_set();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_readable(struct io_op *op, int res)
{
    struct signals *s = CONTAINER_OF(op, struct signals, op);
    struct signalfd_siginfo info;
    while (!s->closing && res == 0 && read(s->sock.fd, &info, sizeof(info)) == sizeof(info))
        s->on_signal(s->ctx, (int)info.ssi_signo);
    if (!s->closing)
        io_poll_in(s->loop, &s->sock, op);
}

static bool dead_ready(struct dead *d)
{
    return !CONTAINER_OF(d, struct signals, dead)->op.armed;
}

static void dead_free(struct dead *d)
{
    struct signals *s = CONTAINER_OF(d, struct signals, dead);
    io_sock_close(s->loop, &s->sock);
    free(s);
}

struct signals *signals_new(struct loop *l, void (*on_signal)(void *ctx, int signo), void *ctx)
{
    struct signals *s = MEM_NEW(struct signals);
    sigset_t set = handled_set();
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0 || !io_sock_open(l, &s->sock, fd)) {
        fprintf(stderr, "weir: cannot watch signals: %s\n", strerror(errno));
        exit(1);
    }
    s->loop = l;
    s->on_signal = on_signal;
    s->ctx = ctx;
    s->op.done = on_readable;
    s->dead = (struct dead){.ready = dead_ready, .free = dead_free};
    io_poll_in(l, &s->sock, &s->op);
    return s;
}

void signals_free(struct signals *s)
{
    s->closing = true;
    io_cancel(s->loop, &s->op);
    dead_add(s->loop, &s->dead);
}
