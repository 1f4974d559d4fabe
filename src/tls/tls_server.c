/* tls_server.c - a client's first bytes: which identity answers them, or why none does.
 *
 * The ClientHello is read by our own parser first (hello.h), once it is whole. So the OpenSSL
 * object is made of the right context from the start, with its versions, client certificates,
 * session ids and ticket rules; nothing is changed under a handshake, and one that stalls before
 * costs only its connection and the bytes it sent. Whatever OpenSSL makes of the same bytes, the
 * policy that is recorded is the one that the context enforces. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/hello.h"
#include "tls/tls_conn_priv.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    HOST_BYTES_MAX = 255,
    WIRE_BYTES_MAX = 2 * HELLO_BYTES_MAX,
    /* of a hello in small records */ ALERT_DECODE_ERROR = 50,
    ALERT_UNRECOGNIZED_NAME = 112
};

_Static_assert((int)HELLO_BYTES_MAX <= (int)TLS_RECORD_BYTES,
               "worker->record is the parser's scratch");
_Static_assert((int)HELLO_JA4_BYTES < (int)TLS_JA4_BYTES, "");

/* ---- names ---- */

static struct slice after_label(struct slice host)
{
    return slice_from(host, slice_find(host, '.') + 1);
}

const struct tls_identity *tls_server_find(const struct tls_server *s, struct slice host)
{
    const struct tls_identity *id = host.len ? hash_map_find(&s->exact, host) : NULL;
    for (struct slice rest = after_label(host); !id && rest.len; rest = after_label(rest))
        id = hash_map_find(&s->wildcards, rest);
    return id ? id : s->fallback;
}

/* Lower case; a final dot says nothing (RFC 6066 3 forbids it, clients send it). */
static struct slice name_of(const struct hello *h, char to[HOST_BYTES_MAX])
{
    struct slice name = h->sni.len <= HOST_BYTES_MAX ? h->sni : SLICE_NONE;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    if (name.len && to[name.len - 1] == '.')
        name.len--;
    return (struct slice){to, name.len};
}

/* ---- refusing ---- */

static void put(struct tls_conn *t, const char *at, size_t len)
{
    if (!tls_out_reserve(t, len))
        return;
    memcpy(t->out->bytes + t->out_len, at, len);
    t->out_len += (uint32_t)len;
    t->conn->layer_unsent = true;
}

/* A fatal alert before there is an OpenSSL object to send it (RFC 8446 6). */
static void put_alert(struct tls_conn *t, char code)
{
    const char alert[] = {21, 3, 3, 0, 2, 2, code};
    put(t, alert, sizeof alert);
}

static struct slice received(const struct tls_conn *t)
{
    return (struct slice){t->in_at, t->in_len};
}

static bool looks_like_http(struct slice s)
{
    size_t at = 0;
    while (at < s.len && s.at[at] >= 'A' && s.at[at] <= 'Z')
        at++;
    return at >= 3 && at < s.len && s.at[at] == ' ';
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(".-:[]", c));
}

/* The Host of what was sent, when it can be repeated as it is. */
static struct slice host_of(struct slice request)
{
    struct slice line, host = SLICE("...");
    while (slice_cut(&request, '\n', &line)) {
        if (line.len < 6 || !slice_eq_nocase(slice_head(line, 5), SLICE("host:")))
            continue;
        struct slice value = slice_trim(slice_from(line, 5));
        if (value.len && value.at[value.len - 1] == '\r')
            value.len--;
        size_t ok = 0;
        while (ok < value.len && is_host_char(value.at[ok]))
            ok++;
        return ok == value.len && ok > 0 && ok <= HOST_BYTES_MAX ? value : host;
    }
    return host;
}

static void put_hint(struct tls_conn *t)
{
    char body[HOST_BYTES_MAX + 100], answer[sizeof body + 200];
    struct slice host = host_of(received(t));
    int len =
        snprintf(body, sizeof body, "This port speaks TLS: use https://%.*s/\n", SLICE_ARG(host));
    len = snprintf(answer, sizeof answer,
                   "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                   "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                   len, body);
    put(t, answer, (size_t)len);
}

static void refuse(struct tls_handshake *h, enum hello_result r)
{
    struct tls_conn *t = h->t;
    bool http = r == HELLO_NOT_TLS && looks_like_http(received(t));
    if (http)
        put_hint(t);
    else if (r == HELLO_BAD)
        put_alert(t, ALERT_DECODE_ERROR);
    tls_handshake_fail(h, http ? ERR_TLS_PLAIN_HTTP : ERR_TLS_BAD_HELLO);
}

/* ---- the first message ---- */

static void more(struct tls_handshake *h)
{
    struct tls_conn *t = h->t;
    if (t->fin)
        tls_handshake_fail(h, t->in_len ? ERR_TLS_CLOSED : ERR_TLS_NOTHING_SENT);
    else if (t->in_len >= WIRE_BYTES_MAX)
        refuse(h, HELLO_BAD);
    else
        conn_layer_recv(t->conn);
}

void tls_server_hello(struct tls_handshake *h)
{
    struct hello hello;
    enum hello_result r = hello_parse(received(h->t), h->t->worker->record, &hello);
    if (r == HELLO_OK)
        tls_handshake_queue(h);
    else if (r == HELLO_MORE)
        more(h);
    else
        refuse(h, r);
}

enum err tls_server_begin(struct tls_handshake *h)
{
    struct tls_conn *t = h->t;
    char host[HOST_BYTES_MAX];
    struct hello hello;
    if (hello_parse(received(t), t->worker->record, &hello) != HELLO_OK)
        return ERR_TLS_BAD_HELLO;
    hello_ja4(&hello, t->ja4);
    struct slice name = name_of(&hello, host);
    h->identity = tls_server_find(h->server, name);
    if (!h->identity) {
        tls_conn_say(t, "\"%.*s\"", hello.has_sni ? (int)name.len : 0, name.at);
        put_alert(t, ALERT_UNRECOGNIZED_NAME);
        return ERR_TLS_UNKNOWN_NAME;
    }
    memcpy(t->policy_id, h->identity->policy.id, TLS_POLICY_ID_BYTES);
    SSL_CTX *ctx = tls_context_get(t->worker, h->identity);
    return ctx && tls_conn_start(t, ctx) ? ERR_OK : ERR_NO_MEMORY;
}

/* ---- beginning ---- */

static void ignore_open(struct conn *c, enum err e)
{
    (void)c;
    (void)e;
}

/* Until the handshake is over there is nobody else; done() names the user. */
static const struct conn_user_ops handshake_ops = {.on_open = ignore_open};

static bool begin(struct tls_worker *w, struct conn *c, const struct tls_server *s, tls_done *done,
                  void *user)
{
    struct tls_conn *t = tls_conn_new(w, c);
    struct tls_handshake *h = t ? tls_handshake_new(t) : NULL;
    if (!h)
        return false;
    t->is_server = true;
    h->server = s;
    h->done = done;
    h->user = user;
    list_push(&w->handshakes, &h->link);
    w->handshake_count++;
    counter_add(w->loop->counters, METRIC_TLS_HANDSHAKES_OPEN, 1);
    timer_set(&w->loop->timers, &h->deadline, w->loop->now_ms + s->handshake_ms);
    conn_layer_recv(c);
    return true;
}

bool tls_accept_conn(struct tls_worker *w, const struct tls_server *s, struct conn *c,
                     tls_done *done, void *user)
{
    if (s->handshakes_max && w->handshake_count >= s->handshakes_max)
        tls_handshake_drop(LIST_ENTRY(w->handshakes.next, struct tls_handshake, link),
                           ERR_TLS_TOO_MANY);
    conn_set_user(c, &handshake_ops, NULL);
    if (begin(w, c, s, done, user))
        return true;
    conn_abort(c);
    return false;
}

bool tls_accept(struct tls_worker *w, const struct tls_server *s, int fd, tls_done *done,
                void *user)
{
    struct conn *c = conn_accept(w->loop, fd, &handshake_ops, NULL);
    return c && tls_accept_conn(w, s, c, done, user);
}

bool tls_accept_drop(struct conn *c, enum err e)
{
    struct tls_conn *t = tls_of(c);
    if (!t || !t->hs || !t->hs->server || c->state != CONN_CONNECTING)
        return false;
    tls_handshake_drop(t->hs, e);
    return true;
}
