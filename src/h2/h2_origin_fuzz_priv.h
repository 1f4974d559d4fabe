/* h2_origin_fuzz_priv.h - what holds for all bytes that a server sends on a connection of HTTP/2;
 * run by the fuzzer on made-up bytes and by a unit test on the corpus. The first byte tells what
 * comes before the rest: 's' the server's SETTINGS, else nothing.
 *
 * The session of this file has four requests under way (GET, HEAD, a POST without end, WebSocket),
 * asks again whenever one has ended, and reads answers as h2_origin_read.c does. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_core_fuzz_priv.h"
#include "h2/h2_core_priv.h"
#include "h2/h2_origin_fields.h"

enum { FUZZ_ASKED_FIRST = 4, FUZZ_ASKED_MAX = 24 };

static inline enum method fuzz_method_of(uint32_t id)
{
    static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_GET};
    return methods[id / 2 % 4];
}

static inline bool fuzz_connects(uint32_t id)
{
    return id / 2 % 4 == 3;
}

/* A head is written by the session; here only its place is taken. */
static inline void fuzz_ask(struct fuzz_session *s)
{
    struct h2_core *c = &s->core;
    if (c->last_id / 2 >= FUZZ_ASKED_MAX || s->going)
        return;
    struct fuzz_stream *st = calloc(1, sizeof *st);
    ASSERT(st);
    st->next = s->all;
    s->all = st;
    c->last_id = c->last_id ? c->last_id + 2 : 1;
    struct h2_event ev = {.id = c->last_id, .urgency = H2_URGENCY_DEFAULT};
    h2_core_open(c, &st->flow, &ev);
    enum method m = fuzz_method_of(ev.id);
    if (m == METHOD_POST)
        (void)!h2_core_data(c, &st->flow, h2_core_may_send(c, &st->flow), false);
    else if (!fuzz_connects(ev.id))
        h2_core_ended(c, &st->flow);
}

/* Nothing that HTTP/1 could read in another way is left in what was admitted. */
static inline void fuzz_response(const struct message *m)
{
    ASSERT(m->status >= 100 && m->status <= 999 && m->status != 101);
    HEADER_EACH (it, &m->headers) {
        ASSERT(field_is_token(it->name) && field_value_valid(it->value));
        ASSERT(it->id != FIELD_CONNECTION && it->id != FIELD_TRANSFER_ENCODING);
        ASSERT(it->id != FIELD_UPGRADE && it->id != FIELD_KEEP_ALIVE);
    }
}

/* The session's verdict on a head; ERR_OK: it goes on. */
static inline enum err fuzz_read_head(struct fuzz_session *s, const struct h2_event *ev,
                                      struct arena *a, struct fuzz_stream *st)
{
    struct message m;
    message_init(&m);
    struct h2_response r = {
        .fields = {.headers = &m.headers, .arena = a, .limits = &fuzz_h2_limits}};
    TRY(hpack_decode(&s->core.decoder, ev->bytes, s->core.list_bytes, a, h2_response_take, &r));
    TRY(h2_response_finish(&r, fuzz_method_of(ev->id), ev->end, &m));
    fuzz_response(&m);
    st->final = m.status >= 200;
    bool opaque = m.status < 200 || (fuzz_connects(ev->id) && m.status < 300);
    bool bare = m.length == LENGTH_NONE;
    if (opaque || (!bare && m.length != LENGTH_KNOWN))
        return ERR_OK;
    return h2_core_expect(&st->flow, bare ? 0 : m.content_length) ? ERR_OK : ERR_BAD_CONTENT_LENGTH;
}

static inline enum err fuzz_read_trailers(struct fuzz_session *s, const struct h2_event *ev,
                                          struct arena *a)
{
    struct headers t = {0};
    struct h2_fields f = {.headers = &t, .arena = a, .limits = &fuzz_h2_limits, .trailers = true};
    TRY(hpack_decode(&s->core.decoder, ev->bytes, s->core.list_bytes, a, h2_fields_take, &f));
    return ev->end ? ERR_OK : ERR_BAD_HEADER;
}

static inline void fuzz_answer(struct fuzz_session *s, const struct h2_event *ev)
{
    struct arena a;
    enum err e;
    ASSERT(!ev->opens); /* nobody pushes */
    arena_init(&a, 1 << 20);
    if (!ev->stream || ev->nowhere)
        e = hpack_skip(&s->core.decoder, ev->bytes, s->core.list_bytes);
    else if (CONTAINER_OF(ev->stream, struct fuzz_stream, flow)->final)
        e = fuzz_read_trailers(s, ev, &a);
    else
        e = fuzz_read_head(s, ev, &a, CONTAINER_OF(ev->stream, struct fuzz_stream, flow));
    arena_release(&a);
    if (hpack_is_fatal(e))
        h2_core_fail(&s->core, H2_COMPRESSION_ERROR);
    else if (e && ev->stream && !h2_core_blame(&s->core, ev->stream, H2_PROTOCOL_ERROR))
        ASSERT(h2_core_failed(&s->core));
}

static inline void fuzz_asking_begin(struct fuzz_session *s, bool settings, struct slice rest,
                                     size_t step)
{
    static const char frame[H2_FRAME_HEAD_BYTES] = {0, 0, 0, H2_SETTINGS};
    fuzz_clear(s);
    s->headers = fuzz_answer;
    s->ended = fuzz_ask;
    h2_core_init(&s->core, H2_CLIENT, fuzz_h2_limits.head_bytes, fuzz_room);
    h2_core_start(&s->core);
    for (int i = 0; i < FUZZ_ASKED_FIRST; i++)
        fuzz_ask(s);
    if (settings)
        fuzz_run(s, (struct slice){frame, sizeof frame}, step);
    ASSERT(!h2_core_failed(&s->core));
    fuzz_run(s, rest, step);
}

/* The reaction is the same however the bytes come. */
static inline void fuzz_h2_origin(const void *at, size_t len)
{
    static struct fuzz_session a, b;
    if (len == 0 || len > FUZZ_IN_BYTES)
        return;
    bool settings = *(const char *)at == 's';
    struct slice rest = {(const char *)at + 1, len - 1};
    fuzz_asking_begin(&a, settings, rest, SIZE_MAX / 2);
    fuzz_asking_begin(&b, settings, rest, 1);
    fuzz_output(&a, H2_PREFACE_BYTES);
    fuzz_equal(&a, &b);
    fuzz_end(&a);
    fuzz_end(&b);
}
