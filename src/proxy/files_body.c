/* files_body.c - sends a file, whole or in parts: large ones from the page cache to the connection
 * (io/file.h), others in copied pieces of at most 64 KB.
 *
 * Which of the two is known once the filters have seen the response: such a body begins with the
 * step "relay". Of what is copied, only what is in the page cache is read (RWF_NOWAIT); for the
 * rest the kernel is asked to fetch it and a timer looks again, so that a slow disk does not hold
 * up the other requests of the worker. Where a file system can not tell, or nothing has come for
 * two seconds, the read blocks.
 *
 * The length was promised when the file was opened. If it changes under way, its time or its size,
 * the response is broken off before its last byte: the client sees that it is not whole. */
// SPDX-License-Identifier: Apache-2.0
#include "io/file.h"
#include "proxy/files_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 65536,
    AHEAD_BYTES = 1 << 20, /* asked of the disk at a time */
    QUICK_WAITS = 16,      /* of 1 ms, then SLOW_WAIT_MS each */
    SLOW_WAIT_MS = 10,
    WAITS_MAX = 200 + QUICK_WAITS,
};

static bool time_differs(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec;
}

static bool has_changed(const struct open_file *f)
{
    struct stat now;
    return fstat(f->fd, &now) != 0 || now.st_size != f->st.st_size ||
           time_differs(now.st_mtim, f->st.st_mtim);
}

static void file_close(struct file_body *f)
{
    if (!f->file)
        return;
    if (f->spans)
        buf_drop(f->spans);
    f->spans = NULL;
    open_file_drop(f->file);
    f->file = NULL;
    f->x->worker->files_open--;
}

static struct buf *piece_buf(struct file_body *f, uint64_t bytes)
{
    return buf_take_reserve(&f->x->worker->loop.bufs,
                            bytes > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
}

/* As much of the text as goes into what is left of the buffer. */
static void head_add(struct file_part *p, struct buf *b)
{
    size_t room = b->cap - b->len, n = p->head.len < room ? p->head.len : room;
    if (n == 0)
        return;
    memcpy(b->bytes + b->len, p->head.at, n);
    b->len += (uint32_t)n;
    p->head = slice_from(p->head, n);
}

static enum err read_blocking(struct file_body *f, const struct iovec *to, uint64_t at, ssize_t *n)
{
    do
        *n = preadv(f->file->fd, to, 1, (off_t)at);
    while (*n < 0 && errno == EINTR);
    return *n >= 0 ? ERR_OK : ERR_IO;
}

/* ERR_HOLD: not in memory yet. */
static enum err read_some(struct file_body *f, const struct iovec *to, uint64_t at, ssize_t *n)
{
    if (f->waits >= WAITS_MAX)
        return read_blocking(f, to, at, n);
    *n = preadv2(f->file->fd, to, 1, (off_t)at, RWF_NOWAIT);
    if (*n >= 0)
        return ERR_OK;
    if (errno != EAGAIN)
        return read_blocking(f, to, at, n);
    posix_fadvise(f->file->fd, (off_t)at, AHEAD_BYTES, POSIX_FADV_WILLNEED);
    return ERR_HOLD;
}

static enum err file_add(struct file_body *f, struct file_part *p, struct buf *b)
{
    size_t room = b->cap - b->len;
    if (room > PIECE_BYTES)
        room = PIECE_BYTES;
    struct iovec to = {b->bytes + b->len, p->left < room ? (size_t)p->left : room};
    ssize_t n = 0;
    if (to.iov_len == 0)
        return ERR_OK;
    TRY(read_some(f, &to, p->at, &n));
    f->waits = 0;
    if (n == 0 || (f->begun && has_changed(f->file)))
        return ERR_FILE_CHANGED;
    b->len += (uint32_t)n;
    p->at += (uint64_t)n;
    p->left -= (uint64_t)n;
    return ERR_OK;
}

static bool goes_uncopied(const struct file_body *f, const struct file_part *p)
{
    return f->spans && p->left >= FILE_SPAN_MIN_BYTES;
}

/* Without a look at the file: that comes right before it is sent. */
static enum err span_push(struct file_body *f, struct file_part *p)
{
    size_t len = p->left < FILE_SPAN_MAX_BYTES ? (size_t)p->left : FILE_SPAN_MAX_BYTES;
    struct span s = io_file_span(f->spans, p->at, len);
    p->at += len;
    p->left -= len;
    if (p->left == 0)
        f->part++;
    return body_push(&f->x->res_body, s);
}

static enum err piece_push(struct file_body *f)
{
    struct file_part *p = &f->parts[f->part];
    bool uncopied = goes_uncopied(f, p);
    if (uncopied && p->head.len == 0)
        return span_push(f, p);
    struct buf *b = piece_buf(f, p->head.len + (uncopied ? 0 : p->left));
    if (!b)
        return ERR_NO_BUFFERS;
    b->len = 0;
    head_add(p, b);
    enum err e = p->head.len == 0 && !uncopied ? file_add(f, p, b) : ERR_OK;
    if ((e != ERR_OK && e != ERR_HOLD) || b->len == 0) {
        buf_drop(b);
        return e;
    }
    if (p->head.len == 0 && p->left == 0)
        f->part++;
    enum err pushed = body_push(&f->x->res_body, (struct span){b, b->bytes, b->len});
    return pushed == ERR_OK ? e : pushed;
}

static void wait_again(struct file_body *f)
{
    struct loop *l = &f->x->worker->loop;
    f->waits++;
    timer_set(&l->timers, &f->again, l->now_ms + (f->waits <= QUICK_WAITS ? 1 : SLOW_WAIT_MS));
}

static void fill(struct body *body)
{
    struct file_body *f = body->producer;
    enum err e = ERR_OK;
    if (timer_armed(&f->again))
        return;
    while (e == ERR_OK && f->part < f->count && body_room(body) > 0)
        e = piece_push(f);
    f->begun = true;
    body->starved = f->part < f->count && e == ERR_OK;
    if (e == ERR_HOLD) {
        wait_again(f);
        return;
    }
    if (e != ERR_OK)
        body_fail(body, e);
    else if (f->part == f->count)
        body_end(body);
    if (e != ERR_OK || f->part == f->count)
        file_close(f);
}

static void open_file_let_go(void *file)
{
    open_file_drop(file);
}

/* A failure to is no failure: then it is copied. */
static void spans_make(struct file_body *f)
{
    f->spans =
        io_file_new(&f->x->worker->loop, f->file->fd, &f->file->st, open_file_let_go, f->file);
    if (f->spans)
        open_file_ref(f->file);
}

static void again_fired(struct timer *t)
{
    struct file_body *f = CONTAINER_OF(t, struct file_body, again);
    fill(&f->x->res_body);
}

struct file_body *file_body_new(struct exchange *x, struct open_file *file)
{
    if (file && x->worker->files_open >= FILES_OPEN_MAX)
        return NULL;
    struct file_body *f = ARENA_NEW(&x->arena, struct file_body);
    if (!f)
        return NULL;
    f->x = x;
    f->file = file ? open_file_ref(file) : NULL;
    text_init(&f->listing);
    timer_init(&f->again, again_fired);
    if (file)
        x->worker->files_open++;
    x->file = f;
    return f;
}

static bool has_large_part(const struct file_body *f)
{
    for (unsigned i = 0; i < f->count; i++)
        if (f->parts[i].left >= FILE_SPAN_MIN_BYTES)
            return true;
    return false;
}

void file_body_start(struct file_body *f)
{
    struct body *b = &f->x->res_body;
    b->producer = f;
    b->want = fill;
    f->late = f->file && f->x->client->takes_pipes && has_large_part(f);
    if (!f->late)
        fill(b);
}

void file_body_begin(struct exchange *x)
{
    struct file_body *f = x->file;
    if (!f->late)
        return;
    f->late = false;
    if (!x->res_transform)
        spans_make(f);
    fill(&x->res_body);
}

void file_body_release(struct exchange *x)
{
    struct file_body *f = x->file;
    if (!f)
        return;
    timer_stop(&x->worker->loop.timers, &f->again);
    file_close(f);
    text_release(&f->listing);
    x->file = NULL;
}
