/* meters.c - see meters.h. The table is cut into sets of five keys, and a key has its place in one
 * set alone. A set is one line of the cache, lock included: so a check costs what one access to
 * memory costs; nothing is chained, and no list by age is kept, whose neighbours would be fetched,
 * too. There are two and a half times as many places as keys: of a full table about one key in a
 * hundred has to share. A key is known by its set and 32 bits more; two of a million keys being
 * taken for one happens once in a thousand tables.
 *
 * In every meaning of the number a smaller one is idle for longer, and 0 is as good as none; so who
 * has to go is who has the smallest. The lock spins, for it is held for some ten nanoseconds, and
 * stands in the line that is wanted anyway (docs/decisions/016). */
// SPDX-License-Identifier: Apache-2.0
#include "limit/meters.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SET_KEYS = 5,
    KEYS_PER_SET = 2, /* that there is a set for */
    SPINS = 100,
    HUGE_PAGE_BYTES = 2 << 20,
    SECOND_NS = 1000 * 1000 * 1000
};

struct set {
    uint32_t lock;
    uint32_t tags[SET_KEYS]; /* 0: free */
    int64_t values[SET_KEYS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct set) == 64, "one line of the cache");

struct meters_shared {
    struct set *sets; /* in `map`; untouched ones take no memory */
    char *map;
    uint32_t set_count;
    uint32_t refs, keys; /* under the registry's lock */
    struct slice identity;
};

static struct meters_registry_shared {
    pthread_mutex_t lock;
    struct hash_map all; /* by identity */
} meters_registry_shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- tables ----------------------------------------------------------------------------------- */

static size_t sets_bytes(const struct meters_shared *m)
{
    return m->set_count * sizeof(struct set);
}

/* Room to align to: a check touches a page of its own, mostly, and finding 4 KB ones costs more
 * than the access. */
static size_t map_bytes(const struct meters_shared *m)
{
    size_t bytes = sets_bytes(m);
    return bytes < HUGE_PAGE_BYTES ? bytes : bytes + HUGE_PAGE_BYTES;
}

static void sets_map(struct meters_shared *m)
{
    size_t bytes = map_bytes(m);
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m->map = mem_must(at == MAP_FAILED ? NULL : at, bytes);
    size_t off = (uintptr_t)m->map % HUGE_PAGE_BYTES;
    bool large = bytes > HUGE_PAGE_BYTES;
    m->sets = (struct set *)(void *)(m->map + (large && off ? HUGE_PAGE_BYTES - off : 0));
    if (large)
        (void)madvise(m->sets, sets_bytes(m), MADV_HUGEPAGE);
}

static struct meters_shared *meters_new(struct slice identity, uint32_t keys)
{
    struct meters_shared *m = MEM_NEW(struct meters_shared);
    *m = (struct meters_shared){.keys = keys, .set_count = keys / KEYS_PER_SET + 1};
    m->identity = (struct slice){mem_dup(identity.at, identity.len), identity.len};
    sets_map(m);
    return m;
}

static void meters_free(struct meters_shared *m)
{
    munmap(m->map, map_bytes(m));
    free((char *)m->identity.at);
    free(m);
}

/* The number of keys belongs to the identity: places do not move. */
static struct slice full_identity(struct slice identity, uint32_t keys, char **to)
{
    int len = asprintf(to, "%u %.*s", keys, SLICE_ARG(identity));
    mem_must(len < 0 ? NULL : *to, identity.len);
    return (struct slice){*to, (size_t)len};
}

struct meters_shared *meters_take(struct slice identity, uint32_t keys)
{
    char *text;
    ASSERT(keys > 0 && keys <= METERS_KEYS_MAX);
    struct slice full = full_identity(identity, keys, &text);
    pthread_mutex_lock(&meters_registry_shared.lock);
    struct meters_shared *m = hash_map_find(&meters_registry_shared.all, full);
    if (!m) {
        m = meters_new(full, keys);
        hash_map_put(&meters_registry_shared.all, m->identity, m);
    }
    m->refs++;
    pthread_mutex_unlock(&meters_registry_shared.lock);
    free(text);
    return m;
}

void meters_drop(struct meters_shared *m)
{
    struct hash_map *all = &meters_registry_shared.all;
    pthread_mutex_lock(&meters_registry_shared.lock);
    bool last = --m->refs == 0;
    if (last)
        hash_map_remove(all, m->identity);
    if (all->count == 0)
        hash_map_release(all);
    pthread_mutex_unlock(&meters_registry_shared.lock);
    if (last)
        meters_free(m);
}

/* --- places ----------------------------------------------------------------------------------- */

/* A key's place, held with its set's lock. */
struct place {
    struct set *set;
    unsigned at;
    bool there; /* the key is in it */
};

static struct set *set_of(struct meters_shared *m, uint64_t key)
{
    return &m->sets[(key >> 32) * m->set_count >> 32];
}

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)key ? (uint32_t)key : 1; /* 0 marks a free place */
}

static void set_lock(struct set *s)
{
    unsigned spins = 0;
    while (__atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&s->lock, __ATOMIC_RELAXED))
            if (++spins % SPINS == 0)
                sched_yield(); /* whoever holds it may not be running */
}

static void set_unlock(struct set *s)
{
    __atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
}

/* Its own place, else a free one, else that of the one that has been idle the longest. */
static unsigned place_in(const struct set *s, uint32_t tag, bool *there)
{
    unsigned best = 0;
    for (unsigned i = 0; i < SET_KEYS; i++) {
        *there = s->tags[i] == tag;
        if (*there)
            return i;
        if (s->values[i] < s->values[best])
            best = i;
    }
    return best;
}

static struct place place_lock(struct meters_shared *m, uint64_t key)
{
    struct place p = {.set = set_of(m, key)};
    set_lock(p.set);
    p.at = place_in(p.set, tag_of(key), &p.there);
    return p;
}

static int64_t place_get(const struct place *p)
{
    return p->there ? p->set->values[p->at] : 0;
}

static void place_put(const struct place *p, uint64_t key, int64_t value)
{
    p->set->tags[p->at] = tag_of(key);
    p->set->values[p->at] = value;
}

static void place_free(const struct place *p)
{
    p->set->tags[p->at] = 0;
    p->set->values[p->at] = 0;
}

static void place_unlock(const struct place *p)
{
    set_unlock(p->set);
}

void meters_prefetch(struct meters_shared *m, uint64_t key)
{
    __builtin_prefetch(set_of(m, key), 1);
}

uint64_t meters_used(struct meters_shared *m)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < m->set_count; i++) {
        set_lock(&m->sets[i]);
        for (int k = 0; k < SET_KEYS; k++)
            used += m->sets[i].tags[k] != 0;
        set_unlock(&m->sets[i]);
    }
    return used;
}

/* --- requests per time ------------------------------------------------------------------------ */

/* The number is the time at which nothing is owed any more ("theoretical arrival time"). */
struct rate_answer meters_rate(struct meters_shared *m, uint64_t key, const struct rate *r,
                               int64_t now_ns)
{
    struct place p = place_lock(m, key);
    int64_t tat = place_get(&p), owed = tat > now_ns ? tat - now_ns : 0;
    int64_t over = owed + r->step_ns - r->burst * r->step_ns; /* > 0: how much too early */
    struct rate_answer a = {.verdict = over <= 0 ? RATE_PASS : RATE_WAIT, .wait_ns = over};
    if (over > r->queue * r->step_ns) {
        a.verdict = RATE_REFUSE;
        a.wait_ns = over - r->queue * r->step_ns;
    } else {
        owed += r->step_ns;
        place_put(&p, key, now_ns + owed);
    }
    place_unlock(&p);
    a.full_ns = owed;
    a.left = owed < r->burst * r->step_ns ? (r->burst * r->step_ns - owed) / r->step_ns : 0;
    return a;
}

void meters_rate_undo(struct meters_shared *m, uint64_t key, const struct rate *r)
{
    struct place p = place_lock(m, key);
    if (p.there)
        p.set->values[p.at] -= r->step_ns;
    place_unlock(&p);
}

/* --- bytes per time --------------------------------------------------------------------------- */

static int64_t bytes_ns(const struct pace *p, int64_t bytes)
{
    return (int64_t)((__int128)bytes * SECOND_NS / p->bytes_per_s);
}

static int64_t ns_bytes(const struct pace *p, int64_t ns)
{
    return (int64_t)((__int128)ns * p->bytes_per_s / SECOND_NS);
}

int64_t meters_pace(struct meters_shared *m, uint64_t key, const struct pace *p, int64_t want,
                    int64_t now_ns, int64_t *wait_ns)
{
    struct place place = place_lock(m, key);
    int64_t tat = place_get(&place), owed = tat > now_ns ? tat - now_ns : 0;
    int64_t room = p->burst_bytes - ns_bytes(p, owed);
    int64_t granted = room < 0 ? 0 : room < want ? room : want;
    if (granted > 0)
        place_put(&place, key, now_ns + owed + bytes_ns(p, granted));
    place_unlock(&place);
    /* Half of what may go at once is worth a wake, not each byte. */
    int64_t enough = want < (p->burst_bytes + 1) / 2 ? want : (p->burst_bytes + 1) / 2;
    *wait_ns = owed + bytes_ns(p, enough) - bytes_ns(p, p->burst_bytes);
    if (*wait_ns <= 0)
        *wait_ns = 1;
    return granted;
}

/* --- how many at once ------------------------------------------------------------------------- */

enum enter_verdict meters_enter(struct meters_shared *m, uint64_t key, int64_t most)
{
    struct place p = place_lock(m, key);
    enum enter_verdict v = ENTER_IN;
    int64_t in = place_get(&p);
    if (in >= most)
        v = ENTER_FULL;
    else if (!p.there && p.set->values[p.at] > 0)
        v = ENTER_BLIND; /* whoever is in must find its count again */
    else
        place_put(&p, key, in + 1);
    place_unlock(&p);
    return v;
}

void meters_leave(struct meters_shared *m, uint64_t key)
{
    struct place p = place_lock(m, key);
    ASSERT(p.there && p.set->values[p.at] > 0);
    if (--p.set->values[p.at] == 0)
        place_free(&p);
    place_unlock(&p);
}

/* --- how often within a time ------------------------------------------------------------------ */

/* The number: which window, from bit 32 on; how many events in it, and how many in the one before,
 * 16 bits each. */
enum { HITS_MAX = 0x7fff };

static int64_t hits_min(int64_t n)
{
    return n < HITS_MAX ? n : HITS_MAX;
}

int64_t meters_hit(struct meters_shared *m, uint64_t key, int64_t window_ms, int64_t now_ms)
{
    struct place p = place_lock(m, key);
    int64_t v = place_get(&p), window = now_ms / window_ms & INT32_MAX, was = v >> 32;
    int64_t now = v & 0xffff, before = v >> 16 & 0xffff;
    if (was != window) {
        before = was + 1 == window ? now : 0;
        now = 0;
    }
    now = hits_min(now + 1);
    place_put(&p, key, window << 32 | before << 16 | now);
    place_unlock(&p);
    return now + before * (window_ms - now_ms % window_ms) / window_ms;
}

void meters_clear(struct meters_shared *m, uint64_t key)
{
    struct place p = place_lock(m, key);
    if (p.there)
        place_free(&p);
    place_unlock(&p);
}
