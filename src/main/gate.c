/* gate.c - see gate.h. The peer's address costs a system call; the connection keeps it for the
 * requests to come, which would ask for it otherwise. */
// SPDX-License-Identifier: Apache-2.0
#include "main/gate.h"
#include "limit/bans.h"
#include "net/conn.h"
#include "proxy/guests.h"
#include "proxy/worker.h"

/* False: it is gone already. */
static bool peer_of(int fd, struct addr *a)
{
    *a = (struct addr){.len = sizeof *a - offsetof(struct addr, sa)};
    if (getpeername(fd, &a->sa, &a->len) != 0)
        return false;
    addr_unmap(a);
    return true;
}

static bool is_banned(struct worker *w, const struct addr *peer)
{
    if (!bans_any() || !bans_has(peer, w->loop.now_ms))
        return false;
    counter_add(w->counters, METRIC_BANNED_CONNECTIONS, 1);
    return true;
}

struct conn *gate_let_in(struct worker *w, int fd)
{
    struct addr peer;
    bool comes = peer_of(fd, &peer) && !is_banned(w, &peer);
    struct guest *g = comes ? guests_admit(w, &peer, fd) : NULL;
    if (!g) {
        io_discard(&w->loop, fd);
        return NULL;
    }
    struct conn *c = conn_accept(&w->loop, fd, NULL, NULL);
    if (c)
        addr_pack(&c->remote, &peer);
    guests_seat(w, g, c);
    return c;
}
