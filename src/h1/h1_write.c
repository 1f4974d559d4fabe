/* h1_write.c - heads and bodies to bytes, for both sides.
 *
 * A head is written once, straight into a buffer whose room was reserved for the largest it can
 * be. Body bytes go by reference; only bytes that no buffer counts (pages made in an arena) are
 * copied, because the connection may need them longer than their owner lives. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/date.h"
#include "base/num.h"
#include "h1/h1_io_priv.h"

enum {
    HEAD_EXTRA_BYTES = 256, /* status line, Date, framing, Connection */
    CHUNK_LINE_BYTES = 2 + 16 + 2,
    COPY_MAX_BYTES = 4096, /* of uncounted bytes at once */
    SPANS_PER_RUN = 4,     /* chunk line, data, and what ends it */
};

#define LAST_CHUNK "0\r\n\r\n"

/* ---- pieces ---- */

/* Room for `size` bytes at *at, contiguous. Nothing is sent before commit(). */
static enum err reserve(struct h1_out *o, size_t size, char **at)
{
    if (o->buf && o->buf->refs == 1)
        o->buf->len = 0; /* all that was written in it is out */
    if (!o->buf || o->buf->cap - o->buf->len < size) {
        if (size > BUF_LARGE_BYTES)
            return ERR_OVER_BUDGET;
        enum buf_size fits = size > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL;
        struct buf *b = buf_take_reserve(&o->conn->loop->bufs, fits);
        if (!b)
            return ERR_NO_BUFFERS;
        h1_out_release(o);
        o->buf = b;
    }
    *at = o->buf->bytes + o->buf->len;
    return ERR_OK;
}

static enum err hand_over(struct h1_out *o, struct span s)
{
    enum err e = conn_write(o->conn, s);
    if (e)
        span_drop(s);
    else
        o->sent_bytes += s.len;
    return e;
}

static enum err commit(struct h1_out *o, size_t len)
{
    struct span s = {buf_ref(o->buf), o->buf->bytes + o->buf->len, len};
    o->buf->len += (uint32_t)len;
    return hand_over(o, s);
}

static enum err literal(struct h1_out *o, struct slice s)
{
    return hand_over(o, (struct span){NULL, s.at, s.len});
}

void h1_out_release(struct h1_out *o)
{
    if (o->buf)
        buf_drop(o->buf);
    o->buf = NULL;
}

/* ---- heads ---- */

/* Most names and values have 4 to 16 bytes: two moves that overlap instead of a call. */
static inline char *put(char *to, struct slice s)
{
    uint64_t a, b;
    uint32_t c, d;
    if (s.len - 8 <= 8) {
        memcpy(&a, s.at, 8);
        memcpy(&b, s.at + s.len - 8, 8);
        memcpy(to, &a, 8);
        memcpy(to + s.len - 8, &b, 8);
    } else if (s.len - 4 < 4) {
        memcpy(&c, s.at, 4);
        memcpy(&d, s.at + s.len - 4, 4);
        memcpy(to, &c, 4);
        memcpy(to + s.len - 4, &d, 4);
    } else if (s.len) {
        memcpy(to, s.at, s.len);
    }
    return to + s.len;
}

static inline char *put_line(char *to, struct slice name, struct slice value)
{
    to = put(to, name);
    *to++ = ':';
    *to++ = ' ';
    to = put(to, value);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

static size_t headers_size(const struct headers *h)
{
    size_t size = 0;
    for (uint32_t i = 0; i < h->count; i++)
        size += h->at[i].name.len + h->at[i].value.len + 4;
    return size;
}

/* Every field but those that are not to leave, `skip` and Content-Length. */
static char *put_headers(char *to, const struct headers *h, enum field_id skip)
{
    for (const struct header *it = h->at, *end = it + h->count; it != end; it++) {
        bool stays = it->dead || it->hop || it->id == FIELD_CONTENT_LENGTH;
        if (!stays && (it->id != skip || skip == FIELD_OTHER))
            to = put_line(to, it->name, it->value);
    }
    return to;
}

static char *put_framing(char *to, const struct h1_out *o)
{
    if (o->framing == H1_CHUNKED)
        return put(to, SLICE("Transfer-Encoding: chunked\r\n"));
    if (o->framing != H1_LENGTH)
        return to;
    to = put(to, SLICE("Content-Length: "));
    to += num_write_u64(to, o->left);
    return put(to, SLICE("\r\n"));
}

static char *put_connection(char *to, enum h1_connection c, const struct message *m)
{
    switch (c) {
    case H1_CONNECTION_CLOSE: return put(to, SLICE("Connection: close\r\n"));
    case H1_CONNECTION_KEEP_ALIVE: return put(to, SLICE("Connection: keep-alive\r\n"));
    case H1_CONNECTION_UPGRADE:
        to = put(to, SLICE("Connection: Upgrade\r\n"));
        return put_line(to, SLICE("Upgrade"), m->upgrade_to);
    default: return to;
    }
}

/* "Date: ..." of this second; made once a second by each thread. */
static char *put_date(char *to, int64_t unix_ms)
{
    static _Thread_local struct {
        int64_t unix_s;
        char text[DATE_HTTP_BYTES];
    } cache = {.unix_s = -1};
    int64_t now_s = unix_ms / 1000;
    if (cache.unix_s != now_s) {
        date_write_http(cache.text, now_s);
        cache.unix_s = now_s;
    }
    return put_line(to, SLICE("Date"), (struct slice){cache.text, DATE_HTTP_BYTES});
}

static char *put_status_line(char *to, const struct message *m)
{
    struct slice reason = m->reason.len ? m->reason : status_reason(m->status);
    to = put(to, SLICE("HTTP/1.1 "));
    to[0] = (char)('0' + m->status / 100);
    to[1] = (char)('0' + m->status / 10 % 10);
    to[2] = (char)('0' + m->status % 10);
    to[3] = ' ';
    to = put(to + 4, reason);
    return put(to, SLICE("\r\n"));
}

static char *put_response(char *to, const struct h1_out *o, const struct message *m,
                          const struct h1_reply *r)
{
    to = put_status_line(to, m);
    to = put_headers(to, &m->headers, FIELD_OTHER);
    struct slice length = headers_get(&m->headers, FIELD_CONTENT_LENGTH);
    if (r->pass_length && o->framing == H1_EMPTY && length.at)
        to = put_line(to, SLICE("Content-Length"), length);
    if (m->status >= 200 && !headers_find(&m->headers, FIELD_DATE))
        to = put_date(to, o->conn->loop->unix_ms);
    to = put_framing(to, o);
    to = put_connection(to, r->connection, m);
    return put(to, SLICE("\r\n"));
}

enum err h1_write_response(struct h1_out *o, const struct message *m, const struct h1_reply *r)
{
    char *at;
    ASSERT(m->status >= 100 && m->status <= 999);
    TRY(reserve(o, HEAD_EXTRA_BYTES + m->reason.len + m->upgrade_to.len + headers_size(&m->headers),
                &at));
    return commit(o, (size_t)(put_response(at, o, m, r) - at));
}

/* The value of Host, which somebody may have set; else the authority (an HTTP/1.0 client may have
 * sent none). */
static struct slice host_of(const struct message *m)
{
    struct slice host = headers_get(&m->headers, FIELD_HOST);
    return host.at ? host : m->authority;
}

static char *put_request(char *to, const struct h1_out *o, const struct message *m)
{
    to = put(to, m->method_text);
    *to++ = ' ';
    to = put(to, m->target);
    to = put(to, SLICE(" HTTP/1.1\r\n"));
    to = put_line(to, SLICE("Host"), host_of(m));
    to = put_headers(to, &m->headers, FIELD_HOST);
    to = put_framing(to, o);
    to = put_connection(to, m->upgrade ? H1_CONNECTION_UPGRADE : H1_CONNECTION_NONE, m);
    return put(to, SLICE("\r\n"));
}

enum err h1_write_request(struct h1_out *o, const struct message *m)
{
    char *at;
    size_t size = m->method_text.len + m->target.len + m->authority.len + m->upgrade_to.len;
    TRY(reserve(o, HEAD_EXTRA_BYTES + size + headers_size(&m->headers), &at));
    return commit(o, (size_t)(put_request(at, o, m) - at));
}

/* ---- bodies ---- */

static enum err copy_out(struct h1_out *o, struct span s)
{
    char *at;
    TRY(reserve(o, s.len, &at));
    memcpy(at, s.at, s.len);
    return commit(o, s.len);
}

/* Takes the next run off the body, small enough to be copied when nobody counts its bytes. */
static struct span take_run(struct body *b, uint64_t max)
{
    struct span front;
    if (!body_peek(b, &front))
        return (struct span){0};
    if (!front.buf && max > COPY_MAX_BYTES)
        max = COPY_MAX_BYTES;
    return body_take(b, max < SIZE_MAX ? (size_t)max : SIZE_MAX);
}

static enum err put_run(struct h1_out *o, struct span s)
{
    return s.buf ? hand_over(o, s) : copy_out(o, s);
}

static bool is_full(const struct h1_out *o)
{
    return conn_out_bytes(o->conn) >= CONN_OUT_HIGH_BYTES || conn_out_room(o->conn) < SPANS_PER_RUN;
}

static enum err body_plain(struct h1_out *o, struct body *b, bool *done)
{
    bool counted = o->framing == H1_LENGTH;
    if (counted && b->bytes > o->left)
        return ERR_INTERNAL;
    while (b->count && !is_full(o)) {
        struct span s = take_run(b, counted ? o->left : UINT64_MAX);
        o->left -= counted ? s.len : 0;
        TRY(put_run(o, s));
    }
    *done = counted ? o->left == 0 : body_done(b);
    return counted && !*done && body_done(b) ? ERR_INTERNAL : ERR_OK;
}

/* "\r\n" of the chunk before, when there is one in this turn, and the size of the next. */
static enum err chunk_line(struct h1_out *o, size_t size, bool after_chunk)
{
    char *at, *to;
    TRY(reserve(o, CHUNK_LINE_BYTES, &at));
    to = put(at, after_chunk ? SLICE("\r\n") : SLICE(""));
    to += num_write_hex(to, size);
    to = put(to, SLICE("\r\n"));
    return commit(o, (size_t)(to - at));
}

static enum err chunks_end(struct h1_out *o, const struct headers *trailers, bool after_chunk)
{
    char *at, *to;
    if (!trailers)
        return literal(o, after_chunk ? SLICE("\r\n" LAST_CHUNK) : SLICE(LAST_CHUNK));
    TRY(reserve(o, sizeof("\r\n" LAST_CHUNK) + headers_size(trailers), &at));
    to = put(at, after_chunk ? SLICE("\r\n0\r\n") : SLICE("0\r\n"));
    to = put_headers(to, trailers, FIELD_OTHER);
    to = put(to, SLICE("\r\n"));
    return commit(o, (size_t)(to - at));
}

static enum err body_chunked(struct h1_out *o, struct body *b, bool *done)
{
    bool after_chunk = false;
    while (b->count && !is_full(o)) {
        struct span s = take_run(b, UINT64_MAX);
        enum err e = chunk_line(o, s.len, after_chunk);
        if (e) {
            span_drop(s);
            return e;
        }
        TRY(put_run(o, s));
        after_chunk = true;
    }
    *done = body_done(b);
    if (*done)
        return chunks_end(o, b->trailers, after_chunk);
    return after_chunk ? literal(o, SLICE("\r\n")) : ERR_OK;
}

enum err h1_out_body(struct h1_out *o, struct body *b, bool *done, bool *blocked)
{
    *done = false;
    *blocked = o->framing != H1_EMPTY && is_full(o);
    if (*blocked)
        return ERR_OK;
    switch (o->framing) {
    case H1_EMPTY: *done = true; break;
    case H1_CHUNKED: TRY(body_chunked(o, b, done)); break;
    default: TRY(body_plain(o, b, done)); break;
    }
    *blocked = !*done && is_full(o);
    return ERR_OK;
}
