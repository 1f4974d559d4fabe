/* h2_fields.h - the fields of HTTP/2 requests and responses to and from struct message (RFC 9113 8,
 * RFC 8441). Pure.
 *
 * Verdicts are those of HTTP/1: what h1_request.c refuses is refused here. Refusals whose row says
 * 400 are of malformed requests (8.1.1): their stream ends with PROTOCOL_ERROR. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/hpack.h"
#include "http/stream.h"

/* A request or a trailer section while its block is decoded. */
struct h2_fields {
    struct headers *headers;
    struct arena *arena;
    const struct stream_limits *limits;
    struct slice method, scheme, authority, path, protocol; /* .at NULL: absent */
    struct slice host, length, expect, priority;
    uint32_t count;
    uint16_t host_lines, length_lines, expect_lines, cookie_lines;
    bool regular; /* one that is no pseudo-header has come */
    bool trailers;
};

/* For hpack_decode(), with a struct h2_fields. ERR_BAD_HEADER, ERR_TOO_MANY_HEADERS,
 * ERR_OVER_BUDGET. */
hpack_field h2_fields_take;

/* After the last field, into *m (initialised; f->headers is its). `end`: there is no body. An
 * extended CONNECT becomes a GET that asks for an upgrade, with a Sec-WebSocket-Key made of
 * `random`. ERR_METHOD_UNSUPPORTED: CONNECT, or a protocol but websocket. */
enum err h2_request_finish(struct h2_fields *f, struct message *m, unsigned end,
                           uint64_t random) MUST_CHECK;

/* What a response becomes. */
struct h2_reply {
    uint16_t status;   /* as sent: of a tunnel 200, not 101 */
    bool tunnel;       /* the answer to an extended CONNECT */
    bool pass_length;  /* HEAD, 304: Content-Length as the message has it */
    bool length;       /* m->content_length is sent */
    struct slice date; /* .at NULL: none is added */
};
size_t h2_response_room(const struct message *m, const struct h2_reply *r);
/* Writes the block; `to` has h2_response_room() bytes. Returns how many were written. */
size_t h2_response_write(struct hpack_encoder *e, char *to, const struct message *m,
                         const struct h2_reply *r);
size_t h2_trailers_room(const struct headers *h);
size_t h2_trailers_write(struct hpack_encoder *e, char *to, const struct headers *h);
