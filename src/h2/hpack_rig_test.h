/* hpack_rig_test.h - what HPACK's tests share: lists of fields, blocks from hex, one call to
 * encode or decode a list. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "h2/hpack.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>

enum { RIG_FIELDS_MAX = 512, RIG_BLOCK_BYTES = 1 << 18, RIG_LIST_BYTES = 1 << 20 };

struct rig_list {
    struct hpack_header at[RIG_FIELDS_MAX];
    size_t count;
    size_t stop_at; /* refuse with ERR_BAD_HEADER from this count on; 0: never */
};

struct rig {
    struct hpack_decoder decoder;
    struct hpack_encoder encoder;
    struct arena arena;
    struct rig_list list; /* of the last block */
    char block[RIG_BLOCK_BYTES];
    size_t block_len;
};

static inline struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    hpack_decoder_init(&r->decoder, HPACK_TABLE_BYTES);
    hpack_encoder_init(&r->encoder);
    arena_init(&r->arena, SIZE_MAX);
    return r;
}

static inline void rig_free(struct rig *r)
{
    hpack_decoder_release(&r->decoder);
    hpack_encoder_release(&r->encoder);
    arena_release(&r->arena);
    free(r);
}

static inline enum err rig_take(void *user, const struct hpack_header *h)
{
    struct rig_list *l = user;
    assert_true(l->count < RIG_FIELDS_MAX);
    l->at[l->count++] = *h;
    return l->stop_at && l->count >= l->stop_at ? ERR_BAD_HEADER : ERR_OK;
}

static inline enum err rig_decode_limited(struct rig *r, struct slice block, uint32_t list_bytes)
{
    arena_release(&r->arena);
    r->list.count = 0;
    char *copy = malloc(block.len ? block.len : 1); /* its ends are watched */
    memcpy(copy, block.at, block.len);
    enum err e = hpack_decode(&r->decoder, (struct slice){copy, block.len}, list_bytes, &r->arena,
                              rig_take, &r->list);
    free(copy);
    return e;
}

static inline enum err rig_decode(struct rig *r, struct slice block)
{
    return rig_decode_limited(r, block, RIG_LIST_BYTES);
}

static inline int rig_hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Spaces may stand between bytes. */
static inline struct slice rig_hex(struct rig *r, const char *hex)
{
    r->block_len = 0;
    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        int high = rig_hex_digit(*hex++);
        r->block[r->block_len++] = (char)(high << 4 | rig_hex_digit(*hex));
    }
    return (struct slice){r->block, r->block_len};
}

static inline enum err rig_decode_hex(struct rig *r, const char *hex)
{
    return rig_decode(r, rig_hex(r, hex));
}

/* The list as "name: value\n"... is `text`. */
static inline void rig_list_is(const struct rig_list *l, const char *text)
{
    char got[4096];
    size_t len = 0;
    got[0] = '\0';
    for (size_t i = 0; i < l->count; i++)
        len += (size_t)snprintf(got + len, sizeof got - len, "%.*s: %.*s\n",
                                SLICE_ARG(l->at[i].name), SLICE_ARG(l->at[i].value));
    assert_string_equal(got, text);
}

static inline void rig_begin(struct rig *r)
{
    r->block_len = hpack_encode_begin(&r->encoder, r->block);
}

static inline void rig_put(struct rig *r, struct slice name, struct slice value)
{
    size_t room = hpack_room(name, value);
    char *exact = malloc(room); /* its end is watched */
    size_t len = hpack_encode(&r->encoder, exact, field_find(name), name, value);
    assert_true(len <= room && r->block_len + len <= sizeof r->block);
    memcpy(r->block + r->block_len, exact, len);
    r->block_len += len;
    free(exact);
}

#define RIG_PUT(r, name, value) rig_put((r), slice_of(name), slice_of(value))

static inline struct slice rig_block(const struct rig *r)
{
    return (struct slice){r->block, r->block_len};
}
