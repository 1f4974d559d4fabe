/* relay.c - the step "relay": both bodies until both ends are done; after a 101, raw bytes.
 *
 * Bytes move by reference from one stream's body to the other's connection; struct body holds the
 * faster side back. Each direction has its own deadline, measured from its own last progress, and
 * only while it is that direction's peer that is waited for. */
// SPDX-License-Identifier: Apache-2.0
#include "io/pipe.h"
#include "net/conn.h"
#include "proxy/exchange_priv.h"
#include "proxy/identity.h"
#include "proxy/mirror.h"
#include "proxy/transform.h"

enum { RATE_WINDOW_MS = 10000, TAKE_WINDOW_MS = 60000 };

bool request_sent_whole(const struct exchange *x)
{
    return x->origin && x->origin->sent_all;
}

/* What came before a body broke off is still sent. Nothing wakes for the error itself then, so it
 * is looked at after every move, too. */
static enum err body_move(struct body *b, struct stream *to)
{
    if (to->sent_all)
        return ERR_OK;
    if (b->count > 0 || b->err == ERR_OK)
        TRY(to->ops->send_body(to, b));
    return b->count == 0 && !to->sent_all ? b->err : ERR_OK;
}

enum err relay_request(struct exchange *x)
{
    struct body *b = request_body(x);
    if (x->mirror)
        mirror_feed(x);
    if (x->outbound) /* a target gets of the client's fields what its head may have, and no more */
        b->trailers = NULL;
    if (b->trailers) /* some servers add them to the head's fields */
        identity_strip(x, b->trailers);
    enum err e = body_move(b, x->origin);
    x->request_bytes = b->taken_bytes;
    return e;
}

static enum err relay_response(struct exchange *x)
{
    if (x->outbound)
        x->res_body.trailers = NULL;
    struct body *b = transform_body(x->res_transform, &x->res_body);
    enum err e = body_move(b, x->client);
    x->response_bytes = b->taken_bytes;
    return e;
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* The soonest deadline of several, and what it means. */
struct soonest {
    int64_t at_ms;
    enum err err;
};

static void consider(struct soonest *s, int64_t since_ms, int64_t limit_ms, enum err e)
{
    if (limit_ms >= 0 && since_ms + limit_ms < s->at_ms)
        *s = (struct soonest){since_ms + limit_ms, e};
}

/* *at_ms is when `value` last changed, or when the wait for it began; 0 while nobody waits. */
static void progress(uint64_t value, uint64_t *seen, int64_t *at_ms, int64_t now_ms, bool waiting)
{
    if (value == *seen && waiting && *at_ms > 0)
        return;
    *seen = value;
    *at_ms = waiting ? now_ms : 0;
}

/* A producer that stopped goes on when the queue is half empty, and one that has filled a pipe when
 * that is empty: until then it is not its turn. */
static bool waits_for(const struct body *b)
{
    return !b->ended && b->err == ERR_OK && !b->starved && body_room(b) > 0 && !body_in_pipe(b);
}

/* A final answer instead of the 100 that the client asked for: it need not send its body. */
static bool body_was_not_asked_for(const struct exchange *x)
{
    return x->replied && x->req.expect_continue && !x->continue_sent;
}

static bool waits_for_request_body(const struct exchange *x)
{
    return waits_for(&x->req_body) && !request_sent_whole(x) && !body_was_not_asked_for(x);
}

static bool waits_for_response_body(const struct exchange *x)
{
    return x->origin && x->step == STEP_RELAY && waits_for(&x->res_body);
}

static void watch_request_body(struct exchange *x, struct soonest *s, int64_t now)
{
    bool waiting = waits_for_request_body(x);
    progress(x->req_body.pushed_bytes, &x->client_rx_seen, &x->client_rx_ms, now, waiting);
    if (waiting)
        consider(s, x->client_rx_ms, x->settings->client_body_ms, ERR_CLIENT_BODY_TIMEOUT);
}

/* A minimum rate, over windows in which the client alone was waited for. ERR_OK as the meaning of
 * the deadline: the end of a window is not an error by itself. False: it was too slow. */
static bool rate_is_kept(struct rate_window *r, struct soonest *s, int64_t now, uint64_t bytes,
                         int64_t rate, int64_t window_ms)
{
    bool over = r->at_ms && now >= r->at_ms + window_ms;
    if (over && bytes - r->seen < (uint64_t)(rate * (window_ms / 1000)))
        return false;
    if (over || r->at_ms == 0)
        *r = (struct rate_window){now, bytes};
    consider(s, r->at_ms, window_ms, ERR_OK);
    return true;
}

static enum err watch_rate(struct exchange *x, struct soonest *s, int64_t now)
{
    int64_t rate = x->settings->body_rate;
    if (rate <= 0 || !waits_for_request_body(x))
        x->rx_rate.at_ms = 0;
    else if (!rate_is_kept(&x->rx_rate, s, now, x->req_body.pushed_bytes, rate, RATE_WINDOW_MS))
        return ERR_CLIENT_BODY_RATE;
    return ERR_OK;
}

static int64_t upstream_ms(int64_t own, int64_t route)
{
    return own ? own : route;
}

/* Nobody wakes when a pipe gets empty and the server's turn begins. So it is looked at again before
 * its time could be over, and counted from then. */
enum { RX_IN_PIPE = -1 }; /* x->origin_rx_ms */

static int64_t server_turn_ms(const struct exchange *x, int64_t now)
{
    const struct body *b = &x->res_body;
    /* What has come since came by another way: a pipe is not for small rests. */
    bool by_pipe = x->origin_rx_ms == RX_IN_PIPE && b->pushed_bytes == x->origin_rx_seen;
    return by_pipe && b->pipe ? io_pipe_of(b->pipe)->emptied_ms : now;
}

static void watch_response_body(struct exchange *x, struct soonest *s, int64_t now, int64_t limit)
{
    const struct body *b = &x->res_body;
    bool waiting = waits_for_response_body(x);
    progress(b->pushed_bytes, &x->origin_rx_seen, &x->origin_rx_ms, server_turn_ms(x, now),
             waiting);
    if (waiting) {
        consider(s, x->origin_rx_ms, limit, ERR_ORIGIN_READ_TIMEOUT);
    } else if (body_in_pipe(b)) {
        x->origin_rx_ms = RX_IN_PIPE;
        consider(s, now, limit, ERR_OK);
    }
}

/* What tells that a peer takes bytes. On a connection that is shared others move, too. */
static uint64_t taken_by(const struct stream *s)
{
    if (!s->windowed)
        return s->conn->bytes_out;
    return s->shared_bytes ? *s->shared_bytes : s->sent_bytes;
}

static void watch_origin(struct exchange *x, struct soonest *s, int64_t now)
{
    static const struct upstream_timeouts none;
    if (!x->origin)
        return;
    const struct upstream_timeouts *t = x->lease.view ? &x->lease.view->up->timeouts : &none;
    watch_response_body(x, s, now, upstream_ms(t->read_ms, x->settings->read_ms));
    progress(taken_by(x->origin), &x->origin_tx_seen, &x->origin_tx_ms, now, x->origin->blocked);
    if (x->origin->blocked)
        consider(s, x->origin_tx_ms, upstream_ms(t->send_ms, x->settings->send_ms),
                 ERR_ORIGIN_SEND_TIMEOUT);
}

/* A byte now and then is progress, too, so there is a rate besides. */
static enum err watch_client(struct exchange *x, struct soonest *s, int64_t now)
{
    bool waiting = x->client->blocked || body_in_pipe(&x->res_body);
    int64_t rate = x->settings->client_take_rate;
    uint64_t taken = taken_by(x->client);
    progress(taken, &x->client_tx_seen, &x->client_tx_ms, now, waiting);
    if (waiting)
        consider(s, x->client_tx_ms, x->settings->client_send_ms, ERR_CLIENT_SEND_TIMEOUT);
    if (rate <= 0 || x->settings->client_send_ms < 0 || !waiting)
        x->tx_rate.at_ms = 0;
    else if (!rate_is_kept(&x->tx_rate, s, now, taken, rate, TAKE_WINDOW_MS))
        return ERR_CLIENT_TAKE_RATE;
    return ERR_OK;
}

static int64_t newer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A tunnel is idle when nothing moves in either direction. */
static void watch_tunnel(struct exchange *x, struct soonest *s, int64_t now)
{
    progress(x->req_body.pushed_bytes, &x->client_rx_seen, &x->client_rx_ms, now, true);
    progress(x->res_body.pushed_bytes, &x->origin_rx_seen, &x->origin_rx_ms, now, true);
    progress(taken_by(x->client), &x->client_tx_seen, &x->client_tx_ms, now, true);
    progress(taken_by(x->origin), &x->origin_tx_seen, &x->origin_tx_ms, now, true);
    int64_t last =
        newer(newer(x->client_rx_ms, x->client_tx_ms), newer(x->origin_rx_ms, x->origin_tx_ms));
    consider(s, last, x->settings->tunnel_ms, ERR_TUNNEL_IDLE);
}

enum err relay_deadline(struct exchange *x)
{
    int64_t now = x->worker->loop.now_ms;
    struct soonest s = {INT64_MAX, ERR_OK};
    if (x->tunnel) {
        watch_tunnel(x, &s, now);
    } else {
        watch_request_body(x, &s, now);
        TRY(watch_rate(x, &s, now));
        watch_origin(x, &s, now);
        TRY(watch_client(x, &s, now));
    }
    if (s.at_ms <= now && s.err != ERR_OK)
        return s.err;
    if (s.at_ms != INT64_MAX)
        deadline_at(x, s.at_ms, s.err);
    return ERR_OK;
}

/* --- the step --------------------------------------------------------------------------------- */

/* An error of the server's connection matters only while its answer is not whole, and what came of
 * it has gone on. */
static enum err origin_error(const struct exchange *x)
{
    bool waits = x->res_body.ended || x->res_body.count > 0 ||
                 (x->res_transform && x->res_transform->out.count > 0);
    return x->origin && !waits ? x->origin->err : ERR_OK;
}

static enum err relay_both(struct exchange *x)
{
    TRY(relay_response(x));
    if (x->client->sent_all && !x->tunnel)
        return ERR_OK;
    TRY(origin_error(x));
    if (x->origin && x->origin->err == ERR_OK)
        TRY(relay_request(x));
    return ERR_OK;
}

/* A tunnel whose server ended both its directions needs no more from the client. */
static bool relay_done(const struct exchange *x)
{
    return x->client->sent_all && (!x->tunnel || x->origin->sent_all || x->origin->err != ERR_OK);
}

bool is_origins_fault(const struct exchange *x, enum err e)
{
    return x->origin && !x->tunnel &&
           (e == x->origin->err || e == ERR_ORIGIN_FIRST_BYTE_TIMEOUT ||
            e == ERR_ORIGIN_READ_TIMEOUT || e == ERR_ORIGIN_SEND_TIMEOUT ||
            e == ERR_ORIGIN_TOO_MANY_INTERIMS);
}

enum outcome step_relay(struct exchange *x)
{
    if (x->dry)
        return NEXT;
    if (x->file)
        file_body_begin(x);
    enum err e = relay_both(x);
    if (e == ERR_OK && relay_done(x))
        return NEXT;
    if (e == ERR_OK)
        e = relay_deadline(x);
    if (e == ERR_OK)
        return HOLD;
    x->client->stalled = e == ERR_CLIENT_SEND_TIMEOUT || e == ERR_CLIENT_TAKE_RATE;
    if (x->outbound && e == ERR_BODY_TOO_LARGE && x->res_body.err == e)
        e = ERR_RELAY_TOO_LARGE; /* `max` of the relay */
    return is_origins_fault(x, e) ? exchange_fail_origin(x, e) : exchange_fail(x, e);
}
