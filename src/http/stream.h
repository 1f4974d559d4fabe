/* stream.h - one request and its answer on a connection of any protocol, as the exchange sees it.
 *
 * Both sides are streams: the client side's receives a request and sends responses, the origin
 * side's sends a request and receives responses. Redirects, error pages and the admin API are local
 * origins with the same ops. A stream belongs to its session; whoever uses it says goodbye with
 * stream_detach() and may not touch it afterwards.
 *
 * A stream never calls its user. It records (fields below), then wakes `task`. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include "http/body.h"
#include "http/message.h"

struct conn;
struct loop;
struct stream;

enum stream_head {
    STREAM_HEAD_NONE,    /* not here yet */
    STREAM_HEAD_INTERIM, /* origin side: a 1xx is in `head`; take it, then ops->next_head() */
    STREAM_HEAD_FINAL,   /* the request, or the final response, is in `head` */
};

/* What a server said for the error log, beside its answer (FastCGI's STDERR). */
struct stream_said {
    struct slice text; /* as it came, its beginning */
    uint64_t bytes;    /* of all of it */
    uint32_t status;   /* with which the application ended; 0: well */
};

struct stream_ops {
    /* Queues a head. The client side takes 1xx, 101 and final responses, the origin side the
     * request. `m->length` says what body follows; the engine makes the framing of it. */
    enum err (*send_head)(struct stream *s, const struct message *m);
    /* Moves what it can from the body to the connection; when the body is done, ends the message
     * (with trailers). ERR_OK also when the connection is full: the task is woken on room. The
     * body's own error once it broke off and nothing is queued any more; the message is not ended
     * then. */
    enum err (*send_body)(struct stream *s, struct body *b);
    /* Origin side, after STREAM_HEAD_INTERIM: go on to the next head. */
    void (*next_head)(struct stream *s);
    /* After a 101 was sent (client side) or received (origin side): from now on both directions
     * carry raw bytes; an ended body means half-close. */
    void (*tunnel)(struct stream *s);
    /* Origin side: the user has moved its head and body, with what is in them, elsewhere. */
    void (*moved)(struct stream *s, struct message *head, struct body *body);
    /* The user is done with it. Whole messages in both directions keep the connection; anything
     * else aborts what is left of this stream visibly (never as a complete message). */
    void (*detach)(struct stream *s);
};

struct stream {
    const struct stream_ops *ops;
    struct loop *loop;
    struct conn *conn;    /* NULL for local origins */
    struct task *task;    /* woken when any field below changes or there is room to send */
    struct arena *arena;  /* where received heads go */
    struct message *head; /* filled in by the engine */
    struct body *body;    /* received body: this stream is its producer */
    uint8_t head_state;   /* enum stream_head */
    bool sent_all;        /* own message is out whole, handed to the connection */
    bool blocked;         /* the connection takes no more for now */
    bool reusable;        /* origin side, after both ends: the connection may serve again */
    bool first_byte;      /* origin side: anything was received */
    bool unprocessed;     /* origin side, with err: the server says that it did nothing of it */
    bool takes_pipes;     /* what it is given to send may lie in a pipe (io/pipe.h) */
    bool windowed;        /* shares its connection: sent_bytes tells whether its peer takes any, */
    bool closing;    /* client side: the last exchange of its connection. The user may set it, too,
                      * before the final head: the connection is closed after the answer */
    bool peer_ended; /* client side: the client ended its side after a whole request; it may
                      * still read, or be gone (a close looks the same) */
    bool stalled;    /* client side, set by the user before it detaches: given up because the peer
                      * took nothing for too long */
    enum err err;    /* dead: nothing more comes or goes */
    uint64_t sent_bytes, received_bytes; /* heads and framing included */
    const struct stream_said *said;      /* origin side; NULL: nothing. In the arena */
    const uint64_t *shared_bytes; /* or these, when it waits for what it shares with others */
    int64_t began_ms;             /* client side: first byte of the request */
};

static inline void stream_detach(struct stream *s)
{
    s->ops->detach(s);
}

/* Limits and timeouts that a session obeys before an exchange exists. */
struct stream_limits {
    uint32_t head_bytes;      /* request line and fields together; 32 KB */
    uint32_t line_bytes;      /* request line; 16 KB */
    uint32_t header_count;    /* 100 */
    uint32_t trailer_bytes;   /* 8 KB */
    uint32_t chunk_ext_bytes; /* per chunk; 1 KB */
    int64_t header_ms;        /* first byte to whole head */
    int64_t keepalive_ms;     /* between two requests; also from accept to the first byte */
    int64_t linger_ms;        /* lingering close */
    uint32_t requests_max;    /* per connection; 0: no limit */
    int64_t age_ms; /* of a connection: the request that finds it older is its last; 0: no limit */
};

/* What a client-side session calls upward, handed down by main's wiring; embedded in the worker. */
struct stream_acceptor {
    struct list sessions; /* struct session_link of every open session */
    bool draining;        /* no further requests on any connection */
    /* A request has begun: binds s->task, arena, head, body (an exchange). `listener` is what the
     * session was made with. Not ERR_OK: the session answers 503 by itself and closes. */
    enum err (*open)(struct stream_acceptor *a, struct stream *s, void *listener);
    const struct stream_limits *(*limits)(struct stream_acceptor *a, void *listener);
    /* The listener is no longer there: its connections serve what comes once more, as their last.
     * NULL: never. */
    bool (*leaving)(struct stream_acceptor *a, void *listener);
    /* The first bytes on a plain connection are the preface of HTTP/2 (RFC 9113 3.3), `first` of
     * them and whatever followed: it takes over both. False: no; they are HTTP/1's. NULL: never. */
    bool (*take_preface)(struct stream_acceptor *a, struct conn *c, void *listener,
                         struct span first);
};

struct session_link;
struct session_ops {
    void (*drain)(struct session_link *s); /* close when idle; else after the current request */
    /* Tell the client to go, without closing anything under it. NULL: the next answer says it. */
    void (*leave)(struct session_link *s);
    void (*abort)(struct session_link *s); /* close now */
    /* Close now, idle or not: weir runs short, and this one was chosen (proxy/guests.h). */
    void (*evict)(struct session_link *s);
    bool (*idle)(const struct session_link *s); /* no request is under way; drain() closes it */
};

/* Is the next request of such a connection its last? */
static inline bool stream_acceptor_leaves(struct stream_acceptor *a, void *listener)
{
    return a->draining || (a->leaving && a->leaving(a, listener));
}

/* Embedded in every client-side session. */
struct session_link {
    struct list link;
    const struct session_ops *ops;
    struct conn *conn;
    void *listener; /* what the session was made with: no session has it, it may be freed */
};

/* An origin-side protocol engine, handed to proxy/ by main's wiring. */
struct origin_engine {
    const char *name; /* "h1" */
    /* A stream on an open connection; all borrowed until detach. NULL: out of budget. Memory comes
     * from `a`. */
    struct stream *(*open)(struct conn *c, struct task *t, struct arena *a, struct message *head,
                           struct body *body, const struct stream_limits *limits);
};
