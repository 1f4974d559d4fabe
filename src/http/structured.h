/* structured.h - dictionaries of structured fields (RFC 9651), read strictly: one wrong byte, and
 * the field says nothing. Pure, without memory. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum structured_type {
    STRUCTURED_INTEGER,
    STRUCTURED_DECIMAL, /* number: thousandths */
    STRUCTURED_STRING,
    STRUCTURED_TOKEN,
    STRUCTURED_BYTES,
    STRUCTURED_BOOLEAN, /* number: 0 or 1 */
    STRUCTURED_DATE,    /* number: Unix seconds */
    STRUCTURED_DISPLAY,
    STRUCTURED_INNER_LIST,
};

struct structured_value {
    enum structured_type type;
    int64_t number;
    /* Without its delimiters, otherwise as it was written: backslashes of a string, base64, percent
     * escapes and items of an inner list (checked, too) stay. */
    struct slice text;
};

struct structured_member {
    struct slice key;
    struct structured_value value;
    struct slice params; /* as written, checked: ";a;b=1" */
};

enum structured_next { STRUCTURED_MEMBER, STRUCTURED_END, STRUCTURED_BAD };

/* The next member of a dictionary; start with *rest = the value of a line, trimmed. Nothing that
 * came before STRUCTURED_BAD counts, and of members with the same key the last one does: walk to
 * the end first. */
enum structured_next structured_dictionary_next(struct slice *rest, struct structured_member *out);
