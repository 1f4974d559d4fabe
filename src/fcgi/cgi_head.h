/* cgi_head.h - the head of a CGI answer (RFC 3875 6) to a message. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"
#include "http/stream.h"

struct cgi_scan {
    size_t at, line_start; /* bytes looked at; where their last line began */
};

/* Looks for the empty line in a growing run of bytes; lines end with LF or CR LF. ERR_OK: *len
 * bytes are the head. ERR_HOLD, ERR_ORIGIN_HEAD_TOO_LARGE. */
enum err cgi_head_find(struct cgi_scan *s, struct slice in, const struct stream_limits *l,
                       size_t *len) MUST_CHECK;

/* Slices of the message point into the head. Without Status it is 200, with Location 302. As strict
 * as with any server: no field is repaired, Content-Length stands once, Transfer-Encoding not at
 * all, and an empty head is none. ERR_ORIGIN_BAD_HEAD, ERR_ORIGIN_BAD_FRAMING,
 * ERR_ORIGIN_HEAD_TOO_LARGE, ERR_OVER_BUDGET. */
enum err cgi_head_parse(struct slice head, enum method method, struct arena *a,
                        const struct stream_limits *l, struct message *out) MUST_CHECK;
