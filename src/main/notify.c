/* notify.c - the datagram of sd_notify(3) to $NOTIFY_SOCKET; nothing when that is not set.
 *
 * systemd is the usual listener (Type=notify or notify-reload), but any supervisor may be. A failed
 * send is nobody's problem here. */
// SPDX-License-Identifier: Apache-2.0
#include "main/notify.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void send_text(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    memcpy(to.sun_path, path, strlen(path));
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@') /* the abstract name space */
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Who does not read must not stop us. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 1}, sizeof(struct timeval));
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, len);
    close(fd);
}

void notify_ready(void)
{
    char text[64];
    snprintf(text, sizeof text, "READY=1\nMAINPID=%ld\n", (long)getpid());
    send_text(text);
}

void notify_reloading(void)
{
    struct timespec ts;
    char text[80];
    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
             (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
    send_text(text);
}

void notify_stopping(void)
{
    send_text("STOPPING=1\n");
}
