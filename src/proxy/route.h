/* route.h - listeners, sites and routes as the snapshot holds them, and how one is found.
 *
 * Built once by proxy/build.c, then read-only. Lookup takes time in the length of host and path,
 * whatever the number of sites and routes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "base/log.h"
#include "base/radix.h"
#include "conf/snapshot.h"
#include "http/stream.h"
#include "limit/conns.h"
#include "net/addr.h"
#include "proxy/client_geo.h"
#include "proxy/filter.h"
#include "proxy/identity.h"
#include "proxy/settings.h"

struct cache_site_shared;
struct condition;
struct exchange;
struct proxy_cert;
struct proxy_folder;
struct site_tls;
struct tls_identity;
struct tls_server;

enum { WHENS_MAX = 64 };

/* A `when` block as it applies to one route. Bit `index` of x->whens tells that it holds. */
struct when {
    const struct condition *cond;
    struct settings settings; /* only what the block sets */
    bool has_settings;
    struct conf_pos pos;
};

enum route_kind { ROUTE_EXACT, ROUTE_PATTERN, ROUTE_PREFIX, ROUTE_SITE /* no route matched */ };

/* On AUTO a plain listener serves only where somebody asked for both: on another port than 80,
 * beside a certificate that was given. A site that requires client certificates is never plain. */
enum tls_redirect { TLS_REDIRECT_OFF, TLS_REDIRECT_ON, TLS_REDIRECT_AUTO };

struct route {
    enum route_kind kind;
    struct slice pattern; /* as written */
    bool strip;           /* the prefix is cut off before forwarding */
    struct conf_pos pos;
    const struct site *site;
    void *regex;              /* ROUTE_PATTERN: pcre2_code */
    struct settings settings; /* complete: nothing is unset but retries */
    struct filter_chain chains[HOOK_COUNT];
    uint32_t filter_count; /* filter_use.slot is below this */
    size_t state_bytes;    /* of all filters together */
    const struct when *const *whens;
    uint32_t when_count;
};

/* On which listeners a name stands: `site http://a` on plain ones only. */
enum site_scheme { SITE_ANY_SCHEME, SITE_HTTP, SITE_HTTPS };

struct site_name {
    struct slice text; /* "app.example.com", "*.example.com", "*" */
    struct conf_pos pos;
    uint8_t scheme; /* enum site_scheme */
};

struct site {
    const struct site_name *names;
    uint32_t name_count;
    struct conf_pos pos;
    struct hash_map exact;   /* path -> struct route */
    struct route **patterns; /* in file order */
    uint32_t pattern_count;
    struct radix prefixes;
    struct route *own;     /* ROUTE_SITE */
    struct route **routes; /* all, own included, in file order */
    uint32_t route_count;
    const struct conf_node *node;    /* for its tests */
    struct site_tls *tls;            /* NULL: on no listener with TLS */
    uint8_t tls_redirect;            /* enum tls_redirect: which plain listeners send to it */
    bool redirects;                  /* it is what they have in its place */
    struct cache_site_shared *cache; /* counters, main's wiring; NULL: nothing is cached */
};

/* One address to listen on. Identity over reloads: `key`. */
struct listen_conf {
    struct slice key; /* canonical text of the address */
    struct addr addr;
    struct conf_pos pos;
    bool tls;
    bool h1, h2;                 /* protocols that are spoken there */
    bool internal;               /* the admin listener: run by the main thread */
    struct stream_limits limits; /* before the host is known: the most generous of its sites' */
    struct hash_map exact;       /* host -> struct site */
    struct hash_map wildcards;   /* "example.com" of "*.example.com" -> struct site */
    struct site *fallback;       /* site *; NULL: unknown hosts get 421 */
    struct tls_server *server;   /* with `tls`, once a site stands here */
    struct tls_identity *first_identity; /* while building: for clients that name no site */
    bool first_is_open;                  /* it asks for no client certificate */
};

struct trust_conf {
    struct addr_prefix *prefixes;
    uint32_t count;
};

/* `log error`: main opens it and hands it to log_error_set(). */
struct error_log_conf {
    enum log_level level;
    enum log_target target;
    struct slice path; /* LOG_TO_FILE; NUL-terminated */
};

struct proxy_conf {
    struct listen_conf **listens;
    uint32_t listen_count;
    struct site **sites;
    uint32_t site_count;
    struct settings defaults;    /* top level, complete */
    struct stream_limits limits; /* of origin-side heads */
    struct slice resolvers; /* for names that requests bring, as dns_new(); empty: the system's */
    struct trust_conf trust;
    struct geo_conf geo;
    struct identity_fields identity_fields;
    struct conns_bounds conns; /* 0: not said, see guests_bounds() */
    struct error_log_conf error_log;
    struct proxy_cert *certs; /* of all sites */
    struct proxy_folder *cert_folders;
    struct access_log *logs; /* every access log of the configuration: access_logs_open() */
};

struct listen_conf *listen_find(const struct proxy_conf *p, struct slice key);

/* How the site was found, for explain. */
enum site_match { SITE_NONE, SITE_EXACT, SITE_WILDCARD, SITE_DEFAULT };

/* `host` is checked, lower case and without port. NULL: no site (421). */
struct site *site_lookup(const struct listen_conf *l, struct slice host, enum site_match *how);

/* The route for a normalised path: exact, then patterns in file order, then longest prefix, else
 * site->own. A prefix without a trailing slash matches itself and what is below it ("/a" matches
 * "/a" and "/a/b", not "/ab"). *matched_len: bytes of path that a prefix covered. */
const struct route *route_lookup(const struct site *s, struct slice path, size_t *matched_len);

/* Evaluates the route's `when` blocks once: bits for x->whens. */
uint64_t whens_eval(const struct route *r, struct exchange *x);
