/* timer_test.c - the wheel against a list of deadlines, over random operations. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/rand.h"
#include "io/timer.h"
#include "tests/unit.h"

enum { TIMERS = 200, STEPS = 20000 };

/* What the wheel should do, the simple way: look at every timer. */
struct model {
    struct timer timer;
    int64_t at_ms;
    bool armed;
    int again; /* times that it sets itself again when it fires */
};

static struct timer_wheel wheel;
static struct model models[TIMERS];
static struct rand rnd;
static int64_t now_ms, run_began_ms;
static int fired;

static void model_set(struct model *m, int64_t at_ms)
{
    timer_set(&wheel, &m->timer, at_ms);
    m->at_ms = at_ms;
    m->armed = true;
}

static void on_fire(struct timer *t)
{
    struct model *m = CONTAINER_OF(t, struct model, timer);
    assert_true(m->armed);
    assert_true(m->at_ms <= now_ms);
    m->armed = false;
    fired++;
    if (m->again > 0 && m->again--)
        model_set(m, now_ms + rand_below(&rnd, 3) - 1);
    if (rand_below(&rnd, 20) == 0) { /* fires may stop others */
        struct model *other = &models[rand_below(&rnd, TIMERS)];
        timer_stop(&wheel, &other->timer);
        other->armed = false;
    }
}

static int64_t random_span(void)
{
    static const uint32_t spans[] = {2, 60, 70, 4096, 5000, 300000, 20000000, 2000000000};
    return rand_below(&rnd, spans[rand_below(&rnd, COUNT_OF(spans))]);
}

static int64_t model_next(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (models[i].armed && models[i].at_ms < next)
            next = models[i].at_ms;
    return next;
}

static size_t model_count(void)
{
    size_t n = 0;
    for (int i = 0; i < TIMERS; i++)
        n += models[i].armed;
    return n;
}

static void check_against_model(void)
{
    assert_int_equal(wheel.count, model_count());
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(timer_armed(&models[i].timer), models[i].armed);
        /* Only what was set to the past during the run may still be due. */
        if (models[i].armed)
            assert_true(models[i].at_ms > now_ms || models[i].at_ms >= run_began_ms - 1);
    }
    int64_t next = model_next();
    int wait = timers_wait_ms(&wheel, now_ms, 1000000000);
    if (next != INT64_MAX && next - now_ms < 1000000000)
        assert_true(wait <= (next > now_ms ? next - now_ms : 1));
}

static void random_step(void)
{
    struct model *m = &models[rand_below(&rnd, TIMERS)];
    switch (rand_below(&rnd, 6)) {
    case 0:
    case 1:
    case 2:
        m->again = (int)rand_below(&rnd, 3);
        model_set(m, now_ms + random_span() - 5);
        break;
    case 3:
        timer_stop(&wheel, &m->timer);
        m->armed = false;
        break;
    default:
        now_ms += rand_below(&rnd, 4) ? rand_below(&rnd, 5) : random_span();
        run_began_ms = now_ms;
        timers_run(&wheel, now_ms);
        check_against_model();
    }
}

static void start_at(int64_t at_ms)
{
    now_ms = at_ms;
    timer_wheel_init(&wheel, now_ms);
    for (int i = 0; i < TIMERS; i++) {
        models[i] = (struct model){0};
        timer_init(&models[i].timer, on_fire);
    }
}

static void behaves_like_a_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        rand_init(&rnd, seed);
        start_at((int64_t)(rand_next(&rnd) >> 24));
        fired = 0;
        for (int i = 0; i < STEPS; i++)
            random_step();
        assert_true(fired > 100);
    }
}

static int64_t fired_at_ms;

static void note_fire(struct timer *t)
{
    (void)t;
    fired_at_ms = now_ms;
}

/* Goes from one wait to the next as the loop does; how many waits it took. */
static int wait_for_fire(int max_waits)
{
    fired_at_ms = -1;
    for (int n = 1; n <= max_waits; n++) {
        now_ms += timers_wait_ms(&wheel, now_ms, INT32_MAX);
        timers_run(&wheel, now_ms);
        if (fired_at_ms >= 0)
            return n;
    }
    return -1;
}

static void fires_on_the_millisecond(void **state)
{
    static const int64_t spans[] = {0,    1,      63,      64,       65,        4095,      4096,
                                    4097, 262144, 1000000, 16777216, 100000000, 1000000000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(spans); i++) {
        for (int64_t from = (1ll << 30) - 3; from < (1ll << 30) + 3; from++) {
            struct timer t;
            start_at(from);
            timer_init(&t, note_fire);
            timer_set(&wheel, &t, from + spans[i]);
            assert_true(wait_for_fire(8) > 0);
            assert_int_equal(fired_at_ms, from + spans[i]);
            assert_int_equal(wheel.count, 0);
        }
    }
}

static void reaches_past_the_top_level(void **state)
{
    struct timer t;
    const int64_t year_ms = 365ll * 86400 * 1000;
    (void)state;
    start_at(123456789);
    timer_init(&t, note_fire);
    timer_set(&wheel, &t, now_ms + year_ms);
    int waits = wait_for_fire(100);
    assert_true(waits > 1);
    assert_int_equal(fired_at_ms, 123456789 + year_ms);
}

/* Later: stored only. Earlier: filed anew. */
static void moves_lazily(void **state)
{
    struct timer t;
    (void)state;
    start_at(1000);
    timer_init(&t, note_fire);
    timer_set(&wheel, &t, 1010);
    timer_set(&wheel, &t, 1500);
    assert_int_equal(t.filed_ms, 1010);
    now_ms = 1010;
    fired_at_ms = -1;
    timers_run(&wheel, now_ms);
    assert_int_equal(fired_at_ms, -1);
    assert_int_equal(t.filed_ms, 1500);
    timer_set(&wheel, &t, 1020);
    assert_int_equal(timers_wait_ms(&wheel, now_ms, 1000), 10);
    assert_true(wait_for_fire(3) > 0);
    assert_int_equal(fired_at_ms, 1020);
}

static void waits_no_longer_than_asked(void **state)
{
    (void)state;
    start_at(50);
    assert_int_equal(timers_wait_ms(&wheel, now_ms, 777), 777);
    struct timer t;
    timer_init(&t, note_fire);
    timer_set(&wheel, &t, 50 + 800);
    assert_true(timers_wait_ms(&wheel, now_ms, 777) <= 777);
    timer_set(&wheel, &t, 10);
    assert_int_equal(timers_wait_ms(&wheel, now_ms, 777), 0);
    timer_stop(&wheel, &t);
    timer_stop(&wheel, &t);
    assert_int_equal(wheel.count, 0);
}

UNIT_SUITE(io_timer, cmocka_unit_test(behaves_like_a_list),
           cmocka_unit_test(fires_on_the_millisecond), cmocka_unit_test(reaches_past_the_top_level),
           cmocka_unit_test(moves_lazily), cmocka_unit_test(waits_no_longer_than_asked));
