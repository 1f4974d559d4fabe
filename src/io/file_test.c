/* file_test.c - bytes of a file to a socket: those that were asked for, from memory and from the
 * disk, never of a file that has changed; sends that wait and are canceled. */
// SPDX-License-Identifier: Apache-2.0
#include "io/backend.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/sim.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { NOTHING = -9999, FILE_BYTES = 1 << 20 };

static struct loop loop;
static struct counters_shared counters;
static struct io_sock to;
static struct io_op op;
static int far, fd, sent, released;
static struct buf *file;

static void on_sent(struct io_op *o, int res)
{
    (void)o;
    sent = res;
}

static void on_release(void *owner)
{
    assert_ptr_equal(owner, &fd);
    close(fd);
    released++;
}

static char byte_at(size_t i)
{
    return (char)(i * 7 + i / 4096);
}

static void file_make(void)
{
    char name[] = "/tmp/weir-file-XXXXXX", *bytes = malloc(FILE_BYTES);
    fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    for (size_t i = 0; i < FILE_BYTES; i++)
        bytes[i] = byte_at(i);
    assert_int_equal(write(fd, bytes, FILE_BYTES), FILE_BYTES);
    free(bytes);
}

static void open_all(void)
{
    int fds[2];
    struct stat st;
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(io_sock_open(&loop, &to, fds[0]));
    far = fds[1];
    file_make();
    assert_int_equal(fstat(fd, &st), 0);
    file = io_file_new(&loop, fd, &st, on_release, &fd);
    assert_non_null(file);
    op = (struct io_op){.done = on_sent};
    sent = NOTHING;
    released = 0;
}

static void close_all(void)
{
    buf_drop(file);
    assert_int_equal(released, 1);
    io_sock_close(&loop, &to);
    close(far);
    loop_release(&loop);
}

/* Until the send has ended; what it sent is read and compared. */
static void expect_sent(size_t at, size_t max)
{
    static char bytes[FILE_BYTES];
    io_send_file(&loop, &to, &op, file, at, max);
    for (int i = 0; sent == NOTHING && i < 400; i++)
        loop_tick(&loop);
    assert_true(sent > 0 && (size_t)sent <= max);
    assert_int_equal(read(far, bytes, sizeof bytes), sent);
    for (int i = 0; i < sent; i++)
        assert_int_equal(bytes[i], byte_at(at + (size_t)i));
}

static void bytes_arrive_and_no_more_than_asked_for(void **state)
{
    (void)state;
    open_all();
    expect_sent(0, 5);
    assert_int_equal(sent, 5);
    sent = NOTHING;
    expect_sent(FILE_BYTES - 3, 3);
    assert_int_equal(sent, 3);
    close_all();
}

/* As much as the socket takes; it goes on where it stopped. */
static void a_full_socket_takes_a_part(void **state)
{
    (void)state;
    open_all();
    for (size_t at = 0; at < FILE_BYTES; at += (size_t)sent) {
        sent = NOTHING;
        expect_sent(at, FILE_BYTES - at);
    }
    close_all();
}

static void what_is_on_the_disk_is_fetched(void **state)
{
    (void)state;
    open_all();
    assert_int_equal(fsync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    for (size_t at = 0; at < FILE_BYTES; at += (size_t)sent) {
        sent = NOTHING;
        expect_sent(at, FILE_BYTES - at);
    }
    close_all();
}

static void spans_name_places(void **state)
{
    (void)state;
    open_all();
    struct span s = io_file_span(file, (uint64_t)5 << 40, 100);
    assert_true(io_file_at(&s) == (uint64_t)5 << 40);
    s.at += 7;
    assert_true(io_file_at(&s) == ((uint64_t)5 << 40) + 7);
    span_drop(s);
    close_all();
}

static void expect_refused(void)
{
    sent = NOTHING;
    io_send_file(&loop, &to, &op, file, 0, 10);
    loop_tick(&loop);
    assert_int_equal(sent, -ESTALE);
}

static void a_file_that_changed_is_not_sent(void **state)
{
    (void)state;
    open_all();
    expect_sent(0, 10);
    assert_int_equal(ftruncate(fd, FILE_BYTES - 1), 0);
    expect_refused();
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0); /* the size is right again, the time is not */
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    assert_int_equal(futimens(fd, times), 0);
    expect_refused();
    close_all();
}

static void a_send_into_a_full_socket_is_canceled(void **state)
{
    (void)state;
    open_all();
    for (sent = 1; sent > 0;) {
        sent = NOTHING;
        io_send_file(&loop, &to, &op, file, 0, FILE_BYTES);
        for (int i = 0; sent == NOTHING && i < 3; i++)
            io_tick(&loop, 0);
    }
    assert_true(op.armed);
    io_cancel(&loop, &op);
    io_tick(&loop, 0);
    assert_int_equal(sent, -ECANCELED);
    close_all();
}

static void other_backends_have_none(void **state)
{
    (void)state;
    struct stat st = {0};
    struct sim_net *net = sim_net_new(1, &(struct sim_faults){0});
    assert_true(loop_init(&loop, &io_backend_sim, net, &counters, 1 << 20));
    assert_null(io_file_new(&loop, 0, &st, on_release, NULL));
    loop_release(&loop);
    sim_net_free(net);
}

UNIT_SUITE(io_file, cmocka_unit_test(bytes_arrive_and_no_more_than_asked_for),
           cmocka_unit_test(a_full_socket_takes_a_part),
           cmocka_unit_test(what_is_on_the_disk_is_fetched), cmocka_unit_test(spans_name_places),
           cmocka_unit_test(a_file_that_changed_is_not_sent),
           cmocka_unit_test(a_send_into_a_full_socket_is_canceled),
           cmocka_unit_test(other_backends_have_none));
