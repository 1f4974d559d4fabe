/* apply_priv.h - what the rows in rows.c do (apply.c). Their scope is a struct settings with only
 * those fields set that the directives of one block set. Private to src/proxy. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

conf_apply_fn settings_apply; /* typed value and typed options into their fields */
conf_apply_fn body_apply, retry_apply, log_apply, proxy_apply, trust_apply, connections_apply;
conf_apply_fn geo_apply; /* client_geo.c */

struct target;
/* Of `fastcgi`: the upstream of that name (*named), or one for the addresses, into *t. False after
 * an error. */
bool fastcgi_upstream(struct conf_build *b, const struct conf_node *n, struct target *t,
                      bool *named);

/* The share of the requests that a word such as 5% tells, in hundredths of a percent. False after
 * an error. */
enum { SHARE_WHOLE = 10000 };
bool share_read(struct conf_build *b, const struct conf_word *w, int64_t *share);

/* `request buffer on memory=1M`, whose row belongs to the filter for request headers. */
bool is_request_buffer(const struct conf_node *n);
void request_buffer_apply(struct conf_build *b, void *scope, const struct conf_node *n);
const struct directive *buffer_row(void); /* rows.c */

/* CONF_RATE counts thousandths per second. */
int64_t body_rate_bytes(int64_t rate);
