/* h2_core_frames.c - every frame but DATA and WINDOW_UPDATE: what it means once it is whole.
 *
 * Header blocks are put together here, within limits of bytes and of frames (a block may come in
 * any number of CONTINUATIONs, each of which may be empty), and judged by the state of their stream
 * (RFC 9113 5.1) when they are whole: they have to be decoded in any case. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_core_priv.h"

/* ---- header blocks ---- */

static bool self_dependency(struct h2_core *c, uint32_t id, struct h2_stream *s,
                            struct h2_event *ev)
{
    if (!s && h2_is_idle(c, id))
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    return h2_stream_error(c, id, s, H2_PROTOCOL_ERROR, ev);
}

/* Decoded to keep step, and nothing else. Its stream was told, or needs no telling. */
static bool block_nowhere(struct slice block, struct h2_event *ev)
{
    *ev = (struct h2_event){.kind = H2_EV_HEADERS, .nowhere = true, .bytes = block};
    return true;
}

/* Before our SETTINGS are known a peer may open more than they allow. */
static bool block_refused(struct h2_core *c, uint32_t id, struct slice block, struct h2_event *ev)
{
    if (c->acked && h2_limit_event(c, H2_LIMIT_MADE_RESETS, ev))
        return true;
    h2_core_refuse(c, id, H2_REFUSED_STREAM);
    return block_nowhere(block, ev);
}

static bool block_opens(struct h2_core *c, uint32_t id, struct slice block, bool end,
                        struct h2_event *ev)
{
    if (c->role == H2_CLIENT || id % 2 == 0)
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    c->last_id = id;
    if (id > c->goaway_id) /* 6.8: ignored, the peer knows */
        return block_nowhere(block, ev);
    if (c->block_priority_bad) {
        if (h2_limit_event(c, H2_LIMIT_MADE_RESETS, ev))
            return true;
        h2_core_refuse(c, id, H2_PROTOCOL_ERROR);
        return block_nowhere(block, ev);
    }
    if (c->open_count >= H2_STREAMS_MAX)
        return block_refused(c, id, block, ev);
    *ev = (struct h2_event){.kind = H2_EV_HEADERS,
                            .id = id,
                            .bytes = block,
                            .end = end,
                            .opens = true,
                            .urgency = H2_URGENCY_DEFAULT};
    return true;
}

/* The stream is over. */
static bool block_late(struct h2_core *c, uint32_t id, struct slice block, struct h2_event *ev)
{
    switch (h2_gone(c, id)) {
    case H2_GONE_RESET_HERE: break;
    case H2_GONE_RESET_THERE:
        if (h2_stream_error(c, id, NULL, H2_STREAM_CLOSED, ev))
            return true;
        break;
    case H2_GONE_ENDED: return h2_fail_event(c, ERR_H2_PROTOCOL, H2_STREAM_CLOSED, ev);
    default: return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    }
    return h2_late_event(c, ev) || block_nowhere(block, ev);
}

/* What is wrong with a further block of an open stream; the event then is of the block and of the
 * stream's end both. */
static enum h2_code further_error(const struct h2_core *c, const struct h2_stream *s, bool end)
{
    if (s->peer_ended)
        return H2_STREAM_CLOSED;
    if (c->block_priority_bad || (c->role == H2_SERVER && !end))
        return H2_PROTOCOL_ERROR;
    return end && s->counts && s->length_left > 0 ? H2_PROTOCOL_ERROR : H2_NO_ERROR;
}

static bool block_further(struct h2_core *c, struct h2_stream *s, struct slice block, bool end,
                          struct h2_event *ev)
{
    enum h2_code code = further_error(c, s, end);
    if (code) {
        if (h2_limit_event(c, H2_LIMIT_MADE_RESETS, ev))
            return true;
        h2_core_reset(c, s, code);
    } else if (end) {
        s->peer_ended = true;
        if (s->we_ended)
            h2_unlist(c, s, H2_GONE_ENDED);
    }
    *ev = (struct h2_event){.kind = H2_EV_HEADERS,
                            .stream = s,
                            .id = s->id,
                            .bytes = block,
                            .end = end,
                            .nowhere = code != H2_NO_ERROR,
                            .err = code ? ERR_H2_PROTOCOL : ERR_OK};
    return true;
}

static bool block_whole(struct h2_core *c, struct slice block, struct h2_event *ev)
{
    uint32_t id = c->block_stream;
    struct h2_stream *s = h2_core_find(c, id);
    c->block_stream = 0;
    c->block_served = true;
    if (s)
        return block_further(c, s, block, c->block_ends, ev);
    return h2_is_idle(c, id) ? block_opens(c, id, block, c->block_ends, ev)
                             : block_late(c, id, block, ev);
}

/* Keeps a part of a block in front of the stash, where nothing but this block's parts are. */
static bool block_keep(struct h2_core *c, struct slice part, struct h2_event *ev)
{
    /* A part that lies in the stash fits into it, which does not move then. */
    uint32_t need = c->block_len + (uint32_t)part.len;
    if (need > c->stash_cap && !h2_stash_grow(c, need + H2_FRAME_MAX_BYTES / 4))
        return h2_fail_event(c, ERR_NO_MEMORY, H2_INTERNAL_ERROR, ev);
    if (part.len)
        memmove(c->stash + c->block_len, part.at, part.len);
    c->block_len += (uint32_t)part.len;
    return false;
}

static bool block_part(struct h2_core *c, struct slice part, struct h2_event *ev)
{
    bool last = c->frame.flags & H2_FLAG_END_HEADERS;
    if (c->block_len + part.len > H2_BLOCK_MAX_BYTES || ++c->block_frames > H2_BLOCK_FRAMES_MAX) {
        h2_core_fail(c, H2_ENHANCE_YOUR_CALM);
        *ev = (struct h2_event){.kind = H2_EV_FAILED, .err = ERR_H2_CONTINUATIONS};
        return true;
    }
    if (last && c->block_len == 0)
        return block_whole(c, part, ev);
    if (block_keep(c, part, ev))
        return true;
    return last && block_whole(c, (struct slice){c->stash, c->block_len}, ev);
}

/* RFC 7540 5.3.1; RFC 9113 has deprecated what else it says. */
static bool depends_on_itself(const struct h2_core *c, const char *at)
{
    return (h2_get32(at) & H2_STREAM_MAX) == c->frame.stream;
}

static bool on_headers(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    uint8_t flags = c->frame.flags;
    size_t pad = 0;
    if (flags & H2_FLAG_PADDED) {
        pad = (uint8_t)p.at[0];
        p = slice_from(p, 1);
    }
    c->block_priority_bad = flags & H2_FLAG_PRIORITY && depends_on_itself(c, p.at);
    if (flags & H2_FLAG_PRIORITY)
        p = slice_from(p, 5);
    if (pad > p.len)
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    c->block_stream = c->frame.stream;
    c->block_ends = flags & H2_FLAG_END_STREAM;
    c->block_frames = 0;
    return block_part(c, slice_head(p, p.len - pad), ev);
}

static bool on_continuation(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    return block_part(c, p, ev);
}

/* ---- streams ---- */

static bool on_priority(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    if (h2_limit_event(c, H2_LIMIT_PRIORITIES, ev))
        return true;
    uint32_t id = c->frame.stream;
    return depends_on_itself(c, p.at) && self_dependency(c, id, h2_core_find(c, id), ev);
}

static bool on_reset(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    uint32_t id = c->frame.stream;
    struct h2_stream *s = h2_core_find(c, id);
    if (!s && h2_is_idle(c, id))
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    if (!s)
        return h2_late_event(c, ev);
    h2_unlist(c, s, H2_GONE_RESET_THERE);
    if (!s->we_ended && h2_limit_event(c, H2_LIMIT_RESETS, ev))
        return true;
    *ev = (struct h2_event){.kind = H2_EV_RESET,
                            .stream = s,
                            .id = id,
                            .err = ERR_CLIENT_RESET,
                            .code = h2_get32(p.at)};
    return true;
}

/* RFC 9218 7.1. Even numbers would be pushes, which never begin. */
static bool on_priority_update(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    uint32_t id = h2_get32(p.at) & H2_STREAM_MAX;
    if (id % 2 == 0 || c->role == H2_CLIENT)
        return h2_fail_event(c, ERR_H2_PROTOCOL, H2_PROTOCOL_ERROR, ev);
    h2_priority_update(c, id, slice_from(p, 4));
    return h2_limit_event(c, H2_LIMIT_PRIORITIES, ev);
}

/* ---- the connection ---- */

/* RFC 9113 6.5.2. Unknown ones are ignored. */
static enum h2_code apply_setting(struct h2_core *c, unsigned id, uint32_t v)
{
    switch (id) {
    case H2_SET_HEADER_TABLE_SIZE:
        hpack_encoder_limit(&c->encoder, v < H2_CORE_TABLE_BYTES ? v : H2_CORE_TABLE_BYTES);
        return H2_NO_ERROR;
    case H2_SET_ENABLE_PUSH:
        return v > 1 || (v && c->role == H2_CLIENT) ? H2_PROTOCOL_ERROR : H2_NO_ERROR;
    case H2_SET_MAX_CONCURRENT_STREAMS: c->peer_streams_max = v; return H2_NO_ERROR;
    case H2_SET_INITIAL_WINDOW_SIZE:
        return v > H2_WINDOW_MAX_BYTES || !h2_windows_shift(c, v) ? H2_FLOW_CONTROL_ERROR
                                                                  : H2_NO_ERROR;
    case H2_SET_MAX_FRAME_SIZE:
        if (v < H2_FRAME_MAX_BYTES || v > 0xffffff)
            return H2_PROTOCOL_ERROR;
        c->peer_frame_bytes = v;
        return H2_NO_ERROR;
    case H2_SET_ENABLE_CONNECT_PROTOCOL:
        if (v > 1 || (v == 0 && c->peer_connects))
            return H2_PROTOCOL_ERROR;
        c->peer_connects = v;
        return H2_NO_ERROR;
    case H2_SET_NO_RFC7540_PRIORITIES: return v > 1 ? H2_PROTOCOL_ERROR : H2_NO_ERROR;
    default: return H2_NO_ERROR;
    }
}

static bool settings_ack(struct h2_core *c, struct h2_event *ev)
{
    char *to = c->room(c, H2_FRAME_HEAD_BYTES);
    if (!to)
        return h2_fail_event(c, ERR_NO_BUFFERS, H2_INTERNAL_ERROR, ev);
    h2_frame_write(to, &(struct h2_frame){0, 0, H2_SETTINGS, H2_FLAG_ACK});
    return false;
}

/* A longer list counts for more: what it costs is in its entries. */
static bool on_settings(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    enum err e;
    if (c->phase == H2_PHASE_SETTINGS)
        c->phase = H2_PHASE_OPEN;
    if (h2_core_take(c, H2_LIMIT_SETTINGS, 1 + (int32_t)(p.len / 128), &e)) {
        *ev = (struct h2_event){.kind = H2_EV_FAILED, .err = e};
        return true;
    }
    if (c->frame.flags & H2_FLAG_ACK) {
        c->acked = true;
        return false;
    }
    uint32_t window = c->peer_window_bytes;
    for (; p.len; p = slice_from(p, 6)) {
        unsigned id = (unsigned)(uint8_t)p.at[0] << 8 | (uint8_t)p.at[1];
        enum h2_code code = apply_setting(c, id, h2_get32(p.at + 2));
        if (code)
            return h2_fail_event(c, ERR_H2_PROTOCOL, code, ev);
    }
    if (settings_ack(c, ev))
        return true;
    *ev = (struct h2_event){.kind = H2_EV_WINDOW};
    return c->peer_window_bytes > window;
}

static bool on_ping(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    if (c->frame.flags & H2_FLAG_ACK) {
        *ev = (struct h2_event){.kind = H2_EV_PONG};
        bool due = c->pinging;
        c->pinging = false;
        return due || h2_limit_event(c, H2_LIMIT_PINGS, ev);
    }
    if (h2_limit_event(c, H2_LIMIT_PINGS, ev))
        return true;
    char *to = c->room(c, H2_FRAME_HEAD_BYTES + 8);
    if (!to)
        return h2_fail_event(c, ERR_NO_BUFFERS, H2_INTERNAL_ERROR, ev);
    memcpy(h2_frame_write(to, &(struct h2_frame){8, 0, H2_PING, H2_FLAG_ACK}), p.at, 8);
    return false;
}

static bool on_goaway(struct h2_core *c, struct slice p, struct h2_event *ev)
{
    if (h2_limit_event(c, H2_LIMIT_SETTINGS, ev))
        return true;
    *ev = (struct h2_event){
        .kind = H2_EV_GOAWAY, .id = h2_get32(p.at) & H2_STREAM_MAX, .code = h2_get32(p.at + 4)};
    return true;
}

static h2_handler *const handlers[] = {
    [H2_HEADERS] = on_headers,
    [H2_PRIORITY] = on_priority,
    [H2_RST_STREAM] = on_reset,
    [H2_SETTINGS] = on_settings,
    [H2_PING] = on_ping,
    [H2_GOAWAY] = on_goaway,
    [H2_WINDOW_UPDATE] = h2_window_update,
    [H2_CONTINUATION] = on_continuation,
    [H2_PRIORITY_UPDATE] = on_priority_update,
};

bool h2_frame_handle(struct h2_core *c, struct slice payload, struct h2_event *ev)
{
    return handlers[c->frame.type](c, payload, ev);
}
