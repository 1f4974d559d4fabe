/* tls_origin_test.c - the client's side of handshakes: what a server must prove, and in which words
 * it is told that it has not; sessions, client certificates, checks of the configuration. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls_testing_priv.h"

static void expect_why(const char *words)
{
    rig_shake();
    assert_int_equal(rig.a.open_err, ERR_TLS_VERIFY);
    assert_int_equal(rig.b.open_err, ERR_TLS_ALERT);
    if (!strstr(rig.a.why, words))
        fail_msg("\"%s\" does not say \"%s\"", rig.a.why, words);
}

static void names_are_verified(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    static const char *const good[] = {"a.example", "A.Example", "x.wild.example", "127.0.0.1",
                                       "a.example."}; /* the dot is for resolvers alone */
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        rig_host = slice_of(good[i]);
        rig_connect();
        assert_string_equal(tls_why(rig.a.conn), "");
    }
    static const char *const bad[] = {"b.example",    "example",          "x.a.example",
                                      "wild.example", "y.x.wild.example", "127.0.0.2",
                                      "::1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char words[64];
        rig_host = slice_of(bad[i]);
        snprintf(words, sizeof words, "(CN=a.example) is not for %s", bad[i]);
        expect_why(words);
    }
    rig_host = SLICE("b.example"); /* another name may be configured */
    rig_origin.name = SLICE("a.example");
    rig_origin_seal();
    rig_connect();
    assert_string_equal(rig_fact(rig.b.conn, TLS_FACT_SNI), "a.example");
    rig_close();
}

static void a_stranger_is_refused(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    struct tls_identity *other = rig_identity(certs.other, NULL);
    rig_server.fallback = other;
    rig_host = SLICE("b.example");
    expect_why("unable to get local issuer certificate (CN=b.example)");
    rig_origin.ca = SLICE_NONE; /* the system's: they do not know it either */
    rig_origin_seal();
    expect_why("(CN=b.example)");
    rig_origin.verify = false;
    rig_origin_seal();
    rig_connect();
    rig_close();
    free(other);
}

static void an_expired_certificate_is_refused(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    int64_t now = time(NULL);
    struct made m = made_new(&(struct made_spec){.cn = "old.example",
                                                 .san = "DNS:old.example",
                                                 .issuer = &certs.ca,
                                                 .from = now - 9 * 86400,
                                                 .to = now - 86400});
    struct text cert = {0}, key = {0}, why = {0};
    struct tls_cert *c = NULL;
    made_cert_pem(&m, &cert);
    made_key_pem(&m, NULL, &key);
    assert_int_equal(
        tls_cert_load_at(&c, text_slice(&cert), text_slice(&key), now - 5 * 86400, &why), ERR_OK);
    struct tls_identity *old = rig_identity(c, NULL);
    rig_server.fallback = old;
    rig_host = SLICE("old.example");
    expect_why("certificate has expired (CN=old.example)");
    rig_close();
    free(old);
    tls_cert_drop(c);
    made_free(&m);
    text_release(&cert);
    text_release(&key);
    text_release(&why);
}

/* A session does not carry over to another rule, nor to a host of another name. */
static void sessions_do_not_evade_verification(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    rig_origin.verify = false;
    rig_origin_seal();
    rig_host = SLICE("b.example");
    for (int i = 0; i < 2; i++) {
        rig_connect();
        conn_recv(rig.a.conn);
        rig_turns(30);
        assert_string_equal(rig_fact(rig.a.conn, TLS_FACT_RESUMED), i ? "yes" : "no");
    }
    rig_origin.verify = true;
    rig_origin_seal();
    expect_why("is not for b.example");
    rig_close();
}

static void servers_that_speak_something_else(void **state)
{
    static const struct {
        const char *answer;
        bool resets;
        enum err err;
    } rows[] = {{"HTTP/1.1 400 Bad Request\r\n\r\n", false, ERR_TLS_HANDSHAKE},
                {"", false, ERR_TLS_CLOSED},
                {"", true, ERR_TLS_CLOSED},
                {"\x15\x03\x03\x00\x02\x02\x28", false, ERR_TLS_ALERT}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rig_open(sim_net_new(i + 1, &rig_plain));
        struct conn *server = NULL;
        rig_plain_server = &server;
        rig_dial(true);
        RIG_UNTIL(server);
        conn_recv(server);
        rig_turns(3);
        size_t len = i == 3 ? 7 : strlen(rows[i].answer);
        if (len)
            assert_int_equal(conn_write(server, (struct span){NULL, rows[i].answer, len}), ERR_OK);
        if (rows[i].resets)
            conn_reset(server);
        else
            conn_close_by(server, rig.loop.now_ms + 1000);
        RIG_UNTIL(rig.a.open_count);
        assert_int_equal(rig.a.open_err, rows[i].err);
        rig_plain_server = NULL;
        rig_close();
    }
}

/* The exchange gives up while the handshake goes on. */
static void aborted_in_the_handshake(void **state)
{
    (void)state;
    for (int ms = 0; ms < 30; ms++) {
        rig_open(sim_net_new((uint64_t)ms, &rig_odd));
        rig_dial(true);
        sim_run(rig.net, sim_now_ms(rig.net) + ms);
        conn_abort(rig.a.conn);
        rig.a.conn = NULL;
        int opened = rig.a.open_count;
        rig_turns(20);
        assert_int_equal(rig.a.open_count, opened);
        RIG_UNTIL(rig.b.open_count || ms < 2);
        rig_close();
    }
}

/* ---- turns ---- */

static int steps_of_tick, steps_most;

static void count_step(const SSL *ssl, int where, int ret)
{
    (void)ssl;
    (void)ret;
    steps_of_tick += (where & SSL_CB_HANDSHAKE_START) != 0;
}

/* However many come at once, a tick begins one handshake. */
static void one_costly_step_a_tick(void **state)
{
    enum { MANY = 12 };
    static struct rig_end ends[MANY];
    (void)state;
    memset(ends, 0, sizeof ends);
    rig_open(NULL);
    rig_keep = true;
    rig_connect(); /* makes the context */
    SSL_CTX_set_info_callback(SSL_get_SSL_CTX(tls_of(rig.b.conn)->ssl), count_step);
    for (int i = 0; i < MANY; i++) {
        ends[i].wants_tls = true;
        ends[i].conn = conn_connect(&rig.loop, &rig.addr, &rig_ops, &ends[i]);
    }
    int before = rig.b.open_count;
    for (int i = 0; i < 2000 && rig.b.open_count < before + MANY; i++) {
        steps_of_tick = 0;
        rig_turn();
        steps_most = steps_of_tick > steps_most ? steps_of_tick : steps_most;
    }
    assert_int_equal(rig.b.open_count, before + MANY);
    assert_int_equal(steps_most, 1);
    for (int i = 0; i < MANY; i++)
        conn_abort(ends[i].conn);
    rig_abort_kept();
    rig_close();
}

/* The client's side whose turn is next. */
static struct conn *client_in_line(void)
{
    struct list *first = rig.worker->ready.next;
    if (first == &rig.worker->ready)
        return NULL;
    const struct tls_handshake *h = LIST_ENTRY(first, struct tls_handshake, ready);
    return h->server ? NULL : h->t->conn;
}

/* The exchange gives up in the very tick in which its handshake's turn comes. */
static void aborted_before_its_turn(void **state)
{
    enum { MANY = 12 };
    static struct rig_end ends[MANY];
    struct conn *c = NULL;
    (void)state;
    memset(ends, 0, sizeof ends);
    rig_open(NULL);
    rig_keep = true;
    for (int i = 0; i < MANY; i++) {
        ends[i].wants_tls = true;
        ends[i].conn = conn_connect(&rig.loop, &rig.addr, &rig_ops, &ends[i]);
    }
    RIG_UNTIL((c = client_in_line()));
    conn_abort(c);
    RIG_UNTIL(rig.b.open_count == MANY);
    for (int i = 0; i < MANY; i++) {
        assert_true(ends[i].conn != c || !ends[i].open_count);
        if (ends[i].conn != c)
            conn_abort(ends[i].conn);
    }
    rig_abort_kept();
    rig_close();
}

/* ---- configuration ---- */

static void expect_unsealed(struct tls_origin o, const char *words)
{
    struct text why = {0};
    assert_false(tls_origin_seal(&o, &why));
    assert_non_null(strstr(why.at, words));
    text_release(&why);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    rig_defaults();
    expect_unsealed((struct tls_origin){.ciphers = "AES128-SHA:NONSENSE"}, "ciphers");
    expect_unsealed((struct tls_origin){.ciphersuites = "TLS_NONSENSE"}, "ciphersuites");
    expect_unsealed((struct tls_origin){.groups = "X25519:P-1"}, "groups");
    expect_unsealed((struct tls_origin){.version_min = 0x0304, .version_max = 0x0303}, "versions");
    expect_unsealed((struct tls_origin){.ca = SLICE("nothing")}, "no certificate");
    expect_unsealed((struct tls_origin){.ca = SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n"
                                                    "-----END CERTIFICATE-----\n")},
                    "malformed");
    struct text why = {0};
    struct tls_policy p = {.client_cert = TLS_CLIENT_CERT_OPTIONAL};
    assert_false(tls_policy_seal(&p, &why));
    assert_non_null(strstr(why.at, "no certificate among"));
    p.client_ca = text_slice(&certs.ca_pem);
    p.check_crl = true;
    assert_false(tls_policy_seal(&p, &why));
    assert_non_null(strstr(why.at, "no CRL"));
    text_release(&why);
}

static uint64_t id_of(struct tls_origin o)
{
    struct text why = {0};
    assert_true(tls_origin_seal(&o, &why));
    return o.id;
}

static void ids_tell_everything_apart(void **state)
{
    (void)state;
    rig_defaults();
    struct tls_origin base = {.verify = true, .name = SLICE("a")};
    struct tls_origin rows[] = {base, base, base, base, base, base, base, base};
    rows[1].verify = false;
    rows[2].name = SLICE("b");
    rows[3].ca = text_slice(&certs.ca_pem);
    rows[4].cert = certs.client;
    rows[5].version_min = 0x0304;
    rows[6].alpn[0] = SLICE("h2");
    rows[6].alpn_count = 1;
    rows[7].ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t k = 0; k < COUNT_OF(rows); k++)
            assert_true((id_of(rows[i]) == id_of(rows[k])) == (i == k));
}

UNIT_SUITE(tls_tls_origin, cmocka_unit_test(names_are_verified),
           cmocka_unit_test(a_stranger_is_refused),
           cmocka_unit_test(an_expired_certificate_is_refused),
           cmocka_unit_test(sessions_do_not_evade_verification),
           cmocka_unit_test(servers_that_speak_something_else),
           cmocka_unit_test(aborted_in_the_handshake), cmocka_unit_test(one_costly_step_a_tick),
           cmocka_unit_test(aborted_before_its_turn), cmocka_unit_test(what_is_wrong_is_said),
           cmocka_unit_test(ids_tell_everything_apart));
