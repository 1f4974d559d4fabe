/* hpack_fuzz_priv.h - what holds for any header blocks; run by the fuzzer on made-up bytes and by a
 * unit test on the corpus.
 *
 * The input: a byte that chooses the limits, then blocks, each behind its length (one byte; 255:
 * all that is left). A block that breaks the compression ends the connection. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "h2/hpack.h"
#include "h2/hpack_priv.h"
#include <stdlib.h>

enum { HPACK_FUZZ_FIELDS = 4096, HPACK_FUZZ_LIST_BYTES = 65536 };

struct hpack_fuzz {
    struct slice rest;
    uint32_t table_bytes;
    struct hpack_decoder decoder, refusing; /* the second refuses every list: still in step */
    struct hpack_decoder back;              /* reads what the encoder makes of it */
    struct hpack_encoder encoder;
    struct hpack_header fields[HPACK_FUZZ_FIELDS];
    size_t count, bytes;
    size_t good_blocks;
};

static inline bool hpack_fuzz_next(struct slice *rest, struct slice *block)
{
    if (rest->len == 0)
        return false;
    size_t len = (unsigned char)rest->at[0];
    *rest = slice_from(*rest, 1);
    *block = slice_head(*rest, len == 255 ? rest->len : len);
    *rest = slice_from(*rest, block->len);
    return true;
}

static inline uint32_t hpack_fuzz_table_bytes(struct slice *rest)
{
    static const uint32_t sizes[] = {4096, 8192, 65536, 5000};
    uint32_t bytes = rest->len ? sizes[rest->at[0] & 3] : 4096;
    *rest = slice_from(*rest, 1);
    return bytes;
}

static inline enum err hpack_fuzz_take(void *user, const struct hpack_header *h)
{
    struct hpack_fuzz *f = user;
    ASSERT(f->count < HPACK_FUZZ_FIELDS);
    ASSERT(h->id == (uint16_t)field_find(h->name));
    f->bytes += h->name.len + h->value.len + HPACK_ENTRY_BYTES;
    f->fields[f->count++] = *h;
    return ERR_OK;
}

static inline enum err hpack_fuzz_refuse(void *user, const struct hpack_header *h)
{
    (void)user, (void)h;
    return ERR_BAD_HEADER;
}

static inline char hpack_fuzz_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* The encoder writes names in lower case. */
static inline enum err hpack_fuzz_compare(void *user, const struct hpack_header *h)
{
    struct hpack_fuzz *f = user;
    const struct hpack_header *due = &f->fields[f->count++];
    ASSERT(h->name.len == due->name.len && slice_eq(h->value, due->value));
    for (size_t i = 0; i < h->name.len; i++)
        ASSERT(h->name.at[i] == hpack_fuzz_lower(due->name.at[i]));
    ASSERT(!due->never_indexed || h->never_indexed);
    return ERR_OK;
}

static inline size_t hpack_fuzz_put(struct hpack_fuzz *f, char *to, const struct hpack_header *h)
{
    size_t room = hpack_room(h->name, h->value);
    char *exact = malloc(room); /* its end is watched */
    size_t len = h->never_indexed ? hpack_encode_never(&f->encoder, exact, h->id, h->name, h->value)
                                  : hpack_encode(&f->encoder, exact, h->id, h->name, h->value);
    ASSERT(len <= room);
    memcpy(to, exact, len);
    free(exact);
    return len;
}

static inline void hpack_fuzz_back(struct hpack_fuzz *f)
{
    char *block = malloc(f->bytes + f->count * 16 + 16);
    size_t len = hpack_encode_begin(&f->encoder, block), count = f->count;
    for (size_t i = 0; i < count; i++)
        len += hpack_fuzz_put(f, block + len, &f->fields[i]);
    struct arena a;
    arena_init(&a, SIZE_MAX);
    f->count = 0;
    enum err e =
        hpack_decode(&f->back, (struct slice){block, len}, UINT32_MAX, &a, hpack_fuzz_compare, f);
    ASSERT(e == ERR_OK && f->count == count);
    ASSERT(hpack_table_bytes(f->back.table) == hpack_table_bytes(f->encoder.table));
    arena_release(&a);
    free(block);
}

static inline void hpack_fuzz_in_step(const struct hpack_fuzz *f)
{
    ASSERT(hpack_table_bytes(f->decoder.table) <= f->decoder.size_bytes);
    ASSERT(f->decoder.size_bytes <= f->table_bytes);
    ASSERT(f->refusing.size_bytes == f->decoder.size_bytes);
    ASSERT(hpack_table_bytes(f->refusing.table) == hpack_table_bytes(f->decoder.table));
    ASSERT(hpack_table_count(f->refusing.table) == hpack_table_count(f->decoder.table));
}

static inline enum err hpack_fuzz_block(struct hpack_fuzz *f, struct slice block)
{
    struct arena a;
    arena_init(&a, SIZE_MAX);
    f->count = f->bytes = 0;
    enum err e = hpack_decode(&f->decoder, block, HPACK_FUZZ_LIST_BYTES, &a, hpack_fuzz_take, f);
    ASSERT(e == ERR_OK || e == ERR_HEAD_TOO_LARGE || e == ERR_H2_COMPRESSION || e == ERR_H2_HEADS);
    ASSERT(f->bytes <= HPACK_FUZZ_LIST_BYTES);
    size_t count = f->count;
    if (e == ERR_OK)
        hpack_fuzz_back(f);
    arena_release(&a);
    enum err refused =
        hpack_decode(&f->refusing, block, HPACK_FUZZ_LIST_BYTES, &a, hpack_fuzz_refuse, NULL);
    ASSERT((refused == ERR_H2_COMPRESSION) == (e == ERR_H2_COMPRESSION));
    ASSERT((refused == ERR_H2_HEADS) == (e == ERR_H2_HEADS));
    ASSERT(e != ERR_OK || refused == (count ? ERR_BAD_HEADER : ERR_OK));
    arena_release(&a);
    hpack_fuzz_in_step(f);
    f->good_blocks += e == ERR_OK;
    return e;
}

/* How many blocks were good. */
static inline size_t hpack_fuzz(const void *at, size_t len)
{
    struct hpack_fuzz *f = calloc(1, sizeof *f);
    struct slice block;
    f->rest = (struct slice){at, len};
    f->table_bytes = hpack_fuzz_table_bytes(&f->rest);
    hpack_decoder_init(&f->decoder, f->table_bytes);
    hpack_decoder_init(&f->refusing, f->table_bytes);
    hpack_decoder_init(&f->back, f->table_bytes);
    hpack_encoder_init(&f->encoder);
    hpack_encoder_limit(&f->encoder, f->table_bytes);
    while (hpack_fuzz_next(&f->rest, &block) && !hpack_is_fatal(hpack_fuzz_block(f, block)))
        continue;
    size_t good = f->good_blocks;
    hpack_decoder_release(&f->decoder);
    hpack_decoder_release(&f->refusing);
    hpack_decoder_release(&f->back);
    hpack_encoder_release(&f->encoder);
    free(f);
    return good;
}
