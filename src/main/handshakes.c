/* handshakes.c - see handshakes.h. What a worker that ends does not wait for is the handshake of a
 * client that has not asked for anything yet: its connection would be closed right after. */
// SPDX-License-Identifier: Apache-2.0
#include "main/handshakes.h"
#include "h1/h1.h"
#include "h2/h2.h"
#include "proxy/route.h"
#include "tls/tls.h"
#include <stdlib.h>

struct handshake {
    struct session_link link; /* in the acceptor's sessions */
    struct worker *worker;
    struct conf_view *view; /* held: the listener's part of a newer one may be another */
    bool unwanted;
};

static void on_drain(struct session_link *l)
{
    CONTAINER_OF(l, struct handshake, link)->unwanted = true;
}

static const struct session_ops ops = {.drain = on_drain, .abort = on_drain};

static void handshake_free(struct handshake *h)
{
    list_remove(&h->link.link);
    view_drop(h->view);
    free(h);
}

/* What both sides agreed on by ALPN (RFC 7301); nothing is HTTP/1. */
static bool speaks_h2(const struct conn *c)
{
    return slice_eq(tls_alpn(c), SLICE("h2"));
}

static void session_begin(struct worker *w, struct conn *c, struct listen_point *p)
{
    if (speaks_h2(c))
        (void)h2_client_adopt(c, &w->acceptor, p, (struct span){0});
    else
        (void)h1_client_adopt(c, &w->acceptor, p);
}

static void on_done(void *user, struct conn *c, enum err e)
{
    struct handshake *h = user;
    struct listen_point *p = h->link.listener;
    struct worker *w = h->worker;
    bool unwanted = h->unwanted;
    if (e == ERR_OK && unwanted)
        conn_abort(c);
    else if (e == ERR_OK)
        session_begin(w, c, p);
    handshake_free(h);
}

void handshake_begin(struct worker *w, struct listen_point *p, struct conn *c)
{
    const struct tls_server *server = p->conf->server;
    struct handshake *h = w->tls && server ? calloc(1, sizeof *h) : NULL;
    if (!h) {
        conn_abort(c); /* no memory, or no site that could show a certificate */
        return;
    }
    h->link = (struct session_link){.ops = &ops, .listener = p};
    h->worker = w;
    h->view = view_take(p->view);
    list_push(&w->acceptor.sessions, &h->link.link);
    if (!tls_accept_conn(w->tls, server, c, on_done, h))
        handshake_free(h);
}
