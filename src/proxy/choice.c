/* choice.c - the cookie that tells what was chosen: its value, and how it is read and given.
 *
 *     base64url( id, 10 bytes | time, 4 bytes | mac, 16 bytes )
 *
 * The id is HMAC-SHA256(key, "id" name), cut off: who has no key can not tell which server it is,
 * nor try addresses until one fits. The time is that of the gift in seconds, 0 where there is no
 * ttl; such values do not depend on the request and are made once. The mac is
 * HMAC-SHA256(key, "is" id time). */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/choice.h"
#include "base/base64.h"
#include "proxy/exchange.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

/* --- the value --------------------------------------------------------------------------------*/

static bool value_decode(struct slice from, uint8_t to[CHOICE_BYTES])
{
    size_t len;
    return from.len == CHOICE_CHARS && base64_read(to, &len, from, BASE64_URL);
}

static void digest(const struct choice_cookie *c, const char label[2], struct slice s,
                   uint8_t out[EVP_MAX_MD_SIZE])
{
    unsigned char text[2 + 512];
    ASSERT(s.len <= sizeof text - 2);
    memcpy(text, label, 2);
    memcpy(text + 2, s.at, s.len);
    unsigned char *done = HMAC(EVP_sha256(), c->key, sizeof c->key, text, s.len + 2, out, NULL);
    ASSERT(done);
}

static void value_make(const struct choice_cookie *c, const uint8_t id[CHOICE_ID_BYTES],
                       uint32_t time_s, uint8_t out[CHOICE_BYTES])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    memcpy(out, id, CHOICE_ID_BYTES);
    for (int i = 0; i < CHOICE_TIME_BYTES; i++)
        out[CHOICE_ID_BYTES + i] = (uint8_t)(time_s >> (24 - 8 * i));
    digest(c, "is", (struct slice){(const char *)out, CHOICE_ID_BYTES + CHOICE_TIME_BYTES}, mac);
    memcpy(out + CHOICE_ID_BYTES + CHOICE_TIME_BYTES, mac, CHOICE_MAC_BYTES);
}

static uint32_t value_time(const uint8_t bytes[CHOICE_BYTES])
{
    uint32_t t = 0;
    for (int i = 0; i < CHOICE_TIME_BYTES; i++)
        t = t << 8 | bytes[CHOICE_ID_BYTES + i];
    return t;
}

/* Is it one that we gave? */
static bool value_genuine(const struct choice_cookie *c, const uint8_t bytes[CHOICE_BYTES])
{
    uint8_t ours[CHOICE_BYTES];
    value_make(c, bytes, value_time(bytes), ours);
    return CRYPTO_memcmp(ours, bytes, CHOICE_BYTES) == 0;
}

static bool value_in_time(const struct choice_cookie *c, uint32_t time_s, int64_t unix_s,
                          bool *stale)
{
    int64_t age_s = unix_s - (int64_t)time_s;
    *stale = c->ttl_s > 0 ? age_s * 2 >= c->ttl_s : time_s != 0;
    return c->ttl_s == 0 || time_s == 0 || age_s < c->ttl_s;
}

static int32_t choice_find(const struct choice_cookie *c, const uint8_t id[CHOICE_ID_BYTES])
{
    uint32_t from = 0, to = c->count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int cmp = memcmp(c->choices[c->sorted[mid]].id, id, CHOICE_ID_BYTES);
        if (cmp == 0)
            return (int32_t)c->sorted[mid];
        if (cmp < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return CHOICE_NONE;
}

int32_t choice_value_read(const struct choice_cookie *c, struct slice value, int64_t unix_s,
                          bool *stale)
{
    uint8_t bytes[CHOICE_BYTES];
    *stale = false;
    if (!value_decode(value, bytes))
        return CHOICE_NONE;
    int32_t index = choice_find(c, bytes);
    if (index == CHOICE_NONE || !value_in_time(c, value_time(bytes), unix_s, stale) ||
        !value_genuine(c, bytes))
        return CHOICE_NONE;
    return index;
}

void choice_value_write(const struct choice_cookie *c, uint32_t index, int64_t unix_s,
                        char to[CHOICE_CHARS])
{
    uint8_t bytes[CHOICE_BYTES];
    if (c->ttl_s == 0) {
        memcpy(to, c->choices[index].value, CHOICE_CHARS);
        return;
    }
    value_make(c, c->choices[index].id, (uint32_t)unix_s, bytes);
    base64_write(to, bytes, CHOICE_BYTES, BASE64_URL);
}

/* --- what can be chosen -----------------------------------------------------------------------*/

static int by_id(const void *a, const void *b, void *choices)
{
    const struct choice *all = choices;
    return memcmp(all[*(const uint32_t *)a].id, all[*(const uint32_t *)b].id, CHOICE_ID_BYTES);
}

void choice_cookie_names(struct conf_build *b, struct choice_cookie *c, const struct slice *names,
                         uint32_t count)
{
    uint8_t id[EVP_MAX_MD_SIZE], bytes[CHOICE_BYTES];
    c->count = count;
    c->choices = ARENA_ARRAY(b->arena, struct choice, count + 1);
    c->sorted = ARENA_ARRAY(b->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        digest(c, "id", slice_head(names[i], 512), id);
        memcpy(c->choices[i].id, id, CHOICE_ID_BYTES);
        value_make(c, id, 0, bytes);
        base64_write(c->choices[i].value, bytes, CHOICE_BYTES, BASE64_URL);
        c->sorted[i] = i;
    }
    qsort_r(c->sorted, count, sizeof *c->sorted, by_id, c->choices);
}

/* --- requests ---------------------------------------------------------------------------------*/

/* Several may have the name, of other paths or other hands. */
int32_t choice_of_request(const struct choice_cookie *c, struct exchange *x, bool *stale)
{
    int64_t unix_s = x->worker->loop.unix_ms / 1000;
    const struct header *h = headers_find(&x->req.headers, FIELD_COOKIE);
    *stale = false;
    for (; h; h = headers_next(&x->req.headers, h)) {
        struct slice rest = h->value, pair;
        while (slice_cut(&rest, ';', &pair)) {
            pair = slice_trim(pair);
            size_t eq = slice_find(pair, '=');
            if (eq == pair.len || !slice_eq(slice_head(pair, eq), c->name))
                continue;
            int32_t index = choice_value_read(c, slice_from(pair, eq + 1), unix_s, stale);
            if (index != CHOICE_NONE)
                return index;
        }
    }
    return CHOICE_NONE;
}

enum err choice_strip(const struct choice_cookie *c, struct exchange *x)
{
    return own_cookie_strip(x, c->name);
}

/* --- answers ----------------------------------------------------------------------------------*/

static bool is_secure(const struct choice_cookie *c, const struct exchange *x)
{
    if (c->secure != SECURE_AUTO)
        return c->secure == SECURE_ON;
    return slice_eq(x->client_scheme, SLICE("https"));
}

enum err choice_tell(const struct choice_cookie *c, struct exchange *x, uint32_t index)
{
    char value[CHOICE_CHARS];
    choice_value_write(c, index, x->worker->loop.unix_ms / 1000, value);
    struct slice line =
        ARENA_CONCAT(&x->arena, c->name, SLICE("="), (struct slice){value, sizeof value},
                     c->attributes, is_secure(c, x) ? SLICE("; Secure") : SLICE(""));
    if (!line.at)
        return ERR_OVER_BUDGET;
    return own_cookie_set(x, line);
}
