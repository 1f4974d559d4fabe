/* fcgi_out_priv.h - one request on its way out. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "fcgi/fcgi_record.h"
#include "http/cgi.h"
#include "http/stream.h"
#include "net/conn.h"

struct fcgi_out {
    struct conn *conn;
    struct buf *buf;     /* being filled; what was handed over of it is counted by the connection */
    uint32_t flushed;    /* bytes of it that were handed over */
    uint32_t record;     /* where the header of the open record stands in it */
    bool open;           /* a record of PARAMS is being filled */
    uint64_t left;       /* of the body */
    uint64_t sent_bytes; /* handed to the connection */
};

/* BEGIN_REQUEST and PARAMS, and the end of STDIN when there is no body. ERR_NO_BUFFERS, and what
 * conn_write() says. */
enum err fcgi_out_head(struct fcgi_out *o, const struct message *m) MUST_CHECK;

/* As h1_out_body(): what the body holds, as far as there is room. ERR_INTERNAL when it is not as
 * long as the head said. */
enum err fcgi_out_body(struct fcgi_out *o, struct body *b, bool *done, bool *blocked) MUST_CHECK;
void fcgi_out_release(struct fcgi_out *o);
