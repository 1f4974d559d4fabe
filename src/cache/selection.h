/* selection.h - which stored response a request selects (RFC 9111 4.1): normal forms of the fields
 * that Vary names. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

enum { SELECTION_FIELDS_MAX = 32 };

/* Does Vary have a "*" in any line or position? */
bool vary_any(const struct headers *res);
/* The names of all lines of Vary, lower case, sorted, each once, joined by ","; empty: none.
 * .at NULL: out of budget, or more than SELECTION_FIELDS_MAX. */
struct slice vary_names(const struct headers *res, struct arena *a);

/* Hash of names and of the normal forms of what `req` says to each of them: equal for requests
 * that select the same response. 0 only for empty `names`. `scratch` is for long values. */
uint64_t selection_hash(struct slice names, const struct headers *req, struct arena *scratch);

/* Accept-Language is the only field that the two requests' selections differ in, the client has one
 * best language, and it is the stored response's Content-Language: may be used as well. `others`:
 * selection_hash() of both without Accept-Language are compared by the caller. */
struct slice vary_names_without_language(struct slice names, struct arena *a);
bool language_matches(const struct headers *req, struct slice content_language);
