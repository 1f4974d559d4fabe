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
 * that select the same response, in every process and at all times. 0 only for empty `names`. */
uint64_t selection_hash(struct slice names, const struct headers *req);

/* When Accept-Language is the only field in which two selections differ, and the one language that
 * the client likes best is the stored response's, that may be used as well.
 *
 * The same without Accept-Language; 0 when `names` has none, never for "accept-language" alone. */
uint64_t selection_hash_without_language(struct slice names, const struct headers *req);
bool language_matches(const struct headers *req, struct slice content_language);
