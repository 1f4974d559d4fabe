/* h2_client_rest.c - what is still to come of a request whose answer is out whole.
 *
 * A stream that may lack only a little of its body is not reset: a client that is busy sending it
 * would have to tell such a reset from an error. It is read and dropped, up to a size and for as
 * long as a lingering close would take, and still judged: what is malformed in it is the stream's
 * error. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_client_priv.h"

enum { REST_MAX_BYTES = 65536 };

void h2_client_free(struct h2_client *h)
{
    struct h2_session *s = h->session;
    timer_stop(&loop_of(s)->timers, &h->rest_timer);
    list_remove(&h->link);
    h2_core_close(&s->core, &h->flow);
    loop_block_give(loop_of(s), LOOP_BLOCK_SMALL, h);
}

static void rest_end(struct h2_client *h)
{
    h->session->core.now_ms = loop_of(h->session)->now_ms;
    h2_core_reset(&h->session->core, &h->flow, H2_NO_ERROR);
    h2_client_free(h);
}

static void on_timer(struct timer *t)
{
    rest_end(CONTAINER_OF(t, struct h2_client, rest_timer));
}

/* What waits for a 100 will not come. */
static bool is_small(const struct h2_client *h)
{
    const struct h2_session *s = h->session;
    bool large = h->flow.counts && h->flow.length_left > REST_MAX_BYTES;
    return h->flow.listed && !large && h->waits_for_nothing && !h->tunnel && !s->failed &&
           !s->out.lost && !s->eof;
}

bool h2_client_rest_begin(struct h2_client *h)
{
    struct h2_session *s = h->session;
    if (!h->stream.sent_all || !is_small(h))
        return false;
    h->rest = true;
    h->left = 0; /* from now on: what has come of it */
    h2_core_consumed(&s->core, &h->flow, h->flow.held_bytes);
    list_push(&s->rests, &h->link);
    h->rest_timer.fire = on_timer;
    timer_set(&loop_of(s)->timers, &h->rest_timer, loop_of(s)->now_ms + limits_of(s)->linger_ms);
    return true;
}

/* Trailers that nobody gets are read all the same. True: they are malformed. */
static bool trailers_are_bad(struct h2_client *h, const struct h2_event *ev, enum err *e)
{
    struct h2_session *s = h->session;
    struct headers none = {0};
    struct arena a;
    arena_init(&a, REST_MAX_BYTES);
    struct h2_fields f = {.headers = &none, .arena = &a, .limits = limits_of(s), .trailers = true};
    *e = hpack_decode(&s->core.decoder, ev->bytes, f.limits->trailer_bytes, &a, h2_fields_take, &f);
    arena_release(&a);
    return !ev->nowhere && err_row(*e)->status == 400;
}

static void rest_headers(struct h2_client *h, const struct h2_event *ev)
{
    struct h2_session *s = h->session;
    enum err e;
    bool bad = trailers_are_bad(h, ev, &e);
    if (hpack_is_fatal(e))
        h2_session_fail_block(s, e);
    else if (bad && h2_core_take(&s->core, H2_LIMIT_MADE_RESETS, 1, &e))
        h2_session_fail(s, e, H2_ENHANCE_YOUR_CALM);
    else if (bad) /* both sides have ended it by now; it is told all the same */
        h2_core_refuse(&s->core, h->flow.id, H2_PROTOCOL_ERROR);
}

static void rest_data(struct h2_client *h, uint32_t len)
{
    struct h2_core *c = &h->session->core;
    h->left += len;
    h2_core_consumed(c, &h->flow, len);
    if (h->left > REST_MAX_BYTES)
        h2_core_reset(c, &h->flow, H2_NO_ERROR);
}

void h2_client_rest_event(struct h2_client *h, const struct h2_event *ev)
{
    if (ev->kind == H2_EV_HEADERS)
        rest_headers(h, ev);
    else if (ev->kind == H2_EV_DATA)
        rest_data(h, (uint32_t)ev->bytes.len);
    if (!h->flow.listed)
        h2_client_free(h);
}

void h2_session_rests_drop(struct h2_session *s)
{
    LIST_EACH_SAFE (l, &s->rests)
        rest_end(LIST_ENTRY(l, struct h2_client, link));
}
