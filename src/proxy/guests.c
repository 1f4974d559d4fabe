/* guests.c - see guests.h: who is let in, and the books about who is here. Whom to send away is in
 * guests_evict.c.
 *
 * A host stands in a list of those that have about as many connections: its rank is the power of
 * two that they reach. So counting one more is a few instructions, whatever the number of
 * addresses, and the worst are found from the top. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/guests.h"
#include "base/assert.h"
#include "conf/directive.h"
#include "proxy/guests_priv.h"
#include "proxy/route.h"
#include "proxy/worker.h"
#include <stdlib.h>

enum { SUM_RESERVE_SHARE = 8, ADDRESS_SHARE = 10 };

/* --- bounds ----------------------------------------------------------------------------------- */

/* An eighth of the descriptors is for servers, files, logs and administrators. */
static int64_t sum_default(struct worker *w)
{
    int64_t fds = shed_fds_max(w);
    return fds - fds / SUM_RESERVE_SHARE;
}

struct conns_bounds guests_bounds(struct worker *w)
{
    struct conns_bounds b = w->view->conf->proxy->conns;
    int64_t sum = b.max ? b.max : sum_default(w);
    if (!b.per_address) {
        int64_t share = sum >= 0 ? sum / ADDRESS_SHARE : CONF_OFF;
        b.per_address = share > CONNS_ADDRESS_MIN ? share : CONNS_ADDRESS_MIN;
    }
    b.max = sum;
    return b;
}

/* --- hosts ------------------------------------------------------------------------------------ */

static struct slice key_of(const uint64_t *key)
{
    return (struct slice){(const char *)key, sizeof *key};
}

static struct guest_host *host_new(struct guests *all, const struct conns_who *who)
{
    struct guest_host *h = hash_map_reserve(&all->hosts) ? calloc(1, sizeof *h) : NULL;
    if (!h || !(h->shared = conns_take(who))) {
        free(h);
        return NULL;
    }
    h->key = who->key;
    h->trusted = who->exempt;
    list_init(&h->guests);
    list_init(&h->rank);
    hash_map_put(&all->hosts, key_of(&h->key), h);
    return h;
}

static void host_free(struct guests *all, struct guest_host *h)
{
    hash_map_remove(&all->hosts, key_of(&h->key));
    list_remove(&h->rank);
    conns_drop(h->shared);
    free(h);
}

/* Under the power of two that its connections reach. */
static void host_rank(struct guests *all, struct guest_host *h)
{
    int rank = h->count > 0 ? 31 - __builtin_clz(h->count) : 0;
    int at = rank < GUEST_RANKS ? rank : GUEST_RANKS - 1;
    struct list *to = h->trusted ? &all->trusted : &all->ranks[at];
    if (h->ranked == to && h->count > 0)
        return;
    list_remove(&h->rank);
    h->ranked = h->count > 0 ? to : NULL;
    if (h->ranked)
        list_push(to, &h->rank);
}

static bool is_trusted(const struct worker *w, const struct addr *a)
{
    const struct trust_conf *t = &w->view->conf->proxy->trust;
    for (uint32_t i = 0; i < t->count; i++)
        if (addr_prefix_match(&t->prefixes[i], a))
            return true;
    return false;
}

static struct guest_host *host_of(struct worker *w, const struct addr *peer)
{
    struct conns_who who = is_trusted(w, peer) ? conns_trusted(peer) : conns_who_of(peer);
    struct guest_host *h = hash_map_find(&w->guests.hosts, key_of(&who.key));
    return h ? h : host_new(&w->guests, &who);
}

/* --- guests ----------------------------------------------------------------------------------- */

/* It counts no longer, though its connection may still have to end. */
void guest_leave(struct guests *all, struct guest *g)
{
    struct guest_host *h = g->host;
    g->host = NULL;
    list_remove(&g->link);
    conns_leave(h->shared);
    h->count--;
    host_rank(all, h);
    if (h->count == 0 && !h->held)
        host_free(all, h);
}

static void on_freed(struct conn_guest *seat)
{
    struct guest *g = CONTAINER_OF(seat, struct guest, seat);
    if (g->host)
        guest_leave(&CONTAINER_OF(g->conn->loop, struct worker, loop)->guests, g);
    free(g);
}

static struct guest *guest_new(struct guests *all, struct guest_host *h)
{
    struct guest *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->seat.freed = on_freed;
    g->host = h;
    h->count++;
    list_push(&h->guests, &g->link);
    host_rank(all, h);
    return g;
}

/* --- coming and going ------------------------------------------------------------------------- */

/* Someone else gives way when there is no place; then it is not refused. */
static bool host_enter(struct worker *w, struct guest_host *h)
{
    struct conns_bounds b = guests_bounds(w);
    enum conns_verdict v = conns_enter(h->shared, &b);
    if (v == CONNS_FULL && guests_evict(w, SHORT_OF_PLACES, h))
        v = conns_enter(h->shared, &b);
    if (v == CONNS_OVERRUN)
        guests_say_overrun(w, h, b.per_address);
    else if (v == CONNS_FULL)
        guests_say_full(w, h, b.max);
    return v == CONNS_IN;
}

static struct guest *admit(struct worker *w, struct guest_host *h)
{
    if (!host_enter(w, h))
        return NULL;
    struct guest *g = guest_new(&w->guests, h);
    if (!g)
        conns_leave(h->shared);
    return g;
}

struct guest *guests_admit(struct worker *w, const struct addr *peer, int fd)
{
    struct guest_host *h = host_of(w, peer);
    if (!h)
        return NULL;
    h->held = true; /* whoever gives way may be its last */
    struct guest *g = shed_accepts(w, fd, h) ? admit(w, h) : NULL;
    h->held = false;
    if (h->count == 0)
        host_free(&w->guests, h);
    return g;
}

void guests_seat(struct worker *w, struct guest *g, struct conn *c)
{
    g->conn = c;
    if (c) {
        c->guest = &g->seat;
        return;
    }
    guest_leave(&w->guests, g);
    free(g);
}

/* --- birth and death -------------------------------------------------------------------------- */

void guests_init(struct worker *w)
{
    for (int i = 0; i < GUEST_RANKS; i++)
        list_init(&w->guests.ranks[i]);
    list_init(&w->guests.trusted);
    hash_map_init(&w->guests.hosts);
}

void guests_release(struct worker *w)
{
    ASSERT(w->guests.hosts.count == 0);
    hash_map_release(&w->guests.hosts);
}
