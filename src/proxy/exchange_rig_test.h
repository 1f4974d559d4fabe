/* exchange_rig_test.h - a worker whose exchanges have scripted streams at both ends.
 *
 * The worker is real, on the simulated network: leases connect to servers on 10.0.0.1 and so on, on
 * which nobody speaks. What would be said stands in a struct rig_side per stream: the test puts
 * heads and bodies in and looks at what came out. What a stream lends (itself, the bytes of heads)
 * is freed by its detach, so that a late use shows under ASan. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/date.h"
#include "io/backend.h"
#include "io/sim.h"
#include "net/listener.h"
#include "proxy/config_test_priv.h"
#include "proxy/exchange_priv.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    RIG_SERVERS = 4,
    RIG_ORIGINS = 48, /* streams to servers, in all */
    RIG_HEAD_BYTES = 8192,
    RIG_BODY_BYTES = 1 << 19,
    RIG_BUFFERS_BYTES = 8 << 20,
};

struct rig_stream {
    struct stream s;
    struct rig_side *side;
    char text[RIG_HEAD_BYTES]; /* of received heads */
    size_t text_len;
};

struct rig_side {
    struct rig_stream *stream; /* NULL: none yet, or detached */
    struct stream *s;
    bool is_client;
    /* what the exchange did */
    char
        head[RIG_HEAD_BYTES]; /* the final or only head sent: "200\nName: value\n", "GET /x\n..." */
    struct message sent;      /* its numbers; slices are not valid */
    unsigned heads, interims, last_interim, next_heads, reads;
    char *body; /* RIG_BODY_BYTES */
    size_t body_len;
    bool tunnel, detached, lost; /* lost: nothing can be sent */
    bool whole;                  /* at detach: everything was sent */
    /* what the test wants */
    size_t room;                 /* bytes that the connection still takes */
    enum err head_err, body_err; /* of the next call */
    bool closes;                 /* origin: the connection can not be kept */
    bool complete;               /* origin: the response is whole */
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

/* --- what a stream does ----------------------------------------------------------------------- */

static inline struct rig_side *rig_side_of(struct stream *s)
{
    return CONTAINER_OF(s, struct rig_stream, s)->side;
}

static inline void rig_wake(struct rig_side *side)
{
    task_wake(&rig.w.loop.tasks, side->s->task);
}

static inline void rig_put(struct rig_side *side, struct slice s)
{
    size_t len = strlen(side->head);
    assert_true(len + s.len < RIG_HEAD_BYTES);
    memcpy(side->head + len, s.at, s.len);
    side->head[len + s.len] = '\0';
}

/* As an engine would write it: without what is dead or hop-by-hop. */
static inline void rig_record(struct rig_side *side, const struct message *m)
{
    char status[16];
    side->head[0] = '\0';
    side->sent = *m;
    if (side->is_client) {
        snprintf(status, sizeof status, "%u", m->status);
        rig_put(side, slice_of(status));
    } else {
        rig_put(side, m->method_text);
        rig_put(side, SLICE(" "));
        rig_put(side, m->target);
    }
    rig_put(side, SLICE("\n"));
    HEADER_EACH (it, &m->headers) {
        if (it->hop)
            continue;
        rig_put(side, it->name);
        rig_put(side, SLICE(": "));
        rig_put(side, it->value);
        rig_put(side, SLICE("\n"));
    }
}

static inline void rig_judge(struct rig_side *o)
{
    o->s->reusable = o->complete && o->s->sent_all && !o->closes && !o->tunnel && !o->s->err;
}

static inline bool rig_has_no_body(struct rig_side *side, const struct message *m)
{
    bool no = m->length == LENGTH_NONE || (m->length == LENGTH_KNOWN && m->content_length == 0);
    if (!side->is_client)
        return no;
    return no || !status_has_body(m->status) || side->s->head->method == METHOD_HEAD;
}

static inline enum err rig_send_head(struct stream *s, const struct message *m)
{
    struct rig_side *side = rig_side_of(s);
    enum err e = side->head_err ? side->head_err : side->lost ? s->err : ERR_OK;
    side->head_err = ERR_OK;
    if (e)
        return e;
    if (side->is_client && m->status < 200 && m->status != 101) {
        side->interims++;
        side->last_interim = m->status;
        return ERR_OK;
    }
    assert_int_equal(side->heads, 0); /* one final head for each stream */
    side->heads++;
    rig_record(side, m);
    s->sent_bytes += strlen(side->head);
    s->sent_all = rig_has_no_body(side, m);
    if (!side->is_client)
        rig_judge(side);
    return ERR_OK;
}

static inline void rig_take(struct rig_side *side, struct body *b)
{
    while (side->room > 0 && b->count > 0) {
        struct span s = body_take(b, side->room);
        assert_true(side->body_len + s.len <= RIG_BODY_BYTES);
        memcpy(side->body + side->body_len, s.at, s.len);
        side->body_len += s.len;
        side->room -= s.len;
        side->s->sent_bytes += s.len;
        span_drop(s);
    }
}

static inline enum err rig_send_body(struct stream *s, struct body *b)
{
    struct rig_side *side = rig_side_of(s);
    enum err e = side->body_err ? side->body_err : side->lost ? s->err : ERR_OK;
    assert_int_equal(side->heads, 1);
    side->body_err = ERR_OK;
    if (e)
        return e;
    rig_take(side, b);
    s->blocked = b->count > 0;
    if (body_done(b))
        s->sent_all = true;
    if (!side->is_client)
        rig_judge(side);
    return ERR_OK;
}

static inline void rig_next_head(struct stream *s)
{
    rig_side_of(s)->next_heads++;
    s->head_state = STREAM_HEAD_NONE;
}

static inline void rig_tunnel(struct stream *s)
{
    rig_side_of(s)->tunnel = true;
    s->sent_all = s->reusable = false;
    body_reopen(s->body);
}

static inline void rig_detach(struct stream *s)
{
    struct rig_side *side = rig_side_of(s);
    assert_false(side->detached);
    side->detached = true;
    side->whole = s->sent_all;
    s->body->want = NULL;
    free(side->stream);
    side->stream = NULL;
    side->s = NULL;
}

static const struct stream_ops rig_ops = {.send_head = rig_send_head,
                                          .send_body = rig_send_body,
                                          .next_head = rig_next_head,
                                          .tunnel = rig_tunnel,
                                          .detach = rig_detach};

/* The consumer has made room. What a test sends then it sends by itself. */
static inline void rig_want(struct body *b)
{
    ((struct rig_side *)b->producer)->reads++;
}

static inline void rig_side_open(struct rig_side *side, bool is_client, struct conn *c)
{
    free(side->body); /* of the client's request before */
    memset(side, 0, sizeof *side);
    side->body = calloc(1, RIG_BODY_BYTES);
    side->stream = calloc(1, sizeof *side->stream);
    side->stream->side = side;
    side->s = &side->stream->s;
    side->is_client = is_client;
    side->room = SIZE_MAX;
    *side->s = (struct stream){.ops = &rig_ops, .loop = &rig.w.loop, .conn = c};
}

static inline void rig_body_bind(struct rig_side *side)
{
    side->s->body->producer = side;
    side->s->body->want = rig_want;
}

/* Bytes that live as long as the stream. */
static inline struct slice rig_text(struct rig_side *side, struct slice s)
{
    struct rig_stream *st = side->stream;
    char *at = st->text + st->text_len;
    assert_true(st->text_len + s.len <= sizeof st->text);
    memcpy(at, s.at, s.len);
    st->text_len += s.len;
    return (struct slice){at, s.len};
}

/* --- bodies from the test --------------------------------------------------------------------- */

/* As many bytes of the body as there is room for; how many were taken. */
static inline size_t rig_push(struct rig_side *side, const char *at, size_t len)
{
    struct body *b = side->s->body;
    size_t done = 0;
    while (done < len && body_room(b) > 0) {
        struct buf *buf = buf_take(&rig.w.loop.bufs, BUF_SMALL);
        assert_non_null(buf);
        size_t part = len - done < buf->cap ? len - done : buf->cap;
        memcpy(buf->bytes, at + done, part);
        buf->len = (uint32_t)part;
        if (body_push(b, (struct span){buf, buf->bytes, part}) != ERR_OK)
            break;
        done += part;
        side->s->received_bytes += part;
    }
    if (done < len && b->err == ERR_OK)
        b->starved = true;
    return done;
}

static inline void rig_say(struct rig_side *side, const char *text)
{
    assert_int_equal(rig_push(side, text, strlen(text)), strlen(text));
}

static inline void rig_end(struct rig_side *side)
{
    side->complete = true;
    body_end(side->s->body);
    if (!side->is_client)
        rig_judge(side);
}

static inline void rig_fail(struct rig_side *side, enum err e)
{
    side->s->err = e;
    side->lost = true;
    body_fail(side->s->body, e);
    rig_wake(side);
}

/* The connection takes `bytes` more. */
static inline void rig_give_room(struct rig_side *side, size_t bytes)
{
    side->room = bytes;
    side->s->blocked = false;
    rig_wake(side);
}

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
    rig_side_open(o, false, c);
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
    for (int i = 0; i < rig.origin_count; i++)
        free(rig.origins[i].body);
}

/* --- requests --------------------------------------------------------------------------------- */

static inline void rig_named_hops(struct headers *h, struct slice options)
{
    struct slice option;
    while (field_list_next(&options, &option))
        HEADER_EACH (it, h)
            if (it->id == FIELD_OTHER && slice_eq_nocase(it->name, option))
                it->hop = h->hops_named = true;
}

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
    rig_side_open(&rig.client, true, &rig.client_conn);
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

static inline bool rig_head_has(const struct rig_side *side, const char *line)
{
    const char *at = strstr(side->head, line);
    return at && (at == side->head || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static inline void rig_expect_head(const struct rig_side *side, const char *line)
{
    if (!rig_head_has(side, line))
        fail_msg("no line '%s' in:\n%s", line, side->head);
}

static inline void rig_expect_no(const struct rig_side *side, const char *name)
{
    if (strcasestr(side->head, name))
        fail_msg("'%s' should not be in:\n%s", name, side->head);
}

static inline void rig_expect_body(const struct rig_side *side, const char *text)
{
    if (side->body_len != strlen(text) || memcmp(side->body, text, side->body_len) != 0)
        fail_msg("body is '%.*s', not '%s'", (int)side->body_len, side->body, text);
}

/* The exchange has ended and the client has a whole response with this status. */
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
