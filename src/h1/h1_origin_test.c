/* h1_origin_test.c - origin streams against a raw server on the simulated network. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1.h"
#include "tests/net_rig.h"

enum { QUEUE_BYTES = 20000 };

/* One exchange's view of the origin side. */
struct user {
    struct task task;
    struct arena arena;
    struct stream *stream;
    struct message request, head;
    struct body req, res;
    char text[512];
    size_t read_bytes;
    int interims;
    bool manual; /* neither reads nor sends by itself */
    bool ended, reusable;
    char trailer[64];
};

static struct conn *origin; /* our end */
static struct user user;

static void origin_open(struct conn *c, enum err e)
{
    (void)c;
    assert_int_equal(e, ERR_OK);
}

static void origin_error(struct conn *c, enum err e)
{
    (void)c;
    (void)e;
}

static const struct conn_user_ops connecting_ops = {.on_open = origin_open,
                                                    .on_error = origin_error};

static void server_accept(struct listener *ln, int fd)
{
    (void)ln;
    peer.conn = conn_accept(&rig.loop, fd, &peer_ops, NULL);
    assert_non_null(peer.conn);
    conn_recv(peer.conn);
}

static void user_read(struct user *u)
{
    for (struct span s; (s = body_take(&u->res, SIZE_MAX)).len > 0; span_drop(s))
        for (size_t i = 0; i < s.len; i++)
            if (u->read_bytes++ < sizeof u->text - 1)
                u->text[u->read_bytes - 1] = s.at[i];
    u->ended = body_done(&u->res);
    if (u->ended && u->res.trailers && u->res.trailers->count)
        snprintf(u->trailer, sizeof u->trailer, "%.*s", SLICE_ARG(u->res.trailers->at[0].value));
}

static void user_run(struct task *t)
{
    struct user *u = CONTAINER_OF(t, struct user, task);
    if (u->manual || !u->stream)
        return;
    while (u->stream->head_state == STREAM_HEAD_INTERIM) {
        u->interims++;
        message_init(&u->head);
        u->stream->ops->next_head(u->stream);
    }
    user_read(u);
    if (!u->stream->err)
        (void)!u->stream->ops->send_body(u->stream, &u->req);
}

static void user_begin(const char *method, const char *target, enum length_kind length,
                       uint64_t bytes)
{
    memset(&user, 0, sizeof user);
    task_init(&user.task, user_run);
    arena_init(&user.arena, 256 * 1024);
    message_init(&user.request);
    message_init(&user.head);
    body_init(&user.req, &rig.loop.tasks, &user.task, QUEUE_BYTES);
    body_init(&user.res, &rig.loop.tasks, &user.task, QUEUE_BYTES);
    user.request.method_text = slice_of(method);
    user.request.method = (uint8_t)method_find(user.request.method_text);
    user.request.target = slice_of(target);
    user.request.authority = SLICE("h");
    user.request.length = (uint8_t)length;
    user.request.content_length = bytes;
    user.stream =
        h1_origin_engine.open(origin, &user.task, &user.arena, &user.head, &user.res, &rig.limits);
    assert_non_null(user.stream);
}

static void user_send(void)
{
    assert_int_equal(user.stream->ops->send_head(user.stream, &user.request), ERR_OK);
    run_ms(5);
}

static void user_get(void)
{
    user_begin("GET", "/", LENGTH_NONE, 0);
    user_send();
}

static void user_end(void)
{
    stream_detach(user.stream);
    user.reusable = user.stream->reusable; /* what the caller may still ask right after detach */
    user.stream = NULL;
    task_cancel(&rig.loop.tasks, &user.task);
    body_release(&user.req);
    body_release(&user.res);
    arena_release(&user.arena);
}

static void user_push(const char *text)
{
    if (*text)
        assert_int_equal(body_push(&user.req, (struct span){NULL, text, strlen(text)}), ERR_OK);
    run_ms(5);
}

static void scene_open(const struct sim_faults *faults, uint64_t seed)
{
    memset(&user, 0, sizeof user);
    rig_open(faults, seed, server_accept);
    origin = conn_connect(&rig.loop, &rig.addr, &connecting_ops, NULL);
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
    if (user.stream)
        user_end();
    if (origin)
        conn_abort(origin);
    rig_close();
}

static int tear_down(void **state)
{
    (void)state;
    scene_close();
    return 0;
}

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void connections_serve_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        user_get();
        peer_expect(GET);
        peer_say(OK2);
        assert_int_equal(user.head.status, 200);
        assert_string_equal(user.text, "hi");
        assert_true(user.ended && user.stream->reusable);
        user_end();
        assert_true(user.reusable);
        assert_int_equal(rig.loop.bufs.held_bytes, 0);
    }
}

static void answers_may_come_byte_by_byte(void **state)
{
    (void)state;
    user_get();
    peer_say_slowly("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3;x\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n");
    assert_string_equal(user.text, "abcde");
    assert_string_equal(user.trailer, "1");
    assert_true(user.ended && user.stream->reusable);
    assert_int_equal(user.stream->err, ERR_OK);
}

static void what_a_request_looks_like(void **state)
{
    (void)state;
    user_begin("PATCH", "/a?b", LENGTH_NONE, 0);
    struct headers *h = &user.request.headers;
    struct arena *a = &user.arena;
    assert_int_equal(headers_add(h, a, SLICE("X-A"), SLICE("1")), ERR_OK);
    assert_int_equal(headers_add(h, a, SLICE("hOST"), SLICE("other:81")), ERR_OK);
    assert_int_equal(headers_add(h, a, SLICE("Content-Length"), SLICE("77")), ERR_OK);
    assert_int_equal(headers_add(h, a, SLICE("Connection"), SLICE("close")), ERR_OK);
    assert_int_equal(headers_add(h, a, SLICE("TE"), SLICE("trailers")), ERR_OK);
    assert_int_equal(headers_add(h, a, SLICE("X-Gone"), SLICE("1")), ERR_OK);
    headers_del(h, SLICE("x-gone"));
    user_send();
    peer_expect("PATCH /a?b HTTP/1.1\r\nHost: other:81\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n");
    assert_true(user.stream->sent_all);
    assert_int_equal(user.stream->sent_bytes, strlen("PATCH /a?b HTTP/1.1\r\nHost: other:81\r\n"
                                                     "X-A: 1\r\nContent-Length: 0\r\n\r\n"));
}

static void request_bodies_with_a_length(void **state)
{
    (void)state;
    user_begin("POST", "/", LENGTH_KNOWN, 5);
    user_send();
    peer_expect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    user_push("hel");
    peer_expect("hel");
    assert_false(user.stream->sent_all);
    user_push("lo");
    peer_expect("lo");
    assert_true(user.stream->sent_all);
}

static void request_bodies_in_chunks(void **state)
{
    (void)state;
    user_begin("POST", "/", LENGTH_UNKNOWN, 0);
    user_send();
    peer_expect("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    user_push("hello");
    peer_expect("5\r\nhello\r\n");
    body_end(&user.req);
    peer_expect("0\r\n\r\n");
    peer_say(OK2);
    assert_true(user.stream->reusable);
}

static void request_bodies_of_another_length_are_errors(void **state)
{
    (void)state;
    user_begin("POST", "/", LENGTH_KNOWN, 5);
    user_send();
    user.manual = true;
    user_push("hello!");
    assert_int_equal(user.stream->ops->send_body(user.stream, &user.req), ERR_INTERNAL);
    assert_false(user.stream->sent_all);
}

static void answers_until_the_end(void **state)
{
    (void)state;
    user_get();
    peer_say("HTTP/1.1 200 OK\r\n\r\nsome");
    assert_false(user.ended);
    peer_say(" more");
    peer_end();
    assert_string_equal(user.text, "some more");
    assert_true(user.ended);
    assert_false(user.stream->reusable);
    assert_int_equal(user.stream->err, ERR_OK);
}

/* Buffers are scarce: what nobody takes does not become more, and goes on once it is taken. */
static void a_reader_who_takes_nothing_leaves_buffers_alone(void **state)
{
    (void)state;
    struct buf *others[32];
    struct buf_pool *p = &rig.loop.bufs;
    size_t had = p->cap_bytes;
    user_get();
    user.manual = true;
    peer_say("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nsome");
    for (int i = 0; i < 32; i++)
        assert_non_null(others[i] = buf_take(p, BUF_SMALL));
    p->cap_bytes = p->held_bytes + 4 * BUF_SMALL_BYTES;
    assert_true(buf_pool_is_tight(p));
    peer_say(" mor"); /* for this one it was reading already */
    peer_say("e of");
    assert_int_equal(user.res.bytes, 8);
    user_read(&user); /* one that had its own goes on, scarce as they are */
    run_ms(5);
    user_read(&user);
    assert_string_equal(user.text, "some more of");
    assert_true(user.ended);
    for (int i = 0; i < 32; i++)
        buf_drop(others[i]);
    p->cap_bytes = had;
}

static void closing_servers_are_not_asked_again(void **state)
{
    (void)state;
    user_get();
    peer_say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    assert_true(user.ended);
    assert_false(user.stream->reusable);
}

static void more_than_the_answer_spoils_the_connection(void **state)
{
    (void)state;
    user_get();
    peer_say(OK2 "HTTP/1.1 200 OK\r\n");
    assert_true(user.ended);
    assert_string_equal(user.text, "hi");
    assert_false(user.stream->reusable);
}

static void interim_heads(void **state)
{
    (void)state;
    user_get();
    user.manual = true;
    peer_say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK2);
    assert_int_equal(user.stream->head_state, STREAM_HEAD_INTERIM);
    assert_int_equal(user.head.status, 100);
    user.stream->ops->next_head(user.stream);
    assert_int_equal(user.head.status, 103);
    assert_int_equal(user.stream->head_state, STREAM_HEAD_INTERIM);
    user.stream->ops->next_head(user.stream);
    assert_int_equal(user.head.status, 200);
    assert_int_equal(user.stream->head_state, STREAM_HEAD_FINAL);
    assert_true(user.stream->reusable);
}

static void interim_heads_apart(void **state)
{
    (void)state;
    user_get();
    peer_say("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n");
    peer_say_slowly("HTTP/1.1 103 Early\r\nLink: y\r\n\r\n");
    peer_say(OK2);
    assert_int_equal(user.interims, 2);
    assert_string_equal(user.text, "hi");
}

static void head_requests_have_no_body(void **state)
{
    (void)state;
    user_begin("HEAD", "/", LENGTH_NONE, 0);
    user_send();
    peer_say("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    assert_true(user.ended && user.stream->reusable);
}

static void broken_answers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
    } rows[] = {
        {"SSH-2.0-x\r\n\r\n", ERR_ORIGIN_BAD_HEAD},
        {"HTTP/1.1 200 OK\n\n", ERR_ORIGIN_BAD_HEAD},
        {"\x16\x03", ERR_ORIGIN_BAD_HEAD},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", ERR_ORIGIN_BAD_HEAD},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
         ERR_ORIGIN_BAD_FRAMING},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n0",
         ERR_ORIGIN_BAD_FRAMING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz", ERR_ORIGIN_BAD_FRAMING},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab", ERR_ORIGIN_BAD_FRAMING},
        {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n", ERR_ORIGIN_BAD_UPGRADE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        user_get();
        peer_say(rows[i].text);
        if (user.stream->err != rows[i].err)
            fail_msg("row %zu: %s", i, err_name(user.stream->err));
        assert_false(user.ended || user.stream->reusable);
        user_end();
        scene_close();
        scene_open(NULL, 1);
    }
}

static void too_large_heads(void **state)
{
    (void)state;
    static char head[40000];
    strcpy(head, "HTTP/1.1 200 OK\r\nX: ");
    memset(head + strlen(head), 'x', 33000);
    user_get();
    peer_say(head);
    assert_int_equal(user.stream->err, ERR_ORIGIN_HEAD_TOO_LARGE);
}

static void the_end_before_the_answer(void **state)
{
    (void)state;
    user_get();
    peer_end();
    assert_int_equal(user.stream->err, ERR_ORIGIN_CLOSED);
}

static void the_end_in_the_head(void **state)
{
    (void)state;
    origin->use_count = 3;
    user_get();
    peer_say("HTTP/1.1 200");
    peer_end();
    assert_int_equal(user.stream->err, ERR_ORIGIN_CLOSED);
}

static void the_end_in_the_body(void **state)
{
    (void)state;
    user_get();
    peer_say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    peer_end();
    assert_int_equal(user.stream->err, ERR_ORIGIN_CLOSED);
    assert_int_equal(user.res.err, ERR_ORIGIN_CLOSED);
    assert_string_equal(user.text, "hel");
}

static void the_end_in_chunks(void **state)
{
    (void)state;
    user_get();
    peer_say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n");
    peer_end();
    assert_int_equal(user.res.err, ERR_ORIGIN_CLOSED);
    assert_false(user.ended);
}

static void a_dead_reused_connection_is_stale(void **state)
{
    (void)state;
    user_get();
    peer_say(OK2);
    user_end();
    peer_end();
    user_begin("GET", "/", LENGTH_NONE, 0);
    (void)!user.stream->ops->send_head(user.stream, &user.request);
    run_ms(5);
    assert_int_equal(user.stream->err, ERR_ORIGIN_STALE);
}

static void a_reset_reused_connection_is_stale(void **state)
{
    (void)state;
    user_get();
    peer_say(OK2);
    user_end();
    user_get();
    conn_reset(peer.conn);
    peer.conn = NULL;
    run_ms(5);
    assert_int_equal(user.stream->err, ERR_ORIGIN_STALE);
}

static void a_reset_is_a_reset(void **state)
{
    (void)state;
    user_get();
    conn_reset(peer.conn);
    peer.conn = NULL;
    run_ms(5);
    assert_int_equal(user.stream->err, ERR_ORIGIN_RESET);
    assert_int_equal(user.res.err, ERR_ORIGIN_RESET);
}

static void early_answers(void **state)
{
    (void)state;
    user_begin("POST", "/", LENGTH_KNOWN, 100);
    user_send();
    user_push("some");
    peer_say("HTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nno");
    assert_int_equal(user.head.status, 413);
    assert_true(user.ended);
    assert_false(user.stream->reusable);
    assert_int_equal(user.stream->err, ERR_OK);
}

/* The server refuses the rest of the request while a part of its answer is not read yet. */
static void an_early_answer_outlives_the_reset(void **state)
{
    static char block[100000];
    (void)state;
    memset(block, 'n', sizeof block);
    peer.deaf = true;
    user_begin("POST", "/", LENGTH_KNOWN, 10 << 20);
    user.manual = true;
    user_send();
    peer_say("HTTP/1.1 413 x\r\nContent-Length: 100000\r\n\r\n");
    peer_say_bytes(block, sizeof block);
    run_ms(20);
    conn_reset(peer.conn);
    peer.conn = NULL;
    for (int i = 0; i < 10; i++) {
        struct span s = {NULL, block, 10000};
        if (body_room(&user.req) > 0)
            assert_int_equal(body_push(&user.req, s), ERR_OK);
        assert_int_equal(user.stream->ops->send_body(user.stream, &user.req), ERR_OK);
        run_ms(5);
    }
    assert_int_equal(user.head.status, 413);
    assert_int_equal(user.stream->err, ERR_OK);
    assert_true(user.res.ended == false);
    user.manual = false;
    task_wake(&rig.loop.tasks, &user.task);
    run_ms(5);
    assert_int_equal(user.read_bytes, sizeof block);
    assert_true(user.ended);
    assert_false(user.stream->reusable);
    assert_false(user.stream->blocked);
}

/* Without an answer, or with half of one, it is the reset that it is. */
static void a_refused_request_without_an_answer(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        user_begin("POST", "/", LENGTH_KNOWN, 1 << 20);
        user_send();
        if (half)
            peer_say("HTTP/1.1 413 x\r\nContent-Length: 40\r\n\r\nhalf");
        conn_reset(peer.conn);
        peer.conn = NULL;
        user_push("some");
        run_ms(5);
        assert_int_equal(user.stream->err, ERR_ORIGIN_RESET);
        assert_int_equal(user.res.err, ERR_ORIGIN_RESET);
        if (!half) {
            user_end();
            tear_down(NULL);
            set_up(NULL);
        }
    }
}

static void a_full_body_stops_reading(void **state)
{
    (void)state;
    static char block[500000];
    user_get();
    user.manual = true;
    peer_say("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n");
    peer_say_bytes(block, 200000);
    run_ms(100);
    assert_true(user.res.bytes >= QUEUE_BYTES);
    assert_true(user.res.bytes < QUEUE_BYTES + BUF_LARGE_BYTES);
    user.manual = false;
    user_read(&user);
    peer_say_bytes(block, 300000);
    run_ms(200);
    assert_int_equal(user.read_bytes, 500000);
    assert_true(user.ended && user.stream->reusable);
}

static void a_slow_server_blocks_the_stream(void **state)
{
    (void)state;
    static char block[20000];
    memset(block, 'x', sizeof block);
    peer.deaf = true;
    user_begin("POST", "/", LENGTH_UNKNOWN, 0);
    user_send();
    for (int i = 0; i < 60 && !user.stream->blocked; i++) {
        assert_int_equal(body_push(&user.req, (struct span){NULL, block, sizeof block}), ERR_OK);
        run_ms(2);
    }
    assert_true(user.stream->blocked);
    assert_true(conn_out_bytes(origin) <= CONN_OUT_HIGH_BYTES + sizeof block);
    peer.deaf = false;
    conn_recv(peer.conn);
    run_ms(100);
    assert_false(user.stream->blocked);
}

#define ASK    "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
#define SWITCH "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: Chat\r\n\r\n"

static void tunnels_are_raw_and_half_close(void **state)
{
    (void)state;
    user_begin("GET", "/", LENGTH_NONE, 0);
    user.request.upgrade = true;
    user.request.upgrade_to = SLICE("chat");
    user_send();
    peer_expect(ASK);
    peer_say(SWITCH "early");
    assert_int_equal(user.stream->err, ERR_OK);
    assert_int_equal(user.head.status, 101);
    body_release(&user.res);
    body_init(&user.res, &rig.loop.tasks, &user.task, QUEUE_BYTES);
    user.stream->ops->tunnel(user.stream);
    user_push("0\r\n\r\n");
    peer_expect("0\r\n\r\n");
    peer_say("later");
    assert_string_equal(user.text, "earlylater");
    peer_end();
    assert_true(user.ended);
    user_push("bye");
    body_end(&user.req);
    peer_expect("bye");
    assert_true(peer.eof && user.stream->sent_all);
    user_end();
    assert_false(user.reusable);
}

/* What the client did not end must not look as if it had (RFC 9113 8.5). */
static void a_tunnel_that_breaks_is_reset(void **state)
{
    (void)state;
    user_begin("GET", "/", LENGTH_NONE, 0);
    user.request.upgrade = true;
    user.request.upgrade_to = SLICE("chat");
    user_send();
    peer_say(SWITCH);
    user.stream->ops->tunnel(user.stream);
    user_push("half a mess");
    peer_expect(ASK "half a mess");
    user_end();
    conn_abort(origin);
    origin = NULL;
    run_ms(50);
    assert_true(peer.failed && !peer.eof);
}

static void user_upgrades(void)
{
    user_begin("GET", "/", LENGTH_NONE, 0);
    user.request.upgrade = true;
    user.request.upgrade_to = SLICE("chat");
    user_send();
}

static void expect_last_words(void)
{
    user.stream->ops->tunnel(user.stream);
    run_ms(50);
    assert_string_equal(user.text, "last words");
    assert_true(user.ended);
    assert_int_equal(user.stream->err, ERR_OK);
    user_end();
    assert_false(user.reusable);
}

/* The server ends right behind its 101, in the same piece as its last words, in the next one, or
 * while these wait for the user: whatever the moment, they arrive, and then the end. */
static void an_end_behind_the_101_loses_nothing(void **state)
{
    (void)state;
    static const struct sim_faults faults = {
        .split = 500, .delay = 300, .delay_max_ms = 20, .window_bytes = 65536};
    for (uint64_t seed = 0; seed <= 60; seed++) {
        scene_open(seed ? &faults : NULL, seed);
        run_ms(100);
        user_upgrades();
        run_ms(100);
        peer_expect(ASK);
        peer_say_bytes(SWITCH "last", strlen(SWITCH "last"));
        if (seed % 2)
            run_ms(20);
        peer_say_bytes(" words", 6);
        conn_shutdown(peer.conn);
        if (seed % 3)
            run_ms(200); /* the user may take its time */
        while (user.stream->head_state != STREAM_HEAD_FINAL)
            run_ms(1);
        assert_int_equal(user.stream->err, ERR_OK);
        assert_int_equal(user.head.status, 101);
        expect_last_words();
        scene_close();
    }
}

static void another_protocol_is_refused(void **state)
{
    (void)state;
    user_begin("GET", "/", LENGTH_NONE, 0);
    user.request.upgrade = true;
    user.request.upgrade_to = SLICE("websocket");
    user_send();
    peer_say(SWITCH);
    assert_int_equal(user.stream->err, ERR_ORIGIN_BAD_UPGRADE);
}

static void any_split_gives_the_same_answers(void **state)
{
    (void)state;
    static const struct sim_faults faults = {
        .split = 500, .delay = 300, .short_write = 300, .delay_max_ms = 20, .window_bytes = 4096};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        scene_open(&faults, seed);
        run_ms(100);
        for (int i = 0; i < 2; i++) {
            user_get();
            run_ms(200);
            peer_expect(GET);
            peer_say("HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n");
            run_ms(1000);
            assert_string_equal(user.text, "abcd");
            assert_string_equal(user.trailer, "y");
            assert_int_equal(user.interims, 1);
            user_end();
            assert_true(user.reusable);
        }
        scene_close();
    }
}

static void resets_at_any_moment_end_cleanly(void **state)
{
    (void)state;
    static const struct sim_faults faults = {
        .split = 400, .delay = 300, .reset = 150, .no_buffer = 100, .delay_max_ms = 20};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        scene_open(&faults, seed);
        run_ms(100);
        user_begin("GET", "/", LENGTH_NONE, 0);
        (void)!user.stream->ops->send_head(user.stream, &user.request);
        run_ms(200);
        if (peer.conn && !peer.failed)
            peer_say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        run_ms(1000);
        assert_true(user.ended || user.stream->err || !user.stream->first_byte);
        scene_close();
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(h1_h1_origin, CASE(connections_serve_again), CASE(answers_may_come_byte_by_byte),
           CASE(what_a_request_looks_like), CASE(request_bodies_with_a_length),
           CASE(request_bodies_in_chunks), CASE(request_bodies_of_another_length_are_errors),
           CASE(answers_until_the_end), CASE(a_reader_who_takes_nothing_leaves_buffers_alone),
           CASE(closing_servers_are_not_asked_again),
           CASE(more_than_the_answer_spoils_the_connection), CASE(interim_heads),
           CASE(interim_heads_apart), CASE(head_requests_have_no_body), CASE(broken_answers),
           CASE(too_large_heads), CASE(the_end_before_the_answer), CASE(the_end_in_the_head),
           CASE(the_end_in_the_body), CASE(the_end_in_chunks),
           CASE(a_dead_reused_connection_is_stale), CASE(a_reset_reused_connection_is_stale),
           CASE(a_reset_is_a_reset), CASE(early_answers), CASE(an_early_answer_outlives_the_reset),
           CASE(a_refused_request_without_an_answer), CASE(a_full_body_stops_reading),
           CASE(a_slow_server_blocks_the_stream), CASE(tunnels_are_raw_and_half_close),
           CASE(a_tunnel_that_breaks_is_reset),
           cmocka_unit_test(an_end_behind_the_101_loses_nothing), CASE(another_protocol_is_refused),
           cmocka_unit_test(any_split_gives_the_same_answers),
           cmocka_unit_test(resets_at_any_moment_end_cleanly));
