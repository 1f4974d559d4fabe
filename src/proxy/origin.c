/* origin.c - the steps "pick", "forward" and "await": a server, the request to it, its head back.
 *
 * Everything that may be tried again happens here: nothing of a response has reached the client
 * yet. A request is sent a second time only when it can not do harm (RFC 9110 9.2.2): the method
 * is idempotent, or the server saw nothing of it; and only while its body is still in our hands and
 * the upstream's retry budget lasts. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/directive.h"
#include "proxy/deadline.h"
#include "proxy/exchange_priv.h"
#include "proxy/fastcgi_priv.h"
#include "proxy/hedge.h"
#include "proxy/mirror.h"
#include "proxy/outbound_priv.h"
#include "proxy/split.h"
#include "proxy/target.h"
#include "proxy/template.h"
#include "upstream/retry.h"

enum { CONTINUE_WAIT_MS = 1000, INTERIMS_MAX = 32, INTERIM_SPANS = 8 };
enum { YOUNG_IDLE_MS = 1000 }; /* see docs/decisions/006-idle-connections-of-servers.md */

/* Upstream timeouts that are set win over the route's. */
static int64_t timeout_of(int64_t upstream_ms, int64_t route_ms)
{
    return upstream_ms ? upstream_ms : route_ms;
}

/* --- retries ---------------------------------------------------------------------------------- */

static const struct upstream *upstream_of(const struct exchange *x)
{
    return x->lease.view->up;
}

static int64_t tries_allowed(const struct exchange *x)
{
    int64_t set = x->settings->retry_tries;
    return 1 + (settings_is_set(set) ? set : upstream_of(x)->retry.tries);
}

/* Is the whole body (if any) still ours to send? */
static bool body_replayable(const struct exchange *x)
{
    return x->spool || x->req_body.taken_bytes == 0;
}

static bool harmless_again(const struct exchange *x)
{
    bool server_saw_it = x->origin && x->origin->sent_bytes > 0 && !x->origin->unprocessed;
    return method_idempotent(x->req.method) || !server_saw_it;
}

static bool retry_allowed(struct exchange *x)
{
    if (x->replied || x->tries >= tries_allowed(x) || !body_replayable(x) || !harmless_again(x))
        return false;
    if (!lease_has_more(&x->lease))
        return false; /* what this server said is all that there is to say */
    struct counters_shared *c = x->worker->counters;
    bool granted = retry_budget_take(upstream_of(x)->shared, upstream_of(x)->retry.budget,
                                     x->worker->loop.now_ms);
    counter_add(c, granted ? METRIC_RETRIES : METRIC_RETRIES_REFUSED, 1);
    return granted;
}

/* A reused connection that died before it answered says nothing about the server, and one that goes
 * away or refuses a stream had no part in it: the same server is asked again over a fresh
 * connection, without a budget, once per try. */
static bool stale_again(struct exchange *x, enum err e)
{
    bool untouched = e == ERR_ORIGIN_STALE || e == ERR_ORIGIN_UNPROCESSED;
    if (!untouched || x->lease.fresh_only || !body_replayable(x) || !harmless_again(x))
        return false;
    x->tries--;
    return true;
}

/* Nothing was sent yet. Where HTTP/1.1 is spoken, too, it carries the upgrade; else the request
 * goes without: it is the server's to say what it makes of that. */
static bool upgrade_otherwise(struct exchange *x, enum err e)
{
    if (e != ERR_ORIGIN_NO_UPGRADE)
        return false;
    if (upstream_of(x)->proto == UPSTREAM_ASKS)
        x->lease.alone = true;
    else
        x->req.upgrade = false;
    x->tries--;
    return true;
}

static enum outcome origin_broke(struct exchange *x, enum err e)
{
    if (upgrade_otherwise(x, e)) {
        origin_release(x, LEASE_UNUSED);
        return RETRY;
    }
    if (stale_again(x, e)) {
        x->err = e;                      /* for lease_give(), and the log if nothing better comes */
        origin_release(x, LEASE_UNUSED); /* from now on the lease takes no idle connection */
        return RETRY;
    }
    if (!retry_allowed(x))
        return exchange_fail_origin(x, e);
    x->err = e;
    origin_release(x, LEASE_FAILED);
    return RETRY;
}

/* The connection may have come, or failed, in the same tick as its deadline. */
enum outcome connect_timed_out(struct exchange *x)
{
    if (x->outbound)
        return outbound_timed_out(x);
    if (x->lease.state != LEASE_CONNECTING || x->lease.err != ERR_HOLD) {
        deadline_stop(x);
        return step_pick(x);
    }
    x->tries++;
    x->server_name = lease_server_name(&x->lease);
    return origin_broke(x, ERR_CONNECT_TIMEOUT);
}

/* The fields of a response lie in the buffers of its stream: without that there is no response. */
void origin_detach(struct exchange *x)
{
    struct counters_shared *c = x->worker->counters;
    counter_add(c, METRIC_ORIGIN_BYTES_OUT, (int64_t)x->origin->sent_bytes);
    counter_add(c, METRIC_ORIGIN_BYTES_IN, (int64_t)x->origin->received_bytes);
    if (x->origin->said)
        said_log(x);
    stream_detach(x->origin);
    x->origin = NULL;
    message_init(&x->res);
}

void origin_release(struct exchange *x, enum lease_verdict v)
{
    if (x->hedge)
        hedge_drop(x);
    bool untouched = !x->origin;
    if (x->origin) {
        if (v == LEASE_KEEP && !x->origin->reusable)
            v = LEASE_CLOSE;
        origin_detach(x);
    }
    if (x->outbound) {
        outbound_release(x, v == LEASE_KEEP || v == LEASE_CLOSE);
        return;
    }
    if (!x->lease.view || (x->lease.state == LEASE_IDLE && untouched && !x->lease.conn))
        return;
    bool status_failed = v == LEASE_FAILED && x->err == ERR_OK;
    lease_give(&x->lease, v, status_failed ? ERR_ORIGIN_STATUS : x->err);
}

/* --- pick ------------------------------------------------------------------------------------- */

/* Whether it could be sent again if its connection turns out to be stale. */
static bool repeatable(const struct exchange *x)
{
    return method_idempotent(x->req.method) && (x->spool || x->req.length == LENGTH_NONE);
}

enum err target_key(struct exchange *x, const struct target *t, uint64_t *key)
{
    *key = 0;
    if (!t->hash_key)
        return ERR_OK;
    struct slice text = template_eval(t->hash_key, x, NULL);
    if (!text.at)
        return ERR_OVER_BUDGET;
    *key = balancer_key(t->upstream, text);
    return ERR_OK;
}

static int64_t priority_of(const struct exchange *x)
{
    return settings_is_set(x->settings->priority) ? x->settings->priority : PRIORITY_DEFAULT;
}

static enum err lease_begin(struct exchange *x, const struct target *t)
{
    if (!shed_admits(x->worker, priority_of(x)))
        return ERR_SHED;
    struct upstream_view *v = upstream_view_get(x->view, &x->worker->pools, t->upstream->index);
    if (!v)
        return ERR_NO_MEMORY;
    uint64_t key;
    TRY(target_key(x, t, &key));
    lease_init(&x->lease, v, &x->worker->pools, key, &x->task);
    x->lease.priority = (uint8_t)priority_of(x);
    int64_t ends_ms = total_ends_ms(x);
    x->lease.deadline_ms = ends_ms == INT64_MAX ? 0 : ends_ms;
    x->lease.idle_max_ms = repeatable(x) ? 0 : YOUNG_IDLE_MS;
    retry_budget_request(t->upstream->shared, x->worker->loop.now_ms);
    return t->upstream->sticky ? sticky_begin(x, t->upstream) : ERR_OK;
}

static enum outcome serve_local(struct exchange *x, const struct target *t)
{
    enum err e = t->local->serve(x, t->local_conf);
    return e == ERR_OK ? SKIP : exchange_fail(x, e);
}

static bool is_connect_error(enum err e)
{
    return e == ERR_CONNECT_FAILED || e == ERR_CONNECT_REFUSED || e == ERR_CONNECT_TIMEOUT ||
           e == ERR_NO_DESCRIPTORS || err_is_tls(e);
}

/* The log tells what the server's certificate lacks: the error's row cannot. */
static void tls_error_keep(struct exchange *x, enum err e)
{
    char why[SERVER_TLS_ERROR_BYTES];
    if (!err_is_tls(e) || !x->lease.server)
        return;
    server_tls_error_get(x->lease.server->shared, why);
    x->why = arena_dup(&x->arena, slice_of(why));
}

/* No server is left: the failure of the last one tried says more than "no servers". A connection
 * that was stale says nothing. */
static enum outcome pick_failed(struct exchange *x, enum err e)
{
    if (is_connect_error(e)) {
        tls_error_keep(x, e);
        x->tries++;
        x->server_name = lease_server_name(&x->lease);
        if (retry_allowed(x)) {
            x->err = e;
            return RETRY;
        }
        return exchange_fail(x, e);
    }
    bool tried = x->err != ERR_OK && x->err != ERR_ORIGIN_STALE;
    return exchange_fail(x, tried ? x->err : e);
}

static enum outcome picked(struct exchange *x)
{
    x->tries++;
    x->server_name = lease_server_name(&x->lease);
    x->times.connected_us = exchange_now_us(x) - x->times.began_us;
    return NEXT;
}

static enum outcome pick_wait(struct exchange *x)
{
    int64_t ms = timeout_of(upstream_of(x)->timeouts.connect_ms, x->settings->connect_ms);
    if (x->lease.state == LEASE_CONNECTING && !timer_armed(&x->step_timer))
        deadline_set(x, ms, ERR_CONNECT_TIMEOUT);
    return HOLD;
}

/* `test` and explain: what would have been asked, answered by an imaginary 200. */
static enum outcome pick_dry(struct exchange *x)
{
    x->res.status = 200;
    return SKIP;
}

/* Where the request goes; for all its tries. */
static enum err target_choose(struct exchange *x)
{
    const struct target *t = x->settings->target;
    if (x->target)
        return ERR_OK;
    if (!t || !settings_pointer_is_set(t))
        return ERR_NO_ROUTE;
    if (t->kind == TARGET_SPLIT)
        TRY(split_choose(x, t->split, &t));
    if (t->kind == TARGET_UPSTREAM)
        x->upstream_name = t->upstream->name;
    x->target = t;
    return ERR_OK;
}

static enum outcome pick_take(struct exchange *x)
{
    enum err e = x->lease.state == LEASE_IDLE ? lease_take(&x->lease) : lease_poll(&x->lease);
    if ((e == ERR_OK || e == ERR_HOLD) && sticky_refuses(x)) {
        origin_release(x, LEASE_UNUSED);
        e = ERR_NO_SERVERS;
    }
    switch (e) {
    case ERR_OK: return picked(x);
    case ERR_HOLD: return pick_wait(x);
    default: return pick_failed(x, e);
    }
}

enum outcome step_pick(struct exchange *x)
{
    enum err e = target_choose(x);
    if (e != ERR_OK)
        return exchange_fail(x, e);
    if (x->target->kind == TARGET_LOCAL)
        return serve_local(x, x->target);
    if (x->target->kind == TARGET_OUTBOUND)
        return outbound_pick(x);
    if (x->target->fastcgi && !x->fastcgi) {
        enum outcome o = fastcgi_choose(x, x->target->fastcgi);
        if (o != NEXT)
            return o;
    }
    if (x->dry)
        return pick_dry(x);
    if (!x->lease.view) {
        e = lease_begin(x, x->target);
        if (e != ERR_OK)
            return exchange_fail(x, e);
    }
    if (x->times.picked_us == 0)
        x->times.picked_us = exchange_now_us(x) - x->times.began_us;
    return pick_take(x);
}

/* --- forward ---------------------------------------------------------------------------------- */

/* The target in origin-form, from the normalised path. */
static enum err target_write(struct exchange *x)
{
    struct slice path = origin_path(x);
    if (path.at == x->uri.raw_path.at && path.len == x->uri.raw_path.len &&
        x->uri.form == URI_ORIGIN && x->forward_query.at == x->uri.query.at)
        return ERR_OK; /* nothing was changed: the target as it came is the target */
    x->req.target =
        x->forward_has_query ? ARENA_CONCAT(&x->arena, path, SLICE("?"), x->forward_query) : path;
    return x->req.target.at ? ERR_OK : ERR_OVER_BUDGET;
}

/* HTTP/1.1 wants a Host (RFC 9112 3.2); a 1.0 client may have sent none. */
static enum err host_ensure(struct exchange *x)
{
    if (headers_find(&x->req.headers, FIELD_HOST))
        return ERR_OK;
    struct slice host = x->req.authority.len ? x->req.authority : lease_server_name(&x->lease);
    return headers_add_id(&x->req.headers, &x->arena, FIELD_HOST, host);
}

static enum err request_prepare(struct exchange *x)
{
    if (x->spool) { /* the whole body is here: its length is known, and nobody waits for a 100 */
        x->req.length = LENGTH_KNOWN;
        x->req.content_length = spool_bytes(x);
        headers_del_id(&x->req.headers, FIELD_EXPECT);
    }
    TRY(target_write(x));
    TRY(grpc_call_pass_deadline(x));
    TRY(deadline_write(x));
    TRY(host_ensure(x));
    return x->fastcgi ? fastcgi_params_make(x) : ERR_OK;
}

const struct origin_engine *origin_engine_of(const struct worker *w, const struct lease *l)
{
    if (l->view->up->fastcgi)
        return w->fastcgi_engine;
    return l->mux ? w->shared_engine : w->engine;
}

static enum err request_send(struct exchange *x)
{
    const struct worker *w = x->worker;
    const struct origin_engine *engine = origin_engine_of(w, &x->lease);
    body_reset(x, &x->res_body);
    message_init(&x->res);
    x->origin = engine->open(x->lease.conn, &x->task, &x->arena, &x->res, &x->res_body,
                             w->acceptor.limits(&x->worker->acceptor, NULL));
    if (!x->origin)
        return ERR_OVER_BUDGET;
    x->res_body.unseen = x->client->takes_pipes && !x->res_seen;
    TRY(request_prepare(x));
    if (x->spool)
        TRY(spool_rewind(x));
    if (x->settings->mirror)
        mirror_begin(x);
    x->origin_tx_ms = x->worker->loop.now_ms;
    TRY(x->origin->ops->send_head(x->origin, &x->req));
    return relay_request(x);
}

enum outcome step_forward(struct exchange *x)
{
    if (x->outbound)
        return outbound_forward(x);
    enum err e = request_send(x);
    if (e == ERR_OK) {
        hedge_arm(x);
        return NEXT;
    }
    if (x->origin && x->origin->err != ERR_OK)
        return origin_broke(x, x->origin->err);
    return exchange_fail(x, e);
}

/* --- await ------------------------------------------------------------------------------------ */

/* Interim responses are hints: none is owed to a client that does not even take what it has. */
static bool interim_wanted(const struct exchange *x)
{
    if (x->res.status == 100)
        return x->req.expect_continue && !x->continue_sent;
    return x->client->conn && conn_out_room(x->client->conn) > INTERIM_SPANS;
}

static enum err interim_relay(struct exchange *x)
{
    enum err e = ERR_OK;
    if (++x->interim_count > INTERIMS_MAX)
        return ERR_ORIGIN_TOO_MANY_INTERIMS;
    if (interim_wanted(x)) {
        x->continue_sent |= x->res.status == 100;
        e = x->client->ops->send_head(x->client, &x->res);
        counter_add(x->worker->counters, METRIC_RESPONSES_1XX, 1);
    }
    message_init(&x->res);
    x->origin->ops->next_head(x->origin);
    return e;
}

/* The client holds its body back for a 100 that the server may never send: after a while we ask
 * for it ourselves (RFC 9110 10.1.1). */
static bool continue_due(const struct exchange *x)
{
    return x->req.expect_continue && !x->continue_sent && !x->spool &&
           x->req_body.pushed_bytes == 0 && !x->req_body.ended;
}

enum err continue_send(struct exchange *x)
{
    struct message m;
    message_init(&m);
    m.status = 100;
    x->continue_sent = true;
    return x->client->ops->send_head(x->client, &m);
}

bool origin_status_failed(const struct exchange *x)
{
    if (!x->origin || !x->lease.view)
        return false;
    const struct retry_conf *r = &upstream_of(x)->retry;
    int64_t set = x->settings->retry_statuses;
    bool own = settings_is_set(set);
    switch (x->res.status) {
    case 502: return own ? set & RETRY_ON_502 : r->on_502;
    case 503: return own ? set & RETRY_ON_503 : r->on_503;
    case 504: return own ? set & RETRY_ON_504 : r->on_504;
    default: return false;
    }
}

/* An application behind FastCGI has no interim answers: there is nothing to wait for. */
static int64_t continue_wait_ms(const struct exchange *x)
{
    return x->fastcgi ? 0 : CONTINUE_WAIT_MS;
}

static void await_deadline(struct exchange *x)
{
    struct loop *l = &x->worker->loop;
    if (continue_due(x)) {
        deadline_at(x, x->origin_tx_ms + continue_wait_ms(x), ERR_OK);
        return;
    }
    if (!request_sent_whole(x))
        return; /* relay_deadline() has set what is due */
    lease_asked(&x->lease);
    int64_t ms = timeout_of(upstream_of(x)->timeouts.first_byte_ms, x->settings->first_byte_ms);
    if (ms >= 0 &&
        (!timer_armed(&x->step_timer) || x->deadline_err != ERR_ORIGIN_FIRST_BYTE_TIMEOUT))
        deadline_at(x, l->now_ms + ms, ERR_ORIGIN_FIRST_BYTE_TIMEOUT);
}

/* What a fired timer means here. ERR_OK: nothing that ends the exchange. */
static enum err await_timed_out(struct exchange *x)
{
    if (!x->timed_out)
        return ERR_OK;
    x->timed_out = false;
    if (continue_due(x))
        return continue_send(x);
    return x->deadline_err == ERR_ORIGIN_FIRST_BYTE_TIMEOUT ? x->deadline_err : ERR_OK;
}

/* What was chosen for this client and it does not know yet. */
static enum err choices_tell(struct exchange *x)
{
    if (x->split)
        TRY(split_answered(x));
    return upstream_of(x)->sticky ? sticky_answered(x) : ERR_OK;
}

static void answer_count(struct exchange *x)
{
    x->times.first_byte_us = exchange_now_us(x) - x->times.began_us;
    lease_answered(&x->lease, x->res.status < 500 ? LEASE_ANSWER_GOOD : LEASE_ANSWER_ERROR,
                   x->times.first_byte_us - x->times.connected_us);
}

static enum outcome response_begun(struct exchange *x)
{
    if (x->hedge)
        hedge_drop(x);
    answer_count(x);
    x->origin_rx_ms = x->worker->loop.now_ms;
    if (origin_status_failed(x) && retry_allowed(x)) {
        x->err = ERR_ORIGIN_STATUS;
        origin_release(x, LEASE_FAILED);
        return RETRY;
    }
    x->err = ERR_OK;
    named_hops_drop(&x->res.headers);
    enum err e = choices_tell(x);
    return e == ERR_OK ? NEXT : exchange_fail(x, e);
}

static enum err await_step(struct exchange *x)
{
    while (x->origin->head_state == STREAM_HEAD_INTERIM)
        TRY(interim_relay(x));
    if (x->origin->head_state == STREAM_HEAD_FINAL)
        return ERR_OK; /* even if its deadline is over by now */
    TRY(await_timed_out(x));
    TRY(relay_request(x));
    if (!continue_due(x))
        TRY(relay_deadline(x));
    await_deadline(x);
    return ERR_HOLD;
}

/* The first server's answer, also when the second's has come in the same tick. */
static void hedge_look(struct exchange *x)
{
    bool answered = hedge_step(x);
    if (x->origin->head_state == STREAM_HEAD_FINAL)
        return;
    if (answered)
        hedge_promote(x, LEASE_UNUSED, ERR_OK);
    else if (x->origin->err != ERR_OK && hedge_under_way(x))
        hedge_promote(x, LEASE_FAILED, x->origin->err);
}

enum outcome step_await(struct exchange *x)
{
    if (x->outbound)
        return outbound_await(x);
    if (x->hedge)
        hedge_look(x);
    if (x->origin->err != ERR_OK && x->origin->head_state != STREAM_HEAD_FINAL)
        return origin_broke(x, x->origin->err);
    enum err e = await_step(x);
    switch (e) {
    case ERR_OK: return response_begun(x);
    case ERR_HOLD: return HOLD;
    default: return is_origins_fault(x, e) ? origin_broke(x, e) : exchange_fail(x, e);
    }
}
