/* gate.c - see gate.h. The peer's address costs a system call, so it is asked for only while there
 * is somebody to look for. */
// SPDX-License-Identifier: Apache-2.0
#include "main/gate.h"
#include "limit/bans.h"
#include "proxy/worker.h"

static bool peer_of(int fd, struct addr *a)
{
    *a = (struct addr){.len = sizeof *a - offsetof(struct addr, sa)};
    return getpeername(fd, &a->sa, &a->len) == 0;
}

bool gate_lets_in(struct worker *w, int fd)
{
    struct addr peer;
    if (!bans_any() || !peer_of(fd, &peer) || !bans_has(&peer, w->loop.now_ms))
        return true;
    counter_add(w->counters, METRIC_BANNED_CONNECTIONS, 1);
    return false;
}
