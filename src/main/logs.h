/* logs.h - opens the log files of a snapshot: not for `weir check`, which touches nothing. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/diag.h"
#include "conf/snapshot.h"

/* Opens what `c` writes to; files that are open already are shared. False: the errors are in `d`.
 * Closed with the snapshot. Main thread only. */
bool logs_open(struct conf *c, struct diag *d);
void logs_install(const struct conf *c); /* the error log goes where `c` says from now on */
void logs_to_stderr(void);               /* and back, before the last snapshot is freed */
