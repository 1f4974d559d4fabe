/* gzip_zlib.c - gzip by zlib, where ISA-L is not there (gzip_isal.c). The padding is a file name in
 * the header, which every decoder skips (RFC 1952 2.3.1). */
// SPDX-License-Identifier: Apache-2.0
#include "codec/encoder.h"
#include <stdlib.h>
#include <zlib.h>

enum { WINDOW_BITS = 15, WRAP_GZIP = 16, MEMORY_LEVEL = 8, SYSTEM_UNIX = 3 };

struct gzip {
    struct encoder e;
    z_stream z;
    gz_header head;
    unsigned char name[ENCODER_PADDING_MAX_BYTES + 1];
};

static const int levels[ENCODER_EFFORTS] = {1, 4, 6};

static struct encoder *gzip_make(void)
{
    struct gzip *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    int ret = deflateInit2(&g->z, levels[ENCODER_NORMAL], Z_DEFLATED, WINDOW_BITS + WRAP_GZIP,
                           MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    if (ret == Z_OK)
        return &g->e;
    free(g);
    return NULL;
}

static bool gzip_begin(struct encoder *e, const struct encoder_plan *plan)
{
    struct gzip *g = (struct gzip *)e;
    memset(g->name, '-', plan->padding_bytes);
    g->name[plan->padding_bytes] = 0;
    g->head = (gz_header){.os = SYSTEM_UNIX, .name = plan->padding_bytes ? g->name : NULL};
    return deflateReset(&g->z) == Z_OK &&
           deflateParams(&g->z, levels[plan->effort], Z_DEFAULT_STRATEGY) == Z_OK &&
           deflateSetHeader(&g->z, &g->head) == Z_OK;
}

static enum err gzip_run(struct encoder *e, struct slice *in, enum encoder_op op,
                         struct encoder_out *out)
{
    static const int flushes[] = {
        [ENCODER_GO] = Z_NO_FLUSH, [ENCODER_FLUSH] = Z_SYNC_FLUSH, [ENCODER_END] = Z_FINISH};
    z_stream *z = &((struct gzip *)e)->z;
    struct slice part = slice_head(*in, UINT32_MAX);
    z->next_in = (unsigned char *)(uintptr_t)part.at; /* it only reads */
    z->avail_in = (unsigned)part.len;
    z->next_out = (unsigned char *)out->to;
    z->avail_out = (unsigned)out->room;
    int ret = deflate(z, flushes[op]);
    if (ret != Z_OK && ret != Z_STREAM_END && ret != Z_BUF_ERROR) /* the last: nothing to do */
        return ERR_INTERNAL;
    out->len = out->room - z->avail_out;
    out->done = op == ENCODER_END ? ret == Z_STREAM_END : z->avail_out > 0;
    *in = slice_from(*in, part.len - z->avail_in);
    return ERR_OK;
}

static void gzip_free(struct encoder *e)
{
    struct gzip *g = (struct gzip *)e;
    deflateEnd(&g->z);
    free(g);
}

const struct encoder_type encoder_gzip = {
    .slot = 0,
    .memory_bytes = 270 << 10,
    .make = gzip_make,
    .begin = gzip_begin,
    .run = gzip_run,
    .free = gzip_free,
};
