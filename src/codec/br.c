/* br.c - Brotli (RFC 7932), at the levels that can be paid for: still ten times the cost of gzip.
 *
 * The library can not use an encoder again, so each stream gets a new one. A flush that has begun
 * has to end before more goes in: callers ask for it until it is done. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/encoder.h"
#include <brotli/encode.h>
#include <stdlib.h>

enum { WINDOW_LOG = 18 };

struct br {
    struct encoder e;
    BrotliEncoderState *b;
};

static const uint32_t levels[ENCODER_EFFORTS] = {3, 4, 5};

static struct encoder *br_make(void)
{
    struct br *s = calloc(1, sizeof *s);
    return s ? &s->e : NULL;
}

static bool br_begin(struct encoder *e, const struct encoder_plan *plan)
{
    struct br *s = (struct br *)e;
    s->b = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    if (!s->b)
        return false;
    uint32_t hint = plan->size_bytes < 1 << 30 ? (uint32_t)plan->size_bytes : 0;
    return BrotliEncoderSetParameter(s->b, BROTLI_PARAM_QUALITY, levels[plan->effort]) &&
           BrotliEncoderSetParameter(s->b, BROTLI_PARAM_LGWIN, WINDOW_LOG) &&
           BrotliEncoderSetParameter(s->b, BROTLI_PARAM_SIZE_HINT, hint);
}

static bool all_is_out(BrotliEncoderState *b, enum encoder_op op, size_t in_left)
{
    if (op == ENCODER_END)
        return BrotliEncoderIsFinished(b);
    return in_left == 0 && !BrotliEncoderHasMoreOutput(b);
}

static enum err br_run(struct encoder *e, struct slice *in, enum encoder_op op,
                       struct encoder_out *out)
{
    static const BrotliEncoderOperation ops[] = {[ENCODER_GO] = BROTLI_OPERATION_PROCESS,
                                                 [ENCODER_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                 [ENCODER_END] = BROTLI_OPERATION_FINISH};
    BrotliEncoderState *b = ((struct br *)e)->b;
    size_t in_left = in->len, room = out->room;
    const uint8_t *from = (const uint8_t *)in->at;
    uint8_t *to = (uint8_t *)out->to;
    if (!BrotliEncoderCompressStream(b, ops[op], &in_left, &from, &room, &to, NULL))
        return ERR_INTERNAL;
    out->len = out->room - room;
    out->done = all_is_out(b, op, in_left);
    *in = slice_from(*in, in->len - in_left);
    return ERR_OK;
}

static void br_free(struct encoder *e)
{
    struct br *s = (struct br *)e;
    if (s->b)
        BrotliEncoderDestroyInstance(s->b);
    free(s);
}

const struct encoder_type encoder_br = {
    .slot = 2,
    .once = true,
    .memory_bytes = 2 << 20,
    .make = br_make,
    .begin = br_begin,
    .run = br_run,
    .free = br_free,
};
