/* decoder.c - lends decoders out, and keeps them to their limits: bytes out, ratio, memory.
 *
 * They are made anew for each stream: their memory is small, or can not be used again. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder.h"
#include "base/assert.h"
#include <stdlib.h>

/* In front of each allocation. */
union block {
    size_t bytes;
    max_align_t align;
};

static _Thread_local size_t held_bytes;

size_t decoders_held_bytes(void)
{
    return held_bytes;
}

static bool hold(struct decoder *d, size_t bytes)
{
    if (bytes > DECODERS_MAX_BYTES || held_bytes + bytes > DECODERS_MAX_BYTES)
        return false;
    held_bytes += bytes;
    d->held_bytes += bytes;
    return true;
}

static void let_go(struct decoder *d, size_t bytes)
{
    ASSERT(d->held_bytes >= bytes && held_bytes >= bytes);
    d->held_bytes -= bytes;
    held_bytes -= bytes;
}

void *decoder_alloc(struct decoder *d, size_t bytes)
{
    if (!hold(d, bytes))
        return NULL;
    union block *b = malloc(sizeof *b + bytes);
    if (!b) {
        let_go(d, bytes);
        return NULL;
    }
    b->bytes = bytes;
    return b + 1;
}

void decoder_release(struct decoder *d, void *at)
{
    if (!at)
        return;
    union block *b = (union block *)at - 1;
    let_go(d, b->bytes);
    free(b);
}

enum err decoder_hold(struct decoder *d, size_t bytes)
{
    if (bytes < d->held_bytes)
        let_go(d, d->held_bytes - bytes);
    return bytes == d->held_bytes || hold(d, bytes - d->held_bytes) ? ERR_OK : ERR_NO_MEMORY;
}

struct decoder *decoder_take(const struct decoder_type *type, const struct decoder_plan *plan)
{
    struct decoder *d = type->make();
    if (!d)
        return NULL;
    d->type = type;
    d->plan = *plan;
    return d;
}

void decoder_drop(struct decoder *d)
{
    d->type->free(d);
}

static bool is_too_large(const struct decoder *d)
{
    const struct decoder_plan *p = &d->plan;
    if (p->max_bytes && d->out_bytes > p->max_bytes)
        return true;
    return p->ratio && d->out_bytes > DECODER_RATIO_FREE_BYTES &&
           d->out_bytes / p->ratio >= d->in_bytes && d->out_bytes > d->in_bytes * p->ratio;
}

enum err decoder_run(struct decoder *d, struct slice *in, struct decoder_out *out)
{
    size_t before = in->len;
    ASSERT(out->room > 0);
    out->len = 0;
    TRY(d->type->run(d, in, out));
    d->in_bytes += before - in->len;
    d->out_bytes += out->len;
    return is_too_large(d) ? ERR_DECODED_TOO_LARGE : ERR_OK;
}
