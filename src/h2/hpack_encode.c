/* hpack_encode.c - writes header fields (RFC 7541 6), and decides what the peer has to remember.
 *
 * Policy, from what changes between the fields of a connection:
 * - what stands whole in a table is one index;
 * - secrets are never indexed: a table that others fill as well would betray them (7.1.3);
 * - ids of CHANGING, and names of which the table has another value, are stored only when the same
 *   value comes a second time: a table full of ETags would push out what comes with every message;
 * - all else is stored at once, but nothing that would take more than half of the table. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack.h"
#include "h2/hpack_priv.h"

enum {
    INDEXED = 0x80,
    INCREMENTAL = 0x40,
    SIZE_UPDATE = 0x20,
    NEVER = 0x10,
    IN_PLACE = 0x00,
    HUFFMAN = 0x80,
    NAME_MAX_BYTES = 128,     /* longer ones are not looked up: written plainly each time */
    COOKIE_SECRET_BYTES = 20, /* shorter cookies can be guessed byte by byte */
};

void hpack_encoder_init(struct hpack_encoder *e)
{
    hpack_huffman_init();
    hpack_static_init();
    *e = (struct hpack_encoder){NULL, HPACK_TABLE_BYTES, HPACK_TABLE_BYTES, HPACK_TABLE_BYTES};
}

void hpack_encoder_release(struct hpack_encoder *e)
{
    hpack_table_free(e->table);
    e->table = NULL;
}

void hpack_encoder_limit(struct hpack_encoder *e, uint32_t bytes)
{
    e->max_bytes = bytes < HPACK_TABLE_MAX_BYTES ? bytes : HPACK_TABLE_MAX_BYTES;
    if (e->max_bytes < e->least_bytes)
        e->least_bytes = e->max_bytes;
}

/* An integer whose prefix is the bits of `mask`, with `kind` above them (5.1). */
static inline char *int_write(char *to, uint8_t kind, uint8_t mask, size_t v)
{
    if (v < mask) {
        *to++ = (char)(kind | v);
        return to;
    }
    *to++ = (char)(kind | mask);
    for (v -= mask; v >= 0x80; v >>= 7)
        *to++ = (char)(0x80 | (v & 0x7f));
    *to++ = (char)v;
    return to;
}

static char *string_plain(char *to, struct slice s)
{
    to = int_write(to, 0, 0x7f, s.len);
    return s.len ? mempcpy(to, s.at, s.len) : to;
}

/* The code is written behind a length of one byte and moved when that needs more. */
static char *string_write(char *to, struct slice s)
{
    size_t len = hpack_huffman_encode(to + 1, s);
    if (len >= s.len)
        return string_plain(to, s);
    if (len < 0x7f) {
        *to = (char)(HUFFMAN | len);
        return to + 1 + len;
    }
    char prefix[8];
    size_t prefix_len = (size_t)(int_write(prefix, HUFFMAN, 0x7f, len) - prefix);
    memmove(to + prefix_len, to + 1, len);
    memcpy(to, prefix, prefix_len);
    return to + prefix_len + len;
}

static char *size_update_write(struct hpack_encoder *e, char *to, uint32_t bytes)
{
    e->told_bytes = bytes;
    hpack_table_resize(&e->table, bytes);
    return int_write(to, SIZE_UPDATE, 0x1f, bytes);
}

size_t hpack_encode_begin(struct hpack_encoder *e, char *to)
{
    char *at = to;
    if (e->least_bytes < e->told_bytes)
        at = size_update_write(e, at, e->least_bytes);
    if (e->max_bytes != e->told_bytes)
        at = size_update_write(e, at, e->max_bytes);
    e->least_bytes = e->max_bytes;
    return (size_t)(at - to);
}

/* Eight bytes in lower case: bit 0x20 where a byte is in A..Z. No sum carries into the next byte.
 */
static inline uint64_t lower_word(uint64_t w)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t low = w & 0x7f * each;
    uint64_t from_a = low + (0x80 - 'A') * each, past_z = low + (0x7f - 'Z') * each;
    return w | (from_a & ~past_z & ~w & 0x80 * each) >> 2;
}

static inline uint64_t load_lower(const char *at)
{
    uint64_t w;
    memcpy(&w, at, sizeof w);
    return lower_word(w);
}

/* The last word overlaps the one before. */
static inline void lower_copy(char *to, struct slice s)
{
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8)
        memcpy(to + i, &(uint64_t){load_lower(s.at + i)}, 8);
    if (s.len >= 8) {
        memcpy(to + s.len - 8, &(uint64_t){load_lower(s.at + s.len - 8)}, 8);
        return;
    }
    for (; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        to[i] = (char)(c | ((unsigned)(c - 'A') < 26) << 5);
    }
}

/* Fills all but what depends on the value. A known id spares looking at the name. */
static inline void key_of_name(struct hpack_key *k, enum field_id id, struct slice name,
                               char *scratch)
{
    k->id = (uint8_t)id;
    if (id != FIELD_OTHER) {
        k->name = field_row(id)->lower;
        k->name_static = (uint8_t)hpack_static_of_id(id);
        k->name_hash = (uint32_t)id;
        return;
    }
    lower_copy(scratch, name);
    k->name = (struct slice){scratch, name.len};
    k->name_hash = hpack_hash(k->name);
    k->name_static = (uint8_t)hpack_static_find(k->name, k->name_hash);
}

/* Index of the static row that has the value as well, or 0. */
static inline uint32_t static_match(const struct hpack_key *k)
{
    if (!k->name_static)
        return 0;
    const struct hpack_static *row = hpack_static_get(k->name_static);
    if (row->value.len == 0 && k->value.len > 0) /* as most; those with values have no empty one */
        return 0;
    for (uint32_t i = 0; i < row->same_count; i++)
        if (slice_eq(row[i].value, k->value))
            return k->name_static + i;
    return 0;
}

static bool is_secret(enum field_id id, size_t value_bytes)
{
    switch (id) {
    case FIELD_AUTHORIZATION:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_PROXY_AUTHENTICATION_INFO:
    case FIELD_SET_COOKIE: return true;
    case FIELD_COOKIE: return value_bytes < COOKIE_SECRET_BYTES;
    default: return false;
    }
}

/* Fields that tend to have another value in each message. */
#define BIT(id) ((uint64_t)1 << FIELD_##id)
static const uint64_t CHANGING = BIT(CONTENT_LENGTH) | BIT(ETAG) | BIT(LAST_MODIFIED) |
                                 BIT(LOCATION) | BIT(CONTENT_RANGE) | BIT(X_REQUEST_ID) |
                                 BIT(SEC_WEBSOCKET_KEY) | BIT(SEC_WEBSOCKET_ACCEPT);
#undef BIT

/* The same for names without an id that are in the static table. */
static bool name_changes(const struct hpack_key *k)
{
    enum { PATH = 4, AGE = 21, EXPIRES = 36, IF_MODIFIED_SINCE = 40, IF_NONE_MATCH = 41 };
    uint8_t n = k->name_static;
    return CHANGING >> k->id & 1 || n == PATH || n == AGE || n == EXPIRES ||
           n == IF_MODIFIED_SINCE || n == IF_NONE_MATCH;
}

static bool worth_storing(struct hpack_encoder *e, const struct hpack_key *k, bool name_stored)
{
    if (k->name.len + k->value.len + HPACK_ENTRY_BYTES > e->told_bytes / 2)
        return false;
    bool seen = hpack_table_seen(e->table, k->hash);
    return seen || !(name_stored || name_changes(k));
}

static char *literal_write(char *to, uint8_t kind, uint32_t name_index, const struct hpack_key *k)
{
    to = int_write(to, kind, kind == INCREMENTAL ? 0x3f : 0x0f, name_index);
    if (name_index == 0)
        to = string_write(to, k->name);
    return string_write(to, k->value);
}

static inline uint32_t field_hash(const struct hpack_key *k)
{
    uint32_t h = hpack_hash(k->value) ^ k->name_hash * 0x9e3779b1u;
    return h ^ h >> 15;
}

static char *field_write(struct hpack_encoder *e, char *to, struct hpack_key *k)
{
    uint32_t index = static_match(k);
    if (index != 0)
        return int_write(to, INDEXED, 0x7f, index);
    k->hash = field_hash(k);
    index = hpack_table_match(e->table, k);
    if (index != 0)
        return int_write(to, INDEXED, 0x7f, index);
    uint32_t name_stored = hpack_table_match_name(e->table, k);
    uint32_t name_index = k->name_static ? k->name_static : name_stored;
    bool stored = worth_storing(e, k, name_stored != 0) &&
                  hpack_table_add(&e->table, e->told_bytes, k) == ERR_OK;
    return literal_write(to, stored ? INCREMENTAL : IN_PLACE, name_index, k);
}

/* The name goes out plainly: it is not worth a copy on the stack. */
static size_t write_long_name(char *to, uint8_t kind, struct slice name, struct slice value)
{
    char *at = int_write(to, kind, 0x0f, 0);
    at = int_write(at, 0, 0x7f, name.len);
    lower_copy(at, name);
    return (size_t)(string_write(at + name.len, value) - to);
}

size_t hpack_encode_never(struct hpack_encoder *e, char *to, enum field_id id, struct slice name,
                          struct slice value)
{
    char scratch[NAME_MAX_BYTES];
    struct hpack_key k = {.value = value};
    if (id == FIELD_OTHER && name.len > NAME_MAX_BYTES)
        return write_long_name(to, NEVER, name, value);
    key_of_name(&k, id, name, scratch);
    uint32_t index = k.name_static ? k.name_static : hpack_table_match_name(e->table, &k);
    return (size_t)(literal_write(to, NEVER, index, &k) - to);
}

size_t hpack_encode(struct hpack_encoder *e, char *to, enum field_id id, struct slice name,
                    struct slice value)
{
    char scratch[NAME_MAX_BYTES];
    struct hpack_key k = {.value = value};
    if (is_secret(id, value.len))
        return hpack_encode_never(e, to, id, name, value);
    if (id == FIELD_OTHER && name.len > NAME_MAX_BYTES)
        return write_long_name(to, IN_PLACE, name, value);
    key_of_name(&k, id, name, scratch);
    return (size_t)(field_write(e, to, &k) - to);
}
