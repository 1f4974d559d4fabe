/* supervisor.h - `weir run`: the process that stays.
 *
 * It holds the listening sockets and the configuration in force, and keeps a worker process alive
 * that does all the work. It parses nothing that clients or servers send. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "main/process.h"

/* Serves until it is told to stop; an enum exit_code. */
int supervisor_run(const struct process_options *o);
