/* password_checks_test.c - each pair is hashed once, remembered for its time, told to all who wait
 * (run under TSan, too). */
// SPDX-License-Identifier: Apache-2.0
#include "auth/password_checks.h"
#include "io/loop.h"
#include "io/work.h"
#include "tests/unit.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#define HASH  "$2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2" /* open sesame */
#define OTHER "$2b$05$b4W19ZJ4zQ9CZxgKcKWACOxNGNz.IL5lK8NeNtjcOf4B53E5uQMTy" /* the same */

struct rig {
    struct loop loop;
    struct counters_shared counters;
    struct work_pool_shared *pool;
    struct password_checks_shared *checks;
};

struct asker {
    struct password_wait *wait;
    enum password_state said;
    bool told;
};

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    assert_true(loop_init(&r->loop, &io_backend_epoll, NULL, &r->counters, 1 << 20));
    r->pool = work_pool_new(2);
    r->checks = password_checks_new(r->pool);
}

static void rig_release(struct rig *r)
{
    work_pool_free(r->pool);
    mailbox_run(r->loop.mailbox, &r->loop);
    password_checks_free(r->checks);
    loop_release(&r->loop);
}

static void on_told(void *ctx, enum password_state s)
{
    struct asker *a = ctx;
    assert_false(a->told);
    a->said = s;
    a->told = true;
    a->wait = NULL;
}

static struct password_question question(const char *user, const char *password)
{
    return (struct password_question){
        .user = slice_of(user), .password = slice_of(password), .hash = HASH};
}

static enum password_state ask(struct rig *r, struct asker *a, const struct password_question *q)
{
    *a = (struct asker){0};
    return password_ask(r->checks, q, &r->loop, on_told, a, &a->wait);
}

static enum password_state answer_to(struct rig *r, const struct password_question *q)
{
    struct asker a;
    enum password_state s = ask(r, &a, q);
    if (s != PASSWORD_BEGUN && s != PASSWORD_JOINED)
        return s;
    while (!a.told)
        loop_tick(&r->loop);
    return a.said;
}

static bool is_known(struct rig *r, const struct password_question *q)
{
    struct asker a;
    enum password_state s = ask(r, &a, q);
    if (s == PASSWORD_BEGUN)
        password_leave(a.wait);
    return s == PASSWORD_GOOD || s == PASSWORD_BAD;
}

static void wrong_then_right(void **state)
{
    struct rig r;
    struct password_question wrong = question("alice", "open"),
                             right = question("alice", "open sesame");
    (void)state;
    rig_init(&r);
    assert_int_equal(answer_to(&r, &wrong), PASSWORD_BAD);
    assert_int_equal(answer_to(&r, &right), PASSWORD_GOOD);
    assert_int_equal(answer_to(&r, &wrong), PASSWORD_BAD);
    assert_true(is_known(&r, &wrong) && is_known(&r, &right));
    rig_release(&r);
}

static void what_is_remembered_ends(void **state)
{
    struct rig r;
    struct password_question wrong = question("alice", "open"),
                             right = question("alice", "open sesame");
    (void)state;
    rig_init(&r);
    int64_t asked = r.loop.now_ms;
    answer_to(&r, &wrong);
    answer_to(&r, &right);
    r.loop.now_ms = asked + PASSWORD_BAD_MS - 1;
    assert_true(is_known(&r, &wrong));
    r.loop.now_ms = asked + PASSWORD_BAD_MS + 1000;
    assert_false(is_known(&r, &wrong));
    r.loop.now_ms = asked + PASSWORD_GOOD_MS - 1;
    assert_true(is_known(&r, &right));
    r.loop.now_ms = asked + PASSWORD_GOOD_MS + 1000;
    assert_false(is_known(&r, &right));
    rig_release(&r);
}

/* Nothing but the very same question gets a remembered answer. */
static void what_is_remembered_is_for_that_alone(void **state)
{
    struct rig r;
    struct password_question q = question("alice", "open sesame"), other;
    (void)state;
    rig_init(&r);
    assert_int_equal(answer_to(&r, &q), PASSWORD_GOOD);
    other = q;
    other.hash = OTHER; /* the file has changed */
    assert_false(is_known(&r, &other));
    other = q;
    other.decoy = true;
    assert_false(is_known(&r, &other));
    assert_int_equal(answer_to(&r, &other), PASSWORD_BAD); /* there is no such user */
    other = question("aliceo", "pen sesame");
    assert_false(is_known(&r, &other));
    rig_release(&r);
}

struct gate {
    struct work work;
    sem_t begun, open;
};

static void gate_run(struct work *w)
{
    struct gate *g = CONTAINER_OF(w, struct gate, work);
    sem_post(&g->begun);
    sem_wait(&g->open);
}

static void gates_close(struct rig *r, struct gate g[2])
{
    for (int i = 0; i < 2; i++) {
        g[i] = (struct gate){.work.run = gate_run};
        sem_init(&g[i].begun, 0, 0);
        sem_init(&g[i].open, 0, 0);
        assert_true(work_post(r->pool, &g[i].work, NULL));
        sem_wait(&g[i].begun);
    }
}

static void gates_open(struct gate g[2])
{
    for (int i = 0; i < 2; i++)
        sem_post(&g[i].open);
}

static void many_at_once_are_hashed_once(void **state)
{
    static struct asker askers[PASSWORD_WAITS_MAX + 1];
    struct rig r;
    struct gate gates[2];
    struct password_question q = question("alice", "open sesame");
    (void)state;
    rig_init(&r);
    gates_close(&r, gates);
    assert_int_equal(ask(&r, &askers[0], &q), PASSWORD_BEGUN);
    for (int i = 1; i < PASSWORD_WAITS_MAX; i++)
        assert_int_equal(ask(&r, &askers[i], &q), PASSWORD_JOINED);
    assert_int_equal(ask(&r, &askers[PASSWORD_WAITS_MAX], &q), PASSWORD_BUSY);
    password_leave(askers[3].wait);
    gates_open(gates);
    while (!askers[0].told)
        loop_tick(&r.loop);
    for (int i = 0; i < PASSWORD_WAITS_MAX; i++)
        assert_true(askers[i].told == (i != 3) && (i == 3 || askers[i].said == PASSWORD_GOOD));
    rig_release(&r);
}

/* One address has its share of the queue; others still get in. */
static void a_flood_from_one_address_is_refused(void **state)
{
    static struct asker askers[WORK_SHARE_MAX + 2];
    struct rig r;
    struct gate gates[2];
    char password[32];
    (void)state;
    rig_init(&r);
    gates_close(&r, gates);
    for (int i = 0; i <= WORK_SHARE_MAX; i++) {
        snprintf(password, sizeof password, "guess %d", i);
        struct password_question q = question("alice", password);
        q.share = 7;
        assert_int_equal(ask(&r, &askers[i], &q), PASSWORD_BEGUN);
    }
    struct password_question right = question("alice", "open sesame");
    assert_int_equal(ask(&r, &askers[WORK_SHARE_MAX + 1], &right), PASSWORD_BEGUN);
    while (!askers[WORK_SHARE_MAX].told)
        loop_tick(&r.loop);
    assert_int_equal(askers[WORK_SHARE_MAX].said, PASSWORD_BUSY);
    gates_open(gates);
    while (!askers[WORK_SHARE_MAX + 1].told)
        loop_tick(&r.loop);
    assert_int_equal(askers[WORK_SHARE_MAX + 1].said, PASSWORD_GOOD);
    rig_release(&r);
}

static void the_end_while_they_wait(void **state)
{
    struct rig r;
    struct gate gates[2];
    struct asker stays, leaves;
    struct password_question q = question("alice", "open sesame");
    (void)state;
    rig_init(&r);
    gates_close(&r, gates);
    assert_int_equal(ask(&r, &stays, &q), PASSWORD_BEGUN);
    assert_int_equal(ask(&r, &leaves, &q), PASSWORD_JOINED);
    password_leave(leaves.wait);
    gates_open(gates);
    rig_release(&r);
    assert_true(stays.told && !leaves.told);
}

/* --- several workers ---------------------------------------------------------------------------
 */

enum { WORKERS = 3, ROUNDS = 40 };

struct hammer {
    struct rig *rig;
    struct loop loop;
    struct counters_shared counters;
    int good, begun;
};

static void *hammer_run(void *arg)
{
    struct hammer *h = arg;
    char password[32];
    for (int i = 0; i < ROUNDS; i++) {
        struct asker a = {0};
        snprintf(password, sizeof password, i % 4 ? "guess %d" : "open sesame", i / 2);
        struct password_question q = question("alice", password);
        enum password_state s = password_ask(h->rig->checks, &q, &h->loop, on_told, &a, &a.wait);
        h->begun += s == PASSWORD_BEGUN;
        bool waits = s == PASSWORD_BEGUN || s == PASSWORD_JOINED;
        if (waits && i % 8 == 5) {
            password_leave(a.wait);
            continue;
        }
        while (waits && !a.told)
            loop_tick(&h->loop);
        h->good += (waits ? a.said : s) == PASSWORD_GOOD;
    }
    return NULL;
}

static void workers_share_what_is_known(void **state)
{
    static struct hammer hammers[WORKERS];
    pthread_t threads[WORKERS];
    struct rig r;
    int begun = 0;
    (void)state;
    rig_init(&r);
    for (int i = 0; i < WORKERS; i++) {
        hammers[i] = (struct hammer){.rig = &r};
        assert_true(
            loop_init(&hammers[i].loop, &io_backend_epoll, NULL, &hammers[i].counters, 1 << 20));
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_run, &hammers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(hammers[i].good, ROUNDS / 4);
        begun += hammers[i].begun;
    }
    assert_true(begun <= ROUNDS); /* not three times as many */
    rig_release(&r);
    for (int i = 0; i < WORKERS; i++) {
        mailbox_run(hammers[i].loop.mailbox, &hammers[i].loop);
        loop_release(&hammers[i].loop);
    }
}

UNIT_SUITE(auth_password_checks, cmocka_unit_test(wrong_then_right),
           cmocka_unit_test(what_is_remembered_ends),
           cmocka_unit_test(what_is_remembered_is_for_that_alone),
           cmocka_unit_test(many_at_once_are_hashed_once),
           cmocka_unit_test(a_flood_from_one_address_is_refused),
           cmocka_unit_test(the_end_while_they_wait),
           cmocka_unit_test(workers_share_what_is_known));
