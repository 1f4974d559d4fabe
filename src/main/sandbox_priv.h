/* sandbox_priv.h - the two halves of the sandbox. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "main/sandbox.h"

/* sandbox_files.c: the version of Landlock that holds from now on; 0: none, errno tells why. */
int sandbox_files(struct sandbox *s);
/* Notes a place, with its links followed; what is not there is not let in. */
void sandbox_place_add(struct sandbox *s, const char *path, enum conf_access access);

/* sandbox_calls.c */
enum sandbox_calls_for { CALLS_OF_WORKER, CALLS_OF_SUPERVISOR };
bool sandbox_calls(enum sandbox_calls_for whom, bool only_log); /* false: errno */
