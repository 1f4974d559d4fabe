/* unbr.c - Brotli (RFC 7932). Its windows are up to 16 MB, taken as the text grows. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder.h"
#include <brotli/decode.h>
#include <stdlib.h>

struct unbr {
    struct decoder d;
    BrotliDecoderState *b;
};

static void *b_alloc(void *d, size_t bytes)
{
    return decoder_alloc(d, bytes);
}

static void b_release(void *d, void *at)
{
    decoder_release(d, at);
}

static struct decoder *unbr_make(void)
{
    struct unbr *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->b = BrotliDecoderCreateInstance(b_alloc, b_release, &u->d);
    if (u->b)
        return &u->d;
    free(u);
    return NULL;
}

static bool is_memory(BrotliDecoderErrorCode code)
{
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static enum err unbr_run(struct decoder *d, struct slice *in, struct decoder_out *out)
{
    struct unbr *u = (struct unbr *)d;
    size_t in_left = in->len, room = out->room;
    const uint8_t *from = (const uint8_t *)in->at;
    uint8_t *to = (uint8_t *)out->to;
    if (d->at_end)
        return in->len == 0 ? ERR_OK : ERR_BAD_CODING;
    BrotliDecoderResult ret =
        BrotliDecoderDecompressStream(u->b, &in_left, &from, &room, &to, NULL);
    if (ret == BROTLI_DECODER_RESULT_ERROR)
        return is_memory(BrotliDecoderGetErrorCode(u->b)) ? ERR_NO_MEMORY : ERR_BAD_CODING;
    d->at_end = ret == BROTLI_DECODER_RESULT_SUCCESS;
    out->len = out->room - room;
    *in = slice_from(*in, in->len - in_left);
    return d->at_end && in->len > 0 ? ERR_BAD_CODING : ERR_OK;
}

static void unbr_free(struct decoder *d)
{
    struct unbr *u = (struct unbr *)d;
    BrotliDecoderDestroyInstance(u->b);
    free(u);
}

const struct decoder_type decoder_br = {unbr_make, unbr_run, unbr_free};
