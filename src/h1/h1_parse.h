/* h1_parse.h - strict HTTP/1.x heads and chunked bodies (RFC 9112), from bytes to messages. Pure.
 *
 * Heads are parsed in two steps: h1_head_find() looks incrementally for the end of a head in a
 * growing buffer and refuses bytes that no head may contain; h1_parse_request() and
 * h1_parse_response() then read the whole head at once. Slices of the message point into the head's
 * bytes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"
#include "http/stream.h"

struct h1_scan {
    uint32_t at; /* bytes looked at */
    uint32_t line_start;
    uint32_t lines;
};

/* ERR_OK: *head_len bytes are the head with its empty line. ERR_HOLD: needs more. Else the error
 * (ERR_URI_TOO_LONG, ERR_HEAD_TOO_LARGE, ERR_TOO_MANY_HEADERS, ERR_BARE_LF, ERR_NOT_HTTP,
 * ERR_BAD_REQUEST_LINE). Only line ends are looked at here, with memchr(): every other byte is
 * judged by the parse. Leading CRLFs before a request line (at most 2) are part of the head
 * (RFC 9112 2.2). */
enum err h1_head_find(struct h1_scan *s, struct slice in, const struct stream_limits *l,
                      size_t *head_len) MUST_CHECK;

/* Strict where a lenient reading could differ from another server's (docs/SECURITY.md):
 * - framing: one Content-Length line of digits only, or one Transfer-Encoding "chunked" line of an
 *   HTTP/1.1 request, never both;
 * - Host: exactly one and valid (1.0 may lack it); the authority of an absolute-form must equal it.
 *   Both, in lower case and without a trailing dot, become `authority` and the value of Host;
 * - Connection: fields that it names become hop-by-hop, unless field.def has a row for them that is
 *   not hop-by-hop itself: nobody strips Host, Content-Length, Cookie or X-Forwarded-For by naming
 *   it there, such an option is ignored;
 * - Upgrade counts with "Connection: upgrade" in HTTP/1.1, without a body, and not for h2c;
 * - only HTTP/1.x is spoken, later minor versions as 1.1; CONNECT is ERR_METHOD_UNSUPPORTED.
 * `scheme` is set by an absolute-form only. */
enum err h1_parse_request(struct slice head, struct arena *a, const struct stream_limits *l,
                          struct message *out) MUST_CHECK;
/* `method` of the request: a response to HEAD has no body. ERR_ORIGIN_BAD_HEAD,
 * ERR_ORIGIN_BAD_FRAMING, ERR_ORIGIN_HEAD_TOO_LARGE, ERR_OVER_BUDGET. A response without framing
 * that may have a body is LENGTH_UNKNOWN with keep_alive false. */
enum err h1_parse_response(struct slice head, enum method method, struct arena *a,
                           const struct stream_limits *l, struct message *out) MUST_CHECK;

struct h1_chunks {
    uint64_t left;      /* bytes of the current chunk still to come */
    uint32_t ext_bytes; /* of the current chunk */
    uint32_t digits;
    uint32_t trailer_at; /* bytes of trailers seen */
    uint8_t state;
};

void h1_chunks_init(struct h1_chunks *c);
/* Reads framing and data from the front of *in. ERR_OK: *data is the next run of body bytes
 * (inside *in, which is moved past it). ERR_HOLD: *in is used up. ERR_NOT_FOUND: the last chunk's
 * line was read and *in stands at the trailer section. Else ERR_BAD_CHUNK, ERR_CHUNK_EXT_TOO_LONG.
 */
enum err h1_chunks_next(struct h1_chunks *c, struct slice *in, const struct stream_limits *l,
                        struct slice *data) MUST_CHECK;
/* As h1_head_find() for the trailer section; *len includes its empty line. ERR_HEAD_TOO_LARGE past
 * trailer_bytes. */
enum err h1_trailer_find(struct h1_scan *s, struct slice in, const struct stream_limits *l,
                         size_t *len) MUST_CHECK;
/* Parses a whole trailer section. Fields that no trailer may have (framing, routing, hop-by-hop and
 * the like, RFC 9110 6.5.1) are dropped: marked dead in *out. */
enum err h1_parse_trailers(struct slice section, struct arena *a, const struct stream_limits *l,
                           struct headers *out) MUST_CHECK;

/* What an error of h1_head_find(), h1_chunks_next() or the trailers is called when an origin sent
 * it: ERR_ORIGIN_BAD_HEAD, ERR_ORIGIN_BAD_FRAMING, ERR_ORIGIN_HEAD_TOO_LARGE; ERR_OVER_BUDGET and
 * the like stay. */
enum err h1_origin_err(enum err e);
