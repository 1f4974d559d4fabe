/* tls_conn.c - the layer of a connection that speaks TLS: records in, pieces out, and back.
 *
 * Receiving: the bytes that came are decrypted into the very buffer they lie in, since a record's
 * plaintext is shorter than the record and OpenSSL has taken that out before. Only when a record
 * began in an earlier buffer, another one is taken. Sending: spans are gathered into records that
 * are as large as possible, and records into one buffer, so that head and body leave in one record
 * and a large body in few sends. The user's contract (net/conn.h) does not change: pieces only when
 * asked, nothing from inside a call.
 *
 * An end without close_notify is an error, ERR_TLS_TRUNCATED: anybody can make a FIN. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "tls/tls_conn_priv.h"
#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Wire bytes in a row that bear nothing for the user: a whole record that comes in parts takes 16
 * KB, tickets a few. Key updates and refused renegotiations cost us more than who sends them. */
enum { BARREN_BYTES_MAX = 64 * 1024 };

static void on_task(struct task *task);

struct tls_conn *tls_conn_new(struct tls_worker *w, struct conn *c)
{
    struct tls_conn *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->conn = c;
    t->worker = w;
    task_init(&t->task, on_task);
    conn_layer_set(c, &tls_conn_ops, t);
    return t;
}

bool tls_conn_start(struct tls_conn *t, SSL_CTX *ctx)
{
    t->ssl = SSL_new(ctx);
    BIO *b = t->ssl ? tls_bio_new(t) : NULL;
    if (!b)
        return false;
    SSL_set_bio(t->ssl, b, b);
    if (!SSL_set_app_data(t->ssl, t)) /* the callbacks look there */
        return false;
    if (t->is_server)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    return true;
}

void tls_conn_say(struct tls_conn *t, const char *fmt, ...)
{
    va_list args;
    if (!t->why)
        t->why = malloc(TLS_WHY_BYTES);
    if (!t->why)
        return;
    va_start(args, fmt);
    vsnprintf(t->why, TLS_WHY_BYTES, fmt, args);
    va_end(args);
    for (char *at = t->why; *at; at++) /* names come from strangers */
        if (*at < 0x20 || *at == 0x7f)
            *at = '?';
}

static void drop_in(struct tls_conn *t)
{
    if (t->in)
        buf_drop(t->in);
    t->in = NULL;
    t->in_len = 0;
}

static void drop_out(struct tls_conn *t)
{
    if (t->out)
        buf_drop(t->out);
    t->out = NULL;
    t->conn->layer_unsent = false;
}

static void tls_release(struct conn *c)
{
    struct tls_conn *t = c->layer;
    task_cancel(&c->loop->tasks, &t->task);
    if (t->ssl && !t->hs) /* else its session would be thrown away (SSL_free(3)) */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    if (t->hs)
        tls_handshake_free(t->hs);
    drop_in(t);
    drop_out(t);
    free((char *)(uintptr_t)t->session_key.at);
    free(t->why);
    free(t);
}

/* ---- the wire ---- */

void tls_conn_send(struct tls_conn *t)
{
    struct conn *c = t->conn;
    if (!t->out || c->send_op.armed || c->state == CONN_CLOSED || c->err || c->send_failed)
        return;
    t->iov = (struct iovec){t->out->bytes + t->out_from, t->out_len - t->out_from};
    conn_layer_send(c, &t->iov, 1);
}

/* An alert, before the connection is given up: what the kernel has taken is not lost by that. */
void tls_conn_last_words(struct tls_conn *t)
{
    const struct io_op *op = &t->conn->send_op;
    tls_conn_send(t);
    if (op->queued && op->res >= 0 && (size_t)op->res == t->out_len - t->out_from)
        t->conn->layer_unsent = false;
}

/* ---- receiving ---- */

static void set_end(struct tls_conn *t, enum err e)
{
    t->ended = true;
    t->end_err = (uint8_t)e;
}

/* SSL_read() gave nothing: is that the end, or are there only no more bytes? */
static void judge_nothing(struct tls_conn *t)
{
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_ZERO_RETURN: set_end(t, ERR_OK); return;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        if (t->fin)
            set_end(t, ERR_TLS_TRUNCATED);
        return;
    default:
        tls_conn_say(t, "%s", ERR_reason_error_string(ERR_peek_last_error()));
        t->goodbye = true; /* the alert was that */
        set_end(t, ERR_TLS_BROKEN);
    }
}

/* Other users of the thread's queue may have left something; clearing it costs more than a look. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* OpenSSL takes whole records, never more: with the window empty there is only what it has
 * decrypted. To ask it once more would take and give back its buffer for nothing. */
static bool may_hold_more(const struct tls_conn *t)
{
    return t->in_len > 0 || SSL_pending(t->ssl) > 0;
}

static void judge_barren(struct tls_conn *t, size_t taken, size_t decrypted)
{
    t->barren_bytes = decrypted ? 0 : t->barren_bytes + (uint32_t)taken;
    if (t->ended || t->barren_bytes <= BARREN_BYTES_MAX)
        return;
    tls_conn_say(t, "too many records without data");
    t->goodbye = true;
    set_end(t, ERR_TLS_BROKEN);
}

/* Decrypts at most `cap` bytes; returns how many. */
static size_t decrypt(struct tls_conn *t, char *to, size_t cap)
{
    size_t len = 0, n, before = t->in_len;
    forget_errors();
    for (t->unread = true; t->unread && len < cap; len += n) {
        if (SSL_read_ex(t->ssl, to + len, cap - len, &n)) {
            t->unread = may_hold_more(t);
            continue;
        }
        n = 0;
        t->unread = false;
        judge_nothing(t);
    }
    judge_barren(t, before - t->in_len, len);
    if (t->conn->layer_unsent) /* an answer of the protocol's own, or an alert */
        conn_layer_flush(t->conn);
    return len;
}

static struct span read_in_place(struct tls_conn *t)
{
    struct buf *b = buf_ref(t->in);
    size_t end = (size_t)(t->in_at - b->bytes) + t->in_len;
    return (struct span){b, b->bytes, decrypt(t, b->bytes, end)};
}

static struct span read_apart(struct tls_conn *t)
{
    size_t bytes = t->in_len + (SSL_has_pending(t->ssl) ? TLS_RECORD_BYTES : 0);
    enum buf_size size = bytes <= BUF_SMALL_BYTES ? BUF_SMALL : BUF_LARGE;
    struct buf *b = buf_take_reserve(&t->conn->loop->bufs, size);
    if (!b) {
        set_end(t, ERR_NO_BUFFERS);
        return (struct span){0};
    }
    return (struct span){b, b->bytes, decrypt(t, b->bytes, b->cap)};
}

/* The next piece; len 0: there is none. */
static struct span read_piece(struct tls_conn *t)
{
    bool begun = SSL_has_pending(t->ssl); /* a part of a record, or decrypted bytes */
    bool lent = t->in && t->in->refs > 1; /* the user holds an earlier piece of this buffer */
    struct span s = t->in && !begun && !lent ? read_in_place(t) : read_apart(t);
    if (t->in_len == 0)
        drop_in(t);
    if (s.len || !s.buf)
        return s;
    buf_drop(s.buf);
    return (struct span){0};
}

static void fail(struct tls_conn *t, enum err e)
{
    tls_conn_last_words(t);
    conn_layer_fail(t->conn, e);
}

static void tell(struct tls_conn *t)
{
    struct conn *c = t->conn;
    struct span s = t->ended ? (struct span){0} : read_piece(t);
    if (s.len)
        conn_layer_data(c, s);
    else if (t->ended && t->end_err == ERR_OK)
        conn_layer_eof(c);
    else if (t->ended)
        fail(t, (enum err)t->end_err);
    else if (t->in_len == 0)
        conn_layer_recv(c);
    else if (!t->out) /* an answer of the protocol's own found no buffer, so nothing wakes us */
        fail(t, ERR_NO_BUFFERS);
}

static void on_task(struct task *task)
{
    struct tls_conn *t = CONTAINER_OF(task, struct tls_conn, task);
    struct conn *c = t->conn;
    if (c->recv_wanted && c->state == CONN_OPEN && !c->err && !c->recv_op.armed)
        tell(t);
}

static void tls_start_recv(struct conn *c)
{
    struct tls_conn *t = c->layer;
    if (t->in_len || t->unread || t->ended || t->fin)
        task_wake(&c->loop->tasks, &t->task);
    else
        conn_layer_recv(c);
}

/* Room for `len` bytes more behind what is in `in`, in a larger buffer if need be. */
static bool widen_in(struct tls_conn *t, size_t len)
{
    size_t had = t->in_len;
    if (t->in->cap - t->in->len >= len)
        return true;
    struct buf *b = had + len <= BUF_LARGE_BYTES ? buf_take(&t->conn->loop->bufs, BUF_LARGE) : NULL;
    if (!b)
        return false;
    memcpy(b->bytes, t->in_at, had);
    b->len = (uint32_t)had;
    drop_in(t);
    t->in = b;
    t->in_at = b->bytes;
    t->in_len = had;
    return true;
}

static void add_in(struct tls_conn *t, struct buf *b, size_t len)
{
    if (t->in && t->hs && widen_in(t, len)) { /* a ClientHello in pieces */
        memcpy(t->in->bytes + t->in->len, b->bytes, len);
        t->in->len += (uint32_t)len;
        t->in_len += len;
        buf_drop(b);
        return;
    }
    drop_in(t);
    t->in = b;
    t->in_at = b->bytes;
    t->in_len = len;
}

static void tls_received(struct conn *c, struct buf *b, int res)
{
    struct tls_conn *t = c->layer;
    if (b)
        add_in(t, b, (size_t)res);
    else
        t->fin = true;
    if (t->hs)
        tls_handshake_received(t, res);
    else if (res < 0)
        conn_layer_fail(c, res == -ENOMEM ? ERR_NO_MEMORY : ERR_CLIENT_RESET);
    else
        tell(t);
}

/* ---- sending ---- */

static void tls_sent(struct conn *c, size_t n)
{
    struct tls_conn *t = c->layer;
    t->out_from += (uint32_t)n;
    if (t->out_from == t->out_len)
        drop_out(t);
    else if (c->state == CONN_CONNECTING)
        tls_conn_send(t);
    if (t->hs && t->ssl && !t->out && SSL_want_write(t->ssl))
        tls_handshake_queue(t->hs);
    if (!t->hs && !t->out && t->in_len && c->recv_wanted) /* an answer was in the way: tell() */
        task_wake(&c->loop->tasks, &t->task);
}

/* What the next record holds: the first span as it lies there when it fills one or is all there
 * is, else as many as fit, put together. */
static struct slice next_record(struct tls_conn *t)
{
    struct slice first, s;
    size_t len = 0;
    if (!conn_layer_peek(t->conn, 0, &first))
        return SLICE_NONE;
    if (first.len >= TLS_RECORD_BYTES || !conn_layer_peek(t->conn, 1, &s))
        return slice_head(first, TLS_RECORD_BYTES);
    for (int i = 0; len < TLS_RECORD_BYTES && conn_layer_peek(t->conn, i, &s); i++) {
        s = slice_head(s, TLS_RECORD_BYTES - len);
        memcpy(t->worker->record + len, s.at, s.len);
        len += s.len;
    }
    return (struct slice){t->worker->record, len};
}

static size_t wire_bytes(size_t plain_bytes)
{
    return plain_bytes + TLS_RECORD_EXTRA_BYTES;
}

/* False: it can not go on. */
static bool encrypt(struct tls_conn *t, struct slice record)
{
    size_t n;
    if (record.len == 0) {
        conn_layer_consume(t->conn, 0); /* empty spans */
        return true;
    }
    if (!SSL_write_ex(t->ssl, record.at, record.len, &n))
        return false;
    conn_layer_consume(t->conn, n);
    return true;
}

/* Room for all of the output, or as much as a large buffer holds. */
static bool reserve_for_all(struct tls_conn *t)
{
    size_t all = wire_bytes(conn_out_bytes(t->conn));
    return t->out || tls_out_reserve(t, all < BUF_LARGE_BYTES ? all : BUF_LARGE_BYTES);
}

static void encrypt_all(struct tls_conn *t)
{
    forget_errors();
    while (conn_out_bytes(t->conn) || conn_out_room(t->conn) < CONN_OUT_SPANS) {
        struct slice record = next_record(t);
        if (!reserve_for_all(t)) {
            fail(t, ERR_NO_BUFFERS);
            return;
        }
        if (!tls_out_reserve(t, wire_bytes(record.len)))
            return; /* the rest after this send */
        if (!encrypt(t, record)) {
            tls_conn_say(t, "%s", ERR_reason_error_string(ERR_peek_last_error()));
            t->goodbye = true;
            fail(t, ERR_TLS_BROKEN);
            return;
        }
    }
}

static void tls_start_send(struct conn *c)
{
    struct tls_conn *t = c->layer;
    if (c->out)
        encrypt_all(t);
    tls_conn_send(t);
}

static bool tls_end_output(struct conn *c)
{
    struct tls_conn *t = c->layer;
    if (!t->goodbye && !t->hs && !c->err && !c->send_failed) {
        t->goodbye = true;
        ERR_clear_error();
        SSL_shutdown(t->ssl);
        if (c->layer_unsent)
            conn_layer_flush(c);
    }
    return !c->layer_unsent;
}

const struct conn_ops tls_conn_ops = {.name = "tls",
                                      .start_recv = tls_start_recv,
                                      .start_send = tls_start_send,
                                      .received = tls_received,
                                      .sent = tls_sent,
                                      .end_output = tls_end_output,
                                      .release = tls_release};
