/* exchange_rig_test.h - a worker whose exchanges have scripted streams at both ends.
 *
 * The worker is real, on the simulated network: leases connect to servers on 10.0.0.1 and so on, on
 * which nobody speaks. What would be said goes through a struct rig_side per stream
 * (stream_rig_test.h). rig_stop() checks that everything has ended and was given back. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "io/backend.h"
#include "io/sim.h"
#include "net/listener.h"
#include "proxy/config_test_priv.h"
#include "proxy/exchange_priv.h"
#include "proxy/stream_rig_test.h"

enum {
    RIG_SERVERS = 4,
    RIG_ORIGINS = 48, /* streams to servers, in all */
    RIG_BUFFERS_BYTES = 8 << 20,
};

struct rig_server {
    struct listener listener;
    struct conn *conns[64];
    int count;
    bool open;
};

static struct rig {
    struct sim_net *net;
    struct io_backend backend; /* the simulated one, but for connects into a black hole */
    struct loop peers;
    struct counters_shared peer_counters, counters;
    struct worker w;
    struct test_config config;
    struct listen_point point;
    struct rig_server servers[RIG_SERVERS];
    bool black_hole;    /* connects get no answer */
    bool engine_fails;  /* the next stream is not made */
    size_t origin_room; /* of new streams to servers */
    struct timer alarm;
    struct conn client_conn;
    struct exchange *x; /* of the last request, while it runs */
    struct rig_side client;
    struct rig_side origins[RIG_ORIGINS];
    int origin_count;
    struct rig_side *origin; /* the last one */
} rig;

/* --- time ------------------------------------------------------------------------------------- */

static inline void rig_alarm(struct timer *t)
{
    (void)t;
}

static inline void rig_run(int64_t ms)
{
    timer_set(&rig.peers.timers, &rig.alarm, sim_now_ms(rig.net) + ms);
    sim_run(rig.net, sim_now_ms(rig.net) + ms);
}

/* --- servers ---------------------------------------------------------------------------------- */

static inline void rig_conn_data(struct conn *c, struct span s)
{
    span_drop(s);
    conn_recv(c);
}

static inline void rig_conn_end(struct conn *c)
{
    struct rig_server *srv = c->user;
    for (int i = 0; i < srv->count; i++)
        if (srv->conns[i] == c)
            srv->conns[i] = NULL;
    conn_abort(c);
}

static inline void rig_conn_error(struct conn *c, enum err e)
{
    (void)e;
    rig_conn_end(c);
}

static const struct conn_user_ops rig_conn_ops = {
    .on_data = rig_conn_data, .on_eof = rig_conn_end, .on_error = rig_conn_error};

static inline void rig_accept(struct listener *ln, int fd)
{
    struct rig_server *srv = ln->user;
    struct conn *c = conn_accept(ln->loop, fd, &rig_conn_ops, srv);
    assert_non_null(c);
    assert_true(srv->count < 64);
    srv->conns[srv->count++] = c;
    conn_recv(c);
}

static inline void rig_closed(struct listener *ln)
{
    ((struct rig_server *)ln->user)->open = false;
}

static inline void rig_server_open(int i)
{
    struct rig_server *srv = &rig.servers[i];
    char ip[24];
    snprintf(ip, sizeof ip, "10.0.0.%d", i + 1);
    *srv = (struct rig_server){.open = true};
    srv->listener.user = srv;
    srv->listener.on_accept = rig_accept;
    srv->listener.on_closed = rig_closed;
    assert_int_equal(addr_parse_ip(slice_of(ip), &srv->listener.addr), ERR_OK);
    addr_set_port(&srv->listener.addr, 80);
    int fd = sim_listen(rig.net, &srv->listener.addr.sa, srv->listener.addr.len);
    assert_true(listener_start(&srv->listener, &rig.peers, fd));
}

/* From now on the server refuses connections. */
static inline void rig_server_close(int i)
{
    struct rig_server *srv = &rig.servers[i];
    if (!srv->open)
        return;
    listener_close(&srv->listener);
    for (int k = 0; k < srv->count; k++)
        if (srv->conns[k])
            conn_abort(srv->conns[k]);
    srv->count = 0;
    rig_run(1);
}

static inline const struct server_shared *rig_health(int i)
{
    return rig.config.conf->upstreams->list[0]->servers[i].shared;
}

/* --- the engine and the network --------------------------------------------------------------- */

static inline struct stream *rig_engine_open(struct conn *c, struct task *t, struct arena *a,
                                             struct message *head, struct body *body,
                                             const struct stream_limits *limits)
{
    (void)limits;
    if (rig.engine_fails)
        return NULL;
    assert_true(rig.origin_count < RIG_ORIGINS);
    struct rig_side *o = rig.origin = &rig.origins[rig.origin_count++];
    rig_side_open(o, false, c, &rig.w.loop);
    o->s->task = t;
    o->s->arena = a;
    o->s->head = head;
    o->s->body = body;
    o->room = rig.origin_room;
    rig_body_bind(o);
    c->use_count++;
    return o->s;
}

static const struct origin_engine rig_engine = {.name = "rig", .open = rig_engine_open};

/* Nobody answers, and nobody says no: the op waits for its cancel on a socket of its own. */
static inline void rig_connect(struct loop *l, struct io_op *op, const struct sockaddr *to,
                               socklen_t len)
{
    static uint16_t port;
    struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = htons(++port)};
    if (!rig.black_hole) {
        io_backend_sim.connect(l, op, to, len);
        return;
    }
    op->sock->fd = sim_listen(rig.net, (struct sockaddr *)&nowhere, sizeof nowhere);
    assert_true(io_backend_sim.sock_open(l, op->sock, op->sock->fd));
}

/* A test that failed before left its servers' state behind. */
static inline void rig_servers_forget(void)
{
    const struct upstreams_conf *u = rig.config.conf->upstreams;
    for (uint32_t i = 0; i < u->count; i++)
        for (uint32_t k = 0; k < u->list[i]->server_count; k++) {
            struct server_shared *s = u->list[i]->servers[k].shared;
            s->ejected_until_ms = s->in_flight = s->conns = s->fails_in_a_row = s->eject_count = 0;
            s->failures_total = s->last_error = 0;
        }
    for (uint32_t i = 0; i < u->count; i++)
        u->list[i]->shared->budget_window_ms = 0;
}

/* --- begin and end ---------------------------------------------------------------------------- */

static inline void rig_start_with(const char *config, size_t buffers_bytes)
{
    static const struct sim_faults calm;
    memset(&rig, 0, sizeof rig);
    log_error_set(0, (enum log_level)(LOG_ERROR_ + 1)); /* failures are the subject here */
    rig.origin_room = SIZE_MAX;
    rig.net = sim_net_new(1, &calm);
    rig.backend = io_backend_sim;
    rig.backend.connect = rig_connect;
    assert_true(loop_init(&rig.peers, &io_backend_sim, rig.net, &rig.peer_counters, 1u << 30));
    timer_init(&rig.alarm, rig_alarm);
    assert_true(
        worker_init(&rig.w, 0, &rig.backend, rig.net, &rig_engine, &rig.counters, buffers_bytes));
    for (int i = 0; i < RIG_SERVERS; i++)
        rig_server_open(i);
    test_config_need(&rig.config, config);
    rig_servers_forget();
    worker_install(&rig.w, rig.config.conf);
    worker_point_add(&rig.w, &rig.point, rig.config.conf->proxy->listens[0]->key);
    struct addr client;
    assert_int_equal(addr_parse_ip(SLICE("192.0.2.7"), &client), ERR_OK);
    rig.client_conn = (struct conn){.sock.fd = -1, .loop = &rig.w.loop};
    addr_pack(&rig.client_conn.remote, &client);
    rig_run(1);
}

static inline void rig_start(const char *config)
{
    rig_start_with(config, RIG_BUFFERS_BYTES);
}

/* Everything has ended and given back what it had. */
static inline void rig_stop(void)
{
    rig_run(1);
    assert_true(worker_idle(&rig.w));
    assert_null(rig.client.stream);
    for (int i = 0; i < rig.origin_count; i++)
        assert_null(rig.origins[i].stream);
    assert_int_equal(counter_get(&rig.counters, METRIC_REQUESTS_ACTIVE), 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_TUNNELS_OPEN), 0);
    assert_int_equal(rig.w.loop.bufs.held_bytes, 0);
    origin_pools_close(&rig.w.pools);
    assert_int_equal(counter_get(&rig.counters, METRIC_ORIGIN_OPEN), 0);
    assert_int_equal(rig.w.loop.timers.count, 0);
    for (int i = 0; i < RIG_SERVERS; i++)
        rig_server_close(i);
    worker_point_remove(&rig.w, &rig.point);
    worker_release(&rig.w);
    timer_stop(&rig.peers.timers, &rig.alarm);
    loop_release(&rig.peers);
    assert_int_equal(sim_open_count(rig.net), 0);
    sim_net_free(rig.net);
    test_config_release(&rig.config);
    free(rig.client.body);
    for (int i = 0; i < RIG_ORIGINS; i++)
        free(rig.origins[i].body);
}

/* --- requests --------------------------------------------------------------------------------- */

static inline void rig_request_field(struct message *m, struct slice name, struct slice value)
{
    enum field_id id = field_find(name);
    if (id == FIELD_HOST)
        m->authority = value;
    if (id == FIELD_EXPECT)
        m->expect_continue = true;
    if (id == FIELD_TRANSFER_ENCODING)
        m->length = LENGTH_UNKNOWN;
    if (id == FIELD_CONTENT_LENGTH) {
        m->length = LENGTH_KNOWN;
        m->content_length = strtoull(value.at, NULL, 10);
    }
    if (id == FIELD_UPGRADE) {
        m->upgrade = true;
        m->upgrade_to = value;
    }
    assert_int_equal(headers_add(&m->headers, rig.client.s->arena, name, value), ERR_OK);
}

/* "POST /x | Host: a.test | Content-Length: 5", HTTP/1.0 after the target when there is " 1.0". */
static inline void rig_request_head(struct message *m, const char *text)
{
    struct slice rest = rig_text(&rig.client, slice_of(text)), line, word;
    message_init(m);
    assert_true(slice_cut(&rest, '|', &line));
    line = slice_trim(line);
    assert_true(slice_cut(&line, ' ', &m->method_text));
    assert_true(slice_cut(&line, ' ', &m->target));
    m->method = (uint8_t)method_find(m->method_text);
    if (slice_cut(&line, ' ', &word))
        m->version_minor = 0;
    while (slice_cut(&rest, '|', &line)) {
        size_t colon = slice_find(line, ':');
        rig_request_field(m, slice_trim(slice_head(line, colon)),
                          slice_trim(slice_from(line, colon + 1)));
    }
    rig_named_hops(&m->headers, headers_get(&m->headers, FIELD_CONNECTION));
}

/* Opens the exchange, without a head yet. */
static inline void rig_open(void)
{
    assert_null(rig.client.stream);
    rig_side_open(&rig.client, true, &rig.client_conn, &rig.w.loop);
    rig.client.s->began_ms = rig.w.loop.now_ms;
    assert_int_equal(exchange_open(&rig.w.acceptor, rig.client.s, &rig.point), ERR_OK);
    rig.x = CONTAINER_OF(rig.client.s->task, struct exchange, task);
    rig_body_bind(&rig.client);
}

/* The head is there; what can happen without more time happens. */
static inline void rig_request(const char *text)
{
    rig_open();
    rig_request_head(rig.client.s->head, text);
    if (rig.client.s->head->length == LENGTH_NONE)
        body_end(rig.client.s->body);
    rig.client.s->head_state = STREAM_HEAD_FINAL;
    rig_wake(&rig.client);
    rig_run(1);
}

/* --- responses -------------------------------------------------------------------------------- */

/* "200 | Content-Length: 5 | X: y" on the last origin stream. Without length fields the response
 * goes until the end; with `- ` before the status it has no body. */
static inline void rig_response_head(struct rig_side *o, const char *text)
{
    struct message *m = o->s->head;
    struct slice rest = rig_text(o, slice_of(text)), line;
    message_init(m);
    assert_true(slice_cut(&rest, '|', &line));
    m->status = (uint16_t)strtoul(line.at, NULL, 10);
    m->length = status_has_body(m->status) ? LENGTH_UNKNOWN : LENGTH_NONE;
    while (slice_cut(&rest, '|', &line)) {
        size_t colon = slice_find(line, ':');
        struct slice name = slice_trim(slice_head(line, colon));
        struct slice value = slice_trim(slice_from(line, colon + 1));
        if (field_find(name) == FIELD_CONTENT_LENGTH) {
            m->length = LENGTH_KNOWN;
            m->content_length = strtoull(value.at, NULL, 10);
        }
        assert_int_equal(headers_add(&m->headers, o->s->arena, name, value), ERR_OK);
    }
    rig_named_hops(&m->headers, headers_get(&m->headers, FIELD_CONNECTION));
    bool interim = m->status < 200 && m->status != 101;
    o->s->head_state = interim ? STREAM_HEAD_INTERIM : STREAM_HEAD_FINAL;
    o->s->first_byte = true;
    rig_wake(o);
}

/* A whole response of the last origin stream, and what follows of it. */
static inline void rig_answer(const char *head, const char *body)
{
    struct rig_side *o = rig.origin;
    rig_response_head(o, head);
    rig_say(o, body);
    rig_end(o);
    rig_run(1);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* --- looking ---------------------------------------------------------------------------------- */

static inline void rig_expect(unsigned status)
{
    char line[16];
    snprintf(line, sizeof line, "%u", status);
    if (!rig.client.detached)
        fail_msg("the exchange stands in step '%s'", exchange_step_name(rig.x));
    rig_expect_head(&rig.client, line);
    assert_true(rig.client.whole);
}

/* The response was broken off. */
static inline void rig_expect_cut(void)
{
    assert_true(rig.client.detached);
    assert_false(rig.client.whole);
}

static inline void rig_expect_step(enum exchange_step s)
{
    if (rig.client.detached || rig.x->step != s)
        fail_msg("the exchange %s '%s', not '%s'",
                 rig.client.detached ? "has ended, not in" : "stands in",
                 rig.client.detached ? "" : exchange_step_name(rig.x), step_name(s));
}

static inline int64_t rig_errors(enum err e)
{
    return rig.counters.errors[e];
}
