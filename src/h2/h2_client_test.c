/* h2_client_test.c - client sessions of HTTP/2 on the simulated network, against a raw client that
 * says and counts frames. What an exchange would do is played by a small user that answers with as
 * many bytes as the path asks for. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "h2/h2.h"
#include "h2/h2_core.h"
#include "tests/net_rig.h"
#include <stdlib.h>

enum { USERS_MAX = 600, QUEUE_BYTES = 20000, PIECE_BYTES = 1000 };

struct user {
    struct task task;
    struct stream *stream;
    struct arena arena;
    struct message head, reply;
    struct body req, res;
    size_t read_bytes;
    uint64_t left; /* of the answer */
    enum err err;
    bool replied, gone;
};

static struct scene {
    struct stream_acceptor acceptor;
    struct user users[USERS_MAX];
    int count, done;
    struct hpack_encoder encoder;
    bool holds;  /* users do nothing yet */
    bool refuse; /* no user is to be had */
} scene;

static const char filler[PIECE_BYTES];

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

static void answer_more(struct user *u)
{
    while (u->left && body_room(&u->res)) {
        size_t n = u->left < PIECE_BYTES ? (size_t)u->left : PIECE_BYTES;
        assert_int_equal(body_push(&u->res, (struct span){NULL, filler, n}), ERR_OK);
        u->left -= n;
    }
    if (u->left == 0)
        body_end(&u->res);
}

static enum err answer_begin(struct user *u, uint16_t status)
{
    uint64_t n = 0;
    (void)!num_parse_u64(slice_from(u->head.target, 1), &n);
    u->replied = true;
    u->left = status == 200 ? n : 0;
    u->reply.status = status;
    u->reply.length = LENGTH_KNOWN;
    u->reply.content_length = u->left;
    return u->stream->ops->send_head(u->stream, &u->reply);
}

static void user_act(struct user *u)
{
    for (struct span s; (s = body_take(&u->req, SIZE_MAX)).len > 0; span_drop(s))
        u->read_bytes += s.len;
    enum err e = u->stream->err ? u->stream->err : u->req.err;
    uint16_t status = e ? err_row(e)->status : 200;
    if (!u->replied && (e || body_done(&u->req)))
        if (status == 0 || status == 499 || answer_begin(u, status))
            goto leave;
    if (!u->replied)
        return;
    answer_more(u);
    if (u->stream->ops->send_body(u->stream, &u->res) == ERR_OK && !u->stream->sent_all) {
        if (!u->stream->blocked)
            task_wake(&rig.loop.tasks, &u->task);
        return;
    }
leave:
    user_leave(u);
}

static void user_run(struct task *t)
{
    struct user *u = CONTAINER_OF(t, struct user, task);
    if (!u->gone && !scene.holds)
        user_act(u);
}

static enum err scene_accept(struct stream_acceptor *a, struct stream *s, void *listener)
{
    (void)a;
    (void)listener;
    if (scene.refuse)
        return ERR_NO_MEMORY;
    assert_true(scene.count < USERS_MAX);
    struct user *u = &scene.users[scene.count++];
    *u = (struct user){.stream = s};
    task_init(&u->task, user_run);
    arena_init(&u->arena, 1 << 20);
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

static void scene_on_accept(struct listener *ln, int fd)
{
    (void)ln;
    assert_true(h2_client_start(&rig.loop, fd, &scene.acceptor, NULL));
}

/* ---- the client ---- */

static void say_frame(uint8_t type, uint8_t flags, uint32_t id, const char *payload, uint32_t len)
{
    char head[H2_FRAME_HEAD_BYTES];
    h2_frame_write(head, &(struct h2_frame){len, id, type, flags});
    peer_say_bytes(head, sizeof head);
    if (len)
        peer_say_bytes(payload, len);
}

static void say_urgent(uint32_t id, const char *path, bool end, const char *priority)
{
    char block[256], *at = block;
    struct hpack_encoder *e = &scene.encoder;
    at += hpack_encode_begin(e, at);
    at += hpack_encode(e, at, FIELD_OTHER, SLICE(":method"), end ? SLICE("GET") : SLICE("POST"));
    at += hpack_encode(e, at, FIELD_OTHER, SLICE(":scheme"), SLICE("http"));
    at += hpack_encode(e, at, FIELD_OTHER, SLICE(":path"), slice_of(path));
    at += hpack_encode(e, at, FIELD_OTHER, SLICE(":authority"), SLICE("h"));
    if (priority)
        at += hpack_encode(e, at, FIELD_OTHER, SLICE("priority"), slice_of(priority));
    uint8_t flags = H2_FLAG_END_HEADERS | (end ? H2_FLAG_END_STREAM : 0);
    say_frame(H2_HEADERS, flags, id, block, (uint32_t)(at - block));
}

static void say_request(uint32_t id, const char *path, bool end)
{
    say_urgent(id, path, end, NULL);
}

static void say_hello(void)
{
    peer_say_bytes(h2_preface, H2_PREFACE_BYTES);
    say_frame(H2_SETTINGS, 0, 0, NULL, 0);
}

struct heard {
    unsigned heads, ends, resets, goaways, refused;
    uint32_t last_code, last_id; /* of GOAWAY */
    size_t data_bytes;
};

/* Counts what the peer has got; id 0: of all streams. */
static struct heard heard(uint32_t id)
{
    struct heard h = {0};
    struct h2_frame f;
    for (size_t at = 0; at + H2_FRAME_HEAD_BYTES <= peer.len; at += H2_FRAME_HEAD_BYTES + f.len) {
        h2_frame_read(peer.got + at, &f);
        const char *p = peer.got + at + H2_FRAME_HEAD_BYTES;
        if (id && f.stream != id)
            continue;
        h.heads += f.type == H2_HEADERS;
        h.data_bytes += f.type == H2_DATA ? f.len : 0;
        h.ends += (f.type == H2_HEADERS || f.type == H2_DATA) && f.flags & H2_FLAG_END_STREAM;
        h.resets += f.type == H2_RST_STREAM;
        h.refused += f.type == H2_RST_STREAM && h2_get32(p) == H2_REFUSED_STREAM;
        h.goaways += f.type == H2_GOAWAY;
        if (f.type == H2_GOAWAY) {
            h.last_id = h2_get32(p);
            h.last_code = h2_get32(p + 4);
        }
    }
    return h;
}

static void scene_open(const struct sim_faults *faults, uint64_t seed)
{
    memset(&scene, 0, sizeof scene);
    scene.acceptor.open = scene_accept;
    scene.acceptor.limits = scene_limits;
    list_init(&scene.acceptor.sessions);
    hpack_encoder_init(&scene.encoder);
    rig_open(faults, seed, scene_on_accept);
    peer.conn = conn_connect(&rig.loop, &rig.addr, &peer_ops, NULL);
    conn_recv(peer.conn);
}

static void scene_close(void)
{
    hpack_encoder_release(&scene.encoder);
    rig_close();
    assert_true(list_empty(&scene.acceptor.sessions));
    assert_int_equal(scene.done, scene.count);
    assert_int_equal(counter_get(&rig.counters, METRIC_CONNECTIONS_OPEN), 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_CONNECTIONS_IDLE), 0);
}

static int set_up(void **state)
{
    (void)state;
    scene_open(NULL, 1);
    say_hello();
    run_ms(5);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_close();
    return 0;
}

/* ---- cases ---- */

static void requests_are_answered(void **state)
{
    (void)state;
    say_request(1, "/10", true);
    say_request(3, "/0", true);
    say_request(5, "/40000", true);
    run_ms(20);
    assert_int_equal(heard(0).ends, 3);
    assert_int_equal(heard(5).data_bytes, 40000);
    assert_int_equal(heard(0).resets, 0);
    assert_int_equal(counter_get(&rig.counters, METRIC_CONNECTIONS_IDLE), 1);
    assert_int_equal(rig.loop.bufs.held_bytes, 0); /* an idle session holds no buffer */
}

static void bodies_are_read(void **state)
{
    static char data[16384];
    (void)state;
    say_request(1, "/2", false);
    for (int i = 0; i < 3; i++)
        say_frame(H2_DATA, 0, 1, data, sizeof data);
    run_ms(20);
    assert_int_equal(scene.users[0].read_bytes, 3 * sizeof data);
    assert_false(scene.users[0].req.starved); /* it is the client's turn */
    say_frame(H2_DATA, H2_FLAG_END_STREAM, 1, data, 10);
    run_ms(20);
    assert_int_equal(heard(1).ends, 1);
    assert_int_equal(scene.users[0].read_bytes, 3 * sizeof data + 10);
}

/* Nobody takes them yet: far more frames than a body has places for. */
static void small_frames_wait(void **state)
{
    (void)state;
    scene.holds = true;
    say_request(1, "/1", false);
    for (int i = 0; i < 3000; i++)
        say_frame(H2_DATA, 0, 1, "0123456789", 10);
    say_frame(H2_DATA, H2_FLAG_END_STREAM, 1, NULL, 0);
    run_ms(100);
    assert_int_equal(heard(0).goaways, 0);
    scene.holds = false;
    task_wake(&rig.loop.tasks, &scene.users[0].task);
    run_ms(20);
    assert_int_equal(scene.users[0].read_bytes, 30000);
    assert_int_equal(heard(1).ends, 1);
}

/* Its window shut, a stream waits; others go on; WINDOW_UPDATE frees it. */
static void windows_hold_back(void **state)
{
    (void)state;
    say_frame(H2_SETTINGS, 0, 0, "\0\4\0\0\0\144", 6);
    say_request(1, "/250", true);
    say_request(3, "/100", true);
    run_ms(20);
    assert_int_equal(heard(1).data_bytes, 100);
    assert_int_equal(heard(1).ends, 0);
    assert_int_equal(heard(3).ends, 1);
    say_frame(H2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4);
    run_ms(20);
    assert_int_equal(heard(1).data_bytes, 101);
    say_frame(H2_SETTINGS, 0, 0, "\0\4\0\0\3\350", 6); /* 1000 for all */
    run_ms(20);
    assert_int_equal(heard(1).ends, 1);
    assert_int_equal(heard(1).data_bytes, 250);
}

static void connection_window_holds_back(void **state)
{
    (void)state;
    say_request(1, "/60000", true);
    say_request(3, "/60000", true);
    run_ms(20);
    assert_int_equal(heard(0).data_bytes, H2_WINDOW_BYTES);
    say_frame(H2_WINDOW_UPDATE, 0, 0, "\0\1\0\0", 4);
    run_ms(20);
    assert_int_equal(heard(0).ends, 2);
    assert_int_equal(heard(0).data_bytes, 120000);
}

/* What the connection's window has room for goes to the most urgent, then in order. */
static void urgent_streams_go_first(void **state)
{
    (void)state;
    say_frame(H2_SETTINGS, 0, 0, "\0\4\0\x10\0\0", 6);
    say_urgent(1, "/90000", true, "u=5");
    run_ms(20);
    say_urgent(3, "/8000", true, "u=3");
    say_urgent(5, "/8000", true, "u=1");
    say_urgent(7, "/8000", true, "u=1");
    run_ms(20);
    assert_int_equal(heard(1).data_bytes, H2_WINDOW_BYTES);
    say_frame(H2_WINDOW_UPDATE, 0, 0, "\0\0\x1f\x40", 4); /* 8000 */
    run_ms(20);
    assert_int_equal(heard(5).ends, 1);
    say_frame(H2_WINDOW_UPDATE, 0, 0, "\0\0\x1f\x40", 4);
    run_ms(20);
    assert_int_equal(heard(7).ends, 1);
    assert_int_equal(heard(3).data_bytes, 0);
    say_frame(H2_PRIORITY_UPDATE, 0, 0, "\0\0\0\1u=0", 7); /* counts from its next turn on */
    say_frame(H2_WINDOW_UPDATE, 0, 0, "\0\1\0\0", 4);
    run_ms(20);
    assert_int_equal(heard(0).ends, 4);
}

/* Streams without a priority get about the same. */
static void others_share(void **state)
{
    (void)state;
    say_frame(H2_SETTINGS, 0, 0, "\0\4\0\x10\0\0", 6);
    say_frame(H2_WINDOW_UPDATE, 0, 0, "\0\7\0\0", 4);
    say_request(1, "/600000", true);
    say_request(3, "/600000", true);
    run_ms(300);
    assert_true(heard(0).data_bytes == 0x70000 + H2_WINDOW_BYTES);
    assert_true(heard(1).data_bytes > 100000 && heard(3).data_bytes > 100000);
}

static void more_streams_than_allowed_are_refused(void **state)
{
    (void)state;
    scene.holds = true;
    for (uint32_t i = 0; i < H2_STREAMS_MAX + 5; i++)
        say_request(2 * i + 1, "/1", true);
    run_ms(50);
    assert_int_equal(scene.count, H2_STREAMS_MAX);
    assert_int_equal(heard(0).refused, 5);
    scene.holds = false;
    for (int i = 0; i < scene.count; i++)
        task_wake(&rig.loop.tasks, &scene.users[i].task);
    run_ms(50);
    assert_int_equal(heard(0).ends, H2_STREAMS_MAX);
}

/* A stream that was reset counts as long as its user works on it. */
static void resets_do_not_make_room(void **state)
{
    (void)state;
    scene.holds = true;
    for (uint32_t i = 0; i < H2_STREAMS_MAX + 20; i++) {
        say_request(2 * i + 1, "/1", true);
        say_frame(H2_RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
    }
    run_ms(50);
    assert_int_equal(scene.count, H2_STREAMS_MAX);
    scene.holds = false;
    for (int i = 0; i < scene.count; i++)
        task_wake(&rig.loop.tasks, &scene.users[i].task);
    run_ms(50);
    assert_int_equal(scene.users[0].err, ERR_CLIENT_RESET);
}

static void no_user_means_refused(void **state)
{
    (void)state;
    scene.refuse = true;
    say_request(1, "/1", true);
    run_ms(20);
    assert_int_equal(heard(1).refused, 1);
    scene.refuse = false;
    say_request(3, "/1", true);
    run_ms(20);
    assert_int_equal(heard(3).ends, 1);
}

/* What fails without a request is reported by a user all the same. */
static void errors_are_reported(void **state)
{
    (void)state;
    say_frame(H2_DATA, 0, 1, "x", 1);
    run_ms(20);
    assert_int_equal(heard(0).last_code, H2_PROTOCOL_ERROR);
    assert_int_equal(scene.count, 1);
    assert_int_equal(scene.users[0].err, ERR_H2_PROTOCOL);
    assert_int_equal(counter_get(&rig.counters, METRIC_H2_PROTOCOL_ERRORS), 1);
    assert_true(peer.eof);
}

static void idle_connections_end(void **state)
{
    (void)state;
    say_request(1, "/1", true);
    run_ms(59000);
    assert_int_equal(heard(0).goaways, 0);
    run_ms(1500);
    assert_int_equal(heard(0).last_id, H2_STREAM_MAX);
    run_ms(1500); /* the PING is not answered */
    assert_int_equal(heard(0).last_id, 1);
    assert_int_equal(heard(0).last_code, H2_NO_ERROR);
    assert_true(peer.eof);
}

static void requests_are_limited(void **state)
{
    (void)state;
    rig.limits.requests_max = 3;
    for (uint32_t id = 1; id < 9; id += 2)
        say_request(id, "/1", true); /* the fourth was on its way */
    run_ms(20);
    assert_int_equal(heard(0).ends, 4);
    assert_int_equal(heard(0).goaways, 1);
    say_frame(H2_PING, H2_FLAG_ACK, 0, "weir end", 8);
    run_ms(20);
    assert_int_equal(heard(0).last_id, 7);
    assert_true(peer.eof);
}

static void old_connections_are_told(void **state)
{
    (void)state;
    rig.limits.age_ms = 5000;
    say_request(1, "/1", true);
    run_ms(3000);
    say_request(3, "/1", true);
    run_ms(20);
    assert_int_equal(heard(0).goaways, 0);
    run_ms(3000);
    say_request(5, "/1", true);
    run_ms(20);
    assert_int_equal(heard(5).ends, 1);
    assert_int_equal(heard(0).last_id, H2_STREAM_MAX);
}

/* The listener is gone, what is on its way is served. */
static void leaving_loses_nothing(void **state)
{
    (void)state;
    struct session_link *l = LIST_ENTRY(scene.acceptor.sessions.next, struct session_link, link);
    say_request(1, "/1", true);
    run_ms(20);
    l->ops->leave(l);
    run_ms(20);
    assert_int_equal(heard(0).last_id, H2_STREAM_MAX);
    say_request(3, "/1", true);
    run_ms(20);
    assert_int_equal(heard(3).ends, 1);
    say_frame(H2_PING, H2_FLAG_ACK, 0, "weir end", 8);
    run_ms(20);
    assert_int_equal(heard(0).last_id, 3);
    assert_true(peer.eof);
}

static void aborted_sessions_tell_their_streams(void **state)
{
    (void)state;
    scene.holds = true;
    say_request(1, "/1", true);
    run_ms(20);
    struct session_link *l = LIST_ENTRY(scene.acceptor.sessions.next, struct session_link, link);
    l->ops->abort(l);
    scene.holds = false;
    run_ms(20);
    assert_int_equal(scene.users[0].err, ERR_SHUTTING_DOWN);
    assert_true(peer.eof || peer.failed);
}

/* ---- faults ---- */

static void converse(void)
{
    static char data[700];
    say_hello();
    for (uint32_t i = 0; i < 12 && !peer.failed; i++) {
        char path[16];
        snprintf(path, sizeof path, "/%u", i * 3000);
        say_request(2 * i + 1, path, i % 3 != 0);
        for (unsigned k = 0; i % 3 == 0 && k < 4; k++)
            say_frame(H2_DATA, k == 3 ? H2_FLAG_END_STREAM : 0, 2 * i + 1, data, sizeof data);
        if (i % 5 == 4)
            say_frame(H2_RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
        say_frame(H2_WINDOW_UPDATE, 0, 0, "\0\1\0\0", 4);
    }
}

static void every_split_reads_the_same(void **state)
{
    static const struct sim_faults faults = {.split = 30000,
                                             .delay = 10000,
                                             .short_write = 20000,
                                             .delay_max_ms = 5,
                                             .window_bytes = 20000};
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        scene_open(&faults, seed);
        converse();
        run_ms(3000);
        struct heard h = heard(0);
        if (h.goaways || scene.count != 12 || h.ends < 10)
            fail_msg("seed %lu: %u ends, %d users", seed, h.ends, scene.count);
        scene_close();
    }
}

/* Whatever breaks when, everybody is told and nothing is left. */
static void resets_leave_nothing(void **state)
{
    static const struct sim_faults faults = {.split = 20000,
                                             .delay = 10000,
                                             .reset = 1500,
                                             .short_write = 20000,
                                             .no_buffer = 1000,
                                             .delay_max_ms = 5,
                                             .window_bytes = 20000};
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        scene_open(&faults, seed);
        if (!peer.failed)
            run_ms(20);
        scene.holds = seed % 2;
        if (!peer.failed) {
            say_hello();
            for (uint32_t i = 0; i < 6; i++) {
                if (!peer.failed && conn_out_room(peer.conn) > 8)
                    say_request(2 * i + 1, "/5000", true);
            }
        }
        run_ms(50);
        scene.holds = false;
        for (int i = 0; i < scene.count; i++)
            if (!scene.users[i].gone)
                task_wake(&rig.loop.tasks, &scene.users[i].task);
        run_ms(1000);
        scene_close();
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

UNIT_SUITE(h2_h2_client, CASE(requests_are_answered), CASE(bodies_are_read),
           CASE(small_frames_wait), CASE(windows_hold_back), CASE(connection_window_holds_back),
           CASE(urgent_streams_go_first), CASE(others_share),
           CASE(more_streams_than_allowed_are_refused), CASE(resets_do_not_make_room),
           CASE(no_user_means_refused), CASE(errors_are_reported), CASE(idle_connections_end),
           CASE(requests_are_limited), CASE(old_connections_are_told), CASE(leaving_loses_nothing),
           CASE(aborted_sessions_tell_their_streams), cmocka_unit_test(every_split_reads_the_same),
           cmocka_unit_test(resets_leave_nothing));
