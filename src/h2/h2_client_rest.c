/* h2_client_rest.c - what is still to come of a request whose answer is out whole.
 *
 * A stream that lacks only a little of a body of known length is not reset: a client that is busy
 * sending it would have to tell such a reset from an error. It is read and dropped, for as long as
 * a lingering close would take. */
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

/* Nothing is known of a body without length; one that waits for a 100 will not come. */
static bool is_small(const struct h2_client *h)
{
    const struct h2_session *s = h->session;
    return h->flow.listed && h->flow.counts && h->flow.length_left <= REST_MAX_BYTES &&
           h->waits_for_nothing && !s->failed && !s->lost && !s->eof;
}

bool h2_client_rest_begin(struct h2_client *h)
{
    struct h2_session *s = h->session;
    if (!h->stream.sent_all || !is_small(h))
        return false;
    h->rest = true;
    h2_core_consumed(&s->core, &h->flow, h->flow.held_bytes);
    list_push(&s->rests, &h->link);
    h->rest_timer.fire = on_timer;
    timer_set(&loop_of(s)->timers, &h->rest_timer, loop_of(s)->now_ms + limits_of(s)->linger_ms);
    return true;
}

/* Its length is known to the core, which lets no more of it through. */
void h2_client_rest_event(struct h2_client *h, const struct h2_event *ev)
{
    if (ev->kind == H2_EV_DATA)
        h2_core_consumed(&h->session->core, &h->flow, (uint32_t)ev->bytes.len);
    if (!h->flow.listed)
        h2_client_free(h);
}

void h2_session_rests_drop(struct h2_session *s)
{
    LIST_EACH_SAFE (l, &s->rests)
        rest_end(LIST_ENTRY(l, struct h2_client, link));
}
