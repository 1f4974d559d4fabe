/* names.h - names that requests bring to addresses: looked up when they come, remembered for a
 * while, asked for once however many wait. For names of the configuration see upstream/resolve.c.
 *
 * Owner: a worker; no other thread touches it. Bounded: so many names are remembered (the one used
 * longest ago goes), so many are looked up at once. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include "net/dns.h"

enum {
    NAMES_KEPT_MAX = 1024,
    NAMES_ASKED_MAX = 128,   /* at once */
    NAMES_ADDRS_MAX = 16,    /* of a name that has more, the first */
    NAMES_HOSTS_BYTES = 512, /* of an address, the names that fit */
    NAMES_KEPT_MS = 60000,   /* at most, whatever the TTL; at least a second */
};

struct names;
struct names_entry;

/* One who asks. Embedded in its owner, zeroed before names_find(). */
struct names_ask {
    struct task *waiter;
    struct list link;
    struct names_entry *entry; /* waits for it; NULL: does not */
    enum err err;
    bool looked_up; /* it was not remembered */
    bool none;      /* it failed because there is no such name or address */
    uint32_t count;
    struct addr addrs[NAMES_ADDRS_MAX]; /* port 0 */
    char hosts[NAMES_HOSTS_BYTES];      /* of names_reverse(): with a blank between them */
};

/* NULL servers: the system's. NULL: there is no resolver. */
struct names *names_new(struct loop *l, const char *servers_csv);
void names_free(struct names *n); /* nobody waits any more */
/* If they are other servers than before, what is remembered is forgotten, and what is asked for is
 * asked anew. False: they are not usable; nothing has changed. */
bool names_use(struct names *n, const char *servers_csv);

/* `host` in lower case, no dot at the end. A name of several labels is taken as it is: neither
 * search domains nor /etc/hosts add anything to it. ERR_OK: the addresses are in the ask. ERR_HOLD:
 * the waiter is woken, call names_poll(). ERR_DNS_FAILED (remembered, too), ERR_OVER_LIMIT: too
 * many are looked up, ERR_NO_MEMORY. */
enum err names_find(struct names *n, struct slice host, struct names_ask *ask,
                    struct task *waiter) MUST_CHECK;
/* The names that an address says it has, in lower case, without a dot at the end: whoever holds the
 * address chooses them, so they are worth nothing until names_find() says that they have it. Errors
 * as names_find(). */
enum err names_reverse(struct names *n, const struct addr *a, struct names_ask *ask,
                       struct task *waiter) MUST_CHECK;
enum err names_poll(const struct names_ask *ask) MUST_CHECK;
void names_cancel(struct names_ask *ask); /* in any state; twice is fine */
