/* resolve.c - keeps the addresses of servers that are given by name up to date.
 *
 * Main thread. One entry per server whose address is a name: it asks, stores what it gets in
 * server_shared (from where workers read it when they connect) and asks again when the TTL ends,
 * kept within 1 s and 1 h. A failure keeps the old addresses and is tried again with back-off. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "conf/snapshot.h"
#include "net/dns.h"
#include "upstream/resolve_priv.h"
#include "upstream/server_table_priv.h"
#include "upstream/shared_priv.h"
#include <stdio.h>
#include <stdlib.h>

struct resolve_entry {
    struct list link;
    struct upstream_resolver *resolver;
    struct server_shared *shared; /* counted */
    char *host;
    uint16_t port;
    bool wanted; /* by the newest snapshot */
    bool failed; /* last time */
    int64_t backoff_ms;
    struct dns_query *query; /* under way; NULL: the timer runs */
    struct timer again;
};

struct upstream_resolver {
    struct loop *loop;
    struct dns *dns;
    void (*changed)(const struct server_shared *s, enum err e);
    struct list entries;
    struct server_table table; /* of struct resolve_entry */
};

int64_t resolve_ttl_ms(int64_t ttl_ms)
{
    if (ttl_ms < RESOLVE_MIN_MS)
        return RESOLVE_MIN_MS;
    return ttl_ms < RESOLVE_MAX_MS ? ttl_ms : RESOLVE_MAX_MS;
}

int64_t resolve_backoff_ms(int64_t last_ms)
{
    if (last_ms <= 0)
        return RESOLVE_MIN_MS;
    return last_ms < RESOLVE_BACKOFF_MAX_MS / 2 ? last_ms * 2 : RESOLVE_BACKOFF_MAX_MS;
}

/* The order of the answers changes from one to the next and means nothing. */
static bool same_addrs(const struct server_shared *s, const struct addr *addrs, uint32_t count)
{
    if (s->addr_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < count && !found; k++)
            found = addr_eq(&addrs[i], &s->addrs[k]);
        if (!found)
            return false;
    }
    return true;
}

/* Only this thread writes addresses, so it may read them without the lock. */
static void entry_store(struct resolve_entry *e, const struct dns_answer *a)
{
    struct addr addrs[SERVER_ADDRS_MAX];
    uint32_t count = a->count < SERVER_ADDRS_MAX ? (uint32_t)a->count : SERVER_ADDRS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        addrs[i] = a->addrs[i];
        addr_set_port(&addrs[i], e->port);
    }
    bool news = e->failed || !same_addrs(e->shared, addrs, count);
    e->failed = false;
    e->backoff_ms = 0;
    if (!news)
        return;
    server_addrs_set(e->shared, addrs, count);
    if (e->resolver->changed)
        e->resolver->changed(e->shared, ERR_OK);
}

static void entry_fail(struct resolve_entry *e, const char *why)
{
    struct server_shared *s = e->shared;
    pthread_mutex_lock(&s->addrs_lock);
    snprintf(s->resolve_error, sizeof s->resolve_error, "%s", why ? why : "name does not resolve");
    pthread_mutex_unlock(&s->addrs_lock);
    bool news = !e->failed;
    e->failed = true;
    e->backoff_ms = resolve_backoff_ms(e->backoff_ms);
    if (news && e->resolver->changed)
        e->resolver->changed(s, ERR_DNS_FAILED);
}

static void entry_answer(void *ctx, const struct dns_answer *a)
{
    struct resolve_entry *e = ctx;
    struct loop *l = e->resolver->loop;
    e->query = NULL;
    bool good = a->err == ERR_OK && a->count > 0;
    if (good)
        entry_store(e, a);
    else
        entry_fail(e, a->text);
    timer_set(&l->timers, &e->again,
              l->now_ms + (good ? resolve_ttl_ms(a->ttl_ms) : e->backoff_ms));
}

static void entry_ask(struct resolve_entry *e)
{
    e->query = dns_resolve(e->resolver->dns, slice_of(e->host), entry_answer, e);
}

static void entry_again(struct timer *t)
{
    entry_ask(CONTAINER_OF(t, struct resolve_entry, again));
}

static void entry_add(struct upstream_resolver *r, const struct server *srv)
{
    struct resolve_entry *e = MEM_NEW(struct resolve_entry);
    e->resolver = r;
    e->shared = server_shared_ref(srv->shared);
    e->host = mem_dup(srv->spec.host.at, srv->spec.host.len);
    e->port = srv->spec.port;
    e->wanted = true;
    timer_init(&e->again, entry_again);
    server_table_set(&r->table, e->shared, e);
    list_push(&r->entries, &e->link);
    entry_ask(e);
}

static void entry_free(struct resolve_entry *e)
{
    struct upstream_resolver *r = e->resolver;
    if (e->query)
        dns_cancel(e->query);
    timer_stop(&r->loop->timers, &e->again);
    list_remove(&e->link);
    server_table_set(&r->table, e->shared, NULL);
    server_shared_drop(e->shared);
    free(e->host);
    free(e);
}

struct upstream_resolver *upstream_resolver_new(struct loop *l, struct dns *dns,
                                                void (*changed)(const struct server_shared *s,
                                                                enum err e))
{
    struct upstream_resolver *r = MEM_NEW(struct upstream_resolver);
    r->loop = l;
    r->dns = dns;
    r->changed = changed;
    list_init(&r->entries);
    return r;
}

static void resolver_want(struct upstream_resolver *r, const struct server *srv)
{
    if (!server_needs_resolver(srv))
        return;
    struct resolve_entry *e = server_table_get(&r->table, srv->shared);
    if (e)
        e->wanted = true;
    else
        entry_add(r, srv);
}

void upstream_resolver_sync(struct upstream_resolver *r, const struct conf *c)
{
    LIST_EACH (it, &r->entries)
        LIST_ENTRY(it, struct resolve_entry, link)->wanted = false;
    const struct upstreams_conf *u = c->upstreams;
    for (uint32_t i = 0; i < u->count; i++)
        for (uint32_t k = 0; k < u->list[i]->server_count; k++)
            resolver_want(r, &u->list[i]->servers[k]);
    LIST_EACH_SAFE (it, &r->entries)
        if (!LIST_ENTRY(it, struct resolve_entry, link)->wanted)
            entry_free(LIST_ENTRY(it, struct resolve_entry, link));
}

void upstream_resolver_free(struct upstream_resolver *r)
{
    LIST_EACH_SAFE (it, &r->entries)
        entry_free(LIST_ENTRY(it, struct resolve_entry, link));
    server_table_release(&r->table);
    free(r);
}
