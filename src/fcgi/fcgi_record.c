/* fcgi_record.c - records from and to bytes.
 *
 * The reader takes bytes in any pieces and gives content on as it comes, by reference. What is not
 * understood ends the connection: a record for another request, of a type that only we send, or of
 * another version would mean that the two sides disagree about where records begin. */
// SPDX-License-Identifier: Apache-2.0
#include "fcgi/fcgi_record.h"

enum { VERSION = 1, RESPONDER = 1, NO_ID = 0 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Fills `to` up to `size` bytes. */
static bool gather(uint8_t *to, uint8_t *have, size_t size, struct slice *in)
{
    size_t len = least(size - *have, in->len);
    if (len > 0)
        memcpy(to + *have, in->at, len);
    *have = (uint8_t)(*have + len);
    *in = slice_from(*in, len);
    return *have == size;
}

/* About the application, not a request. We ask for nothing, so nothing of it is of use. */
static bool is_management(const struct fcgi_reader *r, unsigned id)
{
    return id == NO_ID && (r->type == FCGI_GET_VALUES_RESULT || r->type == FCGI_UNKNOWN_TYPE);
}

static bool is_expected(const struct fcgi_reader *r, unsigned id)
{
    if (is_management(r, id))
        return true;
    if (id != FCGI_ID)
        return false;
    switch (r->type) {
    case FCGI_STDOUT: return !r->out_ended;
    case FCGI_STDERR: return !r->err_ended;
    case FCGI_END_REQUEST: return r->content == FCGI_END_BYTES;
    default: return false;
    }
}

static enum err record_begin(struct fcgi_reader *r)
{
    const uint8_t *h = r->header;
    r->type = h[1];
    r->content = (uint16_t)(h[4] << 8 | h[5]);
    r->padding = h[6];
    r->header_have = 0;
    r->in_record = true;
    if (r->over || h[0] != VERSION || !is_expected(r, (unsigned)(h[2] << 8 | h[3])))
        return ERR_ORIGIN_FASTCGI;
    return ERR_OK;
}

/* A record without content ends its stream. */
static bool stream_end(struct fcgi_reader *r, struct fcgi_piece *piece)
{
    if (r->type == FCGI_STDERR)
        r->err_ended = true;
    if (r->type != FCGI_STDOUT)
        return false;
    r->out_ended = true;
    *piece = (struct fcgi_piece){.kind = FCGI_PIECE_OUT_END};
    return true;
}

/* True when there is a piece. */
static bool content_take(struct fcgi_reader *r, struct slice *in, struct fcgi_piece *piece)
{
    size_t len = least(r->content, in->len);
    struct slice bytes = slice_head(*in, len);
    r->content = (uint16_t)(r->content - len);
    if (r->type == FCGI_END_REQUEST) {
        gather(r->end, &r->end_have, FCGI_END_BYTES, in);
        return false;
    }
    *in = slice_from(*in, len);
    *piece = (struct fcgi_piece){r->type == FCGI_STDOUT ? FCGI_PIECE_OUT : FCGI_PIECE_ERR, bytes};
    return r->type == FCGI_STDOUT || r->type == FCGI_STDERR;
}

/* True when the record was the last. */
static bool record_end(struct fcgi_reader *r, struct fcgi_piece *piece)
{
    const uint8_t *e = r->end;
    r->in_record = false;
    if (r->type != FCGI_END_REQUEST)
        return false;
    r->over = true;
    r->app_status = (uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 | (uint32_t)e[2] << 8 | e[3];
    r->protocol_status = e[4];
    *piece = (struct fcgi_piece){.kind = FCGI_PIECE_END};
    return true;
}

static void padding_skip(struct fcgi_reader *r, struct slice *in)
{
    size_t len = least(r->padding, in->len);
    r->padding = (uint8_t)(r->padding - len);
    *in = slice_from(*in, len);
}

enum err fcgi_next(struct fcgi_reader *r, struct slice *in, struct fcgi_piece *piece)
{
    for (;;) {
        if (!r->in_record) {
            if (!gather(r->header, &r->header_have, FCGI_HEADER_BYTES, in))
                return ERR_HOLD;
            TRY(record_begin(r));
            if (r->content == 0 && stream_end(r, piece))
                return ERR_OK;
        }
        if (r->content > 0 && in->len > 0 && content_take(r, in, piece))
            return ERR_OK;
        if (r->content == 0)
            padding_skip(r, in);
        if (r->content > 0 || r->padding > 0)
            return ERR_HOLD;
        if (record_end(r, piece))
            return ERR_OK;
    }
}

/* ---- on the way out ---- */

void fcgi_header_write(char to[FCGI_HEADER_BYTES], enum fcgi_type type, size_t content)
{
    to[0] = VERSION;
    to[1] = (char)type;
    to[2] = FCGI_ID >> 8;
    to[3] = (char)FCGI_ID;
    to[4] = (char)(content >> 8);
    to[5] = (char)content;
    to[6] = to[7] = 0; /* padding, reserved */
}

void fcgi_begin_write(char to[FCGI_BEGIN_BYTES], enum fcgi_flags flags)
{
    fcgi_header_write(to, FCGI_BEGIN_REQUEST, 8);
    memset(to + FCGI_HEADER_BYTES, 0, 8);
    to[FCGI_HEADER_BYTES + 1] = RESPONDER;
    to[FCGI_HEADER_BYTES + 2] = (char)flags;
}

size_t fcgi_length_write(char to[4], size_t len)
{
    if (len < 128) {
        to[0] = (char)len;
        return 1;
    }
    to[0] = (char)(len >> 24 | 0x80);
    to[1] = (char)(len >> 16);
    to[2] = (char)(len >> 8);
    to[3] = (char)len;
    return 4;
}
