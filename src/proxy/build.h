/* build.h - from the checked block tree to listeners, sites, routes and their policies. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "conf/snapshot.h"
#include "proxy/route.h"

/* Rows of proxy/: listen, site, route, when, proxy, respond, redirect, timeout, body, retry, log,
 * trust, no, test ... */
extern const struct directive proxy_rows[];

/* Builds c->proxy (and adds unnamed upstreams to c->upstreams) out of the tree. Named upstreams are
 * in c->upstreams already. b->app is c. Errors go to b->diag. */
void proxy_build(struct conf_build *b, struct conf *c);

/* For directives that send something to an upstream: the one of that name, or of the one server at
 * that address. False after an error. */
bool upstream_target(struct conf_build *b, const struct conf_word *w, struct target *t);

/* Once the servers of all upstreams are final (run-time changes included): names them for `sticky`
 * and finds its tables. */
void proxy_servers_known(struct conf_build *b, struct conf *c);

/* Runs every `test` block of the snapshot without touching the network. Failures are errors with
 * position in `d`; *count gets the number of tests. */
void proxy_tests_run(struct conf *c, struct diag *d, uint32_t *count);

/* `weir explain`: the decision for one request, line by line, with file:line. */
struct explain_request {
    struct slice method, url, from; /* from: an IP address; empty: 127.0.0.1 */
    const struct slice *headers;    /* "Name: value" */
    uint32_t header_count;
};

struct explain;
void explain_line(struct explain *e, const char *label, struct conf_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* False with the reason in *out when the request itself is not valid. */
bool proxy_explain(struct conf *c, const struct explain_request *r, struct text *out);
