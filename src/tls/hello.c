/* hello.c - reads a ClientHello, strictly, from the bytes of TLS records.
 *
 * A cursor that can only move forward and knows its end makes every read safe: a length that does
 * not fit ends the whole parse. Nested lists must fill their frame exactly. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/hello.h"

enum {
    RECORD_HEAD_BYTES = 5,
    RECORD_BYTES_MAX = 16384, /* RFC 8446 5.1 */
    MESSAGE_HEAD_BYTES = 4,
    CONTENT_HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    RANDOM_BYTES = 32,
    SESSION_ID_BYTES_MAX = 32,
    HOST_BYTES_MAX = 255
};

enum { EXT_SNI = 0, EXT_SIGALGS = 13, EXT_ALPN = 16, EXT_VERSIONS = 43 };

/* ---- the cursor ---- */

static unsigned byte_at(struct slice s, size_t i)
{
    return (uint8_t)s.at[i];
}

static bool take(struct slice *from, size_t len, struct slice *out)
{
    if (from->len < len)
        return false;
    *out = slice_head(*from, len);
    *from = slice_from(*from, len);
    return true;
}

/* A big-endian number of 1 to 3 bytes. */
static bool take_number(struct slice *from, size_t bytes, unsigned *out)
{
    struct slice s;
    unsigned n = 0;
    if (!take(from, bytes, &s))
        return false;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | byte_at(s, i);
    *out = n;
    return true;
}

/* A vector: its length in `bytes` bytes, then as many bytes. */
static bool take_vector(struct slice *from, size_t bytes, struct slice *out)
{
    unsigned len;
    return take_number(from, bytes, &len) && take(from, len, out);
}

/* A vector that fills its frame, of `unit`s, at least one. */
static bool whole_vector(struct slice from, size_t bytes, size_t unit, struct slice *out)
{
    return take_vector(&from, bytes, out) && from.len == 0 && out->len > 0 && out->len % unit == 0;
}

/* ---- extensions ---- */

static bool is_host_text(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (byte_at(s, i) <= 0x20 || byte_at(s, i) >= 0x7f)
            return false;
    return s.len > 0 && s.len <= HOST_BYTES_MAX;
}

/* RFC 6066 3: a list of names, at most one of each type; only host_name (0) was ever defined. */
static bool read_sni(struct slice body, struct hello *h)
{
    struct slice list, name;
    unsigned type;
    h->has_sni = true;
    if (!whole_vector(body, 2, 1, &list))
        return false;
    while (list.len > 0) {
        if (!take_number(&list, 1, &type) || !take_vector(&list, 2, &name))
            return false;
        if (type != 0)
            continue;
        if (h->sni.len > 0 || !is_host_text(name))
            return false;
        h->sni = name;
    }
    return true;
}

static bool read_alpn(struct slice body, struct hello *h)
{
    struct slice list, name;
    if (!whole_vector(body, 2, 1, &list))
        return false;
    h->alpn = list;
    while (list.len > 0)
        if (!take_vector(&list, 1, &name) || name.len == 0)
            return false;
    return true;
}

static bool read_extension(unsigned type, struct slice body, struct hello *h)
{
    switch (type) {
    case EXT_SNI: return read_sni(body, h);
    case EXT_ALPN: return read_alpn(body, h);
    case EXT_SIGALGS: return whole_vector(body, 2, 2, &h->sigalgs);
    case EXT_VERSIONS: return whole_vector(body, 1, 2, &h->versions);
    default: return true;
    }
}

static bool is_known(const struct hello *h, unsigned type)
{
    for (uint32_t i = 0; i < h->extension_count; i++)
        if (h->extensions[i] == type)
            return true;
    return false;
}

static bool read_extensions(struct slice all, struct hello *h)
{
    struct slice body;
    unsigned type;
    while (all.len > 0) {
        if (!take_number(&all, 2, &type) || !take_vector(&all, 2, &body))
            return false;
        /* RFC 8446 4.2: not more than one of a type. */
        if (h->extension_count == HELLO_EXTENSIONS_MAX || is_known(h, type))
            return false;
        h->extensions[h->extension_count++] = (uint16_t)type;
        if (!read_extension(type, body, h))
            return false;
    }
    return true;
}

/* ---- the message ---- */

static bool read_hello(struct slice body, struct hello *h)
{
    struct slice random, session, compression, extensions;
    unsigned version;
    if (!take_number(&body, 2, &version) || version >> 8 != 3 ||
        !take(&body, RANDOM_BYTES, &random) || !take_vector(&body, 1, &session) ||
        session.len > SESSION_ID_BYTES_MAX)
        return false;
    h->version = (uint16_t)version;
    if (!take_vector(&body, 2, &h->ciphers) || h->ciphers.len == 0 || h->ciphers.len % 2 != 0 ||
        !take_vector(&body, 1, &compression) || compression.len == 0)
        return false;
    if (body.len == 0) /* before extensions were invented */
        return true;
    return take_vector(&body, 2, &extensions) && body.len == 0 && read_extensions(extensions, h);
}

enum hello_result hello_parse_message(struct slice message, struct hello *out)
{
    struct slice body;
    unsigned type;
    struct hello h = {0};
    if (message.len > HELLO_BYTES_MAX || !take_number(&message, 1, &type) || type != CLIENT_HELLO ||
        !take_vector(&message, 3, &body) || message.len > 0 || !read_hello(body, &h))
        return HELLO_BAD;
    *out = h;
    return HELLO_OK;
}

/* ---- records ---- */

/* The fragment of the next record, which may be there in part only; *whole says so. */
static enum hello_result next_fragment(struct slice *from, struct slice *fragment, bool *whole)
{
    static const uint8_t head[] = {CONTENT_HANDSHAKE, 3};
    for (size_t i = 0; i < sizeof head && i < from->len; i++)
        if (byte_at(*from, i) != head[i])
            return HELLO_NOT_TLS;
    if (from->len < RECORD_HEAD_BYTES)
        return HELLO_MORE;
    size_t len = byte_at(*from, 3) << 8 | byte_at(*from, 4);
    if (len == 0 || len > RECORD_BYTES_MAX)
        return HELLO_BAD;
    *from = slice_from(*from, RECORD_HEAD_BYTES);
    *fragment = slice_head(*from, len);
    *whole = fragment->len == len;
    *from = slice_from(*from, len);
    return HELLO_OK;
}

/* How long the message is whose beginning this is, header included; 0: not known yet, or more
 * than HELLO_BYTES_MAX when it can be none. */
static size_t message_len(struct slice begin)
{
    if (begin.len > 0 && byte_at(begin, 0) != CLIENT_HELLO)
        return HELLO_BYTES_MAX + 1;
    if (begin.len < MESSAGE_HEAD_BYTES)
        return 0;
    return MESSAGE_HEAD_BYTES +
           (byte_at(begin, 1) << 16 | byte_at(begin, 2) << 8 | byte_at(begin, 3));
}

enum hello_result hello_parse(struct slice bytes, char scratch[HELLO_BYTES_MAX], struct hello *out)
{
    struct slice message = SLICE_NONE, fragment = SLICE_NONE;
    bool whole = true;
    for (int records = 0;; records++) {
        size_t due = message_len(message);
        if (due > HELLO_BYTES_MAX)
            return HELLO_BAD;
        if (due > 0 && message.len >= due)
            return hello_parse_message(slice_head(message, due), out);
        if (!whole)
            return HELLO_MORE;
        enum hello_result r = next_fragment(&bytes, &fragment, &whole);
        if (r != HELLO_OK) /* of another record than the first: TLS it is, but no hello */
            return r == HELLO_NOT_TLS && records > 0 ? HELLO_BAD : r;
        if (records == 0) {
            message = fragment;
            continue;
        }
        fragment = slice_head(fragment, HELLO_BYTES_MAX - message.len);
        if (message.at != scratch) {
            memcpy(scratch, message.at, message.len);
            message.at = scratch;
        }
        memcpy(scratch + message.len, fragment.at, fragment.len);
        message.len += fragment.len;
    }
}

bool hello_next_alpn(struct slice *rest, struct slice *name)
{
    return take_vector(rest, 1, name);
}
