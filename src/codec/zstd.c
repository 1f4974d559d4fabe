/* zstd.c - Zstandard (RFC 8878). With the size known its tables are as small as the text allows;
 * the window stays far below the 8 MB that browsers take (RFC 9659). */
// SPDX-License-Identifier: Apache-2.0
#include "codec/encoder.h"
#include <stdlib.h>
#include <zstd.h>

enum { WINDOW_LOG = 19 };

struct zstd {
    struct encoder e;
    ZSTD_CCtx *c;
};

static const int levels[ENCODER_EFFORTS] = {1, 3, 6};

static struct encoder *zstd_make(void)
{
    struct zstd *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->c = ZSTD_createCCtx();
    if (s->c)
        return &s->e;
    free(s);
    return NULL;
}

static bool is_ok(size_t ret)
{
    return !ZSTD_isError(ret);
}

static bool zstd_begin(struct encoder *e, const struct encoder_plan *plan)
{
    ZSTD_CCtx *c = ((struct zstd *)e)->c;
    unsigned long long size =
        plan->size_bytes == ENCODER_SIZE_UNKNOWN ? ZSTD_CONTENTSIZE_UNKNOWN : plan->size_bytes;
    return is_ok(ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters)) &&
           is_ok(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, levels[plan->effort])) &&
           is_ok(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, WINDOW_LOG)) &&
           is_ok(ZSTD_CCtx_setPledgedSrcSize(c, size));
}

static enum err zstd_run(struct encoder *e, struct slice *in, enum encoder_op op,
                         struct encoder_out *out)
{
    static const ZSTD_EndDirective ops[] = {
        [ENCODER_GO] = ZSTD_e_continue, [ENCODER_FLUSH] = ZSTD_e_flush, [ENCODER_END] = ZSTD_e_end};
    ZSTD_inBuffer from = {in->at, in->len, 0};
    ZSTD_outBuffer to = {out->to, out->room, 0};
    size_t left = ZSTD_compressStream2(((struct zstd *)e)->c, &to, &from, ops[op]);
    if (!is_ok(left))
        return ERR_INTERNAL;
    out->len = to.pos;
    out->done = left == 0;
    *in = slice_from(*in, from.pos);
    return ERR_OK;
}

static void zstd_free(struct encoder *e)
{
    struct zstd *s = (struct zstd *)e;
    ZSTD_freeCCtx(s->c);
    free(s);
}

const struct encoder_type encoder_zstd = {
    .slot = 1,
    .memory_bytes = 1536 << 10,
    .make = zstd_make,
    .begin = zstd_begin,
    .run = zstd_run,
    .free = zstd_free,
};
