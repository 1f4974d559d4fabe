/* ocsp_http.h - the little HTTP that a question to an OCSP responder needs.
 *
 * Pure. HTTP/1.0 on purpose: its answers end by their length or by the end of the connection, never
 * in chunks. Everything else than status 200 with an OCSP response of bounded size is refused. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdint.h>

enum { OCSP_HEAD_BYTES_MAX = 8192, OCSP_BODY_BYTES_MAX = 16384, OCSP_URL_BYTES_MAX = 1024 };

struct ocsp_url {
    struct slice authority; /* for the Host field */
    struct slice host;      /* without brackets */
    uint16_t port;
    struct slice path; /* begins with a slash; may be empty: "/" */
};

/* Slices point into `url`. False: not http, malformed, too long, bytes that no URL has. */
bool ocsp_url_parse(struct slice url, struct ocsp_url *out);

/* Appends head and body of a POST. */
void ocsp_http_write(const struct ocsp_url *url, struct slice request_der, struct text *to);

enum ocsp_http { OCSP_HTTP_DONE, OCSP_HTTP_MORE, OCSP_HTTP_BAD };
enum ocsp_http_end { OCSP_HTTP_OPEN, OCSP_HTTP_ENDED }; /* has the peer ended the connection? */
/* `bytes`: all that came. DONE: *body is inside of them. BAD with *why. */
enum ocsp_http ocsp_http_read(struct slice bytes, enum ocsp_http_end end, struct slice *body,
                              struct text *why);
