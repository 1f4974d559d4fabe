/* tls_handshake.c - handshakes of both sides: their steps, their turns, how they end.
 *
 * A step of a handshake may cost a private-key operation, a hundred times what anything else costs
 * that a connection does. So a tick takes one such step; who comes later waits in `ready` for the
 * ticks that follow, each of which looks for other connections' events first. The first bytes of a
 * client are only collected: until a whole ClientHello is there, nothing is held but them.
 *
 * However a handshake ends, it ends here: told, counted, on the server's side logged, freed. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/log.h"
#include "tls/tls_conn_priv.h"
#include <openssl/err.h>
#include <stdlib.h>

enum { LAST_WORDS_MS = 500 };

/* ---- whose turn it is ---- */

static void step(struct tls_handshake *h);

static void take_step(struct tls_handshake *h)
{
    struct tls_worker *w = h->t->worker;
    w->stepped = true;
    loop_look(w->loop);
    flush_later(w->loop, &w->turn_on);
    step(h);
}

void tls_handshake_queue(struct tls_handshake *h)
{
    struct tls_worker *w = h->t->worker;
    if (!w->stepped && list_empty(&w->ready))
        take_step(h);
    else if (!list_linked(&h->ready))
        list_push(&w->ready, &h->ready);
}

/* Whoever began one on the client's side may have given its connection up meanwhile: that one is
 * freed with the connection, at the end of the tick. */
static struct tls_handshake *next_ready(struct tls_worker *w)
{
    struct list *first;
    while ((first = list_pop(&w->ready))) {
        struct tls_handshake *h = CONTAINER_OF(first, struct tls_handshake, ready);
        if (h->t->conn->state == CONN_CONNECTING)
            return h;
    }
    return NULL;
}

static void on_turn(struct task *task)
{
    struct tls_handshake *h = next_ready(CONTAINER_OF(task, struct tls_worker, turn));
    if (h)
        take_step(h);
}

static void on_tick_end(struct flush *f)
{
    struct tls_worker *w = CONTAINER_OF(f, struct tls_worker, turn_on);
    w->stepped = false;
    if (!list_empty(&w->ready))
        task_wake(&w->loop->tasks, &w->turn);
}

void tls_handshake_init(struct tls_worker *w)
{
    list_init(&w->handshakes);
    list_init(&w->doomed);
    list_init(&w->ready);
    task_init(&w->turn, on_turn);
    flush_init(&w->turn_on, on_tick_end);
}

/* ---- one handshake ---- */

static void on_deadline(struct timer *timer);

struct tls_handshake *tls_handshake_new(struct tls_conn *t)
{
    struct tls_handshake *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    list_init(&h->link);
    list_init(&h->ready);
    timer_init(&h->deadline, on_deadline);
    h->t = t;
    t->hs = h;
    return h;
}

static void count(const struct tls_worker *w, enum metric m, int64_t n)
{
    counter_add(w->loop->counters, m, n);
}

/* Takes it off its connection, from every list, and the worker's count. */
static void part(struct tls_handshake *h)
{
    struct tls_worker *w = h->t->worker;
    h->t->hs = NULL;
    list_remove(&h->ready);
    timer_stop(&w->loop->timers, &h->deadline);
    if (h->server && list_linked(&h->link)) {
        list_remove(&h->link);
        w->handshake_count--;
        count(w, METRIC_TLS_HANDSHAKES_OPEN, -1);
    }
}

void tls_handshake_free(struct tls_handshake *h)
{
    part(h);
    free(h);
}

static void report(const struct tls_conn *t, enum err e)
{
    char peer[ADDR_TEXT_BYTES];
    struct addr a;
    bool has_words = t->why && t->why[0];
    counter_bump(&t->conn->loop->counters->errors[e], 1);
    if (err_row(e)->level < log_error_level())
        return;
    conn_remote(t->conn, &a);
    size_t len = addr_write(peer, &a);
    log_write((enum log_level)err_row(e)->level, "tls: handshake with %.*s failed: %s%s%s",
              (int)len, peer, err_row(e)->text, has_words ? ": " : "", has_words ? t->why : "");
}

/* Whoever is refused is to hear why: bytes that it still sends must not make a reset of that. */
static void close_kindly(struct conn *c)
{
    if (c->layer_unsent)
        conn_linger(c, c->loop->now_ms + LAST_WORDS_MS);
    else
        conn_abort(c);
}

static void end_server(struct tls_handshake *h, enum err e)
{
    struct tls_conn *t = h->t;
    struct conn *c = t->conn;
    tls_done *done = h->done;
    void *user = h->user;
    if (e)
        report(t, e);
    count(t->worker, e ? METRIC_TLS_HANDSHAKES_FAILED : METRIC_TLS_HANDSHAKES, 1);
    if (!e && SSL_session_reused(t->ssl))
        count(t->worker, METRIC_TLS_HANDSHAKES_RESUMED, 1);
    tls_handshake_free(h);
    conn_layer_open(c, ERR_OK); /* handshake_ops: nobody is told */
    if (e)
        close_kindly(c);
    done(user, e ? NULL : c, e);
}

static void end_client(struct tls_handshake *h, enum err e)
{
    struct tls_conn *t = h->t;
    if (!e && SSL_session_reused(t->ssl))
        count(t->worker, METRIC_TLS_ORIGIN_RESUMED, 1);
    count(t->worker, e ? METRIC_TLS_ORIGIN_FAILED : METRIC_TLS_ORIGIN_HANDSHAKES, 1);
    tls_handshake_free(h);
    conn_layer_open(t->conn, e);
}

static void end(struct tls_handshake *h, enum err e)
{
    if (!e && h->t->conn->send_failed)
        e = ERR_TLS_CLOSED;
    if (h->server)
        end_server(h, e);
    else
        end_client(h, e);
}

void tls_handshake_fail(struct tls_handshake *h, enum err e)
{
    h->t->goodbye = true;
    tls_conn_send(h->t); /* the alert */
    end(h, e);
}

/* ---- dropped, late, stopped ---- */

/* The connection ends now; who began it is told from the loop, as promised. */
void tls_handshake_drop(struct tls_handshake *h, enum err e)
{
    struct tls_worker *w = h->t->worker;
    struct conn *c = h->t->conn;
    report(h->t, e);
    count(w, METRIC_TLS_HANDSHAKES_FAILED, 1);
    part(h);
    h->t = NULL;
    h->doom = e;
    list_push(&w->doomed, &h->link);
    timer_set(&w->loop->timers, &h->deadline, w->loop->now_ms);
    conn_abort(c);
}

static void tell_doom(struct tls_handshake *h)
{
    list_remove(&h->link);
    h->done(h->user, NULL, h->doom);
    free(h);
}

static void on_deadline(struct timer *timer)
{
    struct tls_handshake *h = CONTAINER_OF(timer, struct tls_handshake, deadline);
    if (h->doom)
        tell_doom(h);
    else
        tls_handshake_fail(h, ERR_TLS_TIMEOUT);
}

void tls_worker_drain(struct tls_worker *w)
{
    while (!list_empty(&w->handshakes))
        tls_handshake_drop(LIST_ENTRY(w->handshakes.next, struct tls_handshake, link),
                           ERR_SHUTTING_DOWN);
}

void tls_worker_stop(struct tls_worker *w)
{
    tls_worker_drain(w);
    while (!list_empty(&w->doomed)) {
        struct tls_handshake *h = LIST_ENTRY(w->doomed.next, struct tls_handshake, link);
        timer_stop(&w->loop->timers, &h->deadline);
        tell_doom(h);
    }
    task_cancel(&w->loop->tasks, &w->turn);
    flush_cancel(&w->turn_on);
}

/* ---- steps ---- */

static enum err verify_err(const struct tls_conn *t)
{
    return t->is_server ? ERR_TLS_CLIENT_CERT : ERR_TLS_VERIFY;
}

static bool is_unverified(const struct tls_conn *t)
{
    return (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER) &&
           SSL_get_verify_result(t->ssl) != X509_V_OK;
}

/* What OpenSSL's queue says went wrong. */
static enum err classify(const struct tls_conn *t, unsigned long code)
{
    if (is_unverified(t))
        return verify_err(t);
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return ERR_TLS_HANDSHAKE;
    switch (ERR_GET_REASON(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_NO_CERTIFICATES_RETURNED: return verify_err(t);
    case SSL_R_NO_APPLICATION_PROTOCOL: return ERR_TLS_NO_ALPN;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNSUPPORTED_PROTOCOL: return ERR_TLS_NOTHING_COMMON;
    default: break;
    }
    return ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET ? ERR_TLS_ALERT : ERR_TLS_HANDSHAKE;
}

static void fail_by_queue(struct tls_handshake *h)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);
    enum err e = classify(h->t, code);
    if (!h->t->why) /* the check of a certificate has told more */
        tls_conn_say(h->t, "%s", reason ? reason : "unknown reason");
    tls_handshake_fail(h, e);
}

/* A session outlives the certificate that it began with at most until that expires. */
static bool client_cert_expired(const struct tls_conn *t)
{
    X509 *x = SSL_get0_peer_certificate(t->ssl);
    return t->is_server && x && X509_cmp_current_time(X509_get0_notAfter(x)) <= 0;
}

static void finished(struct tls_handshake *h)
{
    struct tls_conn *t = h->t;
    if (client_cert_expired(t)) {
        tls_conn_say(t, "the client's certificate has expired since");
        tls_handshake_fail(h, ERR_TLS_CLIENT_CERT);
        return;
    }
    end(h, ERR_OK);
}

/* OpenSSL has used up what came. */
static void wait_for_more(struct tls_handshake *h)
{
    struct tls_conn *t = h->t;
    if (t->fin)
        tls_handshake_fail(h, ERR_TLS_CLOSED);
    else if (SSL_want_write(t->ssl))
        return; /* tls_sent() goes on */
    else if (!t->conn->recv_op.armed)
        conn_layer_recv(t->conn);
}

static void step(struct tls_handshake *h)
{
    struct tls_conn *t = h->t;
    enum err e = t->ssl ? ERR_OK : tls_server_begin(h);
    if (e) {
        tls_handshake_fail(h, e);
        return;
    }
    ERR_clear_error();
    int res = SSL_do_handshake(t->ssl);
    tls_conn_send(t);
    if (res == 1) {
        finished(h);
        return;
    }
    switch (SSL_get_error(t->ssl, res)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: wait_for_more(h); return;
    default: fail_by_queue(h);
    }
}

void tls_handshake_received(struct tls_conn *t, int res)
{
    struct tls_handshake *h = t->hs;
    if (res < 0)
        tls_handshake_fail(h, res == -ENOMEM ? ERR_NO_MEMORY : ERR_TLS_CLOSED);
    else if (t->ssl)
        tls_handshake_queue(h);
    else
        tls_server_hello(h);
}
