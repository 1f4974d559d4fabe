/* tunnel.c - one end of a tunnel: sends its bytes, checks those that come, half-closes.
 *
 * How many bytes there are each way is in the request's plan. An end that is done ends its side and
 * reads on; a polite one waits with that for the other end; a quiet one leaves it to weir to find
 * the tunnel idle. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim.h"

enum { LATE_MS = 1000 };

static uint32_t due(const struct sim_tunnel *t, enum sim_bytes kind)
{
    const struct sim_request *r = &t->world->requests[t->id];
    return kind == BYTES_UP ? r->up_bytes : r->down_bytes;
}

static enum sim_bytes receives(const struct sim_tunnel *t)
{
    return t->sends == BYTES_UP ? BYTES_DOWN : BYTES_UP;
}

/* What a tunnel is in: a connection of its own. */
static size_t conn_bytes(struct sim_tunnel *t, uint64_t at, size_t len)
{
    size_t n = sim_write_bytes(t->world, t->conn, t->id, at, len, t->sends, false);
    if (n == 0)
        conn_want_room(t->conn);
    return n;
}

static void conn_end(struct sim_tunnel *t)
{
    conn_shutdown(t->conn);
}

void tunnel_init(struct sim_tunnel *t, struct sim_world *w, struct conn *c, uint32_t id,
                 enum sim_bytes sends)
{
    *t = (struct sim_tunnel){
        .world = w, .conn = c, .id = id, .sends = sends, .write = conn_bytes, .end = conn_end};
    t->polite = w->requests[id].variant % 3 == (sends == BYTES_UP ? 0 : 1); /* never both */
}

bool tunnel_over(const struct sim_tunnel *t)
{
    return t->eof && (t->shut || t->quiet);
}

static void end_side(struct sim_tunnel *t)
{
    if (t->shut || t->quiet || (t->polite && !t->eof))
        return;
    t->shut = true;
    t->end(t);
}

void tunnel_pump(struct sim_tunnel *t)
{
    uint64_t end = due(t, t->sends);
    while (t->sent < end) {
        size_t n = t->write(t, t->sent, end - t->sent);
        t->sent += n;
        if (n == 0)
            return;
    }
    end_side(t);
}

/* Bytes and ends must come as soon as they can, not when some timer happens to wake the tunnel. */
static void moved(struct sim_tunnel *t)
{
    struct sim_request *r = &t->world->requests[t->id];
    int64_t now_ms = t->world->peers.now_ms;
    if (sim_exact(t->world) && !t->quiet && r->moved_ms && now_ms - r->moved_ms > LATE_MS)
        sim_broken(t->world, "tunnel %u stood still for %lld ms", t->id,
                   (long long)(now_ms - r->moved_ms));
    r->moved_ms = now_ms;
}

void tunnel_data(struct sim_tunnel *t, const char *at, size_t len)
{
    moved(t);
    if (t->got + len > due(t, receives(t)))
        sim_broken(t->world, "tunnel %u: more bytes than were sent", t->id);
    size_t good = sim_bytes_check(t->id, t->got, receives(t), at, len);
    if (good < len)
        sim_broken(t->world, "tunnel %u differs at %llu", t->id,
                   (unsigned long long)(t->got + good));
    t->got += len;
}

bool tunnel_eof(struct sim_tunnel *t)
{
    struct sim_request *r = &t->world->requests[t->id];
    t->eof = true;
    moved(t);
    sim_say(t->world, "tunnel %u %s: end after %llu of %u, sent %llu of %u", t->id,
            t->sends == BYTES_UP ? "client" : "origin", (unsigned long long)t->got,
            due(t, receives(t)), (unsigned long long)t->sent, due(t, t->sends));
    if (t->got == due(t, receives(t)) && t->sends == BYTES_UP)
        r->down_done = true;
    else if (t->got == due(t, receives(t)))
        r->up_done = true;
    if (t->sent == due(t, t->sends))
        end_side(t);
    return tunnel_over(t);
}
