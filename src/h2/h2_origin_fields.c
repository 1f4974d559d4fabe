/* h2_origin_fields.c - what a server is asked and what it answers, as fields.
 *
 * A response differs from a request in its pseudo-header alone; the rest is the business of
 * h2_fields.c. Content-Length is checked against the DATA by the core. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_origin_fields.h"
#include "base/num.h"

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
                        struct slice scheme)
{
    to = put(e, to, FIELD_OTHER, SLICE(":method"), m->method_text);
    to = put(e, to, FIELD_OTHER, SLICE(":scheme"), scheme);
    to = put(e, to, FIELD_OTHER, SLICE(":authority"), headers_get(&m->headers, FIELD_HOST));
    return put(e, to, FIELD_OTHER, SLICE(":path"), m->target);
}

/* Framing and routing have their own places; Expect is for hops that wait, and so goes on. */
static bool has_own_place(const struct header *it)
{
    return it->dead || it->hop || it->id == FIELD_CONTENT_LENGTH || it->id == FIELD_HOST;
}

/* RFC 9110 10.1.4: of TE only this may be said; gRPC insists on it. */
static bool wants_trailers(const struct message *m)
{
    struct slice te = headers_get(&m->headers, FIELD_TE);
    return te.at && field_list_has(te, SLICE("trailers"));
}

size_t h2_request_write(struct hpack_encoder *e, char *to, const struct message *m,
                        struct slice scheme)
{
    char text[NUM_U64_MAX_BYTES];
    char *at = put_pseudo(e, to + hpack_encode_begin(e, to), m, scheme);
    for (const struct header *it = m->headers.at, *end = it + m->headers.count; it != end; it++)
        if (!has_own_place(it))
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
