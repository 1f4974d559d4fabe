/* shed.c - load shedding of a worker, before it has nothing left to work with.
 *
 * Buffers: when the pool is nearly spent, reading pauses everywhere (base/buf.h), and everybody
 * waits for everybody. So from 85 % on requests are refused, those of priority 0 first, then, step
 * by step, all at 95 %; what is under way ends, but for the slowest of those clients that have
 * many connections.
 *
 * Descriptors: the kernel gives the smallest free number, so a new connection's number tells how
 * many are in use. From 90 % on connections give way (guests_evict.c); from 97 % on new ones are
 * closed, too: what is left is for connections to servers.
 *
 * The log has a line when either begins and ends, not for each request. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/shed.h"
#include "base/log.h"
#include "conf/directive.h"
#include "proxy/guests.h"
#include "proxy/worker.h"
#include "upstream/lease.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static void review_begin(struct worker *w)
{
    if (w->shed.buffers || w->shed.fds)
        timer_set(&w->loop.timers, &w->shed.review, w->loop.now_ms + SHED_REVIEW_MS);
}

static void state_count(struct worker *w, bool *state, bool on)
{
    *state = on;
    review_begin(w);
    counter_add(w->counters, METRIC_SHEDDING, on ? 1 : -1);
}

/* --- buffers ---------------------------------------------------------------------------------- */

static int64_t buffers_used(const struct worker *w)
{
    const struct buf_pool *p = &w->loop.bufs;
    return (int64_t)(p->held_bytes * 1000 / p->cap_bytes);
}

static void buffers_begin(struct worker *w)
{
    state_count(w, &w->shed.buffers, true);
    w->shed.refused = 0;
    log_write(
        LOG_WARN_,
        "worker %u: %zu of %zu bytes of buffers are in use: requests are refused, those of low "
        "priority first",
        w->index, w->loop.bufs.held_bytes, w->loop.bufs.cap_bytes);
}

static void buffers_end(struct worker *w)
{
    state_count(w, &w->shed.buffers, false);
    log_write(LOG_NOTICE_, "worker %u: there are buffers again; %lld requests were refused",
              w->index, (long long)w->shed.refused);
}

static bool refuse(struct worker *w)
{
    if (!w->shed.buffers)
        buffers_begin(w);
    w->shed.refused++;
    counter_add(w->counters, METRIC_SHED_REQUESTS, 1);
    (void)guests_relieve(w, SHORT_OF_BUFFERS, NULL, SHED_SLOW_AT_ONCE);
    return false;
}

bool shed_admits(struct worker *w, int64_t priority)
{
    const int64_t step = (SHED_BUFFERS_ALL - SHED_BUFFERS_FROM) / PRIORITY_MAX;
    int64_t used = buffers_used(w);
    if (used >= SHED_BUFFERS_FROM && used >= SHED_BUFFERS_FROM + step * priority)
        return refuse(w);
    if (w->shed.buffers && used < SHED_BUFFERS_END)
        buffers_end(w);
    return true;
}

/* --- descriptors ------------------------------------------------------------------------------ */

int64_t shed_fds_max(struct worker *w)
{
    struct rlimit r;
    if (w->shed.fds_max == 0)
        w->shed.fds_max = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < INT32_MAX
                              ? (int64_t)r.rlim_cur
                              : INT32_MAX;
    return w->shed.fds_max;
}

static void fds_begin(struct worker *w)
{
    if (w->shed.fds)
        return;
    state_count(w, &w->shed.fds, true);
    w->shed.closed = 0;
    log_write(LOG_WARN_,
              "worker %u: nearly all of %lld descriptors are in use: idle connections are "
              "closed, slow ones of clients that have many, and new ones if that is not enough",
              w->index, (long long)shed_fds_max(w));
}

static void fds_end(struct worker *w)
{
    state_count(w, &w->shed.fds, false);
    log_write(LOG_NOTICE_, "worker %u: there are descriptors again; %lld connections were closed",
              w->index, (long long)w->shed.closed);
}

static void closed_count(struct worker *w)
{
    w->shed.closed++;
    counter_add(w->counters, METRIC_SHED_CONNECTIONS, 1);
}

static void fds_relieve(struct worker *w, struct guest_host *for_whom)
{
    fds_begin(w);
    for (uint32_t n = guests_relieve(w, SHORT_OF_FDS, for_whom, SHED_CONNS_AT_ONCE); n > 0; n--)
        closed_count(w);
}

void shed_no_fds(struct worker *w)
{
    fds_relieve(w, NULL);
}

bool shed_accepts(struct worker *w, int fd, struct guest_host *for_whom)
{
    int64_t max = shed_fds_max(w), used = (int64_t)fd * 1000;
    if (used < max * SHED_FDS_IDLE)
        return true;
    fds_relieve(w, for_whom);
    if (used < max * SHED_FDS_ALL)
        return true;
    closed_count(w);
    return false;
}

/* The smallest number that is free. */
static int64_t fd_next(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return INT32_MAX;
    close(fd);
    return fd;
}

/* --- is it over ------------------------------------------------------------------------------- */

static void on_review(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, shed.review);
    if (w->shed.buffers && buffers_used(w) < SHED_BUFFERS_END)
        buffers_end(w);
    else if (w->shed.buffers)
        (void)guests_relieve(w, SHORT_OF_BUFFERS, NULL, SHED_CONNS_AT_ONCE);
    if (w->shed.fds && fd_next() * 1000 < shed_fds_max(w) * SHED_FDS_END)
        fds_end(w);
    review_begin(w);
}

void shed_init(struct worker *w)
{
    timer_init(&w->shed.review, on_review);
}

void shed_release(struct worker *w)
{
    timer_stop(&w->loop.timers, &w->shed.review);
}
