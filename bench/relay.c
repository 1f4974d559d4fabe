/* relay.c - a TCP relay that looks at nothing: the physical limit that weir is compared with.
 *
 *     relay LISTEN_PORT ORIGIN_PORT           one thread, edge-triggered epoll, 64 KB reads
 *     relay LISTEN_PORT ORIGIN_PORT splice    what the origin sends goes through a pipe, uncopied
 *
 * Each client connection gets one to the origin; bytes go across as they come. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 65536, PIPE_BYTES = 1 << 20, EVENTS = 256 };

struct end {
    int fd;
    struct end *peer;
    char *held; /* what the other side did not take yet */
    size_t held_at, held_len;
    int spliced; /* what comes from here goes through the pipe */
    int pipe[2];
    size_t piped; /* bytes in it */
    int closed;
};

static int epoll;
static struct end *graves[EVENTS * 4];
static int grave_count;

static void pair_close(struct end *e)
{
    struct end *both[2] = {e, e->peer};
    for (int i = 0; i < 2; i++) {
        if (both[i]->closed)
            continue;
        both[i]->closed = 1;
        close(both[i]->fd);
        if (both[i]->spliced) {
            close(both[i]->pipe[0]);
            close(both[i]->pipe[1]);
        }
        graves[grave_count++] = both[i];
    }
}

static int push(struct end *to)
{
    while (to->held_len) {
        ssize_t n = send(to->fd, to->held + to->held_at, to->held_len, MSG_NOSIGNAL);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 0 : -1;
        to->held_at += (size_t)n;
        to->held_len -= (size_t)n;
    }
    free(to->held);
    to->held = NULL;
    return 1;
}

static int forward(struct end *to, const char *bytes, size_t len)
{
    ssize_t n = send(to->fd, bytes, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len)
        return 1;
    if (n < 0 && errno != EAGAIN)
        return -1;
    n = n < 0 ? 0 : n;
    to->held_len = len - (size_t)n;
    to->held_at = 0;
    to->held = malloc(to->held_len);
    memcpy(to->held, bytes + n, to->held_len);
    return 0;
}

static void pump(struct end *from)
{
    static char bytes[CHUNK_BYTES];
    while (!from->peer->held) {
        ssize_t n = recv(from->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || forward(from->peer, bytes, (size_t)n) < 0) {
            pair_close(from);
            return;
        }
        if ((size_t)n < sizeof bytes)
            return;
    }
}

/* 1: the pipe is empty, 0: the other side takes no more, -1: broken. */
static int drain(struct end *from)
{
    while (from->piped) {
        ssize_t n = splice(from->pipe[0], NULL, from->peer->fd, NULL, from->piped,
                           SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 0 : -1;
        from->piped -= (size_t)n;
    }
    return 1;
}

static void pump_pipe(struct end *from)
{
    for (int state; (state = drain(from)) != 0;) {
        ssize_t n = state < 0 ? 0
                              : splice(from->fd, NULL, from->pipe[1], NULL, PIPE_BYTES,
                                       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            pair_close(from);
            return;
        }
        from->piped = (size_t)n;
    }
}

static void pipe_make(struct end *e)
{
    if (pipe2(e->pipe, O_NONBLOCK)) {
        perror("pipe");
        exit(1);
    }
    fcntl(e->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
    e->spliced = 1;
}

static void accept_all(int listener, const struct sockaddr_in *origin, int spliced)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct end *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
        a->fd = fd;
        b->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        a->peer = b;
        b->peer = a;
        if (spliced)
            pipe_make(b);
        connect(b->fd, (const struct sockaddr *)origin, sizeof *origin);
        watch_edges(epoll, b->fd, b);
        watch_edges(epoll, a->fd, a);
    }
}

static void on_event(struct end *e, unsigned events)
{
    if (!e->closed && (events & EPOLLOUT) && e->peer->spliced)
        pump_pipe(e->peer);
    if (!e->closed && (events & EPOLLOUT) && e->held) {
        int done = push(e);
        if (done < 0)
            pair_close(e);
        else if (done)
            pump(e->peer);
    }
    if (!e->closed && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        e->spliced ? pump_pipe(e) : pump(e);
}

int main(int argc, char **argv)
{
    int spliced = argc == 4 && strcmp(argv[3], "splice") == 0;
    if (argc != 3 && !spliced)
        return 2;
    signal(SIGPIPE, SIG_IGN); /* splice() has no MSG_NOSIGNAL */
    struct sockaddr_in origin = loopback(atoi(argv[2]));
    struct epoll_event events[EVENTS];
    epoll = epoll_create1(0);
    int listener = listen_on(epoll, atoi(argv[1]));
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_event(events[i].data.ptr, events[i].events);
            else
                accept_all(listener, &origin, spliced);
        }
        while (grave_count)
            free(graves[--grave_count]);
    }
}
