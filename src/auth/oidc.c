/* oidc.c - see oidc.h. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/oidc.h"
#include "base/base64.h"
#include "base/rand.h"
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { PROVIDER_ARENA_BYTES = 64 << 10, RANDOM_BYTES = 32, TOKENS_MAX_S = 400 * 24 * 3600 };

static json_t *object_load(struct slice json)
{
    json_t *o = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL);
    if (o && !json_is_object(o)) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

/* A copy; .at NULL: it is not there, or the arena is spent. */
static struct slice text_of(const json_t *o, const char *name, struct arena *a)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_string(v))
        return SLICE_NONE;
    return arena_dup(a, (struct slice){json_string_value(v), json_string_length(v)});
}

static int64_t number_of(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

/* --- providers ---------------------------------------------------------------------------------
 */

static bool has_word(const json_t *list, const char *word)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i,
                       v) if (json_is_string(v) && !strcmp(json_string_value(v), word)) return true;
    return false;
}

static bool provider_fill(struct oidc_provider *p, const json_t *o)
{
    const json_t *ways = json_object_get(o, "token_endpoint_auth_methods_supported");
    p->issuer = text_of(o, "issuer", &p->arena);
    p->authorization_endpoint = text_of(o, "authorization_endpoint", &p->arena);
    p->token_endpoint = text_of(o, "token_endpoint", &p->arena);
    p->jwks_uri = text_of(o, "jwks_uri", &p->arena);
    p->end_session_endpoint = text_of(o, "end_session_endpoint", &p->arena);
    p->secret_in_body =
        has_word(ways, "client_secret_post") && !has_word(ways, "client_secret_basic");
    p->names_issuer =
        json_is_true(json_object_get(o, "authorization_response_iss_parameter_supported"));
    return p->issuer.at && p->authorization_endpoint.at && p->token_endpoint.at && p->jwks_uri.at;
}

struct oidc_provider *oidc_provider_read(struct slice json, struct text *why)
{
    json_t *o = object_load(json);
    struct oidc_provider *p = o ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        text_addf(why, "it is no JSON object");
        json_decref(o);
        return NULL;
    }
    p->refs = 1;
    arena_init(&p->arena, PROVIDER_ARENA_BYTES);
    bool whole = provider_fill(p, o);
    json_decref(o);
    if (whole)
        return p;
    text_addf(why, "issuer, authorization_endpoint, token_endpoint or jwks_uri is missing");
    oidc_provider_drop(p);
    return NULL;
}

struct oidc_provider *oidc_provider_take(struct oidc_provider *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void oidc_provider_drop(struct oidc_provider *p)
{
    if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    arena_release(&p->arena);
    free(p);
}

/* --- tokens ------------------------------------------------------------------------------------
 */

bool oidc_tokens_read(struct slice json, struct oidc_tokens *out, struct slice *error,
                      struct arena *a)
{
    json_t *o = object_load(json);
    *error = SLICE_NONE;
    *out = (struct oidc_tokens){0};
    if (!o)
        return false;
    *error = text_of(o, "error", a);
    bool good = json_is_string(json_object_get(o, "access_token")) && !error->at;
    if (good) {
        int64_t s = number_of(o, "expires_in");
        out->id_token = text_of(o, "id_token", a);
        out->refresh_token = text_of(o, "refresh_token", a);
        out->expires_in_s = s < 0 ? 0 : s > TOKENS_MAX_S ? TOKENS_MAX_S : s;
    }
    json_decref(o);
    return good;
}

/* --- logins ------------------------------------------------------------------------------------
 */

static struct slice random_text(struct arena *a)
{
    uint8_t bytes[RANDOM_BYTES];
    char text[BASE64_CHARS(RANDOM_BYTES)];
    rand_secret(bytes, sizeof bytes);
    size_t len = base64_write(text, bytes, sizeof bytes, BASE64_URL);
    return arena_dup(a, (struct slice){text, len});
}

bool oidc_login_new(struct oidc_login *l, struct slice target, int64_t ends_s, struct arena *a)
{
    *l = (struct oidc_login){.state = random_text(a),
                             .nonce = random_text(a),
                             .verifier = random_text(a),
                             .target = target,
                             .ends_s = ends_s};
    return l->state.at && l->nonce.at && l->verifier.at;
}

void oidc_login_write(const struct oidc_login *l, struct text *out)
{
    text_addf(
        out, "{\"s\":\"%.*s\",\"n\":\"%.*s\",\"v\":\"%.*s\",\"e\":%lld,\"t\":", SLICE_ARG(l->state),
        SLICE_ARG(l->nonce), SLICE_ARG(l->verifier), (long long)l->ends_s);
    text_add_json(out, l->target);
    text_add(out, SLICE("}"));
}

bool oidc_login_read(struct slice text, struct oidc_login *l, struct arena *a)
{
    json_t *o = object_load(text);
    if (!o)
        return false;
    *l = (struct oidc_login){.state = text_of(o, "s", a),
                             .nonce = text_of(o, "n", a),
                             .verifier = text_of(o, "v", a),
                             .target = text_of(o, "t", a),
                             .ends_s = number_of(o, "e")};
    json_decref(o);
    return l->state.at && l->nonce.at && l->verifier.at && l->target.at;
}

void oidc_challenge(struct slice verifier, char to[OIDC_CHALLENGE_CHARS])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    (void)EVP_Digest(verifier.at, verifier.len, digest, &len, EVP_sha256(), NULL);
    base64_write(to, digest, len, BASE64_URL);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static void member_add(struct text *out, const char *name, struct slice value)
{
    text_addf(out, ",\"%s\":", name);
    text_add_json(out, value);
}

void oidc_session_write(const struct oidc_session *s, struct text *out)
{
    text_addf(out, "{\"i\":\"%016llx\",\"e\":%lld,\"f\":%lld", (unsigned long long)s->number,
              (long long)s->ends_s, (long long)s->fresh_until_s);
    member_add(out, "s", s->subject);
    member_add(out, "u", s->user);
    if (s->refresh_token.at)
        member_add(out, "r", s->refresh_token);
    text_add(out, SLICE(",\"c\":["));
    for (const struct claim *c = s->claims; c; c = c->next) {
        text_add(out, c == s->claims ? SLICE("") : SLICE(","));
        text_add_json(out, c->name);
        text_add(out, SLICE(","));
        text_add_json(out, c->value);
    }
    text_add(out, SLICE("]}"));
}

static bool claims_read(const json_t *list, struct oidc_session *s, struct arena *a)
{
    const struct claim **end = &s->claims;
    for (size_t i = 0; i + 1 < json_array_size(list) && i < 2 * CLAIMS_MAX; i += 2) {
        const json_t *n = json_array_get(list, i), *v = json_array_get(list, i + 1);
        struct claim *c = ARENA_NEW(a, struct claim);
        if (!c || !json_is_string(n) || !json_is_string(v))
            return false;
        c->name = arena_dup(a, (struct slice){json_string_value(n), json_string_length(n)});
        c->value = arena_dup(a, (struct slice){json_string_value(v), json_string_length(v)});
        c->next = NULL;
        if (!c->name.at || !c->value.at)
            return false;
        *end = c;
        end = &c->next;
    }
    return true;
}

bool oidc_session_read(struct slice text, struct oidc_session *s, struct arena *a)
{
    json_t *o = object_load(text);
    if (!o)
        return false;
    const char *number = json_string_value(json_object_get(o, "i"));
    *s = (struct oidc_session){.number = number ? strtoull(number, NULL, 16) : 0,
                               .ends_s = number_of(o, "e"),
                               .fresh_until_s = number_of(o, "f"),
                               .subject = text_of(o, "s", a),
                               .user = text_of(o, "u", a),
                               .refresh_token = text_of(o, "r", a)};
    bool good =
        s->number != 0 && s->subject.at && s->user.at && claims_read(json_object_get(o, "c"), s, a);
    json_decref(o);
    return good;
}
