/* echo.c - the two ends of bench/websocket.py, cheap enough not to blur what is between them.
 *
 *     echo serve PORT               switches protocols, then sends back whatever comes
 *     echo ask PORT COUNT SECONDS   COUNT WebSockets, on each a message of 64 bytes after the other
 *
 * The client prints how many messages came back. Both take one core and speak as little HTTP as
 * that needs. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, BYTES = 65536, MESSAGE_BYTES = 64, HEAD_BYTES = 4096 };

static char bytes[BYTES];
/* One binary frame of 58 bytes, masked with zeros. */
static const char message[MESSAGE_BYTES] = {(char)0x82, (char)0xba};
static const char ask[] = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                          "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void watch(int epoll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static void answer(int fd)
{
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    bool begins = n > 4 && memcmp(bytes, "GET ", 4) == 0;
    if (n > 0 && begins)
        n = send(fd, switched, sizeof switched - 1, MSG_NOSIGNAL);
    else if (n > 0)
        n = send(fd, bytes, (size_t)n, MSG_NOSIGNAL);
    if (n <= 0)
        close(fd);
}

static void serve(int port)
{
    int epoll = epoll_create1(0), listener = listen_on(epoll, port);
    for (;;) {
        struct epoll_event e[EVENTS];
        int n = epoll_wait(epoll, e, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (!e[i].data.fd)
                watch(epoll, accept(listener, NULL, NULL));
            else
                answer(e[i].data.fd);
        }
    }
}

static void fail(const char *what)
{
    fprintf(stderr, "echo: %s\n", what);
    exit(1);
}

static int open_one(int port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char head[HEAD_BYTES + 1] = "";
    size_t len = 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) || send(fd, ask, sizeof ask - 1, 0) < 0)
        fail("no connection");
    for (ssize_t n = 1; n > 0 && !strstr(head, "\r\n\r\n"); len += n > 0 ? (size_t)n : 0)
        n = recv(fd, head + len, HEAD_BYTES - len, 0);
    if (memcmp(head, "HTTP/1.1 101", 12) != 0)
        fail("protocols were not switched");
    return fd;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(int fd)
{
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message)
        fail("a message was not taken");
}

static int ask_for(int port, int count, double seconds)
{
    int epoll = epoll_create1(0);
    unsigned long echoes = 0;
    for (int i = 0; i < count; i++) {
        int fd = open_one(port);
        watch(epoll, fd);
        say(fd);
    }
    for (double end = now_s() + seconds; now_s() < end;) {
        struct epoll_event e[EVENTS];
        int n = epoll_wait(epoll, e, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            if (recv(e[i].data.fd, bytes, sizeof bytes, 0) != MESSAGE_BYTES)
                fail("an echo was not whole");
            say(e[i].data.fd);
            echoes++;
        }
    }
    printf("%lu\n", echoes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(atoi(argv[2]));
    if (argc == 5 && strcmp(argv[1], "ask") == 0)
        return ask_for(atoi(argv[2]), atoi(argv[3]), atof(argv[4]));
    fail("serve PORT | ask PORT COUNT SECONDS");
    return 1;
}
