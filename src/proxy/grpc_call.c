/* grpc_call.c - requests that are calls of gRPC: their deadlines, and answers made here.
 *
 * What weir answers by itself is a status of gRPC in a head alone ("trailers-only"), which every
 * client of it understands, in the place of a page. Everything else about gRPC is HTTP/2: streams
 * both ways and trailers, which are the engines' business. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "conf/directive.h"
#include "http/grpc.h"
#include "proxy/exchange_priv.h"

enum { MESSAGE_MAX_BYTES = 512, DEADLINE_MAX_MS = INT32_MAX /* 24 days */ };

/* Calls are POSTs. Anything else with that type is no call: or whoever asks for a page by GET could
 * have its error made a 200, which caches between him and weir might keep for all. */
bool grpc_call_is(const struct exchange *x)
{
    return x->req.method == METHOD_POST &&
           grpc_is_type(headers_get(&x->req.headers, FIELD_CONTENT_TYPE));
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Texts of the configuration often end a line. */
static struct slice line_end_cut(struct slice s)
{
    while (s.len > 0 && (s.at[s.len - 1] == '\n' || s.at[s.len - 1] == '\r'))
        s.len--;
    return s;
}

static enum err message_add(struct exchange *x, struct slice text)
{
    text = slice_trim(slice_head(line_end_cut(text), MESSAGE_MAX_BYTES));
    if (text.len == 0)
        return ERR_OK;
    char *to = arena_alloc(&x->arena, text.len * 3);
    if (!to)
        return ERR_OVER_BUDGET;
    struct slice message = {to, grpc_message_write(to, text)};
    return headers_add_id(&x->res.headers, &x->arena, FIELD_GRPC_MESSAGE, message);
}

enum err grpc_call_answer(struct exchange *x, enum grpc_status status, struct slice text)
{
    char digits[NUM_U64_MAX_BYTES];
    struct slice number =
        arena_dup(&x->arena, (struct slice){digits, num_write_u64(digits, status)});
    if (!number.at)
        return ERR_OVER_BUDGET;
    TRY(respond_plain(x, 200, SLICE("application/grpc"), SLICE("")));
    x->res.length = LENGTH_NONE;
    TRY(headers_add_id(&x->res.headers, &x->arena, FIELD_GRPC_STATUS, number));
    return message_add(x, text);
}

/* A text that people wrote says more than the status; a page in HTML is not for a message. */
enum err grpc_call_respond(struct exchange *x, uint16_t status, struct slice type,
                           struct slice body)
{
    bool readable = body.len > 0 && slice_starts(type, SLICE("text/plain"));
    return grpc_call_answer(x, grpc_status_of_http(status),
                            readable ? body : status_reason(status));
}

/* --- deadlines -------------------------------------------------------------------------------- */

void grpc_call_begin(struct exchange *x, int64_t head_ms)
{
    int64_t ms;
    struct slice value = headers_get(&x->req.headers, FIELD_GRPC_TIMEOUT);
    if (!value.at || grpc_timeout_parse(value, &ms) != ERR_OK)
        return;
    x->grpc_deadline_ms = head_ms + (ms < DEADLINE_MAX_MS ? ms : DEADLINE_MAX_MS);
}

/* Whichever comes first, so that no server works on for nobody; what is left of it by now. */
enum err grpc_call_pass_deadline(struct exchange *x)
{
    char text[GRPC_TIMEOUT_BYTES];
    if (x->grpc_deadline_ms == 0)
        return ERR_OK;
    int64_t left_ms = total_ends_ms(x) - x->worker->loop.now_ms;
    struct slice value =
        arena_dup(&x->arena, (struct slice){text, grpc_timeout_write(text, left_ms)});
    if (!value.at)
        return ERR_OVER_BUDGET;
    headers_del_id(&x->req.headers, FIELD_GRPC_TIMEOUT);
    return headers_add_id(&x->req.headers, &x->arena, FIELD_GRPC_TIMEOUT, value);
}
