/* ocsp_fetch.c - resolves, connects (to one address after the other), asks, reads.
 *
 * A callback of the connection records and wakes the task; only the task, step(), moves on. The
 * fetch owns the question's bytes until the connection is gone, because they are sent from where
 * they are. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/ocsp_fetch.h"
#include "base/mem.h"
#include "tls/ocsp_http.h"
#include <stdlib.h>

struct ocsp_fetch {
    struct loop *loop;
    struct dns_query *query; /* NULL: answered */
    struct conn *conn;       /* NULL: not connected */
    struct task task;
    struct timer deadline;
    struct addr addrs[OCSP_FETCH_ADDRS_MAX];
    size_t addr_count, addr_at;
    uint16_t port;
    struct text request, answer, why;
    ocsp_fetched *done;
    void *ctx;
    bool failed, ended, connect_failed;
};

static const struct conn_user_ops ops;

static void stop(struct ocsp_fetch *f)
{
    if (f->query)
        dns_cancel(f->query);
    if (f->conn)
        conn_abort(f->conn);
    f->query = NULL;
    f->conn = NULL;
    timer_stop(&f->loop->timers, &f->deadline);
    task_cancel(&f->loop->tasks, &f->task);
}

/* An aborted connection sends nothing any more, so the question's bytes may go with the fetch. */
static void release(struct ocsp_fetch *f)
{
    text_release(&f->request);
    text_release(&f->answer);
    text_release(&f->why);
    free(f);
}

static void finish(struct ocsp_fetch *f, struct slice body)
{
    stop(f);
    f->done(f->ctx, body, body.len ? "" : f->why.at);
    release(f);
}

static void fail(struct ocsp_fetch *f, const char *words)
{
    if (!f->failed)
        text_add(&f->why, slice_of(words));
    f->failed = true;
    task_wake(&f->loop->tasks, &f->task);
}

/* ---- what happens ---- */

static void on_open(struct conn *c, enum err e)
{
    struct ocsp_fetch *f = c->user;
    if (e != ERR_OK)
        f->connect_failed = true;
    else if (conn_write(c, (struct span){NULL, f->request.at, f->request.len}) != ERR_OK)
        fail(f, "the question could not be sent");
    else
        conn_recv(c);
    task_wake(&f->loop->tasks, &f->task);
}

static void on_data(struct conn *c, struct span s)
{
    struct ocsp_fetch *f = c->user;
    if (f->answer.len + s.len > OCSP_HEAD_BYTES_MAX + OCSP_BODY_BYTES_MAX)
        fail(f, "the responder's answer is too long");
    else
        text_add(&f->answer, span_slice(s));
    span_drop(s);
    task_wake(&f->loop->tasks, &f->task);
}

static void on_eof(struct conn *c)
{
    struct ocsp_fetch *f = c->user;
    f->ended = true;
    task_wake(&f->loop->tasks, &f->task);
}

static void on_room(struct conn *c)
{
    (void)c;
}

static void on_error(struct conn *c, enum err e)
{
    (void)e;
    fail(c->user, "the responder reset the connection");
}

static const struct conn_user_ops ops = {on_open, on_data, on_eof, on_room, on_error};

static void on_resolved(void *ctx, const struct dns_answer *a)
{
    struct ocsp_fetch *f = ctx;
    f->query = NULL;
    if (a->err != ERR_OK || a->count == 0) {
        fail(f, "the responder's name does not resolve");
        return;
    }
    for (size_t i = 0; i < a->count && f->addr_count < OCSP_FETCH_ADDRS_MAX; i++) {
        f->addrs[f->addr_count] = a->addrs[i];
        addr_set_port(&f->addrs[f->addr_count++], f->port);
    }
    task_wake(&f->loop->tasks, &f->task);
}

static void on_deadline(struct timer *t)
{
    fail(CONTAINER_OF(t, struct ocsp_fetch, deadline), "the responder did not answer in time");
}

/* ---- what follows ---- */

static void connect_next(struct ocsp_fetch *f)
{
    if (f->conn)
        conn_abort(f->conn);
    f->conn = NULL;
    f->connect_failed = false;
    while (!f->conn && f->addr_at < f->addr_count)
        f->conn = conn_connect(f->loop, &f->addrs[f->addr_at++], &ops, f);
    if (!f->conn)
        fail(f, "the responder cannot be reached");
}

static void read_answer(struct ocsp_fetch *f)
{
    struct slice body;
    enum ocsp_http_end end = f->ended ? OCSP_HTTP_ENDED : OCSP_HTTP_OPEN;
    switch (ocsp_http_read(text_slice(&f->answer), end, &body, &f->why)) {
    case OCSP_HTTP_BAD: finish(f, SLICE_NONE); break;
    case OCSP_HTTP_DONE:
        if (body.len == 0)
            text_add(&f->why, SLICE("the responder's answer is empty"));
        finish(f, body);
        break;
    case OCSP_HTTP_MORE: conn_recv(f->conn); break;
    }
}

static void step(struct task *t)
{
    struct ocsp_fetch *f = CONTAINER_OF(t, struct ocsp_fetch, task);
    if (f->failed)
        finish(f, SLICE_NONE);
    else if (f->query)
        return;
    else if (!f->conn || f->connect_failed)
        connect_next(f);
    else if (f->answer.len > 0 || f->ended)
        read_answer(f);
}

struct ocsp_fetch *ocsp_fetch_start(struct loop *l, struct dns *dns, struct slice url,
                                    struct slice request_der, ocsp_fetched *done, void *ctx)
{
    struct ocsp_url u;
    if (!ocsp_url_parse(url, &u))
        return NULL;
    struct ocsp_fetch *f = MEM_NEW(struct ocsp_fetch);
    f->loop = l;
    f->port = u.port;
    f->done = done;
    f->ctx = ctx;
    ocsp_http_write(&u, request_der, &f->request);
    task_init(&f->task, step);
    timer_init(&f->deadline, on_deadline);
    timer_set(&l->timers, &f->deadline, l->now_ms + OCSP_FETCH_MS);
    f->query = dns_resolve(dns, u.host, on_resolved, f);
    if (!f->query)
        fail(f, "the responder's name could not be asked for");
    return f;
}

void ocsp_fetch_set_deadline(struct ocsp_fetch *f, int64_t at_ms)
{
    timer_stop(&f->loop->timers, &f->deadline);
    timer_set(&f->loop->timers, &f->deadline, at_ms);
}

void ocsp_fetch_cancel(struct ocsp_fetch *f)
{
    if (!f)
        return;
    stop(f);
    release(f);
}
