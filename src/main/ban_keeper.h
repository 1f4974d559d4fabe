/* ban_keeper.h - the supervisor's list of bans: what the next worker, the next binary and the next
 * start begin with.
 *
 * It is limit/bans.h in the supervisor's own memory. The worker tells changes; a child process
 * writes the list to a file of the state folder now and then, so that nothing here waits for a
 * disk. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "limit/bans_text.h"
#include <stdbool.h>
#include <sys/types.h>

struct ban_keeper {
    const char *config_path; /* NULL: no file is kept */
    int64_t write_at_ms;     /* 0: the file is as the list */
    pid_t writer;            /* the child; 0: none */
    bool failed;             /* that it could not be written has been told */
};

/* `config_path` is borrowed and names the file; NULL: none is kept. */
void ban_keeper_init(struct ban_keeper *k, const char *config_path);
void ban_keeper_load(struct ban_keeper *k); /* the file of the last run */
/* Instead: the list is the one of the supervisor before, whatever it left in the file. */
void ban_keeper_inherited(struct ban_keeper *k);
void ban_keeper_take(struct ban_keeper *k, struct slice lines); /* changes */
void ban_keeper_take_all(struct ban_keeper *k, int fd);         /* of the supervisor before */
/* All of them, when there are any. False: the other end is gone. */
bool ban_keeper_send(int channel);
/* Starts the writer when it is due. */
void ban_keeper_run(struct ban_keeper *k, int64_t now_ms);
void ban_keeper_written(struct ban_keeper *k, int status); /* the writer has ended */
/* Writes what is left, and waits for it. */
void ban_keeper_end(struct ban_keeper *k);
