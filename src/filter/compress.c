/* compress.c - the filter behind `compress`: bodies that are worth it go out in a coding that the
 * client takes.
 *
 * What the client takes is read before any filter can edit it, and the response is looked at after
 * all others have. Left alone is what is coded already, a part (206), what may not be transformed
 * (no-transform, digests of the content), and what is small or of a type that does not get smaller.
 * The body goes through an encoder in pieces, in turns short enough for the others of the worker; a
 * server that pauses gets what it sent so far to the client. When the worker's encoders are all in
 * use the answer goes out as it is.
 *
 * Who keeps answers keeps their forms, too (proxy/coded.h): one that is there costs no encoder, and
 * one that will be kept may cost more. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/rand.h"
#include "codec/encoder.h"
#include "http/coding.h"
#include "http/grpc.h"
#include "http/recode.h"
#include "proxy/build.h"
#include "proxy/coded.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/transform.h"

enum {
    TURN_BYTES = 64 << 10,
    BR_TURN_BYTES = 16 << 10,
    TYPES_MAX = 64,
    HOT_USES = 3 /* of a stored answer: a costly form of it pays */
};

struct compress_conf {
    int64_t effort, min_bytes, padding_bytes;
    struct slice types;
    struct slice patterns[TYPES_MAX];
    uint32_t pattern_count;
    uint8_t codings[CODING_COUNT]; /* in the order of preference */
    uint32_t coding_count;
    uint8_t kept_codings[CODING_COUNT]; /* the same for forms that are kept */
    uint32_t kept_count;
    struct conf_pos pos;
};

struct compress_state {
    struct transform transform;
    struct encoder *encoder;
    struct slice tags;   /* If-None-Match, as the client sent it; .at NULL: none */
    uint8_t coding;      /* enum coding: what the client gets usually */
    uint8_t kept_coding; /* where forms are kept */
    uint8_t form;        /* of the answer at hand */
    bool asked;          /* on_request() was here */
    bool claimed;        /* it makes a form that is to be kept */
    bool flushing;       /* a flush has begun and is not out */
};

static struct compress_state *state_of(struct transform *t)
{
    return CONTAINER_OF(t, struct compress_state, transform);
}

/* --- the body --------------------------------------------------------------------------------- */

static enum err encode_some(struct transform *t, struct slice *in, enum encoder_op op, bool *done)
{
    struct encoder_out out;
    out.to = transform_reserve(t, ENCODER_ROOM_MIN_BYTES, &out.room);
    if (!out.to)
        return ERR_NO_BUFFERS;
    TRY(encoder_run(state_of(t)->encoder, in, op, &out));
    *done = out.done;
    return transform_push(t, out.len);
}

/* *done: all is out, there was room for it. */
static enum err drain(struct transform *t, enum encoder_op op, bool *done)
{
    struct slice none = SLICE("");
    *done = false;
    while (!*done && transform_has_room(t))
        TRY(encode_some(t, &none, op, done));
    return ERR_OK;
}

static enum err flush(struct transform *t)
{
    bool done;
    TRY(drain(t, ENCODER_FLUSH, &done));
    state_of(t)->flushing = !done;
    return ERR_OK;
}

static enum err encode(struct transform *t, struct slice *in)
{
    bool done;
    if (state_of(t)->flushing)
        TRY(flush(t));
    while (in->len > 0 && transform_has_room(t))
        TRY(encode_some(t, in, ENCODER_GO, &done));
    return ERR_OK;
}

static enum err encode_pause(struct transform *t)
{
    TRY(flush(t));
    t->unfinished = state_of(t)->flushing;
    return ERR_OK;
}

static enum err encode_end(struct transform *t, struct headers *trailers)
{
    bool done;
    if (state_of(t)->flushing)
        TRY(flush(t));
    TRY(drain(t, ENCODER_END, &done));
    t->unfinished = !done;
    t->out.trailers = trailers;
    return ERR_OK;
}

static const struct transform_ops ENCODE = {
    .run = encode, .end = encode_end, .pause = encode_pause, .turn_bytes = TURN_BYTES};
static const struct transform_ops ENCODE_BR = {
    .run = encode, .end = encode_end, .pause = encode_pause, .turn_bytes = BR_TURN_BYTES};

/* --- may it be coded? ------------------------------------------------------------------------- */

static bool type_is_due(const struct compress_conf *c, struct slice type)
{
    if (media_type_matches(SLICE("multipart/*"), type) || grpc_is_type(type))
        return false;
    for (uint32_t i = 0; i < c->pattern_count; i++)
        if (media_type_matches(c->patterns[i], type))
            return true;
    return false;
}

/* The answer to HEAD tells the length of that to GET. */
static uint64_t size_of(const struct exchange *x)
{
    uint64_t bytes;
    if (x->res.length == LENGTH_KNOWN)
        return x->res.content_length;
    struct slice text = headers_get(&x->res.headers, FIELD_CONTENT_LENGTH);
    bool told = x->res.length == LENGTH_NONE && text.at;
    return told && num_parse_u64(text, &bytes) == ERR_OK ? bytes : ENCODER_SIZE_UNKNOWN;
}

static bool size_is_due(const struct compress_conf *c, const struct exchange *x)
{
    bool head = x->req.method == METHOD_HEAD;
    if (x->res.length == LENGTH_NONE && !head)
        return false;
    uint64_t bytes = size_of(x);
    return bytes > 0 && bytes >= (uint64_t)c->min_bytes;
}

static bool may_be_coded(const struct compress_conf *c, const struct exchange *x)
{
    const struct headers *h = &x->res.headers;
    return status_has_body(x->res.status) && x->res.status != 206 &&
           x->req.method != METHOD_CONNECT && !headers_find(h, FIELD_CONTENT_ENCODING) &&
           !headers_find(h, FIELD_CONTENT_RANGE) &&
           type_is_due(c, headers_get(h, FIELD_CONTENT_TYPE)) && size_is_due(c, x) &&
           recode_is_allowed(&x->req.headers, h);
}

/* --- the head --------------------------------------------------------------------------------- */

static enum err head_edit(struct exchange *x, enum coding coding)
{
    struct headers *h = &x->res.headers;
    TRY(recode_fields(h, &x->arena));
    return headers_add_id(h, &x->arena, FIELD_CONTENT_ENCODING, coding_name(coding));
}

static void length_forget(struct exchange *x)
{
    if (x->res.length == LENGTH_KNOWN)
        x->res.length = LENGTH_UNKNOWN;
}

/* --- forms that are kept ---------------------------------------------------------------------- */

static bool has_body_now(const struct exchange *x)
{
    return !x->dry && x->req.method != METHOD_HEAD;
}

static bool form_find(struct exchange *x, struct compress_state *s, uint8_t coding)
{
    if (coding == CODING_IDENTITY || !coded_find(x, coding))
        return false;
    s->form = coding;
    return true;
}

static bool form_claim(struct exchange *x, struct compress_state *s, uint8_t coding)
{
    if (coding == CODING_IDENTITY || !has_body_now(x) || !coded_claim(x, coding))
        return false;
    s->form = coding;
    s->claimed = true;
    return true;
}

/* Is the best form worth making? A costly one is when the answer is asked for often, or the client
 * takes no other and is not the first. */
static bool is_worth_it(const struct exchange *x, const struct compress_state *s)
{
    if (s->coding == s->kept_coding)
        return true;
    if (loop_is_crowded(&x->worker->loop))
        return false;
    return coded_uses(x) >= (s->coding == CODING_IDENTITY ? 1 : HOT_USES);
}

/* True: the body is a kept form already. Otherwise s->form is the one to make. */
static bool form_choose(struct exchange *x, const struct compress_conf *c, struct compress_state *s)
{
    if (c->padding_bytes > 0) /* each answer has its own */
        return false;
    if (form_find(x, s, s->kept_coding))
        return true;
    if (is_worth_it(x, s) && form_claim(x, s, s->kept_coding))
        return false;
    if (s->coding == s->kept_coding)
        return false;
    if (form_find(x, s, s->coding))
        return true;
    form_claim(x, s, s->coding);
    return false;
}

/* --- the hooks -------------------------------------------------------------------------------- */

static const struct encoder_type *const encoders[CODING_COUNT] = {
    [CODING_GZIP] = &encoder_gzip, [CODING_ZSTD] = &encoder_zstd, [CODING_BR] = &encoder_br};

static void let_go(struct compress_state *s)
{
    if (s->encoder)
        encoder_drop(s->encoder);
    s->encoder = NULL;
}

static uint8_t padding_of(const struct compress_conf *c)
{
    uint8_t random;
    if (c->padding_bytes == 0)
        return 0;
    rand_secret(&random, sizeof random);
    return (uint8_t)(random % (c->padding_bytes + 1));
}

/* One step less when the worker can not keep up: a reply a little larger serves its client better
 * than one that waits. Not for a form that others will get, and one that many will is worth more.
 */
static uint8_t effort_of(const struct compress_conf *c, const struct compress_state *s,
                         const struct exchange *x)
{
    if (s->claimed)
        return s->form == s->coding ? (uint8_t)c->effort : ENCODER_SMALL;
    bool less = c->effort > ENCODER_FAST && loop_is_crowded(&x->worker->loop);
    return (uint8_t)(less ? c->effort - 1 : c->effort);
}

static enum err become_coded(struct exchange *x, const struct compress_conf *c,
                             struct compress_state *s)
{
    bool sent = has_body_now(x);
    struct encoder_plan plan = {effort_of(c, s, x), padding_of(c), size_of(x)};
    if (sent && !(s->encoder = encoder_take(encoders[s->form], &plan)))
        return ERR_OK;
    TRY(head_edit(x, s->form));
    length_forget(x);
    if (!sent)
        return ERR_OK;
    counter_add(x->worker->counters, METRIC_COMPRESSED, 1);
    transform_response(x, &s->transform, s->form == CODING_BR ? &ENCODE_BR : &ENCODE);
    if (s->claimed)
        coded_keep(x);
    return ERR_OK;
}

static enum err respond(struct exchange *x, const struct compress_conf *c, struct compress_state *s)
{
    let_go(s); /* of an answer that another one has taken the place of */
    s->form = s->coding;
    s->claimed = false;
    if (x->res.status == 304)
        return recode_not_modified(s->tags, &x->res.headers, &x->arena);
    if (!may_be_coded(c, x))
        return ERR_OK;
    TRY(recode_vary(&x->res.headers, &x->arena));
    if (form_choose(x, c, s)) {
        counter_add(x->worker->counters, METRIC_COMPRESSED_KEPT, 1);
        return head_edit(x, s->form);
    }
    return s->form == CODING_IDENTITY ? ERR_OK : become_coded(x, c, s);
}

static enum verdict compress_request(struct exchange *x, const void *conf, void *state)
{
    const struct compress_conf *c = conf;
    struct compress_state *s = state;
    struct coding_weights w;
    s->asked = true;
    s->tags = headers_join(&x->req.headers, &x->arena, FIELD_IF_NONE_MATCH);
    struct slice accept = headers_join(&x->req.headers, &x->arena, FIELD_ACCEPT_ENCODING);
    if (!accept.at)
        return PASS;
    coding_weights_parse(accept, &w);
    s->coding = coding_choose(&w, c->codings, c->coding_count);
    s->kept_coding = coding_choose(&w, c->kept_codings, c->kept_count);
    if (s->coding != CODING_IDENTITY || s->kept_coding != CODING_IDENTITY)
        transform_response_wanted(x);
    return PASS;
}

static enum verdict compress_response(struct exchange *x, const void *conf, void *state)
{
    struct compress_state *s = state;
    if (!s->asked)
        return PASS;
    enum err e = respond(x, conf, s);
    if (e == ERR_OK)
        return PASS; /* x->err stays: the answer may be that of an error */
    x->err = e;
    return FAILED;
}

static void compress_finish(struct exchange *x, const void *conf, void *state)
{
    (void)x;
    (void)conf;
    let_go(state);
}

/* --- the directive ---------------------------------------------------------------------------- */

#define FIELD(name) offsetof(struct compress_conf, name)
#define DEFAULT_TYPES                                                                       \
    "text/*,*+json,*+xml,application/json,application/javascript,application/x-javascript," \
    "application/xml,application/x-ndjson,application/wasm,application/vnd.ms-fontobject,"  \
    "font/ttf,font/otf,image/bmp,image/x-icon,image/vnd.microsoft.icon"

static const struct conf_choice efforts[] = {
    {"fast", ENCODER_FAST, "least time"},
    {"normal", ENCODER_NORMAL, "a good ratio for little time"},
    {"small", ENCODER_SMALL, "fewer bytes, for about three times the time"},
    {0},
};

static const struct directive compress_options[] = {
    {.name = "level",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = efforts,
     .offset = FIELD(effort),
     .def = "normal",
     .usage = "fast|normal|small",
     .text =
         "How hard to try, for every coding alike; one step less while the worker has more to do "
         "than it can."},
    {.name = "min",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .offset = FIELD(min_bytes),
     .max = 1 << 30,
     .def = "1k",
     .usage = "SIZE",
     .text = "Smaller bodies go out as they are. One whose size is not known before counts as "
             "large enough."},
    {.name = "types",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(types),
     .def = DEFAULT_TYPES,
     .usage = "TYPE,...",
     .text = "Media types that are compressed: `text/html`, `text/*`, `*+json` (any type that ends "
             "so), or `*`. Multipart bodies and gRPC never are."},
    {.name = "padding",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(padding_bytes),
     .max = ENCODER_PADDING_MAX_BYTES,
     .def = "0",
     .usage = "N",
     .text = "Adds 0 to N random bytes to the length of each answer. That makes it harder to guess "
             "secrets of a page by its compressed size (BREACH) where a page also shows what an "
             "attacker sent. It is for gzip alone: other codings are not used then."},
    {0},
};

static bool codings_read(struct conf_build *b, struct compress_conf *c, const struct conf_node *n)
{
    for (uint32_t i = 0; i < n->arg_count; i++) {
        enum coding coding = coding_find(n->args[i].text);
        if (coding == CODING_COUNT || coding == CODING_IDENTITY ||
            memchr(c->codings, (int)coding, c->coding_count)) {
            diag_error(b->diag, n->args[i].pos, "each of 'gzip', 'zstd' and 'br' once, or none");
            return false;
        }
        c->codings[c->coding_count++] = (uint8_t)coding;
    }
    return true;
}

static void codings_default(struct conf_build *b, struct compress_conf *c)
{
    static const uint8_t kept[] = {CODING_BR, CODING_ZSTD, CODING_GZIP};
    bool has_order = c->coding_count > 0;
    if (c->padding_bytes > 0 && c->coding_count > 0 &&
        (c->coding_count > 1 || c->codings[0] != CODING_GZIP))
        diag_warn(b->diag, c->pos, "with 'padding' only gzip is used");
    if (c->padding_bytes > 0) {
        c->codings[0] = CODING_GZIP;
        c->coding_count = 1;
    } else if (c->coding_count == 0) {
        c->codings[0] = CODING_ZSTD;
        c->codings[1] = CODING_GZIP;
        c->coding_count = 2;
    }
    c->kept_count = has_order ? c->coding_count : COUNT_OF(kept);
    memcpy(c->kept_codings, has_order ? c->codings : kept, c->kept_count);
}

static void types_read(struct conf_build *b, struct compress_conf *c)
{
    struct slice rest = c->types, type;
    while (field_list_next(&rest, &type)) {
        if (c->pattern_count == TYPES_MAX) {
            diag_error(b->diag, c->pos, "more than %d types", TYPES_MAX);
            return;
        }
        c->patterns[c->pattern_count++] = type;
    }
    if (c->pattern_count == 0)
        diag_error(b->diag, c->pos, "'types' names no type");
}

static void compress_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct compress_conf *c = scope;
    *c = (struct compress_conf){.pos = n->pos};
    conf_options(b, n, c);
    if (!codings_read(b, c, n))
        return;
    codings_default(b, c);
    types_read(b, c);
}

static void compress_explain(const void *conf, struct explain *e)
{
    const struct compress_conf *c = conf;
    struct slice names[CODING_COUNT] = {0};
    for (uint32_t i = 0; i < c->coding_count; i++)
        names[i] = coding_name(c->codings[i]);
    explain_line(e, "compress", c->pos, "%.*s %.*s %.*s", SLICE_ARG(names[0]), SLICE_ARG(names[1]),
                 SLICE_ARG(names[2]));
}

static const struct directive compress_rows[] = {
    {.name = "compress",
     .where = IN_POLICY,
     .args_min = 0,
     .args_max = 3,
     .options = compress_options,
     .apply = compress_apply,
     .usage = "[zstd] [gzip] [br]",
     .text =
         "Compresses answers for clients that take it. The codings stand in the order of your "
         "preference, which decides when a client likes several the same; without any it is "
         "`zstd gzip`. `br` costs about ten times the time of gzip. What `cache` stores is "
         "compressed once for each coding, and kept so; without an order of yours it may become "
         "`br` then, when it is asked for often. Answers that are compressed "
         "already, parts (206), and those with `Cache-Control: no-transform` stay as they are. "
         "What a server sent before a pause is not held back.",
     .example = "compress zstd gzip min=2k"},
    {0},
};

/* First among all: it sees what the client itself asked for, and the answer last. */
const struct filter_type filter_compress = {
    .name = "compress",
    .stage = STAGE_EARLY,
    .directives = compress_rows,
    .conf_bytes = sizeof(struct compress_conf),
    .state_bytes = sizeof(struct compress_state),
    .on_request = compress_request,
    .on_response = compress_response,
    .on_finish = compress_finish,
    .explain = compress_explain,
};
