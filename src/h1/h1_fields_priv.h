/* h1_fields_priv.h - the field lines of a head, read once, and what they say about framing. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h1/h1_parse.h"

struct h1_fields {
    struct headers *headers;           /* filled in */
    struct slice host, length, coding; /* values of the last line of each */
    uint16_t host_lines, length_lines, coding_lines, expect_lines, connection_lines;
    bool close, keep_alive, upgrade; /* connection options */
};

/* Reads the lines up to the empty one (`lines` ends with it) and applies Connection. */
enum err h1_fields_parse(struct slice lines, struct arena *a, const struct stream_limits *l,
                         struct h1_fields *f) MUST_CHECK;

/* Message framing (RFC 9112 6.3) into m->length and m->content_length; LENGTH_NONE when the fields
 * say nothing. Needs m->version_minor. */
enum err h1_framing(const struct h1_fields *f, struct message *m) MUST_CHECK;

/* May the connection persist (RFC 9112 9.3)? */
bool h1_keep_alive(const struct h1_fields *f, const struct message *m);

/* "HTTP/1.0", or "HTTP/1.1" and later minor versions. ERR_BAD_VERSION, ERR_VERSION_UNSUPPORTED. */
enum err h1_version_parse(struct slice text, uint8_t *minor) MUST_CHECK;
