/* queue.c - waiting for a place: at servers that are at max_conns, or below the upstream's limit.
 *
 * One queue per worker and upstream, by priority, and within one first come first served. When it
 * is full a newcomer takes the place of the last of the least important, if that one is less
 * important than he is. One whose deadline comes before he could be answered does not wait.
 *
 * A queue that is not empty for long is overloaded: more comes than is served, so some will not be,
 * and first come first served would make everybody wait until nearly too late. Then the newest are
 * served first, whose clients are there most likely, and while new ones come those that waited for
 * long are refused (adaptive LIFO and CoDel as in Maurer, "Fail at Scale", ACM Queue 13(8), 2015).
 *
 * A place that becomes free is handed to the first waiter that may use the server: the waiter gets
 * the place itself, so nobody can snatch it before the waiter runs. With no waiter here, workers
 * that have some are told by mail; after QUEUE_LOCAL_IN_ROW places in a row they are told even so,
 * lest they starve. Mail may come too late or for nothing, and servers may become usable without
 * any place being given back (an ejection that ends, a reload), so a queue also looks again every
 * QUEUE_TICK_MS. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/queue_priv.h"
#include "upstream/shared_priv.h"
#include <stdlib.h>

struct upstream_queue {
    struct list leases[PRIORITY_MAX + 1]; /* by priority */
    uint32_t count;
    uint32_t local_in_row;
    int64_t standing_since_ms; /* not empty since then */
    struct origin_pools *all;
    struct upstream_shared *shared; /* counted */
    struct timer tick;
};

struct room_mail {
    struct mail mail;
    struct origin_pools *to;
    struct upstream_shared *up;   /* counted */
    struct server_shared *server; /* counted; NULL: any */
    uint32_t index;               /* where the server probably stands */
};

struct pick lease_pick(struct lease *l)
{
    struct loop *loop = l->pools->loop;
    return (struct pick){
        .up = l->view->up,
        .rand = &loop->rand,
        .now_ms = loop->now_ms,
        .key = l->key,
        .tried = l->tried,
        .pin = l->pin,
        .spill = l->view->spill,
    };
}

static struct upstream_queue *queue_find(struct origin_pools *all, const struct upstream_shared *s)
{
    return s->id < all->queue_count ? all->queues[s->id] : NULL;
}

static bool queues_reserve(struct origin_pools *all, uint32_t id)
{
    if (id < all->queue_count)
        return true;
    uint32_t count = id + 16;
    struct upstream_queue **table = realloc(all->queues, count * sizeof *table);
    if (!table)
        return false;
    memset(table + all->queue_count, 0, (count - all->queue_count) * sizeof *table);
    all->queues = table;
    all->queue_count = count;
    return true;
}

static void queue_free(struct upstream_queue *q)
{
    ASSERT(q->count == 0);
    timer_stop(&q->all->loop->timers, &q->tick);
    q->all->queues[q->shared->id] = NULL;
    upstream_shared_drop(q->shared);
    free(q);
}

void queues_release(struct origin_pools *all)
{
    for (uint32_t i = 0; i < all->queue_count; i++)
        if (all->queues[i])
            queue_free(all->queues[i]);
    free(all->queues);
    all->queues = NULL;
    all->queue_count = 0;
}

static void queue_count_add(struct upstream_queue *q, int n)
{
    if (q->count == 0)
        q->standing_since_ms = q->all->loop->now_ms;
    q->count += (uint32_t)n;
    shared_add(&q->shared->waiting, n);
    shared_add(&q->all->waiting_shared, n);
}

static void queue_unlink(struct upstream_queue *q, struct lease *l)
{
    list_remove(&l->link);
    queue_count_add(q, -1);
}

static int64_t waited_ms(const struct lease *l)
{
    const struct upstream *up = l->view->up;
    return l->pools->loop->now_ms - (l->queue_until_ms - up->queue_ms);
}

static bool is_overloaded(const struct upstream_queue *q, const struct upstream *up)
{
    return q->all->loop->now_ms - q->standing_since_ms > up->queue_ms / QUEUE_STANDING;
}

static bool is_stale(const struct lease *l)
{
    return waited_ms(l) > l->view->up->queue_ms / QUEUE_STALE;
}

static void shed_count(const struct lease *l)
{
    counter_add(l->pools->loop->counters, METRIC_QUEUE_SHED, 1);
    shared_add(&l->view->up->shared->shed_total, 1);
}

static void lease_refuse(struct lease *l, enum err e)
{
    queue_remove(l);
    shed_count(l);
    l->err = e;
    task_wake(&l->pools->loop->tasks, l->waiter);
}

/* Newest are served first: the oldest of this priority go, as long as there are fresh ones. */
static void stale_refuse(const struct list *leases)
{
    for (int n = 0; n < QUEUE_SCAN_MAX && !list_empty(leases); n++) {
        struct lease *oldest = LIST_ENTRY(leases->next, struct lease, link);
        if (!is_stale(oldest) || is_stale(LIST_ENTRY(leases->prev, struct lease, link)))
            return;
        lease_refuse(oldest, ERR_QUEUE_TIMEOUT);
    }
}

static void lease_grant(struct upstream_queue *q, struct lease *l)
{
    queue_unlink(q, l);
    timer_stop(&q->all->loop->timers, &l->queue_timer);
    l->granted = true;
    task_wake(&q->all->loop->tasks, l->waiter);
}

/* The waiter whose turn is next among those of one priority, after `it`; the list's head: none. */
static struct list *turn_next(const struct list *it, bool newest_first)
{
    return newest_first ? it->prev : it->next;
}

/* The waiter may use any server: asks its balancer. */
static bool queue_serve_any(struct upstream_queue *q, struct lease *l)
{
    struct pick p = lease_pick(l);
    uint32_t i;
    if (pick_server(l->view->balancer_state, &p, &i) != ERR_OK)
        return false;
    if (!place_claim(l, &l->view->up->servers[i], p.ignore_ejected))
        return false;
    lease_grant(q, l);
    return true;
}

/* How far a look through the queue came. */
struct scan {
    int misses, scanned;
};

static bool is_first_overloaded(const struct upstream_queue *q, const struct list *leases)
{
    return !list_empty(leases) &&
           is_overloaded(q, LIST_ENTRY(leases->next, struct lease, link)->view->up);
}

/* Serves those of one priority; false when the look has come to its end. */
static bool scan_some(struct upstream_queue *q, struct list *leases, struct scan *s)
{
    bool newest_first = is_first_overloaded(q, leases);
    struct list *it = turn_next(leases, newest_first);
    while (it != leases) {
        struct lease *l = LIST_ENTRY(it, struct lease, link);
        it = turn_next(it, newest_first);
        if (!queue_serve_any(q, l))
            s->misses++;
        if (s->misses >= 4 || ++s->scanned >= QUEUE_SCAN_MAX)
            return false;
    }
    return true;
}

static bool scan_any(struct upstream_queue *q, struct list *leases, struct scan *s)
{
    uint32_t before = q->count;
    bool on = scan_some(q, leases, s);
    if (q->count < before && is_first_overloaded(q, leases))
        stale_refuse(leases);
    return on;
}

static void queue_tick(struct timer *t)
{
    struct upstream_queue *q = CONTAINER_OF(t, struct upstream_queue, tick);
    if (q->count == 0) {
        queue_free(q);
        return;
    }
    struct scan s = {0};
    for (int priority = PRIORITY_MAX; priority >= 0; priority--)
        if (!scan_any(q, &q->leases[priority], &s))
            break;
    timer_set(&q->all->loop->timers, &q->tick, q->all->loop->now_ms + QUEUE_TICK_MS);
}

static struct upstream_queue *queue_get(struct origin_pools *all, struct upstream_shared *s)
{
    struct upstream_queue *q = queue_find(all, s);
    if (q)
        return q;
    q = queues_reserve(all, s->id) ? calloc(1, sizeof *q) : NULL;
    if (!q)
        return NULL;
    for (int priority = 0; priority <= PRIORITY_MAX; priority++)
        list_init(&q->leases[priority]);
    q->all = all;
    q->shared = upstream_shared_ref(s);
    timer_init(&q->tick, queue_tick);
    timer_set(&all->loop->timers, &q->tick, all->loop->now_ms + QUEUE_TICK_MS);
    all->queues[s->id] = q;
    return q;
}

static void lease_queue_timeout(struct timer *t)
{
    struct lease *l = CONTAINER_OF(t, struct lease, queue_timer);
    lease_refuse(l, l->pools->loop->now_ms < l->queue_until_ms ? ERR_DEADLINE : ERR_QUEUE_TIMEOUT);
}

/* The last moment at which it makes sense to send it: the answer takes some time, too. */
static int64_t send_by_ms(const struct lease *l)
{
    if (l->deadline_ms == 0)
        return INT64_MAX;
    return l->deadline_ms - shared_get(&l->view->up->shared->limit.base_us) / 1000;
}

/* Of those that wait, who goes for `l`: the newest of a lower priority; in an overloaded queue the
 * oldest of its own, too. NULL: none. */
static struct lease *queue_least(struct upstream_queue *q, const struct lease *l)
{
    for (int priority = 0; priority < l->priority; priority++)
        if (!list_empty(&q->leases[priority]))
            return LIST_ENTRY(q->leases[priority].prev, struct lease, link);
    const struct list *own = &q->leases[l->priority];
    if (list_empty(own) || !is_overloaded(q, l->view->up))
        return NULL;
    return LIST_ENTRY(own->next, struct lease, link);
}

static bool queue_displace(struct upstream_queue *q, const struct lease *l)
{
    struct lease *least = queue_least(q, l);
    if (least)
        lease_refuse(least, ERR_OVER_LIMIT);
    return least != NULL;
}

static void queue_join(struct upstream_queue *q, struct lease *l)
{
    struct loop *loop = l->pools->loop;
    list_push(&q->leases[l->priority], &l->link);
    queue_count_add(q, 1);
    counter_add(loop->counters, METRIC_QUEUED, 1);
    l->queue_until_ms = loop->now_ms + l->view->up->queue_ms;
    int64_t send_by = send_by_ms(l);
    timer_init(&l->queue_timer, lease_queue_timeout);
    timer_set(&loop->timers, &l->queue_timer,
              send_by < l->queue_until_ms ? send_by : l->queue_until_ms);
    l->state = LEASE_QUEUED;
    l->granted = false;
    l->err = ERR_OK;
}

static enum err queue_enter(struct lease *l)
{
    const struct upstream *up = l->view->up;
    if (up->queue_count <= 0)
        return ERR_OVER_LIMIT;
    if (send_by_ms(l) <= l->pools->loop->now_ms)
        return ERR_DEADLINE;
    struct upstream_queue *q = queue_get(l->pools, up->shared);
    if (!q)
        return ERR_NO_MEMORY;
    if (q->count >= up->queue_count && !queue_displace(q, l))
        return ERR_OVER_LIMIT;
    queue_join(q, l);
    return ERR_HOLD;
}

enum err queue_add(struct lease *l)
{
    ASSERT(l->priority <= PRIORITY_MAX);
    enum err e = queue_enter(l);
    if (e != ERR_HOLD)
        shed_count(l);
    return e;
}

/* As long as the one who waits longest has waited by now. */
uint32_t lease_retry_after_s(const struct lease *l)
{
    const struct upstream_queue *q = queue_find(l->pools, l->view->up->shared);
    int64_t longest = 0;
    for (int priority = 0; q && priority <= PRIORITY_MAX; priority++) {
        const struct list *first = q->leases[priority].next;
        if (first == &q->leases[priority])
            continue;
        int64_t ms = waited_ms(LIST_ENTRY(first, struct lease, link));
        longest = ms > longest ? ms : longest;
    }
    int64_t s = 1 + longest / 1000;
    return s < QUEUE_RETRY_MAX_S ? (uint32_t)s : QUEUE_RETRY_MAX_S;
}

void queue_remove(struct lease *l)
{
    if (!list_linked(&l->link))
        return;
    queue_unlink(queue_find(l->pools, l->view->up->shared), l);
    timer_stop(&l->pools->loop->timers, &l->queue_timer);
}

/* The server as the waiter's own snapshot has it; after a reload it may stand elsewhere. */
static const struct server *server_of(const struct upstream *up, const struct server_shared *s,
                                      uint32_t hint)
{
    if (hint < up->server_count && up->servers[hint].shared == s)
        return &up->servers[hint];
    for (uint32_t i = 0; i < up->server_count; i++)
        if (up->servers[i].shared == s)
            return &up->servers[i];
    return NULL;
}

static bool lease_may_use(struct lease *l, const struct server *srv)
{
    struct pick p = lease_pick(l);
    return pick_may_wait_for(&p, srv->index);
}

static bool lease_serve(struct upstream_queue *q, struct lease *l, const struct server *srv)
{
    if (!srv || !lease_may_use(l, srv) || !place_claim(l, srv, false))
        return false;
    lease_grant(q, l);
    return true;
}

/* The room is at the server; NULL: at any, as the upstream's limit allows one more. */
static bool lease_serve_at(struct upstream_queue *q, struct lease *l, struct server_shared *s,
                           uint32_t hint)
{
    return s ? lease_serve(q, l, server_of(l->view->up, s, hint)) : queue_serve_any(q, l);
}

/* Hands room to the first waiter that may use it. */
static bool queue_serve(struct upstream_queue *q, struct server_shared *s, uint32_t hint)
{
    int scanned = 0;
    for (int priority = PRIORITY_MAX; priority >= 0; priority--) {
        struct list *leases = &q->leases[priority];
        bool newest_first = is_first_overloaded(q, leases);
        for (struct list *it = turn_next(leases, newest_first); it != leases;
             it = turn_next(it, newest_first)) {
            if (lease_serve_at(q, LIST_ENTRY(it, struct lease, link), s, hint)) {
                if (newest_first)
                    stale_refuse(leases);
                return true;
            }
            if (++scanned >= QUEUE_SCAN_MAX)
                return false;
        }
    }
    return false;
}

static void room_mail_run(struct mail *m, struct loop *loop)
{
    (void)loop;
    struct room_mail *r = CONTAINER_OF(m, struct room_mail, mail);
    struct upstream_queue *q = queue_find(r->to, r->up);
    if (q)
        queue_serve(q, r->server, r->index);
    upstream_shared_drop(r->up);
    if (r->server)
        server_shared_drop(r->server);
    free(r);
}

/* Room at a server, or below its upstream's limit. */
struct room {
    struct origin_pools *all;
    struct upstream_shared *up;
    struct server_shared *server; /* NULL: any */
    uint32_t index;
};

static void peer_tell(struct origin_pools *peer, void *ctx)
{
    const struct room *room = ctx;
    if (shared_get(&peer->waiting_shared) == 0)
        return;
    struct room_mail *r = malloc(sizeof *r);
    if (!r)
        return; /* it looks again by itself */
    *r = (struct room_mail){
        .mail.run = room_mail_run,
        .to = peer,
        .up = upstream_shared_ref(room->up),
        .server = room->server ? server_shared_ref(room->server) : NULL,
        .index = room->index,
    };
    mailbox_post(peer->loop->mailbox, &r->mail);
}

/* Serves a local waiter unless it is the turn of other workers; true when the place is used. */
static bool room_local(const struct room *room, struct upstream_queue *q, bool others_wait)
{
    if (!q || q->count == 0)
        return false;
    if (others_wait && q->local_in_row >= QUEUE_LOCAL_IN_ROW) {
        q->local_in_row = 0;
        return false;
    }
    q->local_in_row++;
    return queue_serve(q, room->server, room->index);
}

static void room_tell(struct room *room)
{
    int64_t waiting = shared_get(&room->up->waiting);
    if (waiting == 0)
        return;
    struct upstream_queue *q = queue_find(room->all, room->up);
    bool others_wait = waiting > (q ? q->count : 0);
    if (!room_local(room, q, others_wait) && others_wait)
        peers_each(room->all, peer_tell, room);
}

static struct room room_below_limit(struct lease *l)
{
    return (struct room){.all = l->pools, .up = l->view->up->shared};
}

void queue_room(struct lease *l)
{
    struct room room = room_below_limit(l);
    room_tell(&room);
}

void place_give(struct lease *l)
{
    bool limited = l->limited, full = l->server->max_conns > 0;
    place_release(l);
    if ((!limited && !full) || shared_get(&l->view->up->shared->waiting) == 0)
        return;
    struct room room = room_below_limit(l);
    if (full) {
        room.server = l->server->shared;
        room.index = l->server->index;
    }
    room_tell(&room);
}
