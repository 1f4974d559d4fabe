/* sockets_test.c - a configuration's sockets: bound, kept, refused, sent to another table. */
// SPDX-License-Identifier: Apache-2.0
#include "main/sockets.h"
#include "tests/unit.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct addr any_port(void)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    return a; /* port 0: each socket gets its own, which is all the same here */
}

static struct addr unix_path(const char *path)
{
    struct addr a;
    struct addr_spec spec = {.host = slice_of(path), .is_unix = true};
    assert_int_equal(addr_from_spec(&spec, &a), ERR_OK);
    return a;
}

/* A free port, held by *fd. */
static struct addr taken_port(int *fd)
{
    struct addr a = any_port();
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, &a.sa, a.len), 0);
    assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, &a.sa, &a.len), 0);
    return a;
}

static void slots_have_sockets_by_kind(void **state)
{
    struct sockets s = {0};
    struct addr ip = any_port(), path = unix_path("/tmp/weir-sockets-test.sock");
    (void)state;
    sockets_want(&s, &ip, false, 3, false);
    sockets_want(&s, &ip, true, 3, false);
    sockets_want(&s, &path, false, 3, false);
    assert_int_equal(sockets_find(&s, &ip, false)->count, 3);
    assert_int_equal(sockets_find(&s, &ip, true)->count, 1);
    assert_int_equal(sockets_find(&s, &path, false)->count, 1);
    sockets_want(&s, &ip, false, 5, false);
    assert_int_equal(sockets_find(&s, &ip, false)->count, 3); /* as it was bound */
    sockets_release(&s, SOCKETS_REMOVE_FILES);
    assert_int_equal(access(path.un.sun_path, F_OK), -1);
}

static void a_refused_configuration_leaves_what_was(void **state)
{
    struct sockets s = {0};
    struct addr old = any_port(), path = unix_path("/tmp/weir-sockets-test.sock");
    (void)state;
    sockets_want(&s, &old, false, 1, false);
    sockets_accept(&s);
    int fd = sockets_find(&s, &old, false)->fds[0];
    sockets_want_none(&s);
    sockets_want(&s, &path, false, 1, false);
    sockets_refuse(&s);
    assert_null(sockets_find(&s, &path, false));
    assert_int_equal(access(path.un.sun_path, F_OK), -1);
    assert_int_equal(sockets_find(&s, &old, false)->fds[0], fd);
    assert_true(sockets_find(&s, &old, false)->wanted);
    sockets_release(&s, SOCKETS_KEEP_FILES);
}

static void an_accepted_one_closes_the_rest(void **state)
{
    struct sockets s = {0};
    struct addr old = any_port(), path = unix_path("/tmp/weir-sockets-test.sock");
    (void)state;
    sockets_want(&s, &path, false, 1, false);
    sockets_accept(&s);
    assert_int_equal(access(path.un.sun_path, F_OK), 0);
    sockets_want_none(&s);
    sockets_want(&s, &old, false, 1, false);
    sockets_accept(&s);
    assert_null(sockets_find(&s, &path, false));
    assert_int_equal(access(path.un.sun_path, F_OK), -1);
    sockets_refuse(&s); /* nothing is fresh any more */
    assert_non_null(sockets_find(&s, &old, false));
    sockets_release(&s, SOCKETS_KEEP_FILES);
}

static unsigned mode_of(const struct addr *a)
{
    struct stat st;
    assert_int_equal(stat(a->un.sun_path, &st), 0);
    return st.st_mode & 0777;
}

static void rights_are_those_that_were_accepted(void **state)
{
    struct sockets s = {0};
    struct addr a = unix_path("/tmp/weir-sockets-test.sock");
    struct socket_rights all = {.mode = 0666, .group = SOCKET_GROUP_OWN}, own = {0600, getgid()};
    (void)state;
    assert_true(sockets_wish(&s, &a, all));
    sockets_want(&s, &a, true, 1, false);
    assert_int_equal(mode_of(&a), 0666);
    sockets_accept(&s);
    assert_true(sockets_wish(&s, &a, own));
    sockets_want(&s, &a, true, 1, false);
    assert_int_equal(mode_of(&a), 0666);
    sockets_refuse(&s);
    sockets_want(&s, &a, true, 1, false);
    sockets_accept(&s);
    assert_int_equal(mode_of(&a), 0666); /* the refused wish is forgotten */
    assert_true(sockets_wish(&s, &a, own));
    sockets_want(&s, &a, true, 1, false);
    sockets_accept(&s);
    assert_int_equal(mode_of(&a), 0600);
    sockets_release(&s, SOCKETS_REMOVE_FILES);
}

/* A new binary does not know what the old one set. */
static void an_inherited_one_gets_its_rights(void **state)
{
    struct sockets old = {0}, s = {0};
    struct addr a = unix_path("/tmp/weir-sockets-test.sock");
    (void)state;
    assert_true(sockets_wish(&old, &a, (struct socket_rights){0666, SOCKET_GROUP_OWN}));
    sockets_want(&old, &a, true, 1, false);
    struct handover m = {.addr = a, .fd_count = 1};
    m.numbers[LISTENER_INTERNAL] = 1;
    m.fds[0] = dup(sockets_find(&old, &a, true)->fds[0]);
    sockets_add(&s, &m);
    sockets_want(&s, &a, true, 1, false);
    sockets_accept(&s);
    assert_int_equal(mode_of(&a), 0600);
    sockets_release(&s, SOCKETS_KEEP_FILES);
    sockets_release(&old, SOCKETS_REMOVE_FILES);
}

static void a_group_that_is_unknown_is_a_failure(void **state)
{
    struct sockets s = {0};
    struct addr a = unix_path("/tmp/weir-sockets-test.sock");
    (void)state;
    assert_true(sockets_wish(&s, &a, (struct socket_rights){0660, SOCKET_GROUP_UNKNOWN}));
    sockets_want(&s, &a, true, 1, false);
    assert_int_equal(sockets_find(&s, &a, true)->err, ERR_IO);
    assert_int_equal(sockets_find(&s, &a, true)->count, 0);
    unlink(a.un.sun_path);
    sockets_release(&s, SOCKETS_REMOVE_FILES);
}

static void a_taken_address_says_so(void **state)
{
    struct sockets s = {0};
    int fd;
    struct addr a = taken_port(&fd);
    (void)state;
    sockets_want(&s, &a, false, 2, true);
    struct socket_slot *slot = sockets_find(&s, &a, false);
    assert_int_equal(slot->err, ERR_ADDRESS_IN_USE);
    assert_int_equal(slot->error, EADDRINUSE);
    assert_int_equal(slot->count, 0);
    assert_true(sockets_any_failed(&s));
    close(fd);
    sockets_want(&s, &a, false, 2, true); /* the next try */
    assert_int_equal(slot->err, ERR_OK);
    assert_int_equal(slot->count, 2);
    sockets_release(&s, SOCKETS_KEEP_FILES);
}

static void receive_all(struct sockets *to, int channel)
{
    struct handover m;
    while (handover_receive(channel, &m, 0) == HANDOVER_GOT)
        sockets_add(to, &m);
}

static void only_what_is_missing_is_sent(void **state)
{
    struct sockets s = {0}, got = {0};
    int channel[2], fd;
    struct addr many = any_port(), taken = taken_port(&fd);
    (void)state;
    assert_true(handover_pair(channel));
    sockets_want(&s, &many, false, HANDOVER_FDS_MAX + 1, false);
    sockets_want(&s, &taken, true, 1, false);
    assert_int_equal(sockets_message_count(&s, false), 3); /* two parts, one failure */
    assert_true(sockets_send(&s, channel[0], false));
    receive_all(&got, channel[1]);
    assert_int_equal(sockets_find(&got, &many, false)->count, HANDOVER_FDS_MAX + 1);
    assert_int_equal(sockets_find(&got, &taken, true)->err, ERR_ADDRESS_IN_USE);
    sockets_accept(&s); /* the failed one is forgotten */
    assert_int_equal(sockets_message_count(&s, false), 0);
    sockets_taken_back(&s);
    assert_int_equal(sockets_message_count(&s, false), 2);
    sockets_release(&got, SOCKETS_REMOVE_FILES);
    sockets_release(&s, SOCKETS_KEEP_FILES);
    close(fd);
    close(channel[0]);
    close(channel[1]);
}

/* Until the successor serves, files of sockets are the old supervisor's. */
static void inherited_files_stay(void **state)
{
    struct sockets s = {0}, got = {0};
    int channel[2];
    struct addr path = unix_path("/tmp/weir-sockets-test.sock");
    (void)state;
    assert_true(handover_pair(channel));
    sockets_want(&s, &path, false, 1, false);
    assert_true(sockets_send(&s, channel[0], true));
    receive_all(&got, channel[1]);
    sockets_release(&got, SOCKETS_REMOVE_FILES);
    assert_int_equal(access(path.un.sun_path, F_OK), 0);
    assert_true(sockets_send(&s, channel[0], true));
    receive_all(&got, channel[1]);
    sockets_want(&got, &path, false, 1, false);
    sockets_accept(&got);
    sockets_release(&got, SOCKETS_REMOVE_FILES);
    assert_int_equal(access(path.un.sun_path, F_OK), -1);
    sockets_release(&s, SOCKETS_KEEP_FILES);
    close(channel[0]);
    close(channel[1]);
}

UNIT_SUITE(main_sockets, cmocka_unit_test(slots_have_sockets_by_kind),
           cmocka_unit_test(a_refused_configuration_leaves_what_was),
           cmocka_unit_test(an_accepted_one_closes_the_rest),
           cmocka_unit_test(rights_are_those_that_were_accepted),
           cmocka_unit_test(an_inherited_one_gets_its_rights),
           cmocka_unit_test(a_group_that_is_unknown_is_a_failure),
           cmocka_unit_test(a_taken_address_says_so),
           cmocka_unit_test(only_what_is_missing_is_sent), cmocka_unit_test(inherited_files_stay));
