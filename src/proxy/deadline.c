/* deadline.c - how long the client waits for its answer, and what is left of that for the server.
 *
 * The time runs from when the head was whole. It ends the request (total_timer), keeps it from
 * waiting in a queue for nothing (lease.deadline_ms), and every server that is asked, also again,
 * learns what is left. A field that is no number counts as none and goes on as it came. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/deadline.h"
#include "base/num.h"
#include "proxy/exchange_priv.h"

enum { DEADLINE_MOST_MS = 24 * 3600 * 1000 };

const struct deadline_conf deadline_off = {0};

const struct directive deadline_options[] = {
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct deadline_conf, max_ms),
     .min = 1,
     .max = DEADLINE_MOST_MS,
     .def = "1h",
     .usage = "TIME",
     .text = "A longer time that a client asks for is cut to this."},
    {0}};

void deadline_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope;
    struct slice name = n->args[0].text;
    if (slice_eq(name, SLICE("off"))) {
        s->deadline = &deadline_off;
        return;
    }
    if (!field_is_token(name)) {
        diag_error(b->diag, n->args[0].pos, "not a name of a header field: '%.*s'",
                   SLICE_ARG(name));
        return;
    }
    struct deadline_conf *d = ARENA_NEW(b->arena, struct deadline_conf);
    conf_options(b, n, d);
    d->header = name;
    s->deadline = d;
}

static const struct deadline_conf *deadline_of(const struct exchange *x)
{
    const struct deadline_conf *d = x->settings->deadline;
    return d && settings_pointer_is_set(d) && d->header.len > 0 ? d : NULL;
}

/* What the client gives us, ms; CONF_OFF: it does not say. */
static int64_t asked_ms(const struct exchange *x, const struct deadline_conf *d)
{
    const struct header *h = headers_find_name(&x->req.headers, d->header);
    uint64_t ms;
    if (!h || num_parse_u64(h->value, &ms) != ERR_OK)
        return CONF_OFF;
    return ms < (uint64_t)d->max_ms ? (int64_t)ms : d->max_ms;
}

void deadline_read(struct exchange *x, int64_t head_ms)
{
    const struct deadline_conf *d = deadline_of(x);
    if (!d && x->settings->request_ms <= 0)
        return;
    int64_t own_ms = x->settings->request_ms, asked = d ? asked_ms(x, d) : CONF_OFF;
    x->deadline_asked = asked >= 0 && (own_ms <= 0 || asked < own_ms);
    int64_t ms = x->deadline_asked ? asked : own_ms;
    x->answer_by_ms = ms > 0 || x->deadline_asked ? head_ms + ms : 0;
}

enum err deadline_write(struct exchange *x)
{
    const struct deadline_conf *d = deadline_of(x);
    int64_t ends_ms = total_ends_ms(x);
    if (!d || ends_ms == INT64_MAX)
        return ERR_OK;
    int64_t left_ms = ends_ms - x->worker->loop.now_ms;
    if (left_ms <= 0)
        return ERR_DEADLINE;
    struct slice value = arena_printf(&x->arena, "%lld", (long long)left_ms);
    return value.at ? headers_set(&x->req.headers, &x->arena, d->header, value) : ERR_OVER_BUDGET;
}
