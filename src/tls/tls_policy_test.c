/* tls_policy_test.c - client certificates against authorities with CRLs and a depth: handshakes
 * that pass and the ones just past what is allowed. tls_server_test.c has the modes. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_testing_priv.h"

/* ---- revocation ---- */

static X509_REVOKED *revoked_entry(const struct made *m)
{
    X509_REVOKED *r = X509_REVOKED_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, time(NULL) - 60);
    X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(m->x));
    X509_REVOKED_set_revocationDate(r, when);
    ASN1_TIME_free(when);
    return r;
}

/* The authority's list with one entry or none, in force until `until_s` from now. */
static void crl_add(const struct made *ca, const struct made *revoked, int64_t until_s,
                    struct text *pem)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, time(NULL) - 7200);
    ASN1_TIME *to = ASN1_TIME_set(NULL, time(NULL) + until_s);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x));
    X509_CRL_set1_lastUpdate(crl, from);
    X509_CRL_set1_nextUpdate(crl, to);
    if (revoked)
        X509_CRL_add0_revoked(crl, revoked_entry(revoked));
    assert_true(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509_CRL(b, crl);
    made_flush(b, pem);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_CRL_free(crl);
}

static struct tls_cert *shown(const struct made *leaf, const struct made *const *above, int count)
{
    struct text cert = {0}, key = {0}, why = {0};
    struct tls_cert *c = NULL;
    made_cert_pem(leaf, &cert);
    for (int i = 0; i < count; i++)
        made_cert_pem(above[i], &cert);
    made_key_pem(leaf, NULL, &key);
    if (tls_cert_load(&c, text_slice(&cert), text_slice(&key), &why) != ERR_OK)
        fail_msg("%s", why.at);
    text_release(&cert);
    text_release(&key);
    return c;
}

/* Words: of the log line that says why it was refused; NULL: it passes. */
static void judged(struct tls_policy policy, struct tls_cert *cert, const char *words)
{
    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        rig_open(sim_net_new(1, &rig_plain));
        struct tls_identity *id = rig_identity(certs.ec, NULL);
        id->policy = policy;
        rig_seal(id);
        rig_server.fallback = id;
        rig_origin.cert = cert;
        rig_origin.version_max = version;
        rig_origin_seal();
        rig_shake();
        if (words && !rig.a.open_err) { /* 1.3: the client's first read tells */
            conn_recv(rig.a.conn);
            RIG_UNTIL(rig.a.err);
        }
        assert_int_equal(rig.b.open_err, words ? ERR_TLS_CLIENT_CERT : ERR_OK);
        const char *why = rig.a.open_err ? rig.a.why : tls_why(rig.a.conn);
        if (words && !strstr(why, words))
            fail_msg("\"%s\" instead of \"%s\"", why, words);
        rig_close();
        free(id);
    }
}

static struct tls_policy with_crl(struct text *pem)
{
    return (struct tls_policy){.client_cert = TLS_CLIENT_CERT_REQUIRED,
                               .client_ca = text_slice(pem),
                               .check_crl = true,
                               .verify_depth = 1};
}

static void a_revoked_certificate_is_refused(void **state)
{
    (void)state;
    rig_certs_make();
    struct text pem = {0}, fresh = {0}, late = {0}, foreign = {0};
    struct made good = made_new(&(struct made_spec){.cn = "good", .issuer = &certs.ca});
    struct made bad = made_new(&(struct made_spec){.cn = "bad", .issuer = &certs.ca});
    struct tls_cert *good_cert = shown(&good, NULL, 0), *bad_cert = shown(&bad, NULL, 0);
    made_cert_pem(&certs.ca, &pem);
    text_add(&fresh, text_slice(&pem));
    text_add(&late, text_slice(&pem));
    text_add(&foreign, text_slice(&pem));
    crl_add(&certs.ca, NULL, 3600, &fresh);
    crl_add(&certs.ca, &bad, 3600, &pem);
    crl_add(&certs.ca, &bad, -60, &late);
    crl_add(&certs.other_ca, &bad, 3600, &foreign);
    judged(with_crl(&fresh), bad_cert, NULL);
    judged(with_crl(&pem), good_cert, NULL);
    judged(with_crl(&pem), bad_cert, "certificate revoked");
    judged(with_crl(&late), good_cert, "certificate expired"); /* a list that has run out */
    judged(with_crl(&foreign), good_cert, "unknown ca");       /* and one of somebody else */
    struct tls_policy unchecked = with_crl(&pem);
    unchecked.check_crl = false;
    judged(unchecked, bad_cert, NULL);
    tls_cert_drop(good_cert);
    tls_cert_drop(bad_cert);
    made_free(&good);
    made_free(&bad);
    text_release(&pem);
    text_release(&fresh);
    text_release(&late);
    text_release(&foreign);
}

/* ---- depth ---- */

enum { MIDDLES = 4 };

/* A chain with `count` authorities between the root and the certificate. */
static void chain_judged(const struct made *middles, int count, int depth, const char *words)
{
    const struct made *above[MIDDLES];
    struct made leaf = made_new(
        &(struct made_spec){.cn = "far", .issuer = count ? &middles[count - 1] : &certs.ca});
    for (int i = 0; i < count; i++)
        above[i] = &middles[count - 1 - i];
    struct tls_cert *c = shown(&leaf, above, count);
    struct tls_policy p = {.client_cert = TLS_CLIENT_CERT_REQUIRED,
                           .client_ca = text_slice(&certs.ca_pem),
                           .verify_depth = depth};
    judged(p, c, words);
    tls_cert_drop(c);
    made_free(&leaf);
}

static void depth_counts_the_authorities_between(void **state)
{
    (void)state;
    rig_certs_make();
    struct made middles[MIDDLES];
    for (int i = 0; i < MIDDLES; i++)
        middles[i] = made_new(&(struct made_spec){
            .cn = "middle", .ca = true, .issuer = i ? &middles[i - 1] : &certs.ca});
    chain_judged(middles, 0, 0, NULL);
    chain_judged(middles, 1, 0, "unknown ca");
    chain_judged(middles, 1, 1, NULL);
    chain_judged(middles, 2, 1, "unknown ca");
    chain_judged(middles, 3, 3, NULL);
    chain_judged(middles, 4, 3, "unknown ca");
    for (int i = 0; i < MIDDLES; i++)
        made_free(&middles[i]);
}

UNIT_SUITE(tls_tls_policy, cmocka_unit_test(a_revoked_certificate_is_refused),
           cmocka_unit_test(depth_counts_the_authorities_between));
