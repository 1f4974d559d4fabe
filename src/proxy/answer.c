/* answer.c - responses made here: by filters and local origins, and the pages of errors.
 *
 * An answer replaces whatever response there was; from here on it takes the same way as an
 * origin's. An error's page is HTML for browsers, JSON for those who prefer it, else plain text. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "proxy/exchange_priv.h"

/* The connection may send after the exchange, and its arena, are gone: so the bytes are copied into
 * counted buffers, as many as the body has room for. */
static enum err local_push(struct exchange *x, struct body *b)
{
    struct slice *rest = &x->local_rest;
    struct buf *buf = buf_take_reserve(&x->worker->loop.bufs,
                                       rest->len > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
    if (!buf)
        return ERR_NO_BUFFERS;
    buf->len = (uint32_t)(rest->len < buf->cap ? rest->len : buf->cap);
    memcpy(buf->bytes, rest->at, buf->len);
    *rest = slice_from(*rest, buf->len);
    return body_push(b, (struct span){buf, buf->bytes, buf->len});
}

static void local_fill(struct body *b)
{
    struct exchange *x = b->producer;
    enum err e = ERR_OK;
    while (e == ERR_OK && x->local_rest.len > 0 && body_room(b) > 0)
        e = local_push(x, b);
    b->starved = x->local_rest.len > 0;
    if (e != ERR_OK)
        body_fail(b, e);
    else if (x->local_rest.len == 0)
        body_end(b);
}

enum err respond_head(struct exchange *x, uint16_t status, struct slice content_type,
                      uint64_t bytes)
{
    if (!x->dry)
        origin_release(x, LEASE_KEEP); /* when its answer was whole already */
    transforms_release(&x->res_transform);
    file_body_release(x);
    body_reset(x, &x->res_body);
    message_init(&x->res);
    x->coded = NULL;
    x->local = true;
    x->res.status = status;
    x->res.version_minor = 1;
    x->res.keep_alive = true;
    if (status_has_body(status)) {
        x->res.length = LENGTH_KNOWN;
        x->res.content_length = bytes;
    }
    x->local_rest = SLICE_NONE;
    if (content_type.len)
        return headers_add_id(&x->res.headers, &x->arena, FIELD_CONTENT_TYPE, content_type);
    return ERR_OK;
}

enum err exchange_respond_body(struct exchange *x, uint16_t status, enum length_kind length,
                               uint64_t bytes)
{
    TRY(respond_head(x, status, SLICE(""), bytes));
    if (status_has_body(status))
        x->res.length = (uint8_t)length;
    return ERR_OK;
}

enum err respond_plain(struct exchange *x, uint16_t status, struct slice content_type,
                       struct slice body)
{
    TRY(respond_head(x, status, content_type, body.len));
    x->local_rest = status_has_body(status) ? body : SLICE_NONE;
    if (x->dry)
        return ERR_OK;
    x->res_body.producer = x;
    x->res_body.want = local_fill;
    local_fill(&x->res_body);
    return x->res_body.err;
}

enum err exchange_respond(struct exchange *x, uint16_t status, struct slice content_type,
                          struct slice body)
{
    if (grpc_call_is(x) && !grpc_is_type(content_type))
        return grpc_call_respond(x, status, content_type, body);
    return respond_plain(x, status, content_type, body);
}

void respond_bare(struct exchange *x, uint16_t status)
{
    if (status == 0)
        status = 500;
    if (respond_plain(x, status, SLICE(""), SLICE("")) != ERR_OK)
        x->res.status = status;
}

static struct slice page_json(struct exchange *x, uint16_t status, struct slice reason,
                              const char *text)
{
    return arena_printf(
        &x->arena, "{\"status\":%u,\"error\":\"%.*s\",\"reason\":\"%s\",\"request_id\":\"%s\"}\n",
        status, SLICE_ARG(reason), text, x->id);
}

static struct slice page_html(struct exchange *x, uint16_t status, struct slice reason,
                              const char *text)
{
    return arena_printf(
        &x->arena,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>%u %.*s</title>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:36em;"
        "padding:0 1em;color:#234}h1{font-size:1.6em}small{color:#789}</style>\n"
        "<h1>%u %.*s</h1>\n<p>%s.</p>\n<p><small>request %s</small></p>\n</html>\n",
        status, SLICE_ARG(reason), status, SLICE_ARG(reason), text, x->id);
}

static struct slice page_text(struct exchange *x, uint16_t status, struct slice reason,
                              const char *text)
{
    return arena_printf(&x->arena, "%u %.*s: %s\nrequest %s\n", status, SLICE_ARG(reason), text,
                        x->id);
}

static const struct page_type {
    struct slice type, content_type;
    struct slice (*make)(struct exchange *x, uint16_t status, struct slice reason,
                         const char *text);
} PAGE_TYPES[] = {
    /* in order of our preference among equal weights */
    {SLICE_INIT("text/plain"), SLICE_INIT("text/plain; charset=utf-8"), page_text},
    {SLICE_INIT("text/html"), SLICE_INIT("text/html; charset=utf-8"), page_html},
    {SLICE_INIT("application/json"), SLICE_INIT("application/json"), page_json},
};

/* What the client likes best; a bare wildcard (curl) means plain text. */
static const struct page_type *page_choose(struct exchange *x)
{
    struct slice accept = headers_join(&x->req.headers, &x->arena, FIELD_ACCEPT);
    const struct page_type *best = &PAGE_TYPES[0];
    int best_weight = field_accept_weight(accept, best->type);
    for (size_t i = 1; i < COUNT_OF(PAGE_TYPES); i++) {
        int weight = field_accept_weight(accept, PAGE_TYPES[i].type);
        if (weight > best_weight) {
            best = &PAGE_TYPES[i];
            best_weight = weight;
        }
    }
    return best;
}

/* What the queue tells, if the request had one. */
static enum err retry_after_add(struct exchange *x)
{
    unsigned s = x->lease.view && !x->dry ? lease_retry_after_s(&x->lease) : 1;
    struct slice value = arena_printf(&x->arena, "%u", s);
    return value.at ? headers_add_id(&x->res.headers, &x->arena, FIELD_RETRY_AFTER, value)
                    : ERR_OVER_BUDGET;
}

static enum err respond_page(struct exchange *x, uint16_t status, const char *text)
{
    const struct page_type *p = page_choose(x);
    struct slice body = p->make(x, status, status_reason(status), text);
    if (!body.at)
        return ERR_OVER_BUDGET;
    TRY(respond_plain(x, status, p->content_type, body));
    if (status == 503)
        TRY(retry_after_add(x));
    return headers_add_id(&x->res.headers, &x->arena, FIELD_CACHE_CONTROL, SLICE("no-store"));
}

void exchange_respond_error(struct exchange *x, enum err e)
{
    const struct err_row *row = err_row(e);
    uint16_t status = row->status ? row->status : 500;
    enum err failed = grpc_call_is(x)
                          ? grpc_call_answer(x, grpc_status_of_err(e), slice_of(row->text))
                          : respond_page(x, status, row->text);
    if (failed != ERR_OK) /* out of budget even for the page */
        respond_bare(x, status);
}
