/* dns.h - names to addresses, and back, in the background (c-ares on a loop's sockets and timers).
 *
 * The main thread has one for the names of the configuration; a worker that relays makes one of its
 * own (names.h). A resolver belongs to the thread of its loop. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/loop.h"
#include "net/addr.h"

struct dns;
struct dns_query;

struct dns_answer {
    enum err err;             /* ERR_OK or ERR_DNS_FAILED */
    const char *text;         /* why it failed */
    bool none;                /* it failed because there is no such name or record */
    const struct addr *addrs; /* port 0; borrowed until the callback returns, as are the names */
    size_t count;             /* of either */
    const char *const *names; /* of dns_reverse() */
    int64_t ttl_ms; /* smallest TTL, 1 s to 1 day; a default for /etc/hosts, names, failures */
};

/* NULL servers: the system's. NULL: bad servers, or c-ares could not start. */
struct dns *dns_new(struct loop *l, const char *servers_csv);
void dns_free(struct dns *d); /* outstanding queries end without a callback */
/* A and AAAA. `done` comes from a tick, exactly once, unless dns_cancel() was called; the query is
 * gone after either. */
struct dns_query *dns_resolve(struct dns *d, struct slice name,
                              void (*done)(void *ctx, const struct dns_answer *a), void *ctx);
/* The names that an address says it has (PTR): whoever holds the address chooses them. Otherwise as
 * dns_resolve(); answers have no TTL of their own. */
struct dns_query *dns_reverse(struct dns *d, const struct addr *a,
                              void (*done)(void *ctx, const struct dns_answer *a), void *ctx);
void dns_cancel(struct dns_query *q);
