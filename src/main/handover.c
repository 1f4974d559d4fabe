/* handover.c - see handover.h: the packets' layout, and sending them with descriptors (SCM_RIGHTS).
 *
 * Every length is checked against the packet before anything is copied. Descriptors that arrive
 * are closed on every way out that does not hand them to the caller. */
// SPDX-License-Identifier: Apache-2.0
#include "main/handover.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define HANDOVER_MAGIC 0x31526577u /* "weR1" */

struct packet_head {
    uint32_t magic, kind;
    int64_t numbers[HANDOVER_NUMBERS];
    uint32_t addr_len, text_len;
};

_Static_assert(sizeof(struct packet_head) + sizeof(struct sockaddr_un) + HANDOVER_TEXT_MAX <=
                   HANDOVER_BYTES_MAX,
               "the largest message fits");

size_t handover_encode(const struct handover *m, char to[HANDOVER_BYTES_MAX])
{
    struct slice text = slice_head(m->text, HANDOVER_TEXT_MAX);
    struct packet_head h = {.magic = HANDOVER_MAGIC,
                            .kind = m->kind,
                            .addr_len = m->addr.len,
                            .text_len = (uint32_t)text.len};
    memcpy(h.numbers, m->numbers, sizeof h.numbers);
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, &m->addr.un, m->addr.len);
    if (text.len)
        memcpy(to + sizeof h + m->addr.len, text.at, text.len);
    return sizeof h + m->addr.len + text.len;
}

bool handover_decode(struct slice packet, struct handover *out)
{
    struct packet_head h;
    if (packet.len < sizeof h)
        return false;
    memcpy(&h, packet.at, sizeof h);
    if (h.magic != HANDOVER_MAGIC || h.kind == 0 || h.kind >= HANDOVER_KIND_END ||
        h.addr_len > sizeof(struct sockaddr_un) || h.text_len > HANDOVER_TEXT_MAX ||
        packet.len != sizeof h + h.addr_len + h.text_len)
        return false;
    out->kind = h.kind;
    memcpy(out->numbers, h.numbers, sizeof h.numbers);
    memset(&out->addr, 0, sizeof out->addr);
    out->addr.len = h.addr_len;
    memcpy(&out->addr.un, packet.at + sizeof h, h.addr_len);
    out->text = (struct slice){packet.at + sizeof h + h.addr_len, h.text_len};
    return true;
}

/* ---- the channel ---- */

bool handover_pair(int fds[2])
{
    struct timeval wait = {.tv_sec = HANDOVER_SEND_MS / 1000};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return true;
}

union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(HANDOVER_FDS_MAX * sizeof(int))];
};

static void put_fds(struct msghdr *msg, union control *c, const struct handover *m)
{
    size_t len = m->fd_count * sizeof(int);
    memset(c, 0, sizeof *c);
    msg->msg_control = c;
    msg->msg_controllen = CMSG_SPACE(len);
    struct cmsghdr *h = CMSG_FIRSTHDR(msg);
    *h = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(len)};
    memcpy(CMSG_DATA(h), m->fds, len);
}

enum { SEND_TRIES = 20, SEND_PAUSE_MS = 5 };

/* Short of memory for local sockets the kernel refuses; that passes. Every other error means that
 * the other end is gone. */
static bool send_again(int *tries)
{
    if (errno == EINTR)
        return true;
    if ((errno != ENOBUFS && errno != ENOMEM) || ++*tries > SEND_TRIES)
        return false;
    poll(NULL, 0, SEND_PAUSE_MS);
    return true;
}

bool handover_send(int channel, const struct handover *m)
{
    int tries = 0;
    char bytes[HANDOVER_BYTES_MAX];
    union control control;
    struct iovec part = {bytes, handover_encode(m, bytes)};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (m->fd_count)
        put_fds(&msg, &control, m);
    ssize_t n;
    do
        n = sendmsg(channel, &msg, MSG_NOSIGNAL);
    while (n < 0 && send_again(&tries));
    return n == (ssize_t)part.iov_len;
}

bool handover_say(int channel, uint32_t kind, int64_t number, struct slice text)
{
    struct handover m = {.kind = kind, .numbers = {number}, .text = text};
    return handover_send(channel, &m);
}

static void take_fds(struct msghdr *msg, struct handover *out)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t len = h->cmsg_len - CMSG_LEN(0);
        out->fd_count = (uint32_t)(len / sizeof(int));
        memcpy(out->fds, CMSG_DATA(h), len);
    }
}

void handover_close_fds(struct handover *m)
{
    for (uint32_t i = 0; i < m->fd_count; i++)
        close(m->fds[i]);
    m->fd_count = 0;
}

/* Descriptors that did not fit (MSG_CTRUNC: this process has too many open) are left out of the
 * message, which is whole otherwise. */
static enum handover_got receive_packet(int channel, struct handover *out)
{
    union control control;
    struct iovec part = {out->bytes, sizeof out->bytes};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    out->fd_count = 0;
    ssize_t n;
    /* An end that closed without reading everything resets the channel, which is reported once,
     * before what it had sent itself. */
    do
        n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return errno == EAGAIN ? HANDOVER_NOTHING : HANDOVER_GONE;
    take_fds(&msg, out);
    if (msg.msg_flags & MSG_CTRUNC)
        handover_close_fds(out);
    if (n > 0 && !(msg.msg_flags & MSG_TRUNC) &&
        handover_decode((struct slice){out->bytes, (size_t)n}, out))
        return HANDOVER_GOT;
    handover_close_fds(out);
    return HANDOVER_GONE;
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

enum handover_got handover_receive(int channel, struct handover *out, int timeout_ms)
{
    int64_t by = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
    for (;;) {
        enum handover_got got = receive_packet(channel, out);
        int64_t left = by - now_ms();
        if (got != HANDOVER_NOTHING || left <= 0)
            return got;
        struct pollfd p = {.fd = channel, .events = POLLIN};
        (void)poll(&p, 1, left > 1000 ? 1000 : (int)left);
    }
}
