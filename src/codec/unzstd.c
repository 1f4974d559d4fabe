/* unzstd.c - Zstandard (RFC 8878), frames in a row as one text; windows of 8 MB at most. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder.h"
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct unzstd {
    struct decoder d;
    ZSTD_DCtx *c;
};

static struct decoder *unzstd_make(void)
{
    struct unzstd *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->c = ZSTD_createDCtx();
    bool ready =
        u->c &&
        !ZSTD_isError(ZSTD_DCtx_setParameter(u->c, ZSTD_d_windowLogMax, DECODER_WINDOW_LOG)) &&
        decoder_hold(&u->d, ZSTD_sizeof_DCtx(u->c)) == ERR_OK;
    if (ready)
        return &u->d;
    ZSTD_freeDCtx(u->c);
    free(u);
    return NULL;
}

static enum err unzstd_run(struct decoder *d, struct slice *in, struct decoder_out *out)
{
    struct unzstd *u = (struct unzstd *)d;
    ZSTD_inBuffer from = {in->at, in->len, 0};
    ZSTD_outBuffer to = {out->to, out->room, 0};
    if (d->at_end && in->len == 0)
        return ERR_OK;
    size_t before;
    do {
        before = from.pos + to.pos;
        size_t left = ZSTD_decompressStream(u->c, &to, &from);
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? ERR_NO_MEMORY
                                                                           : ERR_BAD_CODING;
        d->at_end = left == 0;
    } while (to.pos < to.size && from.pos + to.pos > before && from.pos < from.size);
    out->len = to.pos;
    *in = slice_from(*in, from.pos);
    return decoder_hold(d, ZSTD_sizeof_DCtx(u->c));
}

static void unzstd_free(struct decoder *d)
{
    struct unzstd *u = (struct unzstd *)d;
    enum err e = decoder_hold(d, 0);
    (void)e; /* less is always possible */
    ZSTD_freeDCtx(u->c);
    free(u);
}

const struct decoder_type decoder_zstd = {unzstd_make, unzstd_run, unzstd_free};
