/* visitors.c - requests that come when they come, not when the last one was answered: an open loop
 * at a fixed rate, with the patience of a person.
 *
 *     visitors PORT RATE SECONDS PATIENCE_MS
 *
 * Prints JSON: how many were sent, answered well in time, answered with an error, given up, broken,
 * and percentiles of the time from the moment when a request was due (one that failed or was given
 * up counts with the whole patience). Connections are kept and used again; a kept one that turns
 * out to be dead is no error: the request goes over another. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, HEAD_BYTES = 8192, OPEN_MAX = 7000 };

struct visit {
    int fd;
    int sent, reused, done;
    int64_t due_us;
    size_t len;
    char head[HEAD_BYTES];
    struct visit *next_idle;
    struct visit *next, *before; /* of those under way, oldest first */
};

static int epoll, port, open_count;
static int64_t patience_us, *took;
static size_t took_count;
static long sent, good, failed, given_up, broken;
static struct visit *idle, under_way = {.next = &under_way, .before = &under_way};
static const char REQUEST[] = "GET /page HTTP/1.1\r\nHost: bench.test\r\n\r\n";

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void unlink_visit(struct visit *v)
{
    v->before->next = v->next;
    v->next->before = v->before;
    v->next = v->before = v;
}

static void visit_end(struct visit *v, int64_t us)
{
    took[took_count++] = us;
    unlink_visit(v);
    v->done = 1;
}

static void visit_close(struct visit *v)
{
    close(v->fd);
    open_count--;
    v->fd = -1; /* its memory stays: an event may still name it */
}

static int visit_connect(struct visit *v)
{
    struct sockaddr_in at = loopback(port);
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0)
        return -1;
    open_count++;
    v->sent = v->reused = 0;
    v->len = 0;
    if (connect(v->fd, (struct sockaddr *)&at, sizeof at) && errno != EINPROGRESS)
        return -1;
    watch_edges(epoll, v->fd, v);
    return 0;
}

static void visit_broken(struct visit *v)
{
    visit_close(v);
    if (v->done)
        return;
    if (v->reused && v->len == 0 && visit_connect(v) == 0)
        return;
    broken++;
    visit_end(v, patience_us);
}

static void visit_send(struct visit *v)
{
    v->sent = 1;
    if (send(v->fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) != sizeof REQUEST - 1)
        visit_broken(v);
}

static void visit_begin(int64_t due)
{
    struct visit *v = idle;
    sent++;
    if (v) {
        idle = v->next_idle;
        v->reused = 1;
    } else {
        v = calloc(1, sizeof *v);
    }
    v->due_us = due;
    v->done = 0;
    v->len = 0;
    v->next = &under_way;
    v->before = under_way.before;
    v->before->next = v;
    under_way.before = v;
    if (v->reused) {
        visit_send(v);
    } else if (open_count >= OPEN_MAX || visit_connect(v)) {
        broken++;
        visit_end(v, patience_us);
    }
}

/* The whole answer is there: by Content-Length, which all that is asked for here has. */
static int whole(const struct visit *v)
{
    const char *end = memmem(v->head, v->len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *at = strcasestr(v->head, "content-length:");
    size_t body = at && at < end ? strtoul(at + 15, NULL, 10) : 0;
    return v->len >= (size_t)(end + 4 - v->head) + body;
}

static void answered(struct visit *v)
{
    int ok = strncmp(v->head, "HTTP/1.1 200", 12) == 0;
    int keeps = !strcasestr(v->head, "connection: close");
    ok ? good++ : failed++;
    visit_end(v, ok ? now_us() - v->due_us : patience_us);
    if (!keeps) {
        visit_close(v);
        return;
    }
    v->next_idle = idle;
    idle = v;
}

static void idle_remove(struct visit *v)
{
    for (struct visit **at = &idle; *at; at = &(*at)->next_idle)
        if (*at == v) {
            *at = v->next_idle;
            return;
        }
}

static void visit_read(struct visit *v)
{
    ssize_t n;
    while (v->fd >= 0 && (n = recv(v->fd, v->head + v->len, sizeof v->head - 1 - v->len, 0)) != 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 || v->done)
            break;
        v->len += (size_t)n;
        v->head[v->len] = '\0';
        if (whole(v)) {
            answered(v);
            return;
        }
    }
    if (v->fd < 0)
        return;
    if (v->done)
        idle_remove(v);
    visit_broken(v);
}

static void visit_event(struct visit *v, unsigned events)
{
    if (v->fd < 0)
        return;
    if (!v->sent && !v->done && (events & EPOLLOUT) && !(events & (EPOLLERR | EPOLLHUP)))
        visit_send(v);
    if (v->fd >= 0 && (events & ~(unsigned)EPOLLOUT))
        visit_read(v);
}

static void give_up_old(int64_t now)
{
    while (under_way.next != &under_way && under_way.next->due_us + patience_us <= now) {
        struct visit *v = under_way.next;
        given_up++;
        visit_end(v, patience_us);
        visit_close(v);
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(double share)
{
    return took_count ? (double)took[(size_t)((double)(took_count - 1) * share)] / 1000 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    port = atoi(argv[1]);
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    patience_us = atoi(argv[4]) * (int64_t)1000;
    took = calloc((size_t)(rate * seconds) + 16, sizeof *took);
    epoll = epoll_create1(0);
    struct epoll_event events[EVENTS];
    int64_t begin = now_us(), now;
    while ((now = now_us()) < begin + (int64_t)(seconds * 1e6) + patience_us) {
        for (double next; next = (double)sent / rate * 1e6,
                          next < seconds * 1e6 && begin + (int64_t)next <= now;)
            visit_begin(begin + (int64_t)next);
        int n = epoll_wait(epoll, events, EVENTS, 1);
        for (int i = 0; i < n; i++)
            visit_event(events[i].data.ptr, events[i].events);
        give_up_old(now_us());
    }
    qsort(took, took_count, sizeof *took, by_size);
    printf("{\"sent\": %ld, \"good\": %ld, \"failed\": %ld, \"given_up\": %ld, \"broken\": %ld, "
           "\"p50\": %.2f, \"p99\": %.2f, \"max\": %.2f}\n",
           sent, good, failed, given_up, broken, percentile_ms(0.5), percentile_ms(0.99),
           percentile_ms(1));
    return 0;
}
