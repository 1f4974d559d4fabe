/* tls_priv.h - TLS to the servers of an upstream: its options and what is made of them. Private to
 * src/upstream. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "upstream/upstream.h"

extern const struct directive upstream_tls_options[];
conf_apply_fn upstream_tls_apply; /* scope: struct upstream */

/* TLS with the defaults, unless there is TLS already. */
void upstream_tls_begin(struct conf_build *b, struct upstream *up);
/* Once the block is read: checks the whole, and warns when nothing is verified. */
void upstream_tls_finish(struct conf_build *b, struct upstream *up);
