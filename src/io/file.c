/* file.c - sends bytes of files by sendfile(2), no faster than they are in memory. See file.h.
 *
 * sendfile() would wait for the disk. So bytes are looked at before, one in each window of the
 * kernel's read-ahead (RWF_NOWAIT tells those that are there from those on their way), and what is
 * behind the first that is missing is left for the next time. Pages that leave memory between the
 * look and the send, or single ones within a window, still make the loop wait: for one read. */
// SPDX-License-Identifier: Apache-2.0
#include "io/file.h"
#include "base/assert.h"
#include "io/backend.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum {
    LOOK_BYTES = 128 * 1024, /* read_ahead_kb is 128 where nobody changed it */
    AHEAD_BYTES = 1 << 20,   /* asked of the disk at a time */
    QUICK_WAITS = 16,        /* of 1 ms, then SLOW_WAIT_MS each */
    SLOW_WAIT_MS = 10,
    WAITS_MAX = 200 + QUICK_WAITS,
    COPY_BYTES = 16 * 1024, /* where sendfile() is refused */
};

static void file_free(struct buf *b)
{
    struct io_file *f = io_file_of(b);
    ASSERT(!f->waits);
    f->release(f->owner);
    free(f);
}

static void on_again(struct timer *t)
{
    struct io_file *f = CONTAINER_OF(t, struct io_file, again);
    struct io_op *op = f->waits;
    f->waits = NULL;
    if (op)
        f->loop->backend->start(f->loop, op);
}

struct buf *io_file_new(struct loop *l, int fd, const struct stat *st, void (*release)(void *owner),
                        void *owner)
{
    struct io_file *f = l->backend->has_files ? malloc(sizeof(*f)) : NULL;
    if (!f)
        return NULL;
    *f = (struct io_file){.loop = l,
                          .fd = fd,
                          .bytes = st->st_size,
                          .modified = st->st_mtim,
                          .release = release,
                          .owner = owner,
                          .knows_memory = true};
    f->buf = (struct buf){.pool = &l->bufs, .size = BUF_FILE, .refs = 1};
    timer_init(&f->again, on_again);
    l->bufs.free_file = file_free;
    return &f->buf;
}

/* --- what is in memory ------------------------------------------------------------------------ */

/* The end of the file counts: the send will find out. */
static bool is_in_memory(struct io_file *f, uint64_t at)
{
    char byte;
    struct iovec to = {&byte, 1};
    ssize_t n = preadv2(f->fd, &to, 1, (off_t)at, RWF_NOWAIT);
    if (n < 0 && errno != EAGAIN)
        f->knows_memory = false;
    return n >= 0 || !f->knows_memory;
}

/* How many of the bytes asked for. */
static size_t bytes_in_memory(struct io_file *f)
{
    size_t seen = 0;
    if (!is_in_memory(f, f->send_at))
        return 0;
    while (seen < f->send_len && f->knows_memory) {
        size_t left = f->send_len - seen, step = left < LOOK_BYTES ? left : LOOK_BYTES;
        if (!is_in_memory(f, f->send_at + seen + step - 1))
            return seen ? seen : 1;
        seen += step;
    }
    return f->send_len;
}

static void wait_for_disk(struct io_file *f, struct io_op *op)
{
    struct loop *l = f->loop;
    f->waits = op;
    f->wait_count++;
    posix_fadvise(f->fd, (off_t)f->send_at, AHEAD_BYTES, POSIX_FADV_WILLNEED);
    timer_set(&l->timers, &f->again, l->now_ms + (f->wait_count <= QUICK_WAITS ? 1 : SLOW_WAIT_MS));
}

bool io_file_ready(struct io_file *f, struct io_op *op)
{
    if (!f->knows_memory || f->wait_count >= WAITS_MAX)
        return true;
    size_t bytes = bytes_in_memory(f);
    if (bytes == 0) {
        wait_for_disk(f, op);
        return false;
    }
    f->send_len = bytes;
    return true;
}

void io_file_settle(struct io_file *f)
{
    f->waits = NULL;
    f->wait_count = 0;
    timer_stop(&f->loop->timers, &f->again);
}

/* --- sending ---------------------------------------------------------------------------------- */

static bool has_changed(const struct io_file *f)
{
    struct stat now;
    return fstat(f->fd, &now) != 0 || now.st_size != f->bytes ||
           now.st_mtim.tv_sec != f->modified.tv_sec || now.st_mtim.tv_nsec != f->modified.tv_nsec;
}

/* What filters of system calls and odd file systems answer. */
static bool is_refused(int error)
{
    return error == EINVAL || error == ENOSYS || error == EPERM || error == EOPNOTSUPP;
}

static ssize_t send_copied(const struct io_file *f, int sock)
{
    char bytes[COPY_BYTES];
    size_t len = f->send_len < sizeof(bytes) ? f->send_len : sizeof(bytes);
    ssize_t n = pread(f->fd, bytes, len, (off_t)f->send_at);
    return n > 0 ? send(sock, bytes, (size_t)n, MSG_NOSIGNAL) : n;
}

ssize_t io_file_send(struct io_file *f, int sock)
{
    off_t at = (off_t)f->send_at;
    if (has_changed(f))
        return -ESTALE;
    ssize_t n = sendfile(sock, f->fd, &at, f->send_len);
    if (n < 0 && is_refused(errno))
        n = send_copied(f, sock);
    if (n == 0)
        return -ESTALE; /* cut off since we looked */
    if (n > 0)
        return n;
    return errno == EINTR ? -EAGAIN : -errno;
}
