/* queue.c - waiting for a place at servers that are at max_conns.
 *
 * One queue per worker and upstream, by priority, and within one first come first served. When it
 * is full a newcomer takes the place of the last of the least important, if that one is less
 * important than he is. A place that becomes free is handed to the first waiter that may use the
 * server: the waiter gets the place itself, so nobody can snatch it before the waiter runs. With no
 * waiter here, workers that have some are told by mail; after QUEUE_LOCAL_IN_ROW places in a row
 * they are told even so, lest they starve. Mail may come too late or for nothing, and servers may
 * become usable without any place being given back (an ejection that ends, a reload), so a queue
 * also looks again every QUEUE_TICK_MS. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/queue_priv.h"
#include "upstream/shared_priv.h"
#include <stdlib.h>

struct upstream_queue {
    struct list leases[PRIORITY_MAX + 1]; /* by priority */
    uint32_t count;
    uint32_t local_in_row;
    struct origin_pools *all;
    struct upstream_shared *shared; /* counted */
    struct timer tick;
};

struct room_mail {
    struct mail mail;
    struct origin_pools *to;
    struct upstream_shared *up;   /* counted */
    struct server_shared *server; /* counted */
    uint32_t index;               /* where the server probably stands */
};

bool place_take(const struct server *srv)
{
    int64_t conns = shared_add(&srv->shared->conns, 1);
    if (srv->max_conns <= 0 || conns <= srv->max_conns)
        return true;
    shared_add(&srv->shared->conns, -1);
    return false;
}

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
    q->count += (uint32_t)n;
    shared_add(&q->shared->waiting, n);
    shared_add(&q->all->waiting_shared, n);
}

static void queue_unlink(struct upstream_queue *q, struct lease *l)
{
    list_remove(&l->link);
    queue_count_add(q, -1);
}

static void lease_grant(struct upstream_queue *q, struct lease *l, const struct server *srv)
{
    queue_unlink(q, l);
    timer_stop(&q->all->loop->timers, &l->queue_timer);
    l->server = srv;
    l->granted = true;
    task_wake(&q->all->loop->tasks, l->waiter);
}

/* The waiter may use any server: asks its balancer. */
static bool queue_serve_any(struct upstream_queue *q, struct lease *l)
{
    struct pick p = lease_pick(l);
    uint32_t i;
    if (pick_server(l->view->balancer_state, &p, &i) != ERR_OK)
        return false;
    const struct server *srv = &l->view->up->servers[i];
    if (!place_take(srv))
        return false;
    lease_grant(q, l, srv);
    return true;
}

/* How far a look through the queue came. */
struct scan {
    int misses, scanned;
};

/* Serves those of one priority; false when the look has come to its end. */
static bool scan_any(struct upstream_queue *q, struct list *leases, struct scan *s)
{
    LIST_EACH_SAFE (it, leases) {
        if (!queue_serve_any(q, LIST_ENTRY(it, struct lease, link)))
            s->misses++;
        if (s->misses >= 4 || ++s->scanned >= QUEUE_SCAN_MAX)
            return false;
    }
    return true;
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
    queue_remove(l);
    l->err = ERR_QUEUE_TIMEOUT;
    task_wake(&l->pools->loop->tasks, l->waiter);
}

/* Makes room for `l` in a full queue: the newest of the lowest priority below its own is refused.
 */
static bool queue_displace(struct upstream_queue *q, const struct lease *l)
{
    for (int priority = 0; priority < l->priority; priority++) {
        if (list_empty(&q->leases[priority]))
            continue;
        struct lease *last = LIST_ENTRY(q->leases[priority].prev, struct lease, link);
        queue_remove(last);
        last->err = ERR_OVER_LIMIT;
        task_wake(&q->all->loop->tasks, last->waiter);
        return true;
    }
    return false;
}

enum err queue_add(struct lease *l)
{
    ASSERT(l->priority <= PRIORITY_MAX);
    const struct upstream *up = l->view->up;
    struct loop *loop = l->pools->loop;
    if (up->queue_count <= 0)
        return ERR_OVER_LIMIT;
    struct upstream_queue *q = queue_get(l->pools, up->shared);
    if (!q)
        return ERR_NO_MEMORY;
    if (q->count >= up->queue_count && !queue_displace(q, l))
        return ERR_OVER_LIMIT;
    list_push(&q->leases[l->priority], &l->link);
    queue_count_add(q, 1);
    counter_add(loop->counters, METRIC_QUEUED, 1);
    l->queue_until_ms = loop->now_ms + up->queue_ms;
    timer_init(&l->queue_timer, lease_queue_timeout);
    timer_set(&loop->timers, &l->queue_timer, l->queue_until_ms);
    l->state = LEASE_QUEUED;
    l->granted = false;
    l->err = ERR_OK;
    return ERR_HOLD;
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
    if (!srv || !lease_may_use(l, srv) || !place_take(srv))
        return false;
    lease_grant(q, l, srv);
    return true;
}

/* Hands a place at the server to the first waiter that may use it. */
static bool queue_serve(struct upstream_queue *q, struct server_shared *s, uint32_t hint)
{
    int scanned = 0;
    for (int priority = PRIORITY_MAX; priority >= 0; priority--) {
        LIST_EACH (it, &q->leases[priority]) {
            struct lease *l = LIST_ENTRY(it, struct lease, link);
            if (lease_serve(q, l, server_of(l->view->up, s, hint)))
                return true;
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
    server_shared_drop(r->server);
    free(r);
}

static void peer_tell(struct origin_pools *peer, void *ctx)
{
    const struct lease *l = ctx;
    if (shared_get(&peer->waiting_shared) == 0)
        return;
    struct room_mail *r = malloc(sizeof *r);
    if (!r)
        return; /* it looks again by itself */
    *r = (struct room_mail){
        .mail.run = room_mail_run,
        .to = peer,
        .up = upstream_shared_ref(l->view->up->shared),
        .server = server_shared_ref(l->server->shared),
        .index = l->server->index,
    };
    mailbox_post(peer->loop->mailbox, &r->mail);
}

/* Serves a local waiter unless it is the turn of other workers; true when the place is used. */
static bool room_local(struct lease *l, struct upstream_queue *q, bool others_wait)
{
    if (!q || q->count == 0)
        return false;
    if (others_wait && q->local_in_row >= QUEUE_LOCAL_IN_ROW) {
        q->local_in_row = 0;
        return false;
    }
    q->local_in_row++;
    return queue_serve(q, l->server->shared, l->server->index);
}

void place_give(struct lease *l)
{
    shared_add(&l->server->shared->conns, -1);
    int64_t waiting = shared_get(&l->view->up->shared->waiting);
    if (l->server->max_conns <= 0 || waiting == 0)
        return;
    struct upstream_queue *q = queue_find(l->pools, l->view->up->shared);
    bool others_wait = waiting > (q ? q->count : 0);
    if (!room_local(l, q, others_wait) && others_wait)
        peers_each(l->pools, peer_tell, l);
}
