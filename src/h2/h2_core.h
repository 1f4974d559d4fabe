/* h2_core.h - one connection of HTTP/2 without its I/O (RFC 9113 3 to 7): bytes in, events and
 * bytes out. Pure but for malloc(): the time is given, output goes where `room` says.
 *
 * h2_core_next() takes bytes off the front of what was received until something has happened that
 * the session has to know, and says what. Everything else, acknowledgements, errors of streams,
 * windows, is answered by the core itself. What a session says (DATA, resets, GOAWAY) goes by the
 * functions below, which keep states and windows right. Header blocks are handed over whole and
 * still compressed; the coders are here, because SETTINGS are theirs, too.
 *
 * Both roles; the session owns the streams, the core links those that are open. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_frame.h"
#include "h2/h2_limits.h"
#include "h2/hpack.h"

enum {
    H2_STREAMS_MAX = 100, /* that a peer may have open */
    H2_BUCKETS = 32,
    H2_ENDED_KEPT = 16,
    H2_EARLY_KEPT = 8,          /* priorities of streams that have not begun */
    H2_CLOSED_KEPT = 128,       /* more than streams can be open: what is in flight for them */
    H2_BLOCK_MAX_BYTES = 65536, /* of a header block, compressed */
    H2_BLOCK_FRAMES_MAX = 32,
    H2_STREAM_WINDOW_MAX_BYTES = 8 << 20,
    H2_CONN_WINDOW_BYTES = 1 << 20,
    H2_CONN_WINDOW_MAX_BYTES = 16 << 20,
    H2_URGENCY_DEFAULT = 3,     /* RFC 9218 4.1 */
    H2_CORE_TABLE_BYTES = 4096, /* of each coder: an idle connection is to be small */
};

enum h2_role { H2_SERVER, H2_CLIENT };

struct h2_stream {
    struct h2_stream *next; /* in its bucket */
    uint32_t id;
    bool listed; /* open, or ended by one side only */
    bool peer_ended, we_ended;
    bool counts;           /* length_left tells how much DATA is due (content-length) */
    bool incremental;      /* RFC 9218 4.2 */
    uint8_t urgency;       /* 0 first, 7 last */
    int64_t send_window;   /* below 0 after the peer made it smaller */
    int64_t recv_window;   /* what the peer may still send */
    uint32_t window_bytes; /* what recv_window is brought back to; grows with demand */
    uint32_t held_bytes;   /* received and not consumed yet */
    uint64_t length_left;
    int64_t updated_ms; /* when the window was last opened */
};

/* A PRIORITY_UPDATE that came before its stream. */
struct h2_early {
    uint32_t id; /* 0: none */
    uint8_t urgency;
    bool incremental;
};

enum h2_event_kind {
    H2_EV_MORE,    /* all bytes were used */
    H2_EV_HEADERS, /* `bytes`: a header block, until the next call. It has to be decoded */
    H2_EV_DATA,    /* `bytes`, inside what was received; `end`: the last */
    H2_EV_RESET,   /* `stream` is over: by the peer (ERR_CLIENT_RESET) or for an error of it */
    H2_EV_WINDOW,  /* more may be sent on `stream`; NULL: on any */
    H2_EV_PONG,    /* the answer to h2_core_ping() */
    H2_EV_GOAWAY,  /* the peer begins nothing new */
    H2_EV_FAILED,  /* for `err`; GOAWAY was written, nothing more is read */
};

struct h2_event {
    enum h2_event_kind kind;
    enum err err;
    uint32_t code; /* H2_EV_RESET by the peer, H2_EV_GOAWAY: its enum h2_code */
    struct h2_stream *stream;
    uint32_t id;
    struct slice bytes;
    bool end;     /* END_STREAM */
    bool opens;   /* H2_EV_HEADERS: a new stream: h2_core_open() or h2_core_refuse() it */
    bool nowhere; /* H2_EV_HEADERS: decode, only to keep the table in step */
    bool incremental;
    uint8_t urgency;
};

struct h2_core {
    /* Where the next `len` bytes of output go; NULL: nowhere, the connection fails. */
    char *(*room)(struct h2_core *c, size_t len);
    struct hpack_decoder decoder;
    struct hpack_encoder encoder;
    struct h2_stream *buckets[H2_BUCKETS];
    int64_t now_ms;      /* set by the session */
    uint32_t open_count; /* listed streams */
    uint32_t last_id;    /* the peer's last; ours as a client */
    uint32_t goaway_id;  /* what we said last; later streams are not begun */
    uint32_t list_bytes; /* of a header list, as our SETTINGS say */
    uint8_t role, phase, part;
    bool acked;   /* the peer has our SETTINGS */
    bool pinging; /* an answer is due */
    bool block_served, block_ends, block_priority_bad;
    bool peer_connects; /* SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441) */
    /* windows of the connection and what the peer's SETTINGS say */
    int64_t send_window, recv_window, updated_ms;
    uint32_t window_bytes, held_bytes, peer_window_bytes, peer_frame_bytes, peer_streams_max;
    /* the frame that is being read, and the header block that it is part of */
    struct h2_frame frame;
    uint32_t left, pad_left; /* of its payload */
    uint32_t block_stream;   /* 0: none has begun */
    uint32_t block_frames, block_len;
    uint32_t stash_len, stash_cap;
    char *
        stash; /* the block so far, then what has come of the frame; only when it comes in pieces */
    uint8_t head_len;
    char head[H2_PREFACE_BYTES];
    struct h2_limits limits;
    struct h2_early early[H2_EARLY_KEPT];
    uint32_t early_at, ended_at, closed_at;
    uint32_t ended[H2_ENDED_KEPT];   /* the last streams that both sides ended */
    uint32_t closed[H2_CLOSED_KEPT]; /* and that were reset, see h2_core.c */
};

void h2_core_init(struct h2_core *c, enum h2_role role, uint32_t list_bytes,
                  char *(*room)(struct h2_core *c, size_t len));
void h2_core_release(struct h2_core *c);
void h2_core_start(struct h2_core *c); /* writes the preface (client) and our SETTINGS */

/* Takes bytes off the front of *in and says what has happened. H2_EV_MORE with *in empty, or
 * H2_EV_FAILED, is the last of this turn. */
void h2_core_next(struct h2_core *c, struct slice *in, struct h2_event *ev);

/* What a Priority field says (RFC 9218 4); what it does not say stays. */
void h2_priority_read(struct slice value, uint8_t *urgency, bool *incremental);
/* What a PRIORITY_UPDATE says of a stream, open or still to come (RFC 9218 7): all of it. */
void h2_priority_update(struct h2_core *c, uint32_t id, struct slice value);
/* For a stream that has just begun: what was said of it before counts more than its own field. */
void h2_priority_begin(const struct h2_core *c, struct h2_stream *s);

/* ---- streams ---- */

struct h2_stream *h2_core_find(const struct h2_core *c, uint32_t id);
/* After an event that `opens`: links a zeroed stream. */
void h2_core_open(struct h2_core *c, struct h2_stream *s, const struct h2_event *ev);
/* After an event that `opens`: nobody takes it. */
void h2_core_refuse(struct h2_core *c, uint32_t id, enum h2_code code);
/* How many bytes of DATA the stream is to bring. False: it ended without. */
bool h2_core_expect(struct h2_stream *s, uint64_t bytes) MUST_CHECK;
/* Ends it by RST_STREAM unless it is over already. */
void h2_core_reset(struct h2_core *c, struct h2_stream *s, enum h2_code code);
/* An error of the peer's on this stream: as h2_core_reset(), and counted. False: one too many, the
 * connection has failed. */
bool h2_core_blame(struct h2_core *c, struct h2_stream *s, enum h2_code code) MUST_CHECK;
/* The session is done with it; what it holds of the connection's window goes back. */
void h2_core_close(struct h2_core *c, struct h2_stream *s);

/* ---- sending ---- */

/* Bytes of DATA that may go now, at most one frame's. */
uint32_t h2_core_may_send(const struct h2_core *c, const struct h2_stream *s);
/* Writes the head of a DATA frame; `len` bytes have to follow. False: no room. */
bool h2_core_data(struct h2_core *c, struct h2_stream *s, uint32_t len, bool end) MUST_CHECK;
/* The session has written a head with END_STREAM. */
void h2_core_ended(struct h2_core *c, struct h2_stream *s);
/* `n` bytes that came on the stream were consumed. */
void h2_core_consumed(struct h2_core *c, struct h2_stream *s, uint32_t n);
void h2_core_ping(struct h2_core *c);
/* First with H2_STREAM_MAX: what is on its way is still served (6.8). Then with the last. */
void h2_core_goaway(struct h2_core *c, uint32_t last_id, enum h2_code code);
/* The connection is over for this reason; writes GOAWAY. */
void h2_core_fail(struct h2_core *c, enum h2_code code);
bool h2_core_failed(const struct h2_core *c);
/* The error and GOAWAY of a limit; false when it is not over. */
bool h2_core_take(struct h2_core *c, enum h2_limit kind, int32_t n, enum err *e) MUST_CHECK;
