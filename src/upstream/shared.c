/* shared.c - the process-wide registry: state of servers and upstreams by identity, and the
 * workers.
 *
 * A snapshot takes counts on the state of its servers and a pool on the state of its server; the
 * last drop removes it. So health, counts and idle connections survive a reload that keeps the
 * server. One lock guards the registry; it is taken when a configuration is bound, when a pool is
 * made or dies, for /status, and to reach other workers - never on the way of a plain request.
 * Ids are the smallest free numbers, so tables indexed by them stay small. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "upstream/shared_priv.h"
#include <stdio.h>
#include <stdlib.h>

/* Identities to entries, and entries by id. */
struct shared_table {
    struct hash_map map;
    void **by_id;
    uint32_t cap, free_hint; /* no id below the hint is free */
};

static struct registry_shared {
    pthread_mutex_t lock;
    struct shared_table servers, upstreams;
    struct list peers; /* struct origin_pools */
} registry_shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
                     .peers = {&registry_shared.peers, &registry_shared.peers}};

static void registry_lock(void)
{
    pthread_mutex_lock(&registry_shared.lock);
}

static void registry_unlock(void)
{
    pthread_mutex_unlock(&registry_shared.lock);
}

static uint32_t table_id_take(struct shared_table *t, void *entry)
{
    uint32_t id = t->free_hint;
    while (id < t->cap && t->by_id[id])
        id++;
    if (id == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 64;
        t->by_id = mem_grow(t->by_id, cap * sizeof *t->by_id);
        memset(t->by_id + t->cap, 0, (cap - t->cap) * sizeof *t->by_id);
        t->cap = cap;
    }
    t->by_id[id] = entry;
    t->free_hint = id + 1;
    return id;
}

/* Gives an id back. The empty registry holds no memory, so that leak checkers stay quiet. */
static void table_remove(struct shared_table *t, struct slice key, uint32_t id)
{
    hash_map_remove(&t->map, key);
    t->by_id[id] = NULL;
    if (id < t->free_hint)
        t->free_hint = id;
    if (t->map.count > 0)
        return;
    hash_map_release(&t->map);
    free(t->by_id);
    *t = (struct shared_table){0};
}

/* Counts rise without the lock (by whoever has one) but reach 0 only under it, so that what the
 * registry finds is alive. */
static bool refs_drop(uint32_t *refs)
{
    return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

/* The name of a server within the registry: both names, each with a NUL, which neither has, and the
 * way in which it is spoken to: a connection of another one is never taken for it. */
static char *identity_make(struct slice upstream_name, struct slice name, uint64_t variant)
{
    char *id = mem_new(upstream_name.len + name.len + 2 + sizeof variant);
    memcpy(id, upstream_name.at, upstream_name.len);
    memcpy(id + upstream_name.len + 1, name.at, name.len);
    memcpy(id + upstream_name.len + name.len + 2, &variant, sizeof variant);
    return id;
}

static struct server_shared *server_shared_new(char *identity, struct slice key,
                                               size_t upstream_len)
{
    struct server_shared *s = MEM_NEW(struct server_shared);
    pthread_mutex_init(&s->addrs_lock, NULL);
    s->upstream_name = identity;
    s->name = identity + upstream_len + 1;
    s->identity_len = key.len;
    s->id = table_id_take(&registry_shared.servers, s);
    hash_map_put(&registry_shared.servers.map, key, s);
    return s;
}

struct server_shared *server_shared_take(struct slice upstream_name, struct slice name,
                                         uint64_t variant)
{
    char *identity = identity_make(upstream_name, name, variant);
    struct slice key = {identity, upstream_name.len + name.len + 2 + sizeof variant};
    registry_lock();
    struct server_shared *s = hash_map_find(&registry_shared.servers.map, key);
    if (s)
        free(identity);
    else
        s = server_shared_new(identity, key, upstream_name.len);
    server_shared_ref(s);
    registry_unlock();
    return s;
}

struct server_shared *server_shared_ref(struct server_shared *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void server_shared_drop(struct server_shared *s)
{
    registry_lock();
    bool last = refs_drop(&s->refs);
    if (last)
        table_remove(&registry_shared.servers, (struct slice){s->upstream_name, s->identity_len},
                     s->id);
    registry_unlock();
    if (!last)
        return;
    pthread_mutex_destroy(&s->addrs_lock);
    free(s->upstream_name); /* `name` lies in the same allocation */
    free(s);
}

struct upstream_shared *upstream_shared_take(struct slice name)
{
    registry_lock();
    struct upstream_shared *s = hash_map_find(&registry_shared.upstreams.map, name);
    if (!s) {
        s = MEM_NEW(struct upstream_shared);
        s->name = mem_dup(name.at, name.len);
        s->id = table_id_take(&registry_shared.upstreams, s);
        hash_map_put(&registry_shared.upstreams.map, slice_of(s->name), s);
    }
    upstream_shared_ref(s);
    registry_unlock();
    return s;
}

struct upstream_shared *upstream_shared_ref(struct upstream_shared *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void upstream_shared_drop(struct upstream_shared *s)
{
    registry_lock();
    bool last = refs_drop(&s->refs);
    if (last)
        table_remove(&registry_shared.upstreams, slice_of(s->name), s->id);
    registry_unlock();
    if (!last)
        return;
    free(s->name);
    free(s);
}

void servers_shared_each(void (*each)(const struct server_shared *s, void *ctx), void *ctx)
{
    registry_lock();
    struct shared_table *t = &registry_shared.servers;
    for (uint32_t id = 0; id < t->cap; id++)
        if (t->by_id[id])
            each(t->by_id[id], ctx);
    registry_unlock();
}

void server_addrs_set(struct server_shared *s, const struct addr *addrs, uint32_t count)
{
    if (count > SERVER_ADDRS_MAX)
        count = SERVER_ADDRS_MAX;
    pthread_mutex_lock(&s->addrs_lock);
    memcpy(s->addrs, addrs, count * sizeof *addrs);
    __atomic_store_n(&s->addr_count, count, __ATOMIC_RELAXED);
    s->resolve_error[0] = '\0';
    pthread_mutex_unlock(&s->addrs_lock);
}

/* Cut when long. Names in certificates and what servers say may be anything. */
static void text_keep(char *to, size_t cap, const char *why)
{
    snprintf(to, cap, "%s", why);
    for (char *c = to; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

void server_tls_error_set(struct server_shared *s, const char *why)
{
    pthread_mutex_lock(&s->addrs_lock);
    text_keep(s->tls_error, sizeof s->tls_error, why);
    pthread_mutex_unlock(&s->addrs_lock);
}

void server_tls_error_get(struct server_shared *s, char to[SERVER_TLS_ERROR_BYTES])
{
    pthread_mutex_lock(&s->addrs_lock);
    memcpy(to, s->tls_error, sizeof s->tls_error);
    pthread_mutex_unlock(&s->addrs_lock);
}

void server_check_error_set(struct server_shared *s, const char *why)
{
    pthread_mutex_lock(&s->addrs_lock);
    text_keep(s->check_error, sizeof s->check_error, why);
    pthread_mutex_unlock(&s->addrs_lock);
}

void server_check_error_get(struct server_shared *s, char to[SERVER_CHECK_ERROR_BYTES])
{
    pthread_mutex_lock(&s->addrs_lock);
    memcpy(to, s->check_error, sizeof s->check_error);
    pthread_mutex_unlock(&s->addrs_lock);
}

void server_outlier_set(struct server_shared *s, const char *why)
{
    pthread_mutex_lock(&s->addrs_lock);
    text_keep(s->outlier, sizeof s->outlier, why);
    pthread_mutex_unlock(&s->addrs_lock);
}

void server_outlier_get(struct server_shared *s, char to[SERVER_OUTLIER_BYTES])
{
    pthread_mutex_lock(&s->addrs_lock);
    memcpy(to, s->outlier, sizeof s->outlier);
    pthread_mutex_unlock(&s->addrs_lock);
}

bool server_addr_get(struct server_shared *s, uint32_t i, struct addr *out)
{
    pthread_mutex_lock(&s->addrs_lock);
    bool there = i < s->addr_count;
    if (there)
        *out = s->addrs[i];
    pthread_mutex_unlock(&s->addrs_lock);
    return there;
}

uint32_t server_addr_count(const struct server_shared *s)
{
    return __atomic_load_n(&s->addr_count, __ATOMIC_RELAXED);
}

void peers_add(struct origin_pools *p)
{
    registry_lock();
    list_push(&registry_shared.peers, &p->peer);
    registry_unlock();
}

void peers_remove(struct origin_pools *p)
{
    registry_lock();
    list_remove(&p->peer);
    registry_unlock();
}

void peers_each(struct origin_pools *self, void (*each)(struct origin_pools *peer, void *ctx),
                void *ctx)
{
    registry_lock();
    LIST_EACH (it, &registry_shared.peers)
        if (it != &self->peer)
            each(LIST_ENTRY(it, struct origin_pools, peer), ctx);
    registry_unlock();
}
