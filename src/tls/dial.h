/* dial.h - opens one connection for the control plane (checks, fetches): one address after the
 * other, then TLS when it is wanted. Exchanges use leases instead (upstream/lease.h).
 *
 * Owner: whoever embeds it. The waiter is woken when there is news; dial_poll() goes on. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/tls.h"

enum { DIAL_WHY_BYTES = 160 };

struct dial {
    struct loop *loop;
    struct task *waiter;
    struct tls_worker *worker;       /* with `origin` */
    const struct tls_origin *origin; /* NULL: plain */
    struct slice host;               /* to be verified, unless the origin has a name of its own */
    const struct addr *addrs;        /* borrowed, like the slices, until it is over */
    uint32_t count;
    int64_t ends_ms; /* when the waiter gives up: each address gets its part of what is left, so
                        that one that says nothing does not hide the others */
    /* the rest is its own */
    uint32_t at;
    struct timer part;
    struct conn *conn;
    enum err err;             /* of the address being tried; ERR_HOLD: not yet */
    char why[DIAL_WHY_BYTES]; /* what TLS says; "": nothing */
};

/* The fields above the line are set. Nothing is told from inside. */
void dial_begin(struct dial *d);
/* ERR_HOLD: wait. ERR_OK: d->conn is open and the caller's (conn_set_user() at once). Otherwise
 * what became of the last address. */
enum err dial_poll(struct dial *d) MUST_CHECK;
/* The error for a waiter that gives up while it is told to wait. */
enum err dial_late(const struct dial *d) MUST_CHECK;
void dial_cancel(struct dial *d); /* in any state but after ERR_OK; twice is fine */
