/* web_origins.h - the origins of web pages that a directive names, for filters that judge Origin.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "http/web_origin.h"

struct exchange;

struct web_origins {
    const struct web_origin *list;
    uint32_t count;
    bool any;   /* "*" */
    bool null_; /* "null": sandboxed frames, local files, redirects across origins - of anybody */
};

/* The positional words of a node. False with the errors in b->diag. */
bool web_origins_read(struct conf_build *b, const struct conf_node *n, struct web_origins *out);
/* Is it one of the named ones? `any` does not count. */
bool web_origins_have(const struct web_origins *o, struct slice origin);
/* Is it that of the pages of the site itself, as the client names the site? A proxy in `trust` may
 * have said how the client came. */
bool web_origin_is_own(struct exchange *x, struct slice origin);
