/* log_sink_test.c - sinks that are shared, reopened, dropped, full, broken or asleep. */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/log_priv.h"
#include "base/log_testdir.h"
#include "tests/unit.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void same_path_is_the_same_sink(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    assert_int_equal(log_sink_open(LOG_TO_FILE, test_path(d, "a")), sink);
    int other = log_sink_open(LOG_TO_FILE, test_path(d, "b"));
    assert_int_not_equal(other, sink);
    assert_int_equal(log_sink_open(LOG_TO_STDERR, NULL), 0);
    log_sink_drop(0);
    log_sink_drop(other);
    log_sink_drop(sink);
    assert_true(log_line(sink, SLICE("one count is left")));
    assert_string_equal(test_read(d, "a"), "one count is left\n");
    log_sink_drop(sink);
    uint64_t dropped_before = log_dropped_count();
    log_line(sink, SLICE("closed"));
    assert_int_equal(log_dropped_count() - dropped_before, 1);
    assert_string_equal(test_read(d, "a"), "one count is left\n");
}

static void cannot_open(void **state)
{
    struct test_dir *d = *state;
    char long_path[200];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(log_sink_open(LOG_TO_FILE, test_path(d, "no/such")), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(log_sink_open(LOG_TO_SYSLOG, test_path(d, "none")), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(log_sink_open(LOG_TO_SYSLOG, long_path), -1);
    assert_int_equal(errno, ENAMETOOLONG);
}

static void table_at_its_limit(void **state)
{
    struct test_dir *d = *state;
    int opened[LOG_SINKS_MAX];
    char name[16];
    for (int i = 1; i < LOG_SINKS_MAX; i++) { /* stderr has the first place */
        snprintf(name, sizeof(name), "%d", i);
        opened[i] = log_sink_open(LOG_TO_FILE, test_path(d, name));
        assert_true(opened[i] > 0);
    }
    assert_int_equal(log_sink_open(LOG_TO_FILE, test_path(d, "one-more")), -1);
    assert_int_equal(errno, EMFILE);
    log_sink_drop(opened[7]);
    assert_int_equal(log_sink_open(LOG_TO_FILE, test_path(d, "instead")), opened[7]);
    for (int i = 1; i < LOG_SINKS_MAX; i++)
        log_sink_drop(opened[i]);
}

static void reopens_after_rotation(void **state)
{
    struct test_dir *d = *state;
    char from[512];
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_line(sink, SLICE("old"));
    strcpy(from, d->name);
    assert_int_equal(rename(from, test_path(d, "a.1")), 0);
    log_line(sink, SLICE("still old"));
    log_sinks_reopen();
    log_line(sink, SLICE("new"));
    assert_string_equal(test_read(d, "a.1"), "old\nstill old\n");
    assert_string_equal(test_read(d, "a"), "new\n");
    log_sink_drop(sink);
}

static void reopens_in_the_writer_while_idle(void **state)
{
    struct test_dir *d = *state;
    char from[512];
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_start();
    strcpy(from, d->name);
    assert_int_equal(rename(from, test_path(d, "a.1")), 0);
    log_sinks_reopen();
    for (int tries = 0; access(from, F_OK) != 0 && tries < 1000; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(access(from, F_OK), 0);
    log_stop();
    log_sink_drop(sink);
}

static void failed_reopen_keeps_the_file(void **state)
{
    struct test_dir *d = *state;
    int errors = log_sink_open(LOG_TO_FILE, test_path(d, "errors"));
    assert_int_equal(mkdir(test_path(d, "sub"), 0700), 0);
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "sub/a"));
    char from[512], sub[512];
    strcpy(from, d->name);
    assert_int_equal(rename(from, test_path(d, "kept")), 0);
    strcpy(sub, test_path(d, "sub"));
    assert_int_equal(rmdir(sub), 0);
    log_error_set(errors, LOG_NOTICE_);
    log_sinks_reopen();
    log_line(sink, SLICE("here"));
    assert_string_equal(test_read(d, "kept"), "here\n");
    assert_non_null(strstr(test_read(d, "errors"), "cannot reopen log"));
    log_error_set(0, LOG_NOTICE_);
    log_sink_drop(sink);
    log_sink_drop(errors);
}

/* Whoever drops a sink has logged before: those lines still go where they were meant to. */
static void drop_waits_for_queued_lines(void **state)
{
    struct test_dir *d = *state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    enum { FILES = sizeof(names) / sizeof(*names) };
    log_start();
    log_thread_begin("test", 1);
    for (size_t i = 0; i < FILES; i++) {
        int sink = log_sink_open(LOG_TO_FILE, test_path(d, names[i]));
        assert_true(sink > 0);
        assert_true(log_line(sink, slice_of(names[i])));
        log_sink_drop(sink);
    }
    log_stop();
    log_thread_end();
    for (size_t i = 0; i < FILES; i++) {
        assert_int_equal(test_read(d, names[i])[0], names[i][0]);
        assert_int_equal(strlen(d->text), 2);
    }
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit of the file size fails as a full disk does: a part is written, then an error comes. */
static void full_disk_tears_no_later_line(void **state)
{
    struct test_dir *d = *state;
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    uint64_t dropped_before = log_dropped_count();
    log_error_set(sink, LOG_NOTICE_);
    signal(SIGXFSZ, SIG_IGN);
    log_start();
    log_thread_begin("test", 1);
    limit_file_size(12);
    log_line(sink, SLICE("first"));
    test_wait_for(d, "a", "first\n");
    log_line(sink, SLICE("torn here"));
    log_line(sink, SLICE("lost"));
    test_wait_for(d, "a", "first\ntorn h");
    while (log_dropped_count() - dropped_before < 2)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    limit_file_size(RLIM_INFINITY);
    log_line(sink, SLICE("later"));
    log_stop();
    const char *text = test_read(d, "a");
    assert_true(slice_starts(slice_of(text), SLICE("first\ntorn h\nlater\n")));
    assert_non_null(strstr(text, "lost 2 lines: File too large\n"));
    assert_int_equal(log_dropped_count() - dropped_before, 2);
    log_thread_end();
    signal(SIGXFSZ, SIG_DFL);
    log_error_set(0, LOG_NOTICE_);
    log_sink_drop(sink);
}

static void reader_gone_kills_nobody(void **state)
{
    struct test_dir *d = *state;
    assert_int_equal(mkfifo(test_path(d, "pipe"), 0600), 0);
    assert_int_equal(log_sink_open(LOG_TO_FILE, d->name), -1); /* no reader: no hanging */
    int reader = open(d->name, O_RDONLY | O_NONBLOCK);
    int sink = log_sink_open(LOG_TO_FILE, d->name);
    uint64_t dropped_before = log_dropped_count();
    close(reader);
    log_start();
    log_thread_begin("test", 1);
    log_line(sink, SLICE("to nobody"));
    log_stop();
    assert_int_equal(log_dropped_count() - dropped_before, 1);
    log_thread_end();
    log_sink_drop(sink);
}

/* A pipe that nobody reads loses lines, counted; the file beside it gets all of its own. */
static void sleeping_reader_holds_up_nobody(void **state)
{
    struct test_dir *d = *state;
    enum { LINES = 200 };
    static char line[1000];
    memset(line, 'x', sizeof(line));
    assert_int_equal(mkfifo(test_path(d, "pipe"), 0600), 0);
    int reader = open(d->name, O_RDONLY | O_NONBLOCK);
    int asleep = log_sink_open(LOG_TO_FILE, d->name);
    int file = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    uint64_t dropped_before = log_dropped_count();
    log_start();
    log_thread_begin("test", 1 << 20);
    for (int i = 0; i < LINES; i++) {
        log_line(asleep, (struct slice){line, sizeof(line)});
        log_line(file, SLICE("x"));
    }
    log_stop();
    assert_int_equal(strlen(test_read(d, "a")), 2 * LINES);
    assert_in_range(log_dropped_count() - dropped_before, 1, LINES - 1);
    log_thread_end();
    close(reader);
    log_sink_drop(asleep);
    log_sink_drop(file);
}

static void lines_larger_than_a_batch(void **state)
{
    struct test_dir *d = *state;
    static char line[LOG_BATCH_BYTES + 1];
    memset(line, 'x', sizeof(line));
    int sink = log_sink_open(LOG_TO_FILE, test_path(d, "a"));
    log_start();
    log_thread_begin("test", 1 << 20);
    size_t due = 0;
    for (size_t len = LOG_BATCH_BYTES - 2; len <= sizeof(line); len++) {
        assert_true(log_line(sink, SLICE("-")));
        assert_true(log_line(sink, (struct slice){line, len}));
        due += 2 + len + 1;
    }
    log_stop();
    struct stat st;
    assert_int_equal(stat(test_path(d, "a"), &st), 0);
    assert_int_equal(st.st_size, due);
    log_thread_end();
    log_sink_drop(sink);
}

static int syslog_daemon(struct test_dir *d)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    strcpy(addr.sun_path, test_path(d, "log"));
    unlink(addr.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

/* The next datagram is "<PRI>Mmm dd hh:mm:ss weir[PID]: " and `text`. */
static void datagram_is(int daemon, const char *pri, const char *text)
{
    char got[LOG_BATCH_BYTES], due[700];
    ssize_t len = recv(daemon, got, sizeof(got) - 1, 0);
    assert_true(len > 0);
    got[len] = '\0';
    assert_memory_equal(got, pri, strlen(pri));
    const char *when = got + strlen(pri);
    assert_int_equal(when[3], ' ');
    assert_int_equal(when[9], ':');
    assert_int_equal(when[12], ':');
    snprintf(due, sizeof(due), " weir[%d]: %s", (int)getpid(), text);
    assert_string_equal(when + 15, due);
}

static void syslog_datagrams(void **state)
{
    struct test_dir *d = *state;
    int daemon = syslog_daemon(d);
    int sink = log_sink_open(LOG_TO_SYSLOG, test_path(d, "log"));
    log_line(sink, SLICE("GET /"));
    datagram_is(daemon, "<30>", "GET /");
    log_error_set(sink, LOG_NOTICE_);
    log_write(LOG_ERROR_, "it broke");
    datagram_is(daemon, "<27>", "it broke"); /* time and level stand in front already */
    close(daemon);
    uint64_t dropped_before = log_dropped_count();
    log_line(sink, SLICE("nobody listens"));
    assert_int_equal(log_dropped_count() - dropped_before, 1);
    daemon = syslog_daemon(d);
    log_line(sink, SLICE("back"));
    datagram_is(daemon, "<30>", "back");
    char due[600];
    snprintf(due, sizeof(due), "log \"%s\" lost 1 lines: Connection refused", test_path(d, "log"));
    datagram_is(daemon, "<27>", due);
    log_error_set(0, LOG_NOTICE_);
    close(daemon);
    log_sink_drop(sink);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, test_dir_setup, test_dir_teardown)

UNIT_SUITE(base_log_sink, IN_DIR(same_path_is_the_same_sink), IN_DIR(cannot_open),
           IN_DIR(table_at_its_limit), IN_DIR(reopens_after_rotation),
           IN_DIR(reopens_in_the_writer_while_idle), IN_DIR(failed_reopen_keeps_the_file),
           IN_DIR(drop_waits_for_queued_lines), IN_DIR(full_disk_tears_no_later_line),
           IN_DIR(reader_gone_kills_nobody), IN_DIR(sleeping_reader_holds_up_nobody),
           IN_DIR(lines_larger_than_a_batch), IN_DIR(syslog_datagrams));
