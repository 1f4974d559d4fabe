/* hpack_priv.h - the parts of HPACK below hpack.h: Huffman code, static table, dynamic table.
 *
 * Indexes are those of RFC 7541 2.3.3: 1..61 the static table, from 62 on the dynamic one, the
 * newest entry first. 0 means "none". */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "http/field.h"
#include <stdint.h>

enum {
    HPACK_STATIC_COUNT = 61,
    HPACK_HUFFMAN_SLACK = 2, /* bytes that hpack_huffman_decode() may spoil past the text */
};

/* ---- hpack_huffman.c (RFC 7541 5.2 and appendix B) ---- */

void hpack_huffman_init(void); /* once per process; cheap when done; before the others */

/* Most that `len` bytes of code can become: the shortest code has five bits. */
static inline size_t hpack_huffman_bound(size_t len)
{
    return len + len / 5 * 3 + (len % 5 * 3 + 4) / 5;
}

/* `to` has hpack_huffman_bound() + HPACK_HUFFMAN_SLACK. ERR_H2_COMPRESSION: an EOS, or padding
 * that is longer than seven bits or not of ones. */
enum err hpack_huffman_decode(char *to, struct slice code, size_t *len) MUST_CHECK;
/* Returns the length of the code when it is below s.len, else s.len. Writes up to s.len + 3. */
size_t hpack_huffman_encode(char *to, struct slice s);

/* ---- hpack_static.c (appendix A) ---- */

struct hpack_static {
    struct slice name, value;
    uint16_t id;        /* enum field_id; pseudo-header fields: FIELD_OTHER */
    uint8_t same_count; /* rows with this name from here on */
};

void hpack_static_init(void);                                /* as hpack_huffman_init() */
const struct hpack_static *hpack_static_get(uint32_t index); /* 1..61 */
uint32_t hpack_static_of_id(enum field_id id);               /* the first with its name, or 0 */
uint32_t hpack_static_find(struct slice lower_name, uint32_t hash); /* likewise; hpack_hash() */

/* Quick, not keyed, and of long texts it takes parts only: whoever uses it compares afterwards and
 * bounds the length of chains. */
uint32_t hpack_hash(struct slice s);

/* ---- hpack_table.c (2.3.2, 4) ---- */

struct hpack_entry {
    uint32_t at;   /* in the table's bytes: name (but a static one) and value */
    uint32_t hash; /* of name and value; encoder only, like all that follows to older */
    uint32_t name_hash;
    uint16_t older, name_older; /* distance to the next older entry of the chain; 0: none */
    uint16_t name_len, value_len;
    uint8_t name_static; /* index of a static row with this name, or 0 */
    uint8_t id;          /* enum field_id */
};

struct hpack_table;

/* What a table stores of a field, and what it is found by. */
struct hpack_key {
    struct slice name, value;
    uint32_t hash, name_hash;
    uint8_t name_static, id;
};

void hpack_table_free(struct hpack_table *t); /* or NULL */
uint32_t hpack_table_count(const struct hpack_table *t);
uint32_t hpack_table_bytes(const struct hpack_table *t); /* as RFC 7541 4.1 counts */

/* Evicts until `t` (or NULL) fits into `size_bytes`; the memory of an empty table goes. */
void hpack_table_resize(struct hpack_table **t, uint32_t size_bytes);

/* Evicts and adds (4.4); a field larger than the table empties it and is not stored. The slices do
 * not lie in the table. ERR_NO_MEMORY: evicted, but not stored. */
enum err hpack_table_add(struct hpack_table **t, uint32_t size_bytes,
                         const struct hpack_key *key) MUST_CHECK;

/* The entry of `index` (from 62 on), or NULL. Borrowed until the next hpack_table_*(). */
const struct hpack_entry *hpack_table_find(const struct hpack_table *t, uint32_t index);
/* Where the name and value of an entry are; what is stored of a static name is nothing. */
struct slice hpack_table_text(const struct hpack_table *t, const struct hpack_entry *e);

/* Index of the entry with this name and value, and of the newest with this name; or 0. */
uint32_t hpack_table_match(const struct hpack_table *t, const struct hpack_key *key);
uint32_t hpack_table_match_name(const struct hpack_table *t, const struct hpack_key *key);
/* Has this field come before, not long ago? Remembers it. NULL: no, and nothing is remembered. */
bool hpack_table_seen(struct hpack_table *t, uint32_t hash);
