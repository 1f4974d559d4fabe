/* h1_read_test.c - heads and trailers that begin at the end of one buffer and go on in the next. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h1/h1_io_priv.h"
#include "tests/unit.h"
#include <stdio.h>
#include <string.h>

static const struct stream_limits limits = {
    .head_bytes = 1000,
    .line_bytes = 100,
    .header_count = 10,
    .trailer_bytes = 100,
    .chunk_ext_bytes = 10,
};

static struct buf_pool pool;
static struct arena arena;
static struct task_queue tasks;

/* `text` as what was received last: its first `split` bytes end a large buffer whose other bytes
 * were used already, the rest waits in a buffer of its own. */
static void in_hand(struct h1_in *in, const char *text, size_t split)
{
    size_t len = strlen(text);
    struct buf *first = buf_take(&pool, BUF_LARGE), *second = buf_take(&pool, BUF_SMALL);
    *in = (struct h1_in){.limits = &limits, .arena = &arena};
    first->len = first->cap;
    second->len = (uint32_t)(len - split);
    in->bytes = (struct span){first, first->bytes + first->cap - split, split};
    in->more = (struct span){second, second->bytes, len - split};
    memcpy(first->bytes + first->cap - split, text, split);
    memcpy(second->bytes, text + split, len - split);
}

static void open_all(void)
{
    buf_pool_init(&pool, 1 << 20);
    arena_init(&arena, 1 << 20);
    task_queue_init(&tasks);
}

static void close_all(void)
{
    arena_release(&arena);
    buf_pool_release(&pool);
}

static void head_goes_on_in_the_next_buffer(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", rest[] = "GET /next";
    char text[sizeof head + sizeof rest];
    (void)state;
    open_all();
    snprintf(text, sizeof text, "%s%s", head, rest);
    for (size_t split = 1; split < sizeof head; split++) {
        struct h1_in in;
        size_t len = 0;
        in_hand(&in, text, split);
        assert_int_equal(h1_in_head(&in, &len), ERR_OK);
        assert_int_equal(len, sizeof head - 1);
        h1_in_skip(&in, len);
        in.scan = (struct h1_scan){0};
        assert_int_equal(h1_in_head(&in, &len), ERR_HOLD);
        assert_true(slice_eq(span_slice(in.bytes), slice_of(rest)));
        assert_int_equal(in.more.len, 0);
        h1_in_drop(&in);
    }
    close_all();
}

static void head_that_is_too_large_is_refused_all_the_same(void **state)
{
    struct h1_in in;
    size_t len;
    char text[1200] = "GET / HTTP/1.1\r\nA: ";
    (void)state;
    open_all();
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    in_hand(&in, text, 900);
    assert_int_equal(h1_in_head(&in, &len), ERR_HEAD_TOO_LARGE);
    h1_in_drop(&in);
    close_all();
}

static void head_without_buffers_says_so(void **state)
{
    struct h1_in in;
    size_t len;
    (void)state;
    open_all();
    in_hand(&in, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 10);
    pool.cap_bytes = 0;
    assert_int_equal(h1_in_head(&in, &len), ERR_NO_BUFFERS);
    h1_in_drop(&in);
    close_all();
}

static void trailers_go_on_in_the_next_buffer(void **state)
{
    static const char text[] = "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\nGET";
    (void)state;
    for (size_t split = 1; split < sizeof text - 1; split++) {
        struct h1_in in;
        struct body body;
        open_all();
        body_init(&body, &tasks, NULL, 1 << 16);
        in_hand(&in, text, split);
        h1_in_begin(&in, H1_CHUNKED, 0);
        assert_int_equal(h1_in_body(&in, &body), ERR_OK);
        assert_int_equal(body.bytes, 3);
        assert_non_null(body.trailers);
        assert_true(slice_eq(slice_head(span_slice(in.bytes), 1), SLICE("G")));
        body_release(&body);
        h1_in_drop(&in);
        close_all();
    }
}

UNIT_SUITE(h1_h1_read, cmocka_unit_test(head_goes_on_in_the_next_buffer),
           cmocka_unit_test(head_that_is_too_large_is_refused_all_the_same),
           cmocka_unit_test(head_without_buffers_says_so),
           cmocka_unit_test(trailers_go_on_in_the_next_buffer));
