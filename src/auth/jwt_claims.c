/* jwt_claims.c - the registered claims of RFC 7519 4.1 against the rules. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt_priv.h"
#include <math.h>

struct claims {
    const json_t *object;
    const struct claim *flat;
    const struct jwt_rules *rules;
    int64_t now_s;
};

/* 2^53: numbers beyond it are not exact in JSON, and no date. */
static const double DATE_MAX = 9007199254740992.0;

static const json_t *find(const struct claims *c, const char *name)
{
    return json_object_get(c->object, name);
}

static bool in_list(const json_t *v, const struct jwt_list *list)
{
    struct slice s = {json_string_value(v), json_string_length(v)};
    for (uint32_t i = 0; s.at && i < list->count; i++)
        if (slice_eq(s, list->at[i]))
            return true;
    return false;
}

/* A NumericDate, which may have a fraction. False: it is there and none. *out stays when it is not
 * there. */
static bool date_of(const struct claims *c, const char *name, double *out)
{
    const json_t *v = find(c, name);
    double d = json_number_value(v);
    if (v && (!json_is_number(v) || !isfinite(d) || d < 0 || d > DATE_MAX))
        return false;
    if (v)
        *out = d;
    return true;
}

static enum jwt_verdict check_dates(const struct claims *c, int64_t *expires_s)
{
    double now = (double)c->now_s, leeway = c->rules->leeway_s;
    double exp = INFINITY, nbf = -INFINITY, iat = NAN;
    *expires_s = INT64_MAX;
    if (!date_of(c, "exp", &exp) || !date_of(c, "nbf", &nbf) || !date_of(c, "iat", &iat))
        return JWT_MALFORMED;
    if ((isinf(exp) && !c->rules->without_expiry) || (isnan(iat) && c->rules->age_max_s))
        return JWT_MISSING_CLAIM;
    if (c->rules->age_max_s && iat + c->rules->age_max_s < exp)
        exp = iat + c->rules->age_max_s;
    if (now >= exp + leeway)
        return JWT_EXPIRED;
    if (now + leeway < nbf || (!isnan(iat) && now + leeway < iat))
        return JWT_NOT_YET;
    if (!isinf(exp))
        *expires_s = (int64_t)exp;
    return JWT_GOOD;
}

static enum jwt_verdict check_issuer(const struct claims *c)
{
    const json_t *iss = find(c, "iss");
    if (c->rules->issuers.count == 0)
        return JWT_GOOD;
    if (!iss)
        return JWT_MISSING_CLAIM;
    return in_list(iss, &c->rules->issuers) ? JWT_GOOD : JWT_WRONG_ISSUER;
}

/* One string, or a list of them. */
static enum jwt_verdict check_audience(const struct claims *c)
{
    const json_t *aud = find(c, "aud");
    if (c->rules->audiences.count == 0)
        return JWT_GOOD;
    if (!aud)
        return JWT_MISSING_CLAIM;
    if (in_list(aud, &c->rules->audiences))
        return JWT_GOOD;
    for (size_t i = 0; i < json_array_size(aud); i++)
        if (in_list(json_array_get(aud, i), &c->rules->audiences))
            return JWT_GOOD;
    return JWT_WRONG_AUDIENCE;
}

static enum jwt_verdict check_subject(const struct claims *c)
{
    const struct jwt_list one = {&c->rules->subject, 1};
    if (!c->rules->subject.at)
        return JWT_GOOD;
    if (!find(c, "sub"))
        return JWT_MISSING_CLAIM;
    return in_list(find(c, "sub"), &one) ? JWT_GOOD : JWT_WRONG_SUBJECT;
}

static enum jwt_verdict check_required(const struct claims *c)
{
    for (uint32_t i = 0; i < c->rules->required.count; i++)
        if (!claim_find(c->flat, c->rules->required.at[i]))
            return JWT_MISSING_CLAIM;
    return JWT_GOOD;
}

enum jwt_verdict jwt_claims_check(const json_t *claims, const struct claim *flat,
                                  const struct jwt_rules *rules, int64_t now_s, int64_t *expires_s)
{
    static enum jwt_verdict (*const CHECKS[])(const struct claims *) = {
        check_issuer, check_audience, check_subject, check_required};
    const struct claims c = {claims, flat, rules, now_s};
    enum jwt_verdict v = check_dates(&c, expires_s);
    for (size_t i = 0; v == JWT_GOOD && i < sizeof CHECKS / sizeof *CHECKS; i++)
        v = CHECKS[i](&c);
    return v;
}
