/* h1_parse_fuzz_priv.h - what holds for all bytes that are read as HTTP/1; run by the fuzzer on
 * made-up bytes and by a unit test on the corpus. The first byte says as what the rest is read: 'q'
 * a request, 'r' a response, 'h' a response to HEAD, 'c' chunks, 't' trailers. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "h1/h1_parse.h"
#include <stdlib.h>

static const struct stream_limits fuzz_limits = {.head_bytes = 4096,
                                                 .line_bytes = 1024,
                                                 .header_count = 32,
                                                 .trailer_bytes = 512,
                                                 .chunk_ext_bytes = 64};

static inline enum err fuzz_find(struct slice in, size_t step, size_t *len)
{
    struct h1_scan s = {0};
    for (size_t n = step; n < in.len; n += step) {
        enum err e = h1_head_find(&s, slice_head(in, n), &fuzz_limits, len);
        if (e != ERR_HOLD)
            return e;
    }
    return h1_head_find(&s, in, &fuzz_limits, len);
}

/* A head ends at the same byte however it comes in. Refusals for size may come sooner or later. */
static inline enum err fuzz_head(struct slice in, size_t *len)
{
    size_t by_byte = 0, by_seven = 0;
    enum err e = fuzz_find(in, in.len + 1, len);
    enum err one = fuzz_find(in, 1, &by_byte), seven = fuzz_find(in, 7, &by_seven);
    if (e == ERR_OK)
        ASSERT(one == ERR_OK && seven == ERR_OK && by_byte == *len && by_seven == *len);
    else
        ASSERT(one != ERR_OK && seven != ERR_OK);
    return e;
}

static inline unsigned fuzz_lines(const struct headers *h, enum field_id id)
{
    unsigned lines = 0;
    for (uint32_t i = 0; i < h->count; i++)
        lines += h->at[i].id == id;
    return lines;
}

static inline void fuzz_headers(const struct headers *h)
{
    ASSERT(h->count <= fuzz_limits.header_count);
    HEADER_EACH (it, h) {
        ASSERT(field_is_token(it->name) && field_value_valid(it->value));
        ASSERT(it->id == field_find(it->name));
        ASSERT(it->hop || !(field_row((enum field_id)it->id)->traits & FIELD_HOP));
    }
}

/* What smuggling needs is not there. */
static inline void fuzz_framing(const struct message *m)
{
    unsigned lengths = fuzz_lines(&m->headers, FIELD_CONTENT_LENGTH);
    unsigned codings = fuzz_lines(&m->headers, FIELD_TRANSFER_ENCODING);
    ASSERT(lengths + codings <= 1);
    if (codings) {
        ASSERT(m->version_minor > 0);
        ASSERT(
            slice_eq_nocase(headers_get(&m->headers, FIELD_TRANSFER_ENCODING), SLICE("chunked")));
    }
    if (m->length == LENGTH_KNOWN)
        ASSERT(lengths == 1 && m->content_length <= INT64_MAX);
}

static inline void fuzz_request(struct slice in, struct arena *a)
{
    struct message m;
    size_t len;
    if (fuzz_head(in, &len) || h1_parse_request(slice_head(in, len), a, &fuzz_limits, &m))
        return;
    fuzz_headers(&m.headers);
    fuzz_framing(&m);
    ASSERT(field_is_token(m.method_text) && m.method != METHOD_CONNECT && m.target.len > 0);
    ASSERT(fuzz_lines(&m.headers, FIELD_HOST) <= 1);
    ASSERT(m.version_minor == 0 || (m.authority.len > 0 && headers_find(&m.headers, FIELD_HOST)));
    ASSERT((m.length == LENGTH_UNKNOWN) == (fuzz_lines(&m.headers, FIELD_TRANSFER_ENCODING) == 1));
    ASSERT(!m.upgrade || (m.length == LENGTH_NONE && m.upgrade_to.len > 0));
}

static inline void fuzz_response(struct slice in, enum method method, struct arena *a)
{
    struct message m;
    size_t len;
    if (fuzz_head(in, &len) || h1_parse_response(slice_head(in, len), method, a, &fuzz_limits, &m))
        return;
    fuzz_headers(&m.headers);
    fuzz_framing(&m);
    ASSERT(m.status >= 100 && m.status <= 599 && field_value_valid(m.reason));
    bool bodiless = method == METHOD_HEAD || !status_has_body(m.status);
    ASSERT(bodiless == (m.length == LENGTH_NONE));
}

/* Reads in pieces of `step`; returns the verdict, body bytes and how much was used. */
static inline enum err fuzz_chunks_by(struct slice in, size_t step, char *out, size_t *out_len,
                                      size_t *used)
{
    struct h1_chunks c;
    struct slice data;
    h1_chunks_init(&c);
    *out_len = *used = 0;
    for (;;) {
        struct slice piece = slice_head(slice_from(in, *used), step);
        size_t given = piece.len;
        enum err e = h1_chunks_next(&c, &piece, &fuzz_limits, &data);
        *used += given - piece.len;
        ASSERT(*used <= in.len);
        if (e == ERR_OK) {
            ASSERT(data.len > 0);
            memcpy(out + *out_len, data.at, data.len);
            *out_len += data.len;
        } else if (e != ERR_HOLD || *used == in.len) {
            return e;
        }
    }
}

static inline void fuzz_chunks(struct slice in)
{
    size_t lens[2], used[2];
    char *whole = malloc(in.len + 1), *bytes = malloc(in.len + 1);
    ASSERT(whole && bytes);
    enum err e = fuzz_chunks_by(in, in.len + 1, whole, &lens[0], &used[0]);
    enum err f = fuzz_chunks_by(in, 1, bytes, &lens[1], &used[1]);
    ASSERT(e == f && lens[0] == lens[1] && used[0] == used[1]);
    ASSERT(memcmp(whole, bytes, lens[0]) == 0);
    free(whole);
    free(bytes);
}

static inline void fuzz_trailers(struct slice in, struct arena *a)
{
    struct h1_scan s = {0};
    struct headers h = {0};
    size_t len;
    if (h1_trailer_find(&s, in, &fuzz_limits, &len))
        return;
    ASSERT(len <= fuzz_limits.trailer_bytes + 2);
    if (h1_parse_trailers(slice_head(in, len), a, &fuzz_limits, &h))
        return;
    fuzz_headers(&h);
    HEADER_EACH (it, &h)
        ASSERT(!(field_row((enum field_id)it->id)->traits &
                 (FIELD_HOP | FIELD_FRAMING | FIELD_NOTRAILER)));
}

static inline void fuzz_h1(const void *at, size_t len)
{
    struct arena a;
    if (len == 0)
        return;
    struct slice in = {(const char *)at + 1, len - 1};
    arena_init(&a, 1 << 20);
    switch (*(const char *)at) {
    case 'q': fuzz_request(in, &a); break;
    case 'r': fuzz_response(in, METHOD_GET, &a); break;
    case 'h': fuzz_response(in, METHOD_HEAD, &a); break;
    case 'c': fuzz_chunks(in); break;
    case 't': fuzz_trailers(in, &a); break;
    default: break;
    }
    arena_release(&a);
}
