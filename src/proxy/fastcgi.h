/* fastcgi.h - requests to FastCGI servers: `fastcgi ADDRESS...`, alone or beside `files`.
 *
 * The target is an upstream, so all that holds for servers holds for these. What differs is decided
 * once, before a server is picked: which script the path means, or that a file is the answer. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "proxy/target.h"

struct settings;

conf_apply_fn fastcgi_apply;
extern const struct directive fastcgi_options[];

/* `files` and `fastcgi` in one block are one target: true when these two directives are. */
bool fastcgi_combines(const struct conf_node *a, const struct conf_node *b);
/* Makes one of own->target and the one that the block had `before`. */
void fastcgi_combine(struct settings *own, const struct target *before);
/* Once all of a block was read: what stands `around` it tells the root when it does not itself. */
void fastcgi_finish(struct conf_build *b, struct settings *own, const struct settings *around);

void fastcgi_explain(const struct target *t, struct text *out);
