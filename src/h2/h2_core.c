/* h2_core.c - from bytes to frames, and which streams there are.
 *
 * DATA is handed on in the pieces in which it comes; any other payload is small and handled whole:
 * in place when it lies in what was received, else from the stash, which holds what has come of it
 * behind the header block that it may be part of. An idle connection has no stash.
 *
 * Streams that are over are known by their number alone. It is kept which ended last and which were
 * reset, and by whom: what was on its way when we did it is ignored, what comes after the peer did
 * is its error (5.1), and so is what comes for a number that was passed over (5.1.1). */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_core_priv.h"
#include <stdlib.h>

enum { RESET_THERE = 1u << 31 }; /* beside the number in c->closed[] */

static const char drain_ping[8] = "weir end";

void h2_core_init(struct h2_core *c, enum h2_role role, uint32_t list_bytes,
                  char *(*room)(struct h2_core *c, size_t len))
{
    *c = (struct h2_core){.room = room,
                          .role = (uint8_t)role,
                          .list_bytes = list_bytes,
                          .goaway_id = H2_STREAM_MAX,
                          .send_window = H2_WINDOW_BYTES,
                          .recv_window = H2_WINDOW_BYTES,
                          .window_bytes = H2_CONN_WINDOW_BYTES,
                          .peer_window_bytes = H2_WINDOW_BYTES,
                          .peer_frame_bytes = H2_FRAME_MAX_BYTES,
                          .peer_streams_max = UINT32_MAX};
    c->phase = role == H2_SERVER ? H2_PHASE_PREFACE : H2_PHASE_SETTINGS;
    hpack_decoder_init(&c->decoder, H2_CORE_TABLE_BYTES);
    hpack_encoder_init(&c->encoder);
}

void h2_stash_drop(struct h2_core *c)
{
    free(c->stash);
    c->stash = NULL;
    c->stash_len = c->stash_cap = c->block_len = 0;
}

void h2_core_release(struct h2_core *c)
{
    h2_stash_drop(c);
    hpack_decoder_release(&c->decoder);
    hpack_encoder_release(&c->encoder);
}

/* ---- what we say first ---- */

static char *put_settings(const struct h2_core *c, char *at)
{
    at = h2_put_setting(at, H2_SET_MAX_HEADER_LIST_SIZE, c->list_bytes);
    if (c->role == H2_CLIENT) {
        at = h2_put_setting(at, H2_SET_ENABLE_PUSH, 0);
        return h2_put_setting(at, H2_SET_NO_RFC7540_PRIORITIES, 1);
    }
    at = h2_put_setting(at, H2_SET_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX);
    at = h2_put_setting(at, H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    return h2_put_setting(at, H2_SET_NO_RFC7540_PRIORITIES, 1);
}

void h2_core_start(struct h2_core *c)
{
    char settings[64];
    size_t len = (size_t)(put_settings(c, settings) - settings);
    size_t preface = c->role == H2_CLIENT ? H2_PREFACE_BYTES : 0;
    char *to = c->room(c, preface + H2_FRAME_HEAD_BYTES + len);
    if (!to) {
        c->phase = H2_PHASE_FAILED;
        return;
    }
    memcpy(to, h2_preface, preface);
    to = h2_frame_write(to + preface, &(struct h2_frame){(uint32_t)len, 0, H2_SETTINGS, 0});
    memcpy(to, settings, len);
    h2_conn_consumed(c, 0); /* opens the window beyond what everybody begins with */
}

/* ---- streams ---- */

static struct h2_stream **bucket(const struct h2_core *c, uint32_t id)
{
    return (struct h2_stream **)&c->buckets[id / 2 % H2_BUCKETS];
}

struct h2_stream *h2_core_find(const struct h2_core *c, uint32_t id)
{
    struct h2_stream *s = *bucket(c, id);
    while (s && s->id != id)
        s = s->next;
    return s;
}

/* Nobody pushes, so even numbers are never used. */
bool h2_is_idle(const struct h2_core *c, uint32_t id)
{
    return id % 2 == 0 || id > c->last_id;
}

static void remember(struct h2_core *c, uint32_t entry)
{
    c->closed[c->closed_at++ % H2_CLOSED_KEPT] = entry;
}

enum h2_gone h2_gone(const struct h2_core *c, uint32_t id)
{
    if (id > c->goaway_id) /* never begun, and the peer was told (6.8) */
        return H2_GONE_RESET_HERE;
    for (unsigned i = 0; i < H2_CLOSED_KEPT; i++)
        if ((c->closed[i] & H2_STREAM_MAX) == id)
            return c->closed[i] & RESET_THERE ? H2_GONE_RESET_THERE : H2_GONE_RESET_HERE;
    for (unsigned i = 0; i < H2_ENDED_KEPT; i++)
        if (c->ended[i] == id)
            return H2_GONE_ENDED;
    /* Nothing certain is known after so many. */
    return c->closed_at > H2_CLOSED_KEPT ? H2_GONE_RESET_HERE : H2_GONE_UNUSED;
}

void h2_core_open(struct h2_core *c, struct h2_stream *s, const struct h2_event *ev)
{
    struct h2_stream **at = bucket(c, ev->id);
    s->next = *at;
    *at = s;
    s->id = ev->id;
    s->listed = true;
    s->peer_ended = ev->end;
    s->urgency = ev->urgency;
    s->incremental = ev->incremental;
    s->send_window = c->peer_window_bytes;
    s->recv_window = s->window_bytes = H2_WINDOW_BYTES;
    s->updated_ms = c->now_ms;
    c->open_count++;
}

void h2_unlist(struct h2_core *c, struct h2_stream *s, enum h2_gone how)
{
    struct h2_stream **at = bucket(c, s->id);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->listed = false;
    c->open_count--;
    if (how == H2_GONE_RESET_HERE)
        remember(c, s->id);
    else if (how == H2_GONE_RESET_THERE)
        remember(c, s->id | RESET_THERE);
    else
        c->ended[c->ended_at++ % H2_ENDED_KEPT] = s->id;
    if (how == H2_GONE_ENDED)
        h2_limits_earn(&c->limits, H2_LIMIT_RESETS, 1);
}

void h2_write_reset(struct h2_core *c, uint32_t id, enum h2_code code)
{
    char *to = c->room(c, H2_FRAME_HEAD_BYTES + 4);
    if (to)
        h2_put32(h2_frame_write(to, &(struct h2_frame){4, id, H2_RST_STREAM, 0}), code);
}

void h2_core_refuse(struct h2_core *c, uint32_t id, enum h2_code code)
{
    h2_write_reset(c, id, code);
    remember(c, id);
}

void h2_core_reset(struct h2_core *c, struct h2_stream *s, enum h2_code code)
{
    if (!s->listed)
        return;
    h2_write_reset(c, s->id, code);
    h2_unlist(c, s, H2_GONE_RESET_HERE);
}

bool h2_core_blame(struct h2_core *c, struct h2_stream *s, enum h2_code code)
{
    enum err e;
    h2_core_reset(c, s, code);
    return !h2_core_take(c, H2_LIMIT_MADE_RESETS, 1, &e);
}

void h2_core_close(struct h2_core *c, struct h2_stream *s)
{
    ASSERT(!s->listed);
    uint32_t held = s->held_bytes;
    s->held_bytes = 0;
    h2_conn_consumed(c, held);
}

bool h2_core_expect(struct h2_stream *s, uint64_t bytes)
{
    s->counts = true;
    s->length_left = bytes;
    return !s->peer_ended || bytes == 0;
}

void h2_core_ended(struct h2_core *c, struct h2_stream *s)
{
    s->we_ended = true;
    if (s->listed && s->peer_ended)
        h2_unlist(c, s, H2_GONE_ENDED);
}

/* ---- the end, and errors ---- */

void h2_core_goaway(struct h2_core *c, uint32_t last_id, enum h2_code code)
{
    char *to = c->room(c, H2_FRAME_HEAD_BYTES + 8);
    c->goaway_id = last_id;
    if (to)
        h2_put32(h2_put32(h2_frame_write(to, &(struct h2_frame){8, 0, H2_GOAWAY, 0}), last_id),
                 code);
}

void h2_core_fail(struct h2_core *c, enum h2_code code)
{
    if (c->phase == H2_PHASE_FAILED)
        return;
    uint32_t last = c->last_id < c->goaway_id ? c->last_id : c->goaway_id;
    h2_core_goaway(c, c->role == H2_SERVER ? last : 0, code);
    c->phase = H2_PHASE_FAILED;
}

bool h2_core_failed(const struct h2_core *c)
{
    return c->phase == H2_PHASE_FAILED;
}

void h2_core_ping(struct h2_core *c)
{
    char *to = c->room(c, H2_FRAME_HEAD_BYTES + sizeof drain_ping);
    if (!to)
        return;
    c->pinging = true;
    memcpy(h2_frame_write(to, &(struct h2_frame){sizeof drain_ping, 0, H2_PING, 0}), drain_ping,
           sizeof drain_ping);
}

bool h2_core_take(struct h2_core *c, enum h2_limit kind, int32_t n, enum err *e)
{
    if (h2_limits_take(&c->limits, kind, n, c->now_ms))
        return false;
    *e = h2_limit_row(kind)->err;
    h2_core_fail(c, H2_ENHANCE_YOUR_CALM);
    return true;
}

bool h2_fail_event(struct h2_core *c, enum err e, enum h2_code code, struct h2_event *ev)
{
    h2_core_fail(c, code);
    *ev = (struct h2_event){.kind = H2_EV_FAILED, .err = e};
    return true;
}

bool h2_limit_event(struct h2_core *c, enum h2_limit kind, struct h2_event *ev)
{
    enum err e;
    if (!h2_core_take(c, kind, 1, &e))
        return false;
    *ev = (struct h2_event){.kind = H2_EV_FAILED, .err = e};
    return true;
}

bool h2_late_event(struct h2_core *c, struct h2_event *ev)
{
    return c->role == H2_SERVER && h2_limit_event(c, H2_LIMIT_EMPTY, ev);
}

bool h2_stream_error(struct h2_core *c, uint32_t id, struct h2_stream *s, enum h2_code code,
                     struct h2_event *ev)
{
    if (h2_limit_event(c, H2_LIMIT_MADE_RESETS, ev))
        return true;
    if (!s) {
        h2_write_reset(c, id, code);
        return false;
    }
    h2_core_reset(c, s, code);
    *ev = (struct h2_event){.kind = H2_EV_RESET, .stream = s, .id = id, .err = ERR_H2_PROTOCOL};
    return true;
}

/* ---- reading ---- */

/* Collects up to `want` bytes in c->head. */
static bool gather_head(struct h2_core *c, struct slice *in, size_t want)
{
    size_t n = want - c->head_len;
    if (n > in->len)
        n = in->len;
    memcpy(c->head + c->head_len, in->at, n);
    c->head_len = (uint8_t)(c->head_len + n);
    *in = slice_from(*in, n);
    return c->head_len == want;
}

/* The first byte that is another ends it: no need to wait for the rest (3.4). */
static bool read_preface(struct h2_core *c, struct slice *in, struct h2_event *ev)
{
    bool whole = gather_head(c, in, H2_PREFACE_BYTES);
    if (memcmp(c->head, h2_preface, c->head_len) != 0)
        return h2_fail_event(c, ERR_H2_PREFACE, H2_PROTOCOL_ERROR, ev);
    if (whole) {
        c->head_len = 0;
        c->phase = H2_PHASE_SETTINGS;
    }
    return false;
}

/* What may not come now, whatever is in it (3.4, 6.10). */
static enum h2_code check_order(const struct h2_core *c)
{
    const struct h2_frame *f = &c->frame;
    bool ack = f->flags & H2_FLAG_ACK;
    if (c->phase == H2_PHASE_SETTINGS && (f->type != H2_SETTINGS || ack))
        return H2_PROTOCOL_ERROR;
    if (c->block_stream)
        return f->type == H2_CONTINUATION && f->stream == c->block_stream ? H2_NO_ERROR
                                                                          : H2_PROTOCOL_ERROR;
    if (f->type == H2_CONTINUATION || f->type == H2_PUSH_PROMISE)
        return H2_PROTOCOL_ERROR;
    return H2_NO_ERROR;
}

/* Of PRIORITY it is the stream's (6.3); but nobody may reset a stream that was never opened. */
static bool priority_size_error(struct h2_core *c, struct h2_event *ev)
{
    uint32_t id = c->frame.stream;
    if (h2_is_idle(c, id))
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_FRAME_SIZE_ERROR, ev);
    c->part = H2_PART_SKIP;
    return h2_stream_error(c, id, h2_core_find(c, id), H2_FRAME_SIZE_ERROR, ev);
}

static bool frame_begin(struct h2_core *c, struct h2_event *ev)
{
    struct h2_frame *f = &c->frame;
    h2_frame_read(c->head, f);
    c->head_len = 0;
    c->left = f->len;
    enum h2_code code = check_order(c);
    if (!code)
        code = h2_frame_check(f);
    if (code == H2_FRAME_SIZE_ERROR && f->type == H2_PRIORITY && f->len <= H2_FRAME_MAX_BYTES)
        return priority_size_error(c, ev);
    if (code)
        return h2_fail_event(c, ERR_H2_PROTOCOL, code, ev);
    if (f->type == H2_DATA)
        return h2_data_begin(c, ev);
    bool known =
        f->type < H2_CONTINUATION || f->type == H2_CONTINUATION || f->type == H2_PRIORITY_UPDATE;
    c->part = known ? H2_PART_WHOLE : H2_PART_SKIP;
    return known ? false : h2_limit_event(c, H2_LIMIT_PRIORITIES, ev);
}

bool h2_stash_grow(struct h2_core *c, uint32_t cap)
{
    if (cap <= c->stash_cap)
        return true;
    char *at = realloc(c->stash, cap);
    if (!at)
        return false;
    c->stash = at;
    c->stash_cap = cap;
    return true;
}

static bool stash_add(struct h2_core *c, struct slice s)
{
    if (!h2_stash_grow(c, c->stash_len + (uint32_t)s.len + H2_FRAME_MAX_BYTES / 4))
        return false;
    if (s.len)
        memcpy(c->stash + c->stash_len, s.at, s.len);
    c->stash_len += (uint32_t)s.len;
    return true;
}

/* The payload in one piece, from *in or the stash. */
static bool payload_take(struct h2_core *c, struct slice *in, struct slice *payload)
{
    struct slice piece = slice_head(*in, c->left);
    bool direct = piece.len == c->left && c->stash_len == c->block_len;
    *in = slice_from(*in, piece.len);
    c->left -= (uint32_t)piece.len;
    if (direct) {
        *payload = piece;
        return true;
    }
    if (!stash_add(c, piece)) {
        h2_core_fail(c, H2_INTERNAL_ERROR);
        return false;
    }
    *payload = (struct slice){c->stash + c->block_len, c->stash_len - c->block_len};
    return c->left == 0;
}

/* The bytes of a block lie in front of the stash; anything else in it is used up. */
static void payload_done(struct h2_core *c)
{
    if (c->part == H2_PART_WHOLE)
        c->part = H2_PART_HEAD;
    if (c->block_served)
        return;
    c->stash_len = c->block_len;
    if (c->stash && c->block_len == 0)
        h2_stash_drop(c);
}

static bool read_whole(struct h2_core *c, struct slice *in, struct h2_event *ev)
{
    struct slice payload;
    if (!payload_take(c, in, &payload))
        return c->phase == H2_PHASE_FAILED &&
               h2_fail_event(c, ERR_NO_MEMORY, H2_INTERNAL_ERROR, ev);
    bool told = h2_frame_handle(c, payload, ev);
    payload_done(c);
    return told;
}

static void skip(struct h2_core *c, struct slice *in)
{
    size_t n = in->len < c->left ? in->len : c->left;
    *in = slice_from(*in, n);
    c->left -= (uint32_t)n;
    if (c->left == 0)
        c->part = H2_PART_HEAD;
}

static bool read_some(struct h2_core *c, struct slice *in, struct h2_event *ev)
{
    if (c->phase == H2_PHASE_PREFACE)
        return read_preface(c, in, ev);
    switch (c->part) {
    case H2_PART_HEAD: return gather_head(c, in, H2_FRAME_HEAD_BYTES) ? frame_begin(c, ev) : false;
    case H2_PART_WHOLE: return read_whole(c, in, ev);
    case H2_PART_PAD: {
        uint8_t pad = (uint8_t)in->at[0];
        *in = slice_from(*in, 1);
        c->left--;
        return h2_data_pad(c, pad, ev);
    }
    case H2_PART_DATA: return h2_data_piece(c, in, ev);
    default: skip(c, in); return false;
    }
}

/* Nothing has to come for the next step. */
static bool is_due(const struct h2_core *c)
{
    return c->left == 0 &&
           (c->part == H2_PART_WHOLE || c->part == H2_PART_DATA || c->part == H2_PART_SKIP);
}

void h2_core_next(struct h2_core *c, struct slice *in, struct h2_event *ev)
{
    if (c->block_served) {
        c->block_served = false;
        h2_stash_drop(c);
    }
    while (c->phase != H2_PHASE_FAILED && (in->len > 0 || is_due(c)))
        if (read_some(c, in, ev))
            return;
    *ev = (struct h2_event){.kind = h2_core_failed(c) ? H2_EV_FAILED : H2_EV_MORE,
                            .err = h2_core_failed(c) ? ERR_INTERNAL : ERR_OK};
}
