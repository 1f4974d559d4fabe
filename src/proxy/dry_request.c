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
    size_t end = slice_find(rest, '/');
    r->authority = slice_head(rest, end);
    r->target = end < rest.len ? slice_from(rest, end) : SLICE("/");
    return r->authority.len > 0;
}

const struct listen_conf *dry_listen_find(const struct proxy_conf *p, struct slice host,
                                          uint16_t port)
{
    const struct listen_conf *first = NULL;
    enum site_match how;
    for (uint32_t i = 0; i < p->listen_count; i++) {
        const struct listen_conf *l = p->listens[i];
        if (l->internal || (port != 0 && addr_port(&l->addr) != port))
            continue;
        if (site_lookup(l, host, &how))
            return l;
        if (!first)
            first = l;
    }
    return first;
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
