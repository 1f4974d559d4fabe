/* outbound.c - a relayed request: from the URL that the client named to the head of the answer.
 *
 *     pick     may it be relayed?  name -> addresses -> all judged -> connection to one of these
 *     forward  the request, made anew for this target
 *     await    its answer; or a redirect: another URL, and back to "pick"
 *
 * What is judged is what is connected to: the list of addresses goes from the resolver's answer to
 * the dial, and nothing looks the name up again. TLS verifies the name. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/directive.h"
#include "proxy/outbound_priv.h"
#include "proxy/route.h"
#include "proxy/target.h"

enum {
    CONNECT_MS_MOST = 60000, /* where `timeout connect=off` */
    GOODBYE_MS = 1000,
    INTERIMS_MAX = 32,
};

/* ---- refusals ---- */

static bool is_refusal(enum err e)
{
    return e == ERR_RELAY_BAD_URL || e == ERR_RELAY_NOT_ALLOWED || e == ERR_RELAY_PRIVATE ||
           e == ERR_RELAY_METHOD || e == ERR_RELAY_ORIGIN || e == ERR_RELAY_LOOP;
}

static enum outcome outbound_fail(struct exchange *x, enum err e)
{
    if (is_refusal(e) && !x->dry)
        counter_add(x->worker->counters, METRIC_RELAY_REFUSED, 1);
    return exchange_fail(x, e);
}

static enum err not_public(struct exchange *x, const struct addr *a, const char *what)
{
    char text[ADDR_TEXT_BYTES];
    int len = (int)addr_write_ip(text, a);
    x->why = arena_printf(&x->arena, "%.*s: %s", len, text, what);
    return ERR_RELAY_PRIVATE;
}

/* All of them: an answer that mixes public and private addresses is an attempt. */
static enum err addrs_check(struct exchange *x, const struct outbound *ob)
{
    for (uint32_t i = 0; i < ob->ask.count; i++) {
        const char *what = outbound_refuses(ob->conf, &ob->ask.addrs[i]);
        if (what)
            return not_public(x, &ob->ask.addrs[i], what);
    }
    return ob->ask.count > 0 ? ERR_OK : ERR_RELAY_UNRESOLVED;
}

/* What can be told of a URL before anything is looked up. */
static enum err url_check(struct exchange *x, struct outbound *ob)
{
    if (!outbound_rules_take(ob->conf, &ob->url)) {
        x->why = ob->url.authority;
        return ERR_RELAY_NOT_ALLOWED;
    }
    if (!ob->url.is_ip)
        return ERR_OK;
    if (addr_parse_ip(ob->url.host, &ob->ask.addrs[0]) != ERR_OK)
        return ERR_RELAY_BAD_URL;
    ob->ask.count = 1;
    return addrs_check(x, ob);
}

/* ---- pick ---- */

static enum err request_check(struct exchange *x, const struct outbound_conf *c,
                              struct outbound *ob)
{
    if (outbound_loops(x))
        return ERR_RELAY_LOOP;
    if (!outbound_origin_allowed(x, c))
        return ERR_RELAY_ORIGIN;
    if (!outbound_is_preflight(x) && !(c->methods >> x->req.method & 1))
        return ERR_RELAY_METHOD;
    TRY(outbound_url_read(x, c, &ob->url));
    return url_check(x, ob);
}

/* A preflight is answered here: it asks for the rules of this relay, not of its target. */
static enum outcome begin(struct exchange *x)
{
    const struct outbound_conf *c = x->target->outbound;
    struct outbound *ob = ARENA_NEW(&x->arena, struct outbound);
    if (!ob)
        return exchange_fail(x, ERR_OVER_BUDGET);
    ob->conf = c;
    enum err e = request_check(x, c, ob);
    if (e != ERR_OK)
        return outbound_fail(x, e);
    x->outbound = ob;
    x->upstream_name = SLICE("relay");
    if (x->dry)
        return NEXT;
    if (outbound_is_preflight(x)) {
        e = outbound_preflight(x, c);
        return e == ERR_OK ? SKIP : exchange_fail(x, e);
    }
    x->req.upgrade = false; /* no tunnels */
    ob->counted = true;
    counter_add(x->worker->counters, METRIC_RELAYS_ACTIVE, 1);
    x->times.picked_us = exchange_now_us(x) - x->times.began_us;
    return NEXT;
}

static enum err resolve(struct exchange *x, struct outbound *ob)
{
    struct names *names = worker_names(x->worker);
    if (!names)
        return ERR_RELAY_UNRESOLVED;
    ob->ask = (struct names_ask){0};
    ob->state = OUTBOUND_RESOLVING;
    enum err e = names_find(names, ob->url.host, &ob->ask, &x->task);
    if (ob->ask.looked_up)
        counter_add(x->worker->counters, METRIC_RELAY_LOOKUPS, 1);
    return e;
}

static enum err resolve_err(enum err e)
{
    switch (e) {
    case ERR_DNS_FAILED: return ERR_RELAY_UNRESOLVED;
    case ERR_OVER_LIMIT: return ERR_RELAY_BUSY;
    default: return e;
    }
}

static int64_t connect_ms(const struct exchange *x)
{
    int64_t ms = x->settings->connect_ms;
    return ms > 0 && ms < CONNECT_MS_MOST ? ms : CONNECT_MS_MOST;
}

static enum err dial(struct exchange *x, struct outbound *ob)
{
    TRY(addrs_check(x, ob));
    for (uint32_t i = 0; i < ob->ask.count; i++)
        addr_set_port(&ob->ask.addrs[i], ob->url.port);
    ob->dial = (struct dial){.loop = &x->worker->loop,
                             .waiter = &x->task,
                             .worker = x->worker->tls,
                             .origin = ob->url.tls ? &ob->conf->tls : NULL,
                             .host = ob->url.host,
                             .addrs = ob->ask.addrs,
                             .count = ob->ask.count,
                             .ends_ms = x->worker->loop.now_ms + connect_ms(x)};
    ob->state = OUTBOUND_DIALLING;
    x->server_name = ob->url.authority;
    x->tries++;
    dial_begin(&ob->dial);
    return ERR_HOLD;
}

static enum err connect_go_on(struct exchange *x, struct outbound *ob)
{
    enum err e = ERR_OK;
    if (ob->state == OUTBOUND_BEGUN && !ob->url.is_ip)
        e = resolve(x, ob);
    else if (ob->state == OUTBOUND_RESOLVING)
        e = names_poll(&ob->ask);
    if (e != ERR_OK)
        return resolve_err(e);
    return ob->state == OUTBOUND_DIALLING ? dial_poll(&ob->dial) : dial(x, ob);
}

static enum outcome connected(struct exchange *x, struct outbound *ob)
{
    ob->conn = ob->dial.conn;
    ob->state = OUTBOUND_OPEN;
    x->times.connected_us = exchange_now_us(x) - x->times.began_us;
    counter_add(x->worker->counters, METRIC_ORIGIN_CONNECTS, 1);
    return NEXT;
}

/* The log tells what the target's certificate lacks. */
static enum outcome connect_failed(struct exchange *x, struct outbound *ob, enum err e)
{
    if (ob->state == OUTBOUND_DIALLING) {
        counter_add(x->worker->counters, METRIC_ORIGIN_CONNECT_ERRORS, 1);
        if (err_is_tls(e) && ob->dial.why[0])
            x->why = arena_dup(&x->arena, slice_of(ob->dial.why));
    }
    return outbound_fail(x, e);
}

enum outcome outbound_pick(struct exchange *x)
{
    enum outcome o = x->outbound ? NEXT : begin(x);
    if (o != NEXT)
        return o;
    if (x->dry) {
        x->res.status = 200;
        return SKIP;
    }
    struct outbound *ob = x->outbound;
    if (!timer_armed(&x->step_timer))
        deadline_set(x, connect_ms(x), ERR_CONNECT_TIMEOUT);
    enum err e = connect_go_on(x, ob);
    if (e == ERR_HOLD)
        return HOLD;
    return e == ERR_OK ? connected(x, ob) : connect_failed(x, ob, e);
}

enum outcome outbound_timed_out(struct exchange *x)
{
    struct outbound *ob = x->outbound;
    bool dialling = ob->state == OUTBOUND_DIALLING;
    return connect_failed(x, ob, dialling ? dial_late(&ob->dial) : ERR_RELAY_UNRESOLVED);
}

/* ---- forward ---- */

/* A client that waits for a 100 is told to go on: a target need not send one. */
static enum err body_ask_for(struct exchange *x, const struct outbound *ob)
{
    bool waits = x->req.expect_continue && !x->continue_sent && !x->spool && !ob->drops_body &&
                 x->req_body.pushed_bytes == 0 && !x->req_body.ended;
    return waits ? continue_send(x) : ERR_OK;
}

static enum err request_send(struct exchange *x, struct outbound *ob)
{
    struct worker *w = x->worker;
    body_reset(x, &x->res_body);
    x->res_body.max_bytes = ob->conf->max_bytes > 0 ? (uint64_t)ob->conf->max_bytes : 0;
    message_init(&x->res);
    x->origin = w->engine->open(ob->conn, &x->task, &x->arena, &x->res, &x->res_body,
                                w->acceptor.limits(&w->acceptor, NULL));
    if (!x->origin)
        return ERR_OVER_BUDGET;
    TRY(outbound_request(x, ob));
    TRY(body_ask_for(x, ob));
    if (x->spool && !ob->drops_body)
        TRY(spool_rewind(x));
    x->origin_tx_ms = w->loop.now_ms;
    counter_add(w->counters, ob->followed ? METRIC_RELAY_REDIRECTS : METRIC_RELAYED, 1);
    TRY(x->origin->ops->send_head(x->origin, &ob->req));
    return relay_request(x);
}

enum outcome outbound_forward(struct exchange *x)
{
    enum err e = request_send(x, x->outbound);
    if (e == ERR_OK)
        return NEXT;
    return exchange_fail(x, x->origin && x->origin->err != ERR_OK ? x->origin->err : e);
}

/* ---- redirects ---- */

static bool is_redirect(const struct message *m)
{
    bool known = m->status == 301 || m->status == 302 || m->status == 303 || m->status == 307 ||
                 m->status == 308;
    return known && headers_find(&m->headers, FIELD_LOCATION);
}

/* Fetch 4.4: a POST becomes a GET by 301 and 302, whatever is not GET or HEAD by 303. */
static bool becomes_get(const struct exchange *x, const struct outbound *ob)
{
    uint8_t method = ob->req.method;
    if (x->res.status == 303)
        return method != METHOD_GET && method != METHOD_HEAD;
    return (x->res.status == 301 || x->res.status == 302) && method == METHOD_POST;
}

/* Closes what belongs to the last URL. */
static void hop_end(struct exchange *x, struct outbound *ob, bool orderly)
{
    names_cancel(&ob->ask);
    if (ob->state == OUTBOUND_DIALLING)
        dial_cancel(&ob->dial);
    if (ob->conn && orderly)
        conn_close_by(ob->conn, x->worker->loop.now_ms + GOODBYE_MS);
    else if (ob->conn)
        conn_abort(ob->conn);
    ob->conn = NULL;
    ob->state = OUTBOUND_BEGUN;
}

static enum err redirect_read(struct exchange *x, struct outbound *ob, struct url *next)
{
    bool needs_body = ob->req.length != LENGTH_NONE && !becomes_get(x, ob);
    const struct header *to = headers_find(&x->res.headers, FIELD_LOCATION);
    if (ob->followed >= ob->conf->redirects || needs_body || headers_next(&x->res.headers, to))
        return ERR_RELAY_REDIRECT;
    enum err e = url_resolve(&x->arena, &ob->url, to->value, next);
    return e == ERR_OK || e == ERR_OVER_BUDGET ? e : ERR_RELAY_REDIRECT;
}

static enum outcome redirect_follow(struct exchange *x, struct outbound *ob)
{
    struct url next;
    enum err e = redirect_read(x, ob, &next);
    if (e != ERR_OK)
        return outbound_fail(x, e);
    ob->drops_body |= becomes_get(x, ob);
    ob->origin_left |= !url_same_origin(&ob->url, &next);
    ob->followed++;
    ob->url = next;
    origin_detach(x);
    hop_end(x, ob, false);
    e = url_check(x, ob);
    return e == ERR_OK ? RETRY : outbound_fail(x, e);
}

/* ---- await ---- */

/* Hints of a stranger for a page that is put into a sandbox: none is passed on. */
static enum err interims_drop(struct exchange *x, struct outbound *ob)
{
    while (x->origin->head_state == STREAM_HEAD_INTERIM) {
        if (++ob->interims > INTERIMS_MAX)
            return ERR_ORIGIN_TOO_MANY_INTERIMS;
        message_init(&x->res);
        x->origin->ops->next_head(x->origin);
    }
    return ERR_OK;
}

static bool is_too_large(const struct exchange *x, const struct outbound *ob)
{
    return ob->conf->max_bytes > 0 && x->res.length == LENGTH_KNOWN &&
           x->res.content_length > (uint64_t)ob->conf->max_bytes;
}

static enum outcome answered(struct exchange *x, struct outbound *ob)
{
    x->times.first_byte_us = exchange_now_us(x) - x->times.began_us;
    x->origin_rx_ms = x->worker->loop.now_ms;
    if (is_redirect(&x->res))
        return redirect_follow(x, ob);
    if (is_too_large(x, ob))
        return exchange_fail(x, ERR_RELAY_TOO_LARGE);
    named_hops_drop(&x->res.headers);
    enum err e = outbound_response(x, ob);
    return e == ERR_OK ? NEXT : exchange_fail(x, e);
}

static void first_byte_deadline(struct exchange *x)
{
    int64_t ms = x->settings->first_byte_ms;
    bool set = timer_armed(&x->step_timer) && x->deadline_err == ERR_ORIGIN_FIRST_BYTE_TIMEOUT;
    if (request_sent_whole(x) && ms >= 0 && !set)
        deadline_set(x, ms, ERR_ORIGIN_FIRST_BYTE_TIMEOUT);
}

/* ERR_OK: the answer's head is there. */
static enum err await_step(struct exchange *x, struct outbound *ob)
{
    TRY(interims_drop(x, ob));
    if (x->origin->head_state == STREAM_HEAD_FINAL)
        return ERR_OK;
    TRY(x->origin->err);
    if (x->timed_out && x->deadline_err == ERR_ORIGIN_FIRST_BYTE_TIMEOUT)
        return ERR_ORIGIN_FIRST_BYTE_TIMEOUT;
    TRY(relay_request(x));
    TRY(relay_deadline(x));
    first_byte_deadline(x);
    return ERR_HOLD;
}

enum outcome outbound_await(struct exchange *x)
{
    enum err e = await_step(x, x->outbound);
    switch (e) {
    case ERR_OK: return answered(x, x->outbound);
    case ERR_HOLD: return HOLD;
    default: return exchange_fail(x, e);
    }
}

/* ---- the end ---- */

void outbound_release(struct exchange *x, bool orderly)
{
    struct outbound *ob = x->outbound;
    hop_end(x, ob, orderly);
    if (ob->counted)
        counter_add(x->worker->counters, METRIC_RELAYS_ACTIVE, -1);
    ob->counted = false;
}

struct slice outbound_url(struct exchange *x)
{
    return x->outbound ? url_write(&x->arena, &x->outbound->url) : SLICE_NONE;
}
