/* text.h - a growing text on the heap for the control plane (docs, status, messages), and the
 * JSON and HTML escaping that text and log lines share. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stddef.h>

struct text {
    char *at; /* NUL-terminated once anything was added */
    size_t len, cap;
};

void text_init(struct text *t);
void text_release(struct text *t);
void text_clear(struct text *t);                 /* empties it; its memory stays */
void text_reserve(struct text *t, size_t bytes); /* so many may be added without needing memory */
void text_add(struct text *t, struct slice s);
void text_addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_json(struct text *t, struct slice s); /* with the quotes; invalid UTF-8 as U+FFFD */
void text_add_html(struct text *t, struct slice s); /* & < > " ' escaped */
struct slice text_slice(const struct text *t);

/* Writes `s` escaped for the inside of a JSON string into to[cap] and returns the bytes written;
 * stops before an escape that does not fit. */
size_t json_escape(char *to, size_t cap, struct slice s);

/* Edit distance with transpositions (Damerau-Levenshtein, restricted), for "did you mean". */
size_t text_distance(struct slice a, struct slice b);
