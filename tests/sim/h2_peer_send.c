/* h2_peer_send.c - what the other end of a connection of HTTP/2 says to weir: split, padded and
 * interleaved as the seed will have it, and always within weir's windows.
 *
 * Output is gathered and leaves in pieces of any size, so that weir gets frames in parts and
 * several in one. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/h2_peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 8000, SPANS_KEPT = 8, FRAGMENT_BYTES = 16384 - 300, PAD_MAX = 40 };

/* --- output ----------------------------------------------------------------------------------- */

static char *out_room(struct h2_peer *p, size_t len)
{
    if (p->out_len + len > p->out_cap) {
        p->out_cap = (p->out_len + len) * 2;
        p->out = realloc(p->out, p->out_cap);
        if (!p->out)
            abort();
    }
    p->out_len += len;
    return p->out + p->out_len - len;
}

bool h2_peer_has_room(const struct h2_peer *p)
{
    return p->out_len < H2_PEER_OUT_HIGH_BYTES;
}

void h2_peer_flush(struct h2_peer *p)
{
    size_t at = 0;
    while (p->conn && at < p->out_len) {
        if (conn_out_bytes(p->conn) > CONN_OUT_HIGH_BYTES / 4 ||
            conn_out_room(p->conn) < SPANS_KEPT) {
            conn_want_room(p->conn);
            break;
        }
        size_t n = p->out_len - at;
        if (n > PIECE_BYTES)
            n = PIECE_BYTES;
        sim_write(p->world, p->conn, p->out + at, n);
        at += n;
    }
    memmove(p->out, p->out + at, p->out_len - at);
    p->out_len -= at;
}

void h2_peer_frame(struct h2_peer *p, const struct h2_frame *f, const char *payload)
{
    char *at = h2_frame_write(out_room(p, H2_FRAME_HEAD_BYTES + f->len), f);
    if (f->len)
        memcpy(at, payload, f->len);
}

void h2_peer_update(struct h2_peer *p, uint32_t id, uint32_t n)
{
    char bytes[4];
    h2_put32(bytes, n);
    h2_peer_frame(p, &(struct h2_frame){4, id, H2_WINDOW_UPDATE, 0}, bytes);
}

/* --- the connection --------------------------------------------------------------------------- */

static void settings_write(struct h2_peer *p, uint32_t stream_window, bool first)
{
    char bytes[4 * 6], *at = bytes;
    at = h2_put_setting(at, H2_SET_INITIAL_WINDOW_SIZE, stream_window);
    if (first && p->server) {
        at = h2_put_setting(at, H2_SET_MAX_CONCURRENT_STREAMS, p->streams_max);
        at = h2_put_setting(at, H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    } else if (first) {
        at = h2_put_setting(at, H2_SET_ENABLE_PUSH, 0);
    }
    p->asked_window = stream_window;
    p->acks_due++;
    h2_peer_frame(p, &(struct h2_frame){(uint32_t)(at - bytes), 0, H2_SETTINGS, 0}, bytes);
}

void h2_peer_start(struct h2_peer *p, uint32_t stream_window, uint32_t conn_window)
{
    if (!p->server)
        memcpy(out_room(p, H2_PREFACE_BYTES), h2_preface, H2_PREFACE_BYTES);
    settings_write(p, stream_window, true);
    if (conn_window > H2_WINDOW_BYTES) {
        h2_peer_update(p, 0, conn_window - H2_WINDOW_BYTES);
        p->recv_window = conn_window;
    }
    h2_peer_flush(p);
}

/* One change at a time, so that it is certain which window holds. */
void h2_peer_window(struct h2_peer *p, uint32_t stream_window)
{
    if (p->acks_due == 0)
        settings_write(p, stream_window, false);
}

void h2_peer_goaway(struct h2_peer *p, uint32_t last_id, uint32_t code)
{
    char bytes[8];
    h2_put32(h2_put32(bytes, last_id), code);
    h2_peer_frame(p, &(struct h2_frame){8, 0, H2_GOAWAY, 0}, bytes);
}

void h2_peer_noise(struct h2_peer *p)
{
    static const char zeros[16];
    switch (rand_below(&p->world->rand, 3)) {
    case 0: h2_peer_frame(p, &(struct h2_frame){8, 0, H2_PING, 0}, zeros); break;
    case 1: h2_peer_frame(p, &(struct h2_frame){16, 0, 0xba, 0xff}, zeros); break;
    default: h2_peer_frame(p, &(struct h2_frame){5, 7, H2_PRIORITY, 0}, zeros); break;
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

void h2_peer_reset(struct h2_peer *p, struct h2_peer_stream *s, uint32_t code)
{
    char bytes[4];
    if (s->we_reset || s->they_reset)
        return;
    s->we_reset = true;
    h2_put32(bytes, code);
    h2_peer_frame(p, &(struct h2_frame){4, s->id, H2_RST_STREAM, 0}, bytes);
}

/* A literal that is not indexed, without Huffman's code: for what the encoder would not say. */
static size_t put_number(char *to, size_t n)
{
    if (n < 127) {
        *to = (char)n;
        return 1;
    }
    size_t len = 1;
    *to = 127;
    for (n -= 127; n >= 128; n >>= 7)
        to[len++] = (char)(n % 128 + 128);
    to[len++] = (char)n;
    return len;
}

static size_t put_raw(char *to, struct slice name, struct slice value)
{
    size_t len = 0;
    to[len++] = 0;
    len += put_number(to + len, name.len);
    memcpy(to + len, name.at, name.len);
    len += name.len;
    len += put_number(to + len, value.len);
    memcpy(to + len, value.at, value.len);
    return len + value.len;
}

/* HEADERS with padding and priority at times, then CONTINUATIONs. */
static void block_write(struct h2_peer *p, struct h2_peer_stream *s, const char *block, size_t len,
                        bool end)
{
    struct sim_world *w = p->world;
    bool split = world_chance(w, 100);
    char first[5 + 1 + FRAGMENT_BYTES + PAD_MAX] = {0};
    uint8_t type = H2_HEADERS;
    do {
        size_t n = len < FRAGMENT_BYTES ? len : FRAGMENT_BYTES, head = 0, pad = 0;
        if (split && n > 1 && len < FRAGMENT_BYTES)
            n = 1 + rand_below(&w->rand, (uint32_t)n - 1);
        split = false;
        uint8_t flags = n == len ? H2_FLAG_END_HEADERS : 0;
        if (type == H2_HEADERS) {
            flags |= end ? H2_FLAG_END_STREAM : 0;
            if (world_chance(w, 50)) {
                flags |= H2_FLAG_PADDED;
                pad = rand_below(&w->rand, PAD_MAX);
                first[head++] = (char)pad;
            }
            if (!p->server && world_chance(w, 50)) {
                flags |= H2_FLAG_PRIORITY;
                memset(first + head, 0, 5);
                head += 5;
            }
        }
        memcpy(first + head, block, n);
        memset(first + head + n, 0, pad);
        h2_peer_frame(p, &(struct h2_frame){(uint32_t)(head + n + pad), s->id, type, flags}, first);
        block += n;
        len -= n;
        type = H2_CONTINUATION;
    } while (len > 0);
    s->we_ended = end;
}

void h2_peer_fields(struct h2_peer *p, struct h2_peer_stream *s, const struct h2_peer_field *fields,
                    size_t count, bool raw, bool end)
{
    size_t room = 16;
    for (size_t i = 0; i < count; i++)
        room += strlen(fields[i].name) + strlen(fields[i].value) + 32;
    char *block = malloc(room), *at = block;
    if (!block)
        abort();
    at += hpack_encode_begin(&p->encoder, at);
    for (size_t i = 0; i < count; i++) {
        struct slice name = slice_of(fields[i].name), value = slice_of(fields[i].value);
        at += raw ? put_raw(at, name, value)
                  : hpack_encode(&p->encoder, at, FIELD_OTHER, name, value);
    }
    block_write(p, s, block, (size_t)(at - block), end);
    free(block);
}

void h2_peer_end(struct h2_peer *p, struct h2_peer_stream *s)
{
    if (s->we_ended || h2_peer_stream_over(s))
        return;
    h2_peer_frame(p, &(struct h2_frame){0, s->id, H2_DATA, H2_FLAG_END_STREAM}, NULL);
    s->we_ended = true;
}

static size_t may_send(const struct h2_peer *p, const struct h2_peer_stream *s, size_t len)
{
    int64_t n = p->send_window < s->send_window ? p->send_window : s->send_window;
    if (n > H2_FRAME_MAX_BYTES)
        n = H2_FRAME_MAX_BYTES;
    if (n <= 0 || !h2_peer_has_room(p))
        return 0;
    return (size_t)n < len ? (size_t)n : len;
}

size_t h2_peer_bytes(struct h2_peer *p, struct h2_peer_stream *s, uint32_t id, uint64_t at,
                     size_t len, enum sim_bytes kind, bool end)
{
    struct sim_world *w = p->world;
    char frame[H2_FRAME_MAX_BYTES];
    size_t n = may_send(p, s, len), head = 0, pad = 0;
    if (n == 0 || s->we_ended || h2_peer_stream_over(s))
        return 0;
    if (world_chance(w, 500))
        n = 1 + rand_below(&w->rand, (uint32_t)n);
    if (n > 300 && n + PAD_MAX + 1 <= may_send(p, s, SIZE_MAX) && world_chance(w, 50)) {
        pad = rand_below(&w->rand, PAD_MAX);
        frame[head++] = (char)pad;
    }
    for (size_t i = 0; i < n; i++)
        frame[head + i] = sim_byte(id, at + i, kind);
    memset(frame + head + n, 0, pad);
    bool last = end && n == len;
    uint8_t flags = (uint8_t)((head ? H2_FLAG_PADDED : 0) | (last ? H2_FLAG_END_STREAM : 0));
    uint32_t all = (uint32_t)(head + n + pad);
    h2_peer_frame(p, &(struct h2_frame){all, s->id, H2_DATA, flags}, frame);
    s->send_window -= all;
    p->send_window -= all;
    s->we_ended = last;
    return n;
}
