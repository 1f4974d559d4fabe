/* choice_build.c - from the options of `sticky cookie` and `split ... sticky` to a cookie. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "proxy/choice.h"

const struct conf_choice choice_same_sites[] = {
    {"lax", SAME_SITE_LAX, "links that lead here do, parts of other pages do not"},
    {"strict", SAME_SITE_STRICT, "none of them does"},
    {"none", SAME_SITE_NONE, "all of them do; browsers want it to be `secure` then"},
    {0}};

const struct conf_choice choice_secures[] = {
    {"auto", SECURE_AUTO, "where the client came over TLS"},
    {"on", SECURE_ON, "always: TLS ends before weir"},
    {0}};

/* RFC 6265 4.1.1: no controls, no semicolons. */
static bool is_attribute(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || (unsigned char)s.at[i] >= 0x7f || s.at[i] == ';')
            return false;
    return true;
}

static bool terms_check(struct conf_build *b, struct conf_pos pos, const struct choice_terms *t)
{
    if (!field_is_token(t->name))
        diag_error(b->diag, pos, "'%.*s' is not a name for a cookie", SLICE_ARG(t->name));
    else if (t->path.len == 0 || t->path.at[0] != '/' || !is_attribute(t->path))
        diag_error(b->diag, pos, "path=%.*s: a path begins with '/'", SLICE_ARG(t->path));
    else if (!is_attribute(t->domain))
        diag_error(b->diag, pos, "domain=%.*s: a host name is due", SLICE_ARG(t->domain));
    else if (t->same_site == SAME_SITE_NONE && t->secure == SECURE_OFF)
        diag_error(b->diag, pos, "browsers refuse a cookie with samesite=none that is not secure");
    else if (t->secret.at && t->secret.len < OWN_COOKIE_SECRET_MIN)
        diag_error(b->diag, pos, "secret= has %zu characters; at least %d are due", t->secret.len,
                   OWN_COOKIE_SECRET_MIN);
    else
        return true;
    return false;
}

static struct slice attributes_make(struct conf_build *b, const struct choice_terms *t)
{
    static const char *const same_site[] = {
        [SAME_SITE_LAX] = "Lax", [SAME_SITE_STRICT] = "Strict", [SAME_SITE_NONE] = "None"};
    struct text out;
    text_init(&out);
    text_addf(&out, "; Path=%.*s", SLICE_ARG(t->path));
    if (t->domain.len > 0)
        text_addf(&out, "; Domain=%.*s", SLICE_ARG(t->domain));
    if (t->ttl_ms > 0)
        text_addf(&out, "; Max-Age=%lld", (long long)(t->ttl_ms / 1000));
    text_addf(&out, "; HttpOnly; SameSite=%s", same_site[t->same_site]);
    struct slice all = arena_dup(b->arena, text_slice(&out));
    text_release(&out);
    return all;
}

bool choice_cookie_init(struct conf_build *b, struct conf_pos pos, const struct choice_terms *t,
                        struct slice purpose, struct choice_cookie *out)
{
    *out = (struct choice_cookie){
        .name = t->name, .secure = (int8_t)t->secure, .ttl_s = t->ttl_ms / 1000};
    if (!terms_check(b, pos, t) || !own_cookie_key(b, pos, t->secret, purpose, out->key))
        return false;
    out->attributes = attributes_make(b, t);
    return true;
}
