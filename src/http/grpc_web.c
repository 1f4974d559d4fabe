/* grpc_web.c - base64 that comes and goes in pieces, and the frame of trailers.
 *
 * Decoding is strict: nothing but the alphabet of RFC 4648 4, padding only where a group needs it,
 * no bits set that nobody reads. So a text has one meaning for everybody on its way. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc_web.h"
#include "base/base64.h"
#include "http/message.h"

#define TYPE "application/grpc-web"

enum { FRAME_HEAD_BYTES = 5, FRAME_IS_TRAILERS = 0x80 };

enum grpc_web_mode grpc_web_mode_of(struct slice content_type, struct slice *rest)
{
    enum grpc_web_mode mode = GRPC_WEB_BINARY;
    if (!slice_eq_nocase(slice_head(content_type, sizeof(TYPE) - 1), SLICE(TYPE)))
        return GRPC_WEB_NOT;
    struct slice r = slice_from(content_type, sizeof(TYPE) - 1);
    if (slice_eq_nocase(slice_head(r, 5), SLICE("-text"))) {
        mode = GRPC_WEB_TEXT;
        r = slice_from(r, 5);
    }
    if (r.len > 0 && r.at[0] != '+' && r.at[0] != ';' && !slice_is_blank(r.at[0]))
        return GRPC_WEB_NOT;
    *rest = r;
    return mode;
}

/* ---- base64 ---- */

/* One character more of a group. */
static enum err group_add(struct grpc_web_decoder *d, char c)
{
    int v = base64_value(c, BASE64);
    bool pad = c == '=' && d->count >= 2;
    if (pad ? false : v < 0 || d->pads > 0)
        return ERR_BAD_GRPC_WEB;
    d->pads += pad;
    d->bits = d->bits << 6 | (pad ? 0 : (uint32_t)v);
    d->count++;
    return ERR_OK;
}

static enum err group_end(struct grpc_web_decoder *d, char *to, size_t *len)
{
    uint32_t bits = d->bits, pads = d->pads;
    if (pads > 0 && (bits & ((1u << pads * 8) - 1)) != 0)
        return ERR_BAD_GRPC_WEB;
    *d = (struct grpc_web_decoder){0};
    to[0] = (char)(bits >> 16);
    to[1] = (char)(bits >> 8);
    to[2] = (char)bits;
    *len += GRPC_WEB_GROUP_BYTES - pads;
    return ERR_OK;
}

enum err grpc_web_decode(struct grpc_web_decoder *d, struct slice *in, char *to, size_t room,
                         size_t *len)
{
    while (in->len > 0) {
        bool last = d->count == GRPC_WEB_GROUP_TEXT_BYTES - 1;
        if (last && room - *len < GRPC_WEB_GROUP_BYTES)
            return ERR_OK;
        TRY(group_add(d, in->at[0]));
        *in = slice_from(*in, 1);
        if (last)
            TRY(group_end(d, to + *len, len));
    }
    return ERR_OK;
}

bool grpc_web_decoded_whole(const struct grpc_web_decoder *d)
{
    return d->count == 0;
}

size_t grpc_web_encode(char *to, struct slice bytes)
{
    return base64_write(to, (const uint8_t *)bytes.at, bytes.len, BASE64);
}

/* ---- trailers ---- */

static bool leaves(const struct header *it)
{
    return !it->dead && !it->hop;
}

static size_t lines_bytes(const struct headers *h)
{
    size_t size = 0;
    for (uint32_t i = 0; i < h->count; i++)
        if (leaves(&h->at[i]))
            size += h->at[i].name.len + h->at[i].value.len + sizeof(": \r\n") - 1;
    return size;
}

size_t grpc_web_trailers_bytes(const struct headers *h)
{
    return FRAME_HEAD_BYTES + lines_bytes(h);
}

static char *put(char *to, struct slice s)
{
    if (s.len > 0)
        memcpy(to, s.at, s.len);
    return to + s.len;
}

static char *put_lower(char *to, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        to[i] = (char)(s.at[i] >= 'A' && s.at[i] <= 'Z' ? s.at[i] + ('a' - 'A') : s.at[i]);
    return to + s.len;
}

void grpc_web_trailers_write(char *to, const struct headers *h)
{
    size_t size = lines_bytes(h);
    *to++ = (char)FRAME_IS_TRAILERS;
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (char)(size >> shift);
    for (uint32_t i = 0; i < h->count; i++) {
        if (!leaves(&h->at[i]))
            continue;
        to = put_lower(to, h->at[i].name);
        to = put(to, SLICE(": "));
        to = put(to, h->at[i].value);
        to = put(to, SLICE("\r\n"));
    }
}
