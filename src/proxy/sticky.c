/* sticky.c - sessions that stay on one server, in the course of a request.
 *
 * Before a server is chosen the session's is looked up; when the answer's head is there the client
 * is told, or the table is, which server it was. A session whose server could not take the request
 * moves to the one that did. What clients send is never remembered by itself: only sessions that a
 * server has named get into the table, so that nobody can fill it with inventions. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/sticky.h"
#include "base/hash.h"
#include "proxy/exchange.h"
#include "proxy/sticky_table.h"

/* --- sessions in the table --------------------------------------------------------------------*/

static uint64_t session_key(struct slice text)
{
    uint64_t key = text.len > 0 ? hash_secret(text) : 0;
    return key ? key : text.len > 0;
}

static uint64_t key_of_address(const struct exchange *x)
{
    char text[ADDR_TEXT_BYTES];
    return session_key((struct slice){text, addr_write_ip(text, &x->client_addr)});
}

static uint64_t key_of_cookie(const struct exchange *x, struct slice name)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    for (; h; h = headers_next(&x->req.headers, h)) {
        struct slice value = field_cookie(h->value, name);
        if (value.at)
            return session_key(value);
    }
    return 0;
}

static uint64_t key_of_request(const struct exchange *x, const struct sticky_conf *s)
{
    const struct header *h;
    switch ((enum sticky_kind)s->kind) {
    case STICKY_LEARN_COOKIE: return key_of_cookie(x, s->name);
    case STICKY_LEARN_HEADER:
        h = headers_find_name(&x->req.headers, s->name);
        return h ? session_key(h->value) : 0;
    case STICKY_IP: return key_of_address(x);
    case STICKY_COOKIE: break;
    }
    return 0;
}

static int32_t server_by_id(const struct sticky_conf *s, uint64_t id)
{
    uint32_t from = 0, to = s->server_count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (s->servers[mid].id == id)
            return (int32_t)s->servers[mid].index;
        if (s->servers[mid].id < id)
            from = mid + 1;
        else
            to = mid;
    }
    return CHOICE_NONE;
}

static void session_find(struct exchange *x, const struct sticky_conf *s)
{
    struct sticky_use *u = &x->sticky;
    uint64_t id;
    u->key = key_of_request(x, s);
    if (u->key && sticky_table_find(s->table, u->key, x->worker->loop.now_ms, s->ttl_ms, &id))
        u->index = server_by_id(s, id);
    else if (s->kind != STICKY_IP)
        u->key = 0; /* nobody has named it yet */
}

/* --- before the choice ------------------------------------------------------------------------*/

static bool is_full(const struct server *srv)
{
    return srv->max_conns > 0 &&
           __atomic_load_n(&srv->shared->conns, __ATOMIC_RELAXED) >= srv->max_conns;
}

enum err sticky_begin(struct exchange *x, const struct upstream *up)
{
    const struct sticky_conf *s = up->sticky;
    x->sticky.index = CHOICE_NONE;
    if (s->kind == STICKY_COOKIE) {
        x->sticky.index = choice_of_request(&s->cookie, x, &x->sticky.stale);
        TRY(choice_strip(&s->cookie, x));
    } else {
        session_find(x, s);
    }
    int32_t i = x->sticky.index;
    if (i == CHOICE_NONE)
        return ERR_OK;
    if (s->strict || !is_full(&up->servers[i])) /* a pinned server that is full is waited for */
        x->lease.pin = i;
    return ERR_OK;
}

static const struct sticky_conf *sticky_of(const struct exchange *x)
{
    return x->lease.view ? x->lease.view->up->sticky : NULL;
}

bool sticky_refuses(const struct exchange *x)
{
    const struct sticky_conf *s = sticky_of(x);
    return s && s->strict && x->lease.server && x->sticky.index != CHOICE_NONE &&
           x->lease.server->index != (uint32_t)x->sticky.index;
}

/* --- when it has answered ---------------------------------------------------------------------*/

/* The session that the answer names. Its removal ("JSESSIONID=; Max-Age=0") names none. */
static uint64_t key_of_answer(const struct exchange *x, const struct sticky_conf *s)
{
    const struct header *h;
    if (s->kind == STICKY_LEARN_HEADER) {
        h = headers_find_name(&x->res.headers, s->name);
        return h ? session_key(h->value) : 0;
    }
    for (h = headers_find(&x->res.headers, FIELD_SET_COOKIE); h;
         h = headers_next(&x->res.headers, h)) {
        struct slice pair = slice_trim(slice_head(h->value, slice_find(h->value, ';')));
        size_t eq = slice_find(pair, '=');
        if (eq < pair.len && slice_eq(slice_trim(slice_head(pair, eq)), s->name))
            return session_key(slice_trim(slice_from(pair, eq + 1)));
    }
    return 0;
}

static void session_remember(struct exchange *x, const struct sticky_conf *s, bool moved)
{
    int64_t now_ms = x->worker->loop.now_ms;
    uint64_t id = hash_fast(x->lease.server->name, 0);
    uint64_t key = s->kind == STICKY_IP ? 0 : key_of_answer(x, s);
    if (key && key != x->sticky.key)
        sticky_table_put(s->table, key, id, now_ms);
    if (x->sticky.key && moved)
        sticky_table_put(s->table, x->sticky.key, id, now_ms);
}

enum err sticky_answered(struct exchange *x)
{
    const struct sticky_conf *s = sticky_of(x);
    if (!x->lease.server)
        return ERR_OK;
    bool moved = x->sticky.index != (int32_t)x->lease.server->index;
    if (x->sticky.index != CHOICE_NONE)
        counter_add(x->worker->counters, moved ? METRIC_STICKY_MOVED : METRIC_STICKY_KEPT, 1);
    if (s->kind != STICKY_COOKIE)
        session_remember(x, s, moved);
    else if (moved || x->sticky.stale)
        return choice_tell(&s->cookie, x, x->lease.server->index);
    return ERR_OK;
}
