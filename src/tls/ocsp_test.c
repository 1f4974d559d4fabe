/* ocsp_test.c - answers of a responder, good and wrong in one way each. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/ocsp.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* after unit.h, whose assertions it uses */
#include "tls/ocsp_make_priv.h"

enum { NOW = 1800000000, DAY_S = 86400 };

static struct made root, leaf, other, delegate, stranger;
static struct tls_cert *cert;
static struct text der, why;

static struct tls_cert *load(const struct made *m, const struct made *chain)
{
    struct tls_cert *c = NULL;
    struct text pem = {0}, key = {0};
    made_cert_pem(m, &pem);
    if (chain)
        made_cert_pem(chain, &pem);
    made_key_pem(m, NULL, &key);
    if (tls_cert_load_at(&c, text_slice(&pem), text_slice(&key), NOW, &why) != ERR_OK)
        fail_msg("%s", why.at);
    text_release(&pem);
    text_release(&key);
    return c;
}

static int set_up(void **state)
{
    (void)state;
    root = made_new(&(struct made_spec){.cn = "Root", .ca = true, .now = NOW});
    leaf = made_new(&(struct made_spec){.cn = "leaf", .issuer = &root, .now = NOW});
    other = made_new(&(struct made_spec){.cn = "other", .issuer = &root, .now = NOW});
    delegate = made_new(&(struct made_spec){
        .cn = "responder", .issuer = &root, .usage = "OCSPSigning", .now = NOW});
    stranger = made_new(&(struct made_spec){.cn = "Root", .ca = true, .now = NOW});
    cert = load(&leaf, &root);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct made *all[] = {&root, &leaf, &other, &delegate, &stranger};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        made_free(all[i]);
    tls_cert_drop(cert);
    text_release(&der);
    text_release(&why);
    return 0;
}

static struct answer_spec good(void)
{
    return (struct answer_spec){
        .leaf = &leaf, .issuer = &root, .from = NOW - DAY_S, .to = NOW + 3 * DAY_S};
}

static struct tls_staple *check(const struct answer_spec *spec, const char *words)
{
    struct tls_staple *s = NULL;
    text_clear(&why);
    if (spec) {
        text_clear(&der);
        answer_make(spec, &der);
    }
    enum err e = ocsp_check(cert, text_slice(&der), NOW, &s, &why);
    if (e != ERR_OK && (!words || !strstr(why.at, words)))
        fail_msg("'%s' is not in: %s", words ? words : "(nothing)", why.at);
    assert_int_equal(e, words ? ERR_BAD_CONFIG : ERR_OK);
    return s;
}

static void a_request_names_the_leaf(void **state)
{
    (void)state;
    ASN1_INTEGER *serial;
    OCSP_CERTID *id;
    assert_true(ocsp_request(cert, &der, &why));
    const unsigned char *at = (const unsigned char *)der.at;
    OCSP_REQUEST *r = d2i_OCSP_REQUEST(NULL, &at, (long)der.len);
    assert_non_null(r);
    assert_int_equal(OCSP_request_onereq_count(r), 1);
    id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(r, 0));
    OCSP_id_get0_info(NULL, NULL, NULL, &serial, id);
    assert_int_equal(ASN1_INTEGER_cmp(serial, X509_get_serialNumber(leaf.x)), 0);
    OCSP_REQUEST_free(r);
}

static void without_a_chain_nobody_is_asked(void **state)
{
    (void)state;
    struct tls_staple *s = NULL;
    struct tls_cert *alone = load(&root, NULL);
    assert_false(ocsp_request(alone, &der, &why));
    assert_non_null(strstr(why.at, "no issuer"));
    assert_int_equal(ocsp_check(alone, SLICE("x"), NOW, &s, &why), ERR_BAD_CONFIG);
    tls_cert_drop(alone);
}

static void a_good_answer_is_a_staple(void **state)
{
    (void)state;
    struct answer_spec spec = good();
    struct tls_staple *s = check(&spec, NULL);
    assert_int_equal(s->len, der.len);
    assert_memory_equal(s->der, der.at, der.len);
    assert_int_equal(s->this_update, NOW - DAY_S);
    assert_int_equal(s->next_update, NOW + 3 * DAY_S);
    tls_staple_drop(s);
    spec.to = 0;
    s = check(&spec, NULL);
    assert_int_equal(s->next_update, NOW + OCSP_NO_NEXT_S);
    tls_staple_drop(s);
}

static void a_delegate_may_sign(void **state)
{
    (void)state;
    struct answer_spec spec = good();
    spec.signer = &delegate;
    tls_staple_drop(check(&spec, NULL));
    spec.signer = &other; /* of the same issuer, but not meant for it */
    check(&spec, "signature is not the issuer's");
    spec.signer = &stranger; /* of the issuer's name, but not its key */
    check(&spec, "signature is not the issuer's");
}

static void a_status_other_than_good(void **state)
{
    (void)state;
    struct answer_spec spec = good();
    spec.status = V_OCSP_CERTSTATUS_REVOKED;
    check(&spec, "the certificate is revoked (keyCompromise)");
    spec.status = V_OCSP_CERTSTATUS_UNKNOWN;
    check(&spec, "the certificate is unknown");
    spec = good();
    spec.leaf = &other;
    check(&spec, "about other certificates");
}

static void times_are_checked(void **state)
{
    (void)state;
    struct answer_spec spec = good();
    spec.to = NOW;
    check(&spec, "ran out on 2027-01-15");
    spec.to = NOW + 1;
    tls_staple_drop(check(&spec, NULL));
    spec = good();
    spec.from = NOW + OCSP_SKEW_S;
    tls_staple_drop(check(&spec, NULL));
    spec.from++;
    check(&spec, "of the future");
}

static void bytes_that_are_no_answer(void **state)
{
    (void)state;
    static const unsigned char try_later[] = {0x30, 3, 0x0a, 1, 3};
    struct answer_spec spec = good();
    answer_make(&spec, &der);
    text_add(&der, SLICE("x"));
    check(NULL, "no OCSP response");
    der.len -= 2;
    check(NULL, "no OCSP response");
    text_clear(&der);
    check(NULL, "has 0 bytes");
    text_add(&der, (struct slice){(const char *)try_later, sizeof try_later});
    check(NULL, "the responder says: trylater");
    while (der.len < TLS_STAPLE_BYTES_MAX)
        text_add(&der, SLICE("x"));
    check(NULL, "no OCSP response");
    text_add(&der, SLICE("x"));
    check(NULL, "has 16385 bytes");
}

static void every_damaged_byte_is_noticed_or_harmless(void **state)
{
    (void)state;
    struct answer_spec spec = good();
    answer_make(&spec, &der);
    for (size_t i = 0; i < der.len; i++) {
        struct tls_staple *s = NULL;
        der.at[i] ^= 0x55;
        if (ocsp_check(cert, text_slice(&der), NOW, &s, &why) == ERR_OK)
            tls_staple_drop(s);
        der.at[i] ^= 0x55;
    }
    tls_staple_drop(check(NULL, NULL));
}

static void the_next_time_is_half_way(void **state)
{
    (void)state;
    struct tls_staple *s = tls_staple_new(SLICE("x"), NOW, NOW + 8000);
    assert_int_equal(ocsp_refresh_s(s, NOW, 0), NOW + 4000);
    assert_int_equal(ocsp_refresh_s(s, NOW, UINT32_MAX), NOW + 4499);
    assert_int_equal(ocsp_refresh_s(s, NOW + 3700, 0), NOW + 4000);
    assert_int_equal(ocsp_refresh_s(s, NOW + 3701, 0), NOW + 4001);
    assert_int_equal(ocsp_refresh_s(s, NOW + 9000, 0), NOW + 9300);
    tls_staple_drop(s);
}

static void failures_wait_longer_each_time(void **state)
{
    (void)state;
    assert_int_equal(ocsp_retry_s(NOW, 1, 0), NOW + 60);
    assert_int_equal(ocsp_retry_s(NOW, 2, 0), NOW + 120);
    assert_int_equal(ocsp_retry_s(NOW, 6, 0), NOW + 1920);
    assert_int_equal(ocsp_retry_s(NOW, 7, 0), NOW + 3600);
    assert_int_equal(ocsp_retry_s(NOW, UINT32_MAX, UINT32_MAX), NOW + 4049);
}

UNIT_SUITE(tls_ocsp, cmocka_unit_test_setup_teardown(a_request_names_the_leaf, set_up, tear_down),
           cmocka_unit_test_setup_teardown(without_a_chain_nobody_is_asked, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_good_answer_is_a_staple, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_delegate_may_sign, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_status_other_than_good, set_up, tear_down),
           cmocka_unit_test_setup_teardown(times_are_checked, set_up, tear_down),
           cmocka_unit_test_setup_teardown(bytes_that_are_no_answer, set_up, tear_down),
           cmocka_unit_test_setup_teardown(every_damaged_byte_is_noticed_or_harmless, set_up,
                                           tear_down),
           cmocka_unit_test(the_next_time_is_half_way),
           cmocka_unit_test(failures_wait_longer_each_time));
