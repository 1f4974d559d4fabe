/* h2_outlet.c - a body as DATA of a stream; see h2_outlet.h. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_outlet.h"

enum {
    COPY_BYTES = 2048, /* cheaper to copy than to send as a span of its own */
    UNCOUNTED_MAX_BYTES = 4096,
};

/* What lies in no buffer has to be copied. */
struct span h2_outlet_next(const struct h2_core *c, const struct h2_stream *s, struct body *b)
{
    struct span front;
    size_t max = h2_core_may_send(c, s);
    if (body_peek(b, &front) && !front.buf && max > UNCOUNTED_MAX_BYTES)
        max = UNCOUNTED_MAX_BYTES;
    return body_take(b, max);
}

static bool put_payload(struct h2_gather *g, struct span run)
{
    if (run.len == 0)
        return true; /* nothing but the end */
    if (run.buf && run.len > COPY_BYTES)
        return h2_gather_span(g, run);
    char *at = h2_gather_reserve(g, run.len);
    if (at) {
        memcpy(at, run.at, run.len);
        h2_gather_commit(g, run.len);
    }
    span_drop(run);
    return at != NULL;
}

/* The frame's head and its data may not be parted: what is copied has to fit one buffer. */
bool h2_outlet_send(struct h2_gather *g, struct h2_core *c, struct h2_stream *s, struct span run,
                    bool end)
{
    bool room = h2_gather_reserve(g, H2_FRAME_HEAD_BYTES + UNCOUNTED_MAX_BYTES) &&
                h2_core_data(c, s, (uint32_t)run.len, end);
    if (!room) {
        span_drop(run);
        return false;
    }
    return put_payload(g, run);
}
