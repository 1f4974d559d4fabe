/* h2_gather.c - frames on their way to the connection; see h2_gather.h. Knows no session. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_gather.h"
#include "base/assert.h"

enum {
    DATA_SPANS_MIN = 4,  /* of the connection, for a frame by reference */
    READ_SPANS_MIN = 16, /* for whatever reading answers */
};

/* What was gathered goes to the connection. */
static bool hand_over(struct h2_gather *g)
{
    struct buf *b = g->buf;
    if (!b || g->from == b->len || g->lost)
        return !g->lost;
    struct span all = {buf_ref(b), b->bytes + g->from, b->len - g->from};
    enum err e = conn_write(g->conn, all);
    if (e) {
        span_drop(all);
        g->lost = e != ERR_OVER_LIMIT;
        return false;
    }
    g->from = b->len;
    return true;
}

static void drop(struct h2_gather *g)
{
    if (g->buf)
        buf_drop(g->buf);
    g->buf = NULL;
}

void h2_gather_flush(struct h2_gather *g)
{
    if (hand_over(g) || g->lost)
        drop(g);
    else
        conn_want_room(g->conn);
}

static void on_flush(struct flush *f)
{
    h2_gather_flush(CONTAINER_OF(f, struct h2_gather, flush));
}

void h2_gather_init(struct h2_gather *g, struct conn *c)
{
    *g = (struct h2_gather){.conn = c};
    flush_init(&g->flush, on_flush);
}

void h2_gather_release(struct h2_gather *g)
{
    flush_cancel(&g->flush);
    drop(g);
}

char *h2_gather_reserve(struct h2_gather *g, size_t len)
{
    if (g->buf && g->buf->cap - g->buf->len >= len)
        return g->buf->bytes + g->buf->len;
    if (len > BUF_LARGE_BYTES || !hand_over(g))
        return NULL;
    bool large = len > BUF_SMALL_BYTES || g->busy;
    struct buf *b = buf_take_reserve(&g->conn->loop->bufs, large ? BUF_LARGE : BUF_SMALL);
    if (!b)
        return NULL;
    drop(g);
    b->len = 0;
    g->buf = b;
    g->from = 0;
    return b->bytes;
}

void h2_gather_commit(struct h2_gather *g, size_t len)
{
    g->buf->len += (uint32_t)len;
    flush_later(g->conn->loop, &g->flush);
}

char *h2_gather_put(struct h2_gather *g, size_t len)
{
    char *at = h2_gather_reserve(g, len);
    if (at)
        h2_gather_commit(g, len);
    return at;
}

bool h2_gather_span(struct h2_gather *g, struct span bytes)
{
    if (hand_over(g) && conn_write(g->conn, bytes) == ERR_OK)
        return true;
    span_drop(bytes);
    g->lost = true;
    return false;
}

static size_t out_bytes(const struct h2_gather *g)
{
    return conn_out_bytes(g->conn) + (g->buf ? g->buf->len - g->from : 0);
}

bool h2_gather_crowded(const struct h2_gather *g)
{
    return out_bytes(g) >= CONN_OUT_HIGH_BYTES || conn_out_room(g->conn) < DATA_SPANS_MIN;
}

bool h2_gather_stuffed(const struct h2_gather *g)
{
    return out_bytes(g) >= CONN_OUT_HIGH_BYTES || conn_out_room(g->conn) < READ_SPANS_MIN;
}
