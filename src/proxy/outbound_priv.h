/* outbound_priv.h - what the files of `relay` share. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/names.h"
#include "proxy/exchange_priv.h"
#include "proxy/outbound.h"
#include "proxy/web_origins.h"
#include "tls/dial.h"

/* ---- the configuration (outbound_build.c) ---- */

enum { OUTBOUND_PORTS_MAX = 16, OUTBOUND_ANY_PORT = -1, OUTBOUND_USUAL_PORT = 0 };

/* One of the targets that may be relayed. */
struct outbound_rule {
    struct slice host; /* lower case; of "*.example.org" what follows the star */
    bool http, https;
    bool below;    /* hosts below it, at any depth, but not itself */
    int32_t port;  /* or one of the two above: any, or the scheme's and those of `ports` */
    bool anything; /* `any`: whatever host, if it is an address or has a dot */
};

struct outbound_prefixes {
    struct addr_prefix *at;
    uint32_t count;
};

struct outbound_words {
    struct slice *at;
    uint32_t count;
};

struct outbound_conf {
    struct outbound_rule *rules;
    uint32_t rule_count;
    uint32_t methods; /* bit per enum method */
    struct slice methods_text;
    uint16_t ports[OUTBOUND_PORTS_MAX];
    uint32_t port_count;
    struct outbound_prefixes private, denied;
    struct outbound_words pass; /* request fields that are kept */
    struct web_origins origins; /* whose pages may read answers */
    bool origins_named;         /* else those of all */
    struct slice query, ca;     /* options */
    bool path;
    int64_t redirects, max_bytes;
    struct tls_origin tls;
};

/* ---- what may be relayed (outbound_rules.c) ---- */

/* False after an error. */
bool outbound_rule_read(struct conf_build *b, const struct conf_word *w, struct outbound_rule *r);
bool outbound_rules_take(const struct outbound_conf *c, const struct url *u);
/* Why a connection to this address is refused; NULL: it is not. */
const char *outbound_refuses(const struct outbound_conf *c, const struct addr *a);

/* ---- one request (outbound.c) ---- */

enum outbound_state { OUTBOUND_BEGUN, OUTBOUND_RESOLVING, OUTBOUND_DIALLING, OUTBOUND_OPEN };

/* In the exchange's arena, until it ends. */
struct outbound {
    const struct outbound_conf *conf;
    uint8_t state; /* enum outbound_state */
    uint8_t followed, interims;
    bool counted;     /* in relays_active */
    bool origin_left; /* a redirect led to another origin: no credentials any more */
    bool drops_body;  /* a redirect made a GET of it */
    struct url url;
    struct names_ask ask;
    struct dial dial;
    struct conn *conn; /* OUTBOUND_OPEN */
    struct message req;
};

step_fn outbound_pick, outbound_forward, outbound_await;
enum outcome outbound_timed_out(struct exchange *x);     /* in "pick" */
void outbound_release(struct exchange *x, bool orderly); /* its stream is detached already */

/* ---- which URL (outbound_url.c) ---- */

enum err outbound_url_read(struct exchange *x, const struct outbound_conf *c,
                           struct url *out) MUST_CHECK;

/* ---- fields (outbound_fields.c) ---- */

/* The request for ob->url out of the client's. */
enum err outbound_request(struct exchange *x, struct outbound *ob) MUST_CHECK;
/* The target's answer, as it may be shown under this site's name. */
enum err outbound_response(struct exchange *x, const struct outbound *ob) MUST_CHECK;
/* Has a relay of weir's sent this request? */
bool outbound_loops(const struct exchange *x);
bool outbound_origin_allowed(const struct exchange *x, const struct outbound_conf *c);
bool outbound_is_preflight(const struct exchange *x);
enum err outbound_preflight(struct exchange *x, const struct outbound_conf *c) MUST_CHECK;
