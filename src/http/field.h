/* field.h - header field names and the grammars of field values (RFC 9110 5.5, 5.6). Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum field_id {
    FIELD_OTHER, /* any name that has no row */
#define FIELD(id, lower, usual, traits) FIELD_##id,
#include "http/field.def"
#undef FIELD
    FIELD_COUNT
};

enum field_trait { FIELD_HOP = 1, FIELD_SINGLE = 2, FIELD_FRAMING = 4, FIELD_NOTRAILER = 8 };

struct field_row {
    struct slice lower, usual;
    unsigned traits;
};

const struct field_row *field_row(enum field_id id);
bool field_is_hop(enum field_id id);
enum field_id field_find(struct slice name); /* any letter case; FIELD_OTHER when unknown */

bool field_is_tchar(unsigned char c);
bool field_is_token(struct slice s);    /* not empty */
bool field_value_valid(struct slice s); /* no CR, LF, NUL, other controls but tab */

/* Length of the part before the first `sep` that is not inside a quoted string. */
size_t field_find_unquoted(struct slice s, char sep);
/* The next member of a comma-separated list, trimmed, empty members skipped; commas inside quoted
 * strings do not count. False at the end. Start with *rest = the value. */
bool field_list_next(struct slice *rest, struct slice *member);
/* Is `token` a member of the list (case-insensitive)? */
bool field_list_has(struct slice value, struct slice token);
/* The next `name[=value]` parameter after ';' in *rest; quotes taken off without unescaping. */
bool field_param_next(struct slice *rest, struct slice *name, struct slice *value);

/* qvalue of RFC 9110 12.4.2 in thousandths; what is not one counts as 1. */
int field_qvalue(struct slice s);

/* Weight 0..1000 that an Accept-style list gives to `type` ("text/html"), with wildcards and
 * q-values (RFC 9110 12.5.1); 1000 when the field is absent (value.at NULL). */
int field_accept_weight(struct slice value, struct slice type);

/* The cookie `name` in a Cookie value; .at NULL when it is not there. */
struct slice field_cookie(struct slice value, struct slice name);
