/* round_robin.c - smooth weighted round robin, in O(log n).
 *
 * Earliest deadline first: a server of weight w is due every 1/w of virtual time, a heap gives the
 * one that is due next. In a run of as many picks as the weights add up to, each server comes up as
 * often as its weight says, evenly spread. Servers start at random phases, so that workers do not
 * all begin with the first one. Servers that may not be picked now are set aside and filed again
 * one turn later: they gain nothing while they are away. Deadlines wrap; only differences count. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"

enum { TURN = 1 << 24 }; /* virtual time between two turns of a server of weight 1 */

struct rr_entry {
    uint64_t due;
    uint32_t index;
};

struct rr_tier {
    struct rr_entry *heap;
    uint32_t count;
    bool started;
};

struct rr_state {
    struct rr_tier tiers[TIER_COUNT];
    struct rr_entry entries[];
};

static size_t rr_state_bytes(const struct upstream *up)
{
    return sizeof(struct rr_state) + up->server_count * sizeof(struct rr_entry);
}

static void rr_init(void *state, const struct upstream *up)
{
    struct rr_state *s = state;
    struct rr_entry *next = s->entries;
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        struct rr_tier *t = &s->tiers[tier];
        *t = (struct rr_tier){.heap = next};
        for (uint32_t i = 0; i < up->server_count; i++)
            if (up->servers[i].tier == tier && !up->servers[i].disabled)
                t->heap[t->count++] = (struct rr_entry){.index = i};
        next += t->count;
    }
}

static uint64_t turn_of(const struct upstream *up, uint32_t index)
{
    return TURN / (uint64_t)up->servers[index].weight;
}

static bool due_before(const struct rr_entry *a, const struct rr_entry *b)
{
    return (int64_t)(a->due - b->due) < 0;
}

static void sift_down(struct rr_entry *heap, uint32_t count, uint32_t at)
{
    struct rr_entry e = heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count)
            break;
        if (child + 1 < count && due_before(&heap[child + 1], &heap[child]))
            child++;
        if (!due_before(&heap[child], &e))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = e;
}

static void sift_up(struct rr_entry *heap, uint32_t at)
{
    struct rr_entry e = heap[at];
    while (at > 0 && due_before(&e, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = e;
}

static void tier_start(struct rr_tier *t, const struct pick *p)
{
    t->started = true;
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t turn = turn_of(p->up, t->heap[i].index);
        t->heap[i].due = rand_below(p->rand, (uint32_t)turn);
    }
    for (uint32_t i = t->count / 2; i-- > 0;)
        sift_down(t->heap, t->count, i);
}

/* Files those set aside (they stand behind the heap) again, a turn after `now`. */
static void file_again(struct rr_tier *t, uint32_t live, uint64_t now, const struct pick *p)
{
    for (uint32_t i = live; i < t->count; i++) {
        t->heap[i].due = now + turn_of(p->up, t->heap[i].index);
        sift_up(t->heap, i);
    }
}

static int rr_pick(void *state, const struct pick *p)
{
    struct rr_tier *t = &((struct rr_state *)state)->tiers[p->tier];
    if (!t->started)
        tier_start(t, p);
    uint32_t live = t->count;
    while (live > 0) {
        struct rr_entry *top = &t->heap[0];
        int index = (int)top->index;
        if (pick_allows(p, top->index)) {
            uint64_t now = top->due;
            top->due += turn_of(p->up, top->index);
            sift_down(t->heap, live, 0);
            file_again(t, live, now, p);
            return index;
        }
        struct rr_entry aside = *top;
        t->heap[0] = t->heap[--live];
        t->heap[live] = aside;
        if (live > 0)
            sift_down(t->heap, live, 0);
    }
    /* None: the set-aside entries stand latest first; their times were not touched. */
    for (uint32_t i = t->count / 2; i-- > 0;)
        sift_down(t->heap, t->count, i);
    return -1;
}

const struct balancer_type balancer_round_robin = {
    .name = "round_robin",
    .text = "Each server in turn, as often as its weight says (smooth weighted round robin). For "
            "servers that are alike and requests that cost about the same.",
    .state_bytes = rr_state_bytes,
    .init = rr_init,
    .pick = rr_pick,
};
