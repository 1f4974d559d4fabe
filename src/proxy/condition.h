/* condition.h - `when CONDITION`: method host path query.NAME header.NAME cookie.NAME ip country
 * asn scheme proto $VARIABLE; == != ~ !~ in; and or not ( ). Compiled once, evaluated without
 * allocation but for decoded values. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

struct condition;
struct exchange;

/* From the words of a `when` directive. NULL after an error. */
const struct condition *condition_compile(struct conf_build *b, const struct conf_word *words,
                                          uint32_t count);
/* The same for what is asked once it may be known who asks: user, claim.NAME. */
const struct condition *condition_compile_known(struct conf_build *b, const struct conf_word *words,
                                                uint32_t count);
bool condition_eval(const struct condition *c, struct exchange *x);
