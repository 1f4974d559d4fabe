/* oidc_test.c - the texts of logins: what is taken, what is refused, what comes back as it was. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/oidc.h"
#include "auth/oidc_fuzz_priv.h"
#include "tests/corpus.h"
#include "tests/unit.h"

#define PROVIDER(rest)                                                         \
    "{\"issuer\":\"https://a\",\"authorization_endpoint\":\"https://a/auth\"," \
    "\"token_endpoint\":\"https://a/token\",\"jwks_uri\":\"https://a/keys\"" rest "}"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct oidc_provider *provider(const char *json, const char *want_why)
{
    struct text why;
    text_init(&why);
    struct oidc_provider *p = oidc_provider_read(slice_of(json), &why);
    assert_int_equal(p == NULL, want_why != NULL);
    if (want_why)
        assert_non_null(strstr(why.at, want_why));
    text_release(&why);
    return p;
}

static void a_provider_says_where_things_are(void **state)
{
    (void)state;
    struct oidc_provider *p = provider(PROVIDER(""), NULL);
    assert_true(slice_eq(p->token_endpoint, SLICE("https://a/token")));
    assert_null(p->end_session_endpoint.at);
    assert_false(p->secret_in_body || p->names_issuer);
    oidc_provider_drop(oidc_provider_take(p));
    assert_true(slice_eq(p->issuer, SLICE("https://a")));
    oidc_provider_drop(p);
    p = provider(PROVIDER(",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"],"
                          "\"authorization_response_iss_parameter_supported\":true"),
                 NULL);
    assert_true(p->secret_in_body && p->names_issuer);
    oidc_provider_drop(p);
    p = provider(PROVIDER(",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\","
                          "\"client_secret_basic\"]"),
                 NULL);
    assert_false(p->secret_in_body);
    oidc_provider_drop(p);
}

static void what_is_no_provider(void **state)
{
    (void)state;
    provider("[]", "no JSON object");
    provider("<html>", "no JSON object");
    provider("{}", "missing");
    provider("{\"issuer\":\"a\",\"issuer\":\"b\"}", "no JSON object");
    provider("{\"issuer\":1,\"authorization_endpoint\":\"x\",\"token_endpoint\":\"x\","
             "\"jwks_uri\":\"x\"}",
             "missing");
}

static bool tokens(const char *json, struct oidc_tokens *t, struct slice *error)
{
    return oidc_tokens_read(slice_of(json), t, error, &arena);
}

static void tokens_or_an_error(void **state)
{
    (void)state;
    struct oidc_tokens t;
    struct slice error;
    assert_true(
        tokens("{\"access_token\":\"x\",\"id_token\":\"a.b.c\",\"expires_in\":60}", &t, &error));
    assert_true(slice_eq(t.id_token, SLICE("a.b.c")));
    assert_int_equal(t.expires_in_s, 60);
    assert_null(t.refresh_token.at);
    assert_false(tokens("{\"error\":\"invalid_grant\"}", &t, &error));
    assert_true(slice_eq(error, SLICE("invalid_grant")));
    assert_false(tokens("{\"access_token\":\"x\",\"error\":\"y\"}", &t, &error));
    assert_false(tokens("{}", &t, &error));
    assert_null(error.at);
    assert_true(tokens("{\"access_token\":\"x\",\"expires_in\":-5}", &t, &error));
    assert_int_equal(t.expires_in_s, 0);
    assert_true(tokens("{\"access_token\":\"x\",\"expires_in\":99999999999}", &t, &error));
    assert_int_equal(t.expires_in_s, 400 * 24 * 3600);
}

static void a_login_comes_back(void **state)
{
    (void)state;
    struct oidc_login l, again;
    struct text t;
    text_init(&t);
    assert_true(oidc_login_new(&l, SLICE("/a\"b\\c?d"), 1234, &arena));
    assert_int_equal(l.state.len, 43);
    assert_false(slice_eq(l.state, l.nonce) || slice_eq(l.nonce, l.verifier));
    oidc_login_write(&l, &t);
    assert_true(oidc_login_read(text_slice(&t), &again, &arena));
    assert_true(slice_eq(l.state, again.state) && slice_eq(l.nonce, again.nonce));
    assert_true(slice_eq(l.verifier, again.verifier) && slice_eq(l.target, again.target));
    assert_int_equal(again.ends_s, 1234);
    text_release(&t);
}

/* RFC 7636, appendix B. */
static void the_challenge_is_that_of_the_rfc(void **state)
{
    (void)state;
    char to[OIDC_CHALLENGE_CHARS];
    oidc_challenge(SLICE("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), to);
    assert_memory_equal(to, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", sizeof to);
}

static void a_session_comes_back(void **state)
{
    (void)state;
    struct claim b = {SLICE("groups"), SLICE("x,\"y\""), NULL},
                 a = {SLICE("email"), SLICE("m"), &b};
    struct oidc_session s = {.number = UINT64_MAX,
                             .ends_s = 5,
                             .fresh_until_s = INT64_MAX,
                             .subject = SLICE("sub"),
                             .user = SLICE("me"),
                             .claims = &a};
    struct oidc_session again;
    struct text t;
    text_init(&t);
    oidc_session_write(&s, &t);
    assert_true(oidc_session_read(text_slice(&t), &again, &arena));
    assert_true(again.number == UINT64_MAX && again.fresh_until_s == INT64_MAX);
    assert_null(again.refresh_token.at);
    assert_true(slice_eq(again.claims->next->value, b.value));
    assert_null(again.claims->next->next);
    text_release(&t);
}

static size_t replay(char *bytes, size_t len)
{
    return fuzz_oidc(bytes, len);
}

static void corpus_holds(void **state)
{
    (void)state;
    assert_true(corpus_replay("tests/corpus/oidc/*", 10, replay) >= 4);
}

UNIT_SUITE(auth_oidc, cmocka_unit_test(a_provider_says_where_things_are),
           cmocka_unit_test(what_is_no_provider),
           cmocka_unit_test_setup_teardown(tokens_or_an_error, setup, teardown),
           cmocka_unit_test_setup_teardown(a_login_comes_back, setup, teardown),
           cmocka_unit_test(the_challenge_is_that_of_the_rfc),
           cmocka_unit_test_setup_teardown(a_session_comes_back, setup, teardown),
           cmocka_unit_test(corpus_holds));
