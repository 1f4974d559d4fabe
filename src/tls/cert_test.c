/* cert_test.c - each thing that can be wrong with a certificate, said in its words. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tests/unit.h"
#include "tls/cert.h"
#include "tls/staple.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* after unit.h, whose assertions it uses */
#include "tls/cert_make_priv.h"

enum { NOW = 1800000000 }; /* 2027-01-15 */

static struct text cert_pem, key_pem, why;
static struct made root, middle, leaf;

static const char san[] = "DNS:WWW.Example.com,DNS:*.app.example,IP:10.0.0.1,IP:2001:db8:0:0::1";

static int set_up(void **state)
{
    (void)state;
    root = made_new(&(struct made_spec){.cn = "Root", .ca = true, .now = NOW});
    middle = made_new(&(struct made_spec){.cn = "Middle", .ca = true, .issuer = &root, .now = NOW});
    leaf = made_new(&(struct made_spec){.cn = "www", .san = san, .issuer = &middle, .now = NOW});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    made_free(&root);
    made_free(&middle);
    made_free(&leaf);
    text_release(&cert_pem);
    text_release(&why);
    tls_text_wipe(&key_pem);
    return 0;
}

static void clear(void)
{
    text_clear(&cert_pem);
    text_clear(&key_pem);
    text_clear(&why);
}

static struct tls_cert *load_ok(void)
{
    struct tls_cert *c = NULL;
    enum err e = tls_cert_load_at(&c, text_slice(&cert_pem), text_slice(&key_pem), NOW, &why);
    if (e != ERR_OK)
        fail_msg("refused: %s", why.at);
    assert_int_equal(why.len, 0);
    return c;
}

static void load_fails(const char *words)
{
    struct tls_cert *c = NULL;
    assert_int_equal(tls_cert_load_at(&c, text_slice(&cert_pem), text_slice(&key_pem), NOW, &why),
                     ERR_BAD_CONFIG);
    assert_null(c);
    if (!strstr(why.at, words))
        fail_msg("'%s' is not in: %s", words, why.at);
}

/* A self-signed certificate by itself is refused with these words, or loads when there are none. */
static struct tls_cert *load_made(const struct made_spec *s, const char *words)
{
    struct made_spec spec = *s;
    spec.now = NOW;
    struct made m = made_new(&spec);
    struct tls_cert *c = NULL;
    clear();
    made_cert_pem(&m, &cert_pem);
    made_key_pem(&m, NULL, &key_pem);
    if (words)
        load_fails(words);
    else
        c = load_ok();
    made_free(&m);
    return c;
}

static void use_leaf(void)
{
    clear();
    made_cert_pem(&leaf, &cert_pem);
    made_cert_pem(&middle, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
}

static void loads_a_chain(void **state)
{
    (void)state;
    unsigned char sum[32];
    unsigned len = 32;
    use_leaf();
    struct tls_cert *c = load_ok();
    assert_int_equal(sk_X509_num(c->chain), 1);
    assert_int_equal(c->kind, TLS_KEY_ECDSA);
    assert_int_equal(c->not_before, NOW - 86400);
    assert_int_equal(c->not_after, NOW + 90 * 86400);
    assert_false(c->must_staple);
    assert_int_equal(c->ocsp_url.len, 0);
    X509_digest(leaf.x, EVP_sha256(), sum, &len);
    assert_memory_equal(sum, c->fingerprint, 32);
    assert_int_equal(c->name_count, 4);
    assert_true(slice_eq(c->names[0], SLICE("www.example.com")));
    assert_true(slice_eq(c->names[3], SLICE("2001:db8::1")));
    assert_ptr_equal(tls_cert_take(c), c);
    tls_cert_drop(c);
    tls_cert_drop(c);
    tls_cert_drop(NULL);
}

static void one_text_may_hold_both(void **state)
{
    (void)state;
    clear();
    made_key_pem(&leaf, NULL, &cert_pem);
    made_cert_pem(&leaf, &cert_pem);
    made_cert_pem(&middle, &cert_pem);
    made_cert_pem(&root, &cert_pem);
    text_add(&key_pem, text_slice(&cert_pem));
    struct tls_cert *c = load_ok();
    assert_int_equal(sk_X509_num(c->chain), 2);
    tls_cert_drop(c);
}

static void other_key_kinds_load(void **state)
{
    (void)state;
    struct tls_cert *rsa = load_made(&(struct made_spec){.cn = "r", .kind = MADE_RSA}, NULL);
    struct tls_cert *ed = load_made(&(struct made_spec){.cn = "e", .kind = MADE_ED25519}, NULL);
    assert_int_equal(rsa->kind, TLS_KEY_RSA);
    assert_int_equal(ed->kind, TLS_KEY_ECDSA);
    tls_cert_drop(rsa);
    tls_cert_drop(ed);
}

static void bad_kinds_are_refused(void **state)
{
    (void)state;
    load_made(&(struct made_spec){.cn = "s", .kind = MADE_RSA_SMALL}, "RSA with 1024 bits");
    load_made(&(struct made_spec){.cn = "s", .kind = MADE_BAD_CURVE}, "EC on this curve");
}

static void dates_are_checked(void **state)
{
    (void)state;
    load_made(&(struct made_spec){.cn = "old", .from = NOW - 9 * 86400, .to = NOW - 3 * 86400},
              "certificate 1 (\"CN=old\") expired on 2027-01-12, 3 days ago");
    load_made(&(struct made_spec){.cn = "old", .from = NOW - 9, .to = NOW - 1},
              "expired on 2027-01-15, today");
    tls_cert_drop(load_made(&(struct made_spec){.cn = "x", .from = NOW - 9, .to = NOW}, NULL));
    tls_cert_drop(load_made(&(struct made_spec){.cn = "x", .from = NOW, .to = NOW + 9}, NULL));
    load_made(&(struct made_spec){.cn = "new", .from = NOW + 1},
              "is not valid before 2027-01-15; if that is past");
}

static void texts_that_are_none(void **state)
{
    (void)state;
    unsigned char *der = NULL;
    use_leaf();
    text_clear(&cert_pem);
    load_fails("no certificate: the file is empty");
    clear();
    text_add(&cert_pem, SLICE("hello"));
    load_fails("not PEM: there is no '-----BEGIN");
    clear();
    int len = i2d_X509(leaf.x, &der);
    text_add(&cert_pem, (struct slice){(char *)der, (size_t)len});
    OPENSSL_free(der);
    load_fails("not PEM but DER: 'openssl x509 -inform DER'");
    clear();
    made_key_pem(&leaf, NULL, &cert_pem);
    load_fails("no certificate among its PEM blocks");
    clear();
    made_cert_pem(&leaf, &cert_pem);
    load_fails("no private key: the file is empty");
    text_add(&key_pem, text_slice(&cert_pem));
    load_fails("no private key among its PEM blocks");
}

static void damaged_blocks(void **state)
{
    (void)state;
    use_leaf();
    char *at = strchr(cert_pem.at, '\n') + 10;
    *at = '%';
    load_fails("certificate 1 cannot be read");
    use_leaf();
    strrchr(cert_pem.at, '\n')[-30] = '%';
    load_fails("certificate 2 cannot be read");
    use_leaf();
    strchr(key_pem.at, '\n')[3] = '%';
    load_fails("the private key cannot be read");
    use_leaf();
    key_pem.len -= 40;
    load_fails("the private key cannot be read");
}

static void an_encrypted_key_is_refused(void **state)
{
    (void)state;
    use_leaf();
    text_clear(&key_pem);
    made_key_pem(&leaf, "secret", &key_pem);
    load_fails("the private key is encrypted");
}

static void the_key_must_fit(void **state)
{
    (void)state;
    use_leaf();
    text_clear(&key_pem);
    made_key_pem(&root, NULL, &key_pem);
    load_fails("the private key does not belong to certificate 1 (\"CN=www\")");
    clear();
    made_cert_pem(&middle, &cert_pem);
    made_cert_pem(&leaf, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
    load_fails("must be first, but it is certificate 2 (\"CN=www\")");
}

static void the_chain_must_fit(void **state)
{
    (void)state;
    clear();
    made_cert_pem(&leaf, &cert_pem);
    made_cert_pem(&root, &cert_pem);
    made_cert_pem(&middle, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
    load_fails("out of order: certificate 2 (\"CN=Root\") did not issue certificate 1 "
               "(\"CN=www\"); number 3 did");
    clear();
    made_cert_pem(&leaf, &cert_pem);
    made_cert_pem(&root, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
    load_fails("does not belong together");
}

/* The same name as the issuer but another key: only the signature tells. */
static void a_chain_is_verified_by_signature(void **state)
{
    (void)state;
    struct made other =
        made_new(&(struct made_spec){.cn = "Middle", .ca = true, .issuer = &root, .now = NOW});
    clear();
    made_cert_pem(&leaf, &cert_pem);
    made_cert_pem(&other, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
    load_fails("does not belong together");
    made_free(&other);
}

static void a_chain_may_expire(void **state)
{
    (void)state;
    struct made old = made_new(&(struct made_spec){
        .cn = "Old", .ca = true, .issuer = &root, .from = NOW - 99, .to = NOW - 9});
    struct made m = made_new(&(struct made_spec){.cn = "m", .issuer = &old, .now = NOW});
    clear();
    made_cert_pem(&m, &cert_pem);
    made_cert_pem(&old, &cert_pem);
    made_key_pem(&m, NULL, &key_pem);
    load_fails("certificate 2 (\"CN=Old\") expired");
    made_free(&old);
    made_free(&m);
}

static void weak_signatures_are_refused(void **state)
{
    (void)state;
    struct made m =
        made_new(&(struct made_spec){.cn = "m", .issuer = &root, .sha1 = true, .now = NOW});
    clear();
    made_cert_pem(&m, &cert_pem);
    made_key_pem(&m, NULL, &key_pem);
    load_fails("too weak for today's clients");
    made_free(&m);
}

static void add_fillers(int count)
{
    for (int i = 0; i < count; i++)
        made_cert_pem(&root, &cert_pem);
}

static void a_chain_has_a_limit(void **state)
{
    (void)state;
    use_leaf();
    add_fillers(TLS_CHAIN_MAX - 1); /* the root issued itself: a chain of sorts */
    tls_cert_drop(load_ok());
    add_fillers(1);
    load_fails("more than 10 certificates above the first");
}

static void a_text_has_a_limit(void **state)
{
    (void)state;
    use_leaf();
    while (cert_pem.len < 1 << 20)
        text_add(&cert_pem, SLICE("\n"));
    tls_cert_drop(load_ok());
    text_add(&cert_pem, SLICE("\n"));
    load_fails("longer than 1048576 bytes");
}

static void staple_facts(void **state)
{
    (void)state;
    struct tls_cert *c = load_made(
        &(struct made_spec){.cn = "s", .must_staple = true, .ocsp = "http://ocsp.example:8080/x"},
        NULL);
    assert_true(c->must_staple);
    assert_true(slice_eq(c->ocsp_url, SLICE("http://ocsp.example:8080/x")));
    assert_null(tls_cert_take_staple(c, NOW));
    tls_cert_set_staple(c, tls_staple_new(SLICE("one"), NOW, NOW + 10));
    struct tls_staple *one = tls_cert_take_staple(c, NOW + 9);
    assert_non_null(one);
    assert_null(tls_cert_take_staple(c, NOW + 10));
    tls_cert_set_staple(c, tls_staple_new(SLICE("two!"), NOW, NOW + 10));
    assert_int_equal(one->len, 3);
    assert_memory_equal(one->der, "one", 3);
    tls_staple_drop(one);
    tls_cert_drop(c);
}

static void covers(const struct tls_cert *c, const char *host, bool due)
{
    if (tls_cert_covers(c, slice_of(host)) != due)
        fail_msg("%s", host);
}

static void names_cover_hosts(void **state)
{
    (void)state;
    static const char *const yes[] = {"www.example.com", "WWW.example.COM", "www.example.com.",
                                      "a.app.example",   "B.App.Example",   "*.app.example",
                                      "10.0.0.1",        "2001:db8::1",     "[2001:DB8:0::1]"};
    static const char *const no[] = {"example.com",
                                     "app.example",
                                     ".app.example",
                                     "a.b.app.example",
                                     "www",
                                     "10.0.0.2",
                                     "",
                                     ".",
                                     "[]",
                                     "a.app.examplf",
                                     "xapp.example",
                                     "2001:db8::2"};
    use_leaf();
    struct tls_cert *c = load_ok();
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        covers(c, yes[i], true);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        covers(c, no[i], false);
    tls_cert_drop(c);
}

static void warned(const struct tls_cert *c, int64_t now, const char *words)
{
    const struct slice names[] = {SLICE_INIT("www.example.com"), SLICE_INIT("b.example.com")};
    text_clear(&why);
    assert_true(tls_cert_warnings(c, names, 2, now, &why));
    if (!strstr(why.at, words))
        fail_msg("'%s' is not in: %s", words, why.at);
}

static void warnings_are_said(void **state)
{
    (void)state;
    int64_t end = NOW + 90 * 86400;
    use_leaf();
    struct tls_cert *c = load_ok();
    assert_false(tls_cert_warnings(c, c->names, c->name_count, NOW, &why));
    assert_false(tls_cert_warnings(c, NULL, 0, end - TLS_EXPIRES_SOON_S, &why));
    assert_true(tls_cert_warnings(c, NULL, 0, end - TLS_EXPIRES_SOON_S + 1, &why));
    warned(c, end - 86400, "expires soon: on 2027-04-15");
    warned(c, end + 86400, "expired on 2027-04-15");
    warned(c, NOW, "does not cover b.example.com");
    tls_cert_drop(c);
}

static void a_missing_chain_is_warned_of(void **state)
{
    (void)state;
    use_leaf();
    text_clear(&cert_pem);
    made_cert_pem(&leaf, &cert_pem);
    struct tls_cert *c = load_ok();
    warned(c, NOW, "comes without its chain");
    tls_cert_drop(c);
    c = load_made(&(struct made_spec){.cn = "alone", .usage = "clientAuth"}, NULL);
    warned(c, NOW, "no subject alternative names");
    assert_null(strstr(why.at, "without its chain"));
    warned(c, NOW, "not meant for servers");
    tls_cert_drop(c);
}

/* Read again, a text gives the certificate that is there; but for how long it is good is looked at
 * each time, and another key is another pair. */
static void the_same_texts_give_the_same_one(void **state)
{
    (void)state;
    struct tls_cert *other = NULL;
    struct made stranger = made_new(&(struct made_spec){.cn = "x", .now = NOW});
    clear();
    made_cert_pem(&leaf, &cert_pem);
    made_cert_pem(&middle, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
    struct tls_cert *c = load_ok(), *again = load_ok();
    assert_ptr_equal(c, again);
    assert_int_equal(c->refs, 2);
    assert_int_equal(tls_cert_load_at(&other, text_slice(&cert_pem), text_slice(&key_pem),
                                      NOW + 91 * 86400, &why),
                     ERR_BAD_CONFIG);
    assert_non_null(strstr(why.at, " expired on "));
    assert_int_equal(c->refs, 2);
    tls_cert_drop(again);
    text_clear(&why);
    text_add(&cert_pem, SLICE("\n"));
    other = load_ok();
    assert_ptr_not_equal(c, other);
    tls_cert_drop(other);
    text_clear(&key_pem);
    made_key_pem(&stranger, NULL, &key_pem);
    load_fails("does not belong");
    tls_cert_drop(c);
    made_free(&stranger);
}

/* Names, kind and times are those of the whole; what follows the first is not looked at. */
static void skimming_tells_the_same(void **state)
{
    (void)state;
    struct tls_cert *c = NULL;
    clear();
    made_cert_pem(&leaf, &cert_pem);
    text_add(&cert_pem, SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    assert_int_equal(tls_cert_skim_at(&c, text_slice(&cert_pem), NOW, &why), ERR_OK);
    assert_true(tls_cert_covers(c, SLICE("www.example.com")));
    assert_false(tls_cert_covers(c, SLICE("example.com")));
    assert_int_equal(c->kind, TLS_KEY_ECDSA);
    assert_null(c->key);
    assert_int_equal(sk_X509_num(c->chain), 0);
    tls_cert_drop(c);
    c = NULL;
    assert_int_equal(tls_cert_skim_at(&c, text_slice(&cert_pem), NOW + 91 * 86400, &why),
                     ERR_BAD_CONFIG);
    assert_non_null(strstr(why.at, " expired on "));
    clear();
    assert_int_equal(tls_cert_skim_at(&c, SLICE("nothing"), NOW, &why), ERR_BAD_CONFIG);
    assert_null(c);
    clear();
    made_cert_pem(&leaf, &cert_pem);
    made_key_pem(&leaf, NULL, &key_pem);
    assert_int_equal(tls_cert_skim_at(&c, text_slice(&cert_pem), NOW, &why), ERR_OK);
    struct tls_cert *whole = load_ok(); /* never the skimmed one */
    assert_non_null(whole->key);
    tls_cert_drop(whole);
    tls_cert_drop(c);
}

static void texts_are_wiped(void **state)
{
    (void)state;
    struct text t;
    text_init(&t);
    tls_text_wipe(&t);
    text_add(&t, SLICE("secret"));
    tls_text_wipe(&t);
    assert_null(t.at);
}

UNIT_SUITE(tls_cert, cmocka_unit_test_setup_teardown(skimming_tells_the_same, set_up, tear_down),
           cmocka_unit_test_setup_teardown(the_same_texts_give_the_same_one, set_up, tear_down),
           cmocka_unit_test_setup_teardown(loads_a_chain, set_up, tear_down),
           cmocka_unit_test_setup_teardown(one_text_may_hold_both, set_up, tear_down),
           cmocka_unit_test_setup_teardown(other_key_kinds_load, set_up, tear_down),
           cmocka_unit_test_setup_teardown(bad_kinds_are_refused, set_up, tear_down),
           cmocka_unit_test_setup_teardown(dates_are_checked, set_up, tear_down),
           cmocka_unit_test_setup_teardown(texts_that_are_none, set_up, tear_down),
           cmocka_unit_test_setup_teardown(damaged_blocks, set_up, tear_down),
           cmocka_unit_test_setup_teardown(an_encrypted_key_is_refused, set_up, tear_down),
           cmocka_unit_test_setup_teardown(the_key_must_fit, set_up, tear_down),
           cmocka_unit_test_setup_teardown(the_chain_must_fit, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_chain_is_verified_by_signature, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_chain_may_expire, set_up, tear_down),
           cmocka_unit_test_setup_teardown(weak_signatures_are_refused, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_chain_has_a_limit, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_text_has_a_limit, set_up, tear_down),
           cmocka_unit_test_setup_teardown(staple_facts, set_up, tear_down),
           cmocka_unit_test_setup_teardown(names_cover_hosts, set_up, tear_down),
           cmocka_unit_test_setup_teardown(warnings_are_said, set_up, tear_down),
           cmocka_unit_test_setup_teardown(a_missing_chain_is_warned_of, set_up, tear_down),
           cmocka_unit_test(texts_are_wiped));
