/* limit_fields.c - what a response tells of limits: RateLimit-Policy and RateLimit
 * (draft-ietf-httpapi-ratelimit-headers), and Retry-After when it is a refusal (RFC 9110 10.2.3).
 * The server's own RateLimit fields stay beside them: both are lists. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/limit_priv.h"

static const int64_t SECOND_NS = 1000000000;

static long long seconds_up(int64_t ns)
{
    return (ns + SECOND_NS - 1) / SECOND_NS;
}

static enum err field_add(struct exchange *x, struct slice name, struct slice value)
{
    return value.at ? headers_add(&x->res.headers, &x->arena, name, value) : ERR_OVER_BUDGET;
}

static enum err line_add(struct exchange *x, const struct limit_line *l, int64_t left,
                         int64_t full_ns)
{
    struct slice now = arena_printf(&x->arena, "\"%.*s\";r=%lld;t=%lld", SLICE_ARG(l->name),
                                    (long long)left, seconds_up(full_ns));
    TRY(field_add(x, SLICE("RateLimit-Policy"), l->policy));
    return field_add(x, SLICE("RateLimit"), now);
}

static enum err retry_after_set(struct exchange *x, int64_t ns)
{
    struct slice value = arena_printf(&x->arena, "%lld", seconds_up(ns));
    return value.at ? headers_set(&x->res.headers, &x->arena, SLICE("Retry-After"), value)
                    : ERR_OVER_BUDGET;
}

enum err limit_fields_add(struct exchange *x, const struct limit_lines *c,
                          const struct limit_state *s)
{
    for (uint32_t i = 0; i < s->passed; i++) {
        const struct limit_line *l = c->lines[i];
        if (l->requests && !l->quiet && !l->dry_run)
            TRY(line_add(x, l, s->rates[i].left, s->rates[i].full_ns));
    }
    return s->refused ? retry_after_set(x, s->retry_ns) : ERR_OK;
}
