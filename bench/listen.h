/* listen.h - what both relays begin with: loopback addresses and a listening socket in an epoll. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static inline struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)port)};
}

/* The descriptor; its events have a NULL pointer. Ends the program when the port is taken. */
static inline int listen_on(int epoll, int port)
{
    struct sockaddr_in at = loopback(port);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
        perror("listen");
        exit(1);
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    return fd;
}

static inline void watch_edges(int epoll, int fd, void *owner)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             .data.ptr = owner};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}
