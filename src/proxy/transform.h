/* transform.h - a filter's hand in a body: what it makes of the bytes is what the other side gets.
 *
 * A body passes untouched unless a filter asked for a transform on that side. A transform is fed
 * from the body before it and fills one of its own (`out`), no faster than that is taken from: so
 * back-pressure goes through, and memory is bounded by `body queue` on either side of it. Several
 * on one side run in the order in which they were asked for.
 *
 * Owner: the filter, which keeps it in its state; the exchange lets go of what is queued in it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/body.h"
#include "io/timer.h"

struct exchange;
struct transform;

struct transform_ops {
    /* Takes bytes off the front of *in, some at least, and pushes what they become, as long as
     * transform_has_room(); or none, when it used up the room before. NULL: bytes pass as they are.
     * Any error ends the exchange with it. */
    enum err (*run)(struct transform *t, struct slice *in);
    /* After the last byte: pushes what is still due and passes the trailers (NULL: none) on to
     * t->out, or does not. Called once; again when it set t->unfinished for want of room. NULL:
     * passes them on. */
    enum err (*end)(struct transform *t, struct headers *trailers);
    /* In the place of run and end: moves what it likes from `from` to t->out, whether or not there
     * is room in that, and ends it. Who stores what passes is not held up by who takes it. */
    enum err (*move)(struct transform *t, struct body *from);
    /* Nothing has come for a moment: pushes what is held back, so that it does not wait for more.
     * NULL: nothing ever is. */
    enum err (*pause)(struct transform *t);
    /* Most bytes that are taken in one turn of the exchange, so that others get theirs; 0: any. */
    size_t turn_bytes;
};

struct transform {
    const struct transform_ops *ops;
    struct exchange *x;
    struct transform *before; /* in the same direction; NULL: the message's own body feeds it */
    struct body out;
    struct buf *buf;    /* being written, while it runs */
    struct timer timer; /* of the moment before a pause, or of the next turn */
    bool unfinished;    /* set by end() and pause(), which ran out of room */
    bool held;          /* something came since the last pause */
    bool quiet;         /* the moment before a pause is over */
    bool yielded;       /* its turn was over before all was taken */
};

/* For a filter's on_request: transforms the request's body. Its length is the filter's business:
 * x->req.length and Content-Length. Not for a request without a body. */
void transform_request(struct exchange *x, struct transform *t, const struct transform_ops *ops);
/* The same for on_response, if on_request has called transform_response_wanted(): bytes that nobody
 * looks at may have been left in the kernel. Not for a response without a body, nor a 101. */
void transform_response(struct exchange *x, struct transform *t, const struct transform_ops *ops);
void transform_response_wanted(struct exchange *x);

/* --- for ops ---------------------------------------------------------------------------------- */

enum { TRANSFORM_RESERVE_MAX_BYTES = BUF_LARGE_BYTES };

static inline bool transform_has_room(const struct transform *t)
{
    return body_room(&t->out) > 0;
}

/* At least `min` bytes to write to, valid until the next call; *room: how many they are. NULL: no
 * buffers (ERR_NO_BUFFERS). */
char *transform_reserve(struct transform *t, size_t min, size_t *room);
/* Pushes the first `len` of them. */
enum err transform_push(struct transform *t, size_t len) MUST_CHECK;
