/* worker.c - an application server with a capacity: so many requests at once, each of which takes
 * some milliseconds; the rest wait. For bench/outages.py, which makes it ill.
 *
 *     worker PORT SLOTS SERVICE_MS
 *
 * Lines on stdin change it: "normal", "slow N" (N times the service time), "hang" (takes requests
 * and never answers), "fail" (answers 500 at once). A request that was taken is worked off even
 * when its client has left, as a pool of threads would. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096, QUEUE = 1 << 17, SLOTS_MAX = 256, EVENTS = 256, BODY_BYTES = 1024 };

struct conn {
    int fd;        /* -1: closed */
    unsigned uses; /* requests of it in the queue or in a slot */
    size_t len;
    char head[HEAD_BYTES];
};

struct slot {
    struct conn *conn; /* NULL: free */
    int64_t due_us;
};

static int epoll, slots_count, busy;
static int64_t service_us;
static struct slot slots[SLOTS_MAX];
static struct conn *queue[QUEUE];
static unsigned queue_head, queue_tail;
static enum { NORMAL, HANG, FAIL } mode;
static int64_t slow = 1;
static char good[BODY_BYTES + 256];
static size_t good_len;
static const char bad[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void conn_unuse(struct conn *c)
{
    if (c->fd < 0 && c->uses == 0)
        free(c);
}

static void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    conn_unuse(c);
}

static void answer(struct conn *c, const char *bytes, size_t len)
{
    if (c->fd >= 0 && send(c->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        shutdown(c->fd, SHUT_RDWR);
}

/* From half to one and a half of the service time. */
static void work_start(struct slot *s, struct conn *c, int64_t now)
{
    int64_t us = service_us * slow;
    *s = (struct slot){c, now + us / 2 + (int64_t)((double)rand() / RAND_MAX * (double)us)};
    busy++;
}

static void slots_fill(int64_t now)
{
    for (int i = 0; i < slots_count && queue_head != queue_tail; i++)
        if (!slots[i].conn)
            work_start(&slots[i], queue[queue_head++ % QUEUE], now);
}

static void slots_run(int64_t now)
{
    for (int i = 0; i < slots_count; i++) {
        struct conn *c = slots[i].conn;
        if (!c || slots[i].due_us > now)
            continue;
        slots[i].conn = NULL;
        busy--;
        c->uses--;
        answer(c, good, good_len);
        conn_unuse(c);
    }
    slots_fill(now);
}

static void request(struct conn *c)
{
    if (mode == FAIL) {
        answer(c, bad, sizeof bad - 1);
    } else if (mode == NORMAL && queue_tail - queue_head < QUEUE) {
        c->uses++;
        queue[queue_tail++ % QUEUE] = c;
    }
}

static void conn_read(struct conn *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->head + c->len, sizeof c->head - c->len, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            conn_close(c);
            return;
        }
        c->len += (size_t)n;
        if (c->len >= 4 && memcmp(c->head + c->len - 4, "\r\n\r\n", 4) == 0) {
            c->len = 0;
            request(c);
        }
    }
}

static void accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        watch_edges(epoll, fd, c);
    }
}

static void command_read(void)
{
    char line[64] = "";
    if (read(STDIN_FILENO, line, sizeof line - 1) <= 0)
        exit(0);
    slow = strncmp(line, "slow ", 5) == 0 ? atoi(line + 5) : 1;
    mode = strncmp(line, "hang", 4) == 0 ? HANG : strncmp(line, "fail", 4) == 0 ? FAIL : NORMAL;
}

static int wait_ms(int64_t now)
{
    int64_t next = now + 1000000;
    for (int i = 0; busy && i < slots_count; i++)
        if (slots[i].conn && slots[i].due_us < next)
            next = slots[i].due_us;
    return next <= now ? 0 : (int)((next - now + 999) / 1000);
}

static void answer_make(void)
{
    good_len = (size_t)snprintf(good, sizeof good,
                                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                "Content-Length: %d\r\n\r\n",
                                BODY_BYTES);
    memset(good + good_len, 'x', BODY_BYTES);
    good_len += BODY_BYTES;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    slots_count = atoi(argv[2]) < SLOTS_MAX ? atoi(argv[2]) : SLOTS_MAX;
    service_us = atoi(argv[3]) * (int64_t)1000;
    answer_make();
    epoll = epoll_create1(0);
    int listener = listen_on(epoll, atoi(argv[1]));
    struct epoll_event events[EVENTS], in = {.events = EPOLLIN, .data.ptr = &mode};
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &in);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, wait_ms(now_us()));
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr)
                accept_all(listener);
            else if (events[i].data.ptr == &mode)
                command_read();
            else if (events[i].events & ~(unsigned)EPOLLOUT)
                conn_read(events[i].data.ptr);
        }
        slots_run(now_us());
    }
}
