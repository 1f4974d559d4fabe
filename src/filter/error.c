/* error.c - the filter behind `error STATUS... PAGE`: own pages for errors, weir's and the
 * origin's. A page is a file, read with the configuration, or a text with variables. The status
 * stays, and so do the fields that say what a client may do next. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "conf/source.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"
#include "proxy/template.h"

enum { PAGE_MAX_BYTES = 1 << 20 };

struct error_page {
    struct error_page *next; /* nearer blocks come last, so the last match counts */
    const struct conf_word *statuses;
    uint32_t status_count;
    struct slice source;
    struct slice file; /* .at NULL: `text` */
    const struct template *text;
    struct slice content_type;
    struct conf_pos pos;
};

struct error_conf {
    struct error_page *first, *last;
};

struct error_options {
    struct slice type;
};

/* "404", "5xx" */
static bool status_word_valid(struct slice w)
{
    if (w.len != 3 || (w.at[0] != '4' && w.at[0] != '5'))
        return false;
    bool is_class = w.at[1] == 'x' && w.at[2] == 'x';
    bool is_number = w.at[1] >= '0' && w.at[1] <= '9' && w.at[2] >= '0' && w.at[2] <= '9';
    return is_class || is_number;
}

static bool status_word_matches(struct slice w, uint16_t status)
{
    char text[3] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                    (char)('0' + status % 10)};
    return w.at[0] == text[0] && (w.at[1] == 'x' || (w.at[1] == text[1] && w.at[2] == text[2]));
}

/* --- reading the directive -------------------------------------------------------------------- */

static bool is_path(struct slice s)
{
    return slice_starts(s, SLICE("/")) || slice_starts(s, SLICE("./"));
}

static struct slice page_file(struct conf_build *b, const struct conf_word *w)
{
    struct text read;
    text_init(&read);
    struct slice path = arena_dup(b->arena, w->text), page = SLICE_NONE;
    const char *why = conf_load_file(b, path.at, PAGE_MAX_BYTES, &read);
    if (why)
        diag_error(b->diag, w->pos, "cannot read the page '%.*s' (a file of at most 1M): %s",
                   SLICE_ARG(w->text), why);
    else
        page = read.len ? arena_dup(b->arena, text_slice(&read)) : SLICE("");
    text_release(&read);
    return page;
}

static struct slice type_by_name(struct slice path)
{
    if (slice_ends(path, SLICE(".html")) || slice_ends(path, SLICE(".htm")))
        return SLICE("text/html; charset=utf-8");
    if (slice_ends(path, SLICE(".json")))
        return SLICE("application/json");
    return SLICE("text/plain; charset=utf-8");
}

static bool page_read(struct conf_build *b, struct error_page *p, const struct conf_word *w)
{
    p->source = w->text;
    if (!is_path(w->text)) {
        p->text = template_compile(b, w, false);
        p->content_type = SLICE("text/plain; charset=utf-8");
        return p->text != NULL;
    }
    p->file = page_file(b, w);
    p->content_type = type_by_name(w->text);
    return p->file.at != NULL;
}

static bool statuses_check(struct conf_build *b, const struct error_page *p)
{
    for (uint32_t i = 0; i < p->status_count; i++)
        if (!status_word_valid(p->statuses[i].text)) {
            diag_error(b->diag, p->statuses[i].pos,
                       "expected an error status such as 404 or 5xx, not '%.*s'",
                       SLICE_ARG(p->statuses[i].text));
            return false;
        }
    return true;
}

static void error_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct error_conf *conf = scope;
    struct error_options options = {0};
    struct error_page *p = ARENA_NEW(b->arena, struct error_page);
    *p = (struct error_page){.statuses = n->args, .status_count = n->arg_count - 1, .pos = n->pos};
    conf_options(b, n, &options);
    if (!statuses_check(b, p) || !page_read(b, p, &n->args[n->arg_count - 1]))
        return;
    if (options.type.len)
        p->content_type = options.type;
    *(conf->last ? &conf->last->next : &conf->first) = p;
    conf->last = p;
}

/* --- at run time ------------------------------------------------------------------------------ */

static bool page_matches(const struct error_page *p, uint16_t status)
{
    for (uint32_t i = 0; i < p->status_count; i++)
        if (status_word_matches(p->statuses[i].text, status))
            return true;
    return false;
}

static const struct error_page *page_find(const struct error_conf *conf, uint16_t status)
{
    const struct error_page *found = NULL;
    for (const struct error_page *p = conf->first; p; p = p->next)
        if (page_matches(p, status))
            found = p;
    return found;
}

/* A body that the configuration gave by `respond` is not an error page to be replaced. */
static bool may_replace(const struct exchange *x)
{
    return x->res.status >= 400 && (x->failing || !x->local || x->res.content_length == 0);
}

/* What a client may do next: log in, come back later, use another method. */
static bool stays(const struct header *h)
{
    return h->id == FIELD_WWW_AUTHENTICATE || h->id == FIELD_RETRY_AFTER || h->id == FIELD_ALLOW ||
           h->id == FIELD_CACHE_CONTROL;
}

static enum err fields_keep(struct exchange *x, struct headers *kept)
{
    struct headers from = {0};
    HEADER_EACH (it, &x->res.headers)
        if (stays(it))
            TRY(headers_append(&from, &x->arena, (enum field_id)it->id, it->name, it->value));
    return headers_copy(kept, &x->arena, &from);
}

static struct slice page_text(const struct error_page *p, struct exchange *x)
{
    struct slice text = template_eval(p->text, x, NULL);
    return text.at ? arena_dup(&x->arena, text) : SLICE_NONE;
}

/* All that is taken from the old response is copied: its bytes go away with the origin's stream. */
static enum err page_respond(const struct error_page *p, struct exchange *x)
{
    struct headers kept;
    struct slice body = p->file.at ? p->file : page_text(p, x);
    if (!body.at)
        return ERR_OVER_BUDGET;
    TRY(fields_keep(x, &kept));
    TRY(exchange_respond(x, x->res.status, p->content_type, body));
    HEADER_EACH (it, &kept)
        TRY(headers_append(&x->res.headers, &x->arena, (enum field_id)it->id, it->name, it->value));
    return ERR_OK;
}

static enum verdict error_run(struct exchange *x, const void *conf, void *state)
{
    (void)state;
    const struct error_page *p = may_replace(x) ? page_find(conf, x->res.status) : NULL;
    enum err e = p ? page_respond(p, x) : ERR_OK;
    if (e == ERR_OK)
        return PASS;
    x->err = e;
    return FAILED;
}

static void error_explain(const void *conf, struct explain *e)
{
    const struct error_conf *c = conf;
    for (const struct error_page *p = c->first; p; p = p->next)
        explain_line(e, "error", p->pos, "%.*s%s %.*s", SLICE_ARG(p->statuses[0].text),
                     p->status_count > 1 ? " ..." : "", SLICE_ARG(p->source));
}

static const struct directive error_option_rows[] = {
    {.name = "type",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct error_options, type),
     .usage = "MEDIA-TYPE",
     .text = "Content-Type of the page; without it the file's name tells (.html, .json), and texts "
             "are plain."},
    {0},
};

static const struct directive error_rows[] = {
    {.name = "error",
     .where = IN_POLICY,
     .repeat = true,
     .args_min = 2,
     .args_max = 255,
     .key_args = 254,
     .options = error_option_rows,
     .apply = error_apply,
     .usage = "STATUS... PAGE [type=MEDIA-TYPE]",
     .text = "Shows an own page for error responses with these statuses (`404`, `5xx`), weir's own "
             "and the origin's. PAGE is a file (`/path` or `./path`; read with the configuration, "
             "at most 1M) or a text that may hold variables. The status does not change. Without "
             "this, weir's own errors get a short page in HTML, JSON or plain text, as the client "
             "accepts it.",
     .example = "error 502 503 504 \"Back in a minute ($status)\""},
    {0},
};

const struct filter_type filter_error = {
    .name = "error",
    .stage = STAGE_SHAPE,
    .directives = error_rows,
    .conf_bytes = sizeof(struct error_conf),
    .on_response = error_run,
    .explain = error_explain,
};
