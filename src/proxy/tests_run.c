/* tests_run.c - runs the `test` blocks of a configuration.
 *
 * Each test is one dry exchange: the real steps on the real tables, up to the choice of a server,
 * whose response counts as an empty 200. Failures are configuration errors at the line of the
 * expectation, so a reload with a failing test is refused like any other mistake. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "proxy/build_priv.h"
#include "proxy/dry_request_priv.h"
#include "proxy/exchange_priv.h"

enum { SCRATCH_BYTES = 64 * 1024, BODY_SHOWN_BYTES = 200 };

struct test_run {
    struct worker *worker;
    struct proxy_conf *proxy;
    struct diag *diag;
    uint32_t count;
    /* the test that is running */
    struct arena scratch;
    const struct site *site;
    const struct conf_node *test;
    struct exchange *x;
};

static struct slice test_name(const struct test_run *t)
{
    return t->test->args[0].text;
}

/* --- the request -------------------------------------------------------------------------------*/

static bool is_request(const struct conf_node *n)
{
    return n->row && !node_is(n, "header") && !node_is(n, "expect");
}

static const struct conf_node *request_node(struct test_run *t)
{
    const struct conf_node *found = NULL;
    CONF_NODE_EACH(n, t->test)
    {
        if (!is_request(n))
            continue;
        if (found) {
            diag_error(t->diag, n->pos, "a test has one request");
            return NULL;
        }
        found = n;
    }
    if (!found)
        diag_error(t->diag, t->test->pos, "this test has no request, such as 'GET /path'");
    return found;
}

/* A host of the site: wildcards are filled in. */
static struct slice site_host(struct test_run *t)
{
    if (t->site->name_count == 0)
        return SLICE("localhost");
    struct slice name = t->site->names[0].text;
    if (slice_eq(name, SLICE("*")))
        return SLICE("localhost");
    if (slice_starts(name, SLICE("*.")))
        return arena_printf(&t->scratch, "test%.*s", SLICE_ARG(slice_from(name, 1)));
    return name;
}

static bool from_read(struct test_run *t, const struct conf_node *n, struct addr *out)
{
    if (n->option_count == 0)
        return addr_parse_ip(SLICE("127.0.0.1"), out) == ERR_OK;
    const struct conf_word *w = &n->options[0].value;
    if (addr_parse_ip(w->text, out) == ERR_OK)
        return true;
    diag_error(t->diag, w->pos, "an IP address is due");
    return false;
}

static bool request_read(struct test_run *t, const struct conf_node *n, struct dry_request *r)
{
    const struct conf_word *target = &n->args[0];
    r->method = n->words[0].text;
    r->authority = site_host(t);
    r->target = target->text;
    r->is_url = !slice_starts(target->text, SLICE("/"));
    if (r->is_url && !dry_url_parse(target->text, r)) {
        diag_error(t->diag, target->pos, "a path or a URL is due: /x or http://other.example/x");
        return false;
    }
    return from_read(t, n, &r->from);
}

/* "header Name value" and "header Name: value". */
static bool headers_put(struct test_run *t)
{
    CONF_NODE_EACH(n, t->test)
    {
        if (!n->row || !node_is(n, "header"))
            continue;
        struct slice name = n->args[0].text;
        if (slice_ends(name, SLICE(":")))
            name.len--;
        const char *wrong =
            dry_header_put(t->x, name, n->arg_count > 1 ? n->args[1].text : SLICE(""));
        if (wrong) {
            diag_error(t->diag, n->args[0].pos, "%s", wrong);
            return false;
        }
    }
    return true;
}

/* --- what is expected --------------------------------------------------------------------------*/

static void failed(struct test_run *t, const struct conf_node *n, const char *what,
                   struct slice want, struct slice got)
{
    diag_error(t->diag, n->pos, "test '%.*s' fails: %s is '%.*s', not '%.*s'",
               SLICE_ARG(test_name(t)), what, SLICE_ARG(got), SLICE_ARG(want));
    if (t->x->err != ERR_OK)
        diag_hint(t->diag, "the request ended in step '%s': %s", step_name(t->x->err_step),
                  err_row(t->x->err)->text);
}

static void expect_text(struct test_run *t, const struct conf_node *n, const char *what,
                        struct slice got)
{
    if (!slice_eq(n->args[1].text, got))
        failed(t, n, what, n->args[1].text, got);
}

static void expect_status(struct test_run *t, const struct conf_node *n)
{
    char digits[NUM_U64_MAX_BYTES];
    uint64_t want;
    if (num_parse_u64(n->args[1].text, &want) != ERR_OK || want < 100 || want > 599) {
        diag_error(t->diag, n->args[1].pos, "a status from 100 to 599 is due");
        return;
    }
    struct slice got = {digits, num_write_u64(digits, t->x->res.status)};
    expect_text(t, n, "status", got);
}

static void expect_upstream(struct test_run *t, const struct conf_node *n)
{
    expect_text(t, n, "upstream", t->x->upstream_name);
}

static void expect_path(struct test_run *t, const struct conf_node *n)
{
    struct exchange *x = t->x;
    struct slice got = origin_path(x);
    if (slice_find(n->args[1].text, '?') < n->args[1].text.len && x->forward_has_query)
        got = arena_printf(&x->arena, "%.*s?%.*s", SLICE_ARG(got), SLICE_ARG(x->forward_query));
    expect_text(t, n, "path", got);
}

/* "expect body TEXT": somewhere in it. Nobody asks a server, so there is none of its. */
static void expect_body(struct test_run *t, const struct conf_node *n)
{
    struct slice want = n->args[1].text;
    struct slice got = t->x->req.method == METHOD_HEAD ? SLICE_NONE : t->x->local_rest;
    if (!t->x->local) {
        diag_error(t->diag, n->pos, "test '%.*s' can not know the body: a server sends it",
                   SLICE_ARG(test_name(t)));
        diag_hint(t->diag, "'expect body' is for what weir answers itself, by 'respond' or an "
                           "error page");
        return;
    }
    if (want.len > 0 && (got.len == 0 || !memmem(got.at, got.len, want.at, want.len)))
        diag_error(t->diag, n->pos, "test '%.*s' fails: body is '%.*s', without '%.*s'",
                   SLICE_ARG(test_name(t)), SLICE_ARG(slice_head(got, BODY_SHOWN_BYTES)),
                   SLICE_ARG(want));
}

/* "expect request NAME [VALUE]": any line of the field counts. */
static void expect_field(struct test_run *t, const struct conf_node *n, const struct headers *h)
{
    struct slice name = n->args[1].text;
    const struct header *line = headers_find_name(h, name);
    if (!line) {
        diag_error(t->diag, n->pos, "test '%.*s' fails: there is no %.*s", SLICE_ARG(test_name(t)),
                   SLICE_ARG(name));
        return;
    }
    if (n->arg_count < 3)
        return;
    struct slice first = line->value;
    for (; line; line = headers_next(h, line)) {
        if (slice_eq(line->value, n->args[2].text))
            return;
    }
    diag_error(t->diag, n->pos, "test '%.*s' fails: %.*s is '%.*s', not '%.*s'",
               SLICE_ARG(test_name(t)), SLICE_ARG(name), SLICE_ARG(first),
               SLICE_ARG(n->args[2].text));
}

static void expect_request(struct test_run *t, const struct conf_node *n)
{
    expect_field(t, n, &t->x->req.headers);
}

static void expect_response(struct test_run *t, const struct conf_node *n)
{
    expect_field(t, n, &t->x->res.headers);
}

/* "expect no request NAME", "expect no upstream" */
static void expect_no(struct test_run *t, const struct conf_node *n)
{
    struct slice what = n->args[1].text;
    bool request = slice_eq(what, SLICE("request"));
    const struct headers *h = request ? &t->x->req.headers : &t->x->res.headers;
    if (slice_eq(what, SLICE("upstream")) && n->arg_count == 2) {
        if (t->x->upstream_name.len > 0)
            failed(t, n, "upstream", SLICE(""), t->x->upstream_name);
        return;
    }
    if ((!request && !slice_eq(what, SLICE("response"))) || n->arg_count < 3) {
        diag_error(t->diag, n->args[1].pos, "'request NAME', 'response NAME' or 'upstream' is due");
        return;
    }
    const struct header *line = headers_find_name(h, n->args[2].text);
    if (line)
        diag_error(t->diag, n->pos, "test '%.*s' fails: %.*s is there: '%.*s'",
                   SLICE_ARG(test_name(t)), SLICE_ARG(n->args[2].text), SLICE_ARG(line->value));
}

static const struct {
    const char *word;
    void (*run)(struct test_run *t, const struct conf_node *n);
    uint32_t args_min, args_max; /* `expect`'s own word included */
} expectations[] = {
    {"status", expect_status, 2, 2},     {"upstream", expect_upstream, 2, 2},
    {"path", expect_path, 2, 2},         {"request", expect_request, 2, 3},
    {"response", expect_response, 2, 3}, {"no", expect_no, 2, 3},
    {"body", expect_body, 2, 2},
};
enum { EXPECTATIONS = sizeof(expectations) / sizeof(*expectations) };

static void expect(struct test_run *t, const struct conf_node *n)
{
    struct slice names[EXPECTATIONS];
    for (size_t i = 0; i < EXPECTATIONS; i++) {
        names[i] = slice_of(expectations[i].word);
        if (!slice_eq(names[i], n->args[0].text))
            continue;
        if (n->arg_count <= expectations[i].args_max)
            expectations[i].run(t, n);
        else
            diag_error(t->diag, n->args[expectations[i].args_max].pos,
                       "nothing is due here; a value with spaces needs quotes");
        return;
    }
    diag_error(t->diag, n->args[0].pos, "'%.*s' can not be expected", SLICE_ARG(n->args[0].text));
    diag_hint(t->diag, "usage: expect %s", n->row->usage);
    diag_nearest(t->diag, n->args[0].text, names, EXPECTATIONS);
}

/* --- one test, all tests -----------------------------------------------------------------------*/

/* A path is asked of where the site is served, a URL of where its scheme leads. */
static const struct listen_conf *listen_of(struct test_run *t, const struct dry_request *r)
{
    struct slice host;
    uint16_t port;
    if (uri_host_parse(&t->scratch, r->authority, &host, &port) != ERR_OK)
        host = SLICE("");
    return r->is_url ? dry_listen_of_url(t->proxy, r, host, 0)
                     : dry_listen_find(t->proxy, host, 0, LISTEN_ANY);
}

static void test_exchange(struct test_run *t, const struct dry_request *r)
{
    const struct listen_conf *l = listen_of(t, r);
    if (!l)
        return; /* sites without listeners there are none */
    t->x = exchange_dry_new(t->worker, l);
    enum err e = dry_request_put(t->x, r);
    if (e == ERR_OK && headers_put(t)) {
        exchange_dry_run(t->x, STEP_RELAY);
        CONF_NODE_EACH(n, t->test)
        {
            if (n->row && node_is(n, "expect"))
                expect(t, n);
        }
    }
    exchange_dry_free(t->x);
    t->x = NULL;
}

static void test_run(struct test_run *t, const struct conf_node *test)
{
    struct dry_request r;
    t->test = test;
    t->count++;
    arena_init(&t->scratch, SCRATCH_BYTES);
    const struct conf_node *n = request_node(t);
    if (n && request_read(t, n, &r))
        test_exchange(t, &r);
    arena_release(&t->scratch);
}

static void block_run(struct test_run *t, const struct conf_node *block)
{
    CONF_NODE_EACH(n, block)
    {
        if (!n->row)
            continue;
        if (node_is(n, "test"))
            test_run(t, n);
        else if (node_is(n, "route"))
            block_run(t, n);
    }
}

void proxy_tests_run(struct conf *c, struct diag *d, uint32_t *count)
{
    struct test_run t = {.proxy = c->proxy, .diag = d};
    *count = 0;
    t.worker = dry_worker_new(c);
    if (!t.worker) {
        diag_error(d, (struct conf_pos){0}, "the tests can not run: no event loop");
        return;
    }
    for (uint32_t i = 0; i < c->proxy->site_count; i++) {
        t.site = c->proxy->sites[i];
        block_run(&t, t.site->node);
    }
    *count = t.count;
    dry_worker_free(t.worker);
}
