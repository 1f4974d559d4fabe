/* grpc_web.c - the filter behind `grpc_web`: gRPC-Web of browsers becomes gRPC, and back.
 *
 * Browsers can not read trailers, so gRPC-Web sends them as a last frame of the body; its text form
 * is base64 of the same, for those that can not read bytes either. Messages themselves are the same
 * in both, so a body in the binary form passes as it is but for that frame. Calls that are no
 * gRPC-Web, and answers that are no gRPC, are left alone. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc_web.h"
#include "http/grpc.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/transform.h"

struct web_conf {
    struct conf_pos pos;
};

struct web_state {
    enum grpc_web_mode mode;
    struct transform request, response;
    struct grpc_web_decoder decoder;
};

static struct web_state *of_request(struct transform *t)
{
    return CONTAINER_OF(t, struct web_state, request);
}

static struct web_state *of_response(struct transform *t)
{
    return CONTAINER_OF(t, struct web_state, response);
}

/* --- the request ------------------------------------------------------------------------------ */

static enum err decode(struct transform *t, struct slice *in)
{
    while (in->len > 0 && transform_has_room(t)) {
        size_t room, len = 0;
        char *to = transform_reserve(t, GRPC_WEB_GROUP_BYTES, &room);
        if (!to)
            return ERR_NO_BUFFERS;
        TRY(grpc_web_decode(&of_request(t)->decoder, in, to, room, &len));
        TRY(transform_push(t, len));
    }
    return ERR_OK;
}

static enum err decode_end(struct transform *t, struct headers *trailers)
{
    (void)trailers; /* gRPC has none in requests */
    return grpc_web_decoded_whole(&of_request(t)->decoder) ? ERR_OK : ERR_BAD_GRPC_WEB;
}

static const struct transform_ops DECODE = {.run = decode, .end = decode_end};

static enum err type_set(struct exchange *x, struct headers *h, struct slice name,
                         struct slice rest)
{
    struct slice type = ARENA_CONCAT(&x->arena, name, rest);
    if (!type.at)
        return ERR_OVER_BUDGET;
    headers_del_id(h, FIELD_CONTENT_TYPE);
    return headers_add_id(h, &x->arena, FIELD_CONTENT_TYPE, type);
}

/* gRPC's servers insist on TE. */
static enum err become_grpc(struct exchange *x, struct web_state *s, struct slice rest)
{
    struct headers *h = &x->req.headers;
    TRY(type_set(x, h, SLICE("application/grpc"), rest));
    headers_del_id(h, FIELD_TE);
    TRY(headers_add_id(h, &x->arena, FIELD_TE, SLICE("trailers")));
    transform_response_wanted(x);
    if (s->mode != GRPC_WEB_TEXT || x->req.length == LENGTH_NONE)
        return ERR_OK;
    headers_del_id(h, FIELD_CONTENT_LENGTH);
    x->req.length = LENGTH_UNKNOWN;
    transform_request(x, &s->request, &DECODE);
    return ERR_OK;
}

static enum verdict web_request(struct exchange *x, const void *conf, void *state)
{
    struct web_state *s = state;
    struct slice rest;
    (void)conf;
    s->mode = grpc_web_mode_of(headers_get(&x->req.headers, FIELD_CONTENT_TYPE), &rest);
    if (s->mode == GRPC_WEB_NOT)
        return PASS;
    enum err e = become_grpc(x, s, rest);
    if (e == ERR_OK)
        return PASS;
    x->err = e;
    return FAILED;
}

/* --- the response ----------------------------------------------------------------------------- */

/* Every piece for itself: a stream must not wait for the bytes that would make a group whole. */
static enum err encode(struct transform *t, struct slice *in)
{
    while (in->len > 0 && transform_has_room(t)) {
        size_t room;
        char *to = transform_reserve(t, GRPC_WEB_GROUP_TEXT_BYTES, &room);
        if (!to)
            return ERR_NO_BUFFERS;
        size_t groups = room / GRPC_WEB_GROUP_TEXT_BYTES;
        struct slice part = slice_head(*in, groups * GRPC_WEB_GROUP_BYTES);
        *in = slice_from(*in, part.len);
        TRY(transform_push(t, grpc_web_encode(to, part)));
    }
    return ERR_OK;
}

/* In one piece, for there may be no room for a second one: trailers have a limit far below. */
static enum err frame_push(struct transform *t, struct slice frame, bool text)
{
    size_t room, groups = (frame.len + GRPC_WEB_GROUP_BYTES - 1) / GRPC_WEB_GROUP_BYTES;
    size_t len = text ? groups * GRPC_WEB_GROUP_TEXT_BYTES : frame.len;
    if (len > TRANSFORM_RESERVE_MAX_BYTES)
        return ERR_OVER_BUDGET;
    char *to = transform_reserve(t, len, &room);
    if (!to)
        return ERR_NO_BUFFERS;
    if (text)
        grpc_web_encode(to, frame);
    else
        memcpy(to, frame.at, len);
    return transform_push(t, len);
}

/* Without trailers there is no status: the client will say so better than we could. */
static enum err trailers_end(struct transform *t, struct headers *trailers)
{
    if (!trailers)
        return ERR_OK;
    size_t len = grpc_web_trailers_bytes(trailers);
    char *at = arena_alloc(&t->x->arena, len);
    if (!at)
        return ERR_OVER_BUDGET;
    grpc_web_trailers_write(at, trailers);
    return frame_push(t, (struct slice){at, len}, of_response(t)->mode == GRPC_WEB_TEXT);
}

static const struct transform_ops TEXT = {.run = encode, .end = trailers_end};
static const struct transform_ops BINARY = {.end = trailers_end};

static bool has_body(const struct message *m)
{
    return m->length == LENGTH_UNKNOWN || (m->length == LENGTH_KNOWN && m->content_length > 0);
}

/* A status in the head alone stays there. */
static enum err become_web(struct exchange *x, struct web_state *s, struct slice rest)
{
    bool text = s->mode == GRPC_WEB_TEXT;
    struct slice name = text ? SLICE("application/grpc-web-text") : SLICE("application/grpc-web");
    TRY(type_set(x, &x->res.headers, name, rest));
    headers_del_id(&x->res.headers, FIELD_TRAILER);
    if (!has_body(&x->res))
        return ERR_OK;
    headers_del_id(&x->res.headers, FIELD_CONTENT_LENGTH);
    x->res.length = LENGTH_UNKNOWN;
    if (!x->dry)
        transform_response(x, &s->response, text ? &TEXT : &BINARY);
    return ERR_OK;
}

static enum verdict web_response(struct exchange *x, const void *conf, void *state)
{
    struct web_state *s = state;
    struct slice type = headers_get(&x->res.headers, FIELD_CONTENT_TYPE);
    (void)conf;
    if (s->mode == GRPC_WEB_NOT || !grpc_is_type(type))
        return PASS;
    enum err e = become_web(x, s, slice_from(type, sizeof("application/grpc") - 1));
    if (e == ERR_OK)
        return PASS; /* x->err stays: the answer may be that of an error */
    x->err = e;
    return FAILED;
}

/* --- the directive ---------------------------------------------------------------------------- */

static void web_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct web_conf *c = scope;
    (void)b;
    c->pos = n->pos;
}

static void web_explain(const void *conf, struct explain *e)
{
    const struct web_conf *c = conf;
    explain_line(e, "grpc_web", c->pos, "%s", "");
}

static const struct directive web_rows[] = {
    {.name = "grpc_web",
     .where = IN_POLICY,
     .apply = web_apply,
     .usage = "",
     .text = "Turns calls of gRPC-Web, which browsers make over any version of HTTP, into gRPC and "
             "answers back, in its binary and its text form. The servers need HTTP/2 (`proto h2c`, "
             "or `h2` with TLS). Other requests pass as they are.",
     .example = "grpc_web"},
    {0},
};

/* First among all: the others see a call of gRPC. Last on the way back. */
const struct filter_type filter_grpc_web = {
    .name = "grpc_web",
    .stage = STAGE_EARLY,
    .directives = web_rows,
    .conf_bytes = sizeof(struct web_conf),
    .state_bytes = sizeof(struct web_state),
    .on_request = web_request,
    .on_response = web_response,
    .explain = web_explain,
};
