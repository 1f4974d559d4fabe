/* gzip_isal.c - gzip by ISA-L's igzip, which costs a fifth of zlib's fastest level at a better
 * ratio; for processors that it is packaged for. gzip_zlib.c stands in elsewhere.
 *
 * The header is written here, for it carries the padding: as a file name, which every decoder skips
 * (RFC 1952 2.3.1). */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "codec/encoder.h"
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

enum {
    LEVEL_BYTES =
        ISAL_DEF_LVL3_MEDIUM > ISAL_DEF_LVL2_MEDIUM ? ISAL_DEF_LVL3_MEDIUM : ISAL_DEF_LVL2_MEDIUM,
    HEAD_BYTES = 10,
    FLAG_NAME = 8,
    ALIGN = 64,
};

struct gzip {
    struct encoder e;
    bool head_due;
    uint8_t padding_bytes;
    struct isal_zstream z __attribute__((aligned(ALIGN)));
    uint8_t level[LEVEL_BYTES];
};

static const uint8_t levels[ENCODER_EFFORTS] = {1, 2, 3};

static struct encoder *gzip_make(void)
{
    struct gzip *g = aligned_alloc(ALIGN, (sizeof *g + ALIGN - 1) / ALIGN * ALIGN);
    if (!g)
        return NULL;
    isal_deflate_init(&g->z);
    return &g->e;
}

static bool gzip_begin(struct encoder *e, const struct encoder_plan *plan)
{
    struct gzip *g = (struct gzip *)e;
    isal_deflate_init(&g->z);
    g->z.level = levels[plan->effort];
    g->z.level_buf = g->level;
    g->z.level_buf_size = LEVEL_BYTES;
    g->z.gzip_flag = IGZIP_GZIP_NO_HDR;
    g->head_due = true;
    g->padding_bytes = plan->padding_bytes;
    return true;
}

static size_t head_write(const struct gzip *g, char *to)
{
    static const char head[HEAD_BYTES] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    memcpy(to, head, HEAD_BYTES);
    if (g->padding_bytes == 0)
        return HEAD_BYTES;
    to[3] = FLAG_NAME;
    memset(to + HEAD_BYTES, '-', g->padding_bytes);
    to[HEAD_BYTES + g->padding_bytes] = 0;
    return HEAD_BYTES + g->padding_bytes + 1u;
}

static bool all_is_out(const struct isal_zstream *z, enum encoder_op op)
{
    if (op == ENCODER_END)
        return z->internal_state.state == ZSTATE_END;
    return z->avail_in == 0 && z->avail_out > 0;
}

static enum err gzip_run(struct encoder *e, struct slice *in, enum encoder_op op,
                         struct encoder_out *out)
{
    struct gzip *g = (struct gzip *)e;
    struct isal_zstream *z = &g->z;
    struct slice part = slice_head(*in, UINT32_MAX);
    size_t head_len = g->head_due ? head_write(g, out->to) : 0;
    g->head_due = false;
    z->next_in = (uint8_t *)(uintptr_t)part.at; /* it only reads */
    z->avail_in = (uint32_t)part.len;
    z->next_out = (uint8_t *)out->to + head_len;
    z->avail_out = (uint32_t)(out->room - head_len);
    z->flush = op == ENCODER_FLUSH ? SYNC_FLUSH : NO_FLUSH;
    z->end_of_stream = op == ENCODER_END;
    if (isal_deflate(z) != COMP_OK)
        return ERR_INTERNAL;
    out->len = out->room - z->avail_out;
    out->done = all_is_out(z, op);
    *in = slice_from(*in, part.len - z->avail_in);
    return ERR_OK;
}

static void gzip_free(struct encoder *e)
{
    free(e);
}

const struct encoder_type encoder_gzip = {
    .slot = 0,
    .memory_bytes = sizeof(struct gzip),
    .make = gzip_make,
    .begin = gzip_begin,
    .run = gzip_run,
    .free = gzip_free,
};
