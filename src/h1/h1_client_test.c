/* h1_client_test.c - client sessions against a raw client on the simulated network. What an
 * exchange would do is played by a small user that answers when it has seen what it waits for. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1.h"
#include "tests/net_rig.h"

enum { USERS_MAX = 64, QUEUE_BYTES = 20000 };

struct user {
    struct task task;
    struct stream *stream;
    struct arena arena;
    struct message head, reply;
    struct body req, res;
    size_t read_bytes; /* of the request's body */
    char text[256];    /* its beginning */
    char trailer[64];
    enum err err, body_err;
    bool replied, ended, gone;
};

static struct scene {
    struct stream_acceptor acceptor;
    struct user users[USERS_MAX];
    int count, done;
    void (*act)(struct user *u); /* at every wake */
    enum err refuse;
    const char *answer; /* body */
    size_t arena_bytes;
} scene;

static struct user *last_user(void)
{
    assert_true(scene.count > 0);
    return &scene.users[scene.count - 1];
}

static void user_leave(struct user *u)
{
    u->gone = true;
    u->err = u->stream->err;
    stream_detach(u->stream);
    u->stream = NULL;
    body_release(&u->req);
    body_release(&u->res);
    arena_release(&u->arena);
    scene.done++;
}

static void user_run(struct task *t)
{
    struct user *u = CONTAINER_OF(t, struct user, task);
    if (!u->gone)
        scene.act(u);
}

static enum err scene_accept(struct stream_acceptor *a, struct stream *s, void *listener)
{
    (void)a;
    (void)listener;
    if (scene.refuse)
        return scene.refuse;
    assert_true(scene.count < USERS_MAX);
    struct user *u = &scene.users[scene.count++];
    *u = (struct user){.stream = s};
    task_init(&u->task, user_run);
    arena_init(&u->arena, scene.arena_bytes);
    message_init(&u->head);
    message_init(&u->reply);
    body_init(&u->req, &rig.loop.tasks, &u->task, QUEUE_BYTES);
    body_init(&u->res, &rig.loop.tasks, &u->task, QUEUE_BYTES);
    s->task = &u->task;
    s->arena = &u->arena;
    s->head = &u->head;
    s->body = &u->req;
    return ERR_OK;
}

static const struct stream_limits *scene_limits(struct stream_acceptor *a, void *listener)
{
    (void)a;
    (void)listener;
    return &rig.limits;
}

static void read_request(struct user *u)
{
    for (struct span s; (s = body_take(&u->req, SIZE_MAX)).len > 0; span_drop(s))
        for (size_t i = 0; i < s.len; i++)
            if (u->read_bytes++ < sizeof u->text - 1)
                u->text[u->read_bytes - 1] = s.at[i];
    u->body_err = u->req.err;
    u->ended = body_done(&u->req);
    if (u->ended && u->req.trailers && u->req.trailers->count)
        snprintf(u->trailer, sizeof u->trailer, "%.*s", SLICE_ARG(u->req.trailers->at[0].value));
}

static void reply_begin(struct user *u, uint16_t status, enum length_kind length, uint64_t bytes)
{
    u->reply.status = status;
    u->reply.length = (uint8_t)length;
    u->reply.content_length = bytes;
    assert_int_equal(headers_add_id(&u->reply.headers, &u->arena, FIELD_DATE, SLICE("now")),
                     ERR_OK);
    u->replied = true;
}

static bool reply_send(struct user *u)
{
    return u->stream->ops->send_head(u->stream, &u->reply) == ERR_OK;
}

static void reply_push(struct user *u, const char *text)
{
    if (*text)
        assert_int_equal(body_push(&u->res, (struct span){NULL, text, strlen(text)}), ERR_OK);
}

/* Sends what there is; leaves when the answer is out whole. */
static void relay(struct user *u)
{
    if (!u->stream->sent_all && u->stream->ops->send_body(u->stream, &u->res) != ERR_OK) {
        user_leave(u);
        return;
    }
    if (u->stream->sent_all)
        user_leave(u);
}

static void answer_simple(struct user *u, uint16_t status)
{
    reply_begin(u, status, LENGTH_KNOWN, strlen(scene.answer));
    if (!reply_send(u)) {
        user_leave(u);
        return;
    }
    reply_push(u, scene.answer);
    body_end(&u->res);
    relay(u);
}

/* Reads the request, then answers; errors by their status. */
static void act_answer(struct user *u)
{
    read_request(u);
    enum err e = u->stream->err ? u->stream->err : u->body_err;
    if (u->replied)
        relay(u);
    else if (e)
        answer_simple(u, err_row(e)->status);
    else if (u->ended)
        answer_simple(u, 200);
}

static void scene_on_accept(struct listener *ln, int fd)
{
    (void)ln;
    assert_true(h1_client_start(&rig.loop, fd, &scene.acceptor, NULL));
}

static void scene_open(const struct sim_faults *faults, uint64_t seed)
{
    memset(&scene, 0, sizeof scene);
    scene.act = act_answer;
    scene.answer = "hi";
    scene.arena_bytes = 256 * 1024;
    scene.acceptor.open = scene_accept;
    scene.acceptor.limits = scene_limits;
    list_init(&scene.acceptor.sessions);
    rig_open(faults, seed, scene_on_accept);
    peer.conn = conn_connect(&rig.loop, &rig.addr, &peer_ops, NULL);
    conn_recv(peer.conn);
    run_ms(5);
}

static int set_up(void **state)
{
    (void)state;
    scene_open(NULL, 1);
    return 0;
}

static void scene_close(void)
{
    rig_close();
    assert_true(list_empty(&scene.acceptor.sessions));
    assert_int_equal(scene.done, scene.count);
    assert_int_equal(counter_get(&rig.counters, METRIC_CONNECTIONS_OPEN), 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_CONNECTIONS_IDLE), 0);
}

static int tear_down(void **state)
{
    (void)state;
    scene_close();
    return 0;
}

#define GET   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\nhi"
#define REPLY_LAST \
    "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"

static int64_t idle_count(void)
{
    return counter_get(&rig.counters, METRIC_CONNECTIONS_IDLE);
}

static void requests_follow_each_other(void **state)
{
    (void)state;
    assert_int_equal(idle_count(), 1);
    for (int i = 0; i < 3; i++) {
        peer_say(GET);
        peer_expect(REPLY);
        assert_int_equal(idle_count(), 1);
        assert_int_equal(rig.loop.bufs.held_bytes, 0); /* an idle session holds no buffer */
    }
    assert_int_equal(scene.count, 3);
    assert_false(peer.eof);
}

/* As after a handshake: the connection has had another user before. */
static void adopting_on_accept(struct listener *ln, int fd)
{
    static const struct conn_user_ops nobody;
    (void)ln;
    struct conn *c = conn_accept(&rig.loop, fd, &nobody, NULL);
    assert_non_null(c);
    assert_true(h1_client_adopt(c, &scene.acceptor, NULL));
}

static void an_open_connection_is_adopted(void **state)
{
    (void)state;
    rig.listener.on_accept = adopting_on_accept;
    conn_abort(peer.conn);
    peer = (struct peer){0};
    peer.conn = conn_connect(&rig.loop, &rig.addr, &peer_ops, NULL);
    conn_recv(peer.conn);
    run_ms(5);
    assert_int_equal(idle_count(), 1);
    peer_say(GET);
    peer_expect(REPLY);
    peer_say(GET);
    peer_expect(REPLY);
    assert_int_equal(scene.count, 2);
}

static void heads_may_come_byte_by_byte(void **state)
{
    (void)state;
    peer_say_slowly(GET);
    peer_expect(REPLY);
    peer_say_slowly("\r\n" GET);
    peer_expect(REPLY);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    char many[64 * 80] = "", expected[64 * 80] = "";
    for (int i = 0; i < 40; i++) {
        strcat(many, GET);
        strcat(expected, REPLY);
    }
    peer_say(many);
    peer_expect(expected);
    assert_int_equal(scene.count, 40);
    assert_int_equal(idle_count(), 1);
}

static void a_pipeline_ends_at_close(void **state)
{
    (void)state;
    peer_say(GET "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET);
    peer_expect(REPLY REPLY_LAST);
    assert_true(peer.eof);
    assert_int_equal(scene.count, 2);
}

/* A client that said it is the last request sends nothing that a reset could answer. */
static void a_client_that_closes_is_not_waited_for(void **state)
{
    (void)state;
    peer_say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    peer_expect(REPLY_LAST);
    assert_true(peer.eof && !peer.failed);
    assert_int_equal(sim_open_count(rig.net), 2); /* the listener and the peer's end */
}

static void a_close_of_ours_lingers(void **state)
{
    (void)state;
    rig.limits.requests_max = 1;
    peer_say(GET);
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
    assert_int_equal(sim_open_count(rig.net), 3);
    peer_say(GET); /* was on its way: dropped, not reset */
    run_ms(100);
    assert_false(peer.failed);
}

static void malformed_heads_are_answered_and_end_it(void **state)
{
    (void)state;
    scene.answer = "";
    peer_say("GET / HTTP/1.1\r\nHost : h\r\n\r\n" GET);
    peer_expect("HTTP/1.1 400 Bad Request\r\nDate: now\r\nContent-Length: 0\r\n"
                "Connection: close\r\n\r\n");
    assert_true(peer.eof);
    assert_int_equal(scene.count, 1);
    assert_int_equal(last_user()->err, ERR_BAD_HEADER);
}

static void a_head_that_never_ends_is_refused(void **state)
{
    (void)state;
    static char long_line[20000];
    memset(long_line, 'a', sizeof long_line - 1);
    peer_say(long_line);
    assert_true(peer_heard("HTTP/1.1 414 "));
    assert_true(peer.eof);
    assert_int_equal(last_user()->err, ERR_URI_TOO_LONG);
}

static void a_slow_head_times_out(void **state)
{
    (void)state;
    peer_say("GET / HT");
    run_ms(9900);
    assert_int_equal(scene.count, 0);
    peer_say("TP/1.1\r\n"); /* progress does not help */
    run_ms(200);
    assert_true(peer_heard("HTTP/1.1 408 "));
    assert_true(peer.eof);
    assert_int_equal(last_user()->err, ERR_CLIENT_HEADER_TIMEOUT);
}

static void an_idle_connection_is_closed_silently(void **state)
{
    (void)state;
    peer_say(GET);
    peer_expect(REPLY);
    run_ms(59900);
    assert_false(peer.eof);
    run_ms(200);
    assert_true(peer.eof);
    peer_expect("");
}

static void bodies_arrive(void **state)
{
    (void)state;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET);
    peer_expect(REPLY REPLY);
    assert_string_equal(scene.users[0].text, "hello");
    peer_say_slowly("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n");
    peer_expect(REPLY);
    assert_string_equal(last_user()->text, "abcde");
    assert_string_equal(last_user()->trailer, "7");
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" GET);
    peer_expect(REPLY REPLY);
    assert_false(peer.eof);
}

static void broken_bodies_end_it(void **state)
{
    (void)state;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX");
    assert_true(peer_heard("HTTP/1.1 400 ") && peer_heard("Connection: close"));
    assert_true(peer.eof);
    assert_int_equal(last_user()->body_err, ERR_BAD_CHUNK);
}

static void forbidden_trailers_are_dropped(void **state)
{
    (void)state;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
             "0\r\nContent-Length: 5\r\n\r\n" GET);
    peer_expect(REPLY REPLY);
}

static void malformed_trailers_end_it(void **state)
{
    (void)state;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
             "0\r\nX : 5\r\n\r\n" GET);
    assert_true(peer_heard("HTTP/1.1 400 ") && peer_heard("Connection: close"));
    assert_int_equal(last_user()->body_err, ERR_BAD_HEADER);
}

static void act_nothing(struct user *u)
{
    (void)u;
}

static void a_full_body_stops_reading(void **state)
{
    (void)state;
    static char block[1 << 20];
    scene.act = act_nothing;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
    peer_say_bytes(block, 300000);
    run_ms(100);
    struct user *u = last_user();
    assert_true(u->req.bytes >= QUEUE_BYTES && u->req.bytes < QUEUE_BYTES + BUF_LARGE_BYTES);
    scene.act = act_answer;
    read_request(u);
    peer_say_bytes(block, sizeof block - 300000);
    peer_expect(REPLY);
    assert_int_equal(u->read_bytes, sizeof block);
}

static void a_full_body_stops_reading_chunks(void **state)
{
    (void)state;
    char chunks[8000] = "";
    for (int i = 0; i < 500; i++)
        strcat(chunks, "2\r\nab\r\n");
    strcat(chunks, "0\r\n\r\n");
    scene.act = act_nothing;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer_say(chunks);
    assert_int_equal(last_user()->req.count, BODY_SPANS);
    scene.act = act_answer;
    read_request(last_user());
    peer_expect(REPLY);
    assert_int_equal(last_user()->read_bytes, 1000);
}

static void large_heads_and_bodies_share_a_connection(void **state)
{
    (void)state;
    static char head[24000], body[200000];
    strcpy(head, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\nX: ");
    memset(head + strlen(head), 'x', 20000);
    strcat(head, "\r\n\r\n");
    peer_say_bytes(head, strlen(head));
    peer_say_bytes(body, sizeof body);
    peer_expect(REPLY);
    assert_int_equal(last_user()->read_bytes, sizeof body);
    peer_say(GET);
    peer_expect(REPLY);
}

static void the_end_in_a_body_is_an_error(void **state)
{
    (void)state;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    peer_end();
    assert_int_equal(last_user()->body_err, ERR_CLIENT_CLOSED);
    assert_int_equal(last_user()->read_bytes, 3);
    assert_true(peer.eof || peer.failed);
}

static void a_half_closed_request_is_served(void **state)
{
    (void)state;
    scene.act = act_nothing;
    peer_say(GET);
    peer_end();
    assert_false(peer.eof);
    scene.act = act_answer;
    act_answer(last_user());
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
}

static void half_closed_pipelines_are_served(void **state)
{
    (void)state;
    peer_say_bytes(GET GET, 2 * strlen(GET));
    peer_end();
    peer_expect(REPLY REPLY); /* the end was behind the second: seen too late to say so */
    run_ms(10);
    assert_true(peer.eof);
}

static void the_end_in_a_head_is_silent(void **state)
{
    (void)state;
    peer_say("GET / HTT");
    peer_end();
    peer_expect("");
    assert_true(peer.eof);
    assert_int_equal(scene.count, 0);
}

static void a_reset_reaches_the_user(void **state)
{
    (void)state;
    scene.act = act_nothing;
    peer_say(GET);
    conn_reset(peer.conn);
    peer.conn = NULL;
    run_ms(5);
    assert_int_equal(last_user()->stream->err, ERR_CLIENT_RESET);
    user_leave(last_user());
    run_ms(1);
    assert_true(list_empty(&scene.acceptor.sessions));
}

static void head_has_no_body(void **state)
{
    (void)state;
    peer_say("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" GET);
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\n" REPLY);
}

static uint16_t status_wanted;

static void act_status(struct user *u)
{
    reply_begin(u, status_wanted, LENGTH_NONE, 0);
    assert_int_equal(headers_add(&u->reply.headers, &u->arena, SLICE("content-length"), SLICE("7")),
                     ERR_OK);
    assert_true(reply_send(u));
    body_end(&u->res);
    relay(u);
}

static void bodiless_statuses(void **state)
{
    (void)state;
    scene.act = act_status;
    status_wanted = 304;
    peer_say(GET);
    peer_expect("HTTP/1.1 304 Not Modified\r\nDate: now\r\nContent-Length: 7\r\n\r\n");
    status_wanted = 204;
    peer_say(GET);
    peer_expect("HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n");
    status_wanted = 200;
    peer_say("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 7\r\n\r\n");
}

/* An answer of unknown length in two parts. */
static void act_stream(struct user *u)
{
    if (!u->replied) {
        reply_begin(u, 200, LENGTH_UNKNOWN, 0);
        assert_true(reply_send(u));
        reply_push(u, "one");
        reply_push(u, "second");
        relay(u);
        reply_push(u, "0123456789abcdefg");
        body_end(&u->res);
    } else {
        relay(u);
    }
}

static void unknown_length_is_chunked(void **state)
{
    (void)state;
    scene.act = act_stream;
    peer_say(GET);
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\none\r\n6\r\nsecond\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");
    peer_say("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\n\r\n");
    peer_say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n\r\n"
                "onesecond0123456789abcdefg");
    assert_true(peer.eof);
}

static void act_trailers(struct user *u)
{
    static struct headers trailers;
    trailers = (struct headers){0};
    assert_int_equal(headers_add(&trailers, &u->arena, SLICE("X-Sum"), SLICE("9")), ERR_OK);
    reply_begin(u, 200, LENGTH_UNKNOWN, 0);
    assert_true(reply_send(u));
    reply_push(u, "abc");
    u->res.trailers = &trailers;
    body_end(&u->res);
    relay(u);
}

static void trailers_go_out(void **state)
{
    (void)state;
    scene.act = act_trailers;
    peer_say(GET);
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n");
}

static void http_1_0(void **state)
{
    (void)state;
    peer_say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n"
                "Connection: keep-alive\r\n\r\nhi");
    peer_say("GET / HTTP/1.0\r\n\r\n");
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
}

static void act_interim(struct user *u)
{
    struct message m;
    message_init(&m);
    m.status = 103;
    assert_int_equal(headers_add(&m.headers, &u->arena, SLICE("Link"), SLICE("x")), ERR_OK);
    assert_int_equal(u->stream->ops->send_head(u->stream, &m), ERR_OK);
    scene.act = act_answer;
    act_answer(u);
}

static void interim_responses(void **state)
{
    (void)state;
    scene.act = act_interim;
    peer_say(GET);
    peer_expect("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" REPLY);
    scene.act = act_interim;
    peer_say("GET / HTTP/1.0\r\n\r\n");
    peer_expect(REPLY_LAST);
}

static void act_headers(struct user *u)
{
    reply_begin(u, 200, LENGTH_KNOWN, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(headers_add(&u->reply.headers, &u->arena, SLICE("X-a"), SLICE("b")),
                         ERR_OK);
    u->reply.headers.at[1].dead = true;
    u->reply.headers.at[2].hop = true;
    assert_int_equal(headers_add(&u->reply.headers, &u->arena, SLICE("Connection"), SLICE("x")),
                     ERR_OK);
    assert_int_equal(
        headers_add(&u->reply.headers, &u->arena, SLICE("Transfer-Encoding"), SLICE("gzip")),
        ERR_OK);
    assert_int_equal(headers_add(&u->reply.headers, &u->arena, SLICE("Content-Length"), SLICE("9")),
                     ERR_OK);
    headers_del_id(&u->reply.headers, FIELD_DATE);
    assert_true(reply_send(u));
    body_end(&u->res);
    relay(u);
}

static void fields_that_do_not_leave(void **state)
{
    (void)state;
    scene.act = act_headers;
    peer_say(GET);
    assert_true(peer_heard("HTTP/1.1 200 OK\r\nX-a: b\r\nDate: "));
    assert_true(peer_heard(" GMT\r\nContent-Length: 0\r\n\r\n"));
    assert_false(peer_heard("gzip"));
    assert_false(peer_heard("Connection"));
}

static size_t declared_bytes;

static void act_declared(struct user *u)
{
    reply_begin(u, 200, LENGTH_KNOWN, declared_bytes);
    assert_true(reply_send(u));
    reply_push(u, "hello");
    body_end(&u->res);
    relay(u);
}

static void wrong_lengths_do_not_look_whole(void **state)
{
    (void)state;
    scene.act = act_declared;
    declared_bytes = 6;
    peer_say(GET);
    assert_true(peer.eof || peer.failed);
    assert_false(peer_heard("hello") && !peer_heard("Content-Length: 6"));
    assert_int_equal(last_user()->err, ERR_INTERNAL);
}

static void a_longer_body_does_not_look_whole(void **state)
{
    (void)state;
    scene.act = act_declared;
    declared_bytes = 4;
    peer_say(GET);
    assert_true(peer.eof || peer.failed);
    assert_false(peer_heard("hell"));
    assert_int_equal(last_user()->err, ERR_INTERNAL);
}

static void act_break_off(struct user *u)
{
    reply_begin(u, 200, LENGTH_UNKNOWN, 0);
    assert_true(reply_send(u));
    reply_push(u, "part");
    relay(u);
    if (!u->gone)
        user_leave(u);
}

static void a_broken_answer_is_visible(void **state)
{
    (void)state;
    scene.act = act_break_off;
    peer_say(GET);
    assert_true(peer.eof || peer.failed);
    assert_false(peer_heard("0\r\n\r\n"));
}

static void a_broken_answer_to_http_1_0_is_reset(void **state)
{
    (void)state;
    scene.act = act_break_off;
    peer_say("GET / HTTP/1.0\r\n\r\n");
    assert_true(peer.failed);
    assert_false(peer.eof);
}

static void act_early(struct user *u)
{
    if (!u->replied)
        answer_simple(u, 413);
    else
        relay(u);
}

static void early_answers_linger(void **state)
{
    (void)state;
    static char block[100000];
    scene.act = act_early;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    peer_expect("HTTP/1.1 413 Content Too Large\r\nDate: now\r\nContent-Length: 2\r\n"
                "Connection: close\r\n\r\nhi");
    assert_true(peer.eof);
    peer_say_bytes(block, sizeof block); /* still taken, and dropped */
    run_ms(100);
    assert_false(peer.failed);
    run_ms(2000);
    assert_int_equal(sim_open_count(rig.net), 2); /* the listener and our end */
}

static void small_rests_of_bodies_are_dropped(void **state)
{
    (void)state;
    scene.act = act_early;
    scene.answer = "no";
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n");
    peer_expect("HTTP/1.1 413 Content Too Large\r\nDate: now\r\nContent-Length: 2\r\n\r\nno");
    static char block[65536];
    peer_say_bytes(block, sizeof block);
    scene.act = act_answer;
    peer_say(GET);
    peer_expect("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\nno");
    scene.act = act_early;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab");
    scene.act = act_answer;
    peer_say_slowly("\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n" GET);
    peer_expect("HTTP/1.1 413 Content Too Large\r\nDate: now\r\nContent-Length: 2\r\n\r\nno"
                "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n\r\nno");
    assert_int_equal(idle_count(), 1);
}

static void rests_that_do_not_come_end_it(void **state)
{
    (void)state;
    scene.act = act_early;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab");
    run_ms(2100);
    assert_true(peer.eof || peer.failed);
}

static void large_chunked_rests_end_it(void **state)
{
    (void)state;
    static char block[70000];
    scene.act = act_early;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n");
    assert_false(peer_heard("Connection: close"));
    peer_say_bytes(block, sizeof block);
    run_ms(100);
    assert_true(peer.eof);
}

static void held_back_bodies_end_it(void **state)
{
    (void)state;
    scene.act = act_early;
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n"
             "Expect: 100-continue\r\n\r\n");
    assert_true(peer_heard("Connection: close") && peer.eof);
}

static void act_tunnel(struct user *u)
{
    if (!u->replied) {
        assert_true(u->head.upgrade);
        reply_begin(u, 101, LENGTH_NONE, 0);
        u->reply.upgrade_to = SLICE("chat");
        assert_true(reply_send(u));
        body_release(&u->req);
        body_init(&u->req, &rig.loop.tasks, &u->task, QUEUE_BYTES);
        u->stream->ops->tunnel(u->stream);
        reply_push(u, "welcome");
    }
    read_request(u);
    relay(u);
}

static void tunnels_are_raw_and_half_close(void **state)
{
    (void)state;
    scene.act = act_tunnel;
    peer_say("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nearly");
    peer_expect("HTTP/1.1 101 Switching Protocols\r\nDate: now\r\nConnection: Upgrade\r\n"
                "Upgrade: chat\r\n\r\nwelcome");
    peer_say("later\n");
    assert_string_equal(last_user()->text, "earlylater\n");
    peer_end();
    assert_true(last_user()->ended);
    assert_false(peer.eof);
    reply_push(last_user(), "bye");
    body_end(&last_user()->res);
    peer_expect("bye");
    assert_true(peer.eof);
}

static void draining_closes_idle_sessions(void **state)
{
    (void)state;
    struct session_link *l = LIST_ENTRY(scene.acceptor.sessions.next, struct session_link, link);
    scene.acceptor.draining = true;
    l->ops->drain(l);
    run_ms(5);
    assert_true(peer.eof);
}

static void draining_finishes_requests(void **state)
{
    (void)state;
    struct session_link *l = LIST_ENTRY(scene.acceptor.sessions.next, struct session_link, link);
    scene.act = act_nothing;
    peer_say(GET);
    scene.acceptor.draining = true;
    l->ops->drain(l);
    run_ms(5);
    assert_false(peer.eof);
    act_answer(last_user());
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
}

static void aborting_reaches_the_user(void **state)
{
    (void)state;
    struct session_link *l = LIST_ENTRY(scene.acceptor.sessions.next, struct session_link, link);
    peer_say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    assert_int_equal(scene.done, 0);
    l->ops->abort(l);
    run_ms(5);
    assert_int_equal(scene.done, 1);
    assert_int_equal(last_user()->err, ERR_SHUTTING_DOWN);
    assert_true(peer.eof || peer.failed);
}

static void refused_streams_get_503(void **state)
{
    (void)state;
    scene.refuse = ERR_NO_MEMORY;
    peer_say(GET);
    assert_true(peer_heard("HTTP/1.1 503 "));
    assert_true(peer.eof);
}

static void requests_per_connection_are_limited(void **state)
{
    (void)state;
    rig.limits.requests_max = 2;
    peer_say(GET GET GET);
    peer_expect(REPLY REPLY_LAST);
    assert_true(peer.eof);
}

static void old_connections_end_with_an_answer(void **state)
{
    (void)state;
    rig.limits.age_ms = 5000;
    peer_say(GET);
    run_ms(3000);
    peer_say(GET);
    peer_expect(REPLY REPLY);
    run_ms(3000);
    peer_say(GET GET);
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
}

static bool always(struct stream_acceptor *a, void *listener)
{
    (void)a;
    (void)listener;
    return true;
}

/* The answer under way says it; a connection that is idle then is not closed. */
static void leaving_is_said_by_the_answer(void **state)
{
    (void)state;
    scene.act = act_nothing;
    peer_say(GET GET);
    scene.acceptor.leaving = always;
    act_answer(last_user());
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
}

static void the_next_answer_after_leaving_is_the_last(void **state)
{
    (void)state;
    peer_say(GET);
    peer_expect(REPLY);
    scene.acceptor.leaving = always;
    run_ms(50);
    assert_false(peer.eof);
    peer_say(GET);
    peer_expect(REPLY_LAST);
    assert_true(peer.eof);
}

static size_t large_left;

/* A large answer as fast as the connection takes it. */
static void act_large(struct user *u)
{
    if (!u->replied) {
        reply_begin(u, 200, LENGTH_KNOWN, large_left);
        assert_true(reply_send(u));
    }
    while (large_left && body_room(&u->res) && !u->stream->blocked) {
        struct buf *b = buf_take(&rig.loop.bufs, BUF_SMALL);
        assert_non_null(b);
        size_t len = large_left < 8000 ? large_left : 8000;
        memset(b->bytes, 'x', len);
        assert_int_equal(body_push(&u->res, (struct span){b, b->bytes, len}), ERR_OK);
        large_left -= len;
        if (large_left == 0)
            body_end(&u->res);
        assert_int_equal(u->stream->ops->send_body(u->stream, &u->res), ERR_OK);
    }
    relay(u);
}

static void slow_readers_block_the_stream(void **state)
{
    (void)state;
    scene.act = act_large;
    large_left = 2000000;
    peer.deaf = true;
    peer_say(GET);
    run_ms(100);
    assert_true(last_user()->stream->blocked);
    assert_true(conn_out_bytes(last_user()->stream->conn) < CONN_OUT_HIGH_BYTES + 16000);
    peer.deaf = false;
    conn_recv(peer.conn);
    run_ms(1000);
    assert_int_equal(scene.done, 1);
    assert_true(peer.len > 2000000 && peer.len < 2000200);
    assert_int_equal(idle_count(), 1);
}

/* No buffer is left when the answer is due: the connection ends, nothing else. */
static void act_starved(struct user *u)
{
    size_t cap = rig.loop.bufs.cap_bytes;
    rig.loop.bufs.cap_bytes = rig.loop.bufs.held_bytes / 2; /* output may use twice the cap */
    reply_begin(u, 200, LENGTH_KNOWN, 2);
    assert_false(reply_send(u));
    assert_int_equal(u->stream->err, ERR_NO_BUFFERS);
    rig.loop.bufs.cap_bytes = cap;
    user_leave(u);
}

static void answers_without_buffers_end_it(void **state)
{
    (void)state;
    scene.act = act_starved;
    peer_say(GET);
    assert_true(peer.eof || peer.failed);
    peer_expect("");
}

/* Leaves at the first error, answers without needing memory. */
static void act_frugal(struct user *u)
{
    read_request(u);
    enum err e = u->stream->err ? u->stream->err : u->body_err;
    if (!e && !u->ended)
        return;
    u->reply.status = e ? err_row(e)->status : 200;
    assert_true(reply_send(u));
    relay(u);
}

static void every_budget_is_survived(void **state)
{
    (void)state;
    bool whole = false;
    for (size_t budget = 0; !whole && budget < 256 * 1024; budget += ARENA_BLOCK_BYTES / 2) {
        scene_open(NULL, 1);
        scene.act = act_frugal;
        scene.arena_bytes = budget;
        peer_say("POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n"
                 "A: b\r\nConnection: a\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n");
        whole = peer_heard("HTTP/1.1 200 ");
        assert_true(whole || peer_heard("HTTP/1.1 503 "));
        scene_close();
    }
    assert_true(whole);
}

static void any_split_gives_the_same_answers(void **state)
{
    (void)state;
    static const struct sim_faults faults = {
        .split = 500, .delay = 300, .short_write = 300, .delay_max_ms = 20, .window_bytes = 4096};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        scene_open(&faults, seed);
        peer_say(GET "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET
                     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.0\r\n\r\n");
        run_ms(2000);
        peer_expect(REPLY REPLY REPLY REPLY REPLY_LAST);
        assert_string_equal(scene.users[1].text, "hello");
        assert_string_equal(scene.users[3].text, "abc");
        scene_close();
    }
}

static void resets_at_any_moment_end_cleanly(void **state)
{
    (void)state;
    static const struct sim_faults faults = {.split = 300,
                                             .delay = 300,
                                             .reset = 120,
                                             .short_write = 300,
                                             .no_buffer = 50,
                                             .delay_max_ms = 20,
                                             .window_bytes = 4096};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        scene_open(&faults, seed);
        if (!peer.failed)
            peer_say(GET GET "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
        run_ms(2000);
        scene_close();
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(h1_h1_client, CASE(requests_follow_each_other), CASE(an_open_connection_is_adopted),
           CASE(heads_may_come_byte_by_byte), CASE(pipelined_requests_are_answered_in_order),
           CASE(a_pipeline_ends_at_close), CASE(a_client_that_closes_is_not_waited_for),
           CASE(a_close_of_ours_lingers), CASE(malformed_heads_are_answered_and_end_it),
           CASE(a_head_that_never_ends_is_refused), CASE(a_slow_head_times_out),
           CASE(an_idle_connection_is_closed_silently), CASE(bodies_arrive),
           CASE(broken_bodies_end_it), CASE(forbidden_trailers_are_dropped),
           CASE(malformed_trailers_end_it), CASE(a_full_body_stops_reading),
           CASE(a_full_body_stops_reading_chunks), CASE(large_heads_and_bodies_share_a_connection),
           CASE(the_end_in_a_body_is_an_error), CASE(a_half_closed_request_is_served),
           CASE(half_closed_pipelines_are_served), CASE(the_end_in_a_head_is_silent),
           CASE(a_reset_reaches_the_user), CASE(head_has_no_body), CASE(bodiless_statuses),
           CASE(unknown_length_is_chunked), CASE(trailers_go_out), CASE(http_1_0),
           CASE(interim_responses), CASE(fields_that_do_not_leave),
           CASE(wrong_lengths_do_not_look_whole), CASE(a_longer_body_does_not_look_whole),
           CASE(a_broken_answer_is_visible), CASE(a_broken_answer_to_http_1_0_is_reset),
           CASE(early_answers_linger), CASE(small_rests_of_bodies_are_dropped),
           CASE(rests_that_do_not_come_end_it), CASE(large_chunked_rests_end_it),
           CASE(held_back_bodies_end_it), CASE(tunnels_are_raw_and_half_close),
           CASE(draining_closes_idle_sessions), CASE(draining_finishes_requests),
           CASE(aborting_reaches_the_user), CASE(refused_streams_get_503),
           CASE(requests_per_connection_are_limited), CASE(old_connections_end_with_an_answer),
           CASE(leaving_is_said_by_the_answer), CASE(the_next_answer_after_leaving_is_the_last),
           CASE(slow_readers_block_the_stream), CASE(answers_without_buffers_end_it),
           cmocka_unit_test(every_budget_is_survived),
           cmocka_unit_test(any_split_gives_the_same_answers),
           cmocka_unit_test(resets_at_any_moment_end_cleanly));
