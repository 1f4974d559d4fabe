/* headless.c - see headless.h.
 *
 * A client that has left keeps its stream until the end (x->left), because the request lies in its
 * buffers; the sink only stands in for it. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/headless.h"
#include "proxy/exchange_priv.h"
#include <stdlib.h>

/* --- the client that takes everything --------------------------------------------------------- */

static enum err sink_head(struct stream *s, const struct message *m)
{
    (void)s;
    (void)m;
    return ERR_OK;
}

static enum err sink_body(struct stream *s, struct body *b)
{
    struct span piece;
    while ((piece = body_take(b, SIZE_MAX)).len > 0)
        span_drop(piece);
    s->sent_all = body_done(b);
    return ERR_OK;
}

static void sink_nothing(struct stream *s)
{
    (void)s;
}

static const struct stream_ops SINK = {
    .send_head = sink_head, .send_body = sink_body, .tunnel = sink_nothing, .detach = sink_nothing};

static struct stream *sink_new(struct exchange *x)
{
    struct stream *s = ARENA_NEW(&x->arena, struct stream);
    if (s)
        *s = (struct stream){.ops = &SINK, .windowed = true, .head_state = STREAM_HEAD_FINAL};
    return s;
}

bool headless_is(const struct exchange *x)
{
    return x->client && x->client->ops == &SINK;
}

bool headless_go_on(struct exchange *x)
{
    struct worker *w = x->worker;
    if (headless_is(x) || !x->wanted || !x->wanted(x->wanted_ctx))
        return false;
    struct stream *sink = w->headless_count < HEADLESS_MAX ? sink_new(x) : NULL;
    if (!sink)
        return false;
    x->left = x->client;
    x->client = sink;
    w->headless_count++;
    return true;
}

void headless_finish(struct exchange *x)
{
    x->worker->headless_count--;
    if (x->left)
        x->client = x->left;
    x->left = NULL;
}

/* --- a request of its own --------------------------------------------------------------------- */

/* Slices of the request, which lie in the buffers of its client. */
static const size_t OWNED[] = {
#define AT(f) offsetof(struct exchange, f)
    AT(req.method_text), AT(req.target),    AT(req.scheme),   AT(req.authority),
    AT(uri.scheme),      AT(uri.authority), AT(uri.raw_path), AT(uri.query),
    AT(raw_target),      AT(host),          AT(path),         AT(spelled_path),
    AT(forward_path),    AT(forward_query), AT(peer_ip),      AT(client_scheme),
    AT(forwarded_host),
#undef AT
};

static enum err slices_own(struct exchange *x)
{
    for (size_t i = 0; i < COUNT_OF(OWNED); i++) {
        struct slice *s = (struct slice *)((char *)x + OWNED[i]);
        if (!s->at)
            continue;
        *s = arena_dup(&x->arena, *s);
        if (!s->at)
            return ERR_OVER_BUDGET;
    }
    return ERR_OK;
}

/* origin_path() and target_write() tell by identity what was changed. */
static void identities_keep(struct exchange *y, const struct exchange *x)
{
    if (x->forward_path.at == x->path.at)
        y->forward_path = y->path;
    if (x->forward_query.at == x->uri.query.at)
        y->forward_query = y->uri.query;
}

static enum err settings_own(struct exchange *y, const struct exchange *x)
{
    y->settings = x->settings;
    if (x->settings == &x->route->settings)
        return ERR_OK;
    struct settings *s = ARENA_NEW(&y->arena, struct settings);
    if (!s)
        return ERR_OVER_BUDGET;
    *s = *x->settings;
    y->settings = s;
    return ERR_OK;
}

static enum err request_copy(struct exchange *y, const struct exchange *x)
{
    y->req = (struct message){.method_text = x->req.method_text,
                              .target = x->req.target,
                              .scheme = x->req.scheme,
                              .authority = x->req.authority,
                              .method = x->req.method,
                              .version_major = x->req.version_major,
                              .version_minor = x->req.version_minor,
                              .length = LENGTH_NONE,
                              .keep_alive = true};
    TRY(headers_copy(&y->req.headers, &y->arena, &x->req.headers));
    y->uri = x->uri;
    y->raw_target = x->raw_target;
    y->host = x->host;
    y->host_port = x->host_port;
    y->path = x->path;
    y->spelled_path = x->spelled_path;
    y->forward_path = x->forward_path;
    y->forward_query = x->forward_query;
    y->forward_has_query = x->forward_has_query;
    y->peer_ip = x->peer_ip;
    y->client_trusted = x->client_trusted;
    y->client_scheme = x->client_scheme;
    y->forwarded_host = x->forwarded_host;
    y->forwarded_port = x->forwarded_port;
    y->client_addr = x->client_addr;
    TRY(slices_own(y));
    identities_keep(y, x);
    return ERR_OK;
}

/* Where in the chain of request filters is the one with this state? */
static uint32_t place_of(const struct route *r, size_t state_offset)
{
    const struct filter_chain *chain = &r->chains[HOOK_REQUEST];
    uint32_t at = 0;
    while (at < chain->count && chain->uses[at].state_offset != state_offset)
        at++;
    ASSERT(at < chain->count);
    return at;
}

static enum err stand_where(struct exchange *y, const struct exchange *x, size_t state_offset)
{
    y->site = x->site;
    y->route = x->route;
    y->whens = x->whens;
    y->site_match = x->site_match;
    y->step = STEP_REQUEST_FILTERS;
    y->at = place_of(x->route, state_offset);
    TRY(settings_own(y, x));
    y->filter_states = arena_zalloc(&y->arena, x->route->state_bytes);
    y->client = sink_new(y);
    return y->filter_states && y->client ? ERR_OK : ERR_OVER_BUDGET;
}

struct exchange *headless_begin(struct exchange *x, const void *state, void **copy)
{
    struct worker *w = x->worker;
    struct exchange *y = w->headless_count < HEADLESS_MAX ? exchange_alloc(w) : NULL;
    if (!y)
        return NULL;
    size_t offset = (size_t)((const char *)state - x->filter_states);
    exchange_init(y, w, x->listen, x->view);
    if (request_copy(y, x) != ERR_OK || stand_where(y, x, offset) != ERR_OK) {
        exchange_release(y);
        free(y);
        return NULL;
    }
    y->background = true;
    w->headless_count++;
    *copy = y->filter_states + offset;
    total_begin(y);
    exchange_wake(y);
    return y;
}

void headless_end(struct worker *w, enum headless_end which)
{
    LIST_EACH (it, &w->exchanges) {
        struct exchange *x = LIST_ENTRY(it, struct exchange, link);
        if (!headless_is(x) || (which != HEADLESS_ALL && x->wanted && x->wanted(x->wanted_ctx)))
            continue;
        x->client->err = ERR_CLIENT_CLOSED;
        exchange_wake(x);
    }
}
