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
    bool log_only;    /* known only when the exchange has ended */
    /* Lives until the exchange ends. .at NULL: not there. `arg` for names that end in '.'. */
    struct slice (*get)(struct exchange *x, struct slice arg);
    const char *text;
};

extern const struct variable variables_all[]; /* ends in {0} */

/* *arg gets the part after the dot. NULL: unknown. */
const struct variable *variable_find(struct slice name, struct slice *arg);
void variables_write_docs(struct text *out);
