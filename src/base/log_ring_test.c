/* log_ring_test.c - lines stay whole and contiguous across the ring's end; the largest line and
 * one past it; a full ring counts; two threads at full speed (for TSan). */
// SPDX-License-Identifier: Apache-2.0
#include "base/log_priv.h"
#include "tests/unit.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { RING = LOG_RING_MIN_BYTES, HEAD = sizeof(struct log_head), LARGEST = RING / 2 - HEAD - 1 };

static bool put(struct log_ring_shared *r, char fill, size_t len)
{
    char *to = log_ring_reserve(r, len);
    if (!to)
        return false;
    memset(to, fill, len);
    log_ring_publish(r, 3, LOG_WARN_, len);
    return true;
}

static void take(struct log_ring_shared *r, char fill, size_t len)
{
    struct log_head head;
    struct slice line;
    assert_true(log_ring_peek(r, &head, &line));
    assert_int_equal(head.sink, 3);
    assert_int_equal(head.level, LOG_WARN_);
    assert_int_equal(line.len, len + 1);
    assert_int_equal(line.at[len], '\n');
    for (size_t i = 0; i < len; i++)
        assert_int_equal(line.at[i], fill);
    log_ring_consume(r, &head);
}

static void lines_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct log_ring_shared *r = log_ring_new("test", 1);
    struct log_head head;
    struct slice line;
    assert_int_equal(r->size, RING);
    assert_false(log_ring_peek(r, &head, &line));
    for (size_t round = 0; round < 2000; round++) { /* many times around the ring */
        assert_true(put(r, 'a', round % 700));
        assert_true(put(r, 'b', round % 7));
        take(r, 'a', round % 700);
        take(r, 'b', round % 7);
        assert_true(log_ring_empty(r));
    }
    log_ring_free(r);
}

/* From wherever the ring stands, an empty ring takes the largest line, and none larger. */
static void largest_line_and_one_past(void **state)
{
    (void)state;
    struct log_ring_shared *r = log_ring_new("test", RING);
    for (size_t round = 0; round < RING / 8; round++) {
        assert_true(put(r, 'x', LARGEST));
        take(r, 'x', LARGEST);
        assert_true(put(r, 'y', 0));
        take(r, 'y', 0);
    }
    assert_false(put(r, 'x', LARGEST + 1));
    assert_false(put(r, 'x', RING));
    assert_null(log_ring_reserve(r, SIZE_MAX));
    assert_int_equal(r->dropped, 3);
    assert_true(log_ring_empty(r));
    log_ring_free(r);
}

static void full_ring_drops_and_recovers(void **state)
{
    (void)state;
    struct log_ring_shared *r = log_ring_new("test", RING);
    uint64_t dropped_before = log_dropped_count();
    enum { LEN = 64 - HEAD - 1, FIT = RING / 64 };
    for (size_t i = 0; i < FIT; i++) {
        assert_int_equal(log_ring_half_full(r), i >= FIT / 2);
        assert_true(put(r, 'x', LEN));
    }
    assert_false(put(r, 'x', LEN));
    assert_int_equal(log_dropped_count() - dropped_before, 1);
    take(r, 'x', LEN);
    assert_true(put(r, 'y', LEN));
    for (size_t i = 0; i < FIT - 1; i++)
        take(r, 'x', LEN);
    take(r, 'y', LEN);
    assert_true(log_ring_empty(r));
    assert_false(log_ring_half_full(r));
    log_ring_free(r);
}

static void reserved_line_may_be_given_up(void **state)
{
    (void)state;
    struct log_ring_shared *r = log_ring_new("test", RING);
    assert_non_null(log_ring_reserve(r, 1000));
    assert_true(log_ring_empty(r));
    assert_true(put(r, 'x', 10));
    take(r, 'x', 10);
    char *to = log_ring_reserve(r, 1000); /* and be shorter than announced */
    memset(to, 'z', 5);
    log_ring_publish(r, 3, LOG_WARN_, 5);
    take(r, 'z', 5);
    log_ring_free(r);
}

enum { LINES = 20000 };

static void *produce(void *arg)
{
    struct log_ring_shared *r = arg;
    for (unsigned n = 0; n < LINES; n++) {
        char *to;
        while (!(to = log_ring_reserve(r, 300)))
            sched_yield();
        int len = snprintf(to, 300, "%u %*s", n, (int)(n % 250), "");
        log_ring_publish(r, 0, LOG_INFO_, (size_t)len);
    }
    return NULL;
}

static void two_threads(void **state)
{
    (void)state;
    struct log_ring_shared *r = log_ring_new("test", RING);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
    for (unsigned due = 0; due < LINES;) {
        struct log_head head;
        struct slice line;
        if (!log_ring_peek(r, &head, &line)) {
            sched_yield();
            continue;
        }
        assert_int_equal(strtoul(line.at, NULL, 10), due++);
        assert_int_equal(line.at[line.len - 1], '\n');
        log_ring_consume(r, &head);
    }
    pthread_join(thread, NULL);
    assert_true(log_ring_empty(r));
    log_ring_free(r);
}

UNIT_SUITE(base_log_ring, cmocka_unit_test(lines_come_out_as_they_went_in),
           cmocka_unit_test(largest_line_and_one_past),
           cmocka_unit_test(full_ring_drops_and_recovers),
           cmocka_unit_test(reserved_line_may_be_given_up), cmocka_unit_test(two_threads));
