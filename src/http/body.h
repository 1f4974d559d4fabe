/* body.h - the only back-pressure mechanism: a bounded queue of counted bytes with an end mark and
 * an error, between one producer and one consumer of the same thread.
 *
 * Owner: the exchange (two, embedded). The producer (a stream) pushes while body_room() > 0 and
 * stops reading its socket, or withholds window, when the body is full; want() tells it that there
 * is room again. The consumer's task is woken by every push, end and failure. want() is called
 * from the consumer's turn and may only arm and record. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/task.h"
#include "http/message.h"

enum { BODY_SPANS = 16 };

struct body {
    struct span spans[BODY_SPANS];
    uint8_t first, count;
    bool ended;         /* the end mark is in the queue: nothing is pushed any more */
    bool starved;       /* set by a producer that stopped because it was full: body_take() calls
                         * want() once there is room again */
    bool unseen;        /* set by who consumes it: nobody looks at the bytes, so that they may stay
                         * in the kernel: spans may be of `pipe` (io/pipe.h) */
    enum err err;       /* the body is broken off; queued bytes may still be taken */
    size_t bytes;       /* queued now */
    size_t limit_bytes; /* of the queue */
    uint64_t pushed_bytes, taken_bytes;
    uint64_t max_bytes;       /* of the whole body; past it the push fails; 0: none */
    struct headers *trailers; /* NULL, or set with the end mark; lives in the exchange's arena */
    struct task_queue *tasks; /* where the consumer is woken */
    struct task *consumer;    /* may be NULL */
    void (*want)(struct body *b);
    void *producer;   /* for want() */
    struct buf *pipe; /* NULL, or what the producer receives into; counted */
};

void body_init(struct body *b, struct task_queue *tasks, struct task *consumer, size_t limit_bytes);
void body_release(struct body *b); /* drops what is queued; nobody is woken or asked afterwards */
/* After a 101: the same queue carries raw bytes from now on, without a limit for the whole. Takes
 * off the end mark, the error and the trailers; queued bytes, consumer and counts stay. */
void body_reopen(struct body *b);

/* Bytes that may be pushed now: 0 when full, ended or failed. */
size_t body_room(const struct body *b);
/* Takes over the span. One push may go past the limit by its own length (a received piece is never
 * split for it). ERR_BODY_TOO_LARGE past max_bytes: the body has failed, the span was dropped. */
enum err body_push(struct body *b, struct span s) MUST_CHECK;
void body_end(struct body *b);
void body_fail(struct body *b, enum err e); /* after the end mark: no effect */

/* The first span, borrowed; false when none is queued. */
bool body_peek(const struct body *b, struct span *out);
/* The i-th span of those that are queued, borrowed; false when there are fewer. */
bool body_look(const struct body *b, unsigned i, struct span *out);
/* Takes at most `max` bytes off the front; len 0 when empty. The span is the caller's. Calls want()
 * when the producer stopped and the queue is half empty now. */
struct span body_take(struct body *b, size_t max);
/* Bytes are in the kernel, on their way to the consumer's connection: the producer waits for it. */
static inline bool body_in_pipe(const struct body *b)
{
    return b->pipe && b->pipe->len > 0;
}

/* Nothing is queued and the end mark has come. */
bool body_done(const struct body *b);
