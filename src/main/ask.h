/* ask.h - a question of a command to the weir that runs. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "main/command.h"
#include "main/control.h"

/* The address of the running weir's control socket; else an exit code other than EXIT_OK. */
int ask_find(const struct args *a, struct addr *out);
/* A value for the query of a path: everything but letters and digits is escaped. */
void ask_add_escaped(struct text *path, struct slice value);
/* One request to the running weir. Not EXIT_OK: it said why, on stderr. The answer's body is the
 * caller's to release. */
int ask(const struct args *a, const char *method, const char *path, struct control_answer *out);
/* The same by POST. Somebody else's change may be on its way to the workers (409): tries again
 * then, for some seconds. */
int ask_patiently(const struct args *a, const char *path, struct control_answer *out);
/* Orders something by such a POST. Not EXIT_OK: the answer's status is not `due`, and what the weir
 * that runs says about it is on stderr, after "weir: " and `refused`. */
int ask_to(const struct args *a, const char *path, int due, const char *refused);
/* What was accepted is installed by all workers a moment later: waits for that. */
void ask_until_installed(const struct args *a);
