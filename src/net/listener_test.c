/* listener_test.c - binding with clear errors, stale unix sockets, the budget of accepts, and what
 * happens when descriptors run out (in a child process with a low limit). */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "net/listener.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct listen_options defaults = {0};

static struct addr loopback(void)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    return a;
}

static struct addr name_of(int fd)
{
    struct addr a = {.len = sizeof(a.un)};
    assert_int_equal(getsockname(fd, &a.sa, &a.len), 0);
    return a;
}

static void tells_that_an_address_is_in_use(void **state)
{
    struct addr a = loopback();
    int fd, second = -7;
    (void)state;
    assert_int_equal(listener_bind(&a, &defaults, &fd), ERR_OK);
    a = name_of(fd);
    assert_int_equal(listener_bind(&a, &defaults, &second), ERR_ADDRESS_IN_USE);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(second, -7);
    close(fd);
}

static void shares_an_address_with_reuseport(void **state)
{
    static const struct listen_options shared = {.reuseport = true};
    struct addr a = loopback();
    int one, two, three = -7;
    (void)state;
    assert_int_equal(listener_bind(&a, &shared, &one), ERR_OK);
    a = name_of(one);
    assert_int_equal(listener_bind(&a, &shared, &two), ERR_OK);
    assert_int_equal(listener_bind(&a, &defaults, &three), ERR_ADDRESS_IN_USE);
    close(one);
    close(two);
}

static void binds_without_listening(void **state)
{
    static const struct listen_options probe = {.bind_only = true}, shared = {.reuseport = true};
    struct addr a = loopback();
    int fd, caller, second = -7;
    (void)state;
    assert_int_equal(listener_bind(&a, &probe, &fd), ERR_OK);
    a = name_of(fd);
    caller = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(caller, &a.sa, a.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(caller);
    close(fd);
    assert_int_equal(listener_bind(&a, &shared, &fd), ERR_OK);
    assert_int_equal(listener_bind(&a, &probe, &second), ERR_ADDRESS_IN_USE);
    close(fd);
}

static void tells_of_addresses_it_does_not_have(void **state)
{
    struct addr a;
    int fd;
    (void)state;
    assert_int_equal(addr_parse_ip(SLICE("192.0.2.1"), &a), ERR_OK); /* TEST-NET-1 */
    assert_int_equal(listener_bind(&a, &defaults, &fd), ERR_IO);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

static struct addr unix_addr(char path[64])
{
    struct addr_spec spec = {.is_unix = true};
    struct addr a;
    snprintf(path, 64, "/tmp/weir-listener-test-%d", (int)getpid());
    spec.host = slice_of(path);
    assert_int_equal(addr_from_spec(&spec, &a), ERR_OK);
    return a;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void replaces_a_stale_unix_socket(void **state)
{
    static const struct listen_options open_to_all = {.unix_mode = 0666};
    char path[64];
    struct addr a = unix_addr(path);
    int fd, second;
    (void)state;
    assert_int_equal(listener_bind(&a, &defaults, &fd), ERR_OK);
    assert_int_equal(mode_of(path), 0660);
    assert_int_equal(listener_bind(&a, &defaults, &second), ERR_ADDRESS_IN_USE); /* alive */
    close(fd);
    assert_int_equal(listener_bind(&a, &open_to_all, &fd), ERR_OK); /* stale */
    assert_int_equal(mode_of(path), 0666);
    close(fd);
    unlink(path);
}

static void keeps_a_file_that_is_no_socket(void **state)
{
    char path[64];
    struct addr a = unix_addr(path);
    int fd;
    (void)state;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(listener_bind(&a, &defaults, &fd), ERR_ADDRESS_IN_USE);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
}

static void tells_of_a_missing_folder(void **state)
{
    struct addr_spec spec = {.is_unix = true, .host = SLICE("/nonexistent/a.sock")};
    struct addr a;
    int fd;
    (void)state;
    assert_int_equal(addr_from_spec(&spec, &a), ERR_OK);
    assert_int_equal(listener_bind(&a, &defaults, &fd), ERR_IO);
    assert_int_equal(errno, ENOENT);
}

/* ---- accepting ---- */

enum { CALLERS = 100 };

static struct counters_shared counters;
static struct loop loop;
static int accepted[CALLERS], accept_count, accepts_this_tick;
static bool closed;

static void on_accept(struct listener *ln, int fd)
{
    (void)ln;
    assert_true(accept_count < CALLERS);
    accepted[accept_count++] = fd;
    accepts_this_tick++;
}

static void on_closed(struct listener *ln)
{
    (void)ln;
    closed = true;
}

static int call(const struct addr *to)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->sa, to->len), 0);
    return fd;
}

static void open_listener(struct listener *ln, struct addr *addr)
{
    struct addr a = loopback();
    int fd;
    memset(&counters, 0, sizeof(counters));
    accept_count = 0;
    closed = false;
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20));
    assert_int_equal(listener_bind(&a, &defaults, &fd), ERR_OK);
    *addr = name_of(fd);
    *ln = (struct listener){.on_accept = on_accept, .on_closed = on_closed};
    assert_true(listener_start(ln, &loop, fd));
}

static void tick_without_waiting(void)
{
    accepts_this_tick = 0;
    loop.stopping = true;
    loop_tick(&loop);
    loop.stopping = false;
}

static void close_listener(struct listener *ln)
{
    listener_close(ln);
    listener_close(ln);
    for (int i = 0; i < 5 && !closed; i++)
        tick_without_waiting();
    assert_true(closed);
    loop_release(&loop);
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static void accepts_within_its_budget(void **state)
{
    struct listener ln;
    struct addr addr;
    int callers[CALLERS];
    (void)state;
    open_listener(&ln, &addr);
    for (int i = 0; i < CALLERS; i++)
        callers[i] = call(&addr);
    for (int i = 0; i < 50 && accept_count < CALLERS; i++) {
        tick_without_waiting();
        assert_true(accepts_this_tick <= loop.budget.accepts_per_tick);
    }
    assert_int_equal(accept_count, CALLERS);
    close_all(callers, CALLERS);
    close_all(accepted, accept_count);
    close_listener(&ln);
}

static void stops_inside_its_callback(struct listener *ln, int fd)
{
    on_accept(ln, fd);
    listener_close(ln);
}

static void may_be_closed_from_on_accept(void **state)
{
    struct listener ln;
    struct addr addr;
    int callers[3];
    (void)state;
    open_listener(&ln, &addr);
    ln.on_accept = stops_inside_its_callback;
    for (int i = 0; i < 3; i++)
        callers[i] = call(&addr);
    for (int i = 0; i < 5; i++)
        tick_without_waiting();
    assert_int_equal(accept_count, 1);
    assert_true(closed);
    close_all(callers, 3);
    close_all(accepted, accept_count);
    close_listener(&ln);
}

static void leave_two_descriptors(void)
{
    struct rlimit limit = {.rlim_cur = 200, .rlim_max = 200};
    int fd, last = -1, before = -1;
    setrlimit(RLIMIT_NOFILE, &limit);
    while ((fd = dup(0)) >= 0) {
        before = last;
        last = fd;
    }
    close(last);
    close(before);
}

/* Exit code of the child: 0 when it paused without spinning and went on afterwards. */
static int run_out_of_descriptors(void)
{
    struct listener ln;
    struct addr addr;
    open_listener(&ln, &addr);
    for (int i = 0; i < 4; i++)
        call(&addr);
    leave_two_descriptors();
    for (int i = 0; i < 10 && !ln.paused; i++)
        tick_without_waiting();
    if (!ln.paused || accept_count != 2)
        return 1;
    if (counter_get(&counters, METRIC_ACCEPT_PAUSED) != 1)
        return 2;
    tick_without_waiting();
    if (loop_busy(&loop) || !ln.paused) /* nothing spins */
        return 3;
    for (int i = 0; i < 4; i++)
        loop_tick(&loop); /* sleeps until the timer and finds nothing better */
    if (counter_get(&counters, METRIC_ACCEPT_PAUSED) < 2 || accept_count != 2)
        return 4;
    close_all(accepted, 2);
    for (int i = 0; i < 20 && accept_count < 4; i++)
        loop_tick(&loop);
    if (accept_count != 4)
        return 5;
    close_listener(&ln);
    return 0;
}

static void pauses_when_descriptors_run_out(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run_out_of_descriptors());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A descriptor that epoll refuses (a plain file), which turns into the listening socket later. */
static void tries_again_when_it_cannot_be_watched(void **state)
{
    struct listener ln;
    struct addr addr;
    (void)state;
    open_listener(&ln, &addr);
    int bound = dup(ln.sock.fd), fd = memfd_create("no socket", MFD_CLOEXEC);
    assert_true(bound >= 0 && fd >= 0);
    listener_close(&ln);
    tick_without_waiting();
    tick_without_waiting();
    assert_true(closed);
    assert_true(listener_start(&ln, &loop, fd));
    assert_true(ln.paused);
    int caller = call(&addr);
    assert_int_equal(dup2(bound, fd), fd);
    for (int i = 0; i < 20 && accept_count == 0; i++)
        loop_tick(&loop);
    assert_int_equal(accept_count, 1);
    closed = false;
    close_all((int[]){caller, bound, accepted[0]}, 3);
    close_listener(&ln);
}

static void may_be_closed_before_it_can_be_watched(void **state)
{
    struct listener ln, other;
    struct addr addr;
    int fd = memfd_create("no socket", MFD_CLOEXEC);
    (void)state;
    open_listener(&other, &addr);
    ln = other;
    assert_true(listener_start(&ln, &loop, fd));
    listener_close(&ln);
    for (int i = 0; i < 5 && !closed; i++)
        tick_without_waiting();
    assert_true(closed);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    closed = false;
    close_listener(&other);
}

UNIT_SUITE(net_listener, cmocka_unit_test(tells_that_an_address_is_in_use),
           cmocka_unit_test(shares_an_address_with_reuseport),
           cmocka_unit_test(binds_without_listening),
           cmocka_unit_test(tells_of_addresses_it_does_not_have),
           cmocka_unit_test(replaces_a_stale_unix_socket),
           cmocka_unit_test(keeps_a_file_that_is_no_socket),
           cmocka_unit_test(tells_of_a_missing_folder), cmocka_unit_test(accepts_within_its_budget),
           cmocka_unit_test(may_be_closed_from_on_accept),
           cmocka_unit_test(pauses_when_descriptors_run_out),
           cmocka_unit_test(tries_again_when_it_cannot_be_watched),
           cmocka_unit_test(may_be_closed_before_it_can_be_watched));
