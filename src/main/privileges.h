/* privileges.h - what a process may do and how much of it: descriptors, user, capabilities. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"

void descriptors_raise(void); /* RLIMIT_NOFILE to its hard limit */

/* While files with private keys are read: no core file, no tracing by the own user. */
void memory_hide(void);
void memory_show(void);

/* Gives up what a supervisor never needs, for good, and with it whatever it starts: all but a few
 * capabilities, and gaining any. Its memory leaves no core file and is closed to its user's tools.
 * What holds fewer anyway keeps those that it has. */
void privileges_keep_few(void);

/* Gives up what a worker process does not need, for good: becomes `user` when root runs us (open
 * log files are given to it; an empty one: stays), drops every capability, may not gain any by
 * executing something, leaves no core file and cannot be traced by its user unless `core_dumps`,
 * and dies with the supervisor. Before any thread starts. False with a text for people on stderr.
 */
bool privileges_drop(struct slice user, struct slice group, bool core_dumps);
