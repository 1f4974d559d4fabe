/* condition.c - whether a `when` block holds for an exchange.
 *
 * A test is true when any value of its subject passes it (a header may have several lines), so the
 * negated operators mean "none of them". What is not there passes no test. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "proxy/client_geo.h"
#include "proxy/condition_priv.h"
#include "proxy/exchange.h"
#include "proxy/identity.h"
#include "proxy/variable.h"

static bool value_passes(const struct condition *c, struct slice value)
{
    if (!value.at)
        return false;
    if (c->op == TEST_PRESENT)
        return true;
    if (c->op == TEST_MATCH)
        return pattern_match(c->pattern, value, NULL);
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (slice_eq(c->values[i], value))
            return true;
    }
    return false;
}

static bool ip_passes(const struct condition *c, const struct addr *a)
{
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (addr_prefix_match(&c->prefixes[i], a))
            return true;
    }
    return false;
}

static bool header_passes(const struct condition *c, struct exchange *x)
{
    const struct header *h = headers_find_name(&x->req.headers, c->name);
    for (; h; h = headers_next(&x->req.headers, h)) {
        if (value_passes(c, h->value.at ? h->value : SLICE("")))
            return true;
    }
    return false;
}

static bool cookie_passes(const struct condition *c, struct exchange *x)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    for (; h; h = headers_next(&x->req.headers, h)) {
        if (value_passes(c, field_cookie(h->value, c->name)))
            return true;
    }
    return false;
}

/* Decoded; a value with broken escapes passes no test. */
static bool query_passes(const struct condition *c, struct exchange *x)
{
    struct slice raw = x->uri.has_query ? uri_query_get(x->uri.query, c->name) : SLICE_NONE;
    return raw.at && value_passes(c, uri_decode(&x->arena, raw));
}

static bool asn_passes(const struct condition *c, uint32_t asn)
{
    char text[NUM_U64_MAX_BYTES];
    return asn > 0 && value_passes(c, (struct slice){text, num_write_u64(text, asn)});
}

static bool user_passes(const struct condition *c, const struct exchange *x)
{
    return x->identity && x->identity->user.len > 0 && value_passes(c, x->identity->user);
}

static bool claim_passes(const struct condition *c, const struct exchange *x)
{
    const struct claim *it = x->identity ? claim_find(x->identity->claims, c->name) : NULL;
    while (it && !value_passes(c, it->value))
        it = claim_next(it);
    return it != NULL;
}

static bool variable_passes(const struct condition *c, struct exchange *x)
{
    char scratch[VARIABLE_WRITE_BYTES];
    return value_passes(c, variable_get(c->variable, x, c->name, scratch));
}

static struct slice proto_of(const struct exchange *x)
{
    return message_proto(&x->req);
}

static bool test_passes(const struct condition *c, struct exchange *x)
{
    switch (c->subject) {
    case SUBJECT_METHOD: return value_passes(c, x->req.method_text);
    case SUBJECT_HOST: return value_passes(c, x->host);
    case SUBJECT_PATH: return value_passes(c, x->path);
    case SUBJECT_QUERY: return value_passes(c, x->uri.has_query ? x->uri.query : SLICE_NONE);
    case SUBJECT_QUERY_ARG: return query_passes(c, x);
    case SUBJECT_HEADER: return header_passes(c, x);
    case SUBJECT_COOKIE: return cookie_passes(c, x);
    case SUBJECT_IP: return ip_passes(c, &x->client_addr);
    case SUBJECT_COUNTRY: return value_passes(c, client_geo(x)->country);
    case SUBJECT_ASN: return asn_passes(c, client_geo(x)->asn);
    case SUBJECT_SCHEME: return value_passes(c, x->client_scheme);
    case SUBJECT_PROTO: return value_passes(c, proto_of(x));
    case SUBJECT_USER: return user_passes(c, x);
    case SUBJECT_CLAIM: return claim_passes(c, x);
    case SUBJECT_VARIABLE: return variable_passes(c, x);
    }
    return false;
}

bool condition_eval(const struct condition *c, struct exchange *x)
{
    switch (c->kind) {
    case CONDITION_AND: return condition_eval(c->left, x) && condition_eval(c->right, x);
    case CONDITION_OR: return condition_eval(c->left, x) || condition_eval(c->right, x);
    case CONDITION_NOT: return !condition_eval(c->left, x);
    case CONDITION_TEST: break;
    }
    return test_passes(c, x);
}
