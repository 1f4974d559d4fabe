/* dry_request_priv.h - a request that never was on a wire, for `test` blocks and `weir explain`.
 * Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/exchange.h"

/* A worker that only dry exchanges run on: nothing is opened but its loop. NULL: the kernel
 * refused. */
struct worker *dry_worker_new(struct conf *c);
void dry_worker_free(struct worker *w);

struct dry_request {
    struct slice method;
    struct slice authority; /* "host[:port]" */
    struct slice target;    /* "/path?query" */
    struct addr from;
    bool is_url; /* of a test: not a path alone */
    bool secure; /* the URL began with https:// */
};

/* "http://host:port/path" into authority and target; false when it is none. */
bool dry_url_parse(struct slice url, struct dry_request *r);

enum listen_kind { LISTEN_ANY, LISTEN_PLAIN, LISTEN_TLS };

/* The listener that a request for `host` comes in on: of those of the kind and on `port` (0: any)
 * the first where a site serves it, or at least sends it on, else the first. NULL: there is none.
 */
const struct listen_conf *dry_listen_find(const struct proxy_conf *p, struct slice host,
                                          uint16_t port, enum listen_kind kind);
/* By the scheme of the request's URL; of the other kind when there is none. */
const struct listen_conf *dry_listen_of_url(const struct proxy_conf *p, const struct dry_request *r,
                                            struct slice host, uint16_t port);

/* Fills in x->req; slices must live as long as x. */
enum err dry_request_put(struct exchange *x, const struct dry_request *r) MUST_CHECK;
/* Adds a header field; Host replaces the authority. NULL, or why it can not be. */
const char *dry_header_put(struct exchange *x, struct slice name, struct slice value);
