/* h2_origin_fields.c - what a server is asked and what it answers, as fields.
 *
 * A response differs from a request in its pseudo-header alone; the rest is the business of
 * h2_fields.c. Content-Length is checked against the DATA by the core. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_origin_fields.h"
#include "base/base64.h"
#include "base/num.h"
#include "base/sha1.h"
#include <string.h>

enum { EXTRA_BYTES = 192 }; /* names of pseudo-headers, Content-Length, TE, table sizes */

/* ---- requests ---- */

static char *put(struct hpack_encoder *e, char *to, enum field_id id, struct slice name,
                 struct slice value)
{
    return to + hpack_encode(e, to, id, name, value);
}

size_t h2_request_room(const struct message *m)
{
    size_t room = EXTRA_BYTES + m->method_text.len + m->target.len;
    for (uint32_t i = 0; i < m->headers.count; i++)
        room += hpack_room(m->headers.at[i].name, m->headers.at[i].value);
    return room;
}

static char *put_pseudo(struct hpack_encoder *e, char *to, const struct message *m,
                        struct slice scheme, struct slice protocol)
{
    struct slice method = protocol.len ? SLICE("CONNECT") : m->method_text;
    to = put(e, to, FIELD_OTHER, SLICE(":method"), method);
    if (protocol.len)
        to = put(e, to, FIELD_OTHER, SLICE(":protocol"), protocol);
    to = put(e, to, FIELD_OTHER, SLICE(":scheme"), scheme);
    to = put(e, to, FIELD_OTHER, SLICE(":authority"), headers_get(&m->headers, FIELD_HOST));
    return put(e, to, FIELD_OTHER, SLICE(":path"), m->target);
}

/* Framing and routing have their own places; an extended CONNECT needs no key (RFC 8441 5). */
static bool has_own_place(const struct header *it, bool connect)
{
    return it->dead || it->hop || it->id == FIELD_CONTENT_LENGTH || it->id == FIELD_HOST ||
           (connect && it->id == FIELD_SEC_WEBSOCKET_KEY);
}

/* RFC 9110 10.1.4: of TE only this may be said; gRPC insists on it. */
static bool wants_trailers(const struct message *m)
{
    struct slice te = headers_get(&m->headers, FIELD_TE);
    return te.at && field_list_has(te, SLICE("trailers"));
}

size_t h2_request_write(struct hpack_encoder *e, char *to, const struct message *m,
                        struct slice scheme, struct slice protocol)
{
    char text[NUM_U64_MAX_BYTES];
    char *at = put_pseudo(e, to + hpack_encode_begin(e, to), m, scheme, protocol);
    for (const struct header *it = m->headers.at, *end = it + m->headers.count; it != end; it++)
        if (!has_own_place(it, protocol.len > 0))
            at = put(e, at, (enum field_id)it->id, it->name, it->value);
    if (wants_trailers(m))
        at = put(e, at, FIELD_TE, SLICE("te"), SLICE("trailers"));
    if (m->length == LENGTH_KNOWN)
        at = put(e, at, FIELD_CONTENT_LENGTH, SLICE("content-length"),
                 (struct slice){text, num_write_u64(text, m->content_length)});
    return (size_t)(at - to);
}

/* ---- responses ---- */

enum err h2_response_take(void *user, const struct hpack_header *h)
{
    struct h2_response *r = user;
    if (!slice_eq(h->name, SLICE(":status")))
        return h->name.len && h->name.at[0] == ':' ? ERR_BAD_HEADER : h2_fields_take(&r->fields, h);
    if (r->status.at || r->fields.regular || r->fields.trailers)
        return ERR_BAD_HEADER;
    r->status = h->value.len ? h->value : SLICE("");
    return ERR_OK;
}

/* RFC 9113 8.6: there is no 101. */
static enum err apply_status(const struct h2_response *r, struct message *m)
{
    uint64_t v;
    if (!r->status.at || r->status.len != 3 || num_parse_u64(r->status, &v) || v < 100 || v > 599 ||
        v == 101)
        return ERR_BAD_HEADER;
    m->status = (uint16_t)v;
    return ERR_OK;
}

static enum err apply_length(const struct h2_response *r, enum method method, unsigned end,
                             struct message *m)
{
    uint64_t v = 0;
    bool said = r->fields.length_lines > 0;
    if (said &&
        (r->fields.length_lines > 1 || num_parse_u64(r->fields.length, &v) || v > INT64_MAX))
        return ERR_BAD_CONTENT_LENGTH;
    m->length = LENGTH_NONE;
    if (method == METHOD_HEAD || !status_has_body(m->status))
        return ERR_OK;
    if (said && end && v > 0)
        return ERR_BAD_CONTENT_LENGTH;
    m->length = said || end ? LENGTH_KNOWN : LENGTH_UNKNOWN;
    m->content_length = v;
    return ERR_OK;
}

enum err h2_response_finish(struct h2_response *r, enum method method, unsigned end,
                            struct message *m)
{
    m->version_major = 2;
    m->version_minor = 1;
    m->keep_alive = true;
    TRY(apply_status(r, m));
    if (m->status < 200 && end)
        return ERR_BAD_HEADER;
    return apply_length(r, method, end, m);
}

/* ---- WebSocket ---- */

static struct slice accept_of(struct slice key, struct arena *a)
{
    enum { TEXT_BYTES = BASE64_CHARS(SHA1_BYTES) };
    struct slice all = ARENA_CONCAT(a, key, SLICE("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    char *to = arena_alloc(a, TEXT_BYTES);
    uint8_t digest[SHA1_BYTES];
    if (!all.at || !to)
        return SLICE_NONE;
    sha1_of(all, digest);
    base64_write(to, digest, sizeof digest, BASE64);
    return (struct slice){to, TEXT_BYTES};
}

static bool is_key(struct slice text)
{
    enum { KEY_BYTES = 24 }; /* 16 bytes in base64 */
    if (text.len != KEY_BYTES || memcmp(text.at + KEY_BYTES - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_BYTES - 2; i++)
        if (base64_value(text.at[i], BASE64) < 0)
            return false;
    return true;
}

bool h2_request_switches(const struct message *m)
{
    uint32_t keys = 0;
    if (!m->upgrade || !slice_eq_nocase(m->upgrade_to, SLICE("websocket")))
        return false;
    for (const struct header *it = m->headers.at, *end = it + m->headers.count; it != end; it++)
        if (!it->dead && it->id == FIELD_SEC_WEBSOCKET_KEY && (++keys > 1 || !is_key(it->value)))
            return false;
    return keys == 1;
}

enum err h2_response_switch(const struct message *request, struct arena *a, struct message *m)
{
    struct slice key = headers_get(&request->headers, FIELD_SEC_WEBSOCKET_KEY);
    m->status = 101;
    m->length = LENGTH_NONE;
    m->upgrade = true;
    m->upgrade_to = request->upgrade_to;
    headers_del_id(&m->headers, FIELD_CONTENT_LENGTH); /* means nothing here: RFC 9110 9.3.6 */
    headers_del_id(&m->headers, FIELD_SEC_WEBSOCKET_ACCEPT);
    if (!key.at)
        return ERR_OK;
    struct slice proof = accept_of(key, a);
    return proof.at ? headers_add_id(&m->headers, a, FIELD_SEC_WEBSOCKET_ACCEPT, proof)
                    : ERR_OVER_BUDGET;
}

enum err h2_origin_err(enum err e)
{
    switch (e) {
    case ERR_OK:
    case ERR_NO_MEMORY:
    case ERR_NO_BUFFERS:
    case ERR_OVER_BUDGET: return e;
    case ERR_HEAD_TOO_LARGE:
    case ERR_TOO_MANY_HEADERS: return ERR_ORIGIN_HEAD_TOO_LARGE;
    case ERR_BAD_CONTENT_LENGTH: return ERR_ORIGIN_BAD_FRAMING;
    case ERR_BAD_HEADER:
    case ERR_BAD_TRAILER: return ERR_ORIGIN_BAD_HEAD;
    default: return ERR_ORIGIN_H2;
    }
}
