/* watch_test.c - a change is told once, when it is over. */
// SPDX-License-Identifier: Apache-2.0
#include "main/watch.h"
#include "tests/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fputs(text, to);
    fclose(to);
}

static void begin(struct watch *w, struct text *t, const char *path)
{
    struct watch_mark mark = watch_mark_of(path);
    struct bundle b;
    text_init(t);
    bundle_add(t, &(struct bundle_entry){.kind = BUNDLE_FILE, .name = slice_of("other")});
    bundle_add(t, &(struct bundle_entry){.kind = BUNDLE_WATCH,
                                         .name = slice_of(path),
                                         .body = {(const char *)&mark, sizeof mark}});
    b = (struct bundle){.bytes = text_slice(t)};
    *w = (struct watch){0};
    watch_set(w, &b, 1000);
    assert_int_equal(w->count, 1);
}

static void a_change_is_told_once(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-watch-XXXXXX";
    struct watch w;
    struct text t;
    close(mkstemp(path));
    begin(&w, &t, path);
    assert_false(watch_run(&w, 1000 + WATCH_MS - 1));
    put(path, "a");
    assert_false(watch_run(&w, 1000 + WATCH_MS)); /* seen: it may go on */
    put(path, "ab");
    int64_t now = w.at_ms;
    assert_false(watch_run(&w, now));
    now = w.at_ms;
    assert_true(watch_run(&w, now));
    assert_false(watch_run(&w, w.at_ms));
    unlink(path);
    assert_false(watch_run(&w, w.at_ms));
    assert_true(watch_run(&w, w.at_ms));
    watch_release(&w);
    text_release(&t);
}

static void without_files_nothing_is_due(void **state)
{
    (void)state;
    struct watch w = {0};
    struct bundle b = {0};
    watch_set(&w, &b, 1000);
    assert_int_equal(w.at_ms, 0);
    assert_false(watch_run(&w, 1 << 30));
}

static void the_local_ca_is_asked_again(void **state)
{
    (void)state;
    struct watch w = {0};
    struct text t;
    struct bundle b;
    text_init(&t);
    bundle_add(&t, &(struct bundle_entry){.kind = BUNDLE_ISSUED, .name = slice_of("a.example")});
    b = (struct bundle){.bytes = text_slice(&t)};
    watch_set(&w, &b, 1000);
    int64_t due = 1000 + (int64_t)WATCH_REISSUE_MS;
    assert_int_equal(w.at_ms, due);
    assert_int_equal(watch_run(&w, due - 1), WATCH_NOTHING);
    assert_int_equal(watch_run(&w, due), WATCH_REISSUE);
    assert_int_equal(watch_run(&w, due + 1), WATCH_NOTHING);
    assert_int_equal(watch_run(&w, due + WATCH_REISSUE_MS), WATCH_REISSUE);
    watch_release(&w);
    text_release(&t);
}

UNIT_SUITE(main_watch, cmocka_unit_test(the_local_ca_is_asked_again),
           cmocka_unit_test(a_change_is_told_once), cmocka_unit_test(without_files_nothing_is_due));
