/* stream_rig_test.h - a stream whose other side is the test.
 *
 * What would be said stands in a struct rig_side: the test puts heads and bodies in and looks at
 * what came out. What the stream lends (itself, the bytes of heads) is freed by its detach, so that
 * a late use shows under ASan. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/stream.h"
#include "io/loop.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RIG_HEAD_BYTES = 8192, RIG_BODY_BYTES = 1 << 19 };

struct rig_stream {
    struct stream s;
    struct rig_side *side;
    char text[RIG_HEAD_BYTES]; /* of received heads */
    size_t text_len;
};

struct rig_side {
    struct rig_stream *stream; /* NULL: none yet, or detached */
    struct stream *s;
    bool is_client;
    /* what the exchange did */
    char
        head[RIG_HEAD_BYTES]; /* the final or only head sent: "200\nName: value\n", "GET /x\n..." */
    struct message sent;      /* its numbers; slices are not valid */
    unsigned heads, interims, last_interim, next_heads, reads;
    char *body; /* RIG_BODY_BYTES */
    size_t body_len;
    bool tunnel, detached, lost; /* lost: nothing can be sent */
    bool whole;                  /* at detach: everything was sent */
    /* what the test wants */
    size_t room;                 /* bytes that the connection still takes */
    enum err head_err, body_err; /* of the next call */
    bool closes;                 /* origin: the connection can not be kept */
    bool complete;               /* origin: the response is whole */
};

/* --- what a stream does ----------------------------------------------------------------------- */

static inline struct rig_side *rig_side_of(struct stream *s)
{
    return CONTAINER_OF(s, struct rig_stream, s)->side;
}

static inline void rig_wake(struct rig_side *side)
{
    task_wake(&side->s->loop->tasks, side->s->task);
}

static inline void rig_put(struct rig_side *side, struct slice s)
{
    size_t len = strlen(side->head);
    assert_true(len + s.len < RIG_HEAD_BYTES);
    memcpy(side->head + len, s.at, s.len);
    side->head[len + s.len] = '\0';
}

/* As an engine would write it: without what is dead or hop-by-hop. */
static inline void rig_record(struct rig_side *side, const struct message *m)
{
    char status[16];
    side->head[0] = '\0';
    side->sent = *m;
    if (side->is_client) {
        snprintf(status, sizeof status, "%u", m->status);
        rig_put(side, slice_of(status));
    } else {
        rig_put(side, m->method_text);
        rig_put(side, SLICE(" "));
        rig_put(side, m->target);
    }
    rig_put(side, SLICE("\n"));
    HEADER_EACH (it, &m->headers) {
        if (it->hop)
            continue;
        rig_put(side, it->name);
        rig_put(side, SLICE(": "));
        rig_put(side, it->value);
        rig_put(side, SLICE("\n"));
    }
}

static inline void rig_judge(struct rig_side *o)
{
    o->s->reusable = o->complete && o->s->sent_all && !o->closes && !o->tunnel && !o->s->err;
}

static inline bool rig_has_no_body(struct rig_side *side, const struct message *m)
{
    bool no = m->length == LENGTH_NONE || (m->length == LENGTH_KNOWN && m->content_length == 0);
    if (!side->is_client)
        return no;
    return no || !status_has_body(m->status) || side->s->head->method == METHOD_HEAD;
}

static inline enum err rig_send_head(struct stream *s, const struct message *m)
{
    struct rig_side *side = rig_side_of(s);
    enum err e = side->head_err ? side->head_err : side->lost ? s->err : ERR_OK;
    side->head_err = ERR_OK;
    if (e)
        return e;
    if (side->is_client && m->status < 200 && m->status != 101) {
        side->interims++;
        side->last_interim = m->status;
        return ERR_OK;
    }
    assert_int_equal(side->heads, 0); /* one final head for each stream */
    side->heads++;
    rig_record(side, m);
    s->sent_bytes += strlen(side->head);
    s->sent_all = rig_has_no_body(side, m);
    if (!side->is_client)
        rig_judge(side);
    return ERR_OK;
}

static inline void rig_take(struct rig_side *side, struct body *b)
{
    while (side->room > 0 && b->count > 0) {
        struct span s = body_take(b, side->room);
        assert_true(side->body_len + s.len <= RIG_BODY_BYTES);
        memcpy(side->body + side->body_len, s.at, s.len);
        side->body_len += s.len;
        side->room -= s.len;
        side->s->sent_bytes += s.len;
        span_drop(s);
    }
}

static inline enum err rig_send_body(struct stream *s, struct body *b)
{
    struct rig_side *side = rig_side_of(s);
    enum err e = side->body_err ? side->body_err : side->lost ? s->err : ERR_OK;
    assert_int_equal(side->heads, 1);
    side->body_err = ERR_OK;
    if (e)
        return e;
    rig_take(side, b);
    s->blocked = b->count > 0;
    if (body_done(b))
        s->sent_all = true;
    if (!side->is_client)
        rig_judge(side);
    return ERR_OK;
}

static inline void rig_next_head(struct stream *s)
{
    rig_side_of(s)->next_heads++;
    s->head_state = STREAM_HEAD_NONE;
}

static inline void rig_tunnel(struct stream *s)
{
    rig_side_of(s)->tunnel = true;
    s->sent_all = s->reusable = false;
    body_reopen(s->body);
}

static inline void rig_detach(struct stream *s)
{
    struct rig_side *side = rig_side_of(s);
    assert_false(side->detached);
    side->detached = true;
    side->whole = s->sent_all;
    s->body->want = NULL;
    free(side->stream);
    side->stream = NULL;
    side->s = NULL;
}

static const struct stream_ops rig_ops = {.send_head = rig_send_head,
                                          .send_body = rig_send_body,
                                          .next_head = rig_next_head,
                                          .tunnel = rig_tunnel,
                                          .detach = rig_detach};

/* The consumer has made room. What a test sends then it sends by itself. */
static inline void rig_want(struct body *b)
{
    ((struct rig_side *)b->producer)->reads++;
}

static inline void rig_side_open(struct rig_side *side, bool is_client, struct conn *c,
                                 struct loop *l)
{
    free(side->body); /* of the client's request before */
    memset(side, 0, sizeof *side);
    side->body = calloc(1, RIG_BODY_BYTES);
    side->stream = calloc(1, sizeof *side->stream);
    side->stream->side = side;
    side->s = &side->stream->s;
    side->is_client = is_client;
    side->room = SIZE_MAX;
    *side->s = (struct stream){.ops = &rig_ops, .loop = l, .conn = c};
}

static inline void rig_body_bind(struct rig_side *side)
{
    side->s->body->producer = side;
    side->s->body->want = rig_want;
}

/* Bytes that live as long as the stream. */
static inline struct slice rig_text(struct rig_side *side, struct slice s)
{
    struct rig_stream *st = side->stream;
    char *at = st->text + st->text_len;
    assert_true(st->text_len + s.len <= sizeof st->text);
    memcpy(at, s.at, s.len);
    st->text_len += s.len;
    return (struct slice){at, s.len};
}

/* --- bodies from the test --------------------------------------------------------------------- */

/* As many bytes of the body as there is room for; how many were taken. */
static inline size_t rig_push(struct rig_side *side, const char *at, size_t len)
{
    struct body *b = side->s->body;
    size_t done = 0;
    while (done < len && body_room(b) > 0) {
        struct buf *buf = buf_take(&side->s->loop->bufs, BUF_SMALL);
        assert_non_null(buf);
        size_t part = len - done < buf->cap ? len - done : buf->cap;
        memcpy(buf->bytes, at + done, part);
        buf->len = (uint32_t)part;
        if (body_push(b, (struct span){buf, buf->bytes, part}) != ERR_OK)
            break;
        done += part;
        side->s->received_bytes += part;
    }
    if (done < len && b->err == ERR_OK)
        b->starved = true;
    return done;
}

static inline void rig_say(struct rig_side *side, const char *text)
{
    assert_int_equal(rig_push(side, text, strlen(text)), strlen(text));
}

static inline void rig_end(struct rig_side *side)
{
    side->complete = true;
    body_end(side->s->body);
    if (!side->is_client)
        rig_judge(side);
}

static inline void rig_fail(struct rig_side *side, enum err e)
{
    side->s->err = e;
    side->lost = true;
    body_fail(side->s->body, e);
    rig_wake(side);
}

/* The connection takes `bytes` more. */
static inline void rig_give_room(struct rig_side *side, size_t bytes)
{
    side->room = bytes;
    side->s->blocked = false;
    rig_wake(side);
}

/* --- heads and looking ------------------------------------------------------------------------ */

static inline void rig_named_hops(struct headers *h, struct slice options)
{
    struct slice option;
    while (field_list_next(&options, &option))
        HEADER_EACH (it, h)
            if (it->id == FIELD_OTHER && slice_eq_nocase(it->name, option))
                it->hop = h->hops_named = true;
}

static inline bool rig_head_has(const struct rig_side *side, const char *line)
{
    const char *at = strstr(side->head, line);
    return at && (at == side->head || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static inline void rig_expect_head(const struct rig_side *side, const char *line)
{
    if (!rig_head_has(side, line))
        fail_msg("no line '%s' in:\n%s", line, side->head);
}

static inline void rig_expect_no(const struct rig_side *side, const char *name)
{
    if (strcasestr(side->head, name))
        fail_msg("'%s' should not be in:\n%s", name, side->head);
}

static inline void rig_expect_body(const struct rig_side *side, const char *text)
{
    if (side->body_len != strlen(text) || memcmp(side->body, text, side->body_len) != 0)
        fail_msg("body is '%.*s', not '%s'", (int)side->body_len, side->body, text);
}

/* The exchange has ended and the client has a whole response with this status. */
