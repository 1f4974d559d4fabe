/* identity.h - who a request is from, once something has recognised them, and the fields by which
 * servers are told.
 *
 * An identity never changes once it is made; whoever learns more makes a new one. Those fields are
 * weir's alone: what clients send under their names is taken out before anything looks at the
 * request, on every route of a configuration that tells anybody's identity anywhere. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/claims.h"
#include "base/err.h"
#include "conf/directive.h"

struct exchange;
struct headers;

/* Owner: the exchange's arena. */
struct identity {
    struct slice user;          /* name, "sub", key's name; empty: nobody in particular */
    const char *method;         /* "basic", "jwt": the first that recognised it */
    const struct claim *claims; /* of all that did */
};

/* What `method` has found out is added to x->identity; a user that is known already stays. The list
 * is copied, its texts are borrowed. ERR_OVER_BUDGET. */
enum err identity_add(struct exchange *x, const char *method, struct slice user,
                      const struct claim *claims) MUST_CHECK;
/* The first claim with that name, .at NULL: there is none. Several of one name: joined by ",". */
struct slice identity_claim(struct exchange *x, struct slice name);

/* Names of fields that tell servers who somebody is. Owner: the snapshot. */
struct identity_fields {
    const struct slice *names;
    uint32_t count, cap;
};

/* A directive that tells an identity is in force somewhere: the usual names are reserved. */
void identity_reserve(struct conf_build *b);
/* And this one, beside them. */
void identity_reserve_name(struct conf_build *b, struct slice name);
/* Takes the reserved fields out of what the client sent, its head or its trailers, however they
 * spell '-' and '_'. */
void identity_strip(const struct exchange *x, struct headers *from);
