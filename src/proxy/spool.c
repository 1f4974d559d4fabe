/* spool.c - the step "buffer": the whole request body before a server is chosen (`buffer on`).
 *
 * Bytes are kept in memory up to a limit, then in an unlinked temporary file. The server gets them
 * through a body of the spool's own, which can be rewound for a retry. */
// SPDX-License-Identifier: Apache-2.0
#include "base/counters.h"
#include "proxy/exchange_priv.h"
#include "proxy/target.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct spool {
    struct exchange *x;
    struct body body; /* what the server is sent */
    char *memory;
    size_t memory_cap;
    uint64_t bytes, read_at;
    int fd; /* -1: all in memory */
};

struct body *request_body(struct exchange *x)
{
    return x->spool ? &x->spool->body : transform_body(x->req_transform, &x->req_body);
}

uint64_t spool_bytes(const struct exchange *x)
{
    return x->spool->bytes;
}

void spool_release(struct exchange *x)
{
    struct spool *s = x->spool;
    if (!s)
        return;
    body_release(&s->body);
    if (s->fd >= 0)
        close(s->fd);
    free(s->memory);
    free(s);
    x->spool = NULL;
}

static enum err spool_make(struct exchange *x)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    s->x = x;
    s->fd = -1;
    x->spool = s;
    return ERR_OK;
}

static enum err file_write(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n <= 0)
            return ERR_SPOOL;
        at += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

/* A file that has no name, or (some file systems can not make such) none any more. */
static int file_open(void)
{
    const char *dir = getenv("TMPDIR");
    char path[PATH_MAX];
    int fd = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EOPNOTSUPP)
        return fd;
    snprintf(path, sizeof path, "%s/weir-body-XXXXXX", dir ? dir : "/tmp");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Past the memory limit everything so far moves to a file. */
static enum err spill(struct spool *s)
{
    s->fd = file_open();
    if (s->fd < 0)
        return ERR_SPOOL;
    counter_add(s->x->worker->counters, METRIC_SPOOLED, 1);
    TRY(file_write(s->fd, s->memory, (size_t)s->bytes));
    free(s->memory);
    s->memory = NULL;
    return ERR_OK;
}

static enum err memory_reserve(struct spool *s, size_t need)
{
    if (need <= s->memory_cap)
        return ERR_OK;
    size_t cap = s->memory_cap ? s->memory_cap * 2 : 16384;
    while (cap < need)
        cap *= 2;
    char *grown = realloc(s->memory, cap);
    if (!grown)
        return ERR_NO_MEMORY;
    s->memory = grown;
    s->memory_cap = cap;
    return ERR_OK;
}

static enum err append(struct spool *s, struct slice bytes)
{
    size_t limit = (size_t)s->x->settings->buffer_memory_bytes;
    if (s->fd < 0 && s->bytes + bytes.len > limit)
        TRY(spill(s));
    if (s->fd >= 0) {
        TRY(file_write(s->fd, bytes.at, bytes.len));
    } else {
        TRY(memory_reserve(s, (size_t)s->bytes + bytes.len));
        memcpy(s->memory + s->bytes, bytes.at, bytes.len);
    }
    s->bytes += bytes.len;
    return ERR_OK;
}

/* --- the way out ------------------------------------------------------------------------------ */

static enum err fill_one(struct spool *s)
{
    struct buf *b = buf_take_reserve(&s->x->worker->loop.bufs, BUF_LARGE);
    if (!b)
        return ERR_NO_BUFFERS;
    uint64_t left = s->bytes - s->read_at;
    size_t want = left < b->cap ? (size_t)left : b->cap;
    ssize_t n = (ssize_t)want;
    if (s->fd >= 0)
        n = pread(s->fd, b->bytes, want, (off_t)s->read_at);
    else
        memcpy(b->bytes, s->memory + s->read_at, want);
    if (n <= 0) {
        buf_drop(b);
        return ERR_SPOOL;
    }
    b->len = (uint32_t)n;
    s->read_at += (uint64_t)n;
    return body_push(&s->body, (struct span){b, b->bytes, (size_t)n});
}

static void fill(struct body *body)
{
    struct spool *s = body->producer;
    enum err e = ERR_OK;
    while (e == ERR_OK && s->read_at < s->bytes && body_room(body) > 0)
        e = fill_one(s);
    body->starved = s->read_at < s->bytes;
    if (e != ERR_OK)
        body_fail(body, e);
    else if (s->read_at == s->bytes)
        body_end(body);
}

enum err spool_rewind(struct exchange *x)
{
    struct spool *s = x->spool;
    body_reset(x, &s->body);
    s->body.producer = s;
    s->body.want = fill;
    s->read_at = 0;
    fill(&s->body);
    return s->body.err;
}

/* --- the step --------------------------------------------------------------------------------- */

static enum err gather(struct exchange *x)
{
    struct body *b;
    while ((b = transform_body(x->req_transform, &x->req_body))->count > 0) {
        struct span span = body_take(b, SIZE_MAX);
        enum err e = append(x->spool, span_slice(span));
        span_drop(span);
        TRY(e);
    }
    if (b->err != ERR_OK)
        return b->err;
    return body_done(b) ? ERR_OK : ERR_HOLD;
}

/* An application behind FastCGI has to be told how long the body is. */
static bool needs_length(const struct exchange *x)
{
    const struct target *t = x->settings->target;
    return t && settings_pointer_is_set(t) && t->fastcgi && x->req.length == LENGTH_UNKNOWN;
}

static bool wants_buffer(const struct exchange *x)
{
    bool asked = x->settings->buffer_request == 1 && x->req.length != LENGTH_NONE;
    return (asked || needs_length(x)) && !x->dry;
}

static enum err buffer_whole(struct exchange *x)
{
    if (!x->spool) {
        TRY(spool_make(x));
        if (x->req.expect_continue)
            TRY(continue_send(x));
    }
    enum err e = gather(x);
    if (e == ERR_HOLD)
        TRY(relay_deadline(x));
    return e;
}

enum outcome step_buffer(struct exchange *x)
{
    if (!wants_buffer(x))
        return NEXT;
    enum err e = buffer_whole(x);
    if (e == ERR_OK)
        return NEXT;
    return e == ERR_HOLD ? HOLD : exchange_fail(x, e);
}
