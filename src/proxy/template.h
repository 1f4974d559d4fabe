/* template.h - words with variables: "$host/x/${header.User-Agent}". Compiled once. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "proxy/variable.h"

struct template;

/* Unknown variables are errors with position and the nearest name. In a raw word ('...') a '$' is
 * just a '$'; "$$" is one too. `captures`: "$1".."$9" are allowed. NULL after an error. */
const struct template *template_compile(struct conf_build *b, const struct conf_word *w,
                                        bool captures);
bool template_is_literal(const struct template *t, struct slice *text);
/* In the exchange's arena (or the literal itself); .at NULL when the budget is spent. Absent
 * variables are empty. captures[0..9] may be NULL. */
struct slice template_eval(const struct template *t, struct exchange *x,
                           const struct slice *captures);
