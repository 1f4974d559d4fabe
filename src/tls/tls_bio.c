/* tls_bio.c - how OpenSSL reads and writes: from one window of bytes that were received, into one
 * buffer that is to be sent.
 *
 * One BIO serves both directions. It never waits and never touches a descriptor: an empty window is
 * "try again", so OpenSSL comes back to us, and we to the loop. What OpenSSL did not take stays in
 * our buffer. Two copies less than its memory BIOs, and no memory of its own. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_conn_priv.h"
#include <pthread.h>

static BIO_METHOD *method;

static int bio_read(BIO *b, char *to, size_t cap, size_t *n)
{
    struct tls_conn *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->in_len == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    *n = cap < t->in_len ? cap : t->in_len;
    memcpy(to, t->in_at, *n);
    t->in_at += *n;
    t->in_len -= *n;
    return 1;
}

static bool fits(const struct tls_conn *t, size_t bytes)
{
    return t->out && t->out->cap - t->out_len >= bytes;
}

/* From the reserve, too: what is encrypted here gives back the buffers that it lay in. */
static struct buf *take_out(struct tls_conn *t, size_t bytes)
{
    return buf_take_reserve(&t->conn->loop->bufs, bytes <= BUF_SMALL_BYTES ? BUF_SMALL : BUF_LARGE);
}

/* A small buffer with something in it becomes a large one, unless it is being sent. */
static bool grow(struct tls_conn *t, size_t bytes)
{
    size_t had = t->out_len - t->out_from;
    if (t->conn->send_op.armed || had + bytes > BUF_LARGE_BYTES)
        return false;
    struct buf *b = take_out(t, had + bytes);
    if (!b)
        return false;
    memcpy(b->bytes, t->out->bytes + t->out_from, had);
    buf_drop(t->out);
    t->out = b;
    t->out_from = 0;
    t->out_len = (uint32_t)had;
    return true;
}

bool tls_out_reserve(struct tls_conn *t, size_t bytes)
{
    if (fits(t, bytes))
        return true;
    if (t->out)
        return grow(t, bytes);
    t->out_from = t->out_len = 0;
    return (t->out = take_out(t, bytes)) != NULL;
}

static int bio_write(BIO *b, const char *from, size_t len, size_t *n)
{
    struct tls_conn *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (!tls_out_reserve(t, len)) {
        BIO_set_retry_write(b);
        return 0;
    }
    memcpy(t->out->bytes + t->out_len, from, len);
    t->out_len += (uint32_t)len;
    t->conn->layer_unsent = true; /* whoever called OpenSSL sees to it that it is sent */
    *n = len;
    return 1;
}

static long bio_ctrl(BIO *b, int cmd, long larg, void *parg)
{
    (void)b;
    (void)larg;
    (void)parg;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static void make_method(void)
{
    int type = BIO_get_new_index();
    method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "weir");
    if (!method)
        return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

bool tls_bio_init(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!method)
        make_method(); /* again, when memory was short the last time */
    bool made = method != NULL;
    pthread_mutex_unlock(&lock);
    return made;
}

BIO *tls_bio_new(struct tls_conn *t)
{
    BIO *b = BIO_new(method);
    if (!b)
        return NULL;
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    return b;
}
