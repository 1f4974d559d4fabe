/* h2_client_priv.h - the client-side session and its streams, shared by the files that read, send
 * and run their lives. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2.h"
#include "h2/h2_core.h"
#include "h2/h2_fields.h"
#include "h2/h2_gather.h"
#include "h2/h2_intake.h"
#include "h2/h2_outlet.h"

enum session_end {
    END_NOT,
    END_TOLD, /* GOAWAY without a number is out, and a PING: what is on its way is still served */
    END_LAST, /* GOAWAY with the last stream: the connection ends with that */
};

struct h2_session {
    struct session_link link;
    struct stream_acceptor *acceptor;
    struct list streams;  /* struct h2_client.link, all that have a user */
    struct list rests;    /* struct h2_client.link: answered, and still sending */
    struct list waiting;  /* struct h2_client.turn, for the connection; by urgency, then in order */
    struct span rest;     /* received, not read yet */
    struct h2_gather out; /* `lost`: the connection broke */
    uint64_t data_bytes;  /* sent of bodies, by all streams */
    uint32_t stream_count; /* in `streams` */
    uint8_t end;           /* enum session_end */
    bool paused;           /* not reading: the client does not take what it has */
    bool failed;           /* by us, GOAWAY is on its way: nothing else is sent */
    bool eof, over;
    struct task pump; /* goes on reading, outside of anybody's call */
    union {
        struct timer timer; /* idle, or draining */
        struct dead dead;   /* once over */
    };
    struct h2_core core;
};

struct h2_client {
    struct stream stream;
    struct h2_stream flow;
    struct h2_session *session;
    struct list link, turn;
    struct task pump; /* its body has room again */
    struct h2_intake in;
    uint64_t left;  /* of the answer, when its length is known */
    bool counted;   /* `left` counts */
    bool malformed; /* the answer ends by PROTOCOL_ERROR (8.1.1) */
    bool connect;   /* extended CONNECT (RFC 8441) */
    bool tunnel, head_sent;
    bool waits_for_nothing; /* no Expect */
    bool rest;              /* its user is gone, see h2_client_rest.c */
    struct timer rest_timer;
};

static inline struct h2_client *of_stream(struct stream *s)
{
    return CONTAINER_OF(s, struct h2_client, stream);
}

static inline struct h2_client *of_flow(struct h2_stream *s)
{
    return CONTAINER_OF(s, struct h2_client, flow);
}

static inline struct loop *loop_of(const struct h2_session *s)
{
    return s->link.conn->loop;
}

static inline const struct stream_limits *limits_of(const struct h2_session *s)
{
    return s->acceptor->limits(s->acceptor, s->link.listener);
}

static inline void count(const struct h2_session *s, enum metric m, int64_t n)
{
    counter_add(loop_of(s)->counters, m, n);
}

static inline void wake_user(struct h2_client *h)
{
    task_wake(&loop_of(h->session)->tasks, h->stream.task);
}

/* ---- h2_client.c: life of the session ---- */

/* The connection is over for `e`: its streams end, and with the last one it closes. */
void h2_session_fail(struct h2_session *s, enum err e, enum h2_code code);
/* For what hpack_is_fatal(). */
void h2_session_fail_block(struct h2_session *s, enum err e);
void h2_session_drain(struct h2_session *s);
void h2_session_drain_end(struct h2_session *s);
void h2_session_stream_gone(struct h2_session *s); /* after a detach */

/* ---- h2_client_read.c: what the client sends ---- */

void h2_session_read(struct h2_session *s);
void h2_client_bind_body(struct h2_client *h);
void h2_client_body_pump(struct task *t);
/* A stream for which a user is found, with nothing of it read yet; NULL: none. */
struct h2_client *h2_client_open(struct h2_session *s);
/* It goes no further; its user is told. */
void h2_client_break(struct h2_client *h, enum err e);

/* ---- h2_client_reply.c: what the client gets ---- */

extern const struct stream_ops h2_client_ops;
void h2_session_wake_next(struct h2_session *s); /* of those that wait for the connection */

/* ---- h2_client_rest.c: requests that outlive their answers ---- */

bool h2_client_rest_begin(struct h2_client *h); /* at detach; false: not needed, or not wanted */
void h2_client_rest_event(struct h2_client *h, const struct h2_event *ev);
void h2_session_rests_drop(struct h2_session *s);
void h2_client_free(struct h2_client *h); /* its stream is over */
