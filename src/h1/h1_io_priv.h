/* h1_io_priv.h - what both sides' sessions share: bytes in hand on the way in, and one message on
 * its way out. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h1/h1_parse.h"
#include "net/conn.h"

enum h1_framing {
    H1_EMPTY,  /* no body */
    H1_LENGTH, /* `left` bytes */
    H1_CHUNKED,
    H1_RAW, /* until the end of the connection; also tunnels */
};

/* Received bytes that were not consumed yet. Heads and trailers need to be in one piece: what
 * comes is put into the tail of the buffer that is there, or both into a large one. */
struct h1_in {
    struct span bytes;
    struct span more;    /* follows `bytes` when one buffer can not hold both */
    struct h1_scan scan; /* of the head or the trailers that `bytes` starts with */
    struct h1_chunks chunks;
    uint64_t left;           /* H1_LENGTH */
    uint64_t consumed_bytes; /* of this message */
    const struct stream_limits *limits;
    struct arena *arena; /* for trailers */
    uint8_t framing;     /* enum h1_framing */
    bool in_trailers;
};

/* Takes over the span. ERR_NO_BUFFERS, ERR_HEAD_TOO_LARGE when even a large buffer is too small:
 * the span was dropped. */
enum err h1_in_add(struct h1_in *in, struct buf_pool *pool, struct span s) MUST_CHECK;
void h1_in_skip(struct h1_in *in, size_t len);
void h1_in_drop(struct h1_in *in); /* everything in hand */

/* Sets up for the body of a message whose head was read. `chunked` tells what LENGTH_UNKNOWN is. */
void h1_in_begin(struct h1_in *in, enum h1_framing framing, uint64_t length);
/* The length of the head that the bytes in hand start with; in->limits is set. ERR_HOLD: more has
 * to be received. Else what h1_head_find() says, or ERR_NO_BUFFERS. */
enum err h1_in_head(struct h1_in *in, size_t *len) MUST_CHECK;
/* Moves bytes into the body. ERR_OK: the body is whole and was ended. ERR_HOLD: all was used, more
 * has to be received. ERR_OVER_LIMIT: the body is full, its want() will be called. Else the body is
 * broken: ERR_BODY_TOO_LARGE, or what h1_parse.h says (not mapped for origins). */
enum err h1_in_body(struct h1_in *in, struct body *b) MUST_CHECK;

/* Asks the connection for more of the body, into a pipe when it is large and nobody looks. */
void h1_in_recv(const struct h1_in *in, struct conn *c, struct body *b);

/* One message on its way out. Heads and chunk framing are written into `buf`, several of them one
 * after the other; the conn's spans count it. */
struct h1_out {
    struct conn *conn;
    struct buf *buf;
    uint64_t left;       /* H1_LENGTH */
    uint64_t sent_bytes; /* handed to the connection */
    uint8_t framing;     /* enum h1_framing */
};

enum h1_connection {
    H1_CONNECTION_NONE,
    H1_CONNECTION_CLOSE,
    H1_CONNECTION_KEEP_ALIVE, /* said aloud for HTTP/1.0 clients */
    H1_CONNECTION_UPGRADE,
};

/* A response head. Leaves out deleted and hop-by-hop fields and those of framing, which o->framing
 * and o->left decide; with H1_EMPTY a Content-Length of the headers passes when `pass_length`
 * (HEAD, 304). Adds Date when it is missing. ERR_OVER_BUDGET when it fits no buffer,
 * ERR_NO_BUFFERS, and what conn_write() says. */
struct h1_reply {
    enum h1_connection connection;
    unsigned pass_length;
};
enum err h1_write_response(struct h1_out *o, const struct message *m,
                           const struct h1_reply *r) MUST_CHECK;
/* A request head, Host first. */
enum err h1_write_request(struct h1_out *o, const struct message *m) MUST_CHECK;

/* What the body holds, to the connection, as far as there is room. ERR_OK with *done: the message
 * is whole; *blocked: the connection is full. ERR_INTERNAL when the body is not as long as the
 * head said: what went out is not a whole message then. */
enum err h1_out_body(struct h1_out *o, struct body *b, bool *done, bool *blocked) MUST_CHECK;
/* Why the body broke off, once all that was queued of it is out; else ERR_OK. */
static inline enum err h1_body_broken(const struct body *b)
{
    return b->count == 0 ? b->err : ERR_OK;
}
void h1_out_release(struct h1_out *o);
