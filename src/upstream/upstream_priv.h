/* upstream_priv.h - how the rows build a struct upstream. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancer.h"

/* A new one at the end of the list, with every default set. Its name may be set later. */
struct upstream *upstream_new(struct conf_build *b, struct upstreams_conf *u, struct conf_pos pos);
/* Adds a server; weight, max_conns and marks are copied from `options`. NULL with an error. */
struct server *upstream_server_add(struct conf_build *b, struct upstream *up,
                                   const struct conf_word *address, const struct server *options);
/* Gives servers without a port the usual one. */
void upstream_ports_finish(struct upstream *up);
void upstream_balancer_set(struct conf_build *b, struct upstream *up,
                           const struct balancer_type *t);
/* Checks the whole and gives an unnamed one its name. */
void upstream_finish(struct conf_build *b, struct upstream *up);
/* Defaults of everything that stands in an upstream block, and of a server line. */
void upstream_defaults(struct upstream *up);
void server_defaults(struct server *srv);
/* Whether `hedge` fits the rest. */
void upstream_hedge_finish(struct conf_build *b, const struct upstream *up);
/* What `proto` comes to, beside `tls`. */
void upstream_proto_finish(struct conf_build *b, struct upstream *up);
