/* limit_test.c - `limit` between scripted streams: what is refused, waits, is held back, and that
 * nothing of it is left behind (rig_stop()). The rest is tested from outside. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange_rig_test.h"

#define SITE(lines) \
    "listen 10.0.9.9:80\ntrust 192.0.2.0/24\nsite * {\n respond 200 x\n" lines "\n}\n"
#define PROXY(lines) "listen 10.0.9.9:80\nsite * {\n proxy 10.0.0.1:80\n" lines "\n}\n"

static void ask(unsigned status)
{
    rig_request("GET / | Host: a.test");
    rig_run(1);
    rig_expect(status);
}

static void the_burst_passes(void **state)
{
    (void)state;
    rig_start(SITE("limit 1r/s burst=2"));
    ask(200);
    ask(200);
    rig_expect_head(&rig.client, "RateLimit-Policy: \"1r/s\";q=2;w=2");
    rig_expect_head(&rig.client, "RateLimit: \"1r/s\";r=0;t=2");
    rig_expect_no(&rig.client, "Retry-After");
    ask(429);
    rig_expect_head(&rig.client, "Retry-After: 1");
    assert_int_equal(rig_errors(ERR_RATE_LIMITED), 1);
    rig_run(1000);
    ask(200);
    rig_stop();
}

static void a_turn_comes(void **state)
{
    (void)state;
    rig_start(SITE("limit 10r/s burst=1 queue=1"));
    ask(200);
    rig_request("GET / | Host: a.test");
    rig_run(50);
    rig_expect_step(STEP_REQUEST_FILTERS);
    rig_run(60);
    rig_expect(200);
    rig_stop();
}

enum { LONG_BYTES = 40000, AT_ONCE_BYTES = 16384 };

static void bodies_are_held_back(void **state)
{
    (void)state;
    static char text[LONG_BYTES + 1];
    memset(text, 'x', LONG_BYTES);
    rig_start(PROXY("limit download=100000B/s"));
    rig_request("GET / | Host: a.test");
    rig_response_head(rig.origin, "200");
    rig_run(1);
    rig_say(rig.origin, text);
    rig_end(rig.origin);
    rig_run(1);
    assert_in_range(rig.client.body_len, AT_ONCE_BYTES, AT_ONCE_BYTES + 200);
    rig_run(100);
    assert_in_range(rig.client.body_len, AT_ONCE_BYTES, AT_ONCE_BYTES + 10500);
    rig_run(200);
    rig_expect(200);
    assert_int_equal(rig.client.body_len, LONG_BYTES);
    rig_stop();
}

/* The timers of what waits end with it. */
static void clients_leave_while_they_wait(void **state)
{
    (void)state;
    rig_start(SITE("limit 1r/m burst=1 queue=9 concurrent=2"));
    ask(200);
    rig_request("GET / | Host: a.test");
    rig_run(1);
    rig_expect_step(STEP_REQUEST_FILTERS);
    rig.client.s->err = ERR_CLIENT_RESET;
    rig_wake(&rig.client);
    rig_run(1);
    rig_stop();
}

UNIT_SUITE(filter_limit, cmocka_unit_test(the_burst_passes), cmocka_unit_test(a_turn_comes),
           cmocka_unit_test(bodies_are_held_back), cmocka_unit_test(clients_leave_while_they_wait));
