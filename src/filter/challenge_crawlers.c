/* challenge_crawlers.c - is the client the crawler that its User-Agent names?
 *
 * Anybody can write a User-Agent, and whoever holds an address can give it any name (PTR). So the
 * address has to have a name below a domain of the crawler's owner, and the owner's name server has
 * to say that this name has the address. The request waits for both, but not long: a name server
 * that does not answer makes nobody a crawler.
 *
 * What was found out is remembered for all workers. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "filter/challenge_priv.h"
#include "net/names.h"
#include <pthread.h>

enum {
    CHECK_MS = 2000,
    YES_MS = 3600 * 1000,
    NO_MS = 600 * 1000,
    HOSTS_MAX = 4, /* names of an address that are looked at */
    SETS = 1024,
    WAYS = 4,
};

/* --- what was found out ----------------------------------------------------------------------- */

struct finding {
    uint64_t key;
    int64_t until_ms; /* loop time */
    bool yes;
};

static struct findings_shared {
    pthread_mutex_t lock;
    struct finding sets[SETS][WAYS];
} findings = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t finding_key(const struct exchange *x, const struct crawler *who)
{
    struct addr_prefix p = addr_prefix_of(&x->client_addr, (struct addr_bits){32, 128});
    uint64_t key[2] = {addr_prefix_key(&p), hash_secret(slice_of(who->name))};
    for (int i = 0; i < CRAWLER_DOMAINS_MAX; i++)
        key[1] = key[1] * 31 + hash_secret(who->domains[i]);
    return hash_secret((struct slice){(const char *)key, sizeof key});
}

static bool finding_get(uint64_t key, int64_t now_ms, bool *yes)
{
    bool found = false;
    pthread_mutex_lock(&findings.lock);
    for (struct finding *f = findings.sets[key % SETS]; f < findings.sets[key % SETS] + WAYS; f++)
        if (f->key == key && f->until_ms > now_ms) {
            *yes = f->yes;
            found = true;
        }
    pthread_mutex_unlock(&findings.lock);
    return found;
}

/* In the place of the one that ends first, most likely a NO. */
static void finding_put(uint64_t key, int64_t now_ms, bool yes)
{
    pthread_mutex_lock(&findings.lock);
    struct finding *set = findings.sets[key % SETS], *to = set;
    for (int i = 1; i < WAYS; i++)
        if (to->key != key && (set[i].key == key || set[i].until_ms < to->until_ms))
            to = &set[i];
    *to = (struct finding){key, now_ms + (yes ? YES_MS : NO_MS), yes};
    pthread_mutex_unlock(&findings.lock);
}

/* --- who says so ------------------------------------------------------------------------------ */

static bool has_nocase(struct slice s, struct slice part)
{
    for (size_t i = 0; i + part.len <= s.len; i++)
        if (slice_eq_nocase((struct slice){s.at + i, part.len}, part))
            return true;
    return false;
}

const struct crawler *crawler_claimed(const struct exchange *x, const struct challenge_conf *c)
{
    struct slice agent = headers_get(&x->req.headers, FIELD_USER_AGENT);
    if (!c->knows_crawlers || agent.len == 0)
        return NULL;
    for (uint32_t i = 0; i < c->crawler_count; i++)
        if (has_nocase(agent, c->crawlers[i]->agent))
            return c->crawlers[i];
    for (const struct crawler *w = crawlers_known; w->name; w++)
        if (has_nocase(agent, w->agent))
            return w;
    return NULL;
}

bool crawler_name_is_below(struct slice name, struct slice domain)
{
    if (slice_ends(name, SLICE(".")))
        name.len--;
    if (domain.len == 0 || name.len < domain.len + 2)
        return false;
    size_t dot = name.len - domain.len - 1;
    return name.at[dot] == '.' && slice_eq_nocase(slice_from(name, dot + 1), domain);
}

static bool is_name_of(const struct crawler *who, struct slice host)
{
    for (int i = 0; i < CRAWLER_DOMAINS_MAX; i++)
        if (crawler_name_is_below(host, who->domains[i]))
            return true;
    return false;
}

/* --- finding out ------------------------------------------------------------------------------ */

struct crawler_check {
    struct exchange *x;
    const struct crawler *who;
    struct names *names;
    struct timer timer;
    uint64_t key;
    struct slice hosts; /* of the address that were not looked at yet */
    uint32_t hosts_seen;
    bool forward; /* it is a host that is being looked up */
    bool unsure;  /* something could not be found out */
    bool late;
    struct names_ask ask;
};

static void too_late(struct timer *t)
{
    struct crawler_check *k = CONTAINER_OF(t, struct crawler_check, timer);
    k->late = true;
    exchange_wake(k->x);
}

static struct crawler_check *check_new(struct exchange *x, const struct crawler *who, uint64_t key)
{
    struct names *names = worker_names(x->worker);
    struct crawler_check *k = names ? ARENA_NEW(&x->arena, struct crawler_check) : NULL;
    if (!k)
        return NULL;
    k->x = x;
    k->who = who;
    k->names = names;
    k->key = key;
    timer_init(&k->timer, too_late);
    timer_set(&x->worker->loop.timers, &k->timer, x->worker->loop.now_ms + CHECK_MS);
    return k;
}

static bool has_the_address(const struct crawler_check *k)
{
    const struct addr_bits all = {32, 128};
    struct addr_prefix ours = addr_prefix_of(&k->x->client_addr, all);
    for (uint32_t i = 0; i < k->ask.count; i++) {
        struct addr_prefix p = addr_prefix_of(&k->ask.addrs[i], all);
        if (memcmp(p.bytes, ours.bytes, sizeof p.bytes) == 0)
            return true;
    }
    return false;
}

/* The next host of the address that may be the crawler's; .at NULL: there is none. */
static struct slice host_next(struct crawler_check *k)
{
    struct slice host;
    while (k->hosts.len > 0 && k->hosts_seen < HOSTS_MAX && slice_cut(&k->hosts, ' ', &host)) {
        k->hosts_seen++;
        if (is_name_of(k->who, host))
            return host;
    }
    return SLICE_NONE;
}

static enum err host_ask(struct crawler_check *k, struct slice host)
{
    k->ask = (struct names_ask){0};
    return names_find(k->names, host, &k->ask, &k->x->task);
}

/* Goes on from the answer to the last question. */
static enum crawler_verdict go_on(struct crawler_check *k, enum err e)
{
    while (e != ERR_HOLD) {
        k->unsure |= e != ERR_OK && !k->ask.none;
        if (k->forward && e == ERR_OK && has_the_address(k))
            return CRAWLER_YES;
        if (!k->forward && e == ERR_OK)
            k->hosts = arena_dup(&k->x->arena, slice_of(k->ask.hosts));
        k->forward = true;
        struct slice host = host_next(k);
        if (!host.at)
            return CRAWLER_NO;
        e = host_ask(k, host);
    }
    return CRAWLER_WAIT;
}

static enum crawler_verdict decide(struct crawler_check *k, enum crawler_verdict v)
{
    if (v == CRAWLER_YES || (v == CRAWLER_NO && !k->unsure))
        finding_put(k->key, k->x->worker->loop.now_ms, v == CRAWLER_YES);
    if (v != CRAWLER_WAIT)
        crawler_check_end(k->x, k);
    return v;
}

enum crawler_verdict crawler_verify(struct exchange *x, const struct crawler *who,
                                    struct crawler_check **check)
{
    struct crawler_check *k = *check;
    bool yes;
    if (k && k->late)
        return CRAWLER_NO;
    if (k)
        return decide(k, go_on(k, names_poll(&k->ask)));
    uint64_t key = finding_key(x, who);
    if (finding_get(key, x->worker->loop.now_ms, &yes))
        return yes ? CRAWLER_YES : CRAWLER_NO;
    *check = k = check_new(x, who, key);
    if (!k)
        return CRAWLER_NO;
    return decide(k, go_on(k, names_reverse(k->names, &x->client_addr, &k->ask, &x->task)));
}

void crawler_check_end(struct exchange *x, struct crawler_check *k)
{
    if (!k)
        return;
    timer_stop(&x->worker->loop.timers, &k->timer);
    names_cancel(&k->ask);
}
