/* outbound.h - `relay`: requests to targets that clients name, within what the configuration lets
 * them: a CORS relay. Nothing that a client, its URL, a name server or a redirect says leads to an
 * address that was not checked: a name is looked up once for each connection, every address of the
 * answer is judged, and one of exactly these is connected to.
 *
 * Takes the place of a lease in the steps "pick", "forward" and "await" (origin.c); a redirect goes
 * back to "pick" with another URL. One connection for each request. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "http/url.h"
#include "tls/tls.h"

struct exchange;
struct outbound_conf;
struct target;

conf_apply_fn outbound_apply;
extern const struct directive outbound_options[];
extern const struct directive outbound_rows[]; /* IN_RELAY; ends in {0} */

/* Adds CORS fields to the answer that is about to go out, whoever made it, unless a `cors` does;
 * nothing where no relay is the target. */
void outbound_share(struct exchange *x);
/* The URL that was asked for last, without credentials; .at NULL: none. */
struct slice outbound_url(struct exchange *x);
void outbound_explain(const struct target *t, struct text *out);
