/* tls_context_test.c - what a context shows in a handshake beyond the certificate's choice: the
 * stapled answer while it is fresh, and keys of Ed25519. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/staple.h"
#include "tls/tls_pair_priv.h"

static struct pair pair;
static struct tls_identity *id;

static int set_up(void **state)
{
    (void)state;
    pair_init(&pair);
    id = pair_identity(&(struct made_spec){.cn = "a.example"});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_release(&pair);
    tls_cert_drop(id->certs[TLS_KEY_ECDSA]);
    tls_cert_drop(id->certs[TLS_KEY_RSA]);
    free(id);
    return 0;
}

static void set_staple(struct tls_cert *c, const char *bytes, int64_t lasts_s)
{
    int64_t now_s = pair.loop.unix_ms / 1000;
    tls_cert_set_staple(c, tls_staple_new(slice_of(bytes), now_s - 60, now_s + lasts_s));
}

/* What the client is shown; "": nothing. */
static const char *stapled(int version, bool asks)
{
    static char seen[64];
    const unsigned char *at = NULL;
    pair_begin(&pair, id, version);
    if (asks)
        SSL_set_tlsext_status_type(pair.client, TLSEXT_STATUSTYPE_ocsp);
    assert_true(pair_shake(&pair));
    long len = SSL_get_tlsext_status_ocsp_resp(pair.client, &at);
    snprintf(seen, sizeof seen, "%.*s", len > 0 ? (int)len : 0, len > 0 ? (const char *)at : "");
    pair_end(&pair);
    return seen;
}

static void who_asks_gets_the_staple(void **state)
{
    (void)state;
    struct tls_cert *c = id->certs[TLS_KEY_ECDSA];
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        tls_cert_set_staple(c, NULL);
        assert_string_equal(stapled(version, true), "");
        set_staple(c, "the answer", 3600);
        assert_string_equal(stapled(version, true), "the answer");
        assert_string_equal(stapled(version, false), "");
        set_staple(c, "a newer one", 1); /* the context is the same */
        assert_string_equal(stapled(version, true), "a newer one");
        assert_int_equal(c->staple->refs, 1);
    }
}

static void an_expired_staple_is_not_shown(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        set_staple(id->certs[TLS_KEY_ECDSA], "the answer", 10);
        pair.loop.unix_ms += 9000;
        assert_string_equal(stapled(version, true), "the answer");
        pair.loop.unix_ms += 1000;
        assert_string_equal(stapled(version, true), "");
    }
}

/* Each of two certificates has its own. */
static void the_staple_is_of_the_certificate_shown(void **state)
{
    (void)state;
    struct tls_identity *rsa =
        pair_identity(&(struct made_spec){.cn = "a.example", .kind = MADE_RSA});
    id->certs[TLS_KEY_RSA] = rsa->certs[TLS_KEY_RSA];
    free(rsa);
    set_staple(id->certs[TLS_KEY_ECDSA], "of ECDSA", 3600);
    set_staple(id->certs[TLS_KEY_RSA], "of RSA", 3600);
    assert_string_equal(stapled(TLS1_3_VERSION, true), "of ECDSA");
    assert_string_equal(stapled(TLS1_2_VERSION, true), "of ECDSA");
    SSL_CTX_set1_sigalgs_list(pair.client_ctx, "RSA-PSS+SHA256:RSA+SHA256");
    assert_string_equal(stapled(TLS1_3_VERSION, true), "of RSA");
    assert_string_equal(stapled(TLS1_2_VERSION, true), "of RSA");
}

/* No mainstream browser takes it, but curl and our own client do. */
static void ed25519_shakes_hands(void **state)
{
    (void)state;
    struct tls_identity *ed =
        pair_identity(&(struct made_spec){.cn = "a.example", .kind = MADE_ED25519});
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        pair_begin(&pair, ed, version);
        assert_true(pair_shake(&pair));
        X509 *x = SSL_get0_peer_certificate(pair.client);
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(x)), EVP_PKEY_ED25519);
        int type = 0;
        assert_true(SSL_get_peer_signature_type_nid(pair.client, &type));
        assert_int_equal(type, NID_ED25519);
        pair_end(&pair);
    }
    SSL_CTX_set1_sigalgs_list(pair.client_ctx, "ECDSA+SHA256");
    pair_begin(&pair, ed, TLS1_3_VERSION);
    assert_false(pair_shake(&pair)); /* nothing that this client can verify */
    pair_end(&pair);
    tls_cert_drop(ed->certs[TLS_KEY_ECDSA]);
    free(ed);
}

UNIT_SUITE(tls_tls_context,
           cmocka_unit_test_setup_teardown(who_asks_gets_the_staple, set_up, tear_down),
           cmocka_unit_test_setup_teardown(an_expired_staple_is_not_shown, set_up, tear_down),
           cmocka_unit_test_setup_teardown(the_staple_is_of_the_certificate_shown, set_up,
                                           tear_down),
           cmocka_unit_test_setup_teardown(ed25519_shakes_hands, set_up, tear_down));
