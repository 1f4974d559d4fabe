/* h2_core_data.c - DATA frames and flow control in both directions (RFC 9113 5.2, 6.1, 6.9).
 *
 * What came and was not consumed stays taken from the window: a window is never larger than what we
 * are ready to hold. It is opened again once half of it is free; when that half was used up quickly
 * and nothing lies around, the window was what the peer waited for, and it doubles. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_core_priv.h"

enum { DEMAND_MS = 250 }; /* half a window within it: enough for round trips of half a second */

/* ---- what the peer may send ---- */

static void write_update(struct h2_core *c, uint32_t id, uint32_t n)
{
    char *to = c->room(c, H2_FRAME_HEAD_BYTES + 4);
    if (to)
        h2_put32(h2_frame_write(to, &(struct h2_frame){4, id, H2_WINDOW_UPDATE, 0}), n);
}

/* Was the window what held the peer back since it was last opened? What came in one burst lies
 * around for a moment: a quarter may, or windows would not grow when the consumer is a step behind.
 */
static bool is_wanted(const struct h2_core *c, uint32_t held, uint32_t window, int64_t updated_ms)
{
    return held <= window / 4 && c->now_ms - updated_ms <= DEMAND_MS;
}

static uint32_t doubled(uint32_t bytes, uint32_t max)
{
    return bytes >= max / 2 ? max : bytes * 2;
}

void h2_conn_consumed(struct h2_core *c, uint32_t n)
{
    c->held_bytes -= n;
    int64_t open = (int64_t)c->window_bytes - c->held_bytes - c->recv_window;
    if (open < c->window_bytes / 2)
        return;
    if (c->acked && is_wanted(c, c->held_bytes, c->window_bytes, c->updated_ms))
        c->window_bytes = doubled(c->window_bytes, H2_CONN_WINDOW_MAX_BYTES);
    open = (int64_t)c->window_bytes - c->held_bytes - c->recv_window;
    c->recv_window += open;
    c->updated_ms = c->now_ms;
    write_update(c, 0, (uint32_t)open);
}

/* Streams of a client are of many, who read as they like: one after the other may grow to its share
 * and stop reading, and all of them together still do not fill the connection's window. A hundred
 * have 1 + 1/2 + 1/3 + ... = 5.2 shares of a sixth. */
static uint32_t stream_max(const struct h2_core *c)
{
    if (c->role == H2_SERVER)
        return H2_STREAM_WINDOW_MAX_BYTES;
    uint32_t share = H2_CONN_WINDOW_MAX_BYTES / 6 / (c->open_count ? c->open_count : 1);
    return share > H2_WINDOW_BYTES ? share : H2_WINDOW_BYTES;
}

void h2_core_consumed(struct h2_core *c, struct h2_stream *s, uint32_t n)
{
    s->held_bytes -= n;
    h2_conn_consumed(c, n);
    int64_t open = (int64_t)s->window_bytes - s->held_bytes - s->recv_window;
    if (!s->listed || s->peer_ended || open < s->window_bytes / 2)
        return;
    uint32_t max = stream_max(c);
    if (s->window_bytes < max && is_wanted(c, s->held_bytes, s->window_bytes, s->updated_ms))
        s->window_bytes = doubled(s->window_bytes, max);
    open = (int64_t)s->window_bytes - s->held_bytes - s->recv_window;
    s->recv_window += open;
    s->updated_ms = c->now_ms;
    write_update(c, s->id, (uint32_t)open);
}

/* ---- DATA ---- */

/* Nobody gets what is left of this frame. */
static void drop_rest(struct h2_core *c)
{
    uint32_t n = c->left - c->pad_left; /* padding was counted when its length came */
    c->held_bytes += n;
    h2_conn_consumed(c, n);
    c->part = H2_PART_SKIP;
}

static bool data_of_nobody(struct h2_core *c, struct h2_event *ev)
{
    uint32_t id = c->frame.stream;
    if (h2_is_idle(c, id))
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    drop_rest(c);
    switch (h2_gone(c, id)) {
    case H2_GONE_RESET_HERE: return c->frame.len == 0 && h2_late_event(c, ev);
    case H2_GONE_RESET_THERE: return h2_stream_error(c, id, NULL, H2_STREAM_CLOSED, ev);
    default: return h2_fail_event(c, ERR_H2_PROTOCOL, H2_STREAM_CLOSED, ev);
    }
}

static bool data_error(struct h2_core *c, struct h2_stream *s, enum h2_code code,
                       struct h2_event *ev)
{
    drop_rest(c);
    return h2_stream_error(c, s->id, s, code, ev);
}

/* The frame's data are as many as are left of it now: do they fit the stream's length? */
static bool data_admit(struct h2_core *c, struct h2_stream *s, struct h2_event *ev)
{
    uint32_t len = c->left - c->pad_left;
    bool end = c->frame.flags & H2_FLAG_END_STREAM;
    c->part = H2_PART_DATA;
    if (s->counts && (len > s->length_left || (end && len < s->length_left)))
        return data_error(c, s, H2_PROTOCOL_ERROR, ev);
    s->length_left -= s->counts ? len : 0;
    return len == 0 && !end && h2_limit_event(c, H2_LIMIT_EMPTY, ev);
}

bool h2_data_begin(struct h2_core *c, struct h2_event *ev)
{
    const struct h2_frame *f = &c->frame;
    struct h2_stream *s = h2_core_find(c, f->stream);
    c->pad_left = 0;
    if (!s && h2_is_idle(c, f->stream))
        return data_of_nobody(c, ev);
    if (f->len > c->recv_window)
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_FLOW_CONTROL_ERROR, ev);
    c->recv_window -= f->len;
    if (!s)
        return data_of_nobody(c, ev);
    if (s->peer_ended)
        return data_error(c, s, H2_STREAM_CLOSED, ev);
    if (f->len > s->recv_window)
        return data_error(c, s, H2_FLOW_CONTROL_ERROR, ev);
    s->recv_window -= f->len;
    if (f->flags & H2_FLAG_PADDED) {
        c->part = H2_PART_PAD;
        return false;
    }
    return data_admit(c, s, ev);
}

/* Padding and its length are taken from the windows, too, and free again at once. */
static void pad_consumed(struct h2_core *c, struct h2_stream *s, uint32_t n)
{
    s->held_bytes += n;
    c->held_bytes += n;
    h2_core_consumed(c, s, n);
}

bool h2_data_pad(struct h2_core *c, uint8_t pad, struct h2_event *ev)
{
    struct h2_stream *s = h2_core_find(c, c->frame.stream);
    if (pad > c->left)
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    c->pad_left = pad;
    if (!s) { /* the session has ended it since the frame began */
        c->held_bytes += pad + 1u;
        h2_conn_consumed(c, pad + 1u);
        drop_rest(c);
        return false;
    }
    pad_consumed(c, s, pad + 1u);
    return data_admit(c, s, ev);
}

static void frame_end(struct h2_core *c)
{
    c->left = c->pad_left;
    c->pad_left = 0;
    c->part = c->left ? H2_PART_SKIP : H2_PART_HEAD;
}

bool h2_data_piece(struct h2_core *c, struct slice *in, struct h2_event *ev)
{
    struct h2_stream *s = h2_core_find(c, c->frame.stream);
    uint32_t due = c->left - c->pad_left;
    if (!s) {
        drop_rest(c);
        return false;
    }
    struct slice piece = slice_head(*in, due);
    bool last = piece.len == due, end = last && c->frame.flags & H2_FLAG_END_STREAM;
    if (piece.len == 0 && !last)
        return false;
    *in = slice_from(*in, piece.len);
    c->left -= (uint32_t)piece.len;
    s->held_bytes += (uint32_t)piece.len;
    c->held_bytes += (uint32_t)piece.len;
    if (last)
        frame_end(c);
    s->peer_ended = end;
    if (end && s->we_ended)
        h2_unlist(c, s, H2_GONE_ENDED);
    *ev =
        (struct h2_event){.kind = H2_EV_DATA, .stream = s, .id = s->id, .bytes = piece, .end = end};
    return piece.len > 0 || end;
}

/* ---- what we may send ---- */

uint32_t h2_core_may_send(const struct h2_core *c, const struct h2_stream *s)
{
    int64_t n = s->send_window < c->send_window ? s->send_window : c->send_window;
    if (n > H2_FRAME_MAX_BYTES)
        n = H2_FRAME_MAX_BYTES;
    return n > 0 ? (uint32_t)n : 0;
}

bool h2_core_data(struct h2_core *c, struct h2_stream *s, uint32_t len, bool end)
{
    uint8_t flags = end ? H2_FLAG_END_STREAM : 0;
    char *to = c->room(c, H2_FRAME_HEAD_BYTES);
    if (!to)
        return false;
    h2_frame_write(to, &(struct h2_frame){len, s->id, H2_DATA, flags});
    s->send_window -= len;
    c->send_window -= len;
    h2_limits_earn(&c->limits, H2_LIMIT_WINDOWS, 2 + (int32_t)(len / 1024));
    if (end)
        h2_core_ended(c, s);
    return true;
}

static bool is_over(int64_t window, uint32_t n)
{
    return window + n > H2_WINDOW_MAX_BYTES;
}

static bool conn_update(struct h2_core *c, uint32_t n, struct h2_event *ev)
{
    if (n == 0)
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    if (is_over(c->send_window, n))
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_FLOW_CONTROL_ERROR, ev);
    bool was_shut = c->send_window <= 0;
    c->send_window += n;
    *ev = (struct h2_event){.kind = H2_EV_WINDOW};
    return was_shut && c->send_window > 0;
}

static bool stream_update(struct h2_core *c, struct h2_stream *s, uint32_t n, struct h2_event *ev)
{
    if (n == 0)
        return h2_stream_error(c, s->id, s, H2_PROTOCOL_ERROR, ev);
    if (is_over(s->send_window, n))
        return h2_stream_error(c, s->id, s, H2_FLOW_CONTROL_ERROR, ev);
    bool was_shut = s->send_window <= 0;
    s->send_window += n;
    *ev = (struct h2_event){.kind = H2_EV_WINDOW, .stream = s, .id = s->id};
    return was_shut && s->send_window > 0;
}

bool h2_window_update(struct h2_core *c, struct slice payload, struct h2_event *ev)
{
    uint32_t n = h2_get32(payload.at) & H2_WINDOW_MAX_BYTES, id = c->frame.stream;
    if (h2_limit_event(c, H2_LIMIT_WINDOWS, ev))
        return true;
    if (id == 0)
        return conn_update(c, n, ev);
    struct h2_stream *s = h2_core_find(c, id);
    if (s)
        return stream_update(c, s, n, ev);
    return h2_is_idle(c, id) && h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
}

bool h2_windows_shift(struct h2_core *c, uint32_t bytes)
{
    int64_t by = (int64_t)bytes - c->peer_window_bytes;
    c->peer_window_bytes = bytes;
    for (unsigned i = 0; i < H2_BUCKETS; i++) {
        for (struct h2_stream *s = c->buckets[i]; s; s = s->next) {
            s->send_window += by;
            if (s->send_window > H2_WINDOW_MAX_BYTES)
                return false;
        }
    }
    return true;
}
