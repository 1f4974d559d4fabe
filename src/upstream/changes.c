/* changes.c - orders about servers become changes, changes become part of a snapshot.
 *
 * A server that is taken out stays in its upstream, disabled: indices, balancer tables and the
 * numbers in /status keep their meaning, and `reset` brings it back as it was. One that was added
 * at run time just goes. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/changes.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/diag.h"
#include "upstream/upstream_priv.h"
#include <stdlib.h>

enum { WEIGHT_MAX = 1000, CONNS_MAX = 1000000, FIELDS = 6 };

/* ---- the list ---- */

static struct slice own(struct slice s)
{
    return (struct slice){mem_dup(s.at, s.len), s.len};
}

static struct server_change *change_find(const struct server_changes *c, struct slice upstream,
                                         struct slice server)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (slice_eq(c->list[i].upstream, upstream) && slice_eq(c->list[i].server, server))
            return &c->list[i];
    return NULL;
}

static struct server_change *change_get(struct server_changes *c, struct slice upstream,
                                        struct slice server)
{
    struct server_change *found = change_find(c, upstream, server);
    if (found)
        return found;
    size_t bytes = (c->count + 1) * sizeof *c->list;
    c->list = mem_must(realloc(c->list, bytes), bytes);
    c->list[c->count] = (struct server_change){.upstream = own(upstream), .server = own(server)};
    return &c->list[c->count++];
}

static void change_drop(struct server_changes *c, struct server_change *gone)
{
    free((char *)gone->upstream.at);
    free((char *)gone->server.at);
    *gone = c->list[--c->count];
}

static bool says_nothing(const struct server_change *c)
{
    return !c->added && c->use == SERVER_AS_CONFIGURED && c->weight == 0 && c->max_conns == 0;
}

void server_changes_swap(struct server_changes *a, struct server_changes *b)
{
    struct server_changes was = *a;
    *a = *b;
    *b = was;
}

void server_changes_release(struct server_changes *c)
{
    while (c->count > 0)
        change_drop(c, &c->list[c->count - 1]);
    free(c->list);
    *c = (struct server_changes){0};
}

/* ---- orders ---- */

static struct server *server_named(const struct upstream *up, struct slice name)
{
    for (uint32_t i = 0; up && i < up->server_count; i++)
        if (slice_eq(up->servers[i].name, name))
            return &up->servers[i];
    return NULL;
}

static struct upstream *upstream_named(const struct upstreams_conf *u, struct slice name)
{
    for (uint32_t i = 0; i < u->count; i++)
        if (slice_eq(u->list[i]->name, name))
            return u->list[i];
    return NULL;
}

enum wants { WANTS_THERE, WANTS_NEW, WANTS_CHANGED };

static void set(struct server_changes *c, const struct server *now, const struct server_order *o)
{
    (void)now;
    struct server_change *change = change_get(c, o->upstream, o->server);
    if (o->weight)
        change->weight = o->weight;
    if (o->max_conns)
        change->max_conns = o->max_conns;
}

/* Whatever was said of an earlier one of that name, which is not there any more, is over. */
static void add(struct server_changes *c, const struct server *now, const struct server_order *o)
{
    struct server_change *earlier = change_find(c, o->upstream, o->server);
    if (earlier)
        change_drop(c, earlier);
    set(c, now, o);
    change_get(c, o->upstream, o->server)->added = true;
}

static void drain(struct server_changes *c, const struct server *now, const struct server_order *o)
{
    (void)now;
    change_get(c, o->upstream, o->server)->use = SERVER_DRAINING;
}

static void enable(struct server_changes *c, const struct server *now, const struct server_order *o)
{
    (void)now;
    change_get(c, o->upstream, o->server)->use = SERVER_IN_USE;
}

static void disable(struct server_changes *c, const struct server *now,
                    const struct server_order *o)
{
    (void)now;
    change_get(c, o->upstream, o->server)->use = SERVER_DISABLED;
}

static void reset(struct server_changes *c, const struct server *now, const struct server_order *o)
{
    (void)now;
    change_drop(c, change_find(c, o->upstream, o->server));
}

static void take_out(struct server_changes *c, const struct server *now,
                     const struct server_order *o)
{
    bool added = now->changed & SERVER_CHANGED_ADDED;
    (added ? reset : disable)(c, now, o);
}

const struct server_action server_actions[] = {
    {"add", "a server that the configuration does not have", WANTS_NEW, true, add},
    {"remove", "takes it out: no new requests, what is under way ends in peace", WANTS_THERE, false,
     take_out},
    {"set", "its weight=N, max_conns=N", WANTS_THERE, false, set},
    {"drain", "only requests of its sticky sessions, no others", WANTS_THERE, false, drain},
    {"enable", "takes requests, whatever the configuration says", WANTS_THERE, true, enable},
    {"disable", "no new requests", WANTS_THERE, false, disable},
    {"reset", "as the configuration has it", WANTS_CHANGED, true, reset},
    {0}};

static const struct server_action *action_find(struct slice name)
{
    for (const struct server_action *a = server_actions; a->name; a++)
        if (slice_eq(name, slice_of(a->name)))
            return a;
    return NULL;
}

static bool number_ok(const char *what, int64_t n, int64_t max, struct text *why)
{
    if (n < 0 || n > max)
        text_addf(why, "%s has to be from 1 to %lld\n", what, (long long)max);
    return n >= 0 && n <= max;
}

static bool server_ok(const struct server_changes *c, const struct server_action *a,
                      const struct server *now, const struct server_order *o, struct text *why)
{
    if (a->wants == WANTS_NEW && now)
        text_add(why, SLICE("that server is there already; see 'set' and 'enable'\n"));
    else if (a->wants == WANTS_THERE && !now)
        text_addf(why, "upstream %.*s has no server '%.*s'\n", SLICE_ARG(o->upstream),
                  SLICE_ARG(o->server));
    else if (a->wants == WANTS_CHANGED && !change_find(c, o->upstream, o->server))
        text_add(why, SLICE("nothing was changed about that server\n"));
    else
        return true;
    return false;
}

static bool order_ok(const struct server_changes *c, const struct upstreams_conf *u,
                     const struct server_order *o, struct text *why)
{
    const struct server_action *a = action_find(o->action);
    const struct upstream *up = upstream_named(u, o->upstream);
    if (!a)
        text_addf(why, "unknown action '%.*s'\n", SLICE_ARG(o->action));
    else if (a->run == set && !o->weight && !o->max_conns)
        text_add(why, SLICE("set what? weight=N, max_conns=N\n"));
    else if (a->wants != WANTS_CHANGED && !up)
        text_addf(why, "there is no upstream '%.*s'\n", SLICE_ARG(o->upstream));
    else
        return number_ok("weight", o->weight, WEIGHT_MAX, why) &&
               number_ok("max_conns", o->max_conns, CONNS_MAX, why) &&
               server_ok(c, a, server_named(up, o->server), o, why);
    return false;
}

void server_changes_copy(struct server_changes *to, const struct server_changes *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        struct server_change *change = change_get(to, from->list[i].upstream, from->list[i].server);
        struct slice upstream = change->upstream, server = change->server;
        *change = from->list[i];
        change->upstream = upstream;
        change->server = server;
    }
}

static bool small_enough(const struct server_changes *c, struct text *why)
{
    struct text t;
    text_init(&t);
    server_changes_write(c, &t);
    bool ok = t.len <= SERVER_CHANGES_BYTES;
    text_release(&t);
    if (!ok)
        text_add(why, SLICE("too many changes at run time; put them into the configuration\n"));
    return ok;
}

bool server_changes_order(struct server_changes *c, const struct upstreams_conf *u,
                          const struct server_order *o, struct text *why)
{
    struct server_changes next = {0};
    if (!order_ok(c, u, o, why))
        return false;
    server_changes_copy(&next, c);
    action_find(o->action)->run(&next, server_named(upstream_named(u, o->upstream), o->server), o);
    bool ok = small_enough(&next, why);
    if (ok)
        server_changes_swap(&next, c);
    server_changes_release(&next);
    return ok;
}

void server_order_began(const struct server_order *o, const struct upstreams_conf *u,
                        int64_t now_ms)
{
    const struct server *srv = server_named(upstream_named(u, o->upstream), o->server);
    if (srv && action_find(o->action)->begins && !srv->disabled && !srv->draining)
        server_came_back(srv->shared, now_ms);
}

/* ---- as text ---- */

void server_changes_write(const struct server_changes *c, struct text *to)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct server_change *s = &c->list[i];
        text_addf(to, "%.*s\t%.*s\t%d\t%d\t%lld\t%lld\n", SLICE_ARG(s->upstream),
                  SLICE_ARG(s->server), s->added, s->use, (long long)s->weight,
                  (long long)s->max_conns);
    }
}

static bool line_read(struct server_changes *c, struct slice line)
{
    struct slice field[FIELDS];
    uint64_t number[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        if (!slice_cut(&line, '\t', &field[i]))
            return false;
        if (i >= 2 && num_parse_u64(field[i], &number[i]) != ERR_OK)
            return false;
    }
    if (number[2] > 1 || number[3] > SERVER_DISABLED || number[4] > WEIGHT_MAX ||
        number[5] > CONNS_MAX)
        return false;
    struct server_change *s = change_get(c, field[0], field[1]);
    s->added = number[2];
    s->use = (uint8_t)number[3];
    s->weight = (int64_t)number[4];
    s->max_conns = (int64_t)number[5];
    if (says_nothing(s))
        change_drop(c, s);
    return true;
}

bool server_changes_read(struct server_changes *c, struct slice text)
{
    struct slice line;
    while (text.len > 0 && slice_cut(&text, '\n', &line))
        if (line.len > 0 && !line_read(c, line))
            return false;
    return true;
}

/* ---- part of a snapshot ---- */

static struct server *server_new(struct conf_build *b, struct upstream *up,
                                 const struct server_change *c)
{
    struct server options = {0};
    struct conf_word address = {.pos = up->pos};
    address.text = arena_dup(b->arena, c->server);
    if (!address.text.at)
        return NULL;
    server_defaults(&options);
    struct server *srv = upstream_server_add(b, up, &address, &options);
    if (srv)
        srv->changed |= SERVER_CHANGED_ADDED;
    return srv;
}

static void use_set(struct server *srv, uint8_t use)
{
    if (use == SERVER_AS_CONFIGURED)
        return;
    srv->changed |= SERVER_CHANGED_USE;
    srv->disabled = use == SERVER_DISABLED;
    srv->draining = use == SERVER_DRAINING;
}

static void numbers_set(struct server *srv, const struct server_change *c)
{
    if (c->weight) {
        srv->changed |= SERVER_CHANGED_WEIGHT;
        srv->weight = c->weight;
    }
    if (c->max_conns) {
        srv->changed |= SERVER_CHANGED_MAX_CONNS;
        srv->max_conns = c->max_conns;
    }
}

void upstreams_change(struct conf_build *b, struct upstreams_conf *u,
                      const struct server_changes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct server_change *change = &c->list[i];
        struct upstream *up = upstream_named(u, change->upstream);
        struct server *srv = server_named(up, change->server);
        if (up && !srv && change->added)
            srv = server_new(b, up, change);
        if (!srv)
            continue;
        use_set(srv, change->use);
        numbers_set(srv, change);
        upstream_ports_finish(up);
    }
}

const char *server_change_idle(const struct server_change *c, const struct upstreams_conf *u)
{
    const struct upstream *up = upstream_named(u, c->upstream);
    const struct server *srv = server_named(up, c->server);
    if (!up)
        return "the configuration has no such upstream";
    if (!srv)
        return "the configuration has no such server";
    if (c->added && !(srv->changed & SERVER_CHANGED_ADDED))
        return "the configuration has this server itself now";
    return NULL;
}
