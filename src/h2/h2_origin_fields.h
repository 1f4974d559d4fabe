/* h2_origin_fields.h - requests to servers as header blocks, and the heads of their responses back
 * (RFC 9113 8). Pure. What HTTP/1 refuses of a server's answer is refused here. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_fields.h"

/* A request of `m`; its Host goes as :authority. With a `protocol` it is an extended CONNECT (RFC
 * 8441). */
size_t h2_request_room(const struct message *m);
size_t h2_request_write(struct hpack_encoder *e, char *to, const struct message *m,
                        struct slice scheme, struct slice protocol);

struct h2_response {
    struct h2_fields fields;
    struct slice status; /* .at NULL: absent */
};

hpack_field h2_response_take; /* for hpack_decode(), with a struct h2_response */
/* After the last field, into *m (initialised; its headers were filled in). ERR_BAD_HEADER,
 * ERR_BAD_CONTENT_LENGTH. */
enum err h2_response_finish(struct h2_response *r, enum method method, unsigned end,
                            struct message *m) MUST_CHECK;

/* A request for WebSocket, whose handshake we answer when the server does not: it needs one key of
 * 16 bytes (RFC 6455 4.2.1). */
bool h2_request_switches(const struct message *m);

/* The 2xx that answers an extended CONNECT becomes the 101 of HTTP/1, with the proof that the
 * handshake of `request` wants (RFC 6455 4.2.2). ERR_OVER_BUDGET. */
enum err h2_response_switch(const struct message *request, struct arena *a,
                            struct message *m) MUST_CHECK;

/* What an error in a server's fields is to the exchange. */
enum err h2_origin_err(enum err e);
