/* tally.c - see tally.h. Each worker writes to a line of its own, so counting is a plain store;
 * lines of workers that there are not are never touched, and take no memory. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/tally.h"
#include "base/assert.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tally_line {
    int64_t events[TALLY_EVENT_COUNT];
} __attribute__((aligned(64)));

struct tally_shared {
    struct tally_line *lines; /* per worker */
    void *memory;             /* that they are in */
    struct slice name;
    uint32_t refs; /* under the registry's lock */
};

static struct tally_registry_shared {
    pthread_mutex_t lock;
    struct hash_map all; /* by name */
} tally_registry_shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *tally_event_name(enum tally_event e)
{
    static const char *const names[] = {
        [TALLY_PASSED] = "passed",
        [TALLY_DELAYED] = "delayed",
        [TALLY_REFUSED] = "refused",
        [TALLY_WOULD_DELAY] = "would_delay",
        [TALLY_WOULD_REFUSE] = "would_refuse",
    };
    _Static_assert(COUNT_OF(names) == TALLY_EVENT_COUNT, "one name per event");
    return names[e];
}

/* Zeroed by the system, not by touching it. */
static struct tally_shared *tally_new(struct slice name)
{
    struct tally_shared *t = MEM_NEW(struct tally_shared);
    size_t line = sizeof(struct tally_line);
    t->memory = mem_must(calloc(TALLY_WORKERS_MAX + 1, line), line);
    t->lines = (struct tally_line *)(((uintptr_t)t->memory + line - 1) / line * line);
    t->name = (struct slice){mem_dup(name.at, name.len), name.len};
    return t;
}

static void tally_free(struct tally_shared *t)
{
    free(t->memory);
    free((char *)t->name.at);
    free(t);
}

struct tally_shared *tally_take(struct slice name)
{
    pthread_mutex_lock(&tally_registry_shared.lock);
    struct tally_shared *t = hash_map_find(&tally_registry_shared.all, name);
    if (!t) {
        t = tally_new(name);
        hash_map_put(&tally_registry_shared.all, t->name, t);
    }
    t->refs++;
    pthread_mutex_unlock(&tally_registry_shared.lock);
    return t;
}

void tally_drop(struct tally_shared *t)
{
    struct hash_map *all = &tally_registry_shared.all;
    pthread_mutex_lock(&tally_registry_shared.lock);
    bool last = --t->refs == 0;
    if (last)
        hash_map_remove(all, t->name);
    if (all->count == 0)
        hash_map_release(all);
    pthread_mutex_unlock(&tally_registry_shared.lock);
    if (last)
        tally_free(t);
}

void tally_count(struct tally_shared *t, uint32_t worker, enum tally_event e)
{
    ASSERT(worker < TALLY_WORKERS_MAX);
    counter_bump(&t->lines[worker].events[e], 1);
}

static void sum(const struct tally_shared *t, uint64_t sums[TALLY_EVENT_COUNT])
{
    memset(sums, 0, TALLY_EVENT_COUNT * sizeof *sums);
    for (int w = 0; w < TALLY_WORKERS_MAX; w++)
        for (int e = 0; e < TALLY_EVENT_COUNT; e++)
            sums[e] += (uint64_t)__atomic_load_n(&t->lines[w].events[e], __ATOMIC_RELAXED);
}

void tally_each(void (*each)(void *ctx, struct slice name, const uint64_t sums[TALLY_EVENT_COUNT]),
                void *ctx)
{
    uint32_t at = 0;
    uint64_t sums[TALLY_EVENT_COUNT];
    pthread_mutex_lock(&tally_registry_shared.lock);
    for (struct hash_slot *slot; (slot = hash_map_next(&tally_registry_shared.all, &at));) {
        struct tally_shared *t = slot->value;
        sum(t, sums);
        each(ctx, t->name, sums);
    }
    pthread_mutex_unlock(&tally_registry_shared.lock);
}
