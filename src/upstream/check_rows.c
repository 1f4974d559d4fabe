/* check_rows.c - the line `check` of an upstream and the lines of its block.
 *
 * A check is by HTTP unless its first word says otherwise. What may be written depends on the kind,
 * so the words are taken first and judged as a whole afterwards. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/text.h"
#include "tls/tls.h"
#include "upstream/check.h"
#include "upstream/upstream.h"

enum { HOUR_MS = 3600 * 1000 };

#define FIELD(name) offsetof(struct check_conf, name)

static const struct directive check_options[] = {
    {.name = "every",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(every_ms),
     .min = 10,
     .max = HOUR_MS,
     .def = "5s",
     .usage = "TIME",
     .text = "From one check of a server to the next, a tenth more or less at random."},
    {.name = "fast",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(fast_ms),
     .min = 10,
     .max = HOUR_MS,
     .def = "1s",
     .usage = "TIME",
     .text = "The same while the server is down, or its last check has failed."},
    {.name = "timeout",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(timeout_ms),
     .min = 1,
     .max = HOUR_MS,
     .def = "2s",
     .usage = "TIME",
     .text = "For a whole check, from the connection to the end of the answer."},
    {.name = "rise",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(rise),
     .min = 1,
     .max = 1000,
     .def = "2",
     .usage = "N",
     .text = "Checks in a row that have to succeed until a server that was down is used again."},
    {.name = "fall",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(fall),
     .min = 1,
     .max = 1000,
     .def = "3",
     .usage = "N",
     .text = "Checks in a row that have to fail until a server is down. The very first check of a "
             "server decides alone."},
    {.name = "port",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(port),
     .min = 1,
     .max = 65535,
     .usage = "N",
     .text = "Checks are sent to this port instead of the server's."},
    {.name = "host",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(host),
     .usage = "NAME",
     .text = "HTTP, gRPC: the Host of the request, instead of the server's name."},
    {.name = "method",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(method),
     .usage = "METHOD",
     .text = "HTTP: the method of the request, `GET` unless given."},
    {0}};

/* ---- texts with escapes ---- */

static int hex_byte(struct slice s)
{
    int high = s.len >= 2 ? num_hex_digit(s.at[0]) : -1;
    int low = s.len >= 2 ? num_hex_digit(s.at[1]) : -1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* The byte for the escape that follows a '\'; *used: its length. -1: none. */
static int escape_byte(struct slice s, size_t *used)
{
    *used = 1;
    switch (s.len ? s.at[0] : '\0') {
    case 'r': return '\r';
    case 'n': return '\n';
    case 't': return '\t';
    case '\\': return '\\';
    case 'x': *used = 3; return hex_byte(slice_from(s, 1));
    default: return -1;
    }
}

static struct slice unescaped(struct conf_build *b, const struct conf_word *w)
{
    char *to = arena_alloc(b->arena, w->text.len + 1);
    size_t len = 0, used;
    if (!to)
        return SLICE_NONE;
    for (size_t i = 0; i < w->text.len; i += used) {
        int byte = (unsigned char)w->text.at[i];
        used = 1;
        if (byte == '\\') {
            byte = escape_byte(slice_from(w->text, i + 1), &used);
            used++;
        }
        if (byte < 0) {
            diag_error(b->diag, w->pos, "unknown escape in '%.*s'", SLICE_ARG(w->text));
            diag_hint(b->diag, "there are \\r, \\n, \\t, \\\\ and \\xHH");
            return SLICE_NONE;
        }
        to[len++] = (char)byte;
    }
    return (struct slice){to, len};
}

/* ---- the lines of the block ---- */

static void apply_header(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct check_conf *c = scope;
    if (c->header_count == CHECK_HEADERS_MAX) {
        diag_error(b->diag, n->pos, "more than %d headers in a check", CHECK_HEADERS_MAX);
        return;
    }
    c->headers[c->header_count++] = (struct check_header){n->args[0].text, n->args[1].text};
}

static bool status_parse(struct slice s, uint16_t *out)
{
    uint64_t v;
    if (num_parse_u64(s, &v) != ERR_OK || v < 100 || v > 599)
        return false;
    *out = (uint16_t)v;
    return true;
}

static void add_status(struct conf_build *b, struct check_conf *c, const struct conf_word *w)
{
    size_t dash = slice_find(w->text, '-');
    struct slice to = dash < w->text.len ? slice_from(w->text, dash + 1) : w->text;
    uint16_t first, last;
    if (!status_parse(slice_head(w->text, dash), &first) || !status_parse(to, &last) ||
        first > last) {
        diag_error(b->diag, w->pos, "not a status: '%.*s'", SLICE_ARG(w->text));
        diag_hint(b->diag, "such as 200 or 200-399");
    } else if (c->status_count == CHECK_STATUSES_MAX) {
        diag_error(b->diag, w->pos, "more than %d statuses in a check", CHECK_STATUSES_MAX);
    } else {
        c->statuses[c->status_count].from = first;
        c->statuses[c->status_count++].to = last;
    }
}

static bool too_long(struct conf_build *b, const struct conf_word *w)
{
    if (w->text.len <= CHECK_EXPECT_MAX_BYTES)
        return false;
    diag_error(b->diag, w->pos, "longer than %d bytes", CHECK_EXPECT_MAX_BYTES);
    return true;
}

static void expect_status(struct conf_build *b, struct check_conf *c, const struct conf_node *n)
{
    for (uint32_t i = 1; i < n->arg_count; i++)
        add_status(b, c, &n->args[i]);
}

static void apply_expect(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct check_conf *c = scope;
    const struct conf_word *w = &n->args[0];
    bool raw = c->kind == CHECK_TCP || c->kind == CHECK_TLS;
    if (raw && n->arg_count == 1 && !too_long(b, w)) {
        c->expect = unescaped(b, w);
    } else if (!raw && n->arg_count > 1 && slice_eq(w->text, SLICE("status"))) {
        expect_status(b, c, n);
    } else if (!raw && n->arg_count == 2 && slice_eq(w->text, SLICE("body"))) {
        if (!too_long(b, &n->args[1]))
            c->body = n->args[1].text;
    } else if (!diag_failed(b->diag)) {
        diag_error(b->diag, w->pos, "not what a check of this kind can expect");
        diag_hint(b->diag, raw ? "one text, such as: expect '+PONG'"
                               : "expect status 200 204, or: expect body \"ok\"");
    }
}

static void apply_send(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct check_conf *c = scope;
    if (!too_long(b, &n->args[0]))
        c->send = unescaped(b, &n->args[0]);
}

/* ---- the line ---- */

static void wrong_kind(struct conf_build *b, const struct conf_word *w)
{
    static const struct slice names[] = {SLICE_INIT("tcp"), SLICE_INIT("tls"), SLICE_INIT("grpc")};
    diag_error(b->diag, w->pos, "a check is a path, tcp, tls or grpc, not '%.*s'",
               SLICE_ARG(w->text));
    diag_hint(b->diag, "for example: check /healthz");
    diag_nearest(b->diag, w->text, names, COUNT_OF(names));
}

/* Takes the words before the options. */
static void kind_set(struct conf_build *b, struct check_conf *c, const struct conf_node *n)
{
    const struct conf_word *w = &n->args[0];
    c->kind = CHECK_HTTP;
    if (slice_starts(w->text, SLICE("/")))
        c->target = w->text;
    else if (slice_eq(w->text, SLICE("tcp")))
        c->kind = CHECK_TCP;
    else if (slice_eq(w->text, SLICE("tls")))
        c->kind = CHECK_TLS;
    else if (slice_eq(w->text, SLICE("grpc")))
        c->kind = CHECK_GRPC;
    else
        wrong_kind(b, w);
    if (n->arg_count < 2)
        return;
    if (c->kind == CHECK_GRPC)
        c->target = n->args[1].text;
    else
        diag_error(b->diag, n->args[1].pos, "'%.*s' is too much: only grpc takes a second word",
                   SLICE_ARG(n->args[1].text));
}

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] <= ' ' || s.at[i] == 0x7f)
            return true;
    return false;
}

/* What goes into a request head must not break it. */
static void words_check(struct conf_build *b, const struct check_conf *c)
{
    struct slice words[] = {c->target, c->host, c->method};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (has_controls(words[i]))
            diag_error(b->diag, c->pos, "no blanks may stand in '%.*s'", SLICE_ARG(words[i]));
    for (uint32_t i = 0; i < c->header_count; i++)
        if (has_controls(c->headers[i].name) || c->headers[i].name.len == 0)
            diag_error(b->diag, c->pos, "not the name of a header: '%.*s'",
                       SLICE_ARG(c->headers[i].name));
}

static void kind_check(struct conf_build *b, const struct check_conf *c)
{
    bool raw = c->kind == CHECK_TCP || c->kind == CHECK_TLS;
    if (raw && (c->header_count > 0 || c->host.len > 0 || c->method.len > 0))
        diag_error(b->diag, c->pos, "host, method and headers are for checks by HTTP");
    else if (!raw && c->send.len > 0)
        diag_error(b->diag, c->pos, "'send' is for checks by tcp and tls");
    else if (c->kind == CHECK_GRPC && (c->status_count > 0 || c->body.len > 0 || c->method.len > 0))
        diag_error(b->diag, c->pos, "a check by grpc expects SERVING and nothing else");
    else
        words_check(b, c);
}

static void apply_check(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    struct check_conf *c = ARENA_NEW(b->arena, struct check_conf);
    if (!c) {
        diag_error(b->diag, n->pos, "no memory for the configuration");
        return;
    }
    conf_options(b, n, c);
    c->pos = n->pos;
    kind_set(b, c, n);
    if (n->has_block)
        conf_apply_block(b, c, n);
    kind_check(b, c);
    if (c->status_count == 0) {
        c->statuses[c->status_count].from = 200;
        c->statuses[c->status_count++].to = 399;
    }
    up->check = c;
}

/* ---- with the rest of the upstream ---- */

/* Nothing was said of certificates: the check asks whether there is TLS, and not whose. */
static void own_tls(struct conf_build *b, struct check_conf *c)
{
    struct text why;
    text_init(&why);
    c->tls = ARENA_NEW(b->arena, struct tls_origin);
    if (!c->tls || !tls_origin_seal(c->tls, &why))
        diag_error(b->diag, c->pos, "tls: %.*s", (int)why.len, why.at ? why.at : "");
    text_release(&why);
}

void check_finish(struct conf_build *b, struct upstream *up)
{
    struct check_conf *c = up->check;
    if (!c || diag_failed(b->diag))
        return;
    if (c->kind == CHECK_TLS && !up->tls)
        own_tls(b, c);
    if (c->kind == CHECK_GRPC && up->proto == UPSTREAM_ALONE) {
        diag_error(b->diag, c->pos, "gRPC needs HTTP/2, which these servers are not spoken to in");
        diag_hint(b->diag, "write 'proto %s'", up->tls ? "h2" : "h2c");
    }
    if (c->kind == CHECK_HTTP && up->fastcgi) {
        diag_error(b->diag, c->pos, "these servers speak FastCGI, not HTTP");
        diag_hint(b->diag, "write 'check tcp'");
    }
}

const struct directive check_rows[] = {
    {.name = "check",
     .where = IN_SERVERS,
     .args_min = 1,
     .args_max = 2,
     .opens = IN_CHECK,
     .options = check_options,
     .apply = apply_check,
     .usage = "PATH | tcp | tls | grpc [SERVICE] [every=TIME] [timeout=TIME] [rise=N] [fall=N] "
              "[OPTION=VALUE...] [{ ... }]",
     .text =
         "Asks each server again and again whether it is well, and sends no requests to those that "
         "are not. weir asks once per server, however many workers there are.\n\n"
         "- `PATH`: a request by HTTP, in the way the servers are spoken to (`tls`, `proto`). A "
         "status of 200 to 399 is good, or what `expect` in the block says.\n"
         "- `tcp`: a connection, and what `send` and `expect` in the block say. No TLS.\n"
         "- `tls`: a TLS handshake, verified if the upstream has `tls`.\n"
         "- `grpc`: the gRPC health protocol (`grpc.health.v1.Health/Check`), for the whole server "
         "or a service of it. SERVING is good.\n\n"
         "A new server is used until its first check, which decides alone. What a reload keeps "
         "keeps its state. When no server is left they are used all the same. Servers that are "
         "`disabled`, or whose name does not resolve yet, are not checked. Each change is logged "
         "with its reason, which `weir status` and `/status` show, too.",
     .example = "check /healthz every=5s {\n    header Accept text/plain\n    expect status 200 "
                "204\n    expect body \"ok\"\n}"},
    {.name = "header",
     .where = IN_CHECK,
     .apply = apply_header,
     .repeat = true,
     .args_min = 2,
     .args_max = 2,
     .usage = "NAME VALUE",
     .text = "A header field of the check's request.",
     .example = "header X-Probe weir"},
    {.name = "expect",
     .where = IN_CHECK,
     .apply = apply_expect,
     .repeat = true,
     .args_min = 1,
     .args_max = 255,
     .usage = "status STATUS... | body TEXT | TEXT",
     .text = "What a good answer has: one of some statuses (`200`, `200-299`), or a text in the "
             "first 64 KB of its body. Of `tcp` and `tls`: a text in the first 16 KB that the "
             "server says, with `\\r`, `\\n`, `\\t`, `\\\\` and `\\xHH` in '...'.",
     .example = "expect status 200 204"},
    {.name = "send",
     .where = IN_CHECK,
     .apply = apply_send,
     .args_min = 1,
     .args_max = 1,
     .usage = "TEXT",
     .text = "`tcp` and `tls`: what is sent once the connection stands, with escapes as `expect` "
             "has them.",
     .example = "send 'PING\\r\\n'"},
    {0}};
