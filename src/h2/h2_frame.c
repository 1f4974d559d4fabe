/* h2_frame.c - the head of a frame to and from bytes, and a table of what each type allows.
 *
 * What depends on more than the frame itself (states, windows, order) is h2_core.c's business. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_frame.h"
#include "base/assert.h"

const char h2_preface[H2_PREFACE_BYTES + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum on_stream { ON_STREAM, ON_CONNECTION, ON_EITHER };

/* What holds for every frame of a type (RFC 9113 6.1 to 6.10, RFC 9218 7.1). */
static const struct rule {
    uint32_t min, max; /* payload */
    uint8_t where;     /* enum on_stream */
} rules[] = {
    [H2_DATA] = {0, H2_FRAME_MAX_BYTES, ON_STREAM},
    [H2_HEADERS] = {0, H2_FRAME_MAX_BYTES, ON_STREAM},
    [H2_PRIORITY] = {5, 5, ON_STREAM},
    [H2_RST_STREAM] = {4, 4, ON_STREAM},
    [H2_SETTINGS] = {0, H2_FRAME_MAX_BYTES, ON_CONNECTION},
    [H2_PUSH_PROMISE] = {4, H2_FRAME_MAX_BYTES, ON_STREAM},
    [H2_PING] = {8, 8, ON_CONNECTION},
    [H2_GOAWAY] = {8, H2_FRAME_MAX_BYTES, ON_CONNECTION},
    [H2_WINDOW_UPDATE] = {4, 4, ON_EITHER},
    [H2_CONTINUATION] = {0, H2_FRAME_MAX_BYTES, ON_STREAM},
    [H2_PRIORITY_UPDATE] = {4, H2_FRAME_MAX_BYTES, ON_CONNECTION},
};

void h2_frame_read(const char from[H2_FRAME_HEAD_BYTES], struct h2_frame *f)
{
    f->len = h2_get32(from) >> 8;
    f->type = (uint8_t)from[3];
    f->flags = (uint8_t)from[4];
    f->stream = h2_get32(from + 5) & H2_STREAM_MAX;
}

char *h2_frame_write(char *to, const struct h2_frame *f)
{
    h2_put32(to, f->len << 8 | f->type);
    to[4] = (char)f->flags;
    return h2_put32(to + 5, f->stream);
}

static bool is_known(uint8_t type)
{
    return type <= H2_CONTINUATION || type == H2_PRIORITY_UPDATE;
}

/* An ACK says nothing more; else it is a list of six bytes each. */
static bool settings_length_fits(const struct h2_frame *f)
{
    return f->flags & H2_FLAG_ACK ? f->len == 0 : f->len % 6 == 0;
}

/* What the flags say is there has to fit. */
static bool headers_length_fits(const struct h2_frame *f)
{
    uint32_t least =
        (f->flags & H2_FLAG_PADDED ? 1u : 0u) + (f->flags & H2_FLAG_PRIORITY ? 5u : 0u);
    return f->len >= least;
}

enum h2_code h2_frame_check(const struct h2_frame *f)
{
    if (f->len > H2_FRAME_MAX_BYTES)
        return H2_FRAME_SIZE_ERROR;
    if (!is_known(f->type))
        return H2_NO_ERROR;
    const struct rule *r = &rules[f->type];
    bool wrong = r->where == ON_STREAM ? f->stream == 0 : f->stream != 0;
    if (wrong && r->where != ON_EITHER)
        return H2_PROTOCOL_ERROR;
    if (f->len < r->min || f->len > r->max)
        return H2_FRAME_SIZE_ERROR;
    if (f->type == H2_SETTINGS && !settings_length_fits(f))
        return H2_FRAME_SIZE_ERROR;
    if (f->type == H2_HEADERS && !headers_length_fits(f))
        return H2_FRAME_SIZE_ERROR;
    if (f->type == H2_DATA && f->flags & H2_FLAG_PADDED && f->len == 0)
        return H2_FRAME_SIZE_ERROR;
    return H2_NO_ERROR;
}
