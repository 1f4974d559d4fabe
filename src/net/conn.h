/* conn.h - one stream connection: bytes in as spans, bytes out as one gathered send per tick.
 *
 * Owner: the worker; freed by the reaper once closed and no op is armed. Whoever uses it (an h1
 * session, a pool, a tunnel) sets `user`; its callbacks only record and wake, and are never called
 * from inside conn_write(), conn_close() or each other.
 *
 * Receiving: conn_recv() asks for one more piece; each piece arrives by on_data(), which owns the
 * span. Nothing is received without being asked for. Sending: conn_write() queues spans (takes
 * over their counts); all that is queued leaves in one send at the end of the tick.
 * conn_out_bytes() tells how much the kernel has not taken; above CONN_OUT_HIGH_BYTES a producer
 * should wait for on_room(), which comes once below CONN_OUT_LOW_BYTES.
 *
 * A TLS connection is the same struct with other conn_ops and a layer (net/conn_layer.h, src/tls).
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"
#include "net/addr.h"

enum { CONN_OUT_HIGH_BYTES = 256 * 1024, CONN_OUT_LOW_BYTES = 64 * 1024, CONN_OUT_SPANS = 64 };

struct conn;
struct conn_ops; /* net/conn_layer.h */
struct conn_out; /* the output ring; taken only while there is output */

struct conn_user_ops {
    /* After conn_connect(): ERR_OK or why not (then conn_abort() it). May be NULL otherwise. */
    void (*on_open)(struct conn *c, enum err e);
    void (*on_data)(struct conn *c, struct span s);
    void (*on_eof)(struct conn *c); /* peer sends no more; writing may go on */
    void (*on_room)(struct conn *c);
    /* ERR_CLIENT_RESET: reset or write failed. Once; it is dead, conn_abort() it. */
    void (*on_error)(struct conn *c, enum err e);
    /* A write failed: nothing is sent any more, but what the peer sent before it went away still
     * comes, when asked for, and then on_eof() or on_error(). NULL: on_error() at once. */
    void (*on_send_error)(struct conn *c);
};

/* What a client's connection is to whoever counts them (proxy/guests.h). Owned by that one. */
struct conn_guest {
    void (*freed)(struct conn_guest *g); /* the connection was freed, its descriptor is closed */
    void *session;                       /* struct session_link that has it now; NULL: none */
    uint64_t bytes_in;
};

struct conn {
    struct io_sock sock;
    struct io_op recv_op, send_op;
    union {
        struct flush flush; /* while open */
        struct dead dead;   /* CONN_CLOSED */
    };
    struct loop *loop;
    const struct conn_ops *ops; /* plain or TLS */
    void *layer;                /* what TLS keeps; NULL: plain */
    const struct conn_user_ops *user_ops;
    void *user;                   /* the session, pool entry or tunnel that has it now */
    struct conn_out *out;         /* NULL: nothing queued */
    struct conn_closing *closing; /* while CONN_CLOSING: its deadline */
    struct conn_guest *guest;     /* NULL: nobody counts it */
    uint64_t bytes_out;
    struct addr_packed remote; /* nothing until asked for */
    uint32_t use_count;        /* exchanges that went over it; the pool's and the session's */
    uint32_t born_s;           /* by the loop's clock */
    uint8_t state;             /* enum conn_state */
    uint8_t err;               /* enum err: why it is dead; nothing is sent or received any more */
    bool recv_wanted : 1, eof_seen : 1, shutdown_wanted : 1, room_wanted : 1, big_reads : 1;
    bool send_failed : 1;  /* only receiving goes on */
    bool fin_first : 1;    /* the peer had ended its side before it refused what was sent */
    bool layer_unsent : 1; /* the layer has bytes of its own to send */
};

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING, CONN_CLOSED };

/* Adopts an accepted descriptor. NULL: no memory, or the kernel refused; the descriptor is closed
 * then. */
struct conn *conn_accept(struct loop *l, int fd, const struct conn_user_ops *ops, void *user);
/* Starts to connect; on_open() tells how it went. NULL: no memory. */
struct conn *conn_connect(struct loop *l, const struct addr *to, const struct conn_user_ops *ops,
                          void *user);
/* Hands the connection to another user between two callbacks. */
void conn_set_user(struct conn *c, const struct conn_user_ops *ops, void *user);

/* A client-side session has it from now on, or no longer. */
static inline void conn_set_session(struct conn *c, void *session)
{
    if (c->guest)
        c->guest->session = session;
}
static inline void conn_clear_session(struct conn *c, const void *session)
{
    if (c->guest && c->guest->session == session)
        c->guest->session = NULL;
}

void conn_recv(struct conn *c); /* asks for one piece; no effect when asked already */
/* As conn_recv(), but the piece, of at most `max` bytes, stays in the kernel: its span is one of
 * *pipe (io/pipe.h), which is taken when it is NULL and belongs to the caller. Nobody may look at
 * the bytes, and only a connection for which conn_takes_pipes() may be given them. False: not
 * possible here or now; nothing was asked for. */
bool conn_recv_pipe(struct conn *c, struct buf **pipe, uint64_t max);
/* The next piece is small: a head, whose body is better received by itself. */
void conn_expect_small(struct conn *c);
bool conn_takes_pipes(const struct conn *c);
bool conn_recv_armed(const struct conn *c);
int64_t conn_age_ms(const struct conn *c); /* in whole seconds */

/* Takes over the span. Bytes whose buf is NULL must live until they are sent. ERR_OVER_LIMIT when
 * the ring is full (wait for on_room()), ERR_CLIENT_RESET when it is dead, ERR_NO_MEMORY; the span
 * is still the caller's then. */
enum err conn_write(struct conn *c, struct span s) MUST_CHECK;
size_t conn_out_bytes(const struct conn *c);
int conn_out_room(const struct conn *c); /* spans that fit */
void conn_want_room(struct conn *c);     /* call on_room() once, when below the low mark */

void conn_shutdown(struct conn *c); /* end of output, after what is queued */
/* Closes after what is queued was sent; no callbacks come after this call. By the deadline at the
 * latest, unless the peer takes bytes: each time it does the deadline moves on, by 10 ms for a
 * byte, so that a slow reader gets all of its answer. */
void conn_close_by(struct conn *c, int64_t deadline_ms);
void conn_abort(struct conn *c);     /* closes now; RST when unsent or unread bytes are lost */
void conn_reset(struct conn *c);     /* closes now by RST: what was sent must not look complete */
void conn_set_reset(struct conn *c); /* the same for whoever closes it later */
/* Lingering close: sends what is queued, ends output, then reads and drops until EOF, at most
 * until the deadline (which moves as above), so that a peer still sending gets its answer (RFC
 * 9112 9.6). */
void conn_linger(struct conn *c, int64_t deadline_ms);

/* The addresses of its ends; len 0: unknown. The kernel is asked for the remote one once, for the
 * local one every time. */
void conn_remote(struct conn *c, struct addr *to);
void conn_local(struct conn *c, struct addr *to);
