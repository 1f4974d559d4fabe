/* probe_tcp.c - checks by a bare connection: TCP or TLS, then maybe a word each way. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/probe_priv.h"

enum { ANSWER_MAX_BYTES = 16 * 1024, GOODBYE_MS = 1000 };

static void wake(struct probe *p)
{
    task_wake(&p->all->client.loop->tasks, &p->task);
}

/* ---- what the connection tells ---- */

static void on_data(struct conn *c, struct span s)
{
    struct probe *p = c->user;
    text_add(&p->answer, span_slice(s));
    span_drop(s);
    wake(p);
}

static void on_eof(struct conn *c)
{
    struct probe *p = c->user;
    p->ended = true;
    wake(p);
}

static void on_room(struct conn *c)
{
    (void)c;
}

static void on_error(struct conn *c, enum err e)
{
    struct probe *p = c->user;
    p->err = e == ERR_CLIENT_RESET ? ERR_ORIGIN_RESET : e;
    wake(p);
}

static const struct conn_user_ops ops = {
    .on_data = on_data, .on_eof = on_eof, .on_room = on_room, .on_error = on_error};

static void on_deadline(struct timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, deadline);
    p->timed_out = true;
    wake(p);
}

/* ---- what follows ---- */

static void end(struct probe *p, enum err e)
{
    struct loop *l = p->all->client.loop;
    timer_stop(&l->timers, &p->deadline);
    task_cancel(&l->tasks, &p->task);
    if (p->conn && e == ERR_OK)
        conn_close_by(p->conn, l->now_ms + GOODBYE_MS); /* what was said goes out first */
    else if (p->conn)
        conn_abort(p->conn);
    else
        dial_cancel(&p->dial);
}

static enum err say(struct probe *p)
{
    struct slice rest = p->check->send;
    p->conn = p->dial.conn;
    conn_set_user(p->conn, &ops, p);
    if (rest.len == 0)
        return ERR_OK;
    struct buf *b = buf_take(&p->all->client.loop->bufs, BUF_LARGE);
    if (!b)
        return ERR_NO_BUFFERS;
    memcpy(b->bytes, rest.at, rest.len); /* at most CHECK_EXPECT_MAX_BYTES */
    b->len = (uint32_t)rest.len;
    return conn_write(p->conn, (struct span){b, b->bytes, rest.len});
}

static bool has_answer(const struct probe *p)
{
    struct slice want = p->check->expect, got = text_slice(&p->answer);
    return want.len == 0 || (got.len && memmem(got.at, got.len, want.at, want.len));
}

static enum err move(struct probe *p)
{
    if (!p->conn) {
        TRY(dial_poll(&p->dial));
        TRY(say(p));
    }
    if (has_answer(p))
        return ERR_OK;
    TRY(p->err);
    if (p->ended || p->answer.len >= ANSWER_MAX_BYTES)
        return ERR_NOT_FOUND;
    conn_recv(p->conn);
    return ERR_HOLD;
}

static enum err late(const struct probe *p)
{
    return p->conn ? ERR_ORIGIN_FIRST_BYTE_TIMEOUT : dial_late(&p->dial);
}

static const char *words_of(const struct probe *p, enum err e)
{
    if (e == ERR_OK)
        return NULL;
    if (e == ERR_NOT_FOUND)
        return "the server did not say what was expected";
    return err_is_tls(e) && p->dial.why[0] ? p->dial.why : err_row(e)->text;
}

static void step(struct task *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, task);
    enum err e = move(p);
    if (e == ERR_HOLD && p->timed_out)
        e = late(p);
    if (e == ERR_HOLD)
        return;
    end(p, e);
    probe_finish(p, words_of(p, e));
}

static const struct tls_origin *origin_of(const struct probe *p)
{
    if (p->check->kind == CHECK_TCP)
        return NULL;
    return p->ask.up->tls ? p->ask.up->tls : p->check->tls;
}

void probe_tcp_start(struct probe *p)
{
    struct fetch_client *c = &p->all->client;
    int64_t ends_ms = c->loop->now_ms + p->check->timeout_ms;
    task_init(&p->task, step);
    timer_init(&p->deadline, on_deadline);
    timer_set(&c->loop->timers, &p->deadline, ends_ms);
    p->dial = (struct dial){.loop = c->loop,
                            .waiter = &p->task,
                            .worker = c->tls,
                            .origin = origin_of(p),
                            .host = p->ask.server->spec.host,
                            .addrs = p->ask.addrs,
                            .count = p->ask.addr_count,
                            .ends_ms = ends_ms};
    dial_begin(&p->dial);
}

void probe_tcp_cancel(struct probe *p)
{
    end(p, ERR_SHUTTING_DOWN);
}
