/* process.h - a running weir: from a configuration to listeners, workers, signals, and the end. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"

struct process_options {
    const char *path;   /* of the configuration, or the name of `text` */
    struct slice text;  /* .at NULL: the file */
    const char *hint;   /* printed when an address is taken; may be NULL */
    const char *banner; /* printed once everything listens; may be NULL */
};

/* Serves until it is told to stop; an enum exit_code. */
int process_run(const struct process_options *o);
