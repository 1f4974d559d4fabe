/* tls_testing_priv.h - a TLS server and a TLS client on one loop, of either backend, for the tests
 * of this folder: certificates made on the spot, what each end heard, a runner for both backends.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "io/backend.h"
#include "io/sim.h"
#include "net/listener.h"
#include "tests/unit.h"
#include "tls/cert_make_priv.h"
#include "tls/tls_conn_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RIG_SEEDS = 8, RIG_TURNS_MAX = 30000, RIG_SEEN_MAX = 12 << 20 };

/* What one end of the test's connection has heard. */
struct rig_end {
    struct conn *conn;
    char *seen;
    size_t seen_bytes;
    int open_count, eof_count, data_count, room_count;
    enum err open_err, err;
    bool manual, wants_tls;
    char why[TLS_WHY_BYTES];
};

static struct rig {
    struct sim_net *net; /* NULL: epoll */
    struct loop loop;
    struct listener listener;
    struct tls_tickets *tickets;
    struct tls_worker *worker;
    struct rig_end a, b; /* a connects, b is accepted */
    struct addr addr;
    bool listener_closed;
} rig;

/* What scenarios set before they connect; rig_defaults() begins anew. */
static struct tls_server rig_server;
static struct tls_origin rig_origin;
static struct slice rig_host;
static struct counters_shared rig_counters;
static int rig_send_count;
static struct io_backend rig_counting;
static const struct io_backend *rig_real;

static struct rig_certs {
    struct made ca, other_ca;
    struct tls_cert *ec, *rsa, *other, *expired_name, *client, *stranger;
    struct text ca_pem;
} certs;

static inline struct tls_cert *rig_cert(const struct made_spec *spec)
{
    struct text cert = {0}, key = {0}, why = {0};
    struct tls_cert *c = NULL;
    struct made m = made_new(spec);
    made_cert_pem(&m, &cert);
    made_key_pem(&m, NULL, &key);
    if (tls_cert_load(&c, text_slice(&cert), text_slice(&key), &why) != ERR_OK)
        fail_msg("%s", why.at);
    made_free(&m);
    text_release(&cert);
    text_release(&key);
    text_release(&why);
    return c;
}

static inline void rig_certs_make(void)
{
    if (certs.ec)
        return;
    certs.ca = made_new(&(struct made_spec){.cn = "Test CA", .ca = true});
    certs.other_ca = made_new(&(struct made_spec){.cn = "Other CA", .ca = true});
    made_cert_pem(&certs.ca, &certs.ca_pem);
    certs.ec = rig_cert(&(struct made_spec){.cn = "a.example",
                                            .san = "DNS:a.example,DNS:*.wild.example,IP:127.0.0.1",
                                            .issuer = &certs.ca});
    certs.rsa = rig_cert(&(struct made_spec){
        .cn = "a.example", .san = "DNS:a.example", .issuer = &certs.ca, .kind = MADE_RSA});
    certs.other = rig_cert(
        &(struct made_spec){.cn = "b.example", .san = "DNS:b.example", .issuer = &certs.other_ca});
    certs.client = rig_cert(&(struct made_spec){
        .cn = "someone", .san = "email:some@one.example,DNS:some.one", .issuer = &certs.ca});
    certs.stranger = rig_cert(&(struct made_spec){.cn = "stranger", .issuer = &certs.other_ca});
}

static inline struct tls_identity *rig_identity(struct tls_cert *one, struct tls_cert *two)
{
    struct text why = {0};
    struct tls_identity *id = calloc(1, sizeof *id);
    if (one)
        id->certs[one->kind] = one;
    if (two)
        id->certs[two->kind] = two;
    assert_true(tls_policy_seal(&id->policy, &why));
    return id;
}

static inline void rig_seal(struct tls_identity *id)
{
    struct text why = {0};
    if (!tls_policy_seal(&id->policy, &why))
        fail_msg("%s", why.at);
}

static inline void rig_origin_seal(void)
{
    struct text why = {0};
    if (!tls_origin_seal(&rig_origin, &why))
        fail_msg("%s", why.at);
}

static inline void rig_defaults(void)
{
    static struct tls_identity *id;
    rig_certs_make();
    if (!id)
        id = rig_identity(certs.ec, NULL);
    hash_map_release(&rig_server.exact);
    hash_map_release(&rig_server.wildcards);
    rig_server = (struct tls_server){.fallback = id, .handshake_ms = 10000, .handshakes_max = 100};
    rig_origin = (struct tls_origin){.verify = true, .ca = text_slice(&certs.ca_pem)};
    rig_host = SLICE("a.example");
    rig_origin_seal();
}

/* ---- the ends ---- */

static inline void rig_data(struct conn *c, struct span sp)
{
    struct rig_end *e = c->user;
    assert_true(sp.len > 0 && e->seen_bytes + sp.len <= RIG_SEEN_MAX);
    memcpy(e->seen + e->seen_bytes, sp.at, sp.len);
    e->seen_bytes += sp.len;
    e->data_count++;
    span_drop(sp);
    if (!e->manual)
        conn_recv(c);
}

static inline void rig_eof(struct conn *c)
{
    ((struct rig_end *)c->user)->eof_count++;
}

static inline void rig_room(struct conn *c)
{
    ((struct rig_end *)c->user)->room_count++;
}

static inline void rig_error(struct conn *c, enum err e)
{
    struct rig_end *end = c->user;
    assert_int_equal(end->err, ERR_OK);
    end->err = e;
    snprintf(end->why, sizeof end->why, "%s", tls_why(c));
}

static inline void rig_opened(struct conn *c, enum err e)
{
    struct rig_end *end = c->user;
    if (end->wants_tls && e == ERR_OK) {
        end->wants_tls = false;
        assert_int_equal(tls_connect(rig.worker, c, &rig_origin, rig_host), ERR_OK);
        return;
    }
    end->open_count++;
    end->open_err = e;
    snprintf(end->why, sizeof end->why, "%s", tls_why(c));
}

static const struct conn_user_ops rig_ops = {.on_open = rig_opened,
                                             .on_data = rig_data,
                                             .on_eof = rig_eof,
                                             .on_room = rig_room,
                                             .on_error = rig_error};

/* Of several connections at once, the server's ends. */
static bool rig_keep;
static struct conn *rig_kept[32];
static size_t rig_kept_count;

static inline void rig_done(void *user, struct conn *c, enum err e)
{
    struct rig_end *end = user;
    end->open_count++;
    end->open_err = e;
    end->conn = c;
    assert_true((c == NULL) == (e != ERR_OK));
    if (c)
        conn_set_user(c, &rig_ops, end);
    if (c && rig_keep)
        rig_kept[rig_kept_count++ % COUNT_OF(rig_kept)] = c;
}

static inline void rig_abort_kept(void)
{
    for (size_t i = 0; i < rig_kept_count; i++)
        conn_abort(rig_kept[i]);
    rig_kept_count = 0;
    rig_keep = false;
    rig.b.conn = NULL;
}

/* Set by who wants to be the server without TLS. */
static struct conn **rig_plain_server;
static struct rig_end rig_nobody;

static inline void rig_accept(struct listener *ln, int fd)
{
    (void)ln;
    if (rig_plain_server) {
        static char seen[RIG_SEEN_MAX];
        rig_nobody = (struct rig_end){.seen = seen};
        *rig_plain_server = conn_accept(&rig.loop, fd, &rig_ops, &rig_nobody);
        return;
    }
    assert_true(tls_accept(rig.worker, &rig_server, fd, rig_done, &rig.b));
}

static inline void rig_closed(struct listener *ln)
{
    (void)ln;
    rig.listener_closed = true;
}

/* ---- time ---- */

static inline void rig_turn(void)
{
    if (rig.net) {
        sim_run(rig.net, sim_now_ms(rig.net) + 20);
        return;
    }
    rig.loop.stopping = true; /* a tick that does not wait */
    loop_tick(&rig.loop);
    rig.loop.stopping = false;
    usleep(20);
}

#define RIG_UNTIL(cond)                                       \
    do {                                                      \
        for (int i_ = 0; i_ < RIG_TURNS_MAX && !(cond); i_++) \
            rig_turn();                                       \
        assert_true(cond);                                    \
    } while (0)

static inline void rig_turns(int n)
{
    while (n--)
        rig_turn();
}

/* ---- opening and closing ---- */

static inline void rig_start_op(struct loop *l, struct io_op *op)
{
    rig_send_count += op->kind == IO_SEND;
    rig_real->start(l, op);
}

static inline void rig_open(struct sim_net *net)
{
    static const struct listen_options options = {0};
    int fd = -1;
    memset(&rig, 0, sizeof rig);
    rig.net = net;
    rig_real = net ? &io_backend_sim : &io_backend_epoll;
    rig_counting = *rig_real;
    rig_counting.start = rig_start_op;
    rig_defaults();
    assert_true(loop_init(&rig.loop, &rig_counting, net, &rig_counters, 16 << 20));
    rig.tickets = tls_tickets_new();
    rig.worker = tls_worker_new(&rig.loop, rig.tickets);
    assert_non_null(rig.worker);
    assert_int_equal(addr_parse_ip(SLICE("127.0.0.1"), &rig.addr), ERR_OK);
    addr_set_port(&rig.addr, net ? 443 : 0);
    if (net) {
        fd = sim_listen(net, &rig.addr.sa, rig.addr.len);
    } else {
        assert_int_equal(listener_bind(&rig.addr, &options, &fd), ERR_OK);
        rig.addr.len = sizeof rig.addr.un;
        assert_int_equal(getsockname(fd, &rig.addr.sa, &rig.addr.len), 0);
    }
    rig.listener = (struct listener){.on_accept = rig_accept, .on_closed = rig_closed};
    assert_true(listener_start(&rig.listener, &rig.loop, fd));
    rig.a.seen = malloc(RIG_SEEN_MAX);
    rig.b.seen = malloc(RIG_SEEN_MAX);
}

static inline void rig_end_reset(struct rig_end *e)
{
    char *seen = e->seen;
    if (e->conn)
        conn_abort(e->conn);
    *e = (struct rig_end){.seen = seen};
}

/* A connection that speaks no TLS yet. */
static inline void rig_dial(bool tls)
{
    rig_end_reset(&rig.a);
    rig_end_reset(&rig.b);
    rig.a.wants_tls = tls;
    rig.a.conn = conn_connect(&rig.loop, &rig.addr, &rig_ops, &rig.a);
    assert_non_null(rig.a.conn);
}

static inline void rig_shake(void)
{
    rig_dial(true);
    RIG_UNTIL(rig.a.open_count && rig.b.open_count);
}

static inline void rig_connect(void)
{
    rig_shake();
    if (rig.a.open_err || rig.b.open_err)
        fail_msg("client: %s (%s), server: %s", err_name(rig.a.open_err), rig.a.why,
                 err_name(rig.b.open_err));
}

static inline void rig_close(void)
{
    rig_end_reset(&rig.a);
    rig_end_reset(&rig.b);
    listener_close(&rig.listener);
    rig_turns(20);
    tls_worker_stop(rig.worker);
    rig_turns(5);
    assert_true(rig.listener_closed && list_empty(&rig.loop.dead));
    assert_int_equal(rig.loop.timers.count, 0);
    assert_int_equal(rig.loop.bufs.held_bytes, 0);
    assert_int_equal(rig.worker->handshake_count, 0);
    free(rig.a.seen);
    free(rig.b.seen);
    loop_release(&rig.loop);
    tls_worker_free(rig.worker);
    tls_tickets_free(rig.tickets);
    if (!rig.net)
        return;
    assert_int_equal(sim_open_count(rig.net), 0);
    sim_net_free(rig.net);
}

static const struct sim_faults rig_plain = {0};
static const struct sim_faults rig_odd = {
    .split = 300, .delay = 100, .short_write = 300, .no_buffer = 100, .delay_max_ms = 40};

static inline void rig_on_both(void (*scenario)(void), const struct sim_faults *faults)
{
    rig_open(NULL);
    scenario();
    rig_close();
    for (uint64_t seed = 1; seed <= RIG_SEEDS; seed++) {
        rig_open(sim_net_new(seed, faults));
        scenario();
        rig_close();
    }
}

static inline void rig_write(struct conn *c, const char *text)
{
    assert_int_equal(conn_write(c, (struct span){NULL, text, strlen(text)}), ERR_OK);
}

static inline void rig_expect(const struct rig_end *e, const char *text)
{
    if (e->seen_bytes != strlen(text) || memcmp(e->seen, text, e->seen_bytes) != 0)
        fail_msg("heard %.*s instead of %s", (int)e->seen_bytes, e->seen, text);
}

static inline const char *rig_fact(const struct conn *c, enum tls_fact which)
{
    static char at[512];
    struct text t = {0};
    tls_fact_write(c, which, &t);
    snprintf(at, sizeof at, "%.*s", (int)t.len, t.len ? t.at : "");
    text_release(&t);
    return at;
}
