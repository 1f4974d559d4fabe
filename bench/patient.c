/* patient.c - a good client: one request after the other, a little apart, and what each took.
 *
 *     patient PORT SECONDS PACE_US
 *
 * Every other request goes over the connection that is kept, the others over new ones, whose time
 * counts from connect() on. Prints JSON: percentiles in microseconds of all, of the kept and of the
 * new ones, and how many failed: no whole answer 200 within 5 s, which is what they count with. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 65536, PATIENCE_S = 5, TIMES_MAX = 1 << 20 };

struct times {
    uint32_t us[TIMES_MAX];
    size_t count;
};

static int port;
static struct times all, kept, fresh;
static long failed;
static const char REQUEST[] = "GET /good/1k HTTP/1.1\r\nHost: bench.test\r\n\r\n";

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int dial(void)
{
    struct sockaddr_in at = loopback(port);
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    close(fd);
    return -1;
}

/* How long the whole answer is; 0: not known yet, -1: it is none. */
static long answer_len(char *text, size_t len)
{
    text[len] = '\0';
    char *end = strstr(text, "\r\n\r\n"), *field = strcasestr(text, "\r\nContent-Length:");
    if (!end)
        return 0;
    if (strncmp(text, "HTTP/1.1 200", 12) != 0 || !field || field > end)
        return -1;
    return end + 4 - text + atol(field + 17);
}

static int ask(int fd)
{
    static char answer[ANSWER_BYTES + 1];
    size_t len = 0;
    if (send(fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) < 0)
        return 0;
    for (;;) {
        ssize_t n = recv(fd, answer + len, ANSWER_BYTES - len, 0);
        if (n <= 0)
            return 0;
        len += (size_t)n;
        long whole = answer_len(answer, len);
        if (whole < 0 || (whole > 0 && (size_t)whole <= len))
            return whole > 0;
    }
}

static void note(struct times *t, int64_t us)
{
    if (t->count < TIMES_MAX)
        t->us[t->count++] = (uint32_t)us;
}

/* One request; fd -1: over a new connection. Returns the connection, -1 when it is of no use. */
static int request(int fd, struct times *mine)
{
    int64_t began = now_us();
    if (fd < 0)
        fd = dial();
    int good = fd >= 0 && ask(fd);
    int64_t us = good ? now_us() - began : PATIENCE_S * 1000000L;
    failed += !good;
    note(&all, us);
    note(mine, us);
    if (good || fd < 0)
        return fd;
    close(fd);
    return -1;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, struct times *t)
{
    qsort(t->us, t->count, sizeof *t->us, by_size);
    size_t n = t->count ? t->count : 1;
    printf("\"%s\": {\"count\": %zu, \"p50\": %u, \"p90\": %u, \"p99\": %u, \"max\": %u}, ", name,
           t->count, t->us[n / 2], t->us[n * 90 / 100], t->us[n * 99 / 100], t->us[n - 1]);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    port = atoi(argv[1]);
    int64_t end = now_us() + (int64_t)(atof(argv[2]) * 1e6);
    int fd = -1;
    for (long i = 0; now_us() < end; i++) {
        if (i % 2 == 0 && fd < 0)
            fd = dial();
        if (i % 2 == 0) {
            fd = request(fd, &kept);
        } else {
            int once = request(-1, &fresh);
            if (once >= 0)
                close(once);
        }
        usleep((useconds_t)atoi(argv[3]));
    }
    printf("{");
    print("all", &all);
    print("kept", &kept);
    print("new", &fresh);
    printf("\"failed\": %ld}\n", failed);
    return 0;
}
