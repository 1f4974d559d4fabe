/* jwt.c - a token taken apart: header, keys, signature, claims, in this order.
 *
 * Nothing of the payload is read before the signature holds. base64url is read strictly and JSON
 * with names that come twice is refused, so that nobody reads another token out of the same text.
 */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt.h"
#include "auth/jws_priv.h"
#include "auth/jwt_priv.h"
#include "base/base64.h"
#include <jansson.h>

static const struct jwt_verdict_row rows[] = {
#define JWT_VERDICT(id, name, text) {name, text},
#include "auth/jwt_verdict.def"
#undef JWT_VERDICT
};

const struct jwt_verdict_row *jwt_verdict_row(enum jwt_verdict v)
{
    return &rows[v < JWT_VERDICTS ? v : JWT_MALFORMED];
}

/* The parts of HEADER.PAYLOAD.SIGNATURE; as they stand there. */
struct parts {
    struct slice header, payload, sig, signed_text;
};

static bool split(struct slice token, struct parts *out)
{
    struct slice rest = token;
    if (!slice_cut(&rest, '.', &out->header) || !slice_cut(&rest, '.', &out->payload) ||
        !slice_cut(&rest, '.', &out->sig) || rest.at)
        return false;
    out->signed_text = slice_head(token, out->header.len + 1 + out->payload.len);
    return true;
}

static enum jwt_verdict decode(struct slice text, struct slice *out, struct arena *a)
{
    size_t len;
    uint8_t *to = arena_alloc(a, BASE64_BYTES(text.len));
    if (!to)
        return JWT_NO_MEMORY;
    if (!base64_read(to, &len, text, BASE64_URL))
        return JWT_MALFORMED;
    *out = (struct slice){(char *)to, len};
    return JWT_GOOD;
}

/* A JSON object out of base64url. */
static enum jwt_verdict decode_object(struct slice text, json_t **out, struct arena *a)
{
    struct slice json;
    enum jwt_verdict v = decode(text, &json, a);
    if (v != JWT_GOOD)
        return v;
    json_t *object = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return JWT_MALFORMED;
    }
    *out = object;
    return JWT_GOOD;
}

/* ---- header ---- */

struct head {
    enum jwk_alg alg;
    struct slice kid; /* of the header's JSON */
};

/* RFC 7515 4.1.9: "application/" may be left out; case does not count. */
static bool is_type(const json_t *typ, struct slice wanted)
{
    struct slice s = {json_string_value(typ), json_string_length(typ)},
                 media = SLICE("application/");
    if (!s.at)
        return false;
    if (slice_eq_nocase(slice_head(s, media.len), media))
        s = slice_from(s, media.len);
    return slice_eq_nocase(s, wanted);
}

static enum jwt_verdict read_head(const json_t *o, const struct jwt_rules *rules, struct head *out)
{
    const json_t *alg = json_object_get(o, "alg"), *kid = json_object_get(o, "kid");
    struct slice name = {json_string_value(alg), json_string_length(alg)};
    if (!name.at || (kid && !json_is_string(kid)))
        return JWT_MALFORMED;
    if (!jwk_alg_find(name, &out->alg) || (rules->algs && !(rules->algs >> out->alg & 1)))
        return JWT_ALG_REFUSED;
    if (json_object_get(o, "crit"))
        return JWT_CRITICAL;
    if (rules->type.at && !is_type(json_object_get(o, "typ"), rules->type))
        return JWT_WRONG_TYPE;
    out->kid = (struct slice){json_string_value(kid), json_string_length(kid)};
    return JWT_GOOD;
}

/* ---- signature ---- */

/* When no key comes into question: is it the name, or what the keys are for? */
static enum jwt_verdict why_no_key(const struct jwk_set *keys, const struct head *h)
{
    for (uint32_t i = 0; i < keys->count; i++)
        if (h->kid.at ? keys->keys[i].kid.at && slice_eq(keys->keys[i].kid, h->kid)
                      : keys->keys[i].algs >> h->alg & 1)
            return JWT_ALG_REFUSED;
    return h->kid.at ? JWT_UNKNOWN_KEY : JWT_ALG_REFUSED;
}

static enum jwt_verdict check_signature(const struct jwk_set *keys, const struct head *h,
                                        const struct parts *p, struct arena *a)
{
    const struct jwk *k;
    uint32_t at = 0;
    struct slice sig;
    enum jwt_verdict v = decode(p->sig, &sig, a);
    for (int tried = 0; v == JWT_GOOD && tried < JWT_KEYS_TRIED; tried++) {
        if (!(k = jwk_set_next(keys, h->alg, h->kid, &at)))
            return tried ? JWT_BAD_SIGNATURE : why_no_key(keys, h);
        if (jws_check_of_set(keys, k, h->alg, p->signed_text, sig))
            return JWT_GOOD;
    }
    return v == JWT_GOOD ? JWT_BAD_SIGNATURE : v;
}

static enum jwt_verdict verify_head(const struct parts *p, const struct jwk_set *keys,
                                    const struct jwt_rules *rules, struct head *head,
                                    struct arena *a)
{
    json_t *header = NULL;
    if (p->header.len > JWT_HEADER_MAX_BYTES)
        return JWT_TOO_LARGE;
    enum jwt_verdict v = decode_object(p->header, &header, a);
    if (v == JWT_GOOD)
        v = read_head(header, rules, head);
    if (v == JWT_GOOD)
        v = check_signature(keys, head, p, a);
    json_decref(header);
    return v;
}

/* ---- payload ---- */

static enum jwt_verdict verify_claims(const struct parts *p, const struct jwt_rules *rules,
                                      int64_t now_s, struct arena *a, struct jwt *out)
{
    json_t *claims = NULL;
    enum jwt_verdict v = decode_object(p->payload, &claims, a);
    if (v == JWT_GOOD && !claims_from_json(&out->claims, claims, a))
        v = JWT_TOO_MANY_CLAIMS;
    if (v == JWT_GOOD)
        v = jwt_claims_check(claims, out->claims, rules, now_s, &out->expires_s);
    json_decref(claims);
    return v;
}

enum jwt_verdict jwt_verify(struct jwt *out, struct slice token, const struct jwk_set *keys,
                            const struct jwt_rules *rules, int64_t now_s, struct arena *a)
{
    struct parts p;
    struct head head;
    struct jwt jwt = {0};
    if (token.len > JWT_MAX_BYTES)
        return JWT_TOO_LARGE;
    if (!split(token, &p))
        return JWT_MALFORMED;
    enum jwt_verdict v = verify_head(&p, keys, rules, &head, a);
    if (v == JWT_GOOD)
        v = verify_claims(&p, rules, now_s, a, &jwt);
    if (v != JWT_GOOD)
        return v;
    jwt.alg = head.alg;
    *out = jwt;
    return JWT_GOOD;
}
