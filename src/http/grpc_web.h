/* grpc_web.h - what gRPC-Web does to bodies: base64 in pieces, and trailers as a last frame. Pure.
 *
 * After PROTOCOL-WEB.md of the gRPC project. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"

struct headers;

enum grpc_web_mode { GRPC_WEB_NOT, GRPC_WEB_BINARY, GRPC_WEB_TEXT };

/* By Content-Type; *rest is what follows the name: "+proto", "; charset=x" or nothing. */
enum grpc_web_mode grpc_web_mode_of(struct slice content_type, struct slice *rest);

/* Where a decoder stands between two pieces; zeroed to begin with. */
struct grpc_web_decoder {
    uint32_t bits;
    uint8_t count; /* characters of the group of four so far */
    uint8_t pads;  /* '=' among them */
};

enum { GRPC_WEB_GROUP_BYTES = 3, GRPC_WEB_GROUP_TEXT_BYTES = 4 };

/* Takes from *in what goes into `room` bytes at `to` and adds to *len. Padding may stand after any
 * group, because each piece may have been encoded for itself. ERR_BAD_GRPC_WEB. */
enum err grpc_web_decode(struct grpc_web_decoder *d, struct slice *in, char *to, size_t room,
                         size_t *len) MUST_CHECK;
/* Nothing is left half-read. */
bool grpc_web_decoded_whole(const struct grpc_web_decoder *d);

/* Four bytes for each three, padded at the end; returns the length. */
size_t grpc_web_encode(char *to, struct slice bytes);

/* The frame that stands for the trailers, without encoding: its size, and itself. */
size_t grpc_web_trailers_bytes(const struct headers *h);
void grpc_web_trailers_write(char *to, const struct headers *h);
