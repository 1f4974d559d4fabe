/* rules_test.h - heads for tests of rules: written as text, lines parted by " | ". */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/message.h"
#include "tests/unit.h"

enum { RULES_HEADERS_MAX = 48 };

/* Borrows the text. */
struct rules_head {
    struct headers h;
    struct header at[RULES_HEADERS_MAX];
};

static inline void rules_line_add(struct headers *h, struct slice line)
{
    size_t colon = slice_find(line, ':');
    struct slice name = slice_trim(slice_head(line, colon));
    assert_true(colon < line.len && h->count < h->cap);
    headers_push(h, field_find(name), name, slice_trim(slice_from(line, colon + 1)));
}

static inline struct headers *rules_head_read(struct rules_head *r, const char *text)
{
    struct slice rest = slice_of(text);
    r->h = (struct headers){.at = r->at, .cap = RULES_HEADERS_MAX};
    while (rest.len > 0) {
        const char *bar = memmem(rest.at, rest.len, " | ", 3);
        size_t len = bar ? (size_t)(bar - rest.at) : rest.len;
        rules_line_add(&r->h, slice_head(rest, len));
        rest = slice_from(rest, bar ? len + 3 : len);
    }
    return &r->h;
}
