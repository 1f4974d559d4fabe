/* cert_dir_test.c - which files of a directory make a pair, and who answers for a host. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/cert_dir.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* after unit.h, whose assertions it uses */
#include "tls/cert_make_priv.h"

enum { NOW = 1800000000, FILES_MAX = 8 };

static struct text texts[FILES_MAX], why;
static struct cert_file files[FILES_MAX];
static size_t count;
static struct cert_dir dir;

static int set_up(void **state)
{
    (void)state;
    count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < count; i++)
        text_release(&texts[i]);
    text_release(&why);
    return 0;
}

static struct text *add(const char *path)
{
    files[count].path = slice_of(path);
    return &texts[count++];
}

/* One certificate for `san`; either path may be NULL. */
static void add_pair(const char *cert, const char *key, const char *san, enum made_kind kind,
                     int days)
{
    struct made m = made_new(&(struct made_spec){
        .cn = "c", .san = san, .kind = kind, .now = NOW, .to = NOW + days * 86400});
    if (cert)
        made_cert_pem(&m, add(cert));
    if (cert && key && strcmp(cert, key) == 0)
        made_key_pem(&m, NULL, &texts[count - 1]);
    else if (key)
        made_key_pem(&m, NULL, add(key));
    made_free(&m);
}

static bool load(void)
{
    for (size_t i = 0; i < count; i++)
        files[i].text = text_slice(&texts[i]);
    text_clear(&why);
    return cert_dir_load(&dir, files, count, NOW, &why);
}

static void pairs(const char *cert, const char *key)
{
    set_up(NULL);
    add_pair(cert, key, "DNS:a.example", MADE_P256, 30);
    if (!load())
        fail_msg("%s", why.at);
    assert_int_equal(dir.count, 1);
    assert_true(slice_eq(dir.entries[0].cert_path, slice_of(cert)));
    assert_true(slice_eq(dir.entries[0].key_path, slice_of(key)));
    assert_non_null(cert_dir_find(&dir, SLICE("a.example"), TLS_KEY_ECDSA));
    cert_dir_release(&dir);
    tear_down(NULL);
}

static void names_pair(void **state)
{
    (void)state;
    pairs("/d/a.crt", "/d/a.key");
    pairs("/d/a.example.pem", "/d/a.example.key");
    pairs("/d/a.pem", "/d/a-key.pem");
    pairs("/d/a.pem", "/d/a.key.pem");
    pairs("/d/a.crt", "/d/a.crt.key");
    pairs("/d/both.pem", "/d/both.pem");
    pairs("/d/a.example/fullchain.pem", "/d/a.example/privkey.pem");
    pairs("/d/fullchain3.pem", "/d/privkey3.pem");
    pairs("/d/cert.pem", "/d/key.pem");
    pairs("a.crt", "a.key");
}

static void refused(const char *cert, const char *key, const char *words)
{
    set_up(NULL);
    add_pair(cert, key, "DNS:a.example", MADE_P256, 30);
    assert_false(load());
    assert_int_equal(dir.count, 0);
    if (!strstr(why.at, words))
        fail_msg("'%s' is not in: %s", words, why.at);
    cert_dir_release(&dir);
    tear_down(NULL);
}

static void what_does_not_pair_is_said(void **state)
{
    (void)state;
    refused("/d/a.crt", NULL, "/d/a.crt: no key for this certificate; /d/a.key is looked for");
    refused(NULL, "/d/a.key", "/d/a.key: no certificate for this key");
    refused("/d/a.crt", "/d/b.key", "/d/b.key: no certificate for this key");
    refused("/d/x/a.crt", "/d/a.key", "/d/x/a.key is looked for");
    set_up(NULL);
    text_add(add("/d/readme.pem"), SLICE("hello"));
    assert_false(load());
    assert_string_equal(why.at, "/d/readme.pem: neither a certificate nor a private key in PEM\n");
    cert_dir_release(&dir);
    tear_down(NULL);
}

static void one_bad_pair_spares_the_others(void **state)
{
    (void)state;
    add_pair("/d/a.crt", "/d/a.key", "DNS:a.example", MADE_P256, 30);
    add_pair("/d/b.crt", NULL, "DNS:b.example", MADE_P256, 30);
    add_pair(NULL, "/d/b.key", "DNS:b.example", MADE_P256, 30);
    assert_false(load());
    assert_int_equal(dir.count, 1);
    assert_string_equal(why.at, "/d/b.crt: with /d/b.key: the private key does not belong to "
                                "certificate 1 (\"CN=c\")\n");
    cert_dir_release(&dir);
}

static void parts_are_passed_over(void **state)
{
    (void)state;
    add_pair("/d/x/fullchain.pem", "/d/x/privkey.pem", "DNS:a.example", MADE_P256, 30);
    add_pair("/d/x/chain.pem", NULL, NULL, MADE_P256, 30);
    add_pair("/d/ca.crt", NULL, NULL, MADE_P256, 30);
    add_pair("/d/x/a.issuer.crt", NULL, NULL, MADE_P256, 30);
    assert_true(load());
    assert_int_equal(dir.count, 1);
    cert_dir_release(&dir);
}

static const struct tls_cert *who(const char *host, enum tls_key_kind kind)
{
    return cert_dir_find(&dir, slice_of(host), kind);
}

static void hosts_find_their_certificate(void **state)
{
    (void)state;
    add_pair("/d/1.pem", "/d/1.pem", "DNS:a.example,DNS:b.example,IP:10.0.0.1", MADE_P256, 30);
    add_pair("/d/2.pem", "/d/2.pem", "DNS:a.example,DNS:*.example", MADE_P256, 60);
    add_pair("/d/3.pem", "/d/3.pem", "DNS:a.example", MADE_RSA, 30);
    add_pair("/d/4.pem", "/d/4.pem", "DNS:*.example", MADE_P256, 50);
    assert_true(load());
    assert_ptr_equal(who("a.example", TLS_KEY_ECDSA), dir.entries[1].cert); /* lasts longer */
    assert_ptr_equal(who("b.example", TLS_KEY_ECDSA), dir.entries[0].cert);
    assert_ptr_equal(who("c.example", TLS_KEY_ECDSA), dir.entries[1].cert);
    assert_ptr_equal(who("*.example", TLS_KEY_ECDSA), dir.entries[1].cert);
    assert_ptr_equal(who("10.0.0.1", TLS_KEY_ECDSA), dir.entries[0].cert);
    assert_ptr_equal(who("a.example", TLS_KEY_RSA), dir.entries[2].cert);
    assert_null(who("c.example", TLS_KEY_RSA));
    assert_null(who("x.c.example", TLS_KEY_ECDSA));
    assert_null(who("example", TLS_KEY_ECDSA));
    assert_null(who(".example", TLS_KEY_ECDSA));
    assert_null(who("", TLS_KEY_ECDSA));
    cert_dir_release(&dir);
}

static void an_empty_directory(void **state)
{
    (void)state;
    assert_true(load());
    assert_int_equal(dir.count, 0);
    cert_dir_release(&dir);
}

UNIT_SUITE(tls_cert_dir, cmocka_unit_test(names_pair), cmocka_unit_test(what_does_not_pair_is_said),
           cmocka_unit_test_setup_teardown(one_bad_pair_spares_the_others, set_up, tear_down),
           cmocka_unit_test_setup_teardown(parts_are_passed_over, set_up, tear_down),
           cmocka_unit_test_setup_teardown(hosts_find_their_certificate, set_up, tear_down),
           cmocka_unit_test_setup_teardown(an_empty_directory, set_up, tear_down));
