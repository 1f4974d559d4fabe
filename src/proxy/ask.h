/* ask.h - a question of weir's own to an upstream: one request, its whole answer, a deadline. For
 * what a request depends on (may it pass? who is it?), for documents that tell such things, and for
 * what is sent to a shadow.
 *
 * It takes a server of the upstream as any request does: balancing, health, idle connections and
 * TLS are the upstream's. Owner: the worker, on its thread, until done() or ask_cancel().
 * (proxy/fetch.h asks an address, on any loop, without an upstream.) */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/target.h"
#include "proxy/worker.h"

enum { ASK_BODY_MAX_BYTES = 1 << 20 };

struct ask_answer {
    enum err err; /* not ERR_OK: there is no answer */
    uint16_t status;
    const struct headers *headers;
    struct slice body;
    bool cut; /* there was more of the body than was asked for */
};

struct ask_terms {
    const struct upstream *upstream; /* of the view's configuration */
    uint64_t key;                    /* of a balancer by key; 0: none */
    struct slice method, path, host; /* copied; no host: the server's own name */
    const struct headers *headers;   /* copied; no Host, nothing of the framing; NULL: none */
    struct slice body;               /* borrowed until it is over */
    bool has_body;                   /* one of no bytes is said so */
    bool once;             /* it is sent at most once: nothing is tried again on another server */
    size_t body_max_bytes; /* of the answer, at most ASK_BODY_MAX_BYTES; 0: it is dropped */
    int64_t timeout_ms;    /* from now to the end of the answer */
    /* Once, in a turn of the ask's own; the answer is borrowed until it returns. NULL: nobody wants
     * to know. It only notes and wakes. */
    void (*done)(void *ctx, const struct ask_answer *a);
    void *ctx;
};

struct ask;
/* Holds the view until it is over. NULL: no memory, or what is asked is no valid head. */
struct ask *ask_begin(struct worker *w, struct conf_view *view, const struct ask_terms *t);
void ask_cancel(struct ask *a); /* before done(), which never comes then */

/* Ends all that are under way: the worker is released. Those that wait are told
 * (ERR_CLIENT_CLOSED).
 */
void asks_abort(struct worker *w);

/* What a directive gives as URL: the upstream for its host, and what is asked there:
 * "https://auth.example.com/verify", "10.0.0.1:9091/verify", or the name of an upstream with or
 * without a path. False after an error. */
struct ask_url {
    const struct upstream *upstream;
    struct slice host; /* for the field Host; empty: the server's own name */
    struct slice path; /* with its query; "/" when there is none */
};
bool ask_url_read(struct conf_build *b, const struct conf_word *w, struct ask_url *out);
