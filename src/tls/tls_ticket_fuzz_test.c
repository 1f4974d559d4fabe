/* tls_ticket_fuzz_test.c - tickets that are not what was given out: the corpus of the fuzzer, and
 * each byte of a good one changed, cut off or missing. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/corpus.h"
#include "tls/tls_ticket_fuzz_priv.h"

static struct pair pair;
static struct tls_identity *id;
static SSL_SESSION *sessions[2];

static int set_up(void **state)
{
    (void)state;
    id = pair_identity(&(struct made_spec){.cn = "a.example"});
    pair_init(&pair);
    sessions[0] = forged_from(&pair, id, TLS1_2_VERSION);
    sessions[1] = forged_from(&pair, id, TLS1_3_VERSION);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_SESSION_free(sessions[0]);
    SSL_SESSION_free(sessions[1]);
    pair_release(&pair);
    tls_cert_drop(id->certs[TLS_KEY_ECDSA]);
    free(id);
    return 0;
}

static bool resumes(SSL_SESSION *s, const uint8_t *ticket, size_t len)
{
    bool resumed, ok = forged_shake(&pair, id, s, (struct slice){(char *)ticket, len}, &resumed);
    assert_true(ok);
    return resumed;
}

static void any_changed_byte_is_a_new_session(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t bytes[FORGED_BYTES_MAX];
        struct slice good = forged_ticket(sessions[i]);
        memcpy(bytes, good.at, good.len);
        assert_true(resumes(sessions[i], bytes, good.len));
        for (size_t at = 0; at < good.len; at++) {
            bytes[at] ^= (uint8_t)(1u << at % 8);
            assert_false(resumes(sessions[i], bytes, good.len));
            bytes[at] = (uint8_t)good.at[at];
        }
        assert_true(resumes(sessions[i], bytes, good.len));
    }
}

static void any_other_length_is_a_new_session(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t bytes[FORGED_BYTES_MAX] = {0};
        struct slice good = forged_ticket(sessions[i]);
        memcpy(bytes, good.at, good.len);
        for (size_t len = 0; len <= good.len + 20; len++)
            assert_int_equal(resumes(sessions[i], bytes, len), len == good.len);
    }
}

/* A ticket is for the version that it was given in, and for the policy. */
static void a_ticket_is_for_its_policy(void **state)
{
    (void)state;
    struct text why = {0};
    struct tls_identity other = *id;
    other.policy.verify_depth = 7;
    assert_true(tls_policy_seal(&other.policy, &why));
    for (int i = 0; i < 2; i++) {
        bool resumed;
        struct slice good = forged_ticket(sessions[i]);
        assert_true(forged_shake(&pair, &other, sessions[i], good, &resumed));
        assert_false(resumed);
        assert_true(resumes(sessions[i], (const uint8_t *)good.at, good.len));
        (void)forged_shake(&pair, id, sessions[i], forged_ticket(sessions[!i]), &resumed);
        assert_false(resumed);
    }
}

static size_t replay(char *bytes, size_t len)
{
    return ticket_fuzz(&pair, id, sessions, (const uint8_t *)bytes, len);
}

static void ticket_corpus_holds(void **state)
{
    (void)state;
    /* one of each version is left as it was */
    assert_true(corpus_replay("tests/corpus/tls_ticket/*", 20, replay) >= 2);
}

UNIT_SUITE(tls_tls_ticket_fuzz,
           cmocka_unit_test_setup_teardown(any_changed_byte_is_a_new_session, set_up, tear_down),
           cmocka_unit_test_setup_teardown(any_other_length_is_a_new_session, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_ticket_is_for_its_policy, set_up, tear_down),
           cmocka_unit_test_setup_teardown(ticket_corpus_holds, set_up, tear_down));
