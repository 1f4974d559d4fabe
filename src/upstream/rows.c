/* rows.c - the directives of an upstream: each row parses, checks and documents its line.
 *
 * The same rows stand in the block of a `proxy` directive, which is an upstream without a name. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/tls_priv.h"
#include "upstream/upstream_priv.h"

enum { WHOLE = 10000 /* 100 % */, HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

static const struct directive server_options[] = {
    {.name = "weight",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct server, weight),
     .min = 1,
     .max = 1000,
     .def = "1",
     .usage = "N",
     .text =
         "Share of the requests, compared with the other servers: one with `weight=2` gets twice "
         "as many as one with `weight=1`."},
    {.name = "max_conns",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct server, max_conns),
     .min = 1,
     .max = 1000000,
     .usage = "N",
     .text =
         "At most so many connections in use at once, over all workers. When every server is at "
         "its limit requests wait (see `queue`). Without it there is no limit."},
    {.name = "zone",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct server, zone),
     .usage = "NAME",
     .text = "Where the server stands: a data centre, a rack. See `prefer_zone`."},
    {.name = "backup",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct server, backup),
     .usage = "",
     .text = "Gets requests only while no server without this mark can take them."},
    {.name = "disabled",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct server, disabled),
     .usage = "",
     .text = "Gets no new requests. For maintenance: mark it, `weir reload`, and what is under way "
             "ends in peace."},
    {.name = "drain",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct server, draining),
     .usage = "",
     .text = "Gets no new requests but those of sessions that are bound to it already. To empty "
             "a server before it is disabled."},
    {0}};

static const struct directive keepalive_options[] = {
    {.name = "idle",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct upstream, keepalive_ms),
     .min = 1,
     .max = DAY_MS,
     .def = "60s",
     .usage = "TIME",
     .text = "An idle connection is closed after this time. Keep it below the server's own idle "
             "timeout, so that weir is the one that closes."},
    {0}};

static const struct directive queue_options[] = {
    {.name = "timeout",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct upstream, queue_ms),
     .min = 1,
     .max = HOUR_MS,
     .def = "10s",
     .usage = "TIME",
     .text = "A request that waited so long is answered with 503."},
    {0}};

struct hedge_options {
    struct slice after;
    int64_t budget;
};

static const struct directive hedge_options[] = {
    {.name = "after",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct hedge_options, after),
     .def = "p95",
     .usage = "TIME|p95",
     .text = "How long the first server has for the beginning of its answer: a time, or `p95`, "
             "what 95 % of the answers took lately."},
    {.name = "budget",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .offset = offsetof(struct hedge_options, budget),
     .min = 1,
     .max = WHOLE,
     .def = "5%",
     .usage = "PERCENT",
     .text = "At most this share of the requests of the last 10 seconds is sent twice."},
    {0}};

/* A fixed number uses `max` alone. */
static const struct directive concurrency_options[] = {
    {.name = "min",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct upstream, limit.min),
     .min = 1,
     .max = 1000000,
     .def = "20",
     .usage = "N",
     .text = "`adaptive` never allows fewer."},
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct upstream, limit.max),
     .min = 1,
     .max = 1000000,
     .usage = "N",
     .text = "`adaptive` never allows more. Without it there is no limit while latency is normal."},
    {0}};

enum proto_word { PROTO_H1, PROTO_H2C, PROTO_H2, PROTO_AUTO, PROTO_FASTCGI };

static const struct conf_choice protos[] = {
    {"h1", PROTO_H1, "HTTP/1.1"},
    {"h2c", PROTO_H2C, "HTTP/2 without TLS"},
    {"h2", PROTO_H2, "HTTP/2 over TLS"},
    {"auto", PROTO_AUTO,
     "over TLS, HTTP/2 with servers that offer it, else "
     "HTTP/1.1, as for a WebSocket where their HTTP/2 has "
     "none"},
    {"fastcgi", PROTO_FASTCGI, "FastCGI, as PHP-FPM speaks it; for `fastcgi NAME`"},
    {0}};

static const struct directive proto_options[] = {
    {.name = "streams",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct upstream, streams_max),
     .min = 1,
     .max = 10000,
     .def = "100",
     .usage = "N",
     .text = "HTTP/2: at most so many requests at once on one connection, and never more than the "
             "server allows. For more of them another connection is opened."},
    {0}};

struct retry_options {
    struct slice on;
    int64_t budget;
};

static const struct directive retry_options[] = {
    {.name = "on",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct retry_options, on),
     .usage = "502,503,504",
     .text =
         "Statuses that are tried again as well, when the request is idempotent and its body was "
         "not sent yet. Any of 502, 503 and 504, separated by commas."},
    {.name = "budget",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .off_ok = true,
     .offset = offsetof(struct retry_options, budget),
     .min = 0,
     .max = WHOLE,
     .def = "20%",
     .usage = "PERCENT|off",
     .text =
         "Retries may be at most this share of the requests of the last 10 seconds (10 are always "
         "allowed), so that retries do not bury servers that are failing already."},
    {0}};

static const struct conf_choice eject_ons[] = {
    {"failures", EJECT_ON_FAILURES, "what `after` counts"},
    {"5xx", EJECT_ON_5XX, "these, and answers with a status of 500 or more"},
    {0}};

static const struct directive eject_options[] = {
    {.name = "after",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct upstream, fail_count),
     .min = 1,
     .max = 1000,
     .def = "3",
     .usage = "N",
     .text =
         "Failures in a row that take a server out: refused or timed-out connects, resets, broken "
         "or missing answers."},
    {.name = "for",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct upstream, fail_ms),
     .min = 1,
     .max = DAY_MS,
     .def = "10s",
     .usage = "TIME",
     .text =
         "How long it stays out the first time. Each failure right after that doubles the time."},
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct upstream, fail_max_ms),
     .min = 1,
     .max = DAY_MS,
     .def = "5m",
     .usage = "TIME",
     .text = "The longest time that a server stays out before it is tried again."},
    {.name = "rate",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .off_ok = true,
     .offset = offsetof(struct upstream, eject.rate),
     .min = 100,
     .max = WHOLE,
     .def = "50%",
     .usage = "PERCENT|off",
     .text = "A server is taken out, too, when this share of its last requests failed, and at most "
             "half as many of those of the others. So one client's bad requests, which fail "
             "everywhere, take out nobody."},
    {.name = "on",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = eject_ons,
     .offset = offsetof(struct upstream, eject.on),
     .usage = "failures|5xx",
     .text = "What counts as failed for `rate`. Unless given it is `5xx`; with sticky sessions or "
             "a `balance` by key, where a server's clients may be special, it is `failures`."},
    {.name = "requests",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct upstream, eject.requests),
     .min = 1,
     .max = 100000,
     .def = "20",
     .usage = "N",
     .text = "With fewer requests than this in 10 seconds servers are not compared."},
    {.name = "slow",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .off_ok = true,
     .offset = offsetof(struct upstream, eject.slow),
     .min = 2,
     .max = 1000,
     .def = "5",
     .usage = "TIMES|off",
     .text = "A server is taken out, too, when its answers begin so many times later than those of "
             "the server in the middle (and 20 ms), or do not begin at all for 2 seconds. "
             "Not with sticky sessions or a `balance` by key."},
    {.name = "max_share",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .offset = offsetof(struct upstream, eject.max_share),
     .min = 0,
     .max = WHOLE,
     .def = "50%",
     .usage = "PERCENT",
     .text = "By comparison a server is taken out only while at most this share of the servers is "
             "(but one always may be). Those that fail again and again go all the same."},
    {.name = "panic",
     .where = IN_OPTIONS,
     .type = CONF_PERCENT,
     .off_ok = true,
     .offset = offsetof(struct upstream, eject.panic),
     .min = 1,
     .max = WHOLE,
     .def = "off",
     .usage = "PERCENT|off",
     .text = "When less than this share of the servers is left all of them are used, whatever is "
             "known of them: the few would be overloaded. `off`: when none is left."},
    {0}};

static const struct directive timeout_options[] = {
    {.name = "connect",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct upstream, timeouts.connect_ms),
     .min = 1,
     .max = HOUR_MS,
     .usage = "TIME",
     .text = "Until the connection to the server stands."},
    {.name = "first_byte",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = offsetof(struct upstream, timeouts.first_byte_ms),
     .min = 1,
     .max = DAY_MS,
     .usage = "TIME|off",
     .text = "From the end of the request until the server's answer begins."},
    {.name = "read",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = offsetof(struct upstream, timeouts.read_ms),
     .min = 1,
     .max = DAY_MS,
     .usage = "TIME|off",
     .text = "Between two pieces of the answer."},
    {.name = "send",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = offsetof(struct upstream, timeouts.send_ms),
     .min = 1,
     .max = DAY_MS,
     .usage = "TIME|off",
     .text = "Between two pieces of the request that the server takes."},
    {0}};

void server_defaults(struct server *srv)
{
    conf_defaults(server_options, IN_OPTIONS, srv);
}

void upstream_defaults(struct upstream *up)
{
    struct retry_options retry = {0};
    conf_defaults(retry_options, IN_OPTIONS, &retry);
    up->retry.budget = retry.budget;
    conf_defaults(upstream_rows, IN_UPSTREAM, up);
    conf_defaults(keepalive_options, IN_OPTIONS, up);
    conf_defaults(queue_options, IN_OPTIONS, up);
    conf_defaults(concurrency_options, IN_OPTIONS, up);
    up->limit.kind = LIMIT_ADAPTIVE;
    up->hedge.after_ms = HEDGE_NEVER;
    conf_defaults(proto_options, IN_OPTIONS, up);
    conf_defaults(eject_options, IN_OPTIONS, up);
}

/* Upstream names stand where addresses may stand, so they must not look like one. */
static bool is_upstream_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.')
            return false;
    }
    return s.len > 0 && s.len <= 200;
}

static void apply_upstream(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstreams_conf *u = scope;
    const struct conf_word *name = &n->args[0];
    if (!is_upstream_name(name->text)) {
        diag_error(b->diag, name->pos, "not a name for an upstream: '%.*s'", SLICE_ARG(name->text));
        diag_hint(b->diag, "use letters, digits, '_', '-' and '.'");
        return;
    }
    const struct upstream *twin = upstream_find(u, name->text);
    if (twin) {
        diag_error(b->diag, name->pos, "upstream '%.*s' is there already, in line %u",
                   SLICE_ARG(name->text), twin->pos.line);
        return;
    }
    struct upstream *up = upstream_new(b, u, name->pos);
    if (!up)
        return;
    up->name = name->text;
    void *old;
    if (radix_add(&u->named, up->name, up, &old) != ERR_OK)
        diag_error(b->diag, name->pos, "no memory for the configuration");
    conf_apply_block(b, up, n);
    upstream_finish(b, up);
}

static void apply_server(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct server options = {0};
    conf_options(b, n, &options);
    upstream_server_add(b, scope, &n->args[0], &options);
}

static void apply_servers(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct server options = {0};
    server_defaults(&options);
    for (uint32_t i = 0; i < n->arg_count; i++)
        upstream_server_add(b, scope, &n->args[i], &options);
}

static void unknown_balancer(struct conf_build *b, const struct conf_word *w)
{
    struct slice names[32];
    size_t count = 0;
    for (const struct balancer_type *const *t = balancers_all; *t && count + 1 < COUNT_OF(names);
         t++)
        names[count++] = slice_of((*t)->name);
    names[count++] = SLICE("hash");
    diag_error(b->diag, w->pos, "unknown way of balancing: '%.*s'", SLICE_ARG(w->text));
    diag_nearest(b->diag, w->text, names, count);
}

/* Is the word NAME=VALUE for one of the balancer's options; sets it then. */
static bool balancer_option(struct conf_build *b, struct upstream *up, const struct conf_word *w)
{
    size_t eq = slice_find(w->text, '=');
    if (eq == w->text.len || !up->balancer->options)
        return false;
    for (const struct directive *o = up->balancer->options; o->name; o++) {
        if (!slice_eq(slice_of(o->name), slice_head(w->text, eq)))
            continue;
        struct conf_word value = *w;
        value.text = slice_from(w->text, eq + 1);
        value.pos.col += (uint32_t)eq + 1;
        value.pos.len = value.pos.len > eq ? value.pos.len - (uint32_t)eq - 1 : 0;
        conf_set(b->diag, o, &value, up->balancer_conf);
        return true;
    }
    return false;
}

static void apply_balance(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    const struct balancer_type *t = balancer_find(n->args[0].text);
    if (!t) {
        unknown_balancer(b, &n->args[0]);
        return;
    }
    upstream_balancer_set(b, up, t);
    bool has_key = false;
    for (uint32_t i = 1; i < n->arg_count; i++) {
        const struct conf_word *w = &n->args[i];
        if (balancer_option(b, up, w))
            continue;
        if (!t->needs_key || has_key) {
            diag_error(b->diag, w->pos, "%s does not take '%.*s'", t->name, SLICE_ARG(w->text));
            continue;
        }
        up->hash_key = *w;
        has_key = true;
    }
    if (!t->needs_key || has_key)
        return;
    if (t->key_default) {
        up->hash_key = (struct conf_word){.text = slice_of(t->key_default), .pos = n->args[0].pos};
        return;
    }
    diag_error(b->diag, n->args[0].pos, "%.*s needs a key", SLICE_ARG(n->args[0].text));
    diag_hint(b->diag, "for example: balance %.*s $client_ip", SLICE_ARG(n->args[0].text));
}

static void apply_queue(struct conf_build *b, void *scope, const struct conf_node *n)
{
    conf_set(b->diag, n->row, &n->args[0], scope);
    conf_options(b, n, scope);
}

static void apply_keepalive(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    apply_queue(b, scope, n);
    up->keepalive_said = true;
}

static bool retry_status(struct retry_conf *r, struct slice status)
{
    if (slice_eq(status, SLICE("502")))
        r->on_502 = true;
    else if (slice_eq(status, SLICE("503")))
        r->on_503 = true;
    else if (slice_eq(status, SLICE("504")))
        r->on_504 = true;
    else
        return false;
    return true;
}

static void apply_retry(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    struct retry_options o = {0};
    conf_set(b->diag, n->row, &n->args[0], up);
    conf_options(b, n, &o);
    if (up->retry.tries < 0)
        up->retry.tries = 0; /* off */
    up->retry.budget = o.budget;
    up->retry.set = true;
    struct slice rest = o.on, status;
    while (rest.at && slice_cut(&rest, ',', &status)) {
        if (retry_status(&up->retry, status))
            continue;
        diag_error(b->diag, n->pos, "retry on=%.*s: only 502, 503 and 504 can be tried again",
                   SLICE_ARG(status));
        return;
    }
}

static void apply_eject(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    conf_options(b, n, up);
    if (n->arg_count > 0 && !slice_eq(n->args[0].text, SLICE("off")))
        diag_error(b->diag, n->args[0].pos, "expected 'off' or options such as after=3");
    else if (n->arg_count > 0 && n->option_count > 0)
        diag_error(b->diag, n->args[0].pos, "'off' takes no options");
    else if (n->arg_count > 0)
        up->fail_count = CONF_OFF;
    else if (up->fail_max_ms < up->fail_ms)
        diag_error(b->diag, n->pos, "eject max is shorter than eject for");
}

static bool hedge_after(struct conf_build *b, struct upstream *up, const struct conf_node *n,
                        struct slice after)
{
    struct conf_word w = {.text = after, .pos = n->pos};
    if (slice_eq(after, SLICE("p95"))) {
        up->hedge.after_ms = HEDGE_P95;
        return true;
    }
    if (!conf_parse_value(b->diag, CONF_TIME, &w, &up->hedge.after_ms))
        return false;
    if (up->hedge.after_ms < 1)
        diag_error(b->diag, n->pos, "hedge after: expected a time from 1ms on, or p95");
    return up->hedge.after_ms >= 1;
}

static void apply_hedge(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    struct hedge_options o = {0};
    conf_options(b, n, &o);
    up->hedge_pos = n->pos;
    up->hedge.budget = o.budget;
    if (n->arg_count == 0) {
        if (!hedge_after(b, up, n, o.after))
            up->hedge.after_ms = HEDGE_NEVER;
        return;
    }
    if (!slice_eq(n->args[0].text, SLICE("off")))
        diag_error(b->diag, n->args[0].pos, "expected 'off' or options such as after=50ms");
    up->hedge.after_ms = HEDGE_NEVER;
}

void upstream_hedge_finish(struct conf_build *b, const struct upstream *up)
{
    if (up->hedge.after_ms == HEDGE_P95 && up->limit.kind == LIMIT_OFF)
        diag_error(b->diag, up->hedge_pos,
                   "hedge after=p95 needs latencies, which 'concurrency off' does not measure");
}

static void apply_concurrency(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    const struct conf_word *w = &n->args[0];
    conf_options(b, n, up);
    if (slice_eq(w->text, SLICE("adaptive"))) {
        up->limit.kind = LIMIT_ADAPTIVE;
        if (up->limit.max > 0 && up->limit.max < up->limit.min)
            diag_error(b->diag, n->pos, "concurrency max is less than min");
        return;
    }
    if (n->option_count > 0) {
        diag_error(b->diag, n->options[0].value.pos, "min and max go with 'adaptive' only");
    } else if (slice_eq(w->text, SLICE("off"))) {
        up->limit.kind = LIMIT_OFF;
    } else if (conf_parse_value(b->diag, CONF_COUNT, w, &up->limit.max)) {
        up->limit.kind = LIMIT_FIXED;
        if (up->limit.max < 1)
            diag_error(b->diag, w->pos, "expected a number from 1 on, 'adaptive' or 'off'");
    }
}

static void apply_proto(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    conf_set(b->diag, n->row, &n->args[0], up);
    conf_options(b, n, up);
    up->proto_pos = n->pos;
}

/* A worker process of PHP-FPM serves nobody else while it has a connection, idle or not: such are
 * kept only when somebody has counted them. */
static void fastcgi_finish(struct conf_build *b, struct upstream *up)
{
    bool said = up->proto_pos.line > 0;
    if (up->fastcgi && said && up->proto_word != PROTO_FASTCGI)
        diag_error(b->diag, up->proto_pos, "these servers are spoken to by FastCGI");
    up->fastcgi |= up->proto_word == PROTO_FASTCGI;
    if (!up->fastcgi)
        return;
    if (up->tls)
        diag_error(b->diag, up->tls_pos, "FastCGI goes without TLS");
    if (!up->keepalive_said)
        up->keepalive_count = CONF_OFF;
}

void upstream_proto_finish(struct conf_build *b, struct upstream *up)
{
    static const uint8_t ways[] = {[PROTO_H1] = UPSTREAM_ALONE,
                                   [PROTO_H2C] = UPSTREAM_SHARES,
                                   [PROTO_H2] = UPSTREAM_SHARES,
                                   [PROTO_AUTO] = UPSTREAM_ASKS,
                                   [PROTO_FASTCGI] = UPSTREAM_ALONE};
    fastcgi_finish(b, up);
    up->proto = ways[up->proto_word];
    if (up->proto_word == PROTO_H2C && up->tls) {
        diag_error(b->diag, up->proto_pos, "h2c is HTTP/2 without TLS, but there is `tls`");
        diag_hint(b->diag, "write 'proto h2'");
    } else if (up->proto_word == PROTO_H2 && !up->tls) {
        diag_error(b->diag, up->proto_pos, "h2 is HTTP/2 over TLS, but there is no `tls`");
        diag_hint(b->diag, "write 'proto h2c', or add `tls`");
    } else if (up->proto_word == PROTO_AUTO && !up->tls) {
        up->proto = UPSTREAM_ALONE; /* nobody to ask */
    }
}

static void apply_timeout(struct conf_build *b, void *scope, const struct conf_node *n)
{
    conf_options(b, n, scope);
}

const struct directive upstream_rows[] = {
    {.name = "upstream",
     .where = IN_TOP,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .block_due = true,
     .opens = IN_UPSTREAM,
     .apply = apply_upstream,
     .usage = "NAME { ... }",
     .text = "A named group of servers, for use by `proxy NAME` in any number of sites and routes.",
     .example = "upstream app {\n    server 10.0.0.1:8080\n    server 10.0.0.2:8080 weight=2\n}"},
    {.name = "server",
     .where = IN_SERVERS,
     .repeat = true,
     .args_min = 1,
     .args_max = 1,
     .options = server_options,
     .apply = apply_server,
     .usage = "ADDRESS [weight=N] [max_conns=N] [zone=NAME] [backup] [disabled] [drain]",
     .text = "One server: `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or "
             "`unix:/run/app.sock`. Without a port it is 80, with `tls` 443, for FastCGI 9000. A "
             "name is looked up "
             "in the background "
             "and again whenever its TTL ends; weir also starts when it does not resolve.",
     .example = "server 10.0.0.2:8080 weight=2 max_conns=100"},
    {.name = "servers",
     .where = IN_SERVERS,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .apply = apply_servers,
     .usage = "ADDRESS...",
     .text = "Several servers without options in one line.",
     .example = "servers 10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080"},
    {.name = "balance",
     .where = IN_SERVERS,
     .args_min = 1,
     .args_max = 255,
     .def = BALANCER_DEFAULT,
     .apply = apply_balance,
     .usage = "two_choices | least_time | least_conn | round_robin | random | first | "
              "hash KEY [OPTION=VALUE] | ring KEY [OPTION=VALUE...] | source_ip [OPTION=VALUE...]",
     .text =
         "How a server is chosen.\n\n"
         "- `two_choices`: the better of two that are drawn at random by weight, by requests in "
         "flight and time to the first byte. Even, quick, and it spares slow servers.\n"
         "- `least_time`: the one with the least product of time to the first byte and requests "
         "in flight for its weight.\n"
         "- `least_conn`: the one with the fewest requests in flight for its weight.\n"
         "- `round_robin`: each in turn, as often as its weight says.\n"
         "- `random`: any, as often as its weight says.\n"
         "- `first`: the first in the file that is below its `max_conns`.\n"
         "- `hash KEY` (or `maglev KEY`): the same key to the same server, such as `$path` or "
         "`${cookie.user}`. When a server comes or goes only about its share of the keys moves. "
         "`bound` (default 125%) is how much more than the average load a server may get before "
         "keys move on; `bound=off`: never.\n"
         "- `ring KEY`: as `hash`, by a consistent hash ring: exactly the keys of a server that "
         "comes or goes move, but shares are less even. `replicas` (default 160) is the number "
         "of points for each unit of weight; `bound` as above.\n"
         "- `source_ip`: as `hash $client_ip`; `prefix4` (default 32) and `prefix6` (default 64) "
         "are how many bits of the address count; `bound` as above.\n\n"
         "With more than 32 servers `least_conn` and `least_time` look at four drawn by weight "
         "instead of all.",
     .example = "balance hash $path bound=150%"},
    {.name = "prefer_zone",
     .where = IN_SERVERS,
     .type = CONF_STRING,
     .offset = offsetof(struct upstream, zone),
     .usage = "NAME",
     .text = "Where weir itself stands. Servers with the same `zone` get the requests; others only "
             "what those can not take: all of it when every near server is out or full, and a "
             "fitting part, by chance, when fewer than 70 % of them (by weight) are left, so that "
             "the rest is not overloaded. Servers marked `backup` come after both.",
     .example = "prefer_zone eu-1a"},
    {.name = "slow_start",
     .where = IN_SERVERS,
     .type = CONF_TIME,
     .off_ok = true,
     .offset = offsetof(struct upstream, slow_start_ms),
     .min = 1,
     .max = HOUR_MS,
     .def = "off",
     .usage = "TIME|off",
     .text =
         "A server that comes back gets a tenth of its share at first and more and more of it "
         "during this time: after it was left out, disabled or drained, or when it is added to "
         "an upstream that was there before. While no other server can serve it gets everything.",
     .example = "slow_start 30s"},
    {.name = "keepalive",
     .where = IN_SERVERS,
     .type = CONF_COUNT,
     .off_ok = true,
     .offset = offsetof(struct upstream, keepalive_count),
     .min = 1,
     .max = 8192,
     .def = "1000",
     .options = keepalive_options,
     .apply = apply_keepalive,
     .usage = "COUNT [idle=TIME] | off",
     .text =
         "Connections that stay open for later requests, for each worker and server. As many are "
         "kept as were in use at once in the last minute or so, at most COUNT. What can not be "
         "sent twice (POST, PATCH, anything with a body) takes only one that was idle for at most "
         "a second, in case the server is just about to close it. `off` opens a connection for "
         "every request, as do FastCGI servers without this line: a process of PHP-FPM serves "
         "nobody else while it has a connection, so all workers together must keep fewer than "
         "there are processes.",
     .example = "keepalive 64 idle=30s"},
    {.name = "proto",
     .where = IN_SERVERS,
     .type = CONF_CHOICE,
     .choices = protos,
     .offset = offsetof(struct upstream, proto_word),
     .args_min = 1,
     .args_max = 1,
     .def = "h1",
     .options = proto_options,
     .apply = apply_proto,
     .usage = "h1|h2c|h2|auto|fastcgi [streams=N]",
     .text = "How these servers are spoken to.\n\n"
             "- `h1`: HTTP/1.1, a connection for each request that is under way.\n"
             "- `h2c`: HTTP/2 without TLS. The servers have to know it: nothing is negotiated.\n"
             "- `h2`: HTTP/2 over TLS; a server that does not agree to it is an error.\n"
             "- `auto`: over TLS what the server prefers of both, else HTTP/1.1.\n"
             "- `fastcgi`: FastCGI, a connection for each request that is under way. Such an "
             "upstream is for `fastcgi NAME`.\n\n"
             "With HTTP/2 many requests share a connection. What a server says that it did not "
             "process (it goes away, or refuses a stream) is sent again over another one. "
             "`max_conns` then counts requests under way, and `keepalive off` closes a connection "
             "once nothing is under way on it.",
     .example = "proto h2c streams=250"},
    {.name = "queue",
     .where = IN_SERVERS,
     .type = CONF_COUNT,
     .off_ok = true,
     .offset = offsetof(struct upstream, queue_count),
     .min = 1,
     .max = 100000,
     .def = "1000",
     .options = queue_options,
     .apply = apply_queue,
     .usage = "COUNT [timeout=TIME] | off",
     .text =
         "How many requests of a worker may wait while every server is at its `max_conns`, or the "
         "upstream at its `concurrency`; more are answered with 503 and `Retry-After` at once. "
         "`off`: none waits. Requests with a higher `priority` leave the queue first, those of "
         "the same one in the order in which they came. Only a queue that was not empty for a "
         "tenth of `timeout` turns that round: the newest are served first then, and while new "
         "ones come, those that waited for a quarter of it are refused.",
     .example = "queue 200 timeout=5s"},
    {.name = "concurrency",
     .where = IN_SERVERS,
     .args_min = 1,
     .args_max = 1,
     .def = "adaptive",
     .options = concurrency_options,
     .apply = apply_concurrency,
     .usage = "COUNT | adaptive [min=N] [max=N] | off",
     .text =
         "How many requests the servers together may work on at once, over all workers: those "
         "whose answer has not begun. Others wait (see `queue`).\n\n"
         "- `adaptive`: no limit while the servers answer as they usually do. When the time to "
         "the first byte is clearly above that (twice, and by more than 10 ms, for at least "
         "three quarters of the answers), and more than `min` requests are under way, fewer and "
         "fewer are let through until it is not. Servers that are overloaded stay quick that "
         "way, and do as much as they can. Where fewer requests at once make nothing quicker the "
         "limit is lifted, and the new time is the usual one.\n"
         "- A number: that many.\n"
         "- `off`: no limit. For long polling, where the time says nothing about the servers.",
     .example = "concurrency adaptive min=50 max=2000"},
    {.name = "retry",
     .where = IN_SERVERS,
     .type = CONF_COUNT,
     .off_ok = true,
     .offset = offsetof(struct upstream, retry.tries),
     .min = 1,
     .max = 16,
     .def = "2",
     .options = retry_options,
     .apply = apply_retry,
     .usage = "COUNT [on=502,503,504] [budget=PERCENT] | off",
     .text =
         "How often a request that failed is sent to another server. Tried again is what cannot "
         "have done anything: a connection that could not be opened, and, for idempotent requests "
         "whose body was not sent yet, a reused connection that turned out to be dead and the "
         "statuses given by `on`.",
     .example = "retry 2 on=502,503,504 budget=20%"},
    {.name = "hedge",
     .where = IN_SERVERS,
     .args_max = 1,
     .def = "off",
     .options = hedge_options,
     .apply = apply_hedge,
     .usage = "[after=TIME|p95] [budget=PERCENT] | off",
     .text =
         "Sends a request whose answer does not begin in time to a second server, too. The first "
         "answer wins, the other request is cancelled. It cuts off the slowest answers for a few "
         "more requests. Only for idempotent requests without a body.",
     .example = "hedge after=50ms budget=5%"},
    {.name = "eject",
     .where = IN_SERVERS,
     .args_max = 1,
     .options = eject_options,
     .apply = apply_eject,
     .usage = "[after=N] [for=TIME] [max=TIME] [rate=PERCENT] [slow=TIMES] [OPTION=VALUE...] | off",

     .text =
         "Takes a server out of use for a while when requests to it fail several times in a row. "
         "Afterwards one request at a time tries it while the others go elsewhere: when that is "
         "answered the server serves as before, when it fails the server is out again, for longer. "
         "One request that succeeds wipes the slate. A server is taken out, too, when many of its "
         "requests fail while those of the others do not, or when it is much slower. When every "
         "server is out they are used all the same, because trying is better than refusing.",
     .example = "eject after=3 for=10s max=5m"},
    {.name = "timeout",
     .where = IN_SERVERS,
     .repeat = true,
     .options = timeout_options,
     .apply = apply_timeout,
     .usage = "[connect=TIME] [first_byte=TIME] [read=TIME] [send=TIME]",
     .text = "Time limits for these servers, instead of those of the site.",
     .example = "timeout connect=2s first_byte=10s"},
    {.name = "tls",
     .where = IN_SERVERS,
     .options = upstream_tls_options,
     .apply = upstream_tls_apply,
     .usage = "[verify=on|off] [ca=FILE] [name=HOST] [cert=FILE key=FILE] [OPTION=VALUE...]",
     .text = "Speaks TLS with these servers, as `proxy https://HOST` does. Their certificates are "
             "verified. A request to a server that does not pass is answered with 502; the log "
             "says what did not verify.",
     .example = "tls name=app.internal min=1.3"},
    {0}};
