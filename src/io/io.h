/* io.h - completion-style I/O for one thread; backends behind one face.
 *
 * An operation starts with an io_op embedded in its owner and ends with exactly one done(op, res).
 *   1. done() runs only inside io_tick(), never inside io_recv(), io_send() or io_cancel().
 *   2. The owner of an armed op stays alive until done() has run; io_cancel() only asks for an
 *      early end (-ECANCELED, or the true result when that came first).
 *   3. A received buffer belongs to the callee of done(). An idle connection holds no buffer.
 *   4. One recv and one send may be armed per socket at a time.
 * Nothing here may be called from another thread. Only this folder speaks negative errno. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct loop;
struct io_op;

/* res: bytes moved (0 = end of stream for recv), a descriptor for accept, 0 for connect, -errno.
 * -ENOBUFS from recv: the buffer pool is spent; arm again later (the loop's starved list). */
typedef void io_done(struct io_op *op, int res);

enum io_kind { IO_RECV, IO_SEND, IO_ACCEPT, IO_CONNECT };

struct io_op {
    io_done *done; /* set once by the owner before first use */
    struct io_op *next;
    struct io_sock *sock;
    union {
        struct buf *buf;         /* IO_RECV: the filled buffer, from done() on the callee's */
        const struct iovec *iov; /* IO_SEND: array and bytes stay valid until done() */
    };
    int res;
    uint16_t iov_count;
    uint8_t kind;     /* enum io_kind */
    uint8_t buf_size; /* IO_RECV: enum buf_size wished for */
    bool armed;       /* from io_*() until done() is called */
    bool canceled;
    bool queued;      /* result known, done() not yet run (backend's) */
};

/* One descriptor as a backend sees it: registered once for both directions, never modified.
 * Embedded in its owner (a conn, a listener). */
struct io_sock {
    int fd; /* -1: closed. The sim backend's own numbers are not descriptors */
    bool readable, writable; /* edge-triggered state: may be tried now */
    bool hangup;             /* peer has closed both ways or an error is pending */
    bool connecting;
    struct io_op *rd, *wr;   /* armed ops: recv or accept; send or connect */
    void *priv;              /* backend's */
};

/* Adopts an open non-blocking descriptor. False: the kernel refused (errno). */
bool io_sock_open(struct loop *l, struct io_sock *s, int fd);
/* Closes the descriptor. No op may be armed (cancel, then wait for done()). */
void io_sock_close(struct loop *l, struct io_sock *s);

/* `op->buf_size` says which buffer to receive into. */
void io_recv(struct loop *l, struct io_sock *s, struct io_op *op);
/* Starts with an attempt at once; may end with fewer bytes than given. */
void io_send(struct loop *l, struct io_sock *s, struct io_op *op, const struct iovec *iov,
             int iov_count);
void io_accept(struct loop *l, struct io_sock *s, struct io_op *op);
/* Makes a stream socket for `addr`, bound to `from` unless that is NULL, and connects it. On
 * failure to make one done() gets the -errno and s->fd stays -1. */
void io_connect(struct loop *l, struct io_sock *s, struct io_op *op, const struct sockaddr *addr,
                socklen_t addr_len);
void io_cancel(struct loop *l, struct io_op *op); /* no effect on an op that is not armed */

/* No more sends: the peer sees the end of the stream. */
void io_shutdown(struct loop *l, struct io_sock *s);
/* The next close resets the connection (RST) and drops what is unsent. */
void io_set_reset(struct loop *l, struct io_sock *s);
