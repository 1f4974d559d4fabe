/* handover_test.c - messages survive the wire, broken ones are refused, descriptors arrive or are
 * closed. */
// SPDX-License-Identifier: Apache-2.0
#include "main/handover.h"
#include "tests/unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct handover sample(void)
{
    struct handover m = {.kind = HANDOVER_LISTENER, .text = SLICE("some words")};
    struct addr_spec spec = {.host = SLICE("/run/weir/x.sock"), .is_unix = true};
    assert_int_equal(addr_from_spec(&spec, &m.addr), ERR_OK);
    for (int i = 0; i < HANDOVER_NUMBERS; i++)
        m.numbers[i] = i * INT64_C(-1000000007);
    return m;
}

static void assert_same(const struct handover *a, const struct handover *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_memory_equal(a->numbers, b->numbers, sizeof a->numbers);
    assert_int_equal(a->addr.len, b->addr.len);
    assert_memory_equal(&a->addr.un, &b->addr.un, a->addr.len);
    assert_true(slice_eq(a->text, b->text));
}

/* In a heap block of its size, so that the sanitizer sees a read past its end. */
static bool decode(const char *bytes, size_t len, struct handover *out)
{
    char *exact = malloc(len ? len : 1);
    memcpy(exact, bytes, len);
    bool ok = handover_decode((struct slice){exact, len}, out);
    free(exact);
    return ok;
}

static void a_message_survives_the_wire(void **state)
{
    char bytes[HANDOVER_BYTES_MAX];
    struct handover m = sample(), got;
    (void)state;
    size_t len = handover_encode(&m, bytes);
    assert_true(handover_decode((struct slice){bytes, len}, &got));
    assert_same(&m, &got);
    m.addr.len = 0;
    m.text = SLICE_NONE;
    len = handover_encode(&m, bytes);
    assert_true(handover_decode((struct slice){bytes, len}, &got));
    assert_same(&m, &got);
}

static void every_other_length_is_refused(void **state)
{
    char bytes[HANDOVER_BYTES_MAX + 1] = {0};
    struct handover m = sample(), got;
    (void)state;
    size_t len = handover_encode(&m, bytes);
    for (size_t i = 0; i < len; i++)
        assert_false(decode(bytes, i, &got));
    assert_true(decode(bytes, len, &got));
    assert_false(decode(bytes, len + 1, &got));
}

static void unknown_kinds_are_refused(void **state)
{
    char bytes[HANDOVER_BYTES_MAX];
    struct handover m = {.kind = HANDOVER_KIND_END - 1}, got;
    (void)state;
    assert_true(decode(bytes, handover_encode(&m, bytes), &got));
    m.kind = HANDOVER_KIND_END;
    assert_false(decode(bytes, handover_encode(&m, bytes), &got));
    m.kind = 0;
    assert_false(decode(bytes, handover_encode(&m, bytes), &got));
    m.kind = HANDOVER_ORDER;
    size_t len = handover_encode(&m, bytes);
    bytes[0] ^= 1; /* another version's magic */
    assert_false(decode(bytes, len, &got));
}

static void long_texts_are_cut(void **state)
{
    char bytes[HANDOVER_BYTES_MAX];
    struct handover m = sample(), got;
    (void)state;
    char *text = calloc(1, HANDOVER_TEXT_MAX + 1);
    for (size_t over = 0; over < 2; over++) {
        m.text = (struct slice){text, HANDOVER_TEXT_MAX + over};
        size_t len = handover_encode(&m, bytes);
        assert_in_range(len, 1, HANDOVER_BYTES_MAX);
        assert_true(handover_decode((struct slice){bytes, len}, &got));
        assert_int_equal(got.text.len, HANDOVER_TEXT_MAX);
    }
    free(text);
}

/* ---- the channel ---- */

static int open_count(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void descriptors_go_along(void **state)
{
    int channel[2], pipe_fds[2];
    char byte = 0;
    (void)state;
    assert_true(handover_pair(channel));
    assert_int_equal(pipe(pipe_fds), 0);
    struct handover m = sample(), got;
    for (m.fd_count = 0; m.fd_count < HANDOVER_FDS_MAX; m.fd_count++)
        m.fds[m.fd_count] = pipe_fds[1];
    assert_true(handover_send(channel[0], &m));
    assert_int_equal(handover_receive(channel[1], &got, 1000), HANDOVER_GOT);
    assert_same(&m, &got);
    assert_int_equal(got.fd_count, HANDOVER_FDS_MAX);
    assert_int_equal(write(got.fds[HANDOVER_FDS_MAX - 1], "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    handover_close_fds(&got);
    int all[] = {channel[0], channel[1], pipe_fds[0], pipe_fds[1]};
    for (int i = 0; i < 4; i++)
        close(all[i]);
}

static void nothing_and_gone_are_told_apart(void **state)
{
    int channel[2];
    struct handover got;
    (void)state;
    assert_true(handover_pair(channel));
    assert_int_equal(handover_receive(channel[1], &got, 0), HANDOVER_NOTHING);
    assert_int_equal(handover_receive(channel[1], &got, 20), HANDOVER_NOTHING);
    assert_true(handover_say(channel[0], HANDOVER_ORDER, ORDER_STOP, SLICE_NONE));
    close(channel[0]);
    assert_int_equal(handover_receive(channel[1], &got, 0), HANDOVER_GOT);
    assert_int_equal(got.numbers[ORDER_NUMBER], ORDER_STOP);
    assert_int_equal(handover_receive(channel[1], &got, 0), HANDOVER_GONE);
    assert_false(handover_say(channel[1], HANDOVER_STOP, 0, SLICE_NONE));
    close(channel[1]);
}

static void last_words_are_heard(void **state)
{
    int channel[2];
    struct handover got;
    (void)state;
    assert_true(handover_pair(channel));
    assert_true(handover_say(channel[1], HANDOVER_ORDER, ORDER_STOP, SLICE_NONE)); /* never read */
    assert_true(handover_say(channel[0], HANDOVER_REPORT, 0, SLICE("words")));
    close(channel[0]);
    assert_int_equal(handover_receive(channel[1], &got, 0), HANDOVER_GOT);
    assert_true(slice_eq(got.text, SLICE("words")));
    assert_int_equal(handover_receive(channel[1], &got, 0), HANDOVER_GONE);
    close(channel[1]);
}

/* A packet that is no message must not leave its descriptors behind. */
static void descriptors_of_nonsense_are_closed(void **state)
{
    int channel[2];
    struct handover m = sample(), got;
    (void)state;
    assert_true(handover_pair(channel));
    int before = open_count();
    m.kind = HANDOVER_KIND_END;
    m.fds[0] = m.fds[1] = channel[0];
    m.fd_count = 2;
    assert_true(handover_send(channel[0], &m));
    assert_int_equal(handover_receive(channel[1], &got, 0), HANDOVER_GONE);
    assert_int_equal(got.fd_count, 0);
    assert_int_equal(open_count(), before);
    close(channel[0]);
    close(channel[1]);
}

UNIT_SUITE(main_handover, cmocka_unit_test(a_message_survives_the_wire),
           cmocka_unit_test(every_other_length_is_refused),
           cmocka_unit_test(unknown_kinds_are_refused), cmocka_unit_test(long_texts_are_cut),
           cmocka_unit_test(descriptors_go_along),
           cmocka_unit_test(nothing_and_gone_are_told_apart),
           cmocka_unit_test(last_words_are_heard),
           cmocka_unit_test(descriptors_of_nonsense_are_closed));
