/* conn_layer.h - what lies between a connection's socket and its user: nothing, or TLS.
 *
 * conn.c keeps the life of a connection, its queue and its two operations; the layer turns bytes of
 * the wire into bytes of the user and back. A layer is called from done() functions, from the flush
 * of the tick and from the user's calls; it tells the user by the conn_layer_*() functions below,
 * from done() functions, tasks and timers only, never from inside start_recv(). Either may end with
 * the connection closed; it is freed not before the end of the tick. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"

struct conn_ops {
    const char *name;
    /* A piece is wanted. Arms recv_op, or has the user told soon of what is in hand. */
    void (*start_recv)(struct conn *c);
    /* There is output, queued or the layer's own, and send_op is not armed. */
    void (*start_send)(struct conn *c);
    bool takes_pipes; /* start_send() can do spans of pipes (io/pipe.h) */

    /* The rest is for layers; plain connections have none of it. */

    /* What came from the wire: `b`, which the layer owns from here on, or NULL with res 0 (the end
     * of the stream) or a negative errno. Not called once the connection closes. */
    void (*received)(struct conn *c, struct buf *b, int res);
    void (*sent)(struct conn *c, size_t n); /* send_op moved n bytes */
    /* Output is to end. False: something is to be sent before (layer_unsent is set). */
    bool (*end_output)(struct conn *c);
    void (*release)(struct conn *c); /* the connection is being freed */
};

/* Puts a layer under the user of a connection that is open. It counts as connecting until
 * conn_layer_open(): what the user writes and asks for waits. recv_op may be armed already. */
void conn_layer_set(struct conn *c, const struct conn_ops *ops, void *layer);
/* The layer is ready or has failed: on_open(). */
void conn_layer_open(struct conn *c, enum err e);

/* Arms recv_op for whatever comes next. */
void conn_layer_recv(struct conn *c);
/* Arms send_op; the bytes stay valid until sent(). */
void conn_layer_send(struct conn *c, const struct iovec *iov, int iov_count);
/* There are bytes of the layer's own to send at the end of the tick. */
void conn_layer_flush(struct conn *c);

/* The piece that the user asked for; owns the span from here on. */
void conn_layer_data(struct conn *c, struct span s);
void conn_layer_eof(struct conn *c);
void conn_layer_fail(struct conn *c, enum err e);

/* The queued output: its i-th span, false behind the last. */
bool conn_layer_peek(const struct conn *c, int i, struct slice *out);
void conn_layer_consume(struct conn *c, size_t n); /* n bytes of it are taken care of */
