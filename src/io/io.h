/* io.h - completion-style I/O for one thread; backends behind one face.
 *
 * An operation starts with an io_op embedded in its owner and ends with exactly one done(op, res).
 *   1. done() runs only inside io_tick() and io_settle(), never inside io_recv(), io_send() or
 * io_cancel().
 *   2. The owner of an armed op stays alive until done() has run; io_cancel() only asks for an
 *      early end (-ECANCELED, or the true result when that came first).
 *   3. A received buffer belongs to the callee of done(). An idle connection holds no buffer.
 *   4. One recv and one send may be armed per socket at a time.
 * Nothing here may be called from another thread. Only this folder speaks negative errno. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct loop;
struct io_op;

/* res: bytes moved (0 = end of stream for recv), a descriptor for accept, 0 for connect and poll,
 * or -errno. A recv that finds the buffer pool spent stays armed: it waits in the loop's starved
 * list and is tried again when buffers came back. */
typedef void io_done(struct io_op *op, int res);

enum io_kind {
    IO_RECV,
    IO_SEND,
    IO_ACCEPT,
    IO_CONNECT,
    IO_POLL_IN,
    IO_POLL_OUT,
    IO_RECV_PIPE,
    IO_SEND_PIPE,
    IO_SEND_FILE
};

struct io_op {
    io_done *done; /* set once by the owner before first use */
    union {
        struct io_op *next;       /* among the loop's results */
        struct list starved_link; /* IO_RECV while `starved` */
    };
    struct io_sock *sock;
    union {
        struct buf *buf;         /* IO_RECV: the filled buffer, from done() on the callee's;
                                  * IO_RECV_PIPE, IO_SEND_PIPE: the pipe; IO_SEND_FILE */
        const struct iovec *iov; /* IO_SEND: array and bytes stay valid until done() */
    };
    int res;
    uint16_t iov_count;
    uint8_t kind;         /* enum io_kind */
    uint8_t buf_size : 2; /* IO_RECV: enum buf_size wished for */
    bool armed : 1;       /* from io_*() until done() is called */
    bool canceled : 1;
    bool queued : 1;  /* result known, done() not yet run */
    bool starved : 1; /* IO_RECV: waits in loop->starved for a buffer */
    bool more : 1;    /* IO_SEND: set by the owner; more follows at once: a segment may wait */
};
_Static_assert(sizeof(struct io_op) == 48, "every connection has two");

/* One descriptor as a backend sees it: registered once for both directions, never modified.
 * Embedded in its owner (a conn, a listener). */
struct io_sock {
    int fd;                  /* -1: closed. The sim backend's own numbers are not descriptors */
    bool readable, writable; /* edge-triggered state: may be tried now */
    bool hangup;             /* the peer ended its side, or an error is pending: read to the end */
    bool connecting;
    bool shared;           /* other processes may hold the descriptor, too (a listener) */
    struct io_op *rd, *wr; /* armed ops: recv or accept; send or connect */
};

/* Adopts an open non-blocking descriptor. False: the kernel refused (errno). */
bool io_sock_open(struct loop *l, struct io_sock *s, int fd);
/* Closes the descriptor. No op may be armed (cancel, then wait for done()). */
void io_sock_close(struct loop *l, struct io_sock *s);

/* Takes the descriptor out of the backend without closing it; s->fd becomes -1. Cancel its ops
 * first; their done() may come later. */
void io_sock_detach(struct loop *l, struct io_sock *s);
/* Closes a descriptor that accept gave and that no io_sock has adopted. */
void io_discard(struct loop *l, int fd);

/* `op->buf_size` says which buffer to receive into. */
void io_recv(struct loop *l, struct io_sock *s, struct io_op *op);
/* Starts with an attempt at once; may end with fewer bytes than given. */
void io_send(struct loop *l, struct io_sock *s, struct io_op *op, const struct iovec *iov,
             int iov_count);
/* At most `max` bytes into the pipe, once it is empty; the owner keeps its count on it until
 * done(). The bytes are not looked at by anybody (io/pipe.h). */
void io_recv_pipe(struct loop *l, struct io_sock *s, struct io_op *op, struct buf *pipe,
                  size_t max);
/* The first `len` bytes that the pipe holds. */
void io_send_pipe(struct loop *l, struct io_sock *s, struct io_op *op, struct buf *pipe,
                  size_t len);
/* Bytes of a file, at most `len` from `at` on, once they are in memory (io/file.h). -ESTALE: the
 * file is not what it was; its owner keeps its count until done(). */
void io_send_file(struct loop *l, struct io_sock *s, struct io_op *op, struct buf *file,
                  uint64_t at, size_t len);
void io_accept(struct loop *l, struct io_sock *s, struct io_op *op);
/* From the done() of an accept only: one connection more without an op; -EAGAIN when none waits. */
int io_accept_next(struct loop *l, struct io_sock *s);
/* Makes a stream socket for `addr` and connects it. On failure to make one done() gets the -errno
 * and s->fd stays -1. */
void io_connect(struct loop *l, struct io_sock *s, struct io_op *op, const struct sockaddr *addr,
                socklen_t addr_len);
/* Ends when the descriptor can be read from (written to); for descriptors that a library or the
 * kernel's special files bring along. Level-triggered. Not on the sim backend. */
void io_poll_in(struct loop *l, struct io_sock *s, struct io_op *op);
void io_poll_out(struct loop *l, struct io_sock *s, struct io_op *op);
void io_cancel(struct loop *l, struct io_op *op); /* no effect on an op that is not armed */

/* No more sends: the peer sees the end of the stream. */
void io_shutdown(struct loop *l, struct io_sock *s);
/* The next close resets the connection (RST) and drops what is unsent. */
void io_set_reset(struct loop *l, struct io_sock *s);

/* The address of one end of a connection. False: unknown (errno). */
enum io_end { IO_REMOTE, IO_LOCAL };
struct io_name {
    struct sockaddr_storage at;
    socklen_t len;
};
bool io_sock_name(struct loop *l, const struct io_sock *s, enum io_end end, struct io_name *out);
