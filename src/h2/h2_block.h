/* h2_block.h - header blocks in frames. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_frame.h"

/* What a block of `len` bytes takes with the heads of its frames. */
static inline size_t h2_block_room(size_t len)
{
    return len + (len / H2_FRAME_MAX_BYTES + 1) * H2_FRAME_HEAD_BYTES;
}

/* Puts frames around a block that lies behind the place of the first head, which is at `at`.
 * Returns how many bytes there are. */
size_t h2_block_frame(char *at, size_t len, uint32_t id, uint8_t flags);
