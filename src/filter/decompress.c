/* decompress.c - the filter behind `decompress`: answers in a coding that the client does not take
 * are decoded on their way.
 *
 * What the client takes is read before any filter can edit it; a client that names no coding takes
 * none. On the way back this filter comes right before `compress`, so that an answer can leave in
 * another coding than it came in. Left alone are parts (206), several codings one over the other,
 * and what may not be transformed. What comes out is limited by its size and by its ratio to what
 * went in; past a limit the answer breaks off. */
// SPDX-License-Identifier: Apache-2.0
#include "codec/decoder.h"
#include "http/coding.h"
#include "http/recode.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/transform.h"

enum { TURN_BYTES = 64 << 10, RESERVE_BYTES = 4096 };

struct decompress_conf {
    int64_t max_bytes, ratio;
    struct conf_pos pos;
};

struct decompress_state {
    struct transform transform;
    struct slice tags; /* If-None-Match, as the client sent it; .at NULL: none */
    struct decoder *decoder;
    bool asked;               /* on_request() was here */
    bool takes[CODING_COUNT]; /* the client does */
    bool pending;             /* there may be more to come out of what went in */
};

/* --- the body --------------------------------------------------------------------------------- */

static enum err decode_some(struct transform *t, struct slice *in)
{
    struct decompress_state *s = CONTAINER_OF(t, struct decompress_state, transform);
    struct decoder_out out;
    out.to = transform_reserve(t, RESERVE_BYTES, &out.room);
    if (!out.to)
        return ERR_NO_BUFFERS;
    TRY(decoder_run(s->decoder, in, &out));
    s->pending = out.len == out.room;
    return transform_push(t, out.len);
}

static enum err decode(struct transform *t, struct slice *in)
{
    const struct decompress_state *s = CONTAINER_OF(t, struct decompress_state, transform);
    while ((in->len > 0 || s->pending) && transform_has_room(t))
        TRY(decode_some(t, in));
    return ERR_OK;
}

static enum err decode_pause(struct transform *t)
{
    struct slice none = SLICE("");
    const struct decompress_state *s = CONTAINER_OF(t, struct decompress_state, transform);
    TRY(decode(t, &none));
    t->unfinished = s->pending;
    return ERR_OK;
}

static enum err decode_end(struct transform *t, struct headers *trailers)
{
    const struct decompress_state *s = CONTAINER_OF(t, struct decompress_state, transform);
    TRY(decode_pause(t));
    if (!t->unfinished && !decoder_is_whole(s->decoder))
        return ERR_BAD_CODING;
    t->out.trailers = trailers;
    return ERR_OK;
}

static const struct transform_ops DECODE = {
    .run = decode, .end = decode_end, .pause = decode_pause, .turn_bytes = TURN_BYTES};

/* --- the hooks -------------------------------------------------------------------------------- */

static const struct decoder_type *const decoders[CODING_COUNT] = {
    [CODING_GZIP] = &decoder_gzip, [CODING_ZSTD] = &decoder_zstd, [CODING_BR] = &decoder_br};

static void let_go(struct decompress_state *s)
{
    if (s->decoder)
        decoder_drop(s->decoder);
    s->decoder = NULL;
}

/* The one that it is in; CODING_COUNT: none, several, or one that is not known here. */
static enum coding coding_of(const struct exchange *x)
{
    const struct headers *h = &x->res.headers;
    struct header *first = headers_find(h, FIELD_CONTENT_ENCODING);
    if (!first || headers_next(h, first))
        return CODING_COUNT;
    enum coding c = coding_find(slice_trim(first->value));
    return c < CODING_COUNT && decoders[c] ? c : CODING_COUNT;
}

static bool may_be_decoded(const struct exchange *x)
{
    const struct headers *h = &x->res.headers;
    return status_has_body(x->res.status) && x->res.status != 206 &&
           x->req.method != METHOD_CONNECT && !headers_find(h, FIELD_CONTENT_RANGE) &&
           recode_is_allowed(&x->req.headers, h);
}

static enum err head_edit(struct exchange *x)
{
    struct headers *h = &x->res.headers;
    TRY(recode_fields(h, &x->arena));
    headers_del_id(h, FIELD_CONTENT_ENCODING);
    if (x->res.length == LENGTH_KNOWN)
        x->res.length = LENGTH_UNKNOWN;
    return ERR_OK;
}

static enum err become_plain(struct exchange *x, const struct decompress_conf *c,
                             struct decompress_state *s, enum coding coding)
{
    struct decoder_plan plan = {(uint64_t)c->max_bytes, (uint32_t)c->ratio};
    bool head = x->req.method == METHOD_HEAD;
    bool empty = x->res.length == LENGTH_NONE ||
                 (x->res.length == LENGTH_KNOWN && x->res.content_length == 0);
    if (empty && !head)
        return ERR_OK;
    TRY(head_edit(x));
    if (x->dry || head)
        return ERR_OK;
    s->decoder = decoder_take(decoders[coding], &plan);
    if (!s->decoder)
        return ERR_NO_MEMORY;
    s->pending = false;
    transform_response(x, &s->transform, &DECODE);
    return ERR_OK;
}

static enum err respond(struct exchange *x, const struct decompress_conf *c,
                        struct decompress_state *s)
{
    let_go(s); /* of an answer that another one has taken the place of */
    if (x->res.status == 304)
        return recode_not_modified(s->tags, &x->res.headers, &x->arena);
    enum coding coding = coding_of(x);
    if (coding == CODING_COUNT || !may_be_decoded(x))
        return ERR_OK;
    TRY(recode_vary(&x->res.headers, &x->arena));
    return s->takes[coding] ? ERR_OK : become_plain(x, c, s, coding);
}

static enum verdict decompress_request(struct exchange *x, const void *conf, void *state)
{
    (void)conf;
    struct decompress_state *s = state;
    struct coding_weights w;
    s->asked = true;
    s->tags = headers_join(&x->req.headers, &x->arena, FIELD_IF_NONE_MATCH);
    struct slice accept = headers_join(&x->req.headers, &x->arena, FIELD_ACCEPT_ENCODING);
    coding_weights_parse(accept, &w);
    bool takes_all = true;
    for (unsigned c = 0; c < CODING_COUNT; c++) {
        s->takes[c] = w.of[c] > 0;
        takes_all = takes_all && (s->takes[c] || !decoders[c]);
    }
    if (!takes_all)
        transform_response_wanted(x);
    return PASS;
}

static enum verdict decompress_response(struct exchange *x, const void *conf, void *state)
{
    struct decompress_state *s = state;
    if (!s->asked)
        return PASS;
    enum err e = respond(x, conf, s);
    if (e == ERR_OK)
        return PASS; /* x->err stays: the answer may be that of an error */
    x->err = e;
    return FAILED;
}

static void decompress_finish(struct exchange *x, const void *conf, void *state)
{
    (void)x;
    (void)conf;
    let_go(state);
}

/* --- the directive ---------------------------------------------------------------------------- */

#define FIELD(name) offsetof(struct decompress_conf, name)

static const struct directive decompress_options[] = {
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .off_ok = true,
     .min = 1,
     .max = 1LL << 50,
     .offset = FIELD(max_bytes),
     .def = "1g",
     .usage = "SIZE|off",
     .text = "The most that may come out of one answer; past it, it breaks off."},
    {.name = "ratio",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .min = 1,
     .max = 1000000,
     .offset = FIELD(ratio),
     .def = "200",
     .usage = "N",
     .text = "The most bytes that may come out for one that goes in, counted from 1 MB on. Text "
             "has 3 to 20; what was made to exhaust whoever decodes it 1,000 and more."},
    {0},
};

static void decompress_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct decompress_conf *c = scope;
    *c = (struct decompress_conf){.pos = n->pos};
    conf_options(b, n, c);
    if (c->max_bytes < 0) /* off */
        c->max_bytes = 0;
}

static void decompress_explain(const void *conf, struct explain *e)
{
    const struct decompress_conf *c = conf;
    explain_line(e, "decompress", c->pos, "max=%lld ratio=%lld", (long long)c->max_bytes,
                 (long long)c->ratio);
}

static const struct directive decompress_rows[] = {
    {.name = "decompress",
     .where = IN_POLICY,
     .args_min = 0,
     .args_max = 0,
     .options = decompress_options,
     .apply = decompress_apply,
     .usage = "",
     .text = "Decodes answers in gzip, zstd or br for clients that do not take that coding. Beside "
             "`compress` they get one that they take. Parts (206), several codings one over the "
             "other, and answers with `Cache-Control: no-transform` stay as they are.",
     .example = "decompress max=100m"},
    {0},
};

/* Behind `compress` by its name: on the way back it comes before. */
const struct filter_type filter_decompress = {
    .name = "decompress",
    .stage = STAGE_EARLY,
    .directives = decompress_rows,
    .conf_bytes = sizeof(struct decompress_conf),
    .state_bytes = sizeof(struct decompress_state),
    .on_request = decompress_request,
    .on_response = decompress_response,
    .on_finish = decompress_finish,
    .explain = decompress_explain,
};
