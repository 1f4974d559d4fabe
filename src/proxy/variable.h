/* variable.h - what is known of an exchange, by name: one row per variable.
 *
 * The same rows serve templates ("$host"), conditions, hash keys and access log fields. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include "conf/directive.h"

struct exchange;
struct text;

enum variable_kind { VARIABLE_TEXT, VARIABLE_NUMBER };

struct variable {
    const char *name; /* "host"; "header." takes the rest of the name as argument */
    enum variable_kind kind;
    bool log_only; /* known only when the exchange has ended */
    /* One of the two. get: lives until the exchange ends; .at NULL: not there; `arg` for names that
     * end in '.'. write: makes the text, at most VARIABLE_WRITE_BYTES; 0: not there. */
    struct slice (*get)(struct exchange *x, struct slice arg);
    size_t (*write)(struct exchange *x, char *to);
    const char *text;
};

enum { VARIABLE_WRITE_BYTES = 128 }; /* an address is the longest: ADDR_TEXT_BYTES */

extern const struct variable variables_all[]; /* ends in {0} */

/* The value by either way: what has to be written goes to `scratch`, which must live as long as the
 * result is used. .at NULL: not there. */
struct slice variable_get(const struct variable *v, struct exchange *x, struct slice arg,
                          char scratch[VARIABLE_WRITE_BYTES]);

/* *arg gets the part after the dot. NULL: unknown. */
const struct variable *variable_find(struct slice name, struct slice *arg);
bool variable_is_late(const struct variable *v);   /* known after `auth`: who asks */
bool variable_is_family(const struct variable *v); /* takes an argument: "header." */
/* Adds the hint "did you mean" with the nearest variable to the last error. */
void variable_nearest(struct diag *d, struct slice name);
void variables_write_docs(struct text *out);
