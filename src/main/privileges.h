/* privileges.h - what the process may do and how much of it: descriptors, user. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"

void descriptors_raise(void); /* RLIMIT_NOFILE to its hard limit */

/* Becomes `user` when root runs us; open log files are given to it. False with a text for people
 * on stderr. An empty user: nothing to do. */
bool privileges_drop(struct slice user, struct slice group);
