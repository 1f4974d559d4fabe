/* gunzip.c - gzip (RFC 1952) by zlib, several members in a row as one text. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder.h"
#include <stdlib.h>
#include <zlib.h>

enum { WINDOW_BITS = 15, WRAP_GZIP = 16 };

struct gunzip {
    struct decoder d;
    z_stream z;
};

static void *z_alloc(void *d, unsigned count, unsigned bytes)
{
    return decoder_alloc(d, (size_t)count * bytes);
}

static void z_release(void *d, void *at)
{
    decoder_release(d, at);
}

static struct decoder *gunzip_make(void)
{
    struct gunzip *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->z = (z_stream){.zalloc = z_alloc, .zfree = z_release, .opaque = &g->d};
    if (inflateInit2(&g->z, WINDOW_BITS + WRAP_GZIP) == Z_OK)
        return &g->d;
    free(g);
    return NULL;
}

static enum err err_of(int ret)
{
    switch (ret) {
    case Z_OK:
    case Z_STREAM_END:
    case Z_BUF_ERROR: return ERR_OK; /* the last: it wants more input, or room */
    case Z_MEM_ERROR: return ERR_NO_MEMORY;
    default: return ERR_BAD_CODING;
    }
}

/* One member at most, or as much as there is room for. */
static enum err member_run(struct gunzip *g, struct slice *in, struct decoder_out *out)
{
    struct slice part = slice_head(*in, UINT32_MAX);
    z_stream *z = &g->z;
    if (g->d.at_end && part.len > 0) {
        if (inflateReset(z) != Z_OK)
            return ERR_BAD_CODING;
        g->d.at_end = false;
    }
    z->next_in = (unsigned char *)(uintptr_t)part.at; /* it only reads */
    z->avail_in = (unsigned)part.len;
    z->next_out = (unsigned char *)out->to + out->len;
    z->avail_out = (unsigned)(out->room - out->len);
    int ret = inflate(z, Z_SYNC_FLUSH);
    out->len = out->room - z->avail_out;
    *in = slice_from(*in, part.len - z->avail_in);
    g->d.at_end = ret == Z_STREAM_END;
    return err_of(ret);
}

static enum err gunzip_run(struct decoder *d, struct slice *in, struct decoder_out *out)
{
    struct gunzip *g = (struct gunzip *)d;
    if (d->at_end && in->len == 0)
        return ERR_OK;
    for (size_t before = SIZE_MAX; before != in->len;) {
        before = in->len;
        TRY(member_run(g, in, out));
        if (in->len == 0 || out->len == out->room)
            break;
    }
    return ERR_OK;
}

static void gunzip_free(struct decoder *d)
{
    struct gunzip *g = (struct gunzip *)d;
    inflateEnd(&g->z);
    free(g);
}

const struct decoder_type decoder_gzip = {gunzip_make, gunzip_run, gunzip_free};
