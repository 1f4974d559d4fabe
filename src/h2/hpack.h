/* hpack.h - header compression for HTTP/2 (RFC 7541), pure: no I/O, no connection.
 *
 * A coder belongs to one direction of one connection and to its thread. The decoder writes what it
 * takes apart into the caller's arena, checked for nothing but HPACK itself: what names and values
 * may hold is the business of h2_fields.h. The encoder puts into the dynamic table what is likely
 * to come again: most fields at once, those that tend to change (ETag, Content-Length, ...) when
 * the same value comes a second time. Secrets (Authorization, Cookie shorter than 20 bytes,
 * Set-Cookie, ...) are marked never-indexed (7.1).
 *
 * Limits: the dynamic table never holds more than its size; a decoder refuses a block whose fields
 * take more than `list_bytes` (name + value + 32 each, RFC 9113 6.5.2), before it has stored them.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "http/message.h"

enum {
    HPACK_TABLE_BYTES = 4096,      /* default of both directions (RFC 9113 6.5.2) */
    HPACK_TABLE_MAX_BYTES = 65536, /* of an encoder, whatever the peer allows */
    HPACK_ENTRY_BYTES = 32,        /* added to each field when it is counted */
};

struct hpack_table; /* ring of fields; taken with the first one that is stored */

struct hpack_decoder {
    struct hpack_table *table; /* NULL: nothing stored yet, an idle connection pays nothing */
    uint32_t max_bytes;        /* what our SETTINGS allow */
    uint32_t size_bytes;       /* what the peer uses of that; more only after a limit() */
};

/* `max_bytes` is in our first SETTINGS, at most HPACK_TABLE_MAX_BYTES. Less than HPACK_TABLE_BYTES
 * counts from hpack_decoder_limit() on: before it knows, the peer may use the default. */
void hpack_decoder_init(struct hpack_decoder *d, uint32_t max_bytes);
void hpack_decoder_release(struct hpack_decoder *d);
/* The peer has acknowledged SETTINGS with another size: when it uses more, its next block has to
 * begin with a table size update (RFC 7541 4.2). */
void hpack_decoder_limit(struct hpack_decoder *d, uint32_t max_bytes);

struct hpack_header {
    struct slice name, value; /* in the arena (or constant): they stay */
    uint16_t id;              /* enum field_id of the name in any case; pseudo: FIELD_OTHER */
    bool never_indexed;       /* the sender wants it to be passed on so: hpack_encode_never() */
};

/* One field, in order. Not ERR_OK stops the decoding, but the rest of the block is still taken
 * through the table, which must not lose step. */
typedef enum err hpack_field(void *user, const struct hpack_header *h);

/* A whole block (HEADERS and its CONTINUATIONs put together). ERR_H2_COMPRESSION: broken, and
 * ERR_NO_MEMORY: the table is out of step; with both the connection has to end (RFC 9113 4.3).
 * So it has with ERR_H2_HEADS: a list so far over the limit that its sender is not worth the rest.
 * ERR_HEAD_TOO_LARGE: over list_bytes; the table is in step, only the request is refused.
 * ERR_OVER_BUDGET: of the arena, likewise. Else what `field` said first. */
enum err hpack_decode(struct hpack_decoder *d, struct slice block, uint32_t list_bytes,
                      struct arena *a, hpack_field *field, void *user) MUST_CHECK;

/* Takes a block that nobody wants through the table. Errors as above. */
enum err hpack_skip(struct hpack_decoder *d, struct slice block, uint32_t list_bytes) MUST_CHECK;

/* After this the table is out of step. */
static inline bool hpack_is_fatal(enum err e)
{
    return e == ERR_H2_COMPRESSION || e == ERR_NO_MEMORY || e == ERR_H2_HEADS;
}

struct hpack_encoder {
    struct hpack_table *table;
    uint32_t max_bytes;   /* what the peer's SETTINGS allow, at most HPACK_TABLE_MAX_BYTES */
    uint32_t told_bytes;  /* what the peer was told last: another max begins the next block */
    uint32_t least_bytes; /* smallest max since then: it is told first (RFC 7541 4.2) */
};

void hpack_encoder_init(struct hpack_encoder *e);
void hpack_encoder_release(struct hpack_encoder *e);
/* The peer's SETTINGS_HEADER_TABLE_SIZE. */
void hpack_encoder_limit(struct hpack_encoder *e, uint32_t bytes);

/* Most that the field can take: hpack_encode() writes no more. */
static inline size_t hpack_room(struct slice name, struct slice value)
{
    return name.len + value.len + 16;
}
/* Begins a block (table size updates) and writes one field; `to` has hpack_room() (16 for begin).
 * `name` in any case: it is written in lower case. Return how many bytes were written. No memory
 * for the table: the field goes out in place. */
size_t hpack_encode_begin(struct hpack_encoder *e, char *to);
size_t hpack_encode(struct hpack_encoder *e, char *to, enum field_id id, struct slice name,
                    struct slice value);
/* The same for a field that came never-indexed (RFC 7541 6.2.3), or that is known to be secret. */
size_t hpack_encode_never(struct hpack_encoder *e, char *to, enum field_id id, struct slice name,
                          struct slice value);
