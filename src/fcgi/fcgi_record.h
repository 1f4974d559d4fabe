/* fcgi_record.h - the records of FastCGI 1.0: reading what an application sends, and the headers of
 * what it is sent. Pure.
 *
 * There is one request on a connection, so its id is always FCGI_ID. Sizes need no limits of their
 * own: a record has at most 65,535 bytes and 255 of padding, and none is gathered. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

enum { FCGI_ID = 1, FCGI_HEADER_BYTES = 8, FCGI_CONTENT_MAX = 65535, FCGI_END_BYTES = 8 };

enum fcgi_type {
    FCGI_BEGIN_REQUEST = 1,
    FCGI_ABORT_REQUEST,
    FCGI_END_REQUEST,
    FCGI_PARAMS,
    FCGI_STDIN,
    FCGI_STDOUT,
    FCGI_STDERR,
    FCGI_DATA,
    FCGI_GET_VALUES,
    FCGI_GET_VALUES_RESULT,
    FCGI_UNKNOWN_TYPE,
};

enum fcgi_protocol_status {
    FCGI_REQUEST_COMPLETE,
    FCGI_CANT_MPX_CONN, /* it serves one request per connection, and had another */
    FCGI_OVERLOADED,
    FCGI_UNKNOWN_ROLE,
};

enum fcgi_piece_kind {
    FCGI_PIECE_OUT,     /* bytes of the answer */
    FCGI_PIECE_OUT_END, /* there are no more */
    FCGI_PIECE_ERR,     /* bytes for the error log */
    FCGI_PIECE_END,     /* the request is over: app_status and protocol_status say how */
};

struct fcgi_piece {
    enum fcgi_piece_kind kind;
    struct slice bytes; /* of the input */
};

struct fcgi_reader {
    uint8_t header[FCGI_HEADER_BYTES], end[FCGI_END_BYTES];
    uint8_t header_have, end_have;
    uint8_t type;     /* of the record that is being read */
    uint8_t padding;  /* left of it */
    uint16_t content; /* likewise */
    bool in_record;
    bool out_ended, err_ended;
    bool over; /* END_REQUEST was read: nothing may follow */
    uint8_t protocol_status;
    uint32_t app_status;
};

/* Takes bytes off *in up to the next piece. ERR_OK: it is in *piece. ERR_HOLD: all was used.
 * ERR_ORIGIN_FASTCGI: no record that may come here; nothing that follows can be understood. */
enum err fcgi_next(struct fcgi_reader *r, struct slice *in, struct fcgi_piece *piece) MUST_CHECK;

/* The header of a record without padding. */
void fcgi_header_write(char to[FCGI_HEADER_BYTES], enum fcgi_type type, size_t content);
/* A whole BEGIN_REQUEST for the role of a responder. */
enum { FCGI_BEGIN_BYTES = FCGI_HEADER_BYTES + 8 };
enum fcgi_flags { FCGI_CLOSE_CONN, FCGI_KEEP_CONN };
void fcgi_begin_write(char to[FCGI_BEGIN_BYTES], enum fcgi_flags flags);
/* The length of a name or value of PARAMS: one byte or four. Returns how many. */
size_t fcgi_length_write(char to[4], size_t len);
