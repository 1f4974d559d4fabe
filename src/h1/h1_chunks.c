/* h1_chunks.c - chunked transfer coding and trailers (RFC 9112 7.1).
 *
 * A byte machine for the framing, whole runs for the data. Chunk extensions are read, bounded and
 * forgotten: they are hop-by-hop by nature and a place to hide bytes. A line ends with CRLF and
 * nothing else. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "h1/h1_fields_priv.h"

enum { CHUNK_DIGITS_MAX = 16 };

enum chunk_state {
    CHUNK_SIZE,    /* in the digits */
    CHUNK_BLANK,   /* after them, before ';' */
    CHUNK_EXT,     /* after ';' */
    CHUNK_SIZE_LF, /* CR of the size line was there */
    CHUNK_DATA,
    CHUNK_DATA_CR, /* all data was there */
    CHUNK_DATA_LF,
    CHUNK_LAST, /* the size line of the last chunk was read */
};

void h1_chunks_init(struct h1_chunks *c)
{
    *c = (struct h1_chunks){.state = CHUNK_SIZE};
}

static enum err size_byte(struct h1_chunks *c, char byte)
{
    int digit = num_hex_digit(byte);
    if (digit >= 0) {
        if (c->digits == CHUNK_DIGITS_MAX || c->left > INT64_MAX >> 4)
            return ERR_BAD_CHUNK;
        c->digits++;
        c->left = c->left << 4 | (unsigned)digit;
        return ERR_OK;
    }
    if (c->digits == 0)
        return ERR_BAD_CHUNK;
    switch (byte) {
    case '\r': c->state = CHUNK_SIZE_LF; return ERR_OK;
    case ';': c->state = CHUNK_EXT; return ERR_OK;
    case ' ':
    case '\t': c->state = CHUNK_BLANK; return ERR_OK;
    default: return ERR_BAD_CHUNK;
    }
}

static enum err ext_byte(struct h1_chunks *c, char byte, const struct stream_limits *l)
{
    if (byte == '\r' && c->state == CHUNK_EXT) {
        c->state = CHUNK_SIZE_LF;
        return ERR_OK;
    }
    if (++c->ext_bytes > l->chunk_ext_bytes)
        return ERR_CHUNK_EXT_TOO_LONG;
    if (c->state == CHUNK_EXT) {
        bool valid = byte == '\t' || ((unsigned char)byte >= 0x20 && byte != 0x7f);
        return valid ? ERR_OK : ERR_BAD_CHUNK;
    }
    if (byte == ';')
        c->state = CHUNK_EXT;
    else if (byte != ' ' && byte != '\t')
        return ERR_BAD_CHUNK;
    return ERR_OK;
}

static enum err size_end(struct h1_chunks *c, char byte)
{
    if (byte != '\n')
        return ERR_BAD_CHUNK;
    c->digits = c->ext_bytes = 0;
    c->state = c->left ? CHUNK_DATA : CHUNK_LAST;
    return ERR_OK;
}

static enum err data_end(struct h1_chunks *c, char byte)
{
    bool cr = c->state == CHUNK_DATA_CR;
    if (byte != (cr ? '\r' : '\n'))
        return ERR_BAD_CHUNK;
    c->state = cr ? CHUNK_DATA_LF : CHUNK_SIZE;
    return ERR_OK;
}

static enum err framing_byte(struct h1_chunks *c, char byte, const struct stream_limits *l)
{
    switch (c->state) {
    case CHUNK_SIZE: return size_byte(c, byte);
    case CHUNK_BLANK:
    case CHUNK_EXT: return ext_byte(c, byte, l);
    case CHUNK_SIZE_LF: return size_end(c, byte);
    default: return data_end(c, byte);
    }
}

static struct slice take_data(struct h1_chunks *c, struct slice *in)
{
    struct slice data = slice_head(*in, c->left < in->len ? (size_t)c->left : in->len);
    *in = slice_from(*in, data.len);
    c->left -= data.len;
    if (c->left == 0)
        c->state = CHUNK_DATA_CR;
    return data;
}

enum err h1_chunks_next(struct h1_chunks *c, struct slice *in, const struct stream_limits *l,
                        struct slice *data)
{
    while (c->state != CHUNK_LAST) {
        if (in->len == 0)
            return ERR_HOLD;
        if (c->state == CHUNK_DATA) {
            *data = take_data(c, in);
            return ERR_OK;
        }
        TRY(framing_byte(c, in->at[0], l));
        *in = slice_from(*in, 1);
    }
    return ERR_NOT_FOUND;
}

static void drop_forbidden(struct headers *h)
{
    HEADER_EACH (it, h)
        if (field_row((enum field_id)it->id)->traits &
            (FIELD_HOP | FIELD_FRAMING | FIELD_NOTRAILER)) {
            it->dead = true;
        }
}

enum err h1_parse_trailers(struct slice section, struct arena *a, const struct stream_limits *l,
                           struct headers *out)
{
    struct headers headers = {0};
    struct h1_fields f = {.headers = &headers};
    TRY(h1_fields_parse(section, a, l, &f));
    drop_forbidden(&headers);
    *out = headers;
    return ERR_OK;
}
