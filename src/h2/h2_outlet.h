/* h2_outlet.h - a body as DATA of a stream, the other direction of h2_intake.h.
 *
 * A run of the body becomes a frame of its own, copied behind its head when it is small, else by
 * reference. When to send, and what to do when nothing goes, is the sessions' business. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_core.h"
#include "h2/h2_gather.h"
#include "http/body.h"

/* The next run that one frame may have, as the windows are now. */
struct span h2_outlet_next(const struct h2_core *c, const struct h2_stream *s, struct body *b);

/* One frame; an empty run is nothing but the end. Takes over the run. False: g->lost, or there were
 * no buffers and nothing was sent. */
bool h2_outlet_send(struct h2_gather *g, struct h2_core *c, struct h2_stream *s, struct span run,
                    bool end) MUST_CHECK;

static inline bool h2_outlet_trailers(const struct body *b)
{
    return b->trailers && b->trailers->count > 0;
}
