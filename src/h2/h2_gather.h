/* h2_gather.h - all frames of a tick in few spans: small ones are written one behind the other into
 * a buffer that becomes one span of the connection, large bodies go by reference between them. The
 * buffer is taken with the first frame of a tick and given up at its end. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"

enum { H2_GATHER_MANY = 4 };

struct h2_gather {
    struct conn *conn;
    struct buf *buf;
    uint32_t from; /* of it was handed to the connection */
    bool lost;     /* nothing can be sent any more */
    bool busy;     /* many streams, whose frames fill a small buffer */
    struct flush flush;
};

void h2_gather_init(struct h2_gather *g, struct conn *c);
void h2_gather_release(struct h2_gather *g);
/* `len` contiguous bytes, of which commit() sends some. NULL: no memory, or no room. */
char *h2_gather_reserve(struct h2_gather *g, size_t len);
void h2_gather_commit(struct h2_gather *g, size_t len);
/* Both at once, for what is written in full. */
char *h2_gather_put(struct h2_gather *g, size_t len);
/* Takes over the span. False: the connection is lost. */
bool h2_gather_span(struct h2_gather *g, struct span bytes) MUST_CHECK;
void h2_gather_flush(struct h2_gather *g);         /* now; what does not fit stays */
bool h2_gather_crowded(const struct h2_gather *g); /* DATA has to wait */
bool h2_gather_stuffed(const struct h2_gather *g); /* so has reading, which answers */

/* How many streams write now: those of many fill a large buffer. */
static inline void h2_gather_streams(struct h2_gather *g, uint32_t count)
{
    g->busy = count > H2_GATHER_MANY;
}

static inline bool h2_gather_pending(const struct h2_gather *g)
{
    return g->buf != NULL;
}
