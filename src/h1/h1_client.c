/* h1_client.c - the client side of HTTP/1: one session per connection, one stream in it.
 *
 * A session waits for a head, opens a stream for it (acceptor->open), feeds the stream's body,
 * sends what it is given, and begins anew at detach. Requests that came pipelined wait in `in` and
 * are answered in order, because the next one is not looked at before. An idle session holds no
 * buffer. Whatever ends a request early, a malformed head, a timeout or a reset, is recorded in the
 * stream, so that the exchange answers and logs it; only a connection that never said anything is
 * closed without a word.
 *
 * Callbacks of the connection may end the session; it is freed by the reaper, never under them. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1.h"
#include "h1/h1_client_priv.h"
#include <stdlib.h>

/* ---- the end of a session ---- */

void h1_client_set_idle(struct h1_client *h, bool idle)
{
    if (h->link.idle != idle)
        count(h, METRIC_CONNECTIONS_IDLE, idle ? 1 : -1);
    h->link.idle = idle;
}

static void client_free(struct dead *d)
{
    free(CONTAINER_OF(d, struct h1_client, dead));
}

/* The connection was told to close by the caller: no callback comes any more. */
void h1_client_end(struct h1_client *h)
{
    struct loop *l = loop_of(h);
    h1_client_set_idle(h, false);
    count(h, METRIC_CONNECTIONS_OPEN, -1);
    h1_in_drop(&h->in);
    h1_out_release(&h->out);
    timer_stop(&l->timers, &h->timer);
    task_cancel(&l->tasks, &h->pump);
    list_remove(&h->link.link);
    dead_add(l, &h->dead);
}

void h1_client_close(struct h1_client *h)
{
    conn_close_by(h->conn, loop_of(h)->now_ms + limits_of(h)->linger_ms);
    h1_client_end(h);
}

void h1_client_linger(struct h1_client *h)
{
    conn_linger(h->conn, loop_of(h)->now_ms + limits_of(h)->linger_ms);
    h1_client_end(h);
}

void h1_client_abort(struct h1_client *h)
{
    conn_abort(h->conn);
    h1_client_end(h);
}

/* ---- between requests ---- */

void h1_client_begin_idle(struct h1_client *h)
{
    h1_client_set_idle(h, true);
    timer_set(&loop_of(h)->timers, &h->timer, loop_of(h)->now_ms + limits_of(h)->keepalive_ms);
    conn_recv(h->conn);
}

/* The next request may be in hand already. The timer's deadline is that of a state long gone. */
void h1_client_await(struct h1_client *h)
{
    h->reading = READ_HEAD;
    h->in.scan = (struct h1_scan){0};
    if (h->acceptor->draining) {
        h1_client_linger(h);
        return;
    }
    if (h->in.bytes.len == 0) {
        h1_client_begin_idle(h);
        return;
    }
    timer_stop(&loop_of(h)->timers, &h->timer);
    task_wake(&loop_of(h)->tasks, &h->pump);
}

static void on_pump(struct task *t)
{
    struct h1_client *h = CONTAINER_OF(t, struct h1_client, pump);
    if (h->reading == READ_HEAD && h->in.bytes.len)
        h1_client_next(h);
    else if (h->reading == READ_BODY)
        h1_client_read_body(h);
}

static void on_timer(struct timer *t)
{
    struct h1_client *h = CONTAINER_OF(t, struct h1_client, timer);
    if (h->open)
        return;
    if (h->link.idle)
        h1_client_close(h);
    else if (h->waiting || h->reading == READ_DRAIN)
        h1_client_abort(h);
    else
        h1_client_refuse_head(h, ERR_CLIENT_HEADER_TIMEOUT);
}

/* ---- what the connection tells ---- */

static void on_data(struct conn *c, struct span s)
{
    struct h1_client *h = c->user;
    enum err e = h1_in_add(&h->in, &c->loop->bufs, s);
    if (h->reading == READ_DRAIN)
        e ? h1_client_abort(h) : h1_client_drain(h);
    else if (e && !h->open)
        h1_client_refuse_head(h, e);
    else if (e)
        h1_client_fail_reading(h, e);
    else if (h->reading == READ_HEAD)
        h1_client_read_head(h);
    else if (h->reading == READ_BODY)
        h1_client_read_body(h);
}

/* Half-closing is legal once the request is whole (RFC 9112 9.6): it may be served, as the last
 * one. How long is the user's to decide, since a client that is gone looks the same. */
static void on_eof(struct conn *c)
{
    struct h1_client *h = c->user;
    if (!h->open) {
        h1_client_close(h);
        return;
    }
    h->last = true;
    if (h->tunnel)
        body_end(h->stream.body);
    else if (h->reading == READ_BODY)
        h1_client_fail_reading(h, ERR_CLIENT_CLOSED);
    h->stream.peer_ended = true;
    wake_user(h);
}

static void on_error(struct conn *c, enum err e)
{
    struct h1_client *h = c->user;
    if (!h->open) {
        h1_client_abort(h);
        return;
    }
    h->lost = true;
    h->stream.err = e;
    h1_client_fail_reading(h, e);
    wake_user(h);
}

static void on_room(struct conn *c)
{
    struct h1_client *h = c->user;
    if (h->open) {
        h->stream.blocked = false;
        wake_user(h);
    } else if (h->waiting) {
        h1_client_next(h);
    }
}

static const struct conn_user_ops conn_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_room = on_room, .on_error = on_error};

/* ---- the session from outside ---- */

static void on_drain(struct session_link *l)
{
    struct h1_client *h = CONTAINER_OF(l, struct h1_client, link);
    if (l->idle)
        h1_client_close(h);
    else
        h->last = h->open;
}

/* With a stream open its user ends it: the connection is read by it until then. */
static void on_abort(struct session_link *l)
{
    struct h1_client *h = CONTAINER_OF(l, struct h1_client, link);
    if (h->open)
        on_error(h->conn, ERR_SHUTTING_DOWN);
    else
        h1_client_abort(h);
}

bool h1_client_start(struct loop *l, int fd, struct stream_acceptor *a, void *listener)
{
    struct h1_client *h = calloc(1, sizeof *h);
    struct conn *c = conn_accept(l, fd, &conn_ops, h);
    if (!c || !h) {
        if (c)
            conn_abort(c);
        free(h);
        return false;
    }
    h->conn = h->out.conn = c;
    h->acceptor = a;
    h->link = (struct session_link){
        .drain = on_drain, .abort = on_abort, .conn = c, .listener = listener};
    h->dead.free = client_free;
    task_init(&h->pump, on_pump);
    timer_init(&h->timer, on_timer);
    list_push(&a->sessions, &h->link.link);
    count(h, METRIC_CONNECTIONS_OPEN, 1);
    h1_client_begin_idle(h);
    return true;
}
