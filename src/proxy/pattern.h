/* pattern.h - regular expressions (PCRE2 with JIT), compiled with the configuration. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

struct pattern;

enum { PATTERN_CAPTURES = 10 };

/* Errors with position go to the diag; NULL then. Freed with the snapshot (`b->app` is the struct
 * conf being built). */
struct pattern *pattern_compile(struct conf_build *b, const struct conf_word *w);
/* False: no match, or the match limit was hit (hostile input). captures may be NULL. */
bool pattern_match(const struct pattern *p, struct slice subject,
                   struct slice captures[PATTERN_CAPTURES]);
