/* log_test.c - the whole log with real files: with and without the writer thread, threads that
 * come and go, drops that are reported, and what the error log makes of hostile texts. */
// SPDX-License-Identifier: Apache-2.0
#include "base/date.h"
#include "base/log.h"
#include "base/log_priv.h"
#include "base/log_testdir.h"
#include "base/num.h"
#include "tests/unit.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

static void direct_without_writer(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    assert_true(sink > 0);
    assert_true(log_line(sink, SLICE("one")));
    assert_string_equal(test_read(d, "a"), "one\n"); /* at once */
    char *to = log_line_begin(sink, 100);
    memcpy(to, "two!", 4);
    log_line_commit(3);
    assert_true(log_line(sink, SLICE_NONE));
    assert_string_equal(test_read(d, "a"), "one\ntwo\n\n");
    log_sink_drop(sink);
}

static void through_the_writer(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_start();
    assert_true(log_line(sink, SLICE("no ring"))); /* goes out directly */
    assert_string_equal(test_read(d, "a"), "no ring\n");
    log_thread_begin("test", 1);
    assert_true(log_line(sink, SLICE("one")));
    assert_non_null(log_line_begin(sink, 10)); /* given up */
    assert_true(log_line(sink, SLICE("two")));
    test_wait_for(d, "a", "no ring\none\ntwo\n"); /* without anybody asking */
    assert_true(log_line(sink, SLICE("three")));
    log_stop();
    assert_string_equal(test_read(d, "a"), "no ring\none\ntwo\nthree\n");
    assert_true(log_line(sink, SLICE("after"))); /* directly again */
    assert_string_equal(test_read(d, "a"), "no ring\none\ntwo\nthree\nafter\n");
    log_thread_end();
    log_sink_drop(sink);
}

enum { THREADS = 4, LINES = 3000 };

struct producer {
    pthread_t thread;
    int id, sink;
    uint64_t accepted;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    log_thread_begin("producer", LOG_RING_MIN_BYTES);
    for (uint64_t n = 0; n < LINES; n++) {
        char *to = log_line_begin(p->sink, 64);
        if (!to)
            continue;
        to[0] = (char)('0' + p->id);
        to[1] = ' ';
        log_line_commit(2 + num_write_u64(to + 2, n));
        p->accepted++;
        if (n % 64 == 0)
            sched_yield();
    }
    log_thread_end();
    return NULL;
}

/* Lines of each thread come in their order; returns how many there are. */
static uint64_t check_order(struct slice text)
{
    int64_t last[THREADS] = {-1, -1, -1, -1};
    uint64_t count = 0;
    struct slice line;
    while (slice_cut(&text, '\n', &line) && line.len > 0) {
        uint64_t n = 0;
        assert_in_range(line.at[0], '0', '0' + THREADS - 1);
        assert_int_equal(num_parse_u64(slice_from(line, 2), &n), ERR_OK);
        assert_true((int64_t)n > last[line.at[0] - '0']);
        last[line.at[0] - '0'] = (int64_t)n;
        count++;
    }
    return count;
}

static void many_threads_lose_nothing_uncounted(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    int errors = log_sink_open(LOG_TO_FILE, test_path(d, "errors"));
    struct producer producers[THREADS];
    uint64_t dropped_before = log_dropped_count(), accepted = 0;
    log_error_set(errors, LOG_NOTICE_);
    log_start();
    for (int i = 0; i < THREADS; i++) {
        producers[i] = (struct producer){.id = i, .sink = sink};
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(producers[i].thread, NULL);
        accepted += producers[i].accepted;
    }
    log_stop();
    assert_int_equal(accepted + log_dropped_count() - dropped_before, THREADS * LINES);
    assert_int_equal(check_order(slice_of(test_read(d, "a"))), accepted);
    log_error_set(0, LOG_NOTICE_);
    log_sink_drop(errors);
    log_sink_drop(sink);
}

static void reports_what_a_full_ring_dropped(void **state)
{
    struct test_dir *d = *state;
    static const char large[LOG_RING_MIN_BYTES];
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    uint64_t dropped_before = log_dropped_count();
    log_error_set(sink, LOG_NOTICE_);
    log_start();
    log_thread_begin("worker 7", LOG_RING_MIN_BYTES);
    assert_false(log_line(sink, (struct slice){large, LOG_RING_MIN_BYTES / 2}));
    assert_false(log_line(sink, (struct slice){large, LOG_RING_MIN_BYTES / 2}));
    assert_true(log_line(sink, SLICE("fits")));
    log_stop();
    assert_int_equal(log_dropped_count() - dropped_before, 2);
    const char *text = test_read(d, "a");
    assert_non_null(strstr(text, "fits\n"));
    assert_non_null(strstr(text, " warn log ring of worker 7 was full: 2 lines dropped\n"));
    log_thread_end();
    log_error_set(0, LOG_NOTICE_);
    log_sink_drop(sink);
}

static void ring_dies_with_its_thread(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_thread_begin("early", 1); /* before the writer, and gone before it */
    log_thread_end();
    log_start();
    for (int i = 0; i < 20; i++) {
        log_thread_begin("short", 1);
        assert_true(log_line(sink, SLICE("x")));
        log_thread_end();
    }
    log_stop();
    assert_int_equal(strlen(test_read(d, "a")), 40);
    log_sink_drop(sink);
}

static void error_log_lines(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_error_set(sink, LOG_WARN_);
    assert_int_equal(log_error_level(), LOG_WARN_);
    log_write(LOG_NOTICE_, "below the level");
    log_write(LOG_WARN_, "a\r\n%s\x7f\x1b[m", "forged line");
    const char *text = test_read(d, "a");
    assert_int_equal(text[DATE_ISO_BYTES], ' ');
    assert_string_equal(text + DATE_ISO_BYTES, " warn a??forged line??[m\n");
    log_error_set(0, LOG_NOTICE_);
    log_sink_drop(sink);
}

static void error_log_cuts_long_texts(void **state)
{
    struct test_dir *d = *state;
    enum { PREFIX = DATE_ISO_BYTES + sizeof(" error ") - 1, ROOM = LOG_TEXT_MAX - PREFIX - 1 };
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_error_set(sink, LOG_WARN_);
    log_write(LOG_ERROR_, "%*d", ROOM, 7);
    const char *text = test_read(d, "a");
    assert_string_equal(text + PREFIX + ROOM - 1, "7\n");
    size_t len = strlen(text);
    log_write(LOG_ERROR_, "%*d", ROOM + 1, 7);
    text = test_read(d, "a") + len;
    assert_int_equal(strlen(text), PREFIX + ROOM + 1);
    assert_string_equal(text + PREFIX + ROOM - 1, " \n");
    log_error_set(0, LOG_NOTICE_);
    log_sink_drop(sink);
}

static void levels_by_name(void **state)
{
    (void)state;
    for (int l = LOG_DEBUG_; l <= LOG_ERROR_; l++) {
        enum log_level parsed = LOG_DEBUG_;
        struct slice name = slice_of(log_level_name((enum log_level)l));
        assert_int_equal(log_level_parse(name, &parsed), ERR_OK);
        assert_int_equal(parsed, l);
    }
    enum log_level untouched = LOG_WARN_;
    assert_int_equal(log_level_parse(SLICE("loud"), &untouched), ERR_NOT_FOUND);
    assert_int_equal(log_level_parse(SLICE(""), &untouched), ERR_NOT_FOUND);
    assert_int_equal(untouched, LOG_WARN_);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, test_dir_setup, test_dir_teardown)

UNIT_SUITE(base_log, IN_DIR(direct_without_writer), IN_DIR(through_the_writer),
           IN_DIR(many_threads_lose_nothing_uncounted), IN_DIR(reports_what_a_full_ring_dropped),
           IN_DIR(ring_dies_with_its_thread), IN_DIR(error_log_lines),
           IN_DIR(error_log_cuts_long_texts), cmocka_unit_test(levels_by_name));
