/* coding.h - content codings: their names, and which of them a client wants (RFC 9110 12.5.3);
 * media types by pattern. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_ZSTD, CODING_BR, CODING_COUNT };

/* Thousandths; CODING_UNNAMED: neither named nor matched by "*". */
struct coding_weights {
    int16_t of[CODING_COUNT];
};

enum { CODING_UNNAMED = -1 };

struct slice coding_name(enum coding c);
/* By name in any letter case, x-gzip too; CODING_COUNT: unknown. */
enum coding coding_find(struct slice name);

/* Of an Accept-Encoding value, all lines of it joined. What is named twice counts as it was named
 * first. */
void coding_weights_parse(struct slice accept, struct coding_weights *out);
/* Of those that are offered, in order of preference, the one with the highest weight; the first
 * among equals. CODING_IDENTITY when none is wanted, or identity is named and weighs more; also
 * when it is refused and nothing else is left: an answer serves a client better than a 406. */
enum coding coding_choose(const struct coding_weights *w, const uint8_t *offered, size_t count);

/* Does a pattern match a Content-Type's value (parameters are cut off, letters of any case)?
 * "text/html", "text/" followed by "*", "*+json" (any structured suffix), or "*". */
bool media_type_matches(struct slice pattern, struct slice type);
