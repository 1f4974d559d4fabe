/* outliers.h - servers that are worse than the others of their upstream are left out for a while.
 *
 * Main thread, for the process: it looks at what all workers counted, so requests pay nothing for
 * being compared. health.c leaves out servers that fail again and again, at once and in any worker.
 * Owner: the process. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

struct upstream_outliers;

struct upstream_outliers *upstream_outliers_new(struct loop *l);
/* After each reload. Takes a count on `c`; what is known of servers that stay stays. */
void upstream_outliers_sync(struct upstream_outliers *o, struct conf *c);
void upstream_outliers_free(struct upstream_outliers *o);
