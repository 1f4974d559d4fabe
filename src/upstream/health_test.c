/* health_test.c - ejection at the limit, back-off with fake time, and the slate wiped by a success.
 */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "upstream/health_priv.h"

static const struct upstream up = {.fail_count = 3, .fail_ms = 10000, .fail_max_ms = 35000};
static struct server_shared s;
static struct loop l;

static int reset(void **state)
{
    (void)state;
    s = (struct server_shared){0};
    l.now_ms = 1000;
    l.unix_ms = 1700000000000;
    return 0;
}

static void fail_times(int n)
{
    while (n-- > 0)
        health_failed(&s, &up, ERR_CONNECT_REFUSED, &l);
}

static void ejects_at_the_limit(void **state)
{
    (void)state;
    fail_times(2);
    assert_false(health_ejected(&s, l.now_ms));
    fail_times(1);
    assert_true(health_ejected(&s, l.now_ms));
    assert_true(health_ejected(&s, 10999));
    assert_false(health_ejected(&s, 11000));
    assert_int_equal(s.last_error, ERR_CONNECT_REFUSED);
    assert_int_equal(s.last_error_unix_ms, 1700000000000);
    assert_int_equal(s.failures_total, 3);
}

static struct {
    int out, back;
    int64_t ms;
} told;

static void count_events(const struct server_shared *server, enum server_event e, int64_t ms)
{
    assert_ptr_equal(server, &s);
    *(e == SERVER_OUT ? &told.out : &told.back) += 1;
    told.ms = ms;
}

static void going_and_coming_back_are_told_once(void **state)
{
    (void)state;
    memset(&told, 0, sizeof(told));
    servers_observe(count_events);
    fail_times(2);
    assert_int_equal(told.out, 0);
    fail_times(5); /* those that were under way */
    assert_int_equal(told.out, 1);
    assert_int_equal(told.ms, 10000);
    health_ok(&s, l.now_ms);
    health_ok(&s, l.now_ms);
    assert_int_equal(told.back, 1);
    servers_observe(NULL);
}

static void a_success_between_starts_anew(void **state)
{
    (void)state;
    fail_times(2);
    health_ok(&s, l.now_ms);
    fail_times(2);
    assert_false(health_ejected(&s, l.now_ms));
}

/* After its time one failure is enough, and each ejection lasts twice as long, up to the maximum.
 */
static void back_off_doubles_to_the_maximum(void **state)
{
    (void)state;
    static const int64_t lasts[] = {10000, 20000, 35000, 35000};
    fail_times(2);
    for (int i = 0; i < 4; i++) {
        fail_times(1);
        assert_int_equal(s.ejected_until_ms, l.now_ms + lasts[i]);
        l.now_ms = s.ejected_until_ms;
    }
    health_ok(&s, l.now_ms);
    fail_times(3);
    assert_int_equal(s.ejected_until_ms, l.now_ms + 10000);
}

static void failures_while_out_do_not_prolong(void **state)
{
    (void)state;
    fail_times(3);
    int64_t until = s.ejected_until_ms;
    l.now_ms += 5000;
    fail_times(5);
    assert_int_equal(s.ejected_until_ms, until);
    assert_int_equal(s.eject_count, 1);
}

static void off_never_ejects(void **state)
{
    (void)state;
    struct upstream off = up;
    off.fail_count = CONF_OFF;
    for (int i = 0; i < 100; i++)
        health_failed(&s, &off, ERR_ORIGIN_RESET, &l);
    assert_false(health_ejected(&s, l.now_ms));
}

/* slow_start: the ramp begins with the end of the ejection, or when it proves itself earlier. */
static void ramp_begins_when_it_is_back(void **state)
{
    (void)state;
    fail_times(3);
    assert_int_equal(s.back_at_ms, 11000);
    l.now_ms = 5000; /* a request that was under way */
    health_ok(&s, l.now_ms);
    assert_int_equal(s.back_at_ms, 5000);
    l.now_ms = 6000;
    fail_times(3);
    assert_int_equal(s.back_at_ms, 16000);
    l.now_ms = 20000;
    health_ok(&s, l.now_ms);
    assert_int_equal(s.back_at_ms, 16000);
}

#define CASE(f) cmocka_unit_test_setup(f, reset)
static void after_an_ejection_one_request_tries(void **state)
{
    (void)state;
    bool mine, other;
    assert_true(health_trial_take(&s, l.now_ms, &mine)); /* not ejected: no trial */
    assert_false(mine);
    fail_times(3);
    l.now_ms = 11000;
    assert_false(health_ejected(&s, l.now_ms));
    assert_true(health_trial_take(&s, l.now_ms, &mine));
    assert_true(mine);
    assert_true(health_ejected(&s, l.now_ms)); /* for everybody else */
    assert_false(health_trial_take(&s, l.now_ms, &other));
    assert_false(other);
    health_trial_end(&s); /* it said nothing: another one may */
    assert_false(health_ejected(&s, l.now_ms));
    assert_true(health_trial_take(&s, l.now_ms, &mine));
    health_ok(&s, l.now_ms);
    health_trial_end(&s);
    assert_true(health_trial_take(&s, l.now_ms, &mine));
    assert_false(mine);
}

static void a_trial_that_fails_ejects_for_longer(void **state)
{
    (void)state;
    bool mine;
    fail_times(3);
    l.now_ms = 11000;
    assert_true(health_trial_take(&s, l.now_ms, &mine));
    s.fails_in_a_row = 0; /* whatever took it out */
    fail_times(1);
    health_trial_end(&s);
    assert_true(health_ejected(&s, 11000 + 19999));
    assert_false(health_ejected(&s, 11000 + 20000));
}

UNIT_SUITE(upstream_health, CASE(ejects_at_the_limit), CASE(a_success_between_starts_anew),
           CASE(going_and_coming_back_are_told_once), CASE(back_off_doubles_to_the_maximum),
           CASE(failures_while_out_do_not_prolong), CASE(off_never_ejects),
           CASE(ramp_begins_when_it_is_back),
           cmocka_unit_test_setup(after_an_ejection_one_request_tries, reset),
           cmocka_unit_test_setup(a_trial_that_fails_ejects_for_longer, reset));
