/* h2_fields_write.c - responses and trailers to header blocks.
 *
 * Left out is what HTTP/1 leaves out, too: deleted and hop-by-hop fields, and Content-Length, which
 * the message's own framing decides. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "h2/h2_fields.h"

enum { EXTRA_BYTES = 128 }; /* :status, Date, Content-Length, table sizes */

static size_t fields_room(const struct headers *h)
{
    size_t room = 0;
    for (uint32_t i = 0; i < h->count; i++)
        room += hpack_room(h->at[i].name, h->at[i].value);
    return room;
}

static bool stays(const struct header *it, bool tunnel)
{
    return it->dead || it->hop || it->id == FIELD_CONTENT_LENGTH ||
           (tunnel && it->id == FIELD_SEC_WEBSOCKET_ACCEPT);
}

static char *put(struct hpack_encoder *e, char *to, enum field_id id, struct slice name,
                 struct slice value)
{
    return to + hpack_encode(e, to, id, name, value);
}

static char *put_fields(struct hpack_encoder *e, char *to, const struct headers *h, bool tunnel)
{
    for (const struct header *it = h->at, *end = it + h->count; it != end; it++)
        if (!stays(it, tunnel))
            to = put(e, to, (enum field_id)it->id, it->name, it->value);
    return to;
}

static char *put_status(struct hpack_encoder *e, char *to, uint16_t status)
{
    char text[3] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                    (char)('0' + status % 10)};
    return put(e, to, FIELD_OTHER, SLICE(":status"), (struct slice){text, 3});
}

static char *put_length(struct hpack_encoder *e, char *to, const struct message *m,
                        const struct h2_reply *r)
{
    char text[NUM_U64_MAX_BYTES];
    struct slice own = headers_get(&m->headers, FIELD_CONTENT_LENGTH);
    if (r->length)
        own = (struct slice){text, num_write_u64(text, m->content_length)};
    else if (!r->pass_length || !own.at)
        return to;
    return put(e, to, FIELD_CONTENT_LENGTH, SLICE("content-length"), own);
}

size_t h2_response_room(const struct message *m, const struct h2_reply *r)
{
    (void)r;
    return EXTRA_BYTES + fields_room(&m->headers);
}

size_t h2_response_write(struct hpack_encoder *e, char *to, const struct message *m,
                         const struct h2_reply *r)
{
    char *at = to + hpack_encode_begin(e, to);
    at = put_status(e, at, r->status);
    at = put_fields(e, at, &m->headers, r->tunnel);
    if (r->date.at && !headers_find(&m->headers, FIELD_DATE))
        at = put(e, at, FIELD_DATE, SLICE("date"), r->date);
    at = put_length(e, at, m, r);
    return (size_t)(at - to);
}

size_t h2_trailers_room(const struct headers *h)
{
    return EXTRA_BYTES + fields_room(h);
}

size_t h2_trailers_write(struct hpack_encoder *e, char *to, const struct headers *h)
{
    char *at = to + hpack_encode_begin(e, to);
    return (size_t)(put_fields(e, at, h, false) - to);
}
