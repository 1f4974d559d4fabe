/* besieger.c - an attacker with one address: very many slow connections, and a flood of requests.
 *
 *     besieger PORT ADDRESS SLOW FLOOD DEPTH
 *
 * SLOW connections each send the beginning of a head and then a byte every few seconds; FLOOD
 * connections send DEPTH requests at once, and again as soon as these are answered. Whichever is
 * closed is opened again: the slow ones a second later, at most RAMP_PER_S (5000) in a second,
 * those of the flood at once. At SIGTERM it prints JSON: how many it had open, opened, how many of
 * its requests got which answer. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 512,
    AGAIN_MS = 1000,
    DRIP_MS = 3000,
    TICK_MS = 10,
    RAMP_PER_S = 5000,
    DEPTH_MAX = 64
};

struct siege {
    int fd; /* -1: closed */
    int flood, up;
    int asked;      /* requests without an answer */
    int64_t due_ms; /* slow: of the next byte; closed: of the next connect */
};

static int epoll, open_count, most_open;
static long opened, refused, closed_early, answered, turned_away;
static struct sockaddr_in from, to;
static volatile sig_atomic_t over;
static const char HEAD[] = "GET /1k HTTP/1.1\r\nHost: bench.test\r\nX-Slow: ";
static const char REQUEST[] = "GET /1k HTTP/1.1\r\nHost: bench.test\r\n\r\n";
static char burst[DEPTH_MAX * sizeof REQUEST];
static int depth;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void end(int signal)
{
    (void)signal;
    over = 1;
}

static void part(struct siege *s)
{
    if (s->fd < 0)
        return;
    close(s->fd); /* leaves the epoll, too */
    open_count -= s->up;
    s->fd = -1;
    s->up = 0;
    s->due_ms = now_ms() + (s->flood ? 0 : AGAIN_MS);
}

static void begin(struct siege *s)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return;
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e);
    if (bind(s->fd, (struct sockaddr *)&from, sizeof from) ||
        (connect(s->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)) {
        refused++;
        part(s);
        s->due_ms = now_ms() + AGAIN_MS;
    }
}

static void flood(struct siege *s)
{
    s->asked = depth;
    (void)!send(s->fd, burst, strlen(burst), MSG_NOSIGNAL);
}

/* The connection stands. */
static void rise(struct siege *s, int64_t now)
{
    s->up = 1;
    opened++;
    if (++open_count > most_open)
        most_open = open_count;
    s->due_ms = now + DRIP_MS;
    if (s->flood)
        flood(s);
    else
        (void)!send(s->fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL);
}

/* A status line that two pieces share is missed: the rest of the burst is then not waited for. */
static void count_answers(struct siege *s, const char *text, size_t len)
{
    static const char LINE[] = "HTTP/1.1 ";
    const char *end = text + len;
    while ((text = memmem(text, (size_t)(end - text), LINE, sizeof LINE - 1))) {
        text += sizeof LINE - 1;
        s->asked--;
        text < end &&*text == '2' ? answered++ : turned_away++;
    }
}

static void hear(struct siege *s)
{
    static char answer[65536];
    ssize_t n;
    size_t got = 0;
    while ((n = recv(s->fd, answer, sizeof answer, 0)) > 0) {
        got += (size_t)n;
        count_answers(s, answer, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        closed_early++;
        part(s);
    } else if (s->flood && got > 0 && s->asked <= depth / 8) {
        flood(s);
    }
}

static void happen(struct siege *s, uint32_t events, int64_t now)
{
    if (s->fd < 0)
        return;
    if (!s->up && (events & (EPOLLERR | EPOLLHUP))) {
        refused++;
        part(s);
        return;
    }
    if (!s->up && (events & EPOLLOUT))
        rise(s, now);
    if (s->fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        hear(s);
}

/* Looks at all of them, now and then. */
static void tend(struct siege *all, int count, int64_t now, int budget)
{
    static int at;
    for (int i = 0; i < count; i++) {
        struct siege *s = &all[at = (at + 1) % count];
        if (s->due_ms > now)
            continue;
        if (s->fd >= 0 && s->up && !s->flood) {
            (void)!send(s->fd, "x", 1, MSG_NOSIGNAL);
            s->due_ms = now + DRIP_MS;
        } else if (s->fd < 0 && budget-- > 0) {
            begin(s);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    int slow = atoi(argv[3]), count = slow + atoi(argv[4]);
    depth = atoi(argv[5]) < DEPTH_MAX ? atoi(argv[5]) : DEPTH_MAX;
    for (int i = 0; i < depth; i++)
        strcat(burst, REQUEST);
    struct siege *all = calloc((size_t)count, sizeof *all);
    to = loopback(atoi(argv[1]));
    from = loopback(0);
    inet_pton(AF_INET, argv[2], &from.sin_addr);
    epoll = epoll_create1(0);
    signal(SIGTERM, end);
    for (int i = 0; i < count; i++)
        all[i] = (struct siege){.fd = -1, .flood = i >= slow};
    int64_t last = 0;
    while (!over) {
        struct epoll_event e[EVENTS];
        int n = epoll_wait(epoll, e, EVENTS, TICK_MS);
        int64_t now = now_ms();
        for (int i = 0; i < n; i++)
            happen(e[i].data.ptr, e[i].events, now);
        for (int i = slow; i < count; i++)
            if (all[i].fd < 0 && all[i].due_ms <= now)
                begin(&all[i]);
        if (now - last >= TICK_MS && slow > 0) {
            tend(all, slow, now, RAMP_PER_S * TICK_MS / 1000);
            last = now;
        }
    }
    printf("{\"open\": %d, \"most_open\": %d, \"opened\": %ld, \"refused\": %ld, "
           "\"closed\": %ld, \"answered\": %ld, \"turned_away\": %ld}\n",
           open_count, most_open, opened, refused, closed_early, answered, turned_away);
    return 0;
}
