/* checker.h - active checks of all servers of the newest configuration.
 *
 * Main thread: one for the process, so that a server is asked once and not once for each worker.
 * Results go into server_shared, where picks see them. Owner: the process. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/probe.h"

struct upstream_checker;

/* `p` is borrowed for its life. */
struct upstream_checker *upstream_checker_new(struct loop *l, struct prober *p);
/* After each reload: servers that stay keep their state and their turn, new ones are checked soon,
 * and those that are checked no more count as up. Takes a count on `c`. */
void upstream_checker_sync(struct upstream_checker *k, struct conf *c);
void upstream_checker_free(struct upstream_checker *k); /* probes end without a result */
