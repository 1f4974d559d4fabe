/* log.h - log lines leave a thread through its ring; one writer thread puts them on disk.
 *
 * A worker never blocks on a slow disk: when its ring is full the line is dropped and counted, and
 * the writer reports the number once it gets through. Sinks (stderr, stdout, a file, syslog) are
 * opened by the control plane and named by a small id that lines carry. Rings are single-producer
 * single-consumer; struct log_ring_shared is listed in docs/THREADS.md. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdarg.h>
#include <stdint.h>

struct log_ring_shared;

enum log_target { LOG_TO_STDERR, LOG_TO_STDOUT, LOG_TO_FILE, LOG_TO_SYSLOG };

/* Opens a sink or takes a count on the one that has the same target and path (so a reload keeps
 * it). Returns its id (>= 0), or -1 with errno set. Main thread only. Sink 0 is stderr, open from
 * the start. */
int log_sink_open(enum log_target target, const char *path);
void log_sink_drop(int sink); /* closed once the lines queued so far are written; main thread */
/* Files that are open become the user's, who will have to open them anew (before log_start()). A
 * file that can not be given stays as it is. */
void log_sinks_give(unsigned uid, unsigned gid);
void log_sinks_reopen(void); /* SIGUSR1: the writer reopens every file before its next line */

/* Starts the writer thread; before it, lines go out directly (SIGPIPE too). False: errno. */
bool log_start(void);
void log_stop(void); /* drains every ring, ends the writer; lines go out directly again */

/* One ring per thread: the calling thread's lines go there from now on, until log_thread_end(). */
void log_thread_begin(const char *name, size_t ring_bytes);
void log_thread_end(void);

/* Queues one line for `sink`; adds the newline. False when it was dropped. */
bool log_line(int sink, struct slice line);
/* Reserves up to `cap` bytes in the ring to format a line in place; NULL when it would be dropped.
 * log_line_commit() publishes the first `len` bytes of it (and adds a newline). A line that is
 * not committed is given up by the next begin. A line may take up to half of the ring. */
char *log_line_begin(int sink, size_t cap);
void log_line_commit(size_t len);

uint64_t log_dropped_count(void); /* over all rings since the start */

/* The error log: text lines "TIME LEVEL text" to the sink and from the level that
 * log_error_set() gave. Below proxy/ nobody logs. */
void log_error_set(int sink, enum log_level min_level);
enum log_level log_error_level(void);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum err log_level_parse(struct slice word, enum log_level *out) MUST_CHECK;
const char *log_level_name(enum log_level level);
