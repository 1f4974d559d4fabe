/* fetch.h - a small HTTP client inside the process: one request, its whole answer up to a limit,
 * a deadline. For checks and whatever else weir asks by itself; clients' requests never pass here.
 *
 * It drives the same engines as an exchange does (http/stream.h), over a connection of its own.
 * Main thread or any other loop; owner of a fetch: itself, until done() or fetch_cancel(). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/stream.h"
#include "net/mux.h"
#include "tls/dial.h"

enum { FETCH_ADDRS_MAX = 16, FETCH_BODY_MAX_BYTES = 1 << 20 };

/* What fetches share; borrowed by them. Handed down by main's wiring. */
struct fetch_client {
    struct loop *loop;
    struct tls_worker *tls; /* NULL: nothing can be fetched by TLS */
    const struct origin_engine *h1, *h2;
    const struct mux_engine *mux; /* the sessions of h2 */
};

enum fetch_proto { FETCH_H1, FETCH_H2, FETCH_ALPN /* as the TLS handshake agrees */ };

struct fetch_header {
    struct slice name, value;
};

struct fetch_answer {
    enum err err;    /* not ERR_OK: there is no answer */
    const char *why; /* err in words; "" with ERR_OK */
    uint16_t status;
    const struct headers *headers, *trailers; /* trailers NULL: none */
    struct slice body;
    bool cut; /* there was more of the body than was asked for */
};

/* Slices are borrowed until the fetch is over; addresses are copied. */
struct fetch_ask {
    const struct addr *addrs;
    uint32_t addr_count;
    const struct tls_origin *tls; /* NULL: plain */
    struct slice tls_host;        /* to be verified, unless tls->name is set */
    enum fetch_proto proto;
    struct slice method, target, host;
    const struct fetch_header *headers;
    uint32_t header_count;
    struct slice body;     /* empty: none */
    size_t body_max_bytes; /* of the answer; at most FETCH_BODY_MAX_BYTES */
    int64_t timeout_ms;    /* from now to the end of the answer */
    /* Once, from the loop; the answer is borrowed until it returns. */
    void (*done)(void *ctx, const struct fetch_answer *a);
    void *ctx;
};

struct fetch;
struct fetch *fetch_start(struct fetch_client *c, const struct fetch_ask *ask);
void fetch_cancel(struct fetch *f); /* before done(), which never comes then */
