/* range.h - the Range field (RFC 9110 14.1, 14.2), resolved against a length. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { RANGES_MAX = 16 };

enum range_kind {
    RANGE_WHOLE,         /* the field is to be ignored: send everything */
    RANGE_PARTS,         /* 206 with `count` parts */
    RANGE_UNSATISFIABLE, /* 416 */
};

struct range {
    uint64_t first, last; /* both inclusive, below the length */
};

struct ranges {
    struct range at[RANGES_MAX];
    unsigned count;
};

/* What a Content-Range (RFC 9110 14.4) says of the bytes at hand. */
struct content_range {
    uint64_t first, last, total; /* total UINT64_MAX: unknown */
};

/* False: not of bytes, or none ("bytes *" and a length), or it contradicts itself. */
bool content_range_parse(struct slice value, struct content_range *out);

/* What to send of `length` bytes. Ignored are: other units, a field that is malformed, more than
 * RANGES_MAX ranges, and ranges that come to more than the whole (RFC 9110 14.2 warns of both). */
enum range_kind ranges_parse(struct slice value, uint64_t length, struct ranges *out);
