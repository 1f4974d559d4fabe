/* hpack_nghttp2_fuzz_priv.h - for any blocks, our decoder and nghttp2's give the same verdict and
 * the same fields, and their tables hold as many bytes. Input as hpack_fuzz_priv.h. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/hpack_fuzz_priv.h"
#include <nghttp2/nghttp2.h>

enum { HPACK_PEER_TEXT_BYTES = 32768 }; /* below what nghttp2 refuses: 65536 of a string */

/* What nghttp2 makes of the block, compared field by field. False: it is broken. */
static inline bool hpack_peer_block(nghttp2_hd_inflater *theirs, struct slice block,
                                    const struct hpack_fuzz *f, size_t *count)
{
    const uint8_t *at = (const uint8_t *)block.at, *end = at + block.len;
    for (int flags = 0; !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
        nghttp2_nv nv;
        flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(theirs, &nv, &flags, at, (size_t)(end - at), 1);
        if (n < 0)
            return false;
        at += n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            continue;
        size_t i = (*count)++;
        if (i >= f->count)
            continue;
        ASSERT(slice_eq(f->fields[i].name, (struct slice){(const char *)nv.name, nv.namelen}));
        ASSERT(slice_eq(f->fields[i].value, (struct slice){(const char *)nv.value, nv.valuelen}));
        ASSERT(f->fields[i].never_indexed == !!(nv.flags & NGHTTP2_NV_FLAG_NO_INDEX));
    }
    nghttp2_hd_inflate_end_headers(theirs);
    return true;
}

static inline bool hpack_peer_agrees(struct hpack_fuzz *f, nghttp2_hd_inflater *theirs,
                                     struct slice block)
{
    struct arena a;
    size_t count = 0;
    arena_init(&a, SIZE_MAX);
    f->count = f->bytes = 0;
    enum err e = hpack_decode(&f->decoder, block, HPACK_FUZZ_LIST_BYTES, &a, hpack_fuzz_take, f);
    if (e == ERR_H2_HEADS) { /* they have no such limit */
        arena_release(&a);
        return false;
    }
    bool good = hpack_peer_block(theirs, block, f, &count);
    ASSERT(good == (e != ERR_H2_COMPRESSION));
    bool whole = e == ERR_OK; /* else the list may have been over its limit before it broke */
    ASSERT(whole ? count == f->count : count >= f->count);
    arena_release(&a);
    if (good)
        ASSERT(nghttp2_hd_inflate_get_dynamic_table_size(theirs) ==
               hpack_table_bytes(f->decoder.table));
    return good;
}

/* How many blocks were good to both. */
static inline size_t hpack_nghttp2_fuzz(const void *at, size_t len)
{
    struct hpack_fuzz *f = calloc(1, sizeof *f);
    nghttp2_hd_inflater *theirs;
    struct slice rest = {at, len < HPACK_PEER_TEXT_BYTES ? len : HPACK_PEER_TEXT_BYTES}, block;
    f->table_bytes = hpack_fuzz_table_bytes(&rest);
    hpack_decoder_init(&f->decoder, f->table_bytes);
    ASSERT(nghttp2_hd_inflate_new(&theirs) == 0);
    ASSERT(nghttp2_hd_inflate_change_table_size(theirs, f->table_bytes) == 0);
    while (hpack_fuzz_next(&rest, &block) && hpack_peer_agrees(f, theirs, block))
        f->good_blocks++;
    size_t good = f->good_blocks;
    hpack_decoder_release(&f->decoder);
    nghttp2_hd_inflate_del(theirs);
    free(f);
    return good;
}
