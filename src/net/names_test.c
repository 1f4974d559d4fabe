/* names_test.c - names of requests against a name server that the test itself plays: one question
 * for all who wait, what is remembered and for how long, the bounds. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "net/names.h"
#include "tests/unit.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_BYTES = 12, TYPE_A = 1, TYPE_PTR = 12 };

static struct counters_shared counters;
static struct loop loop;
static struct names *names;
static int server_fd;
static char server_text[ADDR_TEXT_BYTES];
static int questions;         /* of type A */
static int questions_back;    /* of type PTR */
static unsigned char last_ip; /* counts up: 10.0.0.1, 10.0.0.2... */
static bool silent, blank;
static struct task waiter;
static int wakes;

static void on_wake(struct task *t)
{
    (void)t;
    wakes++;
}

/* Two good ones, and with `blank` one that would be two. */
static size_t put_names(unsigned char *p, size_t end)
{
    static const struct {
        const char *bytes;
        unsigned char len;
    } names_of_it[] = {{"\5Crawl\4Test\0", 12}, {"\5other\4test\0", 12}, {"\3a b\4test\0", 10}};
    int count = blank ? 3 : 2;
    for (int i = 0; i < count; i++) {
        const unsigned char head[] = {0xc0, HEADER_BYTES,      0, TYPE_PTR, 0, 1, 0, 0, 0, 2,
                                      0,    names_of_it[i].len};
        memcpy(p + end, head, sizeof head);
        memcpy(p + end + sizeof head, names_of_it[i].bytes, names_of_it[i].len);
        end += sizeof head + names_of_it[i].len;
    }
    p[7] = (unsigned char)count;
    return end;
}

/* ---- the name server: A records with a TTL of 2 s; names with "none" in them do not exist ---- */

static void answer_one(unsigned char *p, ssize_t n, struct sockaddr *to, socklen_t to_len)
{
    static const unsigned char record[] = {0xc0, HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 2, 0, 4};
    size_t end = HEADER_BYTES;
    while (p[end])
        end += p[end] + 1u;
    bool is_a = p[end + 2] == TYPE_A, none = memmem(p, (size_t)n, "none", 4) != NULL;
    end += 5;
    questions += is_a;
    questions_back += p[end - 3] == TYPE_PTR;
    if (silent)
        return;
    p[2] = 0x85;
    p[3] = none ? 0x83 : 0x80;
    memset(p + 6, 0, 6);
    if (is_a && !none) {
        p[7] = 1;
        memcpy(p + end, record, sizeof record);
        memcpy(p + end + sizeof record, (unsigned char[]){10, 0, 0, ++last_ip}, 4);
        end += sizeof record + 4;
    }
    if (p[end - 3] == TYPE_PTR && !none)
        end = put_names(p, end);
    sendto(server_fd, p, end, 0, to, to_len);
}

static void serve(void)
{
    unsigned char p[512];
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    ssize_t n;
    while ((n = recvfrom(server_fd, p, sizeof p, MSG_DONTWAIT, (struct sockaddr *)&from, &len)) > 0)
        answer_one(p, n, (struct sockaddr *)&from, len);
}

static void pump(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        loop_stop(&loop); /* a tick that does not wait */
        loop_tick(&loop);
        serve();
        usleep(500);
    }
}

static int set_up(void **state)
{
    struct addr a;
    (void)state;
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &a), ERR_OK);
    server_fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(server_fd, &a.sa, a.len), 0);
    assert_int_equal(getsockname(server_fd, &a.sa, &a.len), 0);
    addr_write(server_text, &a);
    assert_true(loop_init(&loop, &io_backend_epoll, NULL, &counters, 1 << 20));
    names = names_new(&loop, server_text);
    assert_non_null(names);
    task_init(&waiter, on_wake);
    questions = questions_back = wakes = 0;
    last_ip = 0;
    silent = blank = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    names_free(names);
    loop_release(&loop);
    close(server_fd);
    return 0;
}

static void until_answered(const struct names_ask *ask)
{
    for (int i = 0; i < 2000 && names_poll(ask) == ERR_HOLD; i++)
        pump(1);
    pump(1); /* its waiter is woken */
}

static void expect_addr(const struct names_ask *ask, const char *text)
{
    char got[ADDR_TEXT_BYTES];
    assert_int_equal(ask->count, 1);
    addr_write(got, &ask->addrs[0]);
    assert_string_equal(got, text);
}

static void names_of_addresses(void **state)
{
    struct names_ask ask = {0}, again = {0};
    struct addr a, unix_socket = {.len = sizeof unix_socket.un, .un.sun_family = AF_UNIX};
    (void)state;
    assert_int_equal(addr_parse_ip(SLICE("192.0.2.9"), &a), ERR_OK);
    assert_int_equal(names_reverse(names, &a, &ask, &waiter), ERR_HOLD);
    until_answered(&ask);
    assert_int_equal(names_poll(&ask), ERR_OK);
    assert_non_null(strstr(ask.hosts, "crawl.test")); /* lower case */
    assert_non_null(strstr(ask.hosts, "other.test"));
    assert_int_equal(ask.count, 0);
    assert_int_equal(names_reverse(names, &a, &again, &waiter), ERR_OK);
    assert_string_equal(again.hosts, ask.hosts);
    assert_int_equal(questions_back, 1);
    assert_int_equal(names_reverse(names, &unix_socket, &ask, &waiter), ERR_DNS_FAILED);
}

static void a_name_with_a_blank_is_none(void **state)
{
    struct names_ask ask = {0};
    struct addr a;
    (void)state;
    blank = true;
    assert_int_equal(addr_parse_ip(SLICE("192.0.2.9"), &a), ERR_OK);
    assert_int_equal(names_reverse(names, &a, &ask, &waiter), ERR_HOLD);
    until_answered(&ask);
    assert_null(strstr(ask.hosts, "b.test"));
}

static void whether_there_is_none_is_told(void **state)
{
    struct names_ask ask = {0};
    (void)state;
    assert_int_equal(names_find(names, SLICE("none.test"), &ask, &waiter), ERR_HOLD);
    until_answered(&ask);
    assert_int_equal(names_poll(&ask), ERR_DNS_FAILED);
    assert_true(ask.none);
}

static void one_question_for_all_who_wait(void **state)
{
    struct names_ask a = {0}, b = {0}, c = {0};
    (void)state;
    assert_int_equal(names_find(names, SLICE("a.test"), &a, &waiter), ERR_HOLD);
    assert_int_equal(names_find(names, SLICE("a.test"), &b, &waiter), ERR_HOLD);
    assert_true(a.looked_up && !b.looked_up);
    until_answered(&b);
    assert_int_equal(names_poll(&a), ERR_OK);
    assert_int_equal(names_poll(&b), ERR_OK);
    assert_int_equal(wakes, 1); /* both are one task */
    assert_int_equal(questions, 1);
    expect_addr(&a, "10.0.0.1:0");
    assert_int_equal(names_find(names, SLICE("a.test"), &c, &waiter), ERR_OK);
    assert_false(c.looked_up);
    expect_addr(&c, "10.0.0.1:0");
    assert_int_equal(questions, 1);
}

static void the_ttl_ends_what_is_remembered(void **state)
{
    struct names_ask a = {0}, b = {0}, c = {0};
    (void)state;
    (void)!names_find(names, SLICE("a.test"), &a, &waiter);
    until_answered(&a);
    int64_t now_ms = loop.now_ms;
    loop.now_ms = now_ms + 1900;
    assert_int_equal(names_find(names, SLICE("a.test"), &b, &waiter), ERR_OK);
    loop.now_ms = now_ms + 2100;
    assert_int_equal(names_find(names, SLICE("a.test"), &c, &waiter), ERR_HOLD);
    until_answered(&c);
    names_cancel(&c);
}

static void failures_are_remembered_too(void **state)
{
    struct names_ask a = {0}, b = {0};
    (void)state;
    (void)!names_find(names, SLICE("none.test"), &a, &waiter);
    until_answered(&a);
    assert_int_equal(names_poll(&a), ERR_DNS_FAILED);
    int before = questions;
    assert_int_equal(names_find(names, SLICE("none.test"), &b, &waiter), ERR_DNS_FAILED);
    assert_int_equal(questions, before);
}

static void canceled_ones_are_not_woken(void **state)
{
    struct names_ask a = {0}, b = {0};
    (void)state;
    (void)!names_find(names, SLICE("a.test"), &a, &waiter);
    names_cancel(&a);
    names_cancel(&a);
    pump(50);
    assert_int_equal(wakes, 0);
    assert_int_equal(names_find(names, SLICE("a.test"), &b, &waiter), ERR_OK);
}

static void find(struct names_ask *ask, int i, enum err expected)
{
    char host[32];
    snprintf(host, sizeof host, "h%d.test", i);
    assert_int_equal(names_find(names, slice_of(host), ask, &waiter), expected);
}

static void so_many_are_asked_for_at_once(void **state)
{
    static struct names_ask asks[NAMES_ASKED_MAX + 1];
    (void)state;
    memset(asks, 0, sizeof asks);
    silent = true;
    for (int i = 0; i < NAMES_ASKED_MAX; i++)
        find(&asks[i], i, ERR_HOLD);
    find(&asks[NAMES_ASKED_MAX], NAMES_ASKED_MAX, ERR_OVER_LIMIT);
    struct names_ask same = {0};
    find(&same, 0, ERR_HOLD); /* no question more */
    names_cancel(&same);
    for (int i = 0; i < NAMES_ASKED_MAX; i++)
        names_cancel(&asks[i]);
}

static void the_one_used_longest_ago_is_forgotten(void **state)
{
    struct names_ask a;
    (void)state;
    for (int i = 0; i < NAMES_KEPT_MAX; i++) {
        a = (struct names_ask){0};
        find(&a, i, ERR_HOLD);
        until_answered(&a);
        if (i == 0) /* as long as the test may take */
            assert_int_equal(names_poll(&a), ERR_OK);
    }
    loop.now_ms -= 10000; /* what was remembered first would be too old by now */
    a = (struct names_ask){0};
    find(&a, 1, ERR_OK); /* now 0 is the oldest */
    a = (struct names_ask){0};
    find(&a, NAMES_KEPT_MAX, ERR_HOLD);
    until_answered(&a);
    loop.now_ms -= 10000;
    a = (struct names_ask){0};
    find(&a, 1, ERR_OK);
    a = (struct names_ask){0};
    find(&a, 0, ERR_HOLD);
    names_cancel(&a);
}

static void other_servers_are_asked_anew(void **state)
{
    char twice[2 * ADDR_TEXT_BYTES + 2];
    struct names_ask a = {0}, b = {0};
    (void)state;
    (void)!names_find(names, SLICE("a.test"), &a, &waiter);
    until_answered(&a);
    silent = true;
    assert_int_equal(names_find(names, SLICE("b.test"), &b, &waiter), ERR_HOLD);
    pump(5);
    silent = blank = false;
    assert_false(names_use(names, "nonsense"));
    assert_true(names_use(names, server_text)); /* the same: nothing changes */
    assert_int_equal(names_poll(&b), ERR_HOLD);
    snprintf(twice, sizeof twice, "%s,%s", server_text, server_text);
    assert_true(names_use(names, twice));
    until_answered(&b);
    assert_int_equal(names_poll(&b), ERR_OK);
    a = (struct names_ask){0};
    assert_int_equal(names_find(names, SLICE("a.test"), &a, &waiter), ERR_HOLD);
    names_cancel(&a);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

UNIT_SUITE(net_names, CASE(names_of_addresses), CASE(a_name_with_a_blank_is_none),
           CASE(whether_there_is_none_is_told), CASE(one_question_for_all_who_wait),
           CASE(the_ttl_ends_what_is_remembered), CASE(failures_are_remembered_too),
           CASE(canceled_ones_are_not_woken), CASE(so_many_are_asked_for_at_once),
           CASE(the_one_used_longest_ago_is_forgotten), CASE(other_servers_are_asked_anew));
