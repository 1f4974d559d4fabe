/* sim_pipe.c - bytes that stay in the kernel, on the simulated network.
 *
 * The pipes are real ones, used as memory: what a receive moves into one is written there and what
 * a send moves out is read, so their owners find the same pipes, limits and waits as with epoll. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "io/backend.h"
#include "io/sim_priv.h"
#include <unistd.h>

/* What every pipe takes, however little the kernel gave it. */
enum { SIM_PIPE_BYTES = 64 * 1024 };

static struct io_pipe *pipe_of(const struct io_op *op)
{
    return io_pipe_of(op->buf);
}

bool sim_pipe_ready(struct io_op *op)
{
    bool empty = pipe_of(op)->buf.len == 0;
    if (!empty)
        pipe_of(op)->waits = op;
    return empty;
}

size_t sim_pipe_fill(const struct io_op *op, const char *at, size_t len)
{
    struct io_pipe *p = pipe_of(op);
    if (len > p->recv_max)
        len = p->recv_max;
    if (len > SIM_PIPE_BYTES)
        len = SIM_PIPE_BYTES;
    ssize_t n = write(p->wr, at, len);
    ASSERT(n > 0);
    p->buf.len = (uint32_t)n;
    return (size_t)n;
}

size_t sim_pipe_bytes(const struct io_op *op)
{
    return pipe_of(op)->send_max;
}

void sim_pipe_take(const struct io_op *op, char *to, size_t len)
{
    struct io_pipe *p = pipe_of(op);
    ASSERT(len <= p->buf.len && read(p->rd, to, len) == (ssize_t)len);
    p->buf.len -= (uint32_t)len;
}

void sim_pipe_took(struct loop *l, struct io_pipe *p)
{
    struct io_op *op = p->waits;
    if (p->buf.len > 0)
        return;
    p->waits = NULL;
    p->emptied_ms = l->now_ms;
    if (op)
        l->backend->start(l, op);
}
