/* fcgi_out.c - a request to records.
 *
 * PARAMS is a stream over as many records as it needs, so a value may go on in the next buffer.
 * Only its header is written before each run of the body: the bytes go by reference. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "fcgi/fcgi_env_priv.h"
#include "fcgi/fcgi_out_priv.h"

enum {
    COPY_MAX_BYTES = 4096, /* of uncounted bytes at once */
    SPANS_PER_RUN = 3,     /* header, data, and what ends it */
};

/* ---- buffers ---- */

static enum err hand_over(struct fcgi_out *o, struct span s)
{
    enum err e = conn_write(o->conn, s);
    if (e)
        span_drop(s);
    else
        o->sent_bytes += s.len;
    return e;
}

static enum err flush(struct fcgi_out *o)
{
    if (!o->buf || o->buf->len == o->flushed)
        return ERR_OK;
    struct span s = {buf_ref(o->buf), o->buf->bytes + o->flushed, o->buf->len - o->flushed};
    o->flushed = o->buf->len;
    return hand_over(o, s);
}

/* A buffer with room for `size` bytes in one piece. */
static enum err reserve(struct fcgi_out *o, size_t size)
{
    TRY(flush(o));
    if (o->buf && o->buf->refs == 1)
        o->buf->len = o->flushed = 0; /* all that was written in it is out */
    if (o->buf && o->buf->cap - o->buf->len >= size)
        return ERR_OK;
    fcgi_out_release(o);
    o->buf = buf_take_reserve(&o->conn->loop->bufs, BUF_SMALL);
    o->flushed = 0;
    return o->buf ? ERR_OK : ERR_NO_BUFFERS;
}

void fcgi_out_release(struct fcgi_out *o)
{
    if (o->buf)
        buf_drop(o->buf);
    o->buf = NULL;
}

/* Room for `size` bytes, at once or after what was written so far. NULL with the error in *e. */
static char *room(struct fcgi_out *o, size_t size, enum err *e)
{
    *e = o->buf && o->buf->cap - o->buf->len >= size ? ERR_OK : reserve(o, size);
    if (*e != ERR_OK)
        return NULL;
    char *at = o->buf->bytes + o->buf->len;
    o->buf->len += (uint32_t)size;
    return at;
}

static enum err put_header(struct fcgi_out *o, enum fcgi_type type, size_t content)
{
    enum err e;
    char *at = room(o, FCGI_HEADER_BYTES, &e);
    if (at)
        fcgi_header_write(at, type, content);
    return e;
}

/* ---- PARAMS ---- */

static void record_close(struct fcgi_out *o)
{
    size_t content = o->buf->len - o->record - FCGI_HEADER_BYTES;
    if (o->open)
        fcgi_header_write(o->buf->bytes + o->record, FCGI_PARAMS, content);
    o->open = false;
}

static enum err record_open(struct fcgi_out *o)
{
    enum err e;
    if (!room(o, FCGI_HEADER_BYTES + 1, &e)) /* one without content would be the end */
        return e;
    o->buf->len--;
    o->record = o->buf->len - FCGI_HEADER_BYTES;
    o->open = true;
    return ERR_OK;
}

static enum err put_bytes(struct fcgi_out *o, struct slice s)
{
    while (s.len > 0) {
        if (!o->open)
            TRY(record_open(o));
        size_t free = o->buf->cap - o->buf->len, len = s.len < free ? s.len : free;
        memcpy(o->buf->bytes + o->buf->len, s.at, len);
        o->buf->len += (uint32_t)len;
        s = slice_from(s, len);
        if (o->buf->len == o->buf->cap)
            record_close(o);
    }
    return ERR_OK;
}

static enum err put_param(void *ctx, struct slice name, const struct slice *value, size_t parts)
{
    struct fcgi_out *o = ctx;
    char lengths[8];
    size_t len = 0, used;
    for (size_t i = 0; i < parts; i++)
        len += value[i].len;
    used = fcgi_length_write(lengths, name.len);
    used += fcgi_length_write(lengths + used, len);
    TRY(put_bytes(o, (struct slice){lengths, used}));
    TRY(put_bytes(o, name));
    for (size_t i = 0; i < parts; i++)
        TRY(put_bytes(o, value[i]));
    return ERR_OK;
}

static enum err put_begin(struct fcgi_out *o, const struct message *m)
{
    enum err e;
    char *at = room(o, FCGI_BEGIN_BYTES, &e);
    if (at)
        fcgi_begin_write(at, m->cgi && m->cgi->keep_conn ? FCGI_KEEP_CONN : FCGI_CLOSE_CONN);
    return e;
}

enum err fcgi_out_head(struct fcgi_out *o, const struct message *m)
{
    o->left = m->length == LENGTH_KNOWN ? m->content_length : 0;
    TRY(put_begin(o, m));
    TRY(fcgi_env_each(m, put_param, o));
    if (o->open)
        record_close(o);
    TRY(put_header(o, FCGI_PARAMS, 0));
    if (o->left == 0)
        TRY(put_header(o, FCGI_STDIN, 0));
    return flush(o);
}

/* ---- STDIN ---- */

/* The next run of the body, small enough for a record, and to be copied when nobody counts it. */
static struct span take_run(struct body *b)
{
    struct span front;
    if (!body_peek(b, &front))
        return (struct span){0};
    return body_take(b, front.buf ? FCGI_CONTENT_MAX : COPY_MAX_BYTES);
}

static enum err put_run(struct fcgi_out *o, struct span s)
{
    enum err e = put_header(o, FCGI_STDIN, s.len);
    if (e == ERR_OK && !s.buf) {
        char *at = room(o, s.len, &e);
        if (at)
            memcpy(at, s.at, s.len);
        return e == ERR_OK ? flush(o) : e;
    }
    if (e == ERR_OK)
        e = flush(o);
    if (e == ERR_OK)
        return hand_over(o, s);
    span_drop(s);
    return e;
}

static bool is_full(const struct fcgi_out *o)
{
    return conn_out_bytes(o->conn) >= CONN_OUT_HIGH_BYTES || conn_out_room(o->conn) < SPANS_PER_RUN;
}

enum err fcgi_out_body(struct fcgi_out *o, struct body *b, bool *done, bool *blocked)
{
    *done = false;
    if (b->bytes > o->left)
        return ERR_INTERNAL;
    while (b->count && !is_full(o)) {
        struct span s = take_run(b);
        o->left -= s.len;
        TRY(put_run(o, s));
    }
    *blocked = is_full(o);
    if (o->left > 0)
        return body_done(b) ? ERR_INTERNAL : ERR_OK;
    if (*blocked)
        return ERR_OK;
    *done = true;
    TRY(put_header(o, FCGI_STDIN, 0));
    return flush(o);
}
