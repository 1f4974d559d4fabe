/* responder.c - answers every request with the same bytes and looks at none of them: the limit that
 * a cache's hit is compared with, and an origin that takes its time.
 *
 *     responder PORT BYTES              one receive and one send per request, head and body at once
 *     responder PORT BYTES DELAY_MS     the answer leaves so much later
 *
 * The answer may be stored for an hour. Requests come one at a time on a connection, each in one
 * piece: no more is needed here. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, REQUEST_BYTES = 4096, HEAD_BYTES = 512, WAITING_MAX = 65536 };

struct waiting {
    int fd;
    long due_ms;
};

static char *answer;
static size_t answer_len;
static struct waiting ring[WAITING_MAX]; /* in the order of `due_ms` */
static unsigned first, past;

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void answer_make(size_t bytes)
{
    char date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    answer = malloc(HEAD_BYTES + bytes);
    int head = snprintf(answer, HEAD_BYTES,
                        "HTTP/1.1 200 OK\r\nServer: responder\r\nDate: %s\r\n"
                        "Content-Type: text/plain\r\nContent-Length: %zu\r\n"
                        "Last-Modified: Wed, 31 Dec 2025 00:00:00 GMT\r\n"
                        "Connection: keep-alive\r\nETag: \"1\"\r\n"
                        "Cache-Control: max-age=3600\r\n\r\n",
                        date, bytes);
    memset(answer + head, 'x', bytes);
    answer_len = (size_t)head + bytes;
}

/* What the socket does not take waits for it: only large answers need that. */
static void send_all(int fd)
{
    for (size_t at = 0; at < answer_len;) {
        ssize_t n = send(fd, answer + at, answer_len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

static void take_request(int fd, long delay_ms)
{
    static char request[REQUEST_BYTES];
    ssize_t n = recv(fd, request, sizeof request, 0);
    if (n <= 0) {
        close(fd);
        return;
    }
    if (delay_ms == 0)
        send_all(fd);
    else
        ring[past++ % WAITING_MAX] = (struct waiting){fd, now_ms() + delay_ms};
}

static int timeout_ms(void)
{
    if (first == past)
        return -1;
    long left = ring[first % WAITING_MAX].due_ms - now_ms();
    return left > 0 ? (int)left : 0;
}

static void send_due(void)
{
    for (long now = now_ms(); first != past && ring[first % WAITING_MAX].due_ms <= now; first++)
        send_all(ring[first % WAITING_MAX].fd);
}

static void watch(int epoll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        return 2;
    long delay_ms = argc == 4 ? atol(argv[3]) : 0;
    int epoll = epoll_create1(0), listener = listen_on(epoll, atoi(argv[1]));
    answer_make((size_t)atol(argv[2]));
    for (;;) {
        struct epoll_event e[EVENTS];
        int n = epoll_wait(epoll, e, EVENTS, delay_ms ? timeout_ms() : -1);
        for (int i = 0; i < n; i++) {
            if (e[i].data.fd == 0)
                watch(epoll, accept(listener, NULL, NULL));
            else
                take_request(e[i].data.fd, delay_ms);
        }
        if (delay_ms)
            send_due();
    }
}
