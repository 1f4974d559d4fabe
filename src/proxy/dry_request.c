/* dry_request.c - makes requests for dry exchanges: what h1 would have read off a connection. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "proxy/dry_request_priv.h"
#include <stdlib.h>

enum { DRY_BUFFERS_BYTES = 1 << 20 };

/* The worker is first: both are freed as one. */
struct dry_worker {
    struct worker worker;
    struct counters_shared counters;
};

struct worker *dry_worker_new(struct conf *c)
{
    struct dry_worker *d = aligned_alloc(64, (sizeof(*d) + 63) & ~(size_t)63);
    if (!d)
        return NULL;
    memset(d, 0, sizeof(*d));
    if (!worker_init(&d->worker, 0, &io_backend_epoll, NULL, NULL, &d->counters,
                     DRY_BUFFERS_BYTES)) {
        free(d);
        return NULL;
    }
    worker_install(&d->worker, c);
    return &d->worker;
}

void dry_worker_free(struct worker *w)
{
    worker_release(w);
    free(w);
}

bool dry_url_parse(struct slice url, struct dry_request *r)
{
    size_t scheme = slice_starts(url, SLICE("http://"))    ? 7
                    : slice_starts(url, SLICE("https://")) ? 8
                                                           : 0;
    if (scheme == 0)
        return false;
    struct slice rest = slice_from(url, scheme);
    r->secure = scheme == 8;
    size_t end = slice_find(rest, '/');
    r->authority = slice_head(rest, end);
    r->target = end < rest.len ? slice_from(rest, end) : SLICE("/");
    return r->authority.len > 0;
}

static bool may_be(const struct listen_conf *l, uint16_t port, enum listen_kind kind)
{
    bool right_kind = kind == LISTEN_ANY || l->tls == (kind == LISTEN_TLS);
    return !l->internal && right_kind && (port == 0 || addr_port(&l->addr) == port);
}

/* How much a listener is what was asked for: it serves the host, or sends it on, or neither. */
static int rank_of(const struct listen_conf *l, struct slice host)
{
    enum site_match how;
    const struct site *s = site_lookup(l, host, &how);
    return !s ? 1 : s->redirects ? 2 : 3;
}

const struct listen_conf *dry_listen_find(const struct proxy_conf *p, struct slice host,
                                          uint16_t port, enum listen_kind kind)
{
    const struct listen_conf *best = NULL;
    int best_rank = 0;
    for (uint32_t i = 0; i < p->listen_count; i++) {
        const struct listen_conf *l = p->listens[i];
        int rank = may_be(l, port, kind) ? rank_of(l, host) : 0;
        if (rank <= best_rank)
            continue;
        best = l;
        best_rank = rank;
    }
    return best;
}

const struct listen_conf *dry_listen_of_url(const struct proxy_conf *p, const struct dry_request *r,
                                            struct slice host, uint16_t port)
{
    const struct listen_conf *l =
        dry_listen_find(p, host, port, r->secure ? LISTEN_TLS : LISTEN_PLAIN);
    return l ? l : dry_listen_find(p, host, port, LISTEN_ANY);
}

enum err dry_request_put(struct exchange *x, const struct dry_request *r)
{
    struct message *m = &x->req;
    m->method_text = r->method;
    m->method = (uint8_t)method_find(r->method);
    m->target = r->target;
    m->authority = r->authority;
    m->version_minor = 1;
    m->length = LENGTH_NONE;
    m->keep_alive = true;
    x->client_addr = r->from;
    return headers_add_id(&m->headers, &x->arena, FIELD_HOST, r->authority);
}

const char *dry_header_put(struct exchange *x, struct slice name, struct slice value)
{
    enum field_id id = field_find(name);
    if (!field_is_token(name))
        return "this is not the name of a header field";
    if (!field_value_valid(value))
        return "this is not the value of a header field";
    if (field_row(id)->traits & (FIELD_HOP | FIELD_FRAMING))
        return "this field belongs to the connection and can not be given here";
    if (id == FIELD_HOST) {
        x->req.authority = value;
        headers_del_id(&x->req.headers, FIELD_HOST);
    }
    enum err e = headers_add(&x->req.headers, &x->arena, name, value);
    return e == ERR_OK ? NULL : "too many header fields";
}
