/* files_test.c - `files` on real files below a temporary folder, with a scripted client. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"
#include "proxy/files_priv.h"
#include <fcntl.h>
#include <unistd.h>

enum { BIG_BYTES = 400000 };

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, size_t bytes)
{
    int fd = open(path_of(name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/weir-files-XXXXXX");
    if (!mkdtemp(folder) || mkdir(path_of("sub"), 0755) != 0)
        return -1;
    put("index.html", "hello", 5);
    put("big", "big", BIG_BYTES);
    put(".hidden", "secret", 6);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"index.html", "big", ".hidden", "sub"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        remove(path_of(names[i]));
    return rmdir(folder);
}

static void begin(const char *options)
{
    char config[256];
    snprintf(config, sizeof config, "listen 10.0.9.9:80\nsite * {\nfiles %s %s\n}\n", folder,
             options);
    rig_start(config);
}

/* Everything is closed again. */
static void end(void)
{
    file_cache_release(&rig.w);
    rig_stop();
    assert_int_equal(rig.w.files_open, 0);
}

static void a_file_is_sent(void **state)
{
    (void)state;
    begin("max_age=1m");
    rig_request("GET / | Host: a.test");
    rig_expect(200);
    rig_expect_body(&rig.client, "hello");
    rig_expect_head(&rig.client, "Content-Type: text/html; charset=utf-8");
    rig_expect_head(&rig.client, "Cache-Control: max-age=60");
    rig_expect_head(&rig.client, "Accept-Ranges: bytes");
    assert_int_equal(rig.client.sent.content_length, 5);
    rig_request("HEAD / | Host: a.test");
    rig_expect(200);
    assert_int_equal(rig.client.body_len, 0);
    assert_int_equal(rig.client.sent.content_length, 5);
    end();
}

static void what_is_not_there_is_told(void **state)
{
    (void)state;
    begin("");
    static const char *const none[] = {"/none",    "/index.html/", "/sub/",
                                       "/.hidden", "/%2ehidden",   "/sub%2f..%2findex.html"};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        char request[128];
        snprintf(request, sizeof request, "GET %s | Host: a.test", none[i]);
        rig_request(request);
        if (rig.client.sent.status != 404 && rig.client.sent.status != 400)
            fail_msg("%s: %u", none[i], rig.client.sent.status);
    }
    rig_request("GET /sub | Host: a.test");
    rig_expect(301);
    rig_expect_head(&rig.client, "Location: /sub/");
    rig_request("DELETE / | Host: a.test");
    rig_expect(405);
    rig_expect_head(&rig.client, "Allow: GET, HEAD");
    end();
}

static void ranges_and_conditions_are_obeyed(void **state)
{
    (void)state;
    begin("");
    rig_request("GET / | Host: a.test | Range: bytes=1-3");
    rig_expect(206);
    rig_expect_body(&rig.client, "ell");
    rig_expect_head(&rig.client, "Content-Range: bytes 1-3/5");
    rig_request("GET / | Host: a.test | Range: bytes=5-");
    rig_expect(416);
    rig_expect_head(&rig.client, "Content-Range: bytes */5");
    rig_request("GET / | Host: a.test | If-None-Match: *");
    rig_expect(304);
    assert_int_equal(rig.client.body_len, 0);
    rig_request("GET / | Host: a.test | If-Match: \"x\"");
    rig_expect(412);
    end();
}

static void a_file_that_shrinks_breaks_off(void **state)
{
    (void)state;
    begin("");
    rig_open();
    rig.client.room = 1000;
    rig_request_head(rig.client.s->head, "GET /big | Host: a.test");
    body_end(rig.client.s->body);
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig_wake(&rig.client);
    rig_run(1);
    assert_int_equal(rig.w.files_open, 1);
    assert_int_equal(truncate(path_of("big"), 1000), 0);
    rig_give_room(&rig.client, BIG_BYTES);
    rig_wake(&rig.client);
    rig_run(1);
    rig_expect_cut();
    assert_int_equal(rig_errors(ERR_FILE_CHANGED), 1);
    end();
}

static void there_is_a_limit_of_open_files(void **state)
{
    (void)state;
    begin("");
    rig.w.files_open = FILES_OPEN_MAX;
    rig_request("GET / | Host: a.test");
    rig_expect(503);
    rig.w.files_open = FILES_OPEN_MAX - 1;
    rig_request("GET / | Host: a.test");
    rig_expect(200);
    assert_int_equal(rig.w.files_open, FILES_OPEN_MAX - 1);
    rig.w.files_open = 0;
    end();
}

static void a_folder_is_listed(void **state)
{
    (void)state;
    begin("browse index=off");
    rig_request("GET / | Host: a.test");
    rig_expect(200);
    assert_non_null(memmem(rig.client.body, rig.client.body_len, "./index.html", 12));
    assert_null(memmem(rig.client.body, rig.client.body_len, "hidden", 6));
    end();
}

/* --- files that are kept open ----------------------------------------------------------------- */

static int kept_count(void)
{
    return rig.w.file_cache ? (int)file_cache_count(rig.w.file_cache) : 0;
}

static void expect_file(const char *name, const char *text)
{
    char request[128];
    snprintf(request, sizeof request, "GET /%s | Host: a.test", name);
    rig_request(request);
    rig_expect(200);
    rig_expect_body(&rig.client, text);
}

static void what_happens_to_a_file_is_seen_at_once(void **state)
{
    (void)state;
    begin("");
    expect_file("index.html", "hello");
    assert_int_equal(kept_count(), 1);
    expect_file("index.html", "hello");
    assert_int_equal(kept_count(), 1);
    put("index.html", "other", 5); /* in its place */
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path_of("index.html"), times, 0), 0);
    expect_file("index.html", "other");
    put("big", "renamed", 7);
    char from[128];
    snprintf(from, sizeof from, "%s", path_of("big"));
    assert_int_equal(rename(from, path_of("index.html")), 0);
    expect_file("index.html", "renamed");
    unlink(path_of("index.html"));
    rig_request("GET /index.html | Host: a.test");
    rig_expect(404);
    end();
}

/* The paths above a file are walked again after a second, not sooner. */
static void a_folder_that_is_replaced_is_seen_after_a_second(void **state)
{
    (void)state;
    char from[128];
    begin("");
    put("sub/f", "old", 3);
    expect_file("sub/f", "old");
    snprintf(from, sizeof from, "%s", path_of("sub"));
    assert_int_equal(rename(from, path_of("moved")), 0);
    assert_int_equal(symlink("/", from), 0);
    int64_t opened_ms = rig.w.loop.now_ms;
    expect_file("sub/f", "old");
    rig_run(opened_ms + 998 - rig.w.loop.now_ms);
    rig_request("GET /sub/f | Host: a.test");
    assert_int_equal(rig.client.sent.status, rig.w.loop.now_ms < opened_ms + 1000 ? 200 : 404);
    rig_run(10);
    rig_request("GET /sub/f | Host: a.test");
    rig_expect(404);
    unlink(from);
    assert_int_equal(rename(path_of("moved"), from), 0);
    remove(path_of("sub/f"));
    end();
}

static void what_is_not_asked_for_is_closed(void **state)
{
    (void)state;
    begin("");
    expect_file("index.html", "hello");
    assert_int_equal(kept_count(), 1);
    rig_run(2100);
    assert_int_equal(kept_count(), 0);
    end();
}

static void few_are_kept_and_a_scan_leaves_the_hot_ones(void **state)
{
    (void)state;
    char name[32];
    begin("");
    for (int i = 0; i < FILES_KEPT_MAX + 40; i++) {
        if (i % 8 == 0)
            expect_file("index.html", "hello");
        snprintf(name, sizeof name, "sub/%d", i);
        put(name, "x", 1);
        expect_file(name, "x");
        assert_int_equal(kept_count(), i + 2 < FILES_KEPT_MAX ? i + 2 : FILES_KEPT_MAX);
        assert_true(file_cache_has(rig.w.file_cache, "index.html"));
    }
    for (int i = 0; i < FILES_KEPT_MAX + 40; i++) {
        snprintf(name, sizeof name, "sub/%d", i);
        remove(path_of(name));
    }
    end();
}

/* Which siblings there are not is kept, too; when one comes it is seen after a second. */
static void siblings_are_kept(void **state)
{
    (void)state;
    begin("precompressed");
    rig_request("GET /index.html | Host: a.test | Accept-Encoding: gzip");
    rig_expect_body(&rig.client, "hello");
    assert_int_equal(kept_count(), 2);
    put("index.html.gz", "coded", 5);
    rig_run(1100);
    rig_request("GET /index.html | Host: a.test | Accept-Encoding: gzip");
    rig_expect_body(&rig.client, "coded");
    rig_expect_head(&rig.client, "Content-Encoding: gzip");
    expect_file("index.html", "hello");
    remove(path_of("index.html.gz"));
    end();
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

UNIT_SUITE(proxy_files, CASE(a_file_is_sent), CASE(what_is_not_there_is_told),
           CASE(ranges_and_conditions_are_obeyed), CASE(a_file_that_shrinks_breaks_off),
           CASE(there_is_a_limit_of_open_files), CASE(a_folder_is_listed),
           CASE(what_happens_to_a_file_is_seen_at_once),
           CASE(a_folder_that_is_replaced_is_seen_after_a_second),
           CASE(what_is_not_asked_for_is_closed), CASE(few_are_kept_and_a_scan_leaves_the_hot_ones),
           CASE(siblings_are_kept));
