/* names.c - see names.h. An entry is looked up (query, waiters), or remembered (until its time is
 * over), or both lists are empty and it is gone: entries die by age or when room is needed, never
 * while somebody waits. */
// SPDX-License-Identifier: Apache-2.0
#include "net/names.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names_entry {
    struct list link; /* names->entries, used longest ago first */
    struct names *names;
    struct dns_query *query; /* NULL: answered */
    struct list waiters;
    int64_t ends_ms; /* remembered until then */
    enum err err;
    bool none;
    uint32_t count;
    struct addr_packed addrs[NAMES_ADDRS_MAX];
    struct addr_packed of; /* the address whose names they are; of no family: of a host */
    char *hosts;           /* its names; NULL: none */
    struct slice host;
    char text[]; /* the host, and the dot that makes it absolute; or the address */
};

struct names {
    struct loop *loop;
    struct dns *dns;
    struct hash_map map;
    struct list entries;
    uint32_t count, asked;
    char *servers; /* as they were given; NULL: the system's */
};

static char *servers_copy(const char *servers_csv)
{
    return servers_csv ? mem_must(strdup(servers_csv), strlen(servers_csv)) : NULL;
}

static bool servers_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

struct names *names_new(struct loop *l, const char *servers_csv)
{
    struct names *n = calloc(1, sizeof *n);
    struct dns *dns = n ? dns_new(l, servers_csv) : NULL;
    if (!dns) {
        free(n);
        return NULL;
    }
    n->servers = servers_copy(servers_csv);
    n->loop = l;
    n->dns = dns;
    hash_map_init(&n->map);
    list_init(&n->entries);
    return n;
}

static void entry_free(struct names_entry *e)
{
    ASSERT(!e->query && list_empty(&e->waiters));
    hash_map_remove(&e->names->map, e->host);
    list_remove(&e->link);
    e->names->count--;
    free(e->hosts);
    free(e);
}

static void queries_end(struct names *n)
{
    LIST_EACH (it, &n->entries) {
        struct names_entry *e = LIST_ENTRY(it, struct names_entry, link);
        if (e->query)
            dns_cancel(e->query);
        e->query = NULL;
    }
    n->asked = 0;
    dns_free(n->dns);
}

void names_free(struct names *n)
{
    queries_end(n);
    LIST_EACH_SAFE (it, &n->entries)
        entry_free(LIST_ENTRY(it, struct names_entry, link));
    hash_map_release(&n->map);
    free(n->servers);
    free(n);
}

/* ---- answers ---- */

static void answer_give(struct names_ask *ask, const struct names_entry *e)
{
    ask->entry = NULL;
    ask->err = e->err;
    ask->none = e->none;
    ask->count = e->count;
    snprintf(ask->hosts, sizeof ask->hosts, "%s", e->hosts ? e->hosts : "");
    for (uint32_t i = 0; i < e->count; i++)
        addr_unpack(&ask->addrs[i], &e->addrs[i]);
}

static int64_t kept_ms(int64_t ttl_ms)
{
    return ttl_ms < NAMES_KEPT_MS ? ttl_ms : NAMES_KEPT_MS;
}

/* Strangers wrote it: only what a name of a host has in it. */
static bool host_write(char *to, const char *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' &&
            c != '_')
            return false;
        to[i] = (char)(upper ? c - 'A' + 'a' : c);
    }
    return len > 0;
}

static size_t host_len(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

static void hosts_keep(struct names_entry *e, const struct dns_answer *a)
{
    size_t at = 0;
    free(e->hosts);
    e->hosts = a->names ? calloc(1, NAMES_HOSTS_BYTES) : NULL;
    for (size_t i = 0; e->hosts && i < a->count; i++) {
        size_t len = host_len(a->names[i]), blank = at > 0;
        if (at + blank + len >= NAMES_HOSTS_BYTES ||
            !host_write(e->hosts + at + blank, a->names[i], len))
            continue;
        if (blank)
            e->hosts[at] = ' ';
        at += blank + len;
    }
    if (e->hosts)
        e->hosts[at] = '\0';
}

static void addrs_keep(struct names_entry *e, const struct dns_answer *a)
{
    e->count = !a->addrs ? 0 : a->count < NAMES_ADDRS_MAX ? (uint32_t)a->count : NAMES_ADDRS_MAX;
    for (uint32_t i = 0; i < e->count; i++)
        addr_pack(&e->addrs[i], &a->addrs[i]);
}

static void on_answer(void *ctx, const struct dns_answer *a)
{
    struct names_entry *e = ctx;
    struct list *l;
    e->query = NULL;
    e->names->asked--;
    e->err = a->err;
    e->none = a->none;
    addrs_keep(e, a);
    hosts_keep(e, a);
    e->ends_ms = e->names->loop->now_ms + kept_ms(a->ttl_ms);
    while ((l = list_pop(&e->waiters))) {
        struct names_ask *ask = LIST_ENTRY(l, struct names_ask, link);
        answer_give(ask, e);
        task_wake(&e->names->loop->tasks, ask->waiter);
    }
}

static void entry_ask_back(struct names_entry *e)
{
    struct addr a;
    addr_unpack(&a, &e->of);
    e->names->asked++;
    e->query = dns_reverse(e->names->dns, &a, on_answer, e);
}

static void entry_ask(struct names_entry *e)
{
    if (e->of.family != AF_UNSPEC) {
        entry_ask_back(e);
        return;
    }
    bool several = slice_find(e->host, '.') < e->host.len;
    e->names->asked++;
    e->query =
        dns_resolve(e->names->dns, (struct slice){e->text, e->host.len + several}, on_answer, e);
}

bool names_use(struct names *n, const char *servers_csv)
{
    if (servers_same(n->servers, servers_csv))
        return true;
    struct dns *dns = dns_new(n->loop, servers_csv);
    if (!dns)
        return false;
    queries_end(n);
    n->dns = dns;
    free(n->servers);
    n->servers = servers_copy(servers_csv);
    LIST_EACH_SAFE (it, &n->entries) {
        struct names_entry *e = LIST_ENTRY(it, struct names_entry, link);
        if (list_empty(&e->waiters))
            entry_free(e);
        else
            entry_ask(e);
    }
    return true;
}

/* ---- questions ---- */

/* False: all that are remembered are waited for. */
static bool room_make(struct names *n)
{
    if (n->count < NAMES_KEPT_MAX)
        return true;
    LIST_EACH (it, &n->entries) {
        struct names_entry *e = LIST_ENTRY(it, struct names_entry, link);
        if (e->query)
            continue;
        entry_free(e);
        return true;
    }
    return false;
}

static struct names_entry *entry_new(struct names *n, struct slice host)
{
    struct names_entry *e =
        room_make(n) && hash_map_reserve(&n->map) ? calloc(1, sizeof *e + host.len + 2) : NULL;
    if (!e)
        return NULL;
    memcpy(e->text, host.at, host.len);
    e->text[host.len] = '.';
    e->host = (struct slice){e->text, host.len};
    e->names = n;
    list_init(&e->waiters);
    list_push(&n->entries, &e->link);
    hash_map_put(&n->map, e->host, e);
    n->count++;
    return e;
}

/* Still good, or under way; else it is asked for again. */
static enum err entry_find(struct names *n, struct slice host, const struct addr_packed *of,
                           struct names_entry **out)
{
    struct names_entry *e = hash_map_find(&n->map, host);
    *out = e;
    if (e && (e->query || e->ends_ms > n->loop->now_ms))
        return ERR_OK;
    if (n->asked >= NAMES_ASKED_MAX)
        return ERR_OVER_LIMIT;
    if (!e)
        *out = e = entry_new(n, host);
    if (!e)
        return ERR_NO_MEMORY;
    e->of = *of;
    entry_ask(e);
    return ERR_OK;
}

static enum err find(struct names *n, struct slice host, const struct addr_packed *of,
                     struct names_ask *ask, struct task *waiter)
{
    struct names_entry *e;
    uint32_t asked = n->asked;
    list_init(&ask->link);
    TRY(entry_find(n, host, of, &e));
    ask->waiter = waiter;
    ask->looked_up = n->asked > asked;
    list_remove(&e->link);
    list_push(&n->entries, &e->link);
    if (!e->query) {
        answer_give(ask, e);
        return ask->err;
    }
    ask->entry = e;
    ask->err = ERR_HOLD;
    list_push(&e->waiters, &ask->link);
    return ERR_HOLD;
}

enum err names_find(struct names *n, struct slice host, struct names_ask *ask, struct task *waiter)
{
    return find(n, host, &(struct addr_packed){0}, ask, waiter);
}

/* Remembered among the hosts, with a sign in front that none has. */
enum err names_reverse(struct names *n, const struct addr *a, struct names_ask *ask,
                       struct task *waiter)
{
    char text[1 + ADDR_TEXT_BYTES] = "@";
    struct addr_packed of;
    size_t len = addr_write_ip(text + 1, a);
    addr_pack(&of, a);
    if (of.family == AF_UNIX || of.family == AF_UNSPEC)
        return ERR_DNS_FAILED;
    return find(n, (struct slice){text, 1 + len}, &of, ask, waiter);
}

enum err names_poll(const struct names_ask *ask)
{
    return ask->err;
}

/* The answer is still wanted: to be remembered. */
void names_cancel(struct names_ask *ask)
{
    if (ask->entry)
        list_remove(&ask->link);
    ask->entry = NULL;
}
