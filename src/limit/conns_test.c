/* conns_test.c - counts of connections: bounds, who counts together, workers that count at once. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/conns.h"
#include "tests/unit.h"
#include <pthread.h>
#include <stdio.h>

static const struct conns_bounds none = {-1, -1};

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(slice_of(text), &a), ERR_OK);
    return a;
}

static struct conns_shared *take(const char *text)
{
    struct addr a = ip(text);
    struct conns_who who = conns_who_of(&a);
    return conns_take(&who);
}

static void leave(struct conns_shared *c, uint32_t count)
{
    while (count-- > 0)
        conns_leave(c);
    conns_drop(c);
}

static void an_address_has_a_bound(void **state)
{
    const struct conns_bounds b = {.max = -1, .per_address = 2};
    struct conns_shared *c = take("192.0.2.1"), *d = take("192.0.2.2");
    (void)state;
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    assert_int_equal(conns_enter(c, &b), CONNS_OVERRUN);
    assert_int_equal(conns_enter(d, &b), CONNS_IN);
    assert_int_equal(conns_of(c), 2);
    assert_int_equal(conns_sum(), 3);
    conns_leave(c);
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    leave(c, 2);
    leave(d, 1);
    assert_int_equal(conns_sum(), 0);
}

static void so_has_the_sum(void **state)
{
    const struct conns_bounds b = {.max = 2, .per_address = -1};
    struct conns_shared *c = take("192.0.2.1"), *d = take("192.0.2.2");
    (void)state;
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    assert_int_equal(conns_enter(d, &b), CONNS_IN);
    assert_int_equal(conns_enter(d, &b), CONNS_FULL);
    assert_int_equal(conns_of(d), 1);
    conns_leave(c);
    assert_int_equal(conns_enter(d, &b), CONNS_IN);
    leave(c, 0);
    leave(d, 2);
}

static void same(const char *a, const char *b, bool are)
{
    struct conns_shared *c = take(a), *d = take(b);
    assert_true((c == d) == are);
    conns_drop(c);
    conns_drop(d);
}

static void who_counts_together(void **state)
{
    (void)state;
    same("192.0.2.1", "::ffff:192.0.2.1", true);
    same("192.0.2.1", "192.0.2.2", false);
    same("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true);
    same("2001:db8:0:1::1", "2001:db8:0:2::1", false);
}

static void a_trusted_proxy_has_no_bound(void **state)
{
    const struct conns_bounds b = {.max = -1, .per_address = 1};
    struct addr proxy = ip("2001:db8::"), other = ip("2001:db8::1");
    struct conns_who p = conns_trusted(&proxy), o = conns_who_of(&other);
    struct conns_shared *c = conns_take(&p), *d = conns_take(&o);
    (void)state;
    assert_true(c != d); /* a neighbour in its /64 has one */
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    assert_int_equal(conns_enter(d, &b), CONNS_IN);
    assert_int_equal(conns_enter(d, &b), CONNS_OVERRUN);
    leave(c, 2);
    leave(d, 1);
}

static void unix_sockets_have_no_bound(void **state)
{
    const struct conns_bounds b = {.max = -1, .per_address = 1};
    struct addr a = {.len = sizeof(struct sockaddr_un), .un = {.sun_family = AF_UNIX}};
    struct conns_who who = conns_who_of(&a);
    struct conns_shared *c = conns_take(&who);
    (void)state;
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    assert_int_equal(conns_enter(c, &b), CONNS_IN);
    leave(c, 2);
}

static void the_most_come_first(void **state)
{
    enum { ALL = 6, TOP = 4 };
    static const uint32_t counts[ALL] = {3, 1, 7, 2, 5, 4};
    struct conns_shared *all[ALL];
    struct conns_row rows[TOP];
    char text[24];
    (void)state;
    for (int i = 0; i < ALL; i++) {
        snprintf(text, sizeof text, "192.0.2.%d", i);
        all[i] = take(text);
        for (uint32_t n = 0; n < counts[i]; n++)
            assert_int_equal(conns_enter(all[i], &none), CONNS_IN);
    }
    assert_int_equal(conns_addresses(), ALL);
    assert_int_equal(conns_top(rows, TOP), TOP);
    for (uint32_t i = 0; i < TOP; i++)
        assert_int_equal(rows[i].count, 7 - (i ? i + 1 : 0));
    assert_int_equal(conns_top(rows, 0), 0);
    for (int i = 0; i < ALL; i++)
        leave(all[i], counts[i]);
    assert_int_equal(conns_top(rows, TOP), 0);
    assert_int_equal(conns_addresses(), 0);
}

enum { THREADS = 4, ROUNDS = 20000, BOUND = 3 };
static uint32_t inside; /* atomic */

static void *come_and_go(void *arg)
{
    const struct conns_bounds b = {.max = -1, .per_address = BOUND};
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct conns_shared *c = take("192.0.2.1");
        if (conns_enter(c, &b) == CONNS_IN) {
            uint32_t now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
            if (now > BOUND)
                return arg;
            __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
            conns_leave(c);
        }
        conns_drop(c);
    }
    return NULL;
}

static void threads_count_together(void **state)
{
    pthread_t threads[THREADS];
    void *failed = NULL;
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &inside), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed = result ? result : failed;
    }
    assert_null(failed);
    assert_int_equal(conns_sum(), 0);
    assert_int_equal(conns_addresses(), 0);
}

UNIT_SUITE(limit_conns, cmocka_unit_test(an_address_has_a_bound), cmocka_unit_test(so_has_the_sum),
           cmocka_unit_test(who_counts_together), cmocka_unit_test(a_trusted_proxy_has_no_bound),
           cmocka_unit_test(unix_sockets_have_no_bound), cmocka_unit_test(the_most_come_first),
           cmocka_unit_test(threads_count_together));
