/* pipe.c - the pipes of a loop: made, probed, kept and closed. See pipe.h.
 *
 * Whether splice() may be used is tried once per loop, on a pair of sockets: containers forbid it
 * now and then, and finding out in the middle of a body would be too late. */
// SPDX-License-Identifier: Apache-2.0
#include "io/pipe.h"
#include "base/assert.h"
#include "io/backend.h"
#include "io/loop.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* One page of the kernel's may carry as little as one segment. More is for the privileged, and the
 * kernel gives a user who has many pipes less than it takes to be of use. */
enum { PIPE_WISH_BYTES = 1 << 20, PIPE_LEAST_BYTES = 64 * 1024 };

static void pipe_close(struct io_pipe *p)
{
    close(p->rd);
    close(p->wr);
    free(p);
}

/* buf_drop() of the last count. */
static void pipe_free(struct buf *b)
{
    struct io_pipe *p = io_pipe_of(b);
    struct io_pipes *all = &p->loop->pipes;
    ASSERT(!p->waits);
    all->used_count--;
    if (b->len > 0 || all->spare_count == PIPES_KEPT) {
        pipe_close(p);
        return;
    }
    p->next = all->spare;
    all->spare = p;
    all->spare_count++;
}

static bool make_roomy(const struct io_pipe *p)
{
    return fcntl(p->wr, F_SETPIPE_SZ, PIPE_WISH_BYTES) >= PIPE_LEAST_BYTES ||
           fcntl(p->wr, F_GETPIPE_SZ) >= PIPE_LEAST_BYTES;
}

static struct io_pipe *pipe_new(struct loop *l)
{
    int fds[2];
    struct io_pipe *p = malloc(sizeof(*p));
    if (!p || pipe2(fds, O_NONBLOCK | O_CLOEXEC)) {
        free(p);
        return NULL;
    }
    *p = (struct io_pipe){.loop = l, .rd = fds[0], .wr = fds[1]};
    p->buf = (struct buf){.pool = &l->bufs, .size = BUF_PIPE};
    if (make_roomy(p))
        return p;
    pipe_close(p);
    return NULL;
}

static bool one_byte_passes(const int in[2], const int through[2], const int out[2])
{
    char byte = 'x';
    return write(in[0], &byte, 1) == 1 &&
           splice(in[1], NULL, through[1], NULL, 1, SPLICE_F_NONBLOCK | SPLICE_F_MOVE) == 1 &&
           splice(through[0], NULL, out[0], NULL, 1, SPLICE_F_NONBLOCK | SPLICE_F_MOVE) == 1 &&
           read(out[1], &byte, 1) == 1;
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static bool probe(void)
{
    int in[2], through[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, in))
        return false;
    bool made = pipe2(through, O_CLOEXEC | O_NONBLOCK) == 0;
    bool passes = made && one_byte_passes(in, through, in);
    if (made)
        close_both(through);
    close_both(in);
    return passes;
}

static bool may_use(struct loop *l)
{
    struct io_pipes *all = &l->pipes;
    if (!l->backend->has_pipes)
        return false;
    if (!all->probed)
        all->refused = !probe();
    all->probed = true;
    return !all->refused && all->used_count < PIPES_PER_LOOP;
}

struct buf *io_pipe_take(struct loop *l)
{
    if (!may_use(l))
        return NULL;
    struct io_pipe *p = l->pipes.spare;
    if (p) {
        l->pipes.spare = p->next;
        l->pipes.spare_count--;
    } else {
        p = pipe_new(l);
        l->bufs.free_pipe = pipe_free;
    }
    if (!p)
        return NULL;
    l->pipes.used_count++;
    p->emptied_ms = l->now_ms;
    p->buf.refs = 1;
    return &p->buf;
}

static void keep(struct loop *l, int count)
{
    struct io_pipes *all = &l->pipes;
    for (; all->spare_count > count; all->spare_count--) {
        struct io_pipe *p = all->spare;
        all->spare = p->next;
        pipe_close(p);
    }
}

void io_pipes_trim(struct loop *l)
{
    keep(l, l->pipes.spare_count / 2);
}

void io_pipes_release(struct loop *l)
{
    ASSERT(l->pipes.used_count == 0);
    keep(l, 0);
}
