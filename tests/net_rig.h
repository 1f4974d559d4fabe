/* net_rig.h - what the session tests share: a simulated network with one loop, and the raw peer
 * at the other end, which says and records bytes. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "http/stream.h"
#include "io/sim.h"
#include "net/conn.h"
#include "net/listener.h"
#include "tests/unit.h"
#include <stdio.h>

enum { PEER_MAX_BYTES = 4 << 20, RIG_PORT = 80 };

struct peer {
    struct conn *conn;
    size_t len;
    int64_t end_ms;
    bool eof, failed, deaf; /* deaf: does not read */
    char got[PEER_MAX_BYTES + 1];
};

static struct rig {
    struct sim_net *net;
    struct loop loop;
    struct counters_shared counters;
    struct listener listener;
    struct addr addr;
    struct stream_limits limits;
} rig;

static struct peer peer;

static void peer_open(struct conn *c, enum err e)
{
    (void)c;
    assert_int_equal(e, ERR_OK);
}

static void peer_data(struct conn *c, struct span s)
{
    assert_true(peer.len + s.len <= PEER_MAX_BYTES);
    memcpy(peer.got + peer.len, s.at, s.len);
    peer.len += s.len;
    peer.got[peer.len] = 0;
    span_drop(s);
    if (!peer.deaf)
        conn_recv(c);
}

static void peer_eof(struct conn *c)
{
    (void)c;
    peer.eof = true;
    peer.end_ms = rig.loop.now_ms;
}

static void peer_room(struct conn *c)
{
    (void)c;
}

static void peer_error(struct conn *c, enum err e)
{
    (void)c;
    (void)e;
    peer.failed = true;
    peer.end_ms = rig.loop.now_ms;
}

static const struct conn_user_ops peer_ops = {peer_open, peer_data, peer_eof, peer_room,
                                              peer_error};

static inline void run_ms(int64_t ms)
{
    sim_run(rig.net, sim_now_ms(rig.net) + ms);
}

/* Text or bytes to the other end, in buffers; waits for room when there is much. */
static inline void peer_say_bytes(const char *at, size_t len)
{
    while (len) {
        struct buf *b = buf_take(&rig.loop.bufs, BUF_SMALL);
        size_t part = len < BUF_SMALL_BYTES ? len : BUF_SMALL_BYTES;
        assert_non_null(b);
        memcpy(b->bytes, at, part);
        b->len = (uint32_t)part;
        while (conn_out_room(peer.conn) == 0)
            run_ms(1);
        assert_int_equal(conn_write(peer.conn, (struct span){b, b->bytes, part}), ERR_OK);
        at += part;
        len -= part;
    }
}

static inline void peer_say(const char *text)
{
    peer_say_bytes(text, strlen(text));
    run_ms(5);
}

static inline void peer_say_slowly(const char *text)
{
    for (; *text; text++) {
        peer_say_bytes(text, 1);
        run_ms(1);
    }
}

static inline void peer_end(void)
{
    conn_shutdown(peer.conn);
    run_ms(5);
}

static inline bool peer_heard(const char *text)
{
    return strstr(peer.got, text) != NULL;
}

/* Exactly this was heard since the last time; forgets it. */
static inline void peer_expect(const char *text)
{
    run_ms(5);
    if (strcmp(peer.got, text) != 0)
        fail_msg("heard:\n%s\ninstead of:\n%s", peer.got, text);
    peer.len = 0;
    peer.got[0] = 0;
}

static inline void rig_open(const struct sim_faults *faults, uint64_t seed,
                            void (*on_accept)(struct listener *ln, int fd))
{
    static const struct sim_faults none = {.window_bytes = 65536};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(RIG_PORT)};
    memset(&rig, 0, sizeof rig);
    memset(&peer, 0, sizeof peer);
    rig.limits = (struct stream_limits){.head_bytes = 32768,
                                        .line_bytes = 16384,
                                        .header_count = 100,
                                        .trailer_bytes = 8192,
                                        .chunk_ext_bytes = 1024,
                                        .header_ms = 10000,
                                        .keepalive_ms = 60000,
                                        .linger_ms = 2000};
    rig.addr = (struct addr){.len = sizeof in, .in = in};
    rig.net = sim_net_new(seed, faults ? faults : &none);
    assert_true(loop_init(&rig.loop, &io_backend_sim, rig.net, &rig.counters, 16 << 20));
    rig.listener.on_accept = on_accept;
    int fd = sim_listen(rig.net, &rig.addr.sa, rig.addr.len);
    assert_true(listener_start(&rig.listener, &rig.loop, fd));
}

static void rig_listener_closed(struct listener *ln)
{
    (void)ln;
}

/* Whatever is still open by now is a leak: loop_release() and sim_net_free() assert. */
static inline void rig_close(void)
{
    if (peer.conn)
        conn_abort(peer.conn);
    rig.listener.on_closed = rig_listener_closed;
    listener_close(&rig.listener);
    run_ms(100000);
    assert_int_equal(rig.loop.bufs.held_bytes, 0);
    loop_release(&rig.loop);
    sim_net_free(rig.net);
    arena_cache_release();
}
