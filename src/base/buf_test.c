/* buf_test.c - counts, the pool's cap at its limit and one past, and trimming. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "base/buf.h"
#include "tests/unit.h"

static void counts_references(void **state)
{
    (void)state;
    struct buf_pool p;
    buf_pool_init(&p, 1 << 20);
    struct buf *b = buf_take(&p, BUF_SMALL);
    assert_int_equal(b->refs, 1);
    assert_int_equal(b->len, 0);
    assert_int_equal(b->cap, BUF_SMALL_BYTES);
    memset(b->bytes, 1, b->cap);
    struct span s = {buf_ref(b), b->bytes, 10};
    struct span copy = span_ref(s);
    buf_drop(b);
    span_drop(s);
    assert_int_equal(p.held_bytes, BUF_SMALL_BYTES);
    assert_int_equal(span_slice(copy).len, 10);
    span_drop(copy);
    assert_int_equal(p.held_bytes, 0);
    span_drop((struct span){NULL, "literal", 7});
    buf_pool_release(&p);
}

static void given_back(void *owner)
{
    ++*(int *)owner;
}

/* Bytes of others count against nothing, and their owner is told once, at the last count. */
static void lends_bytes(void **state)
{
    (void)state;
    struct buf_pool p;
    int told = 0;
    buf_pool_init(&p, 0);
    struct buf *b = buf_lend(&p, given_back, &told);
    assert_non_null(b);
    assert_int_equal(p.held_bytes, 0);
    struct span s = span_ref((struct span){b, "theirs", 6});
    buf_drop(b);
    assert_int_equal(told, 0);
    span_drop(s);
    assert_int_equal(told, 1);
    buf_drop(buf_lend(&p, given_back, &told));
    assert_int_equal(told, 2);
    buf_pool_release(&p);
}

static void cap_at_limit_and_past(void **state)
{
    (void)state;
    struct buf_pool p;
    buf_pool_init(&p, BUF_SMALL_BYTES + BUF_LARGE_BYTES);
    struct buf *small = buf_take(&p, BUF_SMALL), *large = buf_take(&p, BUF_LARGE);
    assert_non_null(small);
    assert_non_null(large);
    assert_int_equal(large->cap, BUF_LARGE_BYTES);
    assert_false(p.starved);
    assert_null(buf_take(&p, BUF_SMALL));
    assert_true(p.starved);
    assert_int_equal(p.refused, 1);
    buf_drop(large);
    large = buf_take(&p, BUF_LARGE);
    assert_non_null(large);
    assert_int_equal(p.refused, 1);
    buf_drop(large);
    buf_drop(small);
    buf_pool_release(&p);
}

static void bodies_leave_room_for_heads(void **state)
{
    (void)state;
    struct buf_pool p;
    struct buf *taken[32], *small;
    int n = 0;
    buf_pool_init(&p, 16 * BUF_LARGE_BYTES);
    while ((taken[n] = buf_take(&p, BUF_LARGE)))
        n++;
    assert_int_equal(n, 15);
    small = buf_take(&p, BUF_SMALL);
    assert_non_null(small);
    buf_drop(small);
    while (n > 0)
        buf_drop(taken[--n]);
    buf_pool_release(&p);
}

static void cap_one_byte_short(void **state)
{
    (void)state;
    struct buf_pool p;
    buf_pool_init(&p, BUF_SMALL_BYTES - 1);
    assert_null(buf_take(&p, BUF_SMALL));
    buf_pool_release(&p);
}

static void reuses_and_resets(void **state)
{
    (void)state;
    struct buf_pool p;
    buf_pool_init(&p, 1 << 20);
    struct buf *b = buf_take(&p, BUF_SMALL);
    b->len = 100;
    buf_drop(b);
    assert_int_equal(p.cached_bytes, ASAN_ON ? 0 : BUF_SMALL_BYTES);
    struct buf *again = buf_take(&p, BUF_SMALL);
    assert_int_equal(again->len, 0);
    assert_int_equal(again->refs, 1);
    assert_int_equal(p.cached_bytes, 0);
    buf_drop(again);
    buf_pool_release(&p);
}

static void take_and_drop_many(struct buf_pool *p, size_t count)
{
    struct buf *taken[16];
    for (size_t i = 0; i < count; i++)
        taken[i] = buf_take(p, BUF_SMALL);
    for (size_t i = 0; i < count; i++)
        buf_drop(taken[i]);
}

static void trims_after_a_peak(void **state)
{
    (void)state;
    struct buf_pool p;
    buf_pool_init(&p, 1 << 20);
    take_and_drop_many(&p, 16);
    size_t full = p.cached_bytes;
    buf_pool_trim(&p);
    assert_int_equal(p.cached_bytes, full); /* it was all in use just now */
    for (int i = 0; i < 3; i++) {
        take_and_drop_many(&p, 2);
        buf_pool_trim(&p);
    }
    assert_true(ASAN_ON || p.cached_bytes < full);
    for (int i = 0; i < 50; i++) {
        take_and_drop_many(&p, 2);
        buf_pool_trim(&p);
    }
    assert_int_equal(p.cached_bytes, ASAN_ON ? 0 : 2 * BUF_SMALL_BYTES);
    buf_pool_trim(&p);
    buf_pool_trim(&p); /* nobody needed one since the last time */
    assert_int_equal(p.cached_bytes, 0);
    buf_pool_release(&p);
}

UNIT_SUITE(base_buf, cmocka_unit_test(counts_references), cmocka_unit_test(lends_bytes),
           cmocka_unit_test(cap_at_limit_and_past), cmocka_unit_test(bodies_leave_room_for_heads),
           cmocka_unit_test(cap_one_byte_short), cmocka_unit_test(reuses_and_resets),
           cmocka_unit_test(trims_after_a_peak));
