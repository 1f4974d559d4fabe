/* guests_evict.c - whom to send away: from the address with the most connections, first who idles,
 * then who moved the least.
 *
 * A search looks at a bounded number of connections, from the front of the lists; those that it
 * passes go to the end, so that the next one sees others. A newcomer whose own address has the most
 * gets nobody's place but an idle one of its own. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/guests_priv.h"
#include "proxy/worker.h"
#include "tls/tls.h"

enum { LOOKS = 64, HOSTS_AT_ONCE = 16, BARREN_MS = 20 };

/* The order in which they go. */
enum ease { EASE_ENDING, EASE_IDLE, EASE_BUSY, EASE_NOT };

struct search {
    struct worker *w;
    enum guests_short why;
    const struct guest_host *for_whom; /* or NULL */
    int looks;                         /* that are left */
    struct guest *best;
    enum ease ease; /* of the best */
    uint64_t pace;
};

/* --- one guest -------------------------------------------------------------------------------- */

/* Bytes a second since it came, both ways. */
static uint64_t pace_of(const struct guest *g)
{
    return (g->seat.bytes_in + g->conn->bytes_out) / (uint64_t)(conn_age_ms(g->conn) / 1000 + 1);
}

static bool is_stuck(const struct guest *g)
{
    return g->conn->use_count == 0 && conn_age_ms(g->conn) >= GUEST_STUCK_MS;
}

/* Nobody gives way to a newcomer whose address has as much already. */
static bool has_more(const struct search *s, const struct guest_host *h)
{
    return !s->for_whom || conns_of(h->shared) > conns_of(s->for_whom->shared);
}

/* May a connection of this address be closed though it is at work? Memory is what answers hold, and
 * those that are on their way end by themselves: only of a crowd some have to go for it. */
static bool may_end_busy(const struct search *s, const struct guest *g)
{
    const struct guest_host *h = g->host;
    uint32_t few = s->why == SHORT_OF_BUFFERS ? GUESTS_CROWD : GUESTS_FEW;
    if (h->trusted || h == s->for_whom || !has_more(s, h))
        return false;
    return is_stuck(g) || conns_of(h->shared) > few;
}

static enum ease ease_of(const struct search *s, const struct guest *g)
{
    const struct session_link *l = g->seat.session;
    bool handshakes = g->conn->state == CONN_CONNECTING;
    bool idles = l && l->ops->idle && l->ops->idle(l);
    if (!l && !handshakes && conn_out_bytes(g->conn) == 0)
        return EASE_ENDING;
    if (!idles)
        return may_end_busy(s, g) ? EASE_BUSY : EASE_NOT;
    bool may_go = g->host == s->for_whom || has_more(s, g->host);
    return may_go && s->why != SHORT_OF_BUFFERS ? EASE_IDLE : EASE_NOT;
}

static void send_away(struct search *s, struct guest *g)
{
    struct session_link *l = g->seat.session;
    struct conn *c = g->conn;
    guests_say_evicted(s->w, g->host, s->why);
    if (s->ease == EASE_BUSY)
        counter_add(s->w->counters, METRIC_EVICTED_BUSY, 1);
    guest_leave(&s->w->guests, g);
    if (l)
        l->ops->evict(l);
    else if (!tls_accept_drop(c, ERR_EVICTED))
        conn_abort(c);
}

/* --- one address ------------------------------------------------------------------------------ */

static void consider(struct search *s, struct guest *g)
{
    enum ease e = ease_of(s, g);
    uint64_t pace = e == EASE_BUSY ? pace_of(g) : 0;
    if (e > s->ease || e == EASE_NOT || (e == s->ease && s->best && pace >= s->pace))
        return;
    s->best = g;
    s->ease = e;
    s->pace = pace;
}

/* The first that idles will do; who is at work is compared with others. */
static bool host_search(struct search *s, struct guest_host *h)
{
    struct list *first = h->guests.next, *l = first;
    do {
        struct guest *g = LIST_ENTRY(l, struct guest, link);
        if (s->looks-- <= 0)
            break;
        if (g->conn)
            consider(s, g);
        if (s->best && s->ease < EASE_BUSY)
            return true;
        list_remove(l);
        list_push(&h->guests, l);
        l = h->guests.next;
    } while (l != first);
    return s->best != NULL;
}

/* Who has the most of those in front. */
static struct guest_host *host_worst(struct list *rank)
{
    struct guest_host *worst = NULL;
    int looks = HOSTS_AT_ONCE;
    LIST_EACH (l, rank) {
        struct guest_host *h = LIST_ENTRY(l, struct guest_host, rank);
        if (!worst || h->count > worst->count)
            worst = h;
        if (--looks == 0)
            break;
    }
    return worst;
}

/* The worst, then the others in turn. */
static bool rank_search(struct search *s, struct list *rank)
{
    struct guest_host *worst = host_worst(rank), *h = worst;
    while (h && s->looks > 0) {
        if (host_search(s, h))
            return true;
        list_remove(&h->rank);
        list_push(rank, &h->rank);
        h = LIST_ENTRY(rank->next, struct guest_host, rank);
        if (h == worst)
            return false;
    }
    return false;
}

/* --- the search ------------------------------------------------------------------------------- */

static bool evict(struct search *s)
{
    struct guests *all = &s->w->guests;
    bool found = false;
    for (int r = GUEST_RANKS - 1; r >= 0 && !found; r--)
        found = !list_empty(&all->ranks[r]) && rank_search(s, &all->ranks[r]);
    if (!found)
        found = !list_empty(&all->trusted) && rank_search(s, &all->trusted);
    if (found)
        send_away(s, s->best);
    return found;
}

static enum ease evict_for(struct worker *w, enum guests_short why, struct guest_host *for_whom)
{
    struct search s = {.w = w, .why = why, .for_whom = for_whom, .looks = LOOKS, .ease = EASE_NOT};
    if (for_whom && w->loop.now_ms < for_whom->barren_ms)
        return EASE_NOT;
    if (!evict(&s) && for_whom)
        for_whom->barren_ms = w->loop.now_ms + BARREN_MS;
    return s.ease;
}

bool guests_evict(struct worker *w, enum guests_short why, struct guest_host *for_whom)
{
    return evict_for(w, why, for_whom) != EASE_NOT;
}

uint32_t guests_relieve(struct worker *w, enum guests_short why, struct guest_host *for_whom,
                        uint32_t most)
{
    uint32_t count = 0;
    enum ease e = EASE_ENDING;
    while (count < most && (e < EASE_BUSY || !for_whom)) {
        e = evict_for(w, why, for_whom);
        if (e == EASE_NOT)
            break;
        count++;
    }
    return count;
}
