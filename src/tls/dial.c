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

static void try_next(struct dial *d)
{
    d->why[0] = '\0';
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
    if (d->count > 0) {
        try_next(d);
        return;
    }
    d->err = ERR_UNRESOLVED;
    task_wake(&d->loop->tasks, d->waiter);
}

enum err dial_poll(struct dial *d)
{
    if (d->err == ERR_HOLD || d->err == ERR_OK)
        return d->err;
    enum err e = d->err;
    dial_cancel(d);
    if (d->at >= d->count)
        return e;
    try_next(d);
    return ERR_HOLD;
}

void dial_cancel(struct dial *d)
{
    if (d->conn)
        conn_abort(d->conn);
    d->conn = NULL;
}
