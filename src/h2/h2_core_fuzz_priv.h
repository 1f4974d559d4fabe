/* h2_core_fuzz_priv.h - what holds for all bytes that come on a connection of HTTP/2; run by the
 * fuzzer on made-up bytes and by a unit test on the corpus. The first byte tells what comes before
 * the rest: 'p' the preface and SETTINGS, else nothing.
 *
 * The session of this file decodes what it gets, answers what ended, and takes every byte. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "h2/h2_core.h"
#include "h2/h2_fields.h"
#include "http/uri.h"
#include <stddef.h>
#include <stdlib.h>

/* Small, and its memory is there: to clear it would take longer than the run. More input than that
 * teaches nothing. */
enum { FUZZ_OUT_BYTES = 1 << 18, FUZZ_IN_BYTES = 16384 };

struct fuzz_stream {
    struct h2_stream flow;
    struct fuzz_stream *next;
    bool final; /* towards servers: the final head has come */
};

struct fuzz_session {
    struct h2_core core;
    void (*headers)(struct fuzz_session *s, const struct h2_event *ev);
    void (*ended)(struct fuzz_session *s); /* a stream has ended; NULL: nobody minds */
    struct fuzz_stream *all;
    bool going; /* GOAWAY has come */
    uint64_t data_bytes;
    size_t out_len;
    char out[FUZZ_OUT_BYTES];
};

static const struct stream_limits fuzz_h2_limits = {
    .head_bytes = 8192, .line_bytes = 2048, .header_count = 50, .trailer_bytes = 2048};

static inline char *fuzz_room(struct h2_core *c, size_t len)
{
    struct fuzz_session *s = CONTAINER_OF(c, struct fuzz_session, core);
    if (s->out_len + len > FUZZ_OUT_BYTES)
        return NULL;
    s->out_len += len;
    return s->out + s->out_len - len;
}

/* Nothing that HTTP/1 could read in another way is left in what was admitted. */
static inline void fuzz_message(const struct message *m)
{
    struct uri u;
    ASSERT(field_is_token(m->method_text) && m->target.len > 0 && m->authority.len > 0);
    ASSERT(uri_parse(m->target, &u) == ERR_OK);
    HEADER_EACH (it, &m->headers) {
        ASSERT(field_is_token(it->name) && field_value_valid(it->value));
        ASSERT(it->id != FIELD_CONNECTION && it->id != FIELD_TRANSFER_ENCODING);
        ASSERT(it->id != FIELD_UPGRADE && it->id != FIELD_KEEP_ALIVE);
        for (size_t i = 0; i < it->name.len; i++)
            ASSERT(it->id == FIELD_HOST || it->id == FIELD_SEC_WEBSOCKET_KEY ||
                   it->name.at[i] < 'A' || it->name.at[i] > 'Z');
    }
    struct header *host = headers_find(&m->headers, FIELD_HOST);
    ASSERT(host && slice_eq(host->value, m->authority));
    ASSERT(!headers_next(&m->headers, host));
}

/* False: the connection has to end. */
static inline bool fuzz_decode(struct fuzz_session *s, const struct h2_event *ev)
{
    struct arena a;
    struct message m;
    message_init(&m);
    arena_init(&a, 1 << 20);
    struct h2_fields f = {
        .headers = &m.headers, .arena = &a, .limits = &fuzz_h2_limits, .trailers = !ev->opens};
    enum err e =
        hpack_decode(&s->core.decoder, ev->bytes, s->core.list_bytes, &a, h2_fields_take, &f);
    if (e == ERR_OK && ev->opens && h2_request_finish(&f, &m, ev->end, 42) == ERR_OK)
        fuzz_message(&m);
    arena_release(&a);
    return !hpack_is_fatal(e);
}

static inline void fuzz_headers(struct fuzz_session *s, const struct h2_event *ev)
{
    if (!fuzz_decode(s, ev)) {
        h2_core_fail(&s->core, H2_COMPRESSION_ERROR);
        return;
    }
    if (!ev->opens)
        return;
    if (ev->bytes.len % 7 == 6) {
        h2_core_refuse(&s->core, ev->id, H2_REFUSED_STREAM);
        return;
    }
    struct fuzz_stream *st = calloc(1, sizeof *st);
    ASSERT(st);
    st->next = s->all;
    s->all = st;
    h2_core_open(&s->core, &st->flow, ev);
    if (ev->end && ev->bytes.len % 2)
        h2_core_ended(&s->core, &st->flow);
    else if (ev->bytes.len % 5 == 4)
        h2_core_reset(&s->core, &st->flow, H2_NO_ERROR);
    else
        (void)!h2_core_data(&s->core, &st->flow, h2_core_may_send(&s->core, &st->flow), false);
}

static inline void fuzz_event(struct fuzz_session *s, const struct h2_event *ev)
{
    switch (ev->kind) {
    case H2_EV_HEADERS: s->headers(s, ev); break;
    case H2_EV_DATA:
        s->data_bytes += ev->bytes.len;
        h2_core_consumed(&s->core, ev->stream, (uint32_t)ev->bytes.len);
        break;
    case H2_EV_RESET: ASSERT(ev->stream && !ev->stream->listed && ev->err); break;
    case H2_EV_FAILED: ASSERT(ev->err); break;
    case H2_EV_GOAWAY: s->going = true; break;
    default: break;
    }
    bool over = ev->stream && !ev->stream->listed && ev->kind != H2_EV_WINDOW;
    if (over && s->ended && !h2_core_failed(&s->core))
        s->ended(s);
    ASSERT(s->core.open_count <= H2_STREAMS_MAX);
    ASSERT(s->core.recv_window >= 0 && s->core.recv_window <= H2_CONN_WINDOW_MAX_BYTES);
    ASSERT(s->core.stash_len <= s->core.stash_cap);
    ASSERT(s->core.block_len <= H2_BLOCK_MAX_BYTES);
}

static inline void fuzz_run(struct fuzz_session *s, struct slice all, size_t step)
{
    while (all.len && !h2_core_failed(&s->core)) {
        struct slice in = slice_head(all, step);
        struct h2_event ev;
        all = slice_from(all, in.len);
        do {
            h2_core_next(&s->core, &in, &ev);
            fuzz_event(s, &ev);
        } while (ev.kind != H2_EV_MORE && ev.kind != H2_EV_FAILED);
        ASSERT(in.len == 0 || ev.kind == H2_EV_FAILED);
    }
}

/* Everything but its output, which nobody reads beyond out_len. */
static inline void fuzz_clear(struct fuzz_session *s)
{
    memset(s, 0, offsetof(struct fuzz_session, out));
}

static inline void fuzz_begin(struct fuzz_session *s, bool with_preface, struct slice rest,
                              size_t step)
{
    static const char settings[H2_FRAME_HEAD_BYTES] = {0, 0, 0, H2_SETTINGS};
    fuzz_clear(s);
    s->headers = fuzz_headers;
    h2_core_init(&s->core, H2_SERVER, fuzz_h2_limits.head_bytes, fuzz_room);
    h2_core_start(&s->core);
    if (with_preface) {
        fuzz_run(s, (struct slice){h2_preface, H2_PREFACE_BYTES}, step);
        fuzz_run(s, (struct slice){settings, sizeof settings}, step);
        ASSERT(!h2_core_failed(&s->core));
    }
    fuzz_run(s, rest, step);
}

static inline void fuzz_end(struct fuzz_session *s)
{
    for (struct fuzz_stream *st = s->all, *next; st; st = next) {
        next = st->next;
        h2_core_reset(&s->core, &st->flow, H2_CANCEL);
        h2_core_close(&s->core, &st->flow);
        free(st);
    }
    ASSERT(s->core.open_count == 0);
    h2_core_release(&s->core);
}

/* What it wrote are frames, behind `at`. */
static inline void fuzz_output(const struct fuzz_session *s, size_t at)
{
    while (at < s->out_len) {
        struct h2_frame f;
        ASSERT(s->out_len - at >= H2_FRAME_HEAD_BYTES);
        h2_frame_read(s->out + at, &f);
        ASSERT(h2_frame_check(&f) == H2_NO_ERROR);
        at += H2_FRAME_HEAD_BYTES + (f.type == H2_DATA ? 0 : f.len); /* whose data are not here */
        ASSERT(at <= s->out_len);
    }
}

static inline void fuzz_equal(const struct fuzz_session *a, const struct fuzz_session *b)
{
    ASSERT(a->core.open_count == b->core.open_count && a->core.last_id == b->core.last_id);
    ASSERT(h2_core_failed(&a->core) == h2_core_failed(&b->core));
    ASSERT(h2_core_failed(&a->core) || a->data_bytes == b->data_bytes);
}

/* The reaction is the same however the bytes come. */
static inline void fuzz_h2(const void *at, size_t len)
{
    static struct fuzz_session a, b;
    if (len == 0 || len > FUZZ_IN_BYTES)
        return;
    bool with_preface = *(const char *)at == 'p';
    struct slice rest = {(const char *)at + 1, len - 1};
    fuzz_begin(&a, with_preface, rest, SIZE_MAX / 2);
    fuzz_begin(&b, with_preface, rest, 1);
    fuzz_output(&a, 0);
    fuzz_equal(&a, &b);
    fuzz_end(&a);
    fuzz_end(&b);
}
