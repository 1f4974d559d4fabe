/* coded.h - forms of an answer by content coding that are kept: between who keeps answers (the
 * filter `cache`) and who codes them (`compress`), which do not know each other.
 *
 * Who answers with what it keeps leaves its shelf in the exchange; an answer that takes the place
 * of that one takes it away. A form is of the bytes that the shelf's owner sends: once another
 * filter changes them, none is found, and none is kept. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/coding.h"
#include "proxy/exchange.h"

struct coded_shelf_ops {
    /* A kept form takes the place of the body: see coded_body_begin(). */
    bool (*find)(struct coded_shelf *s, struct exchange *x, enum coding c);
    /* The caller may make it: it is kept, and nobody else is making it. Once. */
    bool (*claim)(struct coded_shelf *s, struct exchange *x, enum coding c);
    /* What passes from here on is that form (transform_response()). */
    void (*keep)(struct coded_shelf *s, struct exchange *x);
};

/* Owner: who left it, until the exchange ends. */
struct coded_shelf {
    const struct coded_shelf_ops *ops;
    struct transform *last; /* that the owner put on the body; NULL: none */
    unsigned uses_count;    /* how often the answer was asked for lately, 0 to 3; 0: it is new */
};

/* True: the body is that form now, and its length is known. The head is the caller's to edit. */
bool coded_find(struct exchange *x, enum coding c);
bool coded_claim(struct exchange *x, enum coding c);
void coded_keep(struct exchange *x); /* after a claim, and transform_response() */
unsigned coded_uses(const struct exchange *x);

/* For the owner of a shelf that found a form: lets go of the body so far; what follows is one of
 * `bytes`, whose producer and want() it sets. */
void coded_body_begin(struct exchange *x, uint64_t bytes);
