/* ocsp_stapler_test.c - staples come, stay over a reload, and are missed aloud. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/ocsp_responder_priv.h"
#include "tls/ocsp_stapler.h"
#include "tls/staple.h"
/* after unit.h, whose assertions it uses */
#include "tls/ocsp_make_priv.h"

static struct made root, leaf;
static struct text pem, key, line;
static struct ocsp_stapler *stapler;
static struct tls_cert *cert;
static int fail_count;

static struct tls_cert *load(void)
{
    struct tls_cert *c = NULL;
    struct text why = {0};
    if (tls_cert_load(&c, text_slice(&pem), text_slice(&key), &why) != ERR_OK)
        fail_msg("%s", why.at);
    return c;
}

static void on_failed(void *ctx, const char *words)
{
    assert_ptr_equal(ctx, &fail_count);
    text_clear(&line);
    text_add(&line, slice_of(words));
    fail_count++;
}

/* A certificate that asks the test's responder, or none when `url` is NULL. */
static void make_cert(const char *url)
{
    leaf = made_new(
        &(struct made_spec){.cn = "leaf", .issuer = &root, .must_staple = true, .ocsp = url});
    made_cert_pem(&leaf, &pem);
    made_cert_pem(&root, &pem);
    made_key_pem(&leaf, NULL, &key);
    cert = load();
}

static int set_up(void **state)
{
    char url[64];
    responder_set_up(state);
    fail_count = 0;
    root = made_new(&(struct made_spec){.cn = "Root", .ca = true});
    snprintf(url, sizeof url, "http://127.0.0.1:%d", responder.port);
    make_cert(url);
    stapler = ocsp_stapler_new(&loop, dns, on_failed, &fail_count);
    return 0;
}

static int tear_down(void **state)
{
    ocsp_stapler_free(stapler);
    tls_cert_drop(cert);
    made_free(&root);
    made_free(&leaf);
    text_release(&pem);
    text_release(&key);
    text_release(&line);
    assert_int_equal(counter_get(&counters, METRIC_OCSP_MISSING), 0);
    return responder_tear_down(state);
}

static void answer_with(int status)
{
    struct text der = {0};
    answer_make(&(struct answer_spec){.leaf = &leaf,
                                      .issuer = &root,
                                      .status = status,
                                      .from = time(NULL) - 100,
                                      .to = time(NULL) + 86400},
                &der);
    responder_says(text_slice(&der));
    text_release(&der);
}

static bool has_staple(struct tls_cert *c)
{
    struct tls_staple *s = tls_cert_take_staple(c, time(NULL));
    tls_staple_drop(s);
    return s != NULL;
}

static void a_staple_comes_and_stays(void **state)
{
    (void)state;
    answer_with(V_OCSP_CERTSTATUS_GOOD);
    ocsp_stapler_set(stapler, &cert, 1);
    assert_int_equal(ocsp_stapler_missing(stapler), 1);
    assert_int_equal(counter_get(&counters, METRIC_OCSP_MISSING), 1);
    LOOP_UNTIL(has_staple(cert));
    assert_int_equal(ocsp_stapler_missing(stapler), 0);
    assert_int_equal(counter_get(&counters, METRIC_OCSP_MISSING), 0);
    struct tls_cert *again = load(), *both[] = {again, again};
    ocsp_stapler_set(stapler, both, 2); /* a reload; two sites with the same */
    assert_true(has_staple(again));
    for (int i = 0; i < 100; i++)
        loop_turn();
    text_clear(&line);
    assert_int_equal(responder_heard(&line), 1); /* none is due */
    assert_int_equal(counter_get(&counters, METRIC_OCSP_FETCHES), 1);
    assert_int_equal(fail_count, 0);
    tls_cert_drop(again);
}

static void a_revoked_one_gets_none(void **state)
{
    (void)state;
    answer_with(V_OCSP_CERTSTATUS_REVOKED);
    ocsp_stapler_set(stapler, &cert, 1);
    LOOP_UNTIL(fail_count);
    assert_false(has_staple(cert));
    assert_non_null(strstr(line.at, "certificate 1 (\"CN=leaf\"): no OCSP answer from http://127"));
    assert_non_null(strstr(line.at, "the certificate is revoked"));
    assert_non_null(strstr(line.at, "demands one (must-staple)"));
    assert_int_equal(counter_get(&counters, METRIC_OCSP_ERRORS), 1);
    for (int i = 0; i < 100; i++)
        loop_turn();
    assert_int_equal(fail_count, 1); /* the next try is a minute away */
}

static void a_failure_keeps_the_last_one(void **state)
{
    (void)state;
    tls_cert_set_staple(cert, tls_staple_new(SLICE("x"), time(NULL) - 1000, time(NULL) + 990));
    responder_is(RESPONDER_CLOSES, 0);
    ocsp_stapler_set(stapler, &cert, 1);
    LOOP_UNTIL(fail_count);
    assert_non_null(strstr(line.at, "the last one is still shown"));
    assert_true(has_staple(cert));
}

static void a_fresh_one_is_not_asked_for(void **state)
{
    (void)state;
    tls_cert_set_staple(cert, tls_staple_new(SLICE("x"), time(NULL) - 10, time(NULL) + 1000));
    ocsp_stapler_set(stapler, &cert, 1);
    for (int i = 0; i < 50; i++)
        loop_turn();
    assert_int_equal(counter_get(&counters, METRIC_OCSP_FETCHES), 0);
}

static void a_reload_may_come_while_asking(void **state)
{
    (void)state;
    struct tls_cert *again = load();
    answer_with(V_OCSP_CERTSTATUS_GOOD);
    responder_is(RESPONDER_ANSWERS, 100);
    ocsp_stapler_set(stapler, &cert, 1);
    for (int i = 0; i < 10; i++)
        loop_turn();
    ocsp_stapler_set(stapler, &again, 1);
    LOOP_UNTIL(has_staple(again));
    tls_cert_drop(again);
    ocsp_stapler_set(stapler, NULL, 0);
    assert_int_equal(ocsp_stapler_missing(stapler), 0);
}

static void it_may_end_while_asking(void **state)
{
    (void)state;
    responder_is(RESPONDER_DROPS, 0);
    ocsp_stapler_set(stapler, &cert, 1);
    for (int i = 0; i < 20; i++)
        loop_turn();
    assert_int_equal(counter_get(&counters, METRIC_OCSP_FETCHES), 1);
}

static void a_url_that_cannot_be_asked(void **state)
{
    (void)state;
    tls_cert_drop(cert);
    made_free(&leaf);
    text_clear(&pem);
    text_clear(&key);
    make_cert("http://127.0.0.1:0/");
    ocsp_stapler_set(stapler, &cert, 1);
    LOOP_UNTIL(fail_count);
    assert_non_null(strstr(line.at, "no address that can be asked"));
}

static void without_a_responder_it_is_told_at_once(void **state)
{
    (void)state;
    tls_cert_drop(cert);
    made_free(&leaf);
    text_clear(&pem);
    text_clear(&key);
    make_cert(NULL);
    ocsp_stapler_set(stapler, &cert, 1);
    assert_int_equal(fail_count, 1);
    assert_non_null(strstr(line.at, "it names no responder"));
    assert_int_equal(ocsp_stapler_missing(stapler), 1);
}

UNIT_SUITE(tls_ocsp_stapler,
           cmocka_unit_test_setup_teardown(a_staple_comes_and_stays, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_revoked_one_gets_none, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_failure_keeps_the_last_one, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_fresh_one_is_not_asked_for, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_reload_may_come_while_asking, set_up, tear_down),
           cmocka_unit_test_setup_teardown(it_may_end_while_asking, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_url_that_cannot_be_asked, set_up, tear_down),
           cmocka_unit_test_setup_teardown(without_a_responder_it_is_told_at_once, set_up,
                                           tear_down));
