/* hash.c - XXH3 and SipHash-1-3 behind one face, and the map on top of the fast one.
 *
 * The map probes linearly (a slot is 32 bytes, two to a cache line), is at most 3/4 full, and
 * removes by shifting back what follows, so there are no tombstones and a miss stays short. */
// SPDX-License-Identifier: Apache-2.0
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 16 };

/* Written once, before the first reader gets past the pthread_once(). */
static struct secret_shared {
    uint8_t key[16];
    bool given; /* by hash_secret_init() */
} secret;
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

uint64_t hash_fast(struct slice s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.at, s.len, seed);
}

static void secret_draw(void)
{
    if (!secret.given)
        rand_secret(secret.key, sizeof(secret.key));
}

void hash_secret_init(const uint8_t key[16])
{
    memcpy(secret.key, key, sizeof(secret.key));
    secret.given = true;
}

uint64_t hash_secret(struct slice s)
{
    pthread_once(&secret_once, secret_draw);
    return hash_siphash13(secret.key, s);
}

static uint64_t load_le64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return le64toh(v);
}

static uint64_t rotate_left(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

/* Inlined, or the state goes through memory: a third of its cost. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

/* The last 0..7 bytes, with the length's low byte on top. */
static uint64_t sip_tail(struct slice rest, size_t len)
{
    uint64_t word = (uint64_t)len << 56;
    for (size_t i = 0; i < rest.len; i++)
        word |= (uint64_t)(unsigned char)rest.at[i] << 8 * i;
    return word;
}

uint64_t hash_siphash13(const uint8_t key[16], struct slice s)
{
    uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t whole = s.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8)
        sip_word(v, load_le64(s.at + i));
    sip_word(v, sip_tail(slice_from(s, whole), s.len));
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_map_init(struct hash_map *m)
{
    *m = (struct hash_map){0};
}

void hash_map_release(struct hash_map *m)
{
    free(m->slots);
    hash_map_init(m);
}

/* The slot that holds `key`, or the free one where it would go. */
static struct hash_slot *probe(const struct hash_map *m, struct slice key, uint32_t hash)
{
    uint32_t at = hash & m->mask;
    for (;; at = (at + 1) & m->mask) {
        struct hash_slot *s = &m->slots[at];
        if (!s->value || (s->hash == hash && slice_eq(s->key, key)))
            return s;
    }
}

void *hash_map_find(const struct hash_map *m, struct slice key)
{
    if (m->count == 0)
        return NULL;
    return probe(m, key, (uint32_t)hash_fast(key, 0))->value;
}

static bool is_full(const struct hash_map *m)
{
    return !m->slots || m->count >= (m->mask + 1ull) / 4 * 3;
}

bool hash_map_reserve(struct hash_map *m)
{
    struct hash_map old = *m;
    if (!is_full(m))
        return true;
    size_t slots = old.slots ? 2 * ((size_t)old.mask + 1) : FIRST_SLOTS;
    ASSERT(slots <= (size_t)UINT32_MAX + 1);
    struct hash_slot *room = calloc(slots, sizeof(*room));
    if (!room)
        return false;
    m->slots = room;
    m->mask = (uint32_t)(slots - 1);
    uint32_t at = 0;
    for (struct hash_slot *s; (s = hash_map_next(&old, &at));)
        *probe(m, s->key, s->hash) = *s;
    free(old.slots);
    return true;
}

void *hash_map_put(struct hash_map *m, struct slice key, void *value)
{
    ASSERT(value);
    if (!hash_map_reserve(m))
        mem_must(NULL, sizeof(struct hash_slot) * (m->mask + 1ull));
    uint32_t hash = (uint32_t)hash_fast(key, 0);
    struct hash_slot *s = probe(m, key, hash);
    void *old = s->value;
    *s = (struct hash_slot){key, value, hash};
    if (!old)
        m->count++;
    return old;
}

/* Moves back every follower that the hole would hide from its home slot. */
static void close_hole(struct hash_map *m, uint32_t hole)
{
    uint32_t at = (hole + 1) & m->mask;
    for (; m->slots[at].value; at = (at + 1) & m->mask) {
        uint32_t distance = (at - m->slots[at].hash) & m->mask;
        if (distance < ((at - hole) & m->mask))
            continue;
        m->slots[hole] = m->slots[at];
        hole = at;
    }
    m->slots[hole] = (struct hash_slot){0};
}

void *hash_map_remove(struct hash_map *m, struct slice key)
{
    if (m->count == 0)
        return NULL;
    struct hash_slot *s = probe(m, key, (uint32_t)hash_fast(key, 0));
    void *old = s->value;
    if (!old)
        return NULL;
    close_hole(m, (uint32_t)(s - m->slots));
    m->count--;
    return old;
}

struct hash_slot *hash_map_next(const struct hash_map *m, uint32_t *at)
{
    while (m->slots && *at <= m->mask) {
        struct hash_slot *s = &m->slots[(*at)++];
        if (s->value)
            return s;
    }
    return NULL;
}
