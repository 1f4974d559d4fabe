/* sticky.h - sessions that stay on one server: by a cookie of weir's own, by a cookie or header of
 * the application that is learned from its answers, or by the client's address.
 *
 * Balancers do not know of it: the server becomes the pin of the lease, which is taken when it can
 * be used, also while it drains. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/choice.h"

struct exchange;
struct sticky_shared;
struct text;
struct upstream;

enum sticky_kind { STICKY_COOKIE, STICKY_LEARN_COOKIE, STICKY_LEARN_HEADER, STICKY_IP };

/* A server as tables name it: indexes change with the configuration. */
struct sticky_server {
    uint64_t id;
    uint32_t index;
};

/* Owner: the snapshot, with its upstream. */
struct sticky_conf {
    uint8_t kind; /* enum sticky_kind */
    bool strict;  /* no other server takes over while the session's is there */
    struct conf_pos pos;
    struct choice_cookie cookie; /* STICKY_COOKIE */
    /* the other kinds */
    struct slice name; /* of the application's cookie or header */
    int64_t ttl_ms, size;
    struct sticky_shared *table;         /* counted */
    const struct sticky_server *servers; /* by id */
    uint32_t server_count;
};

/* What an exchange knows of its session; zeroed but for `index`. */
struct sticky_use {
    int32_t index; /* the session's server; CHOICE_NONE */
    bool stale;    /* its cookie should be given anew */
    uint64_t key;  /* of the session in the table; 0: none */
};

extern const struct directive sticky_options[];
conf_apply_fn sticky_apply; /* the scope is a struct upstream */
void sticky_describe(const struct sticky_conf *s, struct text *out); /* for explain */

/* Of an upstream that is sticky: pins the lease to the session's server, and takes the cookie out
 * of the request. */
enum err sticky_begin(struct exchange *x, const struct upstream *up) MUST_CHECK;
/* A server was chosen, but the session has another, and its upstream is strict. */
bool sticky_refuses(const struct exchange *x);
/* Of an upstream that is sticky: the answer's head is there. Tells the client, or remembers, which
 * server it was. */
enum err sticky_answered(struct exchange *x) MUST_CHECK;
