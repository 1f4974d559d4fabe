/* dial.c - see dial.h. Callbacks record and wake; dial_poll() moves to the next address. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/dial.h"
#include <stdio.h>

static enum err handshake_begin(struct dial *d, struct conn *c)
{
    if (!d->worker)
        return ERR_NO_MEMORY;
    enum err e = tls_connect(d->worker, c, d->origin, d->host);
    return e == ERR_OK ? ERR_HOLD : e;
}

/* Comes a second time after the handshake. */
static void on_open(struct conn *c, enum err e)
{
    struct dial *d = c->user;
    bool secure = conn_is_tls(c);
    if (secure && e != ERR_OK)
        snprintf(d->why, sizeof d->why, "%s", tls_why(c));
    if (!secure && d->origin && e == ERR_OK)
        e = handshake_begin(d, c);
    d->err = e;
    if (e != ERR_HOLD)
        task_wake(&d->loop->tasks, d->waiter);
}

static const struct conn_user_ops dial_ops = {.on_open = on_open};

static void on_part_over(struct timer *t)
{
    struct dial *d = CONTAINER_OF(t, struct dial, part);
    if (d->err != ERR_HOLD)
        return;
    d->err = dial_late(d);
    task_wake(&d->loop->tasks, d->waiter);
}

static void part_begin(struct dial *d)
{
    int64_t now_ms = d->loop->now_ms, left = d->count - d->at;
    if (left > 1)
        timer_set(&d->loop->timers, &d->part, now_ms + (d->ends_ms - now_ms) / left);
}

static void try_next(struct dial *d)
{
    d->why[0] = '\0';
    part_begin(d);
    d->err = ERR_HOLD;
    d->conn = conn_connect(d->loop, &d->addrs[d->at++], &dial_ops, d);
    if (d->conn)
        return;
    d->err = ERR_NO_MEMORY;
    task_wake(&d->loop->tasks, d->waiter);
}

void dial_begin(struct dial *d)
{
    d->at = 0;
    d->conn = NULL;
    timer_init(&d->part, on_part_over);
    if (d->count > 0) {
        try_next(d);
        return;
    }
    d->err = ERR_UNRESOLVED;
    task_wake(&d->loop->tasks, d->waiter);
}

enum err dial_poll(struct dial *d)
{
    enum err e = d->err;
    if (e == ERR_OK)
        timer_stop(&d->loop->timers, &d->part);
    if (e == ERR_HOLD || e == ERR_OK)
        return e;
    dial_cancel(d);
    if (d->at >= d->count)
        return e;
    try_next(d);
    return ERR_HOLD;
}

enum err dial_late(const struct dial *d)
{
    return d->conn && conn_is_tls(d->conn) ? ERR_TLS_TIMEOUT : ERR_CONNECT_TIMEOUT;
}

void dial_cancel(struct dial *d)
{
    timer_stop(&d->loop->timers, &d->part);
    if (d->conn)
        conn_abort(d->conn);
    d->conn = NULL;
}
