/* tls_relay.c - a relay that ends TLS and looks at nothing else: the limit for weir's TLS.
 *
 *     tls_relay LISTEN_PORT ORIGIN_PORT CERT KEY    one thread, edge-triggered epoll
 *     tls_relay alone CERT KEY                      what the library's handshakes cost by
 * themselves
 *
 * Each client connection gets a plain one to the origin. "alone" does handshakes between two ends
 * in memory and prints the server's side in us of CPU: full, then resumed. */
// SPDX-License-Identifier: Apache-2.0
#include "listen.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 65536, EVENTS = 256, ALONE_ROUNDS = 400 };

struct end {
    int fd;
    SSL *ssl; /* of a client; NULL: the origin's side */
    struct end *peer;
    char *held; /* what this side did not take yet */
    size_t held_at, held_len;
    int closed;
};

static int epoll;
static struct end *graves[EVENTS * 4];
static int grave_count;

static SSL_CTX *server_context(const char *cert, const char *key)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!c || SSL_CTX_use_certificate_chain_file(c, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set1_groups_list(c, "X25519:P-256");
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return c;
}

static void pair_close(struct end *e)
{
    struct end *both[2] = {e, e->peer};
    for (int i = 0; i < 2; i++) {
        if (both[i]->closed)
            continue;
        both[i]->closed = 1;
        if (both[i]->ssl) {
            SSL_shutdown(both[i]->ssl);
            SSL_free(both[i]->ssl);
        }
        close(both[i]->fd);
        free(both[i]->held);
        graves[grave_count++] = both[i];
    }
}

static ssize_t ssl_result(SSL *s, int done)
{
    if (done > 0)
        return done;
    int why = SSL_get_error(s, done);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* Bytes taken; 0: none now; -1: broken. */
static ssize_t put(struct end *to, const char *bytes, size_t len)
{
    if (to->ssl)
        return ssl_result(to->ssl, SSL_write(to->ssl, bytes, (int)len));
    ssize_t n = send(to->fd, bytes, len, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == ENOTCONN) ? 0 : n;
}

static ssize_t get(struct end *from, char *bytes, size_t size)
{
    if (from->ssl)
        return ssl_result(from->ssl, SSL_read(from->ssl, bytes, (int)size));
    ssize_t n = recv(from->fd, bytes, size, 0);
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n > 0 ? n : -1;
}

/* 1: all is out, 0: not yet, -1: broken. */
static int push(struct end *to)
{
    while (to->held_len) {
        ssize_t n = put(to, to->held + to->held_at, to->held_len);
        if (n <= 0)
            return (int)n;
        to->held_at += (size_t)n;
        to->held_len -= (size_t)n;
    }
    free(to->held);
    to->held = NULL;
    return 1;
}

static int forward(struct end *to, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = put(to, bytes, len);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        bytes += n;
        len -= (size_t)n;
    }
    if (!len)
        return 1;
    to->held = malloc(len);
    memcpy(to->held, bytes, len);
    to->held_at = 0;
    to->held_len = len;
    return 0;
}

static void pump(struct end *from)
{
    static char bytes[CHUNK_BYTES];
    while (!from->peer->held) {
        ssize_t n = get(from, bytes, sizeof bytes);
        if (n == 0)
            return;
        if (n < 0 || forward(from->peer, bytes, (size_t)n) < 0) {
            pair_close(from);
            return;
        }
        if (!from->ssl && (size_t)n < sizeof bytes)
            return;
    }
}

static void accept_all(int listener, const struct sockaddr_in *origin, SSL_CTX *tls)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct end *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
        a->fd = fd;
        a->ssl = SSL_new(tls);
        SSL_set_fd(a->ssl, fd);
        SSL_set_accept_state(a->ssl);
        b->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        a->peer = b;
        b->peer = a;
        connect(b->fd, (const struct sockaddr *)origin, sizeof *origin);
        watch_edges(epoll, b->fd, b);
        watch_edges(epoll, a->fd, a);
    }
}

static void on_event(struct end *e, unsigned events)
{
    if (!e->closed && (events & EPOLLOUT) && e->held) {
        int done = push(e);
        if (done < 0)
            pair_close(e);
        else if (done)
            pump(e->peer);
    }
    if (!e->closed && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        pump(e);
}

static _Noreturn void relay(int port, int origin_port, SSL_CTX *tls)
{
    struct sockaddr_in origin = loopback(origin_port);
    struct epoll_event events[EVENTS];
    epoll = epoll_create1(0);
    int listener = listen_on(epoll, port);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_event(events[i].data.ptr, events[i].events);
            else
                accept_all(listener, &origin, tls);
        }
        while (grave_count)
            free(graves[--grave_count]);
    }
}

/* ---- the library alone ---- */

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static SSL_SESSION *kept;

static int keep_session(SSL *s, SSL_SESSION *session)
{
    (void)s;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

/* One handshake and a byte; the us that the server's calls took. */
static double handshake(SSL_CTX *server, SSL_CTX *client, SSL_SESSION *session)
{
    SSL *a = SSL_new(server), *b = SSL_new(client);
    BIO *to_a = BIO_new(BIO_s_mem()), *to_b = BIO_new(BIO_s_mem());
    double spent = 0;
    char byte = 'x';
    BIO_up_ref(to_a);
    BIO_up_ref(to_b);
    SSL_set_bio(a, to_a, to_b);
    SSL_set_bio(b, to_b, to_a);
    if (session)
        SSL_set_session(b, session);
    for (int done = 0, up = 0; !done || !up;) {
        done = SSL_connect(b) == 1;
        double before = cpu_us();
        up = SSL_accept(a) == 1;
        spent += cpu_us() - before;
    }
    SSL_write(a, &byte, 1);
    SSL_read(b, &byte, 1); /* takes the ticket in, too */
    SSL_shutdown(b);
    SSL_free(a);
    SSL_free(b);
    return spent;
}

static int alone(SSL_CTX *server)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    double full = 0, resumed = 0;
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(client, keep_session);
    for (int i = 0; i < ALONE_ROUNDS; i++)
        full += handshake(server, client, NULL);
    for (int i = 0; i < ALONE_ROUNDS; i++) {
        SSL_SESSION *session = kept;
        kept = NULL;
        resumed += handshake(server, client, session);
        SSL_SESSION_free(session);
    }
    printf("%.1f %.1f\n", full / ALONE_ROUNDS, resumed / ALONE_ROUNDS);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "alone") == 0)
        return alone(server_context(argv[2], argv[3]));
    if (argc != 5)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    relay(atoi(argv[1]), atoi(argv[2]), server_context(argv[3], argv[4]));
}
