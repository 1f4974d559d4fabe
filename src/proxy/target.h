/* target.h - where a request ends up: an upstream, or a local origin that answers by itself.
 *
 * A local origin is a function that fills in x->res and x->res_body; from there on its answer takes
 * the same way as an origin's ("response filters"). `respond`, `redirect` and the admin API are
 * local origins. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/tree.h"
#include <stdint.h>

struct exchange;
struct fastcgi_conf;
struct template;
struct text;
struct upstream;

enum target_kind { TARGET_UPSTREAM, TARGET_LOCAL, TARGET_SPLIT, TARGET_OUTBOUND };

struct outbound_conf;
struct split;

struct local_origin {
    const char *name; /* "respond", "redirect", "admin" */
    /* Fills in the response (exchange_respond() and friends). */
    enum err (*serve)(struct exchange *x, const void *conf);
    void (*explain)(const void *conf, struct text *out);
};

struct target {
    enum target_kind kind;
    struct conf_pos pos;
    const struct upstream *upstream;
    struct fastcgi_conf *fastcgi;    /* the upstream is spoken to by FastCGI; NULL: by HTTP */
    const struct template *hash_key; /* of the upstream's balancer; NULL: none */
    const struct local_origin *local;
    const void *local_conf;
    const struct split *split;            /* one of its targets is chosen for each request */
    const struct outbound_conf *outbound; /* what clients may name (`relay`) */
};
