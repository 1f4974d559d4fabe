/* h2_client_out.c - gathers all frames of a tick: small ones are written one behind the other into
 * a buffer that becomes one span of the connection, large bodies go by reference between them. The
 * buffer is taken with the first frame of a tick and given up at its end. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_client_priv.h"

enum {
    DATA_SPANS_MIN = 4,  /* of the connection, for a frame by reference */
    READ_SPANS_MIN = 16, /* for whatever reading answers */
    MANY_STREAMS = 4,    /* whose answers fill a small buffer */
};

/* What was gathered goes to the connection. */
static bool hand_over(struct h2_session *s)
{
    struct buf *b = s->out;
    if (!b || s->out_from == b->len || s->lost)
        return !s->lost;
    struct span all = {buf_ref(b), b->bytes + s->out_from, b->len - s->out_from};
    enum err e = conn_write(s->link.conn, all);
    if (e) {
        span_drop(all);
        s->lost = e != ERR_OVER_LIMIT;
        return false;
    }
    s->out_from = b->len;
    return true;
}

void h2_out_drop(struct h2_session *s)
{
    if (s->out)
        buf_drop(s->out);
    s->out = NULL;
}

char *h2_out_reserve(struct h2_session *s, size_t len)
{
    if (s->out && s->out->cap - s->out->len >= len)
        return s->out->bytes + s->out->len;
    if (len > BUF_LARGE_BYTES || !hand_over(s))
        return NULL;
    bool large = len > BUF_SMALL_BYTES || s->stream_count > MANY_STREAMS;
    struct buf *b = buf_take_reserve(&loop_of(s)->bufs, large ? BUF_LARGE : BUF_SMALL);
    if (!b)
        return NULL;
    h2_out_drop(s);
    b->len = 0;
    s->out = b;
    s->out_from = 0;
    return b->bytes;
}

void h2_out_commit(struct h2_session *s, size_t len)
{
    s->out->len += (uint32_t)len;
    flush_later(loop_of(s), &s->flush);
}

char *h2_out_room(struct h2_core *c, size_t len)
{
    struct h2_session *s = CONTAINER_OF(c, struct h2_session, core);
    char *at = h2_out_reserve(s, len);
    if (at)
        h2_out_commit(s, len);
    return at;
}

bool h2_out_span(struct h2_session *s, struct span bytes)
{
    if (hand_over(s) && conn_write(s->link.conn, bytes) == ERR_OK)
        return true;
    span_drop(bytes);
    s->lost = true;
    return false;
}

static size_t out_bytes(const struct h2_session *s)
{
    return conn_out_bytes(s->link.conn) + (s->out ? s->out->len - s->out_from : 0);
}

bool h2_out_crowded(const struct h2_session *s)
{
    return out_bytes(s) >= CONN_OUT_HIGH_BYTES || conn_out_room(s->link.conn) < DATA_SPANS_MIN;
}

bool h2_out_stuffed(const struct h2_session *s)
{
    return out_bytes(s) >= CONN_OUT_HIGH_BYTES || conn_out_room(s->link.conn) < READ_SPANS_MIN;
}

/* What does not fit stays until there is room. */
void h2_out_flush(struct flush *f)
{
    struct h2_session *s = CONTAINER_OF(f, struct h2_session, flush);
    if (hand_over(s) || s->lost)
        h2_out_drop(s);
    else
        conn_want_room(s->link.conn);
}
