/* h2_frame.h - frames of HTTP/2 (RFC 9113 4, 6): their head, their codes, the rules of their length
 * and stream. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    H2_FRAME_HEAD_BYTES = 9,
    H2_FRAME_MAX_BYTES = 16384, /* of the payload: what every peer takes and all that we take */
    H2_WINDOW_BYTES = 65535,    /* of a stream and of the connection at first */
    H2_WINDOW_MAX_BYTES = 0x7fffffff,
    H2_STREAM_MAX = 0x7fffffff,
    H2_PREFACE_BYTES = 24,
};

enum h2_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
    H2_PRIORITY_UPDATE = 0x10, /* RFC 9218 7.1 */
};

enum h2_flag {
    H2_FLAG_ACK = 0x1,
    H2_FLAG_END_STREAM = 0x1,
    H2_FLAG_END_HEADERS = 0x4,
    H2_FLAG_PADDED = 0x8,
    H2_FLAG_PRIORITY = 0x20,
};

/* RFC 9113 7 */
enum h2_code {
    H2_NO_ERROR,
    H2_PROTOCOL_ERROR,
    H2_INTERNAL_ERROR,
    H2_FLOW_CONTROL_ERROR,
    H2_SETTINGS_TIMEOUT,
    H2_STREAM_CLOSED,
    H2_FRAME_SIZE_ERROR,
    H2_REFUSED_STREAM,
    H2_CANCEL,
    H2_COMPRESSION_ERROR,
    H2_CONNECT_ERROR,
    H2_ENHANCE_YOUR_CALM,
    H2_INADEQUATE_SECURITY,
    H2_HTTP_1_1_REQUIRED,
};

/* RFC 9113 6.5.2, RFC 8441 3, RFC 9218 2.1 */
enum h2_setting {
    H2_SET_HEADER_TABLE_SIZE = 1,
    H2_SET_ENABLE_PUSH,
    H2_SET_MAX_CONCURRENT_STREAMS,
    H2_SET_INITIAL_WINDOW_SIZE,
    H2_SET_MAX_FRAME_SIZE,
    H2_SET_MAX_HEADER_LIST_SIZE,
    H2_SET_ENABLE_CONNECT_PROTOCOL = 8,
    H2_SET_NO_RFC7540_PRIORITIES = 9,
};

struct h2_frame {
    uint32_t len;    /* of the payload */
    uint32_t stream; /* the reserved bit taken off */
    uint8_t type, flags;
};

extern const char h2_preface[H2_PREFACE_BYTES + 1];

void h2_frame_read(const char from[H2_FRAME_HEAD_BYTES], struct h2_frame *f);
/* Returns what follows. */
char *h2_frame_write(char *to, const struct h2_frame *f);
/* May a frame have this length, and be on that stream or on none? Everything it refuses is an error
 * of the connection but PRIORITY's length (6.3), which is the stream's. */
enum h2_code h2_frame_check(const struct h2_frame *f);

static inline uint32_t h2_get32(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline char *h2_put32(char *to, uint32_t v)
{
    to[0] = (char)(v >> 24);
    to[1] = (char)(v >> 16);
    to[2] = (char)(v >> 8);
    to[3] = (char)v;
    return to + 4;
}

static inline char *h2_put_setting(char *to, enum h2_setting id, uint32_t value)
{
    to[0] = 0;
    to[1] = (char)id;
    return h2_put32(to + 2, value);
}
