/* process.h - a worker process: from a configuration to listeners, threads, and the end. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"

/* What the supervisor was asked to run. */
struct process_options {
    const char *path;   /* of the configuration, or the name of `text` */
    struct slice text;  /* .at NULL: the file */
    const char *hint;   /* printed when an address is taken; may be NULL */
    const char *banner; /* printed once everything listens; may be NULL */
    char *const *argv;  /* of the whole command, for an upgrade */
};

/* The worker process (spawn.h): serves until the supervisor tells it to stop; an enum exit_code. */
int process_run(void);
