/* h2_peer.h - one end of a connection of HTTP/2 that is not weir's: frames, header blocks, windows,
 * and whether weir keeps to the rules. Client and origin of the simulation are built on it.
 *
 * It codes heads of frames and header blocks as weir does (h2_frame.h, hpack.h), and nothing else:
 * what a frame means is written down here a second time, so that weir is not judged by its own
 * reading. Streams are embedded in what their owner keeps for a request; they stay known until the
 * connection ends. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "h2/h2_frame.h"
#include "h2/hpack.h"
#include "tests/sim/sim.h"

enum {
    H2_PEER_IN_BYTES = 9 + 16384,
    H2_PEER_BLOCK_BYTES = 128 * 1024,
    H2_PEER_TEXT_BYTES = 128 * 1024,
    H2_PEER_OUT_HIGH_BYTES = 32 * 1024, /* no DATA on top of that */
};

struct h2_peer_stream {
    struct list link;
    uint32_t id;
    int64_t send_window, recv_window;
    uint32_t taken_bytes;      /* received, and not given back to weir */
    bool we_ended, they_ended; /* END_STREAM */
    bool we_reset, they_reset;
    bool head_came;
    bool deaf; /* its window is never opened again */
};

struct h2_peer;

struct h2_peer_ops {
    /* Origin: weir begins a stream. NULL: it is not looked at. */
    struct h2_peer_stream *(*on_open)(struct h2_peer *p, uint32_t id);
    /* As HTTP/1.1 would have it, NUL-terminated; pseudo-headers are its first line and Host. */
    void (*on_head)(struct h2_peer *p, struct h2_peer_stream *s, const char *head);
    void (*on_trailer)(struct h2_peer *p, struct h2_peer_stream *s, const char *line);
    void (*on_bytes)(struct h2_peer *p, struct h2_peer_stream *s, const char *at, size_t len);
    void (*on_end)(struct h2_peer *p, struct h2_peer_stream *s);
    void (*on_reset)(struct h2_peer *p, struct h2_peer_stream *s, uint32_t code);
    void (*on_goaway)(struct h2_peer *p, uint32_t last_id, uint32_t code);
};

struct h2_peer {
    struct sim_world *world;
    struct conn *conn; /* NULL: gone */
    const struct h2_peer_ops *ops;
    void *user;
    bool server, preface_seen;
    bool settled; /* weir's SETTINGS have come */

    bool generous; /* gives windows back at once, not in larger pieces */
    bool connects; /* weir knows extended CONNECT */
    struct list streams;
    uint32_t last_id;      /* of what was begun */
    uint32_t streams_max;  /* origin: what weir may begin; 0: not yet told */
    uint32_t window_bytes; /* of a stream, as weir has acknowledged it */
    uint32_t asked_window; /* and as our SETTINGS say */
    uint32_t acks_due;
    uint32_t weir_window; /* as weir's SETTINGS say */
    int64_t send_window, recv_window;
    uint32_t taken_bytes;
    struct hpack_decoder decoder;
    struct hpack_encoder encoder;
    uint32_t block_stream;
    bool block_ends;
    size_t in_len, block_len, out_len, out_cap;
    char *out;
    char in[H2_PEER_IN_BYTES], block[H2_PEER_BLOCK_BYTES];
};

struct h2_peer_field {
    const char *name, *value;
};

/* Begins to talk: preface (a client's) and SETTINGS with a window for each stream. */
struct h2_peer *h2_peer_new(struct sim_world *w, struct conn *c, bool server,
                            const struct h2_peer_ops *ops, void *user);
void h2_peer_start(struct h2_peer *p, uint32_t stream_window, uint32_t conn_window);
void h2_peer_free(struct h2_peer *p); /* after its connection */
void h2_peer_stream_init(struct h2_peer *p, struct h2_peer_stream *s, uint32_t id);

void h2_peer_feed(struct h2_peer *p, const char *at, size_t len);
void h2_peer_flush(struct h2_peer *p); /* what there is room for */
bool h2_peer_stream_over(const struct h2_peer_stream *s);

/* ---- saying something ---- */

/* A header block, split as the seed will have it. `raw`: every field in place and as it is. */
void h2_peer_fields(struct h2_peer *p, struct h2_peer_stream *s, const struct h2_peer_field *fields,
                    size_t count, bool raw, bool end);
/* Bytes of a body from `at` on, at most one frame of them; `end` when they are `len`. Bytes sent.
 */
size_t h2_peer_bytes(struct h2_peer *p, struct h2_peer_stream *s, uint32_t id, uint64_t at,
                     size_t len, enum sim_bytes kind, bool end);
void h2_peer_end(struct h2_peer *p, struct h2_peer_stream *s);
void h2_peer_reset(struct h2_peer *p, struct h2_peer_stream *s, uint32_t code);
void h2_peer_goaway(struct h2_peer *p, uint32_t last_id, uint32_t code);
void h2_peer_window(struct h2_peer *p, uint32_t stream_window); /* SETTINGS with another */
void h2_peer_noise(struct h2_peer *p);          /* what may come at any time and means nothing */
bool h2_peer_has_room(const struct h2_peer *p); /* for more DATA */
void h2_peer_frame(struct h2_peer *p, const struct h2_frame *f, const char *payload);
void h2_peer_update(struct h2_peer *p, uint32_t id, uint32_t n); /* WINDOW_UPDATE */
