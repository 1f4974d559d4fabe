/* fcgi_fuzz_priv.h - what holds for all bytes that are read as FastCGI; run by the fuzzer on
 * made-up bytes and by a unit test on the corpus. The first byte says as what the rest is read: 'r'
 * records, 'h' the head of an answer, 'H' of one to HEAD. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "fcgi/cgi_head.h"
#include "fcgi/fcgi_record.h"
#include <stdlib.h>

static const struct stream_limits fuzz_limits = {.head_bytes = 4096, .header_count = 32};

/* What came out of records, by kind. */
struct fuzz_out {
    char *out, *err;
    size_t out_len, err_len, ends;
    struct fcgi_reader r;
};

static inline void fuzz_piece(struct fuzz_out *o, const struct fcgi_piece *p)
{
    if (p->kind == FCGI_PIECE_OUT) {
        ASSERT(p->bytes.len > 0 && p->bytes.len <= FCGI_CONTENT_MAX);
        memcpy(o->out + o->out_len, p->bytes.at, p->bytes.len);
        o->out_len += p->bytes.len;
    } else if (p->kind == FCGI_PIECE_ERR) {
        ASSERT(p->bytes.len > 0 && p->bytes.len <= FCGI_CONTENT_MAX);
        memcpy(o->err + o->err_len, p->bytes.at, p->bytes.len);
        o->err_len += p->bytes.len;
    } else {
        o->ends++;
    }
    ASSERT(o->ends <= 2);
}

static inline enum err fuzz_records_by(struct slice in, size_t step, struct fuzz_out *o)
{
    enum err e = ERR_HOLD;
    *o = (struct fuzz_out){.out = malloc(in.len + 1), .err = malloc(in.len + 1)};
    ASSERT(o->out && o->err);
    while (in.len > 0 && e == ERR_HOLD) {
        struct slice part = slice_head(in, step);
        struct fcgi_piece p;
        in = slice_from(in, step);
        while ((e = fcgi_next(&o->r, &part, &p)) == ERR_OK)
            fuzz_piece(o, &p);
        ASSERT(e == ERR_HOLD || e == ERR_ORIGIN_FASTCGI);
        ASSERT(e != ERR_HOLD || part.len == 0);
    }
    return e;
}

static inline void fuzz_out_free(struct fuzz_out *o)
{
    free(o->out);
    free(o->err);
}

/* They mean the same however they come in. */
static inline void fuzz_records(struct slice in)
{
    struct fuzz_out whole, bytes;
    enum err e = fuzz_records_by(in, in.len + 1, &whole), f = fuzz_records_by(in, 1, &bytes);
    ASSERT(e == f && whole.out_len == bytes.out_len && whole.err_len == bytes.err_len);
    ASSERT(memcmp(whole.out, bytes.out, whole.out_len) == 0);
    ASSERT(memcmp(whole.err, bytes.err, whole.err_len) == 0);
    ASSERT(whole.ends == bytes.ends && whole.r.over == bytes.r.over);
    ASSERT(whole.r.app_status == bytes.r.app_status);
    fuzz_out_free(&whole);
    fuzz_out_free(&bytes);
}

static inline enum err fuzz_head_by(struct slice in, size_t step, size_t *len)
{
    struct cgi_scan s = {0};
    for (size_t n = step; n < in.len; n += step) {
        enum err e = cgi_head_find(&s, slice_head(in, n), &fuzz_limits, len);
        if (e != ERR_HOLD)
            return e;
    }
    return cgi_head_find(&s, in, &fuzz_limits, len);
}

static inline void fuzz_message(const struct message *m, enum method method)
{
    unsigned lengths = 0;
    ASSERT(m->status >= 200 && m->status <= 599);
    ASSERT(m->reason.len == 0 || field_value_valid(m->reason));
    ASSERT(m->headers.count > 0 && m->headers.count <= fuzz_limits.header_count);
    HEADER_EACH (it, &m->headers) {
        ASSERT(field_is_token(it->name) && field_value_valid(it->value));
        ASSERT(it->id != FIELD_TRANSFER_ENCODING);
        ASSERT(!slice_eq_nocase(it->name, SLICE("status")));
        lengths += it->id == FIELD_CONTENT_LENGTH;
    }
    ASSERT(lengths <= 1);
    bool bodiless = method == METHOD_HEAD || !status_has_body(m->status);
    ASSERT(bodiless == (m->length == LENGTH_NONE));
    ASSERT(m->length != LENGTH_KNOWN || (lengths == 1 && m->content_length <= INT64_MAX));
}

static inline void fuzz_cgi_head(struct slice in, enum method method)
{
    size_t len = 0, by_byte = 0;
    struct message m;
    struct arena a;
    enum err e = fuzz_head_by(in, in.len + 1, &len), one = fuzz_head_by(in, 1, &by_byte);
    ASSERT((e == ERR_OK) == (one == ERR_OK) && len == by_byte);
    if (e != ERR_OK)
        return;
    ASSERT(len > 0 && len <= in.len && len <= fuzz_limits.head_bytes);
    arena_init(&a, 1 << 20);
    if (cgi_head_parse(slice_head(in, len), method, &a, &fuzz_limits, &m) == ERR_OK)
        fuzz_message(&m, method);
    arena_release(&a);
}

static inline void fuzz_fcgi(const void *at, size_t len)
{
    if (len == 0)
        return;
    struct slice in = {(const char *)at + 1, len - 1};
    switch (*(const char *)at) {
    case 'r': fuzz_records(in); break;
    case 'h': fuzz_cgi_head(in, METHOD_GET); break;
    case 'H': fuzz_cgi_head(in, METHOD_HEAD); break;
    default: break;
    }
}
