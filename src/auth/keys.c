/* keys.c - see keys.h. A table by the digest, whose bits nobody chooses; digests are compared in
 * constant time all the same. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.h"
#include "base/mem.h"
#include "base/num.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum { NAME_BYTES_MAX = 255, RATE_MAX = 1000000, BURST_MAX = 1000000 };

static const int64_t SECOND_NS = 1000000000;

struct reader {
    struct arena *arena;
    struct api_key *list; /* on the heap */
    uint32_t count, cap;
};

/* --- lines -------------------------------------------------------------------------------------
 */

static bool word_next(struct slice *rest, struct slice *word)
{
    size_t len = 0;
    *rest = slice_trim(*rest);
    while (len < rest->len && !slice_is_blank(rest->at[len]))
        len++;
    *word = slice_head(*rest, len);
    *rest = slice_from(*rest, len);
    return word->len > 0;
}

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f)
            return true;
    return false;
}

static bool digest_read(struct slice hex, uint8_t to[KEY_DIGEST_BYTES])
{
    if (hex.len != 2 * KEY_DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < KEY_DIGEST_BYTES; i++) {
        int high = num_hex_digit(hex.at[2 * i]), low = num_hex_digit(hex.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* "10r/s", "600r/m", "5r/h" */
static bool limit_read(struct slice s, struct api_key *k)
{
    static const struct {
        struct slice unit;
        int64_t seconds;
    } units[] = {{SLICE_INIT("r/s"), 1}, {SLICE_INIT("r/m"), 60}, {SLICE_INIT("r/h"), 3600}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        uint64_t n;
        if (!slice_ends(s, units[i].unit) ||
            num_parse_u64(slice_head(s, s.len - 3), &n) != ERR_OK || n == 0 || n > RATE_MAX)
            continue;
        k->step_ns = units[i].seconds * SECOND_NS / (int64_t)n;
        if (k->burst == 0)
            k->burst = (int64_t)n;
        return true;
    }
    return false;
}

static void claim_read(struct reader *r, struct slice name, struct slice value,
                       const struct claim ***end)
{
    struct claim *c = ARENA_NEW(r->arena, struct claim);
    mem_must(c, sizeof *c);
    *c = (struct claim){.name = arena_dup(r->arena, name), .value = arena_dup(r->arena, value)};
    mem_must((void *)(c->name.at && c->value.at ? c->name.at : NULL), value.len);
    **end = c;
    *end = &c->next;
}

/* NULL, or what is wrong. */
static const char *option_read(struct reader *r, struct slice word, struct api_key *k,
                               const struct claim ***end)
{
    struct slice value = word, name;
    uint64_t n;
    if (!slice_cut(&value, '=', &name) || !value.at || name.len == 0 || value.len == 0)
        return "NAME=TEXT is due behind the hash";
    if (slice_eq(name, SLICE("limit")))
        return limit_read(value, k) ? NULL : "a limit such as 10r/s, 600r/m or 100r/h is due";
    if (!slice_eq(name, SLICE("burst"))) {
        claim_read(r, name, value, end);
        return NULL;
    }
    if (num_parse_u64(value, &n) != ERR_OK || n == 0 || n > BURST_MAX)
        return "a burst between 1 and 1000000 is due";
    k->burst = (int64_t)n;
    return NULL;
}

static const char *key_read(struct reader *r, struct slice line, struct api_key *k)
{
    struct slice name, hash, word;
    const struct claim **end = &k->claims;
    if (has_controls(line) || !word_next(&line, &name) || name.len > NAME_BYTES_MAX ||
        !word_next(&line, &hash))
        return "NAME HASH is due: 'weir new-key NAME' prints such a line";
    if (!digest_read(hash, k->digest))
        return "the hash is not SHA-256 in 64 hex digits: 'weir new-key NAME' prints one";
    while (word_next(&line, &word)) {
        const char *why = option_read(r, word, k, &end);
        if (why)
            return why;
    }
    if (k->burst > 0 && k->step_ns == 0)
        return "a burst goes with a limit";
    k->name = arena_dup(r->arena, name);
    mem_must((void *)k->name.at, name.len);
    return NULL;
}

static const char *line_read(struct reader *r, struct slice line)
{
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    line = slice_trim(line);
    if (line.len == 0 || line.at[0] == '#')
        return NULL;
    if (r->count == KEYS_MAX)
        return "one key too many";
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->list = mem_grow(r->list, r->cap * sizeof *r->list);
    }
    r->list[r->count] = (struct api_key){0};
    return key_read(r, line, &r->list[r->count++]);
}

/* --- the table ---------------------------------------------------------------------------------
 */

static uint32_t place_of(const struct api_keys *k, const uint8_t digest[KEY_DIGEST_BYTES])
{
    uint32_t at;
    memcpy(&at, digest, sizeof at);
    while (k->places[at &= k->mask] &&
           CRYPTO_memcmp(k->list[k->places[at] - 1].digest, digest, KEY_DIGEST_BYTES) != 0)
        at++;
    return at;
}

/* False: a key is there twice. */
static bool table_make(struct reader *r, struct api_keys *out)
{
    uint32_t size = 2;
    while (size < 2 * r->count)
        size *= 2;
    struct api_key *list = ARENA_ARRAY(r->arena, struct api_key, r->count + 1);
    uint32_t *places = ARENA_ARRAY(r->arena, uint32_t, size);
    mem_must(list && places ? places : NULL, size);
    if (r->count > 0)
        memcpy(list, r->list, r->count * sizeof *list);
    *out = (struct api_keys){list, places, r->count, size - 1};
    for (uint32_t i = 0; i < r->count; i++) {
        uint32_t at = place_of(out, list[i].digest);
        if (places[at])
            return false;
        places[at] = i + 1;
    }
    return true;
}

bool api_keys_read(struct slice text, struct arena *a, struct api_keys *out,
                   struct api_keys_error *e)
{
    struct reader r = {.arena = a};
    struct slice line;
    *e = (struct api_keys_error){.line = 1};
    for (; text.len > 0 && !e->why && slice_cut(&text, '\n', &line); e->line += !e->why)
        e->why = line_read(&r, line);
    if (!e->why && !table_make(&r, out))
        *e = (struct api_keys_error){0, "one key is there twice"};
    free(r.list);
    return !e->why;
}

bool api_key_digest(struct slice key, uint8_t to[KEY_DIGEST_BYTES])
{
    return EVP_Digest(key.at, key.len, to, NULL, EVP_sha256(), NULL) == 1;
}

const struct api_key *api_keys_find(const struct api_keys *k, struct slice key)
{
    uint8_t digest[KEY_DIGEST_BYTES];
    if (key.len < KEY_MIN || key.len > KEY_MAX || k->count == 0 || !api_key_digest(key, digest))
        return NULL;
    uint32_t place = k->places[place_of(k, digest)];
    return place ? &k->list[place - 1] : NULL;
}
