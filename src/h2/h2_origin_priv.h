/* h2_origin_priv.h - the origin-side session and its streams, shared by the files that run their
 * lives, read and send. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_core.h"
#include "h2/h2_gather.h"
#include "h2/h2_intake.h"
#include "h2/h2_origin.h"
#include "h2/h2_outlet.h"

struct h2_session_origin {
    struct mux mux;
    struct h2_gather out;
    struct list streams; /* struct h2_origin.link, all that have a user */
    struct list waiting; /* struct h2_origin.turn, in order: for the connection to take more */
    int64_t waiting_since_ms;
    struct span rest;    /* received, not read yet */
    uint64_t read_count; /* pieces received */
    uint32_t stream_count;
    bool paused;  /* not reading: the server does not take what it has */
    bool lost;    /* the connection broke */
    bool failed;  /* by us: GOAWAY is on its way, nothing else is sent */
    bool probing; /* a PING is out */
    bool over;
    struct task pump; /* goes on reading, or ends, outside of anybody's call */
    union {
        struct timer timer; /* for SETTINGS, then for the answer to a PING */
        struct dead dead;   /* once over */
    };
    struct h2_core core;
};

/* A head that came before the one in front of it was taken. */
struct h2_origin_head {
    struct h2_origin_head *next;
    struct message message;
};

/* Lives in the exchange's arena. */
struct h2_origin {
    struct stream stream;
    struct h2_stream flow; /* id 0: nothing was sent yet */
    struct h2_session_origin *session;
    struct list link, turn;
    struct task pump; /* the response's body has room again */
    struct h2_intake in;
    struct h2_origin_head *heads, **heads_tail; /* waiting */
    const struct message *asked;                /* an upgrade, until its head came: the user's */
    uint64_t left;                              /* of the request's body */
    uint64_t read_count;                        /* the session's when the head was sent */
    uint8_t method;                             /* enum method, of the request */
    uint8_t head_count;                         /* interim ones */
    bool final;                                 /* the final head has come */
    bool complete;                              /* the response is whole */
    bool counted;                               /* `left` counts */
    bool deferred;               /* `asked` waits for SETTINGS: may it be an extended CONNECT? */
    bool connect;                /* it is one (RFC 8441) */
    struct stream_limits limits; /* a copy: snapshots come and go */
};

static inline struct h2_session_origin *h2_of_mux(struct mux *m)
{
    return CONTAINER_OF(m, struct h2_session_origin, mux);
}

static inline struct h2_origin *h2_of_stream(struct stream *s)
{
    return CONTAINER_OF(s, struct h2_origin, stream);
}

static inline struct h2_origin *h2_of_flow(struct h2_stream *s)
{
    return CONTAINER_OF(s, struct h2_origin, flow);
}

static inline struct loop *h2_loop_of(const struct h2_session_origin *s)
{
    return s->mux.conn->loop;
}

static inline void h2_wake_user(struct h2_origin *o)
{
    task_wake(&h2_loop_of(o->session)->tasks, o->stream.task);
}

/* ---- h2_origin.c: life of the session ---- */

/* The connection is over for `e`, and all its streams. */
void h2_origin_fail(struct h2_session_origin *s, enum err e, enum h2_code code);
/* The server processes no stream above `last_id` (RFC 9113 6.8). */
void h2_origin_going(struct h2_session_origin *s, uint32_t last_id);
void h2_origin_answered(struct h2_session_origin *s); /* our PING */
/* What the core knows by now, for whoever spreads streams. */
void h2_origin_tell(struct h2_session_origin *s);
/* The stream is over for `e`; its user is told. */
void h2_origin_break(struct h2_origin *o, enum err e);
/* The same for a stream of which the server has seen nothing, as it says. */
void h2_origin_unprocessed(struct h2_origin *o);

/* ---- h2_origin_read.c: what the server sends ---- */

void h2_origin_read(struct h2_session_origin *s);
void h2_origin_bind_body(struct h2_origin *o);
void h2_origin_pump(struct task *t);

/* ---- h2_origin_send.c: what it is sent ---- */

extern const struct stream_ops h2_origin_ops;
/* SETTINGS have come: what waited for them goes. */
void h2_origin_settled(struct h2_session_origin *s);
void h2_origin_wake_waiting(struct h2_session_origin *s);
