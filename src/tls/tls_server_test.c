/* tls_server_test.c - the server's side of handshakes: which certificate answers, who may come in,
 * sessions that do not cross policies, and clients that stall, flood or speak something else. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/hello.h"
#include "tls/tls_testing_priv.h"

static void expect_fact(const struct conn *c, enum tls_fact which, const char *text)
{
    assert_string_equal(rig_fact(c, which), text);
}

/* ---- names and kinds ---- */

static void finds_names(void **state)
{
    struct tls_identity exact, wild, far, fallback;
    struct tls_server s = {.fallback = &fallback};
    (void)state;
    hash_map_put(&s.exact, SLICE("a.example"), &exact);
    hash_map_put(&s.wildcards, SLICE("example"), &wild);
    hash_map_put(&s.wildcards, SLICE("b.example"), &far);
    assert_ptr_equal(tls_server_find(&s, SLICE("a.example")), &exact);
    assert_ptr_equal(tls_server_find(&s, SLICE("c.example")), &wild);
    assert_ptr_equal(tls_server_find(&s, SLICE("x.b.example")), &far);
    assert_ptr_equal(tls_server_find(&s, SLICE("y.x.b.example")), &far);
    assert_ptr_equal(tls_server_find(&s, SLICE("example")), &fallback);
    assert_ptr_equal(tls_server_find(&s, SLICE("")), &fallback);
    assert_ptr_equal(tls_server_find(&s, SLICE("a.example.")), &fallback);
    s.fallback = NULL;
    assert_null(tls_server_find(&s, SLICE("other")));
    hash_map_release(&s.exact);
    hash_map_release(&s.wildcards);
}

static const char *peer_cn(const struct conn *c)
{
    static char cn[64];
    X509 *x = SSL_get0_peer_certificate(tls_of(c)->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
    return cn;
}

static void the_name_chooses(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_odd));
    struct tls_identity *other = rig_identity(certs.other, NULL);
    hash_map_put(&rig_server.exact, SLICE("b.example"), other);
    hash_map_put(&rig_server.wildcards, SLICE("b.example"), other);
    rig_origin.verify = false;
    rig_origin_seal();
    static const struct {
        const char *asked, *got;
    } rows[] = {{"a.example", "a.example"},
                {"b.example", "b.example"},
                {"B.EXAMPLE", "b.example"},
                {"x.b.example", "b.example"},
                {"127.0.0.1", "a.example"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rig_host = slice_of(rows[i].asked);
        rig_connect();
        assert_string_equal(peer_cn(rig.a.conn), rows[i].got);
        bool ip = i == 4; /* an address is never sent as a name */
        expect_fact(rig.b.conn, TLS_FACT_SNI, ip ? "" : rows[i].asked);
    }
    rig_server.fallback = NULL;
    rig_host = SLICE("nobody.example");
    rig_shake();
    assert_int_equal(rig.b.open_err, ERR_TLS_UNKNOWN_NAME);
    assert_int_equal(rig.a.open_err, ERR_TLS_ALERT);
    assert_non_null(strstr(rig.a.why, "unrecognized name"));
    rig_close();
    free(other);
}

static int peer_key(const struct conn *c)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(tls_of(c)->ssl)));
}

static void the_client_chooses_the_kind(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_odd));
    struct tls_identity *both = rig_identity(certs.ec, certs.rsa);
    rig_server.fallback = both;
    rig_origin.version_max = TLS1_2_VERSION;
    rig_connect();
    assert_int_equal(peer_key(rig.a.conn), EVP_PKEY_EC);
    rig_origin.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    rig_origin_seal();
    rig_connect();
    assert_int_equal(peer_key(rig.a.conn), EVP_PKEY_RSA);
    expect_fact(rig.b.conn, TLS_FACT_CIPHER, "ECDHE-RSA-AES128-GCM-SHA256");
    expect_fact(rig.b.conn, TLS_FACT_VERSION, "TLSv1.2");
    rig_close();
    free(both);
}

/* ---- versions and protocols ---- */

static void profiles(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_odd));
    struct tls_identity *modern = rig_identity(certs.ec, NULL);
    rig_connect();
    expect_fact(rig.a.conn, TLS_FACT_VERSION, "TLSv1.3");
    rig_origin.version_max = TLS1_2_VERSION;
    rig_origin_seal();
    rig_connect();
    expect_fact(rig.a.conn, TLS_FACT_VERSION, "TLSv1.2");
    modern->policy.profile = TLS_PROFILE_MODERN;
    rig_seal(modern);
    rig_server.fallback = modern;
    rig_shake();
    assert_int_equal(rig.b.open_err, ERR_TLS_NOTHING_COMMON);
    assert_int_equal(rig.a.open_err, ERR_TLS_ALERT);
    rig_close();
    free(modern);
}

static void alpn(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_odd));
    rig_connect(); /* neither side */
    expect_fact(rig.b.conn, TLS_FACT_ALPN, "");
    rig_server.alpn[0] = SLICE("h2");
    rig_server.alpn[1] = SLICE("http/1.1");
    rig_server.alpn_count = 2;
    rig_connect(); /* the client offers none */
    expect_fact(rig.b.conn, TLS_FACT_ALPN, "");
    rig_origin.alpn[0] = SLICE("http/1.1");
    rig_origin.alpn[1] = SLICE("h2");
    rig_origin.alpn_count = 2;
    rig_origin_seal();
    rig_connect(); /* our preference counts */
    expect_fact(rig.b.conn, TLS_FACT_ALPN, "h2");
    expect_fact(rig.a.conn, TLS_FACT_ALPN, "h2");
    rig_origin.alpn_count = 1;
    rig_origin_seal();
    rig_connect();
    expect_fact(rig.b.conn, TLS_FACT_ALPN, "http/1.1");
    rig_origin.alpn[0] = SLICE("smtp");
    rig_origin_seal();
    rig_shake();
    assert_int_equal(rig.b.open_err, ERR_TLS_NO_ALPN);
    assert_int_equal(rig.a.open_err, ERR_TLS_ALERT);
    assert_non_null(strstr(rig.a.why, "no application protocol"));
    rig_close();
}

static void every_kind_of_key_shakes_hands(void **state)
{
    (void)state;
    rig_certs_make();
    struct tls_cert *edwards = rig_cert(&(struct made_spec){
        .cn = "a.example", .san = "DNS:a.example", .issuer = &certs.ca, .kind = MADE_ED25519});
    struct tls_cert *all[] = {certs.ec, certs.rsa, edwards};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        rig_open(sim_net_new(1, &rig_plain));
        struct tls_identity *id = rig_identity(all[i], NULL);
        rig_server.fallback = id;
        rig_connect();
        rig_close();
        free(id);
    }
    tls_cert_drop(edwards);
}

/* ---- client certificates ---- */

static struct tls_identity *mtls_identity(enum tls_client_cert mode)
{
    struct tls_identity *id = rig_identity(certs.ec, NULL);
    id->policy.client_cert = mode;
    id->policy.client_ca = text_slice(&certs.ca_pem);
    rig_seal(id);
    return id;
}

/* In TLS 1.3 the client is through before the server has looked: its first read tells. */
static void expect_refused(void)
{
    assert_int_equal(rig.b.open_err, ERR_TLS_CLIENT_CERT);
    if (!rig.a.open_err) {
        conn_recv(rig.a.conn);
        RIG_UNTIL(rig.a.err);
    }
}

static void client_certificates(struct tls_cert *cert, enum tls_client_cert mode, bool passes)
{
    rig_open(sim_net_new(1, &rig_odd));
    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_identity *id = mtls_identity(mode);
        rig_server.fallback = id;
        rig_origin.cert = cert;
        rig_origin.version_max = version;
        rig_origin_seal();
        rig_shake();
        if (passes)
            assert_int_equal(rig.a.open_err | rig.b.open_err, ERR_OK);
        else
            expect_refused();
        free(id);
    }
    rig_close();
}

static void client_certificate_modes(void **state)
{
    (void)state;
    rig_certs_make();
    client_certificates(NULL, TLS_CLIENT_CERT_OFF, true);
    client_certificates(certs.stranger, TLS_CLIENT_CERT_OFF, true); /* is not asked for */
    client_certificates(NULL, TLS_CLIENT_CERT_OPTIONAL, true);
    client_certificates(certs.client, TLS_CLIENT_CERT_OPTIONAL, true);
    client_certificates(certs.stranger, TLS_CLIENT_CERT_OPTIONAL, false);
    client_certificates(NULL, TLS_CLIENT_CERT_REQUIRED, false);
    client_certificates(certs.client, TLS_CLIENT_CERT_REQUIRED, true);
    client_certificates(certs.stranger, TLS_CLIENT_CERT_REQUIRED, false);
}

static void what_a_client_certificate_says(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_odd));
    struct tls_identity *id = mtls_identity(TLS_CLIENT_CERT_REQUIRED);
    rig_server.fallback = id;
    rig_origin.cert = certs.client;
    rig_origin_seal();
    for (int resumed = 0; resumed < 2; resumed++) {
        rig_connect();
        expect_fact(rig.b.conn, TLS_FACT_RESUMED, resumed ? "yes" : "no");
        expect_fact(rig.b.conn, TLS_FACT_CLIENT_SUBJECT, "CN=someone");
        expect_fact(rig.b.conn, TLS_FACT_CLIENT_SAN, "email:some@one.example, DNS:some.one");
        char hex[80] = "";
        for (int i = 0; i < 32; i++)
            snprintf(hex + 2 * i, 3, "%02x", certs.client->fingerprint[i]);
        expect_fact(rig.b.conn, TLS_FACT_CLIENT_FINGERPRINT, hex);
        assert_true(strlen(rig_fact(rig.b.conn, TLS_FACT_CLIENT_SERIAL)) >= 2);
        expect_fact(rig.a.conn, TLS_FACT_CLIENT_SUBJECT, ""); /* it is no client of ours */
        assert_memory_equal(tls_policy_id(rig.b.conn), id->policy.id, TLS_POLICY_ID_BYTES);
        assert_null(tls_policy_id(rig.a.conn));
        assert_int_equal(strlen(rig_fact(rig.b.conn, TLS_FACT_JA4)), 36);
        conn_recv(rig.a.conn); /* the ticket */
        rig_turns(20);
    }
    rig_close();
    free(id);
}

/* ---- sessions ---- */

static bool resumes(void)
{
    rig_connect();
    conn_recv(rig.a.conn);
    conn_recv(rig.b.conn);
    rig_write(rig.b.conn, "x");
    RIG_UNTIL(rig.a.seen_bytes == 1); /* the ticket came before */
    bool yes = SSL_session_reused(tls_of(rig.b.conn)->ssl);
    assert_int_equal(yes, SSL_session_reused(tls_of(rig.a.conn)->ssl));
    return yes;
}

static void sessions_resume(void **state)
{
    (void)state;
    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        rig_open(sim_net_new(1, &rig_odd));
        rig_origin.version_max = version;
        rig_origin_seal();
        assert_false(resumes());
        assert_true(resumes());
        assert_true(resumes());
        rig_host = SLICE("x.wild.example"); /* another host has its own */
        assert_false(resumes());
        rig_close();
    }
}

/* A session that began without a certificate must not open a site that wants one; and back. */
static void sessions_stay_with_their_policy(void **state)
{
    (void)state;
    for (uint16_t version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        rig_open(sim_net_new(1, &rig_odd));
        struct tls_identity *plain = rig_identity(certs.ec, NULL);
        struct tls_identity *mtls = mtls_identity(TLS_CLIENT_CERT_OPTIONAL);
        assert_memory_not_equal(plain->policy.id, mtls->policy.id, TLS_POLICY_ID_BYTES);
        rig_origin.version_max = version;
        rig_origin_seal();
        rig_server.fallback = plain;
        assert_false(resumes());
        rig_server.fallback = mtls;
        assert_false(resumes());
        assert_true(resumes());
        rig_server.fallback = plain;
        assert_false(resumes());
        rig_close();
        free(plain);
        free(mtls);
    }
}

static bool time_is_over;

static void on_time(struct timer *t)
{
    (void)t;
    time_is_over = true;
}

static void pass_time(int64_t ms)
{
    struct timer t;
    time_is_over = false;
    timer_init(&t, on_time);
    timer_set(&rig.loop.timers, &t, rig.loop.now_ms + ms);
    while (!time_is_over)
        sim_run(rig.net, sim_now_ms(rig.net) + 3600000);
}

static void tickets_rotate(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    uint8_t first[TLS_TICKETS_BYTES], second[TLS_TICKETS_BYTES];
    assert_false(resumes());
    tls_tickets_export(rig.tickets, first);
    assert_true(resumes());
    tls_tickets_export(rig.tickets, second);
    assert_memory_equal(first, second, sizeof first);
    /* Tickets are sealed with a new key once the first has its age; the old one still opens. */
    rig_end_reset(&rig.a);
    rig_end_reset(&rig.b);
    pass_time((TLS_TICKET_ROTATE_S + 1) * 1000ll);
    assert_true(resumes());
    tls_tickets_export(rig.tickets, second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_true(resumes());
    rig_close();
}

static void tickets_survive_as_bytes(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    uint8_t keys[TLS_TICKETS_BYTES];
    assert_false(resumes());
    tls_tickets_export(rig.tickets, keys);
    struct tls_tickets *fresh = tls_tickets_new();
    rig.worker->tickets = fresh; /* a new process without the keys */
    assert_false(resumes());
    assert_false(tls_tickets_import(fresh, keys, sizeof keys - 1));
    rig.worker->tickets = rig.tickets;
    assert_false(resumes());
    assert_true(tls_tickets_import(fresh, keys, sizeof keys));
    rig.worker->tickets = fresh;
    assert_true(resumes());
    keys[0]++;
    assert_false(tls_tickets_import(fresh, keys, sizeof keys));
    rig_close();
    tls_tickets_free(fresh);
}

static void keys_go_in_time_without_handshakes(void **state)
{
    enum { KEY = 88, MADE_AT = 1 + 80, NAME = 16 };
    uint8_t keys[TLS_TICKETS_BYTES], later[TLS_TICKETS_BYTES];
    int64_t made_s;
    (void)state;
    struct tls_tickets *t = tls_tickets_new();
    tls_tickets_export(t, keys);
    memcpy(&made_s, keys + MADE_AT, sizeof made_s);
    for (int64_t age = TLS_TICKET_ROTATE_S - 100; age < TLS_TICKET_ROTATE_S + 1000; age += 100) {
        int64_t then = made_s - age;
        memcpy(keys + MADE_AT, &then, sizeof then);
        assert_true(tls_tickets_import(t, keys, sizeof keys));
        tls_tickets_rotate(t, made_s);
        tls_tickets_export(t, later);
        bool rotated = memcmp(keys + 1, later + 1, NAME) != 0;
        assert_int_equal(rotated, age >= TLS_TICKET_ROTATE_S);
        if (rotated)
            assert_memory_equal(keys + 1, later + 1 + KEY, NAME);
    }
    tls_tickets_free(t);
}

/* ---- clients that do not behave ---- */

static void stall(struct sim_net *net)
{
    rig_open(net);
    rig_server.handshake_ms = net ? 500 : 30;
    rig_dial(false);
    RIG_UNTIL(rig.b.open_count);
    assert_int_equal(rig.b.open_err, ERR_TLS_TIMEOUT);
    rig_close();
}

static void a_stalled_handshake_ends_in_time(void **state)
{
    (void)state;
    stall(NULL);
    stall(sim_net_new(1, &rig_plain));
}

static void the_oldest_is_dropped(void **state)
{
    (void)state;
    rig_open(sim_net_new(1, &rig_plain));
    rig_server.handshakes_max = 3;
    struct rig_end ends[4] = {0};
    for (int i = 0; i < 4; i++) {
        ends[i].conn = conn_connect(&rig.loop, &rig.addr, &rig_ops, &ends[i]);
        RIG_UNTIL(ends[i].open_count);
        conn_recv(ends[i].conn);
        assert_int_equal(rig.b.open_count, i == 3);
    }
    assert_int_equal(rig.b.open_err, ERR_TLS_TOO_MANY);
    assert_int_equal(rig.worker->handshake_count, 3);
    assert_true(ends[0].err || ends[0].eof_count);
    assert_false(ends[1].err || ends[1].eof_count);
    for (int i = 0; i < 4; i++)
        conn_abort(ends[i].conn);
    RIG_UNTIL(rig.b.open_count == 4); /* each was told */
    assert_int_equal(rig.b.open_err, ERR_TLS_NOTHING_SENT);
    rig_close();
}

static void hint(const char *request, const char *url)
{
    char expected[400];
    rig_open(sim_net_new(3, &rig_plain));
    rig_dial(false);
    RIG_UNTIL(rig.a.open_count);
    conn_recv(rig.a.conn);
    rig_write(rig.a.conn, request);
    RIG_UNTIL(rig.a.eof_count || rig.a.err);
    assert_int_equal(rig.a.err, ERR_OK);
    assert_int_equal(rig.b.open_err, ERR_TLS_PLAIN_HTTP);
    snprintf(expected, sizeof expected, "\r\n\r\nThis port speaks TLS: use https://%s/\n", url);
    rig.a.seen[rig.a.seen_bytes] = 0;
    assert_true(strncmp(rig.a.seen, "HTTP/1.1 400 ", 13) == 0);
    const char *body = strstr(rig.a.seen, "\r\n\r\n");
    assert_string_equal(body, expected);
    assert_int_equal(atoi(strstr(rig.a.seen, "Length: ") + 8), strlen(body + 4));
    rig_close();
}

static void plain_http_gets_a_hint(void **state)
{
    (void)state;
    hint("GET / HTTP/1.1\r\nHost: a.example:8443\r\n\r\n", "a.example:8443");
    hint("POST /x HTTP/1.1\r\nA: b\r\nhOST:[::1]\r\n\r\n", "[::1]");
    hint("GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", "...");
    hint("GET / HTTP/1.0\r\n\r\n", "...");
}

static void junk(const char *at, size_t len, enum err e, bool alert)
{
    rig_open(sim_net_new(3, &rig_plain));
    rig_dial(false);
    RIG_UNTIL(rig.a.open_count);
    conn_recv(rig.a.conn);
    if (len)
        assert_int_equal(conn_write(rig.a.conn, (struct span){NULL, at, len}), ERR_OK);
    conn_shutdown(rig.a.conn);
    RIG_UNTIL(rig.b.open_count);
    assert_int_equal(rig.b.open_err, e);
    RIG_UNTIL(rig.a.eof_count || rig.a.err);
    assert_int_equal(rig.a.seen_bytes, alert ? 7 : 0);
    rig_close();
}

static void what_is_no_handshake(void **state)
{
    (void)state;
    junk("", 0, ERR_TLS_NOTHING_SENT, false);
    junk("\x16\x03\x01", 3, ERR_TLS_CLOSED, false);
    junk("SSH-2.0-x\r\n", 11, ERR_TLS_BAD_HELLO, false);
    junk("\0\0\0\0\0\0\0\0", 8, ERR_TLS_BAD_HELLO, false);
    junk("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10, ERR_TLS_BAD_HELLO, true);
}

/* Every way in which the wire can cut a handshake to pieces. */
static void any_split_shakes_hands(void **state)
{
    static const struct sim_faults worst = {
        .split = 1000, .short_write = 1000, .delay = 500, .delay_max_ms = 5};
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        rig_open(sim_net_new(seed, &worst));
        rig_origin.version_max = seed % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
        rig_origin_seal();
        assert_false(resumes());
        assert_true(resumes());
        rig_close();
    }
}

enum { PADDING_EXTENSION = 1000 };

static int add_padding(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **out,
                       size_t *len, X509 *x, size_t chain, int *alert, void *arg)
{
    static const unsigned char zeros[HELLO_BYTES_MAX];
    (void)ssl, (void)type, (void)context, (void)x, (void)chain, (void)alert;
    *out = zeros;
    *len = *(size_t *)arg;
    return 1;
}

static size_t padding;

static void with_padding(size_t bytes)
{
    padding = bytes;
    rig_shake();
}

/* A ClientHello may fill several buffers; what is longer than HELLO_BYTES_MAX is refused. */
static void long_hellos(void **state)
{
    static const struct sim_faults split = {.split = 500};
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        rig_open(sim_net_new(seed, &split));
        rig_connect(); /* makes the context */
        SSL_CTX *ctx = SSL_get_SSL_CTX(tls_of(rig.a.conn)->ssl);
        assert_int_equal(SSL_CTX_add_custom_ext(ctx, PADDING_EXTENSION, SSL_EXT_CLIENT_HELLO,
                                                add_padding, NULL, &padding, NULL, NULL),
                         1);
        for (size_t bytes = 7000; bytes < 15900; bytes += 1100) {
            with_padding(bytes);
            if (rig.b.open_err)
                fail_msg("%zu bytes: %s", bytes, err_name(rig.b.open_err));
        }
        with_padding(HELLO_BYTES_MAX);
        assert_int_equal(rig.b.open_err, ERR_TLS_BAD_HELLO);
        rig_close();
    }
}

UNIT_SUITE(tls_tls_server, cmocka_unit_test(finds_names), cmocka_unit_test(long_hellos),
           cmocka_unit_test(the_name_chooses), cmocka_unit_test(the_client_chooses_the_kind),
           cmocka_unit_test(profiles), cmocka_unit_test(every_kind_of_key_shakes_hands),
           cmocka_unit_test(alpn), cmocka_unit_test(client_certificate_modes),
           cmocka_unit_test(what_a_client_certificate_says), cmocka_unit_test(sessions_resume),
           cmocka_unit_test(sessions_stay_with_their_policy), cmocka_unit_test(tickets_rotate),
           cmocka_unit_test(tickets_survive_as_bytes),
           cmocka_unit_test(keys_go_in_time_without_handshakes),
           cmocka_unit_test(a_stalled_handshake_ends_in_time),
           cmocka_unit_test(the_oldest_is_dropped), cmocka_unit_test(plain_http_gets_a_hint),
           cmocka_unit_test(what_is_no_handshake), cmocka_unit_test(any_split_shakes_hands));
