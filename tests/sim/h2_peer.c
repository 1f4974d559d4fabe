/* h2_peer.c - what weir sends on a connection of HTTP/2, frame by frame, and whether it may.
 *
 * Held against RFC 9113: weir sends no more than our windows and SETTINGS allow, nothing on a
 * stream that it has ended, whole header blocks in lower case without fields of the connection, and
 * no frame that only the other side may send. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/h2_peer.h"
#include "base/mem.h"
#include "h2/h2_frame.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIST_MAX_BYTES = 1 << 20, ARENA_BYTES = 2 << 20 };

static struct h2_peer_stream *find(const struct h2_peer *p, uint32_t id)
{
    LIST_EACH (l, (struct list *)&p->streams)
        if (LIST_ENTRY(l, struct h2_peer_stream, link)->id == id)
            return LIST_ENTRY(l, struct h2_peer_stream, link);
    return NULL;
}

static void broken(const struct h2_peer *p, const struct h2_frame *f, const char *what)
{
    static const char *const yes[] = {"",          " head",      " we ended", " they ended",
                                      " we reset", " they reset"};
    const struct h2_peer_stream *s = find(p, f->stream);
    sim_broken(p->world, "%s: frame of type %u, flags %x, stream %u (%s%s%s%s%s%s), %u bytes: %s",
               p->server ? "an h2 origin" : "an h2 client", f->type, f->flags, f->stream,
               s ? "known:" : "unknown", yes[s && s->head_came ? 1 : 0],
               yes[s && s->we_ended ? 2 : 0], yes[s && s->they_ended ? 3 : 0],
               yes[s && s->we_reset ? 4 : 0], yes[s && s->they_reset ? 5 : 0], f->len, what);
}

struct h2_peer *h2_peer_new(struct sim_world *w, struct conn *c, bool server,
                            const struct h2_peer_ops *ops, void *user)
{
    struct h2_peer *p = MEM_NEW(struct h2_peer);
    p->world = w;
    p->conn = c;
    p->server = server;
    p->ops = ops;
    p->user = user;
    p->window_bytes = p->asked_window = p->weir_window = H2_WINDOW_BYTES;
    p->send_window = p->recv_window = H2_WINDOW_BYTES;
    p->generous = world_chance(w, 300);
    list_init(&p->streams);
    hpack_decoder_init(&p->decoder, HPACK_TABLE_BYTES);
    hpack_encoder_init(&p->encoder);
    return p;
}

void h2_peer_free(struct h2_peer *p)
{
    hpack_decoder_release(&p->decoder);
    hpack_encoder_release(&p->encoder);
    free(p->out);
    free(p);
}

void h2_peer_stream_init(struct h2_peer *p, struct h2_peer_stream *s, uint32_t id)
{
    *s = (struct h2_peer_stream){
        .id = id, .send_window = p->weir_window, .recv_window = p->window_bytes};
    list_push(&p->streams, &s->link);
    p->last_id = id;
}

bool h2_peer_stream_over(const struct h2_peer_stream *s)
{
    return s->we_reset || s->they_reset || (s->we_ended && s->they_ended);
}

/* --- header blocks ---------------------------------------------------------------------------- */

struct reading {
    struct h2_peer *peer;
    struct slice method, path, authority, status, protocol;
    bool regular;
    const char *wrong;
    size_t len;
    char text[H2_PEER_TEXT_BYTES];
};

static void take_pseudo(struct reading *r, const struct hpack_header *h)
{
    struct {
        const char *name;
        struct slice *to;
    } all[] = {{":method", &r->method},     {":path", &r->path},     {":authority", &r->authority},
               {":protocol", &r->protocol}, {":status", &r->status}, {":scheme", NULL}};
    if (r->regular)
        r->wrong = "a pseudo-header behind others";
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (!slice_eq(h->name, slice_of(all[i].name)))
            continue;
        if (all[i].to && all[i].to->at)
            r->wrong = "a pseudo-header twice";
        if (all[i].to)
            *all[i].to = h->value;
        return;
    }
    r->wrong = "an unknown pseudo-header";
}

static bool is_of_connection(struct slice name)
{
    static const char *const names[] = {"connection", "keep-alive",       "transfer-encoding",
                                        "upgrade",    "proxy-connection", "http2-settings"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_eq(name, slice_of(names[i])))
            return true;
    return false;
}

static enum err take_field(void *user, const struct hpack_header *h)
{
    struct reading *r = user;
    if (h->name.len && h->name.at[0] == ':') {
        take_pseudo(r, h);
        return ERR_OK;
    }
    r->regular = true;
    for (size_t i = 0; i < h->name.len; i++)
        if (h->name.at[i] >= 'A' && h->name.at[i] <= 'Z')
            r->wrong = "upper case in a name";
    if (is_of_connection(h->name))
        r->wrong = "a field of the connection";
    if (r->len + h->name.len + h->value.len + 8 > sizeof r->text) {
        r->wrong = "a head without end";
        return ERR_OK;
    }
    r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%.*s: %.*s\r\n",
                               (int)h->name.len, h->name.at, (int)h->value.len, h->value.at);
    return ERR_OK;
}

/* As a head of HTTP/1.1, which is what the judges read. */
static void head_text(const struct reading *r, char *to, size_t cap)
{
    size_t n;
    if (r->status.at)
        n = (size_t)snprintf(to, cap, "HTTP/1.1 %.*s Sim\r\n", (int)r->status.len, r->status.at);
    else
        n = (size_t)snprintf(to, cap, "%.*s %.*s HTTP/1.1\r\nhost: %.*s\r\n", (int)r->method.len,
                             r->method.at, (int)r->path.len, r->path.at, (int)r->authority.len,
                             r->authority.at);
    if (r->protocol.at)
        n += (size_t)snprintf(to + n, cap - n, "upgrade: %.*s\r\n", (int)r->protocol.len,
                              r->protocol.at);
    snprintf(to + n, cap - n, "%.*s\r\n", (int)r->len, r->text);
}

static void trailers_tell(struct h2_peer *p, struct h2_peer_stream *s, char *text, size_t len)
{
    for (char *at = text, *end; at < text + len; at = end + 2) {
        end = strstr(at, "\r\n");
        *end = '\0';
        p->ops->on_trailer(p, s, at);
    }
}

static void block_tell(struct h2_peer *p, struct h2_peer_stream *s, struct reading *r,
                       const struct h2_frame *f)
{
    static char text[2 * H2_PEER_TEXT_BYTES];
    bool interim = r->status.len && r->status.at[0] == '1';
    r->text[r->len] = '\0';
    if (r->wrong)
        broken(p, f, r->wrong);
    if (s->head_came) {
        if (r->method.at || r->status.at || !p->block_ends)
            broken(p, f, "a second head");
        trailers_tell(p, s, r->text, r->len);
        return;
    }
    if (p->server ? !r->method.at || !r->path.at || !r->authority.at : !r->status.at)
        broken(p, f, "pseudo-headers are missing");
    if (interim && p->block_ends)
        broken(p, f, "an interim head ends the stream");
    s->head_came = !interim;
    head_text(r, text, sizeof text);
    p->ops->on_head(p, s, text);
}

static void end_came(struct h2_peer *p, struct h2_peer_stream *s)
{
    s->they_ended = true;
    if (!s->we_reset)
        p->ops->on_end(p, s);
}

static void block_whole(struct h2_peer *p, const struct h2_frame *f)
{
    static struct reading r;
    struct arena a;
    struct h2_peer_stream *s = find(p, p->block_stream);
    r = (struct reading){.peer = p};
    arena_init(&a, ARENA_BYTES);
    enum err e = hpack_decode(&p->decoder, (struct slice){p->block, p->block_len}, LIST_MAX_BYTES,
                              &a, take_field, &r);
    if (e)
        broken(p, f, "a block that can not be decoded");
    if (s && !s->we_reset)
        block_tell(p, s, &r, f);
    if (s && p->block_ends && !s->they_ended)
        end_came(p, s);
    arena_release(&a);
    p->block_stream = 0;
}

static void block_add(struct h2_peer *p, const struct h2_frame *f, const char *at, size_t len)
{
    if (p->block_len + len > sizeof p->block)
        broken(p, f, "a block without end");
    memcpy(p->block + p->block_len, at, len);
    p->block_len += len;
    if (f->flags & H2_FLAG_END_HEADERS)
        block_whole(p, f);
}

static uint32_t open_count(const struct h2_peer *p)
{
    uint32_t n = 0;
    LIST_EACH (l, (struct list *)&p->streams)
        n += !h2_peer_stream_over(LIST_ENTRY(l, struct h2_peer_stream, link));
    return n;
}

static void stream_begun(struct h2_peer *p, const struct h2_frame *f)
{
    if (!p->server || f->stream % 2 == 0 || f->stream <= p->last_id)
        broken(p, f, "a stream that can not begin");
    if (p->streams_max && p->acks_due == 0 && open_count(p) >= p->streams_max)
        broken(p, f, "more streams than there may be");
    p->last_id = f->stream;
    struct h2_peer_stream *s = p->ops->on_open(p, f->stream);
    if (s)
        h2_peer_stream_init(p, s, f->stream);
}

static void on_headers(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    struct h2_peer_stream *s = find(p, f->stream);
    size_t len = f->len, pad = 0;
    if (s && (s->they_ended || s->they_reset))
        broken(p, f, "fields behind the end of a stream");
    if (!s && !(p->server && f->stream <= p->last_id && f->stream % 2))
        stream_begun(p, f);
    if (f->flags & H2_FLAG_PADDED) {
        pad = (unsigned char)*at++;
        len--;
    }
    if (f->flags & H2_FLAG_PRIORITY) {
        at += 5;
        len -= 5;
    }
    if (pad > len)
        broken(p, f, "more padding than frame");
    p->block_stream = f->stream;
    p->block_ends = f->flags & H2_FLAG_END_STREAM;
    p->block_len = 0;
    block_add(p, f, at, len - pad);
}

/* --- data and windows ------------------------------------------------------------------------- */

/* Given back at once, or when a part of the window is used up: never so late that weir waits. */
static bool due_back(const struct h2_peer *p, uint32_t taken, uint32_t window)
{
    return taken > 0 && (p->generous || taken >= window / 2 || taken >= 16384);
}

static void taken(struct h2_peer *p, struct h2_peer_stream *s, uint32_t n)
{
    p->taken_bytes += n;
    if (due_back(p, p->taken_bytes, H2_WINDOW_BYTES)) {
        p->recv_window += p->taken_bytes;
        h2_peer_update(p, 0, p->taken_bytes);
        p->taken_bytes = 0;
    }
    if (!s || h2_peer_stream_over(s) || s->they_ended)
        return;
    s->taken_bytes += n;
    if (s->deaf || !due_back(p, s->taken_bytes, p->asked_window))
        return;
    s->recv_window += s->taken_bytes;
    h2_peer_update(p, s->id, s->taken_bytes);
    s->taken_bytes = 0;
}

static void on_data(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    struct h2_peer_stream *s = find(p, f->stream);
    size_t len = f->len, pad = 0;
    if (s ? (!s->head_came && !s->we_reset) || s->they_ended || s->they_reset
          : !p->server || f->stream > p->last_id)
        broken(p, f, "data where none may be");
    p->recv_window -= f->len;
    if (s)
        s->recv_window -= f->len;
    if (p->recv_window < 0 || (s && s->recv_window < 0))
        broken(p, f, "more than the window");
    if (f->flags & H2_FLAG_PADDED) {
        pad = (unsigned char)*at++;
        len--;
    }
    if (pad > len)
        broken(p, f, "more padding than frame");
    bool ends = f->flags & H2_FLAG_END_STREAM;
    if (s && !s->we_reset && len > pad)
        p->ops->on_bytes(p, s, at, len - pad);
    if (s && ends)
        end_came(p, s);
    taken(p, s, f->len);
}

static void on_update(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    uint32_t n = h2_get32(at) & H2_WINDOW_MAX_BYTES;
    struct h2_peer_stream *s = find(p, f->stream);
    int64_t *window = f->stream == 0 ? &p->send_window : s ? &s->send_window : NULL;
    if (n == 0)
        broken(p, f, "a window opened by nothing");
    if (f->stream > p->last_id)
        broken(p, f, "a window of a stream that never was");
    if (!window)
        return;
    *window += n;
    if (*window > H2_WINDOW_MAX_BYTES)
        broken(p, f, "a window beyond its limit");
}

/* --- the connection --------------------------------------------------------------------------- */

static void settings_acked(struct h2_peer *p, const struct h2_frame *f)
{
    if (p->acks_due-- == 0)
        broken(p, f, "SETTINGS acknowledged that were never sent");
    if (p->acks_due > 0)
        return;
    int64_t by = (int64_t)p->asked_window - p->window_bytes;
    LIST_EACH (l, &p->streams)
        LIST_ENTRY(l, struct h2_peer_stream, link)->recv_window += by;
    p->window_bytes = p->asked_window;
}

static void weir_window_is(struct h2_peer *p, uint32_t bytes)
{
    int64_t by = (int64_t)bytes - p->weir_window;
    LIST_EACH (l, &p->streams)
        LIST_ENTRY(l, struct h2_peer_stream, link)->send_window += by;
    p->weir_window = bytes;
}

static void on_peer_reset(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    struct h2_peer_stream *s = find(p, f->stream);
    if (f->stream > p->last_id)
        broken(p, f, "a reset of a stream that never was");
    if (!s || s->they_reset)
        return;
    s->they_reset = true;
    if (!s->we_reset)
        p->ops->on_reset(p, s, h2_get32(at));
}

static void on_settings(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    if (f->flags & H2_FLAG_ACK) {
        settings_acked(p, f);
        return;
    }
    p->settled = true;
    for (uint32_t i = 0; i + 6 <= f->len; i += 6) {
        unsigned id = (unsigned)(unsigned char)at[i] << 8 | (unsigned char)at[i + 1];
        uint32_t v = h2_get32(at + i + 2);
        if (id == H2_SET_INITIAL_WINDOW_SIZE)
            weir_window_is(p, v);
        else if (id == H2_SET_ENABLE_PUSH && v != 0)
            broken(p, f, "push is allowed");
        else if (id == H2_SET_ENABLE_CONNECT_PROTOCOL)
            p->connects = v == 1;
    }
    h2_peer_frame(p, &(struct h2_frame){0, 0, H2_SETTINGS, H2_FLAG_ACK}, NULL);
}

static void on_ping(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    if (!(f->flags & H2_FLAG_ACK))
        h2_peer_frame(p, &(struct h2_frame){8, 0, H2_PING, H2_FLAG_ACK}, at);
}

static void handle(struct h2_peer *p, const struct h2_frame *f, const char *at)
{
    if (!p->settled && (f->type != H2_SETTINGS || f->flags & H2_FLAG_ACK))
        broken(p, f, "anything before SETTINGS");
    if (p->block_stream && (f->type != H2_CONTINUATION || f->stream != p->block_stream))
        broken(p, f, "a header block with something in it");
    if (h2_frame_check(f) != H2_NO_ERROR)
        broken(p, f, "a size or stream that it can not have");
    switch (f->type) {
    case H2_DATA: on_data(p, f, at); break;
    case H2_HEADERS: on_headers(p, f, at); break;
    case H2_CONTINUATION:
        if (!p->block_stream)
            broken(p, f, "it continues nothing");
        block_add(p, f, at, f->len);
        break;
    case H2_RST_STREAM: on_peer_reset(p, f, at); break;
    case H2_SETTINGS: on_settings(p, f, at); break;
    case H2_PING: on_ping(p, f, at); break;
    case H2_GOAWAY: p->ops->on_goaway(p, h2_get32(at) & H2_STREAM_MAX, h2_get32(at + 4)); break;
    case H2_WINDOW_UPDATE: on_update(p, f, at); break;
    default: broken(p, f, "nothing that weir has to say"); break;
    }
}

void h2_peer_feed(struct h2_peer *p, const char *at, size_t len)
{
    while (len > 0 && p->conn) {
        struct h2_frame f;
        size_t preface = p->server && !p->preface_seen ? H2_PREFACE_BYTES : 0;
        size_t want = preface ? preface : H2_FRAME_HEAD_BYTES;
        if (!preface && p->in_len >= H2_FRAME_HEAD_BYTES) {
            h2_frame_read(p->in, &f);
            want += f.len;
        }
        if (want > sizeof p->in)
            sim_broken(p->world, "weir sends a frame of %zu bytes", want);
        size_t n = want - p->in_len < len ? want - p->in_len : len;
        memcpy(p->in + p->in_len, at, n);
        p->in_len += n;
        at += n;
        len -= n;
        if (p->in_len < want)
            continue;
        if (preface) {
            if (memcmp(p->in, h2_preface, H2_PREFACE_BYTES) != 0)
                sim_broken(p->world, "weir begins without a preface");
            p->preface_seen = true;
            p->in_len = 0;
            continue;
        }
        h2_frame_read(p->in, &f);
        if (p->in_len < H2_FRAME_HEAD_BYTES + f.len)
            continue;
        p->in_len = 0;
        handle(p, &f, p->in + H2_FRAME_HEAD_BYTES);
    }
}
