/* h1_client_priv.h - the client-side session, shared by the files that read requests, send
 * responses and run its life.
 *
 * Most connections are idle most of the time. What such a one needs is `struct h1_session`; all
 * that requests need is `struct h1_client`, which the session takes with the first byte of one and
 * gives back when it is idle again. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h1/h1_io_priv.h"

enum { DRAIN_MAX_BYTES = 65536 }; /* of a request body that nobody wants, to keep the connection */

enum reading {
    READ_HEAD, /* no stream is open */
    READ_BODY,
    READ_DONE,   /* the request is whole; bytes that come belong to the next one */
    READ_DRAIN,  /* no stream is open; the rest of the last one's body is dropped */
    READ_FAILED, /* nothing that comes can be understood any more */
};

struct h1_session {
    struct session_link link;
    struct stream_acceptor *acceptor;
    struct h1_client *client; /* NULL: idle */
    union {
        struct timer timer; /* keepalive or header; while a stream is open it means nothing */
        struct dead dead;   /* once ended */
    };
};

struct h1_client {
    struct stream stream;
    struct h1_session *session;
    struct conn *conn; /* the session's */
    struct h1_in in;
    struct h1_out out;
    struct buf *head_buf; /* the slices of the stream's head point into it */
    uint8_t reading;      /* enum reading */
    bool open;            /* the stream has a user */
    bool lost;            /* the connection broke: nothing can be sent */
    bool last;            /* no request after this one */
    bool last_said;       /* by the client: it sends nothing more */
    bool head_sent;       /* the final one */
    bool tunnel;
    bool waiting; /* for room in the connection before the next request */
    uint64_t drained_bytes;
    struct task pump; /* goes on with bytes in hand, outside of anybody's call */
};

static inline struct h1_client *of_stream(struct stream *s)
{
    return CONTAINER_OF(s, struct h1_client, stream);
}

static inline struct loop *loop_of(const struct h1_client *h)
{
    return h->conn->loop;
}

static inline const struct stream_limits *limits_of(const struct h1_client *h)
{
    struct stream_acceptor *a = h->session->acceptor;
    return a->limits(a, h->session->link.listener);
}

static inline void set_timer(struct h1_client *h, int64_t at_ms)
{
    timer_set(&loop_of(h)->timers, &h->session->timer, at_ms);
}

static inline void wake_user(struct h1_client *h)
{
    task_wake(&loop_of(h)->tasks, h->stream.task);
}

static inline void count(const struct h1_client *h, enum metric m, int64_t n)
{
    counter_add(loop_of(h)->counters, m, n);
}

extern const struct stream_ops h1_client_ops; /* h1_client_reply.c */

/* ---- h1_client.c: life ---- */

/* Each tells the connection to end in its way and hands the session to the reaper. The client is
 * gone when they return. */
void h1_client_close(struct h1_client *h);
void h1_client_linger(struct h1_client *h);
void h1_client_abort(struct h1_client *h);
void h1_client_end(struct h1_client *h); /* the connection was told already */
/* After a whole exchange: begins with the next request when it is in hand; else the session is idle
 * and the client is gone. */
void h1_client_await(struct h1_client *h);

/* ---- h1_client_read.c: requests ---- */

void h1_client_read_head(struct h1_client *h); /* there are bytes in hand */
void h1_client_read_body(struct h1_client *h);
/* Begins the next request that is in hand, once the connection has room for its answer. */
void h1_client_next(struct h1_client *h);
/* Opens a stream for a head that can not be read, so that the error is answered and logged. */
void h1_client_refuse_head(struct h1_client *h, enum err e);
/* The request will not become whole. Its body says so; it may still be answered. */
void h1_client_fail_reading(struct h1_client *h, enum err e);
void h1_client_bind_body(struct h1_client *h);
/* Drops the rest of a body whose answer is out, so that the connection can go on. */
void h1_client_begin_drain(struct h1_client *h);
void h1_client_drain(struct h1_client *h);
