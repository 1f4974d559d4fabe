/* h2_intake.h - DATA of a stream into its body.
 *
 * Bytes go by reference while the body has room, else they are copied, dense, into buffers that
 * wait: a body has few places, and a peer may send many small frames. How much can wait is what the
 * windows allow; they open only as the body's consumer takes bytes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_core.h"
#include "http/body.h"

struct h2_intake {
    struct h2_core *core;
    struct h2_stream *flow;
    struct body *body;
    struct buf_pool *bufs;
    struct buf *kept, **kept_tail; /* wait for room in the body; by buf.next */
    uint64_t credited_bytes;       /* of what the body's consumer took */
    bool held;                     /* nothing goes into the body yet */
    bool ended;                    /* the end is due once `kept` is in the body */
};

void h2_intake_init(struct h2_intake *in, struct h2_core *c, struct h2_stream *flow,
                    struct body *body, struct buf_pool *bufs);
void h2_intake_drop(struct h2_intake *in); /* what waits */
/* `bytes` lie in `buf`. ERR_NO_BUFFERS; what does not fit the body's own limit breaks the body. */
enum err h2_intake_push(struct h2_intake *in, struct buf *buf, struct slice bytes) MUST_CHECK;
void h2_intake_end(struct h2_intake *in);
/* The body has room again: moves what waits, and opens the window for what was taken. */
void h2_intake_move(struct h2_intake *in);
