/* fcgi_origin_test.c - FastCGI streams against a raw server on the simulated network. */
// SPDX-License-Identifier: Apache-2.0
#include "fcgi/fcgi.h"
#include "fcgi/fcgi_record.h"
#include "http/cgi.h"
#include "tests/net_rig.h"

enum { QUEUE_BYTES = 20000 };

/* One exchange's view of the origin side. */
struct user {
    struct task task;
    struct arena arena;
    struct stream *stream;
    struct message request, head;
    struct cgi_params params;
    struct body req, res;
    char text[512];
    size_t read_bytes;
    bool manual; /* neither reads nor sends by itself */
    bool ended, reusable;
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
}

static void user_run(struct task *t)
{
    struct user *u = CONTAINER_OF(t, struct user, task);
    if (u->manual || !u->stream)
        return;
    user_read(u);
    if (!u->stream->err)
        (void)!u->stream->ops->send_body(u->stream, &u->req);
}

static void user_begin(const char *method, enum length_kind length, uint64_t bytes)
{
    memset(&user, 0, sizeof user);
    task_init(&user.task, user_run);
    arena_init(&user.arena, 256 * 1024);
    message_init(&user.request);
    message_init(&user.head);
    body_init(&user.req, &rig.loop.tasks, &user.task, QUEUE_BYTES);
    body_init(&user.res, &rig.loop.tasks, &user.task, QUEUE_BYTES);
    user.params.keep_conn = true;
    user.request.cgi = &user.params;
    user.request.method_text = slice_of(method);
    user.request.method = (uint8_t)method_find(user.request.method_text);
    user.request.length = (uint8_t)length;
    user.request.content_length = bytes;
    user.stream = fcgi_origin_engine.open(origin, &user.task, &user.arena, &user.head, &user.res,
                                          &rig.limits);
    assert_non_null(user.stream);
}

static void user_send(void)
{
    assert_int_equal(user.stream->ops->send_head(user.stream, &user.request), ERR_OK);
    run_ms(5);
}

static void user_get(void)
{
    user_begin("GET", LENGTH_NONE, 0);
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

/* ---- the server ---- */

static struct {
    char bytes[1 << 17];
    size_t len;
} script;

static void record(enum fcgi_type type, const char *content, size_t len)
{
    fcgi_header_write(script.bytes + script.len, type, len);
    if (len)
        memcpy(script.bytes + script.len + FCGI_HEADER_BYTES, content, len);
    script.len += FCGI_HEADER_BYTES + len;
}

static void out(const char *text)
{
    record(FCGI_STDOUT, text, strlen(text));
}

static void over(uint8_t app, uint8_t how)
{
    char end[FCGI_END_BYTES] = {0, 0, 0, (char)app, (char)how};
    record(FCGI_END_REQUEST, end, sizeof end);
}

static void play(void)
{
    peer_say_bytes(script.bytes, script.len);
    script.len = 0;
    run_ms(5);
}

#define HEAD "Content-Type: text/plain\r\n\r\n"

static void answer(void)
{
    out(HEAD "hi");
    over(0, 0);
    play();
}

/* What the server heard, taken apart: contents of PARAMS and STDIN. */
static struct {
    char params[65536], in[1 << 16];
    size_t params_len, in_len;
    unsigned begins, params_ends, in_ends;
    uint8_t flags;
} heard;

static void heard_record(uint8_t type, const char *content, size_t len)
{
    switch (type) {
    case FCGI_BEGIN_REQUEST:
        assert_int_equal(len, 8);
        heard.begins++;
        heard.flags = (uint8_t)content[2];
        break;
    case FCGI_PARAMS:
        memcpy(heard.params + heard.params_len, content, len);
        heard.params_len += len;
        heard.params_ends += len == 0;
        break;
    case FCGI_STDIN:
        memcpy(heard.in + heard.in_len, content, len);
        heard.in_len += len;
        heard.in_ends += len == 0;
        break;
    default: fail_msg("type %u", type);
    }
}

static void hear(void)
{
    size_t at = 0;
    run_ms(5);
    memset(&heard, 0, sizeof heard);
    while (at + FCGI_HEADER_BYTES <= peer.len) {
        const uint8_t *h = (const uint8_t *)peer.got + at;
        size_t len = (size_t)(h[4] << 8 | h[5]);
        assert_int_equal(h[0], 1);
        assert_int_equal(h[3], FCGI_ID);
        assert_true(at + FCGI_HEADER_BYTES + len <= peer.len);
        heard_record(h[1], (const char *)h + FCGI_HEADER_BYTES, len);
        at += FCGI_HEADER_BYTES + len;
    }
    assert_int_equal(at, peer.len);
}

/* ---- scenes ---- */

static void connections_serve_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        user_get();
        answer();
        assert_int_equal(user.head.status, 200);
        assert_string_equal(user.text, "hi");
        assert_true(user.ended && user.stream->reusable);
        user_end();
        assert_true(user.reusable);
        assert_int_equal(rig.loop.bufs.held_bytes, 0);
    }
}

static void connections_that_are_not_to_stay(void **state)
{
    (void)state;
    user_begin("GET", LENGTH_NONE, 0);
    user.params.keep_conn = false;
    user_send();
    hear();
    assert_int_equal(heard.flags, 0);
    answer();
    assert_true(user.ended);
    assert_false(user.stream->reusable);
}

static void what_a_request_looks_like(void **state)
{
    (void)state;
    struct cgi_param list[] = {{SLICE_INIT("A"), SLICE_INIT("b")}};
    user_begin("GET", LENGTH_NONE, 0);
    user.params.at = list;
    user.params.count = 1;
    user_send();
    hear();
    static const char expected[] =
        "\x11\x07GATEWAY_INTERFACECGI/1.1\x0e\x03REQUEST_METHODGET\x01\x01"
        "Ab";
    assert_int_equal(heard.begins, 1);
    assert_int_equal(heard.flags, FCGI_KEEP_CONN);
    assert_int_equal(heard.params_len, sizeof expected - 1);
    assert_memory_equal(heard.params, expected, sizeof expected - 1);
    assert_int_equal(heard.params_ends, 1);
    assert_int_equal(heard.in_ends, 1);
    assert_true(user.stream->sent_all);
    assert_int_equal(user.stream->sent_bytes, peer.len);
}

/* Around the size of a buffer, where a record ends and the next begins. */
static void parameters_of_any_size(void **state)
{
    (void)state;
    static char value[30000];
    memset(value, 'v', sizeof value);
    for (size_t len = BUF_SMALL_BYTES - 140; len < BUF_SMALL_BYTES + 40; len++) {
        struct cgi_param list[] = {{SLICE_INIT("A"), {value, len}},
                                   {SLICE_INIT("B"), {value, sizeof value}}};
        user_begin("GET", LENGTH_NONE, 0);
        user.params.at = list;
        user.params.count = 2;
        user_send();
        hear();
        assert_int_equal(heard.params_len, 45 + 6 + len + 6 + sizeof value);
        assert_int_equal(heard.params_ends, 1);
        assert_int_equal(heard.in_ends, 1);
        peer.len = 0;
        answer();
        assert_true(user.stream->reusable);
        user_end();
    }
}

static void request_bodies(void **state)
{
    (void)state;
    user_begin("POST", LENGTH_KNOWN, 5);
    user_send();
    user_push("hel");
    hear();
    assert_int_equal(heard.in_len, 3);
    assert_int_equal(heard.in_ends, 0);
    assert_false(user.stream->sent_all);
    user_push("lo");
    hear();
    assert_memory_equal(heard.in, "hello", 5);
    assert_int_equal(heard.in_ends, 1);
    assert_true(user.stream->sent_all);
}

static void request_bodies_of_another_length_are_errors(void **state)
{
    (void)state;
    user_begin("POST", LENGTH_KNOWN, 5);
    user_send();
    user.manual = true;
    user_push("hello!");
    assert_int_equal(user.stream->ops->send_body(user.stream, &user.req), ERR_INTERNAL);
    user_end();
    user_begin("POST", LENGTH_KNOWN, 5);
    user_send();
    user.manual = true;
    user_push("hell");
    body_end(&user.req);
    assert_int_equal(user.stream->ops->send_body(user.stream, &user.req), ERR_INTERNAL);
    assert_false(user.stream->sent_all);
}

static void bodies_of_unknown_length_are_refused(void **state)
{
    (void)state;
    user_begin("POST", LENGTH_UNKNOWN, 0);
    assert_int_equal(user.stream->ops->send_head(user.stream, &user.request), ERR_INTERNAL);
}

static void answers_in_any_records(void **state)
{
    (void)state;
    static const char whole[] = "Status: 404 Not Found\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t step = 1; step < sizeof whole; step++) {
        user_get();
        for (size_t at = 0; at < sizeof whole - 1; at += step)
            record(FCGI_STDOUT, whole + at,
                   at + step < sizeof whole ? step : sizeof whole - 1 - at);
        over(0, 0);
        play();
        assert_int_equal(user.head.status, 404);
        assert_true(slice_eq(user.head.headers.at[1].value, SLICE("b")));
        assert_string_equal(user.text, "hello");
        assert_true(user.ended && user.stream->reusable);
        user_end();
    }
}

static void answers_byte_by_byte(void **state)
{
    (void)state;
    user_get();
    record(FCGI_STDERR, "oops", 4);
    out(HEAD "abc");
    out("de");
    record(FCGI_STDOUT, NULL, 0);
    over(0, 0);
    for (size_t i = 0; i < script.len; i++) {
        peer_say_bytes(script.bytes + i, 1);
        run_ms(1);
    }
    script.len = 0;
    assert_string_equal(user.text, "abcde");
    assert_true(user.ended && user.stream->reusable);
    assert_true(slice_eq(user.stream->said->text, SLICE("oops")));
}

static void too_much_and_too_little(void **state)
{
    (void)state;
    user_get();
    out("Content-Length: 2\r\n\r\nhi and more");
    out("and more");
    over(0, 0);
    play();
    assert_string_equal(user.text, "hi");
    assert_true(user.ended && user.stream->reusable);
    user_end();
    user_get();
    out("Content-Length: 3\r\n\r\nhi");
    over(0, 0);
    play();
    assert_int_equal(user.stream->err, ERR_ORIGIN_BAD_FRAMING);
    assert_false(user.ended);
}

static void answers_without_a_body(void **state)
{
    (void)state;
    user_begin("HEAD", LENGTH_NONE, 0);
    user_send();
    out("Content-Length: 7\r\n\r\nnot for HEAD");
    over(0, 0);
    play();
    assert_string_equal(user.text, "");
    assert_true(user.ended && user.stream->reusable);
    user_end();
    user_get();
    out("Status: 204\r\n\r\nnot for 204");
    over(0, 0);
    play();
    assert_string_equal(user.text, "");
    assert_true(user.ended && user.stream->reusable);
}

static void what_is_said_is_kept_to_a_limit(void **state)
{
    (void)state;
    static char text[60000];
    memset(text, 'x', sizeof text);
    user_get();
    record(FCGI_STDERR, text, sizeof text);
    record(FCGI_STDERR, text, sizeof text);
    play();
    out(HEAD "hi");
    over(3, 0);
    play();
    assert_true(user.ended && user.stream->reusable);
    assert_int_equal(user.stream->said->text.len, 2048);
    assert_int_equal(user.stream->said->bytes, 120000);
    assert_int_equal(user.stream->said->status, 3);
}

static void broken_answers(void **state)
{
    (void)state;
    static const struct {
        enum fcgi_type type;
        const char *content;
        uint8_t how;
        enum err err;
        bool unprocessed;
    } rows[] = {
        {FCGI_STDOUT, "no head\r\n\r\n", 0, ERR_ORIGIN_BAD_HEAD, false},
        {FCGI_STDOUT, "\r\n\r\n", 0, ERR_ORIGIN_BAD_HEAD, false},
        {FCGI_STDOUT, "A: b\r\n", 0, ERR_ORIGIN_BAD_HEAD, false}, /* it does not end */
        {FCGI_STDERR, "oops", 0, ERR_ORIGIN_BAD_HEAD, false},
        {FCGI_STDOUT, "A: b\r\nTransfer-Encoding: chunked\r\n\r\n", 0, ERR_ORIGIN_BAD_FRAMING, 0},
        {FCGI_STDIN, "x", 0, ERR_ORIGIN_FASTCGI, false},
        {FCGI_STDERR, "busy", FCGI_OVERLOADED, ERR_ORIGIN_OVERLOADED, true},
        {FCGI_STDERR, "busy", FCGI_CANT_MPX_CONN, ERR_ORIGIN_OVERLOADED, true},
        {FCGI_STDERR, "what", FCGI_UNKNOWN_ROLE, ERR_ORIGIN_FASTCGI, false},
        {FCGI_STDOUT, "A: b\r\n\r\n", FCGI_OVERLOADED, ERR_ORIGIN_FASTCGI, false},
        {FCGI_STDOUT, "A: b\r\n\r\n", 77, ERR_ORIGIN_FASTCGI, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        user_get();
        record(rows[i].type, rows[i].content, strlen(rows[i].content));
        over(0, rows[i].how);
        play();
        if (user.stream->err != rows[i].err || user.stream->unprocessed != rows[i].unprocessed)
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
    memset(head, 'x', sizeof head);
    memcpy(head, "X: ", 3);
    user_get();
    record(FCGI_STDOUT, head, sizeof head);
    play();
    assert_int_equal(user.stream->err, ERR_ORIGIN_HEAD_TOO_LARGE);
}

static void more_than_the_answer_spoils_the_connection(void **state)
{
    (void)state;
    user_get();
    out(HEAD "hi");
    over(0, 0);
    out("x");
    play();
    assert_true(user.ended);
    assert_string_equal(user.text, "hi");
    assert_false(user.stream->reusable);
}

static void the_end_of_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool out_ended;
        enum err err;
    } rows[] = {
        {"", false, ERR_ORIGIN_CLOSED},
        {"A: b", false, ERR_ORIGIN_CLOSED},
        {HEAD "hel", false, ERR_ORIGIN_CLOSED},
        {"Content-Length: 5\r\n\r\nhello", false, ERR_ORIGIN_CLOSED},
        {"Content-Length: 5\r\n\r\nhell", true, ERR_ORIGIN_BAD_FRAMING},
        {HEAD "hello", true, ERR_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        user_get();
        if (rows[i].text[0])
            out(rows[i].text);
        if (rows[i].out_ended)
            record(FCGI_STDOUT, NULL, 0);
        play();
        peer_end();
        if (user.stream->err != rows[i].err)
            fail_msg("row %zu: %s", i, err_name(user.stream->err));
        assert_true(user.ended == (rows[i].err == ERR_OK));
        assert_false(user.stream->reusable);
        user_end();
        scene_close();
        scene_open(NULL, 1);
    }
}

static void a_dead_reused_connection_is_stale(void **state)
{
    (void)state;
    user_get();
    answer();
    user_end();
    user_get();
    peer_end();
    assert_int_equal(user.stream->err, ERR_ORIGIN_STALE);
}

static void early_answers(void **state)
{
    (void)state;
    user_begin("POST", LENGTH_KNOWN, 100);
    user_send();
    user_push("some");
    answer();
    assert_string_equal(user.text, "hi");
    assert_true(user.ended);
    assert_false(user.stream->reusable); /* the rest of the request is still owed */
}

static void a_full_body_stops_reading(void **state)
{
    (void)state;
    static char text[60000];
    memset(text, 'x', sizeof text);
    user_get();
    user.manual = true;
    out(HEAD);
    record(FCGI_STDOUT, text, sizeof text);
    play();
    over(0, 0);
    play();
    assert_true(user.res.bytes < QUEUE_BYTES + BUF_LARGE_BYTES);
    assert_true(user.res.starved);
    assert_false(user.res.ended);
    for (int i = 0; i < 100 && !user.ended; i++) {
        user_read(&user);
        run_ms(5);
    }
    assert_int_equal(user.read_bytes, sizeof text);
    assert_true(user.ended && user.stream->reusable);
}

static void a_slow_server_blocks_the_stream(void **state)
{
    (void)state;
    static char text[15000];
    peer.deaf = true;
    user_begin("POST", LENGTH_KNOWN, 1000000);
    user_send();
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 100 && !user.stream->blocked; i++) {
        struct buf *b = buf_take(&rig.loop.bufs, BUF_LARGE);
        assert_non_null(b);
        memcpy(b->bytes, text, sizeof text);
        b->len = sizeof text;
        if (body_room(&user.req) > 0)
            assert_int_equal(body_push(&user.req, (struct span){b, b->bytes, sizeof text}), ERR_OK);
        else
            buf_drop(b);
        run_ms(5);
    }
    assert_true(user.stream->blocked);
    peer.deaf = false;
    conn_recv(peer.conn);
    run_ms(100);
    assert_false(user.stream->blocked);
}

static void any_split_gives_the_same_answer(void **state)
{
    (void)state;
    static const struct sim_faults faults = {
        .split = 500, .delay = 300, .delay_max_ms = 20, .no_buffer = 100, .window_bytes = 4096};
    for (uint64_t seed = 1; seed <= 50; seed++) {
        scene_open(&faults, seed);
        run_ms(100);
        user_get();
        run_ms(500);
        record(FCGI_STDERR, "oops", 4);
        answer();
        run_ms(2000);
        assert_string_equal(user.text, "hi");
        assert_true(user.ended && user.stream->reusable);
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
        user_begin("GET", LENGTH_NONE, 0);
        (void)!user.stream->ops->send_head(user.stream, &user.request);
        run_ms(200);
        if (peer.conn && !peer.failed)
            answer();
        script.len = 0;
        run_ms(1000);
        assert_true(user.ended || user.stream->err || !user.stream->first_byte);
        scene_close();
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
UNIT_SUITE(fcgi_fcgi_origin, CASE(connections_serve_again), CASE(connections_that_are_not_to_stay),
           CASE(what_a_request_looks_like), CASE(parameters_of_any_size), CASE(request_bodies),
           CASE(request_bodies_of_another_length_are_errors),
           CASE(bodies_of_unknown_length_are_refused), CASE(answers_in_any_records),
           CASE(answers_byte_by_byte), CASE(too_much_and_too_little), CASE(answers_without_a_body),
           CASE(what_is_said_is_kept_to_a_limit), CASE(broken_answers), CASE(too_large_heads),
           CASE(more_than_the_answer_spoils_the_connection), CASE(the_end_of_the_connection),
           CASE(a_dead_reused_connection_is_stale), CASE(early_answers),
           CASE(a_full_body_stops_reading), CASE(a_slow_server_blocks_the_stream),
           cmocka_unit_test(any_split_gives_the_same_answer),
           cmocka_unit_test(resets_at_any_moment_end_cleanly));
