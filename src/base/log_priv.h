/* log_priv.h - the three parts of the log: rings (log_ring.c) carry lines from one thread each,
 * sinks (log_sink.c) put them where they belong, log.c drives both from the writer thread.
 *
 * Functions of log_sink_* here are for whoever holds the right to write: log.c's writer lock. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/log.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    LOG_RING_MIN_BYTES = 16384,
    LOG_SINKS_MAX = 64,
    LOG_BATCH_BYTES = 65536, /* gathered per sink before a write(2) */
    LOG_TEXT_MAX = 2048,     /* bytes of one log_write() line */
};

/* What stands before every line in a ring. */
struct log_head {
    uint32_t len; /* bytes of the line, its newline included */
    int16_t sink; /* LOG_SKIP: nothing here, go on at the start of the ring */
    uint8_t level;
};

enum { LOG_SKIP = -1 };

struct log_ring_shared {
    /* constant, or changed under log.c's list lock */
    char *bytes;
    uint64_t size; /* a power of two */
    struct log_ring_shared *next;
    char name[24];
    /* the thread's side */
    char apart1[64];    /* no line of the CPU's cache in common */
    uint64_t head;      /* atomic; bytes published since the start */
    uint64_t tail_seen; /* what the thread last knew of `tail` */
    uint64_t start;     /* where the reserved line begins */
    uint64_t dropped;   /* atomic; lines */
    bool ended;         /* atomic; the thread is gone, the writer frees the ring */
    /* the writer's side */
    char apart2[64];
    uint64_t tail; /* atomic; bytes consumed since the start */
    uint64_t dropped_reported;
};

struct log_ring_shared *log_ring_new(const char *name, size_t bytes);
void log_ring_free(struct log_ring_shared *r);
char *log_ring_reserve(struct log_ring_shared *r, size_t cap); /* NULL: no room, counted */
void log_ring_publish(struct log_ring_shared *r, int sink, enum log_level level, size_t len);
bool log_ring_half_full(struct log_ring_shared *r); /* the thread asks */
bool log_ring_empty(const struct log_ring_shared *r);
/* The writer's side: the oldest line, newline included, or false; consume it before the next. */
bool log_ring_peek(struct log_ring_shared *r, struct log_head *head, struct slice *line);
void log_ring_consume(struct log_ring_shared *r, const struct log_head *head);

/* A pass over all rings: begin reopens files when asked, lines are emitted, end flushes every
 * sink and closes those that were dropped before begin. */
void log_sinks_pass_begin(void);
void log_sinks_pass_end(void);
void log_sinks_flush(void);
void log_sink_emit(int sink, enum log_level level, struct slice line); /* with its newline */
bool log_sinks_pending(void); /* a reopen or a close waits for the next pass */
bool log_sink_is_syslog(int sink);

/* log.c, for the sinks: wakes the writer, or makes the pass here when there is none. */
void log_writer_poke(void);
void log_dropped_add(uint64_t lines);
/* An error-log line straight to its sink, from inside a pass. */
void log_write_in_pass(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
