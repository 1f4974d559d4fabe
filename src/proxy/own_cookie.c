/* own_cookie.c - see own_cookie.h. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/own_cookie.h"
#include "base/assert.h"
#include "conf/source.h"
#include "proxy/exchange.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* --- keys --------------------------------------------------------------------------------------*/

static void key_derive(struct slice secret, struct slice purpose, uint8_t key[OWN_COOKIE_KEY_BYTES])
{
    uint8_t out[EVP_MAX_MD_SIZE];
    unsigned char *done = HMAC(EVP_sha256(), secret.at, (int)secret.len,
                               (const unsigned char *)purpose.at, purpose.len, out, NULL);
    ASSERT(done);
    memcpy(key, out, OWN_COOKIE_KEY_BYTES);
}

/* A process that only looks which files are needed asks, too: the secret is one of them. */
bool own_cookie_key(struct conf_build *b, struct conf_pos pos, struct slice secret,
                    struct slice purpose, uint8_t key[OWN_COOKIE_KEY_BYTES])
{
    uint8_t kept[CONF_SECRET_BYTES];
    const char *why = NULL;
    if (secret.at) {
        key_derive(secret, purpose, key);
        return true;
    }
    why = b->source && b->source->secret ? b->source->secret(b->source, kept)
                                         : "nothing is kept here";
    if (why) {
        diag_error(b->diag, pos, "there is no secret to sign cookies with: %s", why);
        diag_hint(b->diag, "give one with secret=");
        return false;
    }
    key_derive((struct slice){(const char *)kept, sizeof kept}, purpose, key);
    explicit_bzero(kept, sizeof kept);
    return true;
}

/* --- requests ---------------------------------------------------------------------------------*/

struct slice own_cookie_get(const struct exchange *x, struct slice name)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    struct slice value = SLICE_NONE;
    for (; h && !value.at; h = headers_next(&x->req.headers, h))
        value = field_cookie(h->value, name);
    return value;
}

static bool pair_is(struct slice pair, struct slice name)
{
    return slice_eq(slice_head(pair, slice_find(pair, '=')), name);
}

/* The value without our pairs, in the arena; as it is when there are none. What stays is copied
 * with the blanks that it came with: the copy never needs more room than the value had. */
static enum err value_strip(struct exchange *x, struct slice name, struct slice *value)
{
    struct slice rest = *value, pair;
    bool ours = false;
    while (slice_cut(&rest, ';', &pair))
        ours |= pair_is(slice_trim(pair), name);
    if (!ours)
        return ERR_OK;
    char *to = arena_alloc(&x->arena, value->len);
    if (!to)
        return ERR_OVER_BUDGET;
    size_t len = 0;
    rest = *value;
    while (slice_cut(&rest, ';', &pair)) {
        struct slice bare = slice_trim(pair);
        if (bare.len == 0 || pair_is(bare, name))
            continue;
        if (len > 0)
            to[len++] = ';';
        memcpy(to + len, pair.at, pair.len);
        len += pair.len;
    }
    *value = slice_trim((struct slice){to, len});
    return ERR_OK;
}

enum err own_cookie_strip(struct exchange *x, struct slice name)
{
    HEADER_EACH (h, &x->req.headers) {
        if (h->id != FIELD_COOKIE)
            continue;
        size_t before = h->value.len;
        TRY(value_strip(x, name, &h->value));
        h->dead = h->value.len == 0 && before > 0;
    }
    return ERR_OK;
}

/* --- answers ----------------------------------------------------------------------------------*/

static bool is_kept_to_one(const struct headers *h)
{
    const struct header *f = headers_find(h, FIELD_CACHE_CONTROL);
    for (; f; f = headers_next(h, f))
        if (field_list_has(f->value, SLICE("private")) ||
            field_list_has(f->value, SLICE("no-store")))
            return true;
    return false;
}

enum err own_cookie_set(struct exchange *x, struct slice line)
{
    TRY(headers_add_id(&x->res.headers, &x->arena, FIELD_SET_COOKIE, line));
    if (is_kept_to_one(&x->res.headers))
        return ERR_OK;
    return headers_add_id(&x->res.headers, &x->arena, FIELD_CACHE_CONTROL, SLICE("private"));
}
