/* h2_origin_test.c - sessions towards servers on the simulated network: the server at the other end
 * says frames, and what it heard is looked at frame by frame. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/h2_origin_fields.h"
#include "h2/h2_origin_priv.h"
#include "io/sim.h"
#include "net/listener.h"
#include "tests/unit.h"
#include <stdio.h>

enum { PEER_MAX_BYTES = 1 << 20, USES = 4, ES = H2_FLAG_END_STREAM, EH = H2_FLAG_END_HEADERS };

static struct rig {
    struct sim_net *net;
    struct loop loop;
    struct counters_shared counters;
    struct listener listener;
    struct stream_limits limits;
    struct addr addr;
    struct mux *mux;
    int changes;
    bool gone;
    enum err why;
    /* the server */
    struct conn *peer;
    struct hpack_encoder encoder;
    bool peer_eof;
    size_t got_len;
    char got[PEER_MAX_BYTES];
} rig;

/* An exchange as far as a stream can tell. */
static struct use {
    struct arena arena;
    struct task task;
    struct message request, head;
    struct body body, request_body;
    struct stream *stream;
    int wakes;
} uses[USES];

/* ---- the server ---- */

static void peer_data(struct conn *c, struct span s)
{
    assert_true(rig.got_len + s.len <= PEER_MAX_BYTES);
    memcpy(rig.got + rig.got_len, s.at, s.len);
    rig.got_len += s.len;
    span_drop(s);
    conn_recv(c);
}

static void peer_eof(struct conn *c)
{
    (void)c;
    rig.peer_eof = true;
}

static void peer_error(struct conn *c, enum err e)
{
    (void)c;
    (void)e;
    rig.peer_eof = true;
}

static const struct conn_user_ops peer_ops = {
    .on_data = peer_data, .on_eof = peer_eof, .on_error = peer_error};

static void on_accept(struct listener *ln, int fd)
{
    rig.peer = conn_accept(ln->loop, fd, &peer_ops, NULL);
    assert_non_null(rig.peer);
    conn_recv(rig.peer);
}

static void nothing(struct timer *t)
{
    (void)t;
}

/* The simulation stops when nothing can happen any more: the timer makes the time pass. */
static void run_ms(int64_t ms)
{
    struct timer end;
    int64_t until_ms = sim_now_ms(rig.net) + ms;
    timer_init(&end, nothing);
    timer_set(&rig.loop.timers, &end, until_ms);
    sim_run(rig.net, until_ms);
    timer_stop(&rig.loop.timers, &end);
}

static void say(uint8_t type, uint8_t flags, uint32_t id, const char *payload, size_t len)
{
    struct buf *b = buf_take(&rig.loop.bufs, len > 4096 ? BUF_LARGE : BUF_SMALL);
    assert_non_null(b);
    char *to = h2_frame_write(b->bytes, &(struct h2_frame){(uint32_t)len, id, type, flags});
    if (len)
        memcpy(to, payload, len);
    b->len = (uint32_t)(H2_FRAME_HEAD_BYTES + len);
    assert_int_equal(conn_write(rig.peer, (struct span){b, b->bytes, b->len}), ERR_OK);
    run_ms(5);
}

/* "name: value" lines. */
static void say_fields(uint32_t id, uint8_t flags, const char *lines)
{
    char block[2048], *to = block + hpack_encode_begin(&rig.encoder, block);
    struct slice rest = slice_of(lines), line;
    while (rest.at && slice_cut(&rest, '\n', &line)) {
        size_t colon = 1 + slice_find(slice_from(line, 1), ':');
        struct slice name = slice_head(line, colon), value = slice_from(line, colon + 2);
        to += hpack_encode_never(&rig.encoder, to, FIELD_OTHER, name, value);
    }
    say(H2_HEADERS, flags | EH, id, block, (size_t)(to - block));
}

static void say_code(uint8_t type, uint32_t id, uint32_t code)
{
    char payload[4];
    h2_put32(payload, code);
    say(type, 0, id, payload, 4);
}

static void say_setting(enum h2_setting id, uint32_t value)
{
    char payload[6];
    h2_put_setting(payload, id, value);
    say(H2_SETTINGS, 0, 0, payload, 6);
}

static void say_goaway(uint32_t last)
{
    char payload[8];
    h2_put32(h2_put32(payload, last), H2_NO_ERROR);
    say(H2_GOAWAY, 0, 0, payload, 8);
}

/* The n-th frame of a type that was heard. */
static bool heard(uint8_t type, unsigned n, struct h2_frame *f, const char **payload)
{
    for (size_t at = H2_PREFACE_BYTES; at + H2_FRAME_HEAD_BYTES <= rig.got_len;) {
        h2_frame_read(rig.got + at, f);
        *payload = rig.got + at + H2_FRAME_HEAD_BYTES;
        at += H2_FRAME_HEAD_BYTES + f->len;
        if (f->type == type && n-- == 0)
            return true;
    }
    return false;
}

/* The code of the RST_STREAM for a stream; -1: none. */
static int heard_reset(uint32_t id)
{
    struct h2_frame f;
    const char *p;
    for (unsigned n = 0; heard(H2_RST_STREAM, n, &f, &p); n++)
        if (f.stream == id)
            return (int)h2_get32(p);
    return -1;
}

static size_t heard_data(uint32_t id, bool *end)
{
    struct h2_frame f;
    const char *p;
    size_t bytes = 0;
    *end = false;
    for (unsigned n = 0; heard(H2_DATA, n, &f, &p); n++) {
        bytes += f.stream == id ? f.len : 0;
        *end |= f.stream == id && f.flags & ES;
    }
    return bytes;
}

/* ---- our side ---- */

static void on_changed(struct mux *m)
{
    (void)m;
    rig.changes++;
}

static void on_gone(struct mux *m, enum err why)
{
    m->owner = NULL;
    rig.gone = true;
    rig.why = why;
}

static const struct mux_owner owner = {.changed = on_changed, .gone = on_gone};

static void on_open(struct conn *c, enum err e)
{
    assert_int_equal(e, ERR_OK);
    rig.mux = h2_mux_engine.start(c);
    assert_non_null(rig.mux);
    rig.mux->owner = &owner;
}

static const struct conn_user_ops open_ops = {.on_open = on_open};

static void use_run(struct task *t)
{
    CONTAINER_OF(t, struct use, task)->wakes++;
}

static void rig_open(const struct sim_faults *faults, uint64_t seed)
{
    static const struct sim_faults none = {.window_bytes = 65536};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    memset(&rig, 0, sizeof rig);
    memset(uses, 0, sizeof uses);
    rig.limits = (struct stream_limits){
        .head_bytes = 4096, .line_bytes = 4096, .header_count = 20, .trailer_bytes = 1024};
    rig.addr = (struct addr){.len = sizeof in, .in = in};
    rig.net = sim_net_new(seed, faults ? faults : &none);
    assert_true(loop_init(&rig.loop, &io_backend_sim, rig.net, &rig.counters, 16 << 20));
    rig.listener.on_accept = on_accept;
    int fd = sim_listen(rig.net, &rig.addr.sa, rig.addr.len);
    assert_true(listener_start(&rig.listener, &rig.loop, fd));
    hpack_encoder_init(&rig.encoder);
    assert_non_null(conn_connect(&rig.loop, &rig.addr, &open_ops, NULL));
    run_ms(20);
    say(H2_SETTINGS, 0, 0, NULL, 0);
    run_ms(20);
}

static void use_open(int i)
{
    struct use *u = &uses[i];
    arena_init(&u->arena, 1 << 20);
    task_init(&u->task, use_run);
    message_init(&u->request);
    body_init(&u->body, &rig.loop.tasks, &u->task, 65536);
    body_init(&u->request_body, &rig.loop.tasks, &u->task, 1 << 20);
    rig.mux->used++;
    u->stream =
        h2_origin_engine.open(rig.mux->conn, &u->task, &u->arena, &u->head, &u->body, &rig.limits);
    assert_non_null(u->stream);
}

static enum err use_ask(int i, const char *method, enum length_kind length, uint64_t bytes)
{
    struct message *m = &uses[i].request;
    m->method_text = slice_of(method);
    m->method = (uint8_t)method_find(m->method_text);
    m->target = SLICE("/p?q");
    m->length = (uint8_t)length;
    m->content_length = bytes;
    struct arena *a = &uses[i].arena;
    assert_int_equal(headers_add(&m->headers, a, SLICE("Host"), SLICE("a.test")), ERR_OK);
    assert_int_equal(headers_add(&m->headers, a, SLICE("X-A"), SLICE("1")), ERR_OK);
    assert_int_equal(headers_add(&m->headers, a, SLICE("Upgrade"), SLICE("x")), ERR_OK);
    assert_int_equal(headers_add(&m->headers, a, SLICE("TE"), SLICE("gzip, trailers")), ERR_OK);
    enum err e = uses[i].stream->ops->send_head(uses[i].stream, m);
    run_ms(5);
    return e;
}

static void ask(int i)
{
    use_open(i);
    assert_int_equal(use_ask(i, "GET", LENGTH_NONE, 0), ERR_OK);
}

static void use_close(int i)
{
    struct use *u = &uses[i];
    if (!u->stream)
        return;
    stream_detach(u->stream);
    u->stream = NULL;
    task_cancel(&rig.loop.tasks, &u->task);
    body_release(&u->body);
    body_release(&u->request_body);
    arena_release(&u->arena);
    if (--rig.mux->used == 0 && rig.gone)
        rig.mux->ops->unused(rig.mux);
}

static void rig_close(void)
{
    for (int i = 0; i < USES; i++)
        use_close(i);
    run_ms(20); /* a session that is gone and unused ends by itself */
    if (!rig.gone)
        rig.mux->ops->close(rig.mux);
    run_ms(20);
    hpack_encoder_release(&rig.encoder);
    conn_abort(rig.peer);
    listener_close(&rig.listener);
    run_ms(5000);
    assert_int_equal(sim_open_count(rig.net), 0);
    loop_release(&rig.loop);
    sim_net_free(rig.net);
}

static size_t body_drain(struct body *b)
{
    size_t n = 0;
    for (struct span s; (s = body_take(b, SIZE_MAX)).len > 0; span_drop(s))
        n += s.len;
    run_ms(5);
    return n;
}

static enum err error_of(int i)
{
    return uses[i].stream->err;
}

/* ---- requests ---- */

struct fields {
    char text[512];
};

static enum err write_field(void *user, const struct hpack_header *h)
{
    struct fields *f = user;
    size_t len = strlen(f->text);
    snprintf(f->text + len, sizeof f->text - len, "%.*s=%.*s;", SLICE_ARG(h->name),
             SLICE_ARG(h->value));
    return ERR_OK;
}

static void expect_fields(unsigned n, const char *want)
{
    struct h2_frame f;
    const char *p;
    struct arena a;
    struct hpack_decoder d;
    struct fields got = {""};
    arena_init(&a, 65536);
    hpack_decoder_init(&d, H2_CORE_TABLE_BYTES);
    for (unsigned i = 0; i <= n; i++) {
        got.text[0] = 0;
        assert_true(heard(H2_HEADERS, i, &f, &p));
        assert_int_equal(hpack_decode(&d, (struct slice){p, f.len}, 65536, &a, write_field, &got),
                         ERR_OK);
    }
    assert_string_equal(got.text, want);
    hpack_decoder_release(&d);
    arena_release(&a);
}

static void a_request_as_fields(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    assert_memory_equal(rig.got, h2_preface, H2_PREFACE_BYTES);
    ask(0);
    assert_true(uses[0].stream->sent_all);
    expect_fields(0, ":method=GET;:scheme=http;:authority=a.test;:path=/p?q;x-a=1;te=trailers;");
    assert_true(heard(H2_HEADERS, 0, &f, &p));
    assert_int_equal(f.stream, 1);
    assert_int_equal(f.flags, ES | EH);
    ask(1);
    assert_true(heard(H2_HEADERS, 1, &f, &p));
    assert_int_equal(f.stream, 3);
    rig_close();
}

static void body_give(int i, size_t len, bool end)
{
    while (len) {
        struct buf *b = buf_take(&rig.loop.bufs, BUF_SMALL);
        size_t n = len < b->cap ? len : b->cap;
        memset(b->bytes, 'u', n);
        b->len = (uint32_t)n;
        assert_int_equal(body_push(&uses[i].request_body, (struct span){b, b->bytes, n}), ERR_OK);
        len -= n;
    }
    if (end)
        body_end(&uses[i].request_body);
}

static enum err body_send(int i)
{
    enum err e = uses[i].stream->ops->send_body(uses[i].stream, &uses[i].request_body);
    run_ms(10);
    return e;
}

static void a_body_by_the_servers_windows(void **state)
{
    (void)state;
    bool end;
    rig_open(NULL, 1);
    say_setting(H2_SET_INITIAL_WINDOW_SIZE, 10);
    use_open(0);
    assert_int_equal(use_ask(0, "POST", LENGTH_KNOWN, 5000), ERR_OK);
    expect_fields(0, ":method=POST;:scheme=http;:authority=a.test;:path=/p?q;x-a=1;te=trailers;"
                     "content-length=5000;");
    body_give(0, 5000, true);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(heard_data(1, &end), 10);
    assert_true(uses[0].stream->blocked);
    assert_false(uses[0].stream->sent_all);
    ask(1); /* nobody else waits for it */
    int wakes = uses[0].wakes;
    say_code(H2_WINDOW_UPDATE, 1, 4989);
    assert_true(uses[0].wakes > wakes);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(heard_data(1, &end), 4999);
    assert_false(end);
    say_code(H2_WINDOW_UPDATE, 1, 1);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(heard_data(1, &end), 5000);
    assert_true(end);
    assert_true(uses[0].stream->sent_all);
    rig_close();
}

static void a_body_that_breaks_off_is_not_ended(void **state)
{
    (void)state;
    bool end;
    rig_open(NULL, 1);
    use_open(0);
    assert_int_equal(use_ask(0, "PUT", LENGTH_UNKNOWN, 0), ERR_OK);
    body_give(0, 100, false);
    body_fail(&uses[0].request_body, ERR_CLIENT_CLOSED);
    assert_int_equal(body_send(0), ERR_CLIENT_CLOSED);
    assert_int_equal(heard_data(1, &end), 100);
    assert_false(end);
    use_close(0);
    run_ms(10);
    assert_int_equal(heard_reset(1), H2_CANCEL);
    rig_close();
}

static void trailers_of_a_request(void **state)
{
    (void)state;
    bool end;
    struct headers t = {0};
    rig_open(NULL, 1);
    use_open(0);
    assert_int_equal(headers_add(&t, &uses[0].arena, SLICE("X-T"), SLICE("v")), ERR_OK);
    assert_int_equal(use_ask(0, "PUT", LENGTH_UNKNOWN, 0), ERR_OK);
    uses[0].request_body.trailers = &t;
    body_give(0, 7, true);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(heard_data(1, &end), 7);
    assert_false(end); /* the block ends it */
    expect_fields(1, "x-t=v;");
    assert_true(uses[0].stream->sent_all);
    rig_close();
}

/* ---- responses ---- */

static void a_response(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    say_fields(1, 0, ":status: 200\nx-b: 2\ncontent-length: 6");
    struct stream *s = uses[0].stream;
    assert_int_equal(s->head_state, STREAM_HEAD_FINAL);
    assert_int_equal(uses[0].head.status, 200);
    assert_int_equal(uses[0].head.length, LENGTH_KNOWN);
    assert_int_equal(uses[0].head.content_length, 6);
    assert_true(
        slice_eq(headers_find_name(&uses[0].head.headers, SLICE("x-b"))->value, SLICE("2")));
    say(H2_DATA, 0, 1, "abc", 3);
    assert_false(uses[0].body.ended);
    assert_false(s->reusable);
    say(H2_DATA, ES, 1, "def", 3);
    assert_true(uses[0].body.ended);
    assert_int_equal(body_drain(&uses[0].body), 6);
    assert_true(s->reusable);
    use_close(0);
    assert_int_equal(heard_reset(1), -1);
    rig_close();
}

static void interim_heads_wait_in_order(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    say_fields(1, 0, ":status: 100");
    say_fields(1, 0, ":status: 103\nlink: a");
    say_fields(1, ES, ":status: 204");
    struct stream *s = uses[0].stream;
    static const uint16_t statuses[] = {100, 103};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s->head_state, STREAM_HEAD_INTERIM);
        assert_int_equal(uses[0].head.status, statuses[i]);
        s->ops->next_head(s);
    }
    assert_int_equal(s->head_state, STREAM_HEAD_FINAL);
    assert_int_equal(uses[0].head.status, 204);
    assert_int_equal(uses[0].head.length, LENGTH_NONE);
    assert_true(uses[0].body.ended);
    rig_close();
}

static void too_many_interim_heads(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    for (int i = 0; i < 33; i++)
        say_fields(1, 0, ":status: 103");
    assert_int_equal(error_of(0), ERR_OK); /* one is taken, 32 wait */
    say_fields(1, 0, ":status: 103");
    assert_int_equal(error_of(0), ERR_ORIGIN_TOO_MANY_INTERIMS);
    assert_int_equal(heard_reset(1), H2_CANCEL);
    rig_close();
}

static void trailers_of_a_response(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    say_fields(1, 0, ":status: 200");
    say(H2_DATA, 0, 1, "abc", 3);
    say_fields(1, ES, "x-t: 1\ntransfer-encoding: x");
    assert_int_equal(error_of(0), ERR_ORIGIN_BAD_HEAD);
    ask(1);
    say_fields(3, 0, ":status: 200");
    say(H2_DATA, 0, 3, "abc", 3);
    say_fields(3, ES, "x-t: 1");
    assert_true(uses[1].body.ended);
    assert_int_equal(uses[1].body.trailers->count, 1);
    rig_close();
}

static void trailers_may_follow_an_empty_body(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    say_fields(1, 0, ":status: 200\ncontent-length: 0");
    assert_int_equal(uses[0].stream->head->length, LENGTH_UNKNOWN);
    say_fields(1, ES, "x-t: 1");
    assert_true(uses[0].body.ended);
    assert_int_equal(uses[0].body.trailers->count, 1);
    ask(1);
    say_fields(3, ES, ":status: 200\ncontent-length: 0");
    assert_int_equal(uses[1].stream->head->length, LENGTH_KNOWN);
    rig_close();
}

static void what_is_malformed_ends_its_stream_alone(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        uint8_t flags;
        enum err err;
    } cases[] = {
        {"x: 1", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 200\n:status: 200", 0, ERR_ORIGIN_BAD_HEAD},
        {"x: 1\n:status: 200", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 99", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 600", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 101", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 100", ES, ERR_ORIGIN_BAD_HEAD},
        {":status: 200\n:path: /", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 200\nconnection: x", 0, ERR_ORIGIN_BAD_HEAD},
        {":status: 200\ncontent-length: 1\ncontent-length: 1", 0, ERR_ORIGIN_BAD_FRAMING},
        {":status: 200\ncontent-length: x", 0, ERR_ORIGIN_BAD_FRAMING},
        {":status: 200\ncontent-length: 1", ES, ERR_ORIGIN_BAD_FRAMING},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rig_open(NULL, 1);
        ask(0);
        ask(1);
        say_fields(1, cases[i].flags, cases[i].fields);
        assert_int_equal(error_of(0), cases[i].err);
        assert_int_equal(uses[0].body.err, cases[i].err);
        assert_int_equal(error_of(1), ERR_OK);
        assert_int_equal(heard_reset(1), cases[i].flags & ES ? -1 : H2_PROTOCOL_ERROR);
        assert_false(rig.gone);
        rig_close();
    }
}

static void a_length_that_is_not_kept(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *data;
        const char *method;
        bool end;
    } cases[] = {
        {":status: 200\ncontent-length: 2", "abc", "GET", false},
        {":status: 200\ncontent-length: 4", "abc", "GET", true},
        {":status: 204", "abc", "GET", false},
        {":status: 304", "abc", "GET", false},
        {":status: 200\ncontent-length: 3", "abc", "HEAD", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rig_open(NULL, 1);
        use_open(0);
        assert_int_equal(use_ask(0, cases[i].method, LENGTH_NONE, 0), ERR_OK);
        say_fields(1, 0, cases[i].fields);
        say(H2_DATA, cases[i].end ? ES : 0, 1, cases[i].data, 3);
        assert_int_equal(error_of(0), ERR_ORIGIN_BAD_FRAMING);
        assert_false(uses[0].body.ended);
        assert_int_equal(heard_reset(1), H2_PROTOCOL_ERROR);
        rig_close();
    }
}

static void a_head_that_is_too_large(void **state)
{
    (void)state;
    char text[2048];
    rig_open(NULL, 1);
    ask(0);
    snprintf(text, sizeof text, ":status: 200\nx: %01400d", 1);
    rig.limits.head_bytes = 1024;
    ask(1);
    say_fields(1, ES, text);
    assert_int_equal(error_of(0), ERR_OK);
    say_fields(3, 0, text);
    assert_int_equal(error_of(1), ERR_ORIGIN_HEAD_TOO_LARGE);
    assert_int_equal(heard_reset(3), H2_CANCEL);
    rig_close();
}

static void windows_open_as_bytes_are_taken(void **state)
{
    (void)state;
    static const char piece[16384];
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    ask(0);
    say_fields(1, 0, ":status: 200");
    size_t updates = 0;
    for (int i = 0; i < 3; i++)
        say(H2_DATA, 0, 1, piece, sizeof piece);
    while (heard(H2_WINDOW_UPDATE, (unsigned)updates, &f, &p))
        updates++;
    assert_int_equal(updates, 1); /* the connection's first */
    assert_int_equal(body_drain(&uses[0].body), 3 * sizeof piece);
    assert_true(heard(H2_WINDOW_UPDATE, (unsigned)updates, &f, &p));
    assert_int_equal(f.stream, 1);
    say(H2_DATA, 0, 1, piece, sizeof piece);
    say(H2_DATA, ES, 1, piece, sizeof piece);
    assert_int_equal(body_drain(&uses[0].body), 2 * sizeof piece);
    assert_true(uses[0].body.ended);
    rig_close();
}

/* ---- ends ---- */

static void goaway_tells_what_was_not_processed(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    ask(1);
    use_open(2); /* nothing sent yet */
    say_goaway(1);
    assert_int_equal(error_of(0), ERR_OK);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(error_of(i), ERR_ORIGIN_UNPROCESSED);
        assert_true(uses[i].stream->unprocessed);
    }
    assert_true(rig.mux->shut);
    assert_false(rig.gone);
    say_fields(1, ES, ":status: 200");
    assert_true(uses[0].body.ended);
    use_open(3); /* was let on before */
    assert_int_equal(use_ask(3, "GET", LENGTH_NONE, 0), ERR_ORIGIN_UNPROCESSED);
    rig_close();
}

static void goaway_of_an_unused_one_ends_it(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    say_goaway(0);
    assert_true(rig.gone);
    assert_true(rig.peer_eof);
    rig_close();
}

static void resets_by_their_code(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    ask(1);
    ask(2);
    say_code(H2_RST_STREAM, 1, H2_REFUSED_STREAM);
    assert_int_equal(error_of(0), ERR_ORIGIN_UNPROCESSED);
    assert_true(uses[0].stream->unprocessed);
    say_code(H2_RST_STREAM, 3, H2_INTERNAL_ERROR);
    assert_int_equal(error_of(1), ERR_ORIGIN_RESET);
    assert_false(uses[1].stream->unprocessed);
    say_fields(5, 0, ":status: 200");
    say_code(H2_RST_STREAM, 5, H2_REFUSED_STREAM); /* a lie: it has begun to answer */
    assert_int_equal(error_of(2), ERR_ORIGIN_RESET);
    assert_false(uses[2].stream->unprocessed);
    rig_close();
}

static void a_whole_answer_outlives_the_end_of_its_request(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    use_open(0);
    assert_int_equal(use_ask(0, "PUT", LENGTH_KNOWN, 1000), ERR_OK);
    say_fields(1, ES, ":status: 413");
    say_code(H2_RST_STREAM, 1, H2_NO_ERROR);
    assert_int_equal(error_of(0), ERR_OK);
    assert_true(uses[0].body.ended);
    body_give(0, 1000, true);
    assert_int_equal(body_send(0), ERR_OK);
    assert_false(uses[0].stream->sent_all);
    rig_close();
}

static void a_connection_that_dies(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    conn_shutdown(rig.peer);
    run_ms(10);
    assert_int_equal(error_of(0), ERR_ORIGIN_CLOSED); /* its first request */
    assert_true(rig.gone);
    rig_close();
    rig_open(NULL, 1);
    ask(0);
    say_fields(1, 0, ":status: 200");
    ask(1);
    conn_shutdown(rig.peer);
    run_ms(10);
    assert_int_equal(error_of(1), ERR_ORIGIN_STALE); /* not another byte came */
    rig_close();
}

static void a_broken_rule_ends_the_connection(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    ask(0);
    say_fields(2, 0, ":status: 200");
    assert_int_equal(error_of(0), ERR_ORIGIN_H2);
    assert_true(rig.gone);
    assert_true(heard(H2_GOAWAY, 0, &f, &p));
    assert_int_equal(h2_get32(p + 4), H2_PROTOCOL_ERROR);
    rig_close();
}

/* As many as clients like; answers to them are on their way. */
static void cancelled_streams_are_no_fault_of_the_servers(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    for (uint32_t id = 1; id < 2 * 600; id += 2) {
        ask(0);
        use_close(0);
        say_fields(id, 0, ":status: 200");
        say(H2_DATA, ES, id, NULL, 0);
        if (id % 4 == 1)
            say_code(H2_RST_STREAM, id, H2_NO_ERROR);
        rig.got_len = H2_PREFACE_BYTES; /* heard, and forgotten */
        assert_false(rig.gone);
    }
    ask(0);
    assert_int_equal(error_of(0), ERR_OK);
    rig_close();
}

/* ---- the word to the pool ---- */

static void the_servers_limit(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    assert_true(rig.mux->settled);
    assert_int_equal(rig.mux->limit, UINT32_MAX);
    int changes = rig.changes;
    say_setting(H2_SET_MAX_CONCURRENT_STREAMS, 1);
    assert_int_equal(rig.mux->limit, 1);
    assert_int_equal(rig.changes, changes + 1);
    ask(0);
    use_open(1); /* was let on before */
    assert_int_equal(use_ask(1, "POST", LENGTH_NONE, 0), ERR_ORIGIN_UNPROCESSED);
    rig_close();
}

static void a_ping_that_is_answered(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    ask(0);
    rig.mux->ops->doubt(rig.mux);
    run_ms(10);
    assert_true(rig.mux->stalled);
    assert_true(heard(H2_PING, 0, &f, &p));
    say(H2_PING, H2_FLAG_ACK, 0, p, 8);
    assert_false(rig.mux->stalled);
    run_ms(10000);
    assert_false(rig.gone);
    rig_close();
}

static void a_ping_without_an_answer(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    ask(0);
    rig.mux->ops->doubt(rig.mux);
    run_ms(4900);
    assert_false(rig.gone);
    run_ms(200);
    assert_true(rig.gone);
    assert_int_equal(error_of(0), ERR_ORIGIN_READ_TIMEOUT);
    rig_close();
}

static void a_crowded_window_is_a_stall_in_time(void **state)
{
    (void)state;
    bool end;
    rig_open(NULL, 1);
    use_open(0);
    assert_int_equal(use_ask(0, "PUT", LENGTH_UNKNOWN, 0), ERR_OK);
    say_code(H2_WINDOW_UPDATE, 1, 100000);
    body_give(0, 70000, false);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(body_send(0), ERR_OK);                 /* after its quota */
    assert_int_equal(heard_data(1, &end), H2_WINDOW_BYTES); /* the connection's window */
    assert_true(uses[0].stream->blocked);
    assert_false(rig.mux->stalled);
    run_ms(300);
    ask(1);
    assert_int_equal(error_of(1), ERR_OK);
    say_fields(3, ES, ":status: 200"); /* something happens, so that it is looked at */
    assert_true(rig.mux->stalled);
    say_code(H2_WINDOW_UPDATE, 0, 100000);
    assert_false(rig.mux->stalled);
    rig_close();
}

static void goodbye(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    rig.mux->ops->close(rig.mux);
    run_ms(10);
    assert_true(rig.gone);
    assert_true(heard(H2_GOAWAY, 0, &f, &p));
    assert_int_equal(h2_get32(p + 4), H2_NO_ERROR);
    assert_true(rig.peer_eof);
    rig_close();
}

/* What the server says meanwhile (it opens windows) must not destroy what was sent last. */
static void last_words_arrive(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        rig_open(NULL, seed);
        struct buf *b = buf_take(&rig.loop.bufs, BUF_SMALL);
        assert_non_null(b);
        h2_put32(h2_frame_write(b->bytes, &(struct h2_frame){4, 0, H2_WINDOW_UPDATE, 0}), 1);
        b->len = H2_FRAME_HEAD_BYTES + 4;
        assert_int_equal(conn_write(rig.peer, (struct span){b, b->bytes, b->len}), ERR_OK);
        rig.mux->ops->close(rig.mux);
        run_ms(10);
        assert_true(heard(H2_GOAWAY, 0, &f, &p));
        rig_close();
    }
}

/* ---- WebSocket ---- */

static void key_add(int i, const char *key)
{
    assert_int_equal(headers_add(&uses[i].request.headers, &uses[i].arena,
                                 SLICE("Sec-WebSocket-Key"), slice_of(key)),
                     ERR_OK);
}

static enum err switch_ask(int i)
{
    struct message *m = &uses[i].request;
    m->upgrade = true;
    m->upgrade_to = SLICE("websocket");
    key_add(i, "dGhlIHNhbXBsZSBub25jZQ==");
    return use_ask(i, "GET", LENGTH_NONE, 0);
}

static void a_websocket(void **state)
{
    (void)state;
    bool end;
    rig_open(NULL, 1);
    say_setting(H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    use_open(0);
    assert_int_equal(switch_ask(0), ERR_OK);
    expect_fields(0, ":method=CONNECT;:protocol=websocket;:scheme=http;:authority=a.test;"
                     ":path=/p?q;x-a=1;te=trailers;");
    struct stream *s = uses[0].stream;
    assert_true(s->sent_all);
    say_fields(1, 0, ":status: 200\ncontent-length: 3");
    say(H2_DATA, 0, 1, "early", 5);
    assert_int_equal(s->head_state, STREAM_HEAD_FINAL);
    assert_int_equal(uses[0].head.status, 101);
    assert_true(slice_eq(uses[0].head.upgrade_to, SLICE("websocket")));
    assert_true(slice_eq(headers_get(&uses[0].head.headers, FIELD_SEC_WEBSOCKET_ACCEPT),
                         SLICE("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    assert_null(headers_get(&uses[0].head.headers, FIELD_CONTENT_LENGTH).at);
    assert_int_equal(uses[0].body.bytes, 0); /* the tunnel does not stand yet */
    s->ops->tunnel(s);
    run_ms(5);
    assert_int_equal(body_drain(&uses[0].body), 5);
    body_give(0, 9, false);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(heard_data(1, &end), 9);
    say(H2_DATA, ES, 1, "bye", 3);
    assert_int_equal(body_drain(&uses[0].body), 3);
    assert_true(uses[0].body.ended);
    body_end(&uses[0].request_body);
    assert_int_equal(body_send(0), ERR_OK);
    assert_int_equal(heard_data(1, &end), 9);
    assert_true(end);
    use_close(0);
    run_ms(5);
    assert_int_equal(heard_reset(1), -1);
    rig_close();
}

static void a_websocket_that_is_ended_and_reset(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    say_setting(H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    use_open(0);
    assert_int_equal(switch_ask(0), ERR_OK);
    struct stream *s = uses[0].stream;
    say_fields(1, 0, ":status: 200");
    s->ops->tunnel(s);
    say(H2_DATA, ES, 1, "last", 4);
    assert_int_equal(body_send(0), ERR_OK);
    assert_false(s->sent_all); /* the client may go on */
    say(H2_RST_STREAM, 0, 1, "\0\0\0\0", 4);
    assert_int_equal(body_send(0), ERR_OK);
    assert_true(s->sent_all);
    assert_int_equal(body_drain(&uses[0].body), 4);
    assert_true(uses[0].body.ended);
    use_close(0);
    rig_close();
}

static void a_websocket_that_is_refused(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    say_setting(H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    use_open(0);
    assert_int_equal(switch_ask(0), ERR_OK);
    say_fields(1, ES, ":status: 403\ncontent-length: 0");
    assert_int_equal(uses[0].head.status, 403);
    assert_true(uses[0].body.ended);
    use_close(0);
    run_ms(5);
    assert_int_equal(heard_reset(1), H2_CANCEL); /* our side was open */
    rig_close();
}

/* Nothing is sent: the user may ask elsewhere, or without. */
static void a_server_without_websockets_gets_no_upgrade(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    use_open(0);
    assert_int_equal(switch_ask(0), ERR_ORIGIN_NO_UPGRADE);
    assert_false(heard(H2_HEADERS, 0, &f, &p));
    use_close(0);
    use_open(1);
    uses[1].request.upgrade_to = SLICE("websocket");
    assert_int_equal(use_ask(1, "GET", LENGTH_NONE, 0), ERR_OK);
    expect_fields(0, ":method=GET;:scheme=http;:authority=a.test;:path=/p?q;x-a=1;te=trailers;");
    say_fields(1, ES, ":status: 200");
    assert_int_equal(uses[1].head.status, 200);
    rig_close();
}

static void only_websockets_are_carried(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    say_setting(H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    use_open(0);
    uses[0].request.upgrade = true;
    uses[0].request.upgrade_to = SLICE("other");
    assert_int_equal(use_ask(0, "GET", LENGTH_NONE, 0), ERR_ORIGIN_NO_UPGRADE);
    rig_close();
}

static void an_upgrade_that_waited_in_vain(void **state)
{
    (void)state;
    rig_open(NULL, 1);
    rig.mux->settled = false;
    use_open(0);
    assert_int_equal(switch_ask(0), ERR_OK);
    say_setting(H2_SET_MAX_CONCURRENT_STREAMS, 7);
    assert_int_equal(uses[0].stream->err, ERR_ORIGIN_NO_UPGRADE);
    rig_close();
}

static void a_websocket_with_a_wrong_key_is_not_carried(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZS4=", "dGhlIHNhbXBsZSBub25?ZQ==", ""};
    rig_open(NULL, 1);
    say_setting(H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        use_open(0);
        uses[0].request.upgrade = true;
        uses[0].request.upgrade_to = SLICE("websocket");
        key_add(0, wrong[i]);
        assert_int_equal(use_ask(0, "GET", LENGTH_NONE, 0), ERR_ORIGIN_NO_UPGRADE);
        use_close(0);
    }
    use_open(0);
    key_add(0, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_int_equal(switch_ask(0), ERR_ORIGIN_NO_UPGRADE); /* two */
    rig_close();
}

static void an_upgrade_waits_for_settings(void **state)
{
    (void)state;
    struct h2_frame f;
    const char *p;
    rig_open(NULL, 1);
    rig.mux->settled = false; /* as on a connection that is new */
    use_open(0);
    assert_int_equal(switch_ask(0), ERR_OK);
    assert_false(heard(H2_HEADERS, 0, &f, &p));
    assert_false(uses[0].stream->sent_all);
    say_setting(H2_SET_ENABLE_CONNECT_PROTOCOL, 1);
    expect_fields(0, ":method=CONNECT;:protocol=websocket;:scheme=http;:authority=a.test;"
                     ":path=/p?q;x-a=1;te=trailers;");
    rig_close();
}

/* ---- anything ---- */

/* A conversation as it should be, of which some bytes are then others. */
static size_t conversation(char *to)
{
    static const char data[] = "0123456789abcdefghij";
    static const struct {
        uint8_t type, flags;
        uint32_t id;
        const char *payload;
        size_t len;
    } frames[] = {
        {H2_HEADERS, EH, 1,
         "\x88\x0f\x0d\x02"
         "20\x40\x01x\x01y",
         11},
        {H2_HEADERS, EH, 3,
         "\x48\x03"
         "103\xbf",
         6},
        {H2_DATA, 0, 1, data, 12},
        {H2_PING, 0, 0, "12345678", 8},
        {H2_SETTINGS, 0, 0, "\0\4\0\0\1\0", 6},
        {H2_HEADERS, EH, 3, "\x88\xbf", 2},
        {H2_WINDOW_UPDATE, 0, 0, "\0\0\1\0", 4},
        {H2_DATA, H2_FLAG_PADDED, 3, "\2abcd\0\0", 7},
        {H2_DATA, ES, 1, data + 12, 8},
        {H2_HEADERS, EH | ES, 3, "\x40\x01t\x01u", 5},
        {H2_RST_STREAM, 0, 5, "\0\0\0\7", 4},
        {H2_GOAWAY, 0, 0, "\0\0\0\3\0\0\0\0", 8},
    };
    char *at = to;
    for (size_t i = 0; i < COUNT_OF(frames); i++) {
        at = h2_frame_write(at, &(struct h2_frame){(uint32_t)frames[i].len, frames[i].id,
                                                   frames[i].type, frames[i].flags});
        at = (char *)memcpy(at, frames[i].payload, frames[i].len) + frames[i].len;
    }
    return (size_t)(at - to);
}

static void say_bytes(const char *at, size_t len)
{
    struct buf *b = buf_take(&rig.loop.bufs, BUF_SMALL);
    assert_non_null(b);
    memcpy(b->bytes, at, len);
    b->len = (uint32_t)len;
    assert_int_equal(conn_write(rig.peer, (struct span){b, b->bytes, len}), ERR_OK);
    run_ms(20);
}

/* Whatever a server sends, an answer that looks whole is as long as it said. */
static void check_whole(int i)
{
    const struct use *u = &uses[i];
    bool whole = u->body.ended && !u->body.err;
    if (whole && u->stream->head_state == STREAM_HEAD_FINAL && u->head.length == LENGTH_KNOWN)
        assert_int_equal(u->body.pushed_bytes, u->head.content_length);
    assert_true(!whole || !u->stream->err);
}

static void any_bytes(void **state)
{
    (void)state;
    static const struct sim_faults faults = {.window_bytes = 4096, .split = 300, .delay_max_ms = 3};
    char text[1024];
    struct rand rand;
    rand_init(&rand, 7);
    for (uint64_t seed = 0; seed < 400; seed++) {
        size_t len = conversation(text);
        for (uint64_t n = seed ? 1 + rand_below(&rand, 3) : 0; n > 0; n--)
            text[rand_below(&rand, (uint32_t)len)] ^= (char)(1 << rand_below(&rand, 8));
        rig_open(&faults, seed + 1);
        for (int i = 0; i < 3; i++)
            ask(i);
        say_bytes(text, len);
        struct stream *s = uses[1].stream;
        for (int i = 0; i < 4 && s->head_state == STREAM_HEAD_INTERIM; i++)
            s->ops->next_head(s);
        for (int i = 0; i < 3; i++)
            check_whole(i);
        if (seed == 0) {
            assert_true(uses[0].body.ended && uses[1].body.ended);
            assert_int_equal(uses[1].body.pushed_bytes, 4);
            assert_int_equal(uses[1].body.trailers->count, 1);
            assert_int_equal(error_of(2), ERR_ORIGIN_UNPROCESSED);
        }
        rig_close();
    }
}

/* However the network cuts and delays, an answer arrives whole. */
static void any_network(void **state)
{
    (void)state;
    static const char piece[1000];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static const struct sim_faults faults = {
            .window_bytes = 4096, .split = 500, .delay = 300, .delay_max_ms = 3};
        rig_open(&faults, seed);
        ask(0);
        run_ms(50);
        say_fields(1, 0, ":status: 200\ncontent-length: 20000");
        for (int i = 0; i < 20; i++)
            say(H2_DATA, i == 19 ? ES : 0, 1, piece, sizeof piece);
        run_ms(500);
        assert_int_equal(error_of(0), ERR_OK);
        size_t got = body_drain(&uses[0].body);
        got += body_drain(&uses[0].body);
        assert_int_equal(got, 20000);
        assert_true(uses[0].body.ended);
        rig_close();
    }
}

UNIT_SUITE(h2_h2_origin, cmocka_unit_test(a_request_as_fields),
           cmocka_unit_test(a_body_by_the_servers_windows),
           cmocka_unit_test(a_body_that_breaks_off_is_not_ended),
           cmocka_unit_test(trailers_of_a_request), cmocka_unit_test(a_response),
           cmocka_unit_test(interim_heads_wait_in_order), cmocka_unit_test(too_many_interim_heads),
           cmocka_unit_test(trailers_of_a_response),
           cmocka_unit_test(trailers_may_follow_an_empty_body),
           cmocka_unit_test(what_is_malformed_ends_its_stream_alone),
           cmocka_unit_test(a_length_that_is_not_kept), cmocka_unit_test(a_head_that_is_too_large),
           cmocka_unit_test(windows_open_as_bytes_are_taken),
           cmocka_unit_test(goaway_tells_what_was_not_processed),
           cmocka_unit_test(goaway_of_an_unused_one_ends_it),
           cmocka_unit_test(resets_by_their_code),
           cmocka_unit_test(a_whole_answer_outlives_the_end_of_its_request),
           cmocka_unit_test(a_connection_that_dies),
           cmocka_unit_test(a_broken_rule_ends_the_connection), cmocka_unit_test(the_servers_limit),
           cmocka_unit_test(a_ping_that_is_answered), cmocka_unit_test(a_ping_without_an_answer),
           cmocka_unit_test(a_crowded_window_is_a_stall_in_time),
           cmocka_unit_test(cancelled_streams_are_no_fault_of_the_servers),
           cmocka_unit_test(goodbye), cmocka_unit_test(last_words_arrive),
           cmocka_unit_test(a_websocket), cmocka_unit_test(a_websocket_that_is_ended_and_reset),
           cmocka_unit_test(a_websocket_that_is_refused),
           cmocka_unit_test(a_websocket_with_a_wrong_key_is_not_carried),
           cmocka_unit_test(a_server_without_websockets_gets_no_upgrade),
           cmocka_unit_test(only_websockets_are_carried),
           cmocka_unit_test(an_upgrade_that_waited_in_vain),
           cmocka_unit_test(an_upgrade_waits_for_settings), cmocka_unit_test(any_bytes),
           cmocka_unit_test(any_network));
