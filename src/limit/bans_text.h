/* bans_text.h - bans as lines of text, for another process, another binary and for files: address,
 * end in unix time (ms; 0: it was lifted), how many times.
 *
 *     203.0.113.9 1790000000000 3 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "limit/bans.h"

enum { BAN_LINE_BYTES = 80 }; /* the longest takes less */

/* This machine's clocks now: bans are of the loops' clock, texts of the other. */
struct ban_clocks {
    int64_t now_ms, unix_ms;
};

void ban_line_write(struct text *to, const struct ban *b, struct ban_clocks c);
/* Calls `each` with every ban of the text. False: a line makes no sense, what stands before it was
 * told. No line tells of anything but one address of IPv4 or one /64 of IPv6, or of a time that is
 * years away. */
bool ban_lines_read(struct slice lines, struct ban_clocks c,
                    void (*each)(void *ctx, const struct ban *b), void *ctx);
