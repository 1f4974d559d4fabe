/* h2_block.c - header blocks in frames (RFC 9113 4.3, 6.10): nearly all fit one. Longer ones are
 * moved apart from their end, so that nothing is written twice in the usual case. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_block.h"

static void frame_rest(char *at, size_t len, size_t extra, uint32_t id)
{
    for (size_t i = extra; i > 0; i--) {
        char *part = at + H2_FRAME_HEAD_BYTES + i * H2_FRAME_MAX_BYTES;
        size_t n = i == extra ? len - i * H2_FRAME_MAX_BYTES : H2_FRAME_MAX_BYTES;
        char *to = part + i * H2_FRAME_HEAD_BYTES;
        memmove(to, part, n);
        uint8_t last = i == extra ? H2_FLAG_END_HEADERS : 0;
        h2_frame_write(to - H2_FRAME_HEAD_BYTES,
                       &(struct h2_frame){(uint32_t)n, id, H2_CONTINUATION, last});
    }
}

size_t h2_block_frame(char *at, size_t len, uint32_t id, uint8_t flags)
{
    size_t first = len > H2_FRAME_MAX_BYTES ? H2_FRAME_MAX_BYTES : len;
    size_t extra = (len - first + H2_FRAME_MAX_BYTES - 1) / H2_FRAME_MAX_BYTES;
    frame_rest(at, len, extra, id);
    uint8_t whole = extra ? 0 : H2_FLAG_END_HEADERS;
    h2_frame_write(at,
                   &(struct h2_frame){(uint32_t)first, id, H2_HEADERS, (uint8_t)(flags | whole)});
    return len + (extra + 1) * H2_FRAME_HEAD_BYTES;
}
