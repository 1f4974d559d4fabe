/* reader.h - reads a configuration for the supervisor, in a process of its own.
 *
 * The supervisor may open files that its worker may not, but it must not fall over a mistake in the
 * code that understands them. So a forked child loads the configuration once, puts every file that
 * this took into a bundle, with the addresses that it wants, and ends. What is wrong with the
 * configuration is then told by the worker, which loads it from the bundle. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "main/process.h"
#include "main/sockets.h"
#include <sys/types.h>

struct reader {
    pid_t pid;     /* 0: none runs */
    int pipe;      /* where the bundle's descriptor comes from */
    int64_t by_ms; /* when it is given up */
};

enum { READER_MS = 30000 };

/* False: errno. */
bool reader_start(struct reader *r, const struct process_options *o, const struct addr *control,
                  int64_t now_ms);
/* The child ended as it should: the bundle, the caller's now; -1: it left none. */
int reader_take(struct reader *r);
void reader_cancel(struct reader *r); /* without waiting: it is reaped like any child */
