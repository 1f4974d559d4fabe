/* log_ring.c - a byte ring from one thread to the log's writer.
 *
 * Positions count bytes since the start and never wrap. A line is one contiguous run: when it
 * does not fit before the ring's end, a skip mark fills the rest and it starts at the front. A
 * line may take half of the ring, so an empty ring takes any that is allowed at all. `head` is
 * stored with sequential consistency because log.c then looks whether the writer sleeps. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log_priv.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(struct log_head) == 8, "lines are aligned to 8");

static uint64_t place(size_t len) /* bytes that a line takes */
{
    return sizeof(struct log_head) + ((len + 7) & ~(uint64_t)7);
}

static struct log_head *head_at(const struct log_ring_shared *r, uint64_t position)
{
    return (struct log_head *)(r->bytes + (position & (r->size - 1)));
}

static uint64_t to_end(const struct log_ring_shared *r, uint64_t position)
{
    return r->size - (position & (r->size - 1));
}

struct log_ring_shared *log_ring_new(const char *name, size_t bytes)
{
    struct log_ring_shared *r = MEM_NEW(struct log_ring_shared);
    r->size = LOG_RING_MIN_BYTES;
    while (r->size < bytes)
        r->size *= 2;
    r->bytes = mem_new(r->size);
    snprintf(r->name, sizeof(r->name), "%s", name);
    return r;
}

void log_ring_free(struct log_ring_shared *r)
{
    free(r->bytes);
    free(r);
}

static uint64_t free_bytes(const struct log_ring_shared *r)
{
    return r->size - (r->head - r->tail_seen);
}

char *log_ring_reserve(struct log_ring_shared *r, size_t cap)
{
    uint64_t need = cap < r->size ? place(cap + 1) : r->size;
    uint64_t rest = to_end(r, r->head);
    uint64_t skipped = need > rest ? rest : 0;
    if (need + skipped > free_bytes(r))
        r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    if (need > r->size / 2 || need + skipped > free_bytes(r)) {
        __atomic_store_n(&r->dropped, r->dropped + 1, __ATOMIC_RELAXED);
        log_dropped_add(1);
        return NULL;
    }
    if (skipped)
        head_at(r, r->head)->sink = LOG_SKIP;
    r->start = r->head + skipped;
    return (char *)(head_at(r, r->start) + 1);
}

void log_ring_publish(struct log_ring_shared *r, int sink, enum log_level level, size_t len)
{
    struct log_head *h = head_at(r, r->start);
    *h = (struct log_head){(uint32_t)len + 1, (int16_t)sink, (uint8_t)level};
    ((char *)(h + 1))[len] = '\n';
    __atomic_store_n(&r->head, r->start + place(len + 1), __ATOMIC_SEQ_CST);
}

bool log_ring_half_full(struct log_ring_shared *r)
{
    if (free_bytes(r) > r->size / 2)
        return false;
    r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    return free_bytes(r) <= r->size / 2;
}

bool log_ring_empty(const struct log_ring_shared *r)
{
    return __atomic_load_n(&r->head, __ATOMIC_SEQ_CST) ==
           __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
}

bool log_ring_peek(struct log_ring_shared *r, struct log_head *head, struct slice *line)
{
    uint64_t end = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
    uint64_t tail = r->tail;
    if (tail == end)
        return false;
    if (head_at(r, tail)->sink == LOG_SKIP) { /* never the last thing: a line follows it */
        tail += to_end(r, tail);
        __atomic_store_n(&r->tail, tail, __ATOMIC_RELEASE);
    }
    const struct log_head *h = head_at(r, tail);
    *head = *h;
    *line = (struct slice){(const char *)(h + 1), h->len};
    return true;
}

void log_ring_consume(struct log_ring_shared *r, const struct log_head *head)
{
    __atomic_store_n(&r->tail, r->tail + place(head->len), __ATOMIC_RELEASE);
}
