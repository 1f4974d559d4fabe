/* spawn.h - starts weir again as another process, with a channel to it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#define SPAWN_WORKER_WORD "(worker)"      /* argv[1] of a worker process */
#define SPAWN_TAKEOVER    "WEIR_TAKEOVER" /* set for a supervisor that takes over from another */

struct spawn {
    const char *path; /* of the program */
    char *const *argv;
    bool takeover; /* with SPAWN_TAKEOVER in its environment, and all else as we have it */
};

/* The child has the other end of *channel as HANDOVER_CHANNEL, all signals unblocked, and no other
 * descriptor of ours. A program that cannot be executed says so over the channel (HANDOVER_REPORT)
 * and ends. 0: errno. */
pid_t spawn_start(const struct spawn *s, int *channel);

/* The path by which this program was started, absolute, for a later start of what is there then;
 * heap. */
char *spawn_own_path(void);
/* The program that runs, whatever stands at its path by now. */
const char *spawn_same_program(void);
