/* access_log.c - a log's format, compiled to a list of fields, and the line made of it.
 *
 * A line is written straight into the log ring: no allocation, no copy. Each field has a limit for
 * its text, so the room of a whole line is known beforehand; what is longer is cut. Values come
 * from clients: every text is escaped as in a JSON string, in all formats, so that no value can
 * end its field or its line. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/access_log.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/places.h"
#include "proxy/build_priv.h"
#include "proxy/exchange.h"
#include "proxy/template.h"
#include <errno.h>
#include <string.h>

/* Bytes of a field's escaped text. */
enum { FIELD_MAX_BYTES = 256, FIELD_LONG_MAX_BYTES = 2048 };
_Static_assert((int)FIELD_MAX_BYTES >= (int)VARIABLE_WRITE_BYTES, "what is written is not cut");

/* JSON: of which requests alone. */
enum field_only {
    FIELD_OF_ALL,
    FIELD_OF_ERRORS,
    FIELD_OF_HEDGED,
    FIELD_OF_LIMITED,
    FIELD_OF_KNOWN, /* it is known who asks */
};

struct log_field {
    struct slice before;             /* literal */
    const struct variable *variable; /* NULL: the literal alone */
    struct slice arg;
    uint32_t max_bytes;
    bool quotes;  /* JSON: text in quotes, and left out with its key when absent */
    uint8_t only; /* enum field_only */
};

struct access_log {
    struct access_log *next; /* in proxy_conf.logs */
    const struct log_field *fields;
    uint32_t field_count;
    uint32_t line_bytes; /* most that a line can take */
    enum log_target target;
    struct slice path;   /* LOG_TO_FILE; NUL-terminated */
    struct slice format; /* as configured */
    struct conf_pos pos;
    int sink; /* -1: not open */
};

const struct access_log access_log_off = {.sink = -1};

/* Formats */

static const struct json_field {
    const char *key, *variable;
    enum field_only only;
} json_fields[] = {
    {"time", "time_iso", FIELD_OF_ALL},
    {"id", "request_id", FIELD_OF_ALL},
    {"client", "client_ip", FIELD_OF_ALL},
    {"method", "method", FIELD_OF_ALL},
    {"scheme", "scheme", FIELD_OF_ALL},
    {"host", "host", FIELD_OF_ALL},
    {"path", "path", FIELD_OF_ALL},
    {"query", "query", FIELD_OF_ALL},
    {"proto", "proto", FIELD_OF_ALL},
    {"status", "status", FIELD_OF_ALL},
    {"grpc_status", "grpc_status", FIELD_OF_ALL},
    {"bytes", "body_bytes_out", FIELD_OF_ALL},
    {"request_bytes", "body_bytes_in", FIELD_OF_ALL},
    {"duration_ms", "duration_ms", FIELD_OF_ALL},
    {"head_ms", "head_ms", FIELD_OF_ALL},
    {"pick_ms", "pick_ms", FIELD_OF_ALL},
    {"connect_ms", "connect_ms", FIELD_OF_ALL},
    {"first_byte_ms", "first_byte_ms", FIELD_OF_ALL},
    {"response_ms", "response_ms", FIELD_OF_ALL},
    {"tls", "tls_version", FIELD_OF_ALL},
    {"cipher", "tls_cipher", FIELD_OF_ALL},
    {"resumed", "tls_resumed", FIELD_OF_ALL},
    {"client_cert", "client_cert_subject", FIELD_OF_ALL},
    {"site", "site", FIELD_OF_ALL},
    {"route", "route", FIELD_OF_ALL},
    {"upstream", "upstream", FIELD_OF_ALL},
    {"server", "server", FIELD_OF_ALL},
    {"tries", "tries", FIELD_OF_ALL},
    {"hedged", "hedged", FIELD_OF_HEDGED},
    {"limit", "limit_status", FIELD_OF_LIMITED},
    {"user", "user", FIELD_OF_KNOWN},
    {"auth", "auth", FIELD_OF_KNOWN},
    {"error", "error", FIELD_OF_ERRORS},
    {"step", "step", FIELD_OF_ERRORS},
    {"user_agent", "user_agent", FIELD_OF_ALL},
    {"referer", "referer", FIELD_OF_ALL},
};
enum { JSON_FIELDS = sizeof(json_fields) / sizeof(*json_fields) };

#define FORMAT_COMMON "$client_ip - $user [$time] \"$method $uri $proto\" $status $body_bytes_out"
static const struct slice format_common = SLICE_INIT(FORMAT_COMMON);
static const struct slice format_combined =
    SLICE_INIT(FORMAT_COMMON " \"$referer\" \"$user_agent\"");

static uint32_t field_max(const struct variable *v)
{
    static const char *const longer[] = {"path", "query", "uri", "user_agent", "referer"};
    if (variable_is_family(v))
        return FIELD_LONG_MAX_BYTES;
    for (size_t i = 0; i < sizeof(longer) / sizeof(*longer); i++) {
        if (strcmp(v->name, longer[i]) == 0)
            return FIELD_LONG_MAX_BYTES;
    }
    return FIELD_MAX_BYTES;
}

static void fields_set(struct access_log *l, struct log_field *fields, uint32_t count)
{
    l->fields = fields;
    l->field_count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (fields[i].variable)
            fields[i].max_bytes = field_max(fields[i].variable);
        l->line_bytes += (uint32_t)fields[i].before.len + fields[i].max_bytes + 2;
    }
}

static void json_compile(struct conf_build *b, struct access_log *l)
{
    struct log_field *fields = BUILD_ARRAY(b, struct log_field, JSON_FIELDS + 1);
    for (uint32_t i = 0; i < JSON_FIELDS; i++) {
        const struct json_field *f = &json_fields[i];
        struct slice arg;
        const struct variable *v = variable_find(slice_of(f->variable), &arg);
        ASSERT(v);
        fields[i] = (struct log_field){
            .before = arena_printf(b->arena, "%c\"%s\":", i == 0 ? '{' : ',', f->key),
            .variable = v,
            .quotes = true,
            .only = (uint8_t)f->only,
        };
    }
    fields[JSON_FIELDS].before = SLICE("}");
    fields_set(l, fields, JSON_FIELDS + 1);
}

static bool text_compile(struct conf_build *b, struct access_log *l, const struct conf_word *w)
{
    uint32_t count;
    const struct template *t = template_compile_log(b, w);
    if (!t)
        return false;
    const struct template_piece *pieces = template_pieces(t, &count);
    struct log_field *fields = BUILD_ARRAY(b, struct log_field, count);
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].kind == PIECE_LITERAL)
            fields[i].before = pieces[i].text;
        else
            fields[i] = (struct log_field){.variable = pieces[i].variable, .arg = pieces[i].text};
    }
    fields_set(l, fields, count);
    return true;
}

static bool named_text_compile(struct conf_build *b, struct access_log *l, struct slice format)
{
    struct conf_word w = {.text = format, .quote = CONF_QUOTED};
    return text_compile(b, l, &w);
}

static bool own_compile(struct conf_build *b, struct access_log *l, const struct conf_word *w)
{
    static const struct slice names[] = {SLICE_INIT("off"), SLICE_INIT("json"),
                                         SLICE_INIT("common"), SLICE_INIT("combined")};
    if (slice_find(w->text, '$') < w->text.len && w->quote != CONF_RAW)
        return text_compile(b, l, w);
    diag_error(b->diag, w->pos,
               "off, json, common, combined or a format with $variables is due here");
    diag_nearest(b->diag, w->text, names, sizeof(names) / sizeof(*names));
    if (w->quote == CONF_RAW)
        diag_hint(b->diag, "in '...' a $ stands for itself: use \"...\"");
    return false;
}

static bool format_compile(struct conf_build *b, struct access_log *l, const struct conf_word *w)
{
    l->format = w ? w->text : SLICE("json");
    if (slice_eq(l->format, SLICE("json"))) {
        json_compile(b, l);
        return true;
    }
    if (slice_eq(w->text, SLICE("common")))
        return named_text_compile(b, l, format_common);
    if (slice_eq(w->text, SLICE("combined")))
        return named_text_compile(b, l, format_combined);
    return own_compile(b, l, w);
}

/* Targets */

static void sink_close(void *ctx)
{
    struct access_log *l = ctx;
    if (l->sink >= 0)
        log_sink_drop(l->sink);
}

static struct access_log *log_new(struct conf_build *b)
{
    struct conf *c = b->app;
    struct access_log *l = BUILD_NEW(b, struct access_log);
    l->target = LOG_TO_STDOUT;
    l->sink = -1;
    l->next = c->proxy->logs;
    c->proxy->logs = l;
    conf_on_free(c, sink_close, l);
    return l;
}

bool log_target_parse(struct conf_build *b, const struct conf_word *w, enum log_target *target,
                      struct slice *path)
{
    static const struct slice names[] = {SLICE_INIT("stderr"), SLICE_INIT("stdout"),
                                         SLICE_INIT("syslog")};
    static const enum log_target targets[] = {LOG_TO_STDERR, LOG_TO_STDOUT, LOG_TO_SYSLOG};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (slice_eq(w->text, names[i])) {
            *target = targets[i];
            return true;
        }
    }
    if (slice_find(w->text, '/') == w->text.len) {
        diag_error(b->diag, w->pos,
                   "stdout, stderr, syslog or a file is due, such as /var/log/weir");
        diag_nearest(b->diag, w->text, names, sizeof(names) / sizeof(*names));
        return false;
    }
    *target = LOG_TO_FILE;
    *path = arena_dup(b->arena, w->text);
    conf_place_add(b, w->pos, path->at, CONF_APPENDS);
    return path->at != NULL;
}

const struct access_log *access_log_build(struct conf_build *b, const struct conf_node *n)
{
    const struct conf_word *format = n->arg_count > 1 ? &n->args[1] : NULL;
    if (format && slice_eq(format->text, SLICE("off")))
        return &access_log_off;
    struct access_log *l = log_new(b);
    l->pos = n->pos;
    for (uint32_t i = 0; i < n->option_count; i++) {
        if (!log_target_parse(b, &n->options[i].value, &l->target, &l->path))
            return NULL;
    }
    return format_compile(b, l, format) ? l : NULL;
}

const struct access_log *access_log_default(struct conf_build *b)
{
    struct access_log *l = log_new(b);
    return format_compile(b, l, NULL) ? l : NULL;
}

struct conf_pos access_log_describe(const struct access_log *l, struct text *out)
{
    static const char *const targets[] = {
        [LOG_TO_STDERR] = "stderr", [LOG_TO_STDOUT] = "stdout", [LOG_TO_SYSLOG] = "syslog"};
    if (l == &access_log_off)
        text_add(out, SLICE("off"));
    else
        text_addf(out, "%.*s to %s", SLICE_ARG(l->format),
                  l->target == LOG_TO_FILE ? l->path.at : targets[l->target]);
    return l->pos;
}

bool access_logs_open(struct conf *c, struct diag *d)
{
    bool ok = true;
    for (struct access_log *l = c->proxy->logs; l; l = l->next) {
        if (l->sink >= 0)
            continue;
        l->sink = log_sink_open(l->target, l->path.at);
        if (l->sink >= 0)
            continue;
        diag_error(d, l->pos, "cannot open the log '%s': %s", l->path.at ? l->path.at : "",
                   strerror(errno));
        ok = false;
    }
    return ok;
}

/* Lines */

static char *put(char *to, struct slice s)
{
    if (s.len > 0)
        memcpy(to, s.at, s.len);
    return to + s.len;
}

/* A variable that is written needs no escapes: numbers, addresses, times. 0: absent. */
static size_t put_value(char *to, const struct log_field *f, struct exchange *x)
{
    if (f->variable->write)
        return f->variable->write(x, to);
    struct slice value = f->variable->get(x, f->arg);
    return value.len > 0 ? json_escape(to, f->max_bytes, value) : 0;
}

static char *put_text_field(char *to, const struct log_field *f, struct exchange *x)
{
    to = put(to, f->before);
    if (!f->variable)
        return to;
    size_t len = put_value(to, f, x);
    if (len == 0)
        to[len++] = '-';
    return to + len;
}

static bool is_of(const struct log_field *f, const struct exchange *x)
{
    switch ((enum field_only)f->only) {
    case FIELD_OF_ALL: break;
    case FIELD_OF_ERRORS: return x->err != ERR_OK;
    case FIELD_OF_HEDGED: return x->hedged;
    case FIELD_OF_LIMITED: return x->limit_status != LIMIT_NONE;
    case FIELD_OF_KNOWN: return x->identity != NULL;
    }
    return true;
}

static char *put_json_field(char *to, const struct log_field *f, struct exchange *x)
{
    if (!is_of(f, x))
        return to;
    bool text = f->variable->kind == VARIABLE_TEXT;
    char *at = put(to, f->before);
    if (text)
        *at++ = '"';
    size_t len = put_value(at, f, x);
    if (len == 0)
        return to; /* absent: without its key */
    at += len;
    if (text)
        *at++ = '"';
    return at;
}

void access_log_write(const struct access_log *l, struct exchange *x)
{
    if (l->sink < 0)
        return;
    char *line = log_line_begin(l->sink, l->line_bytes);
    if (!line)
        return; /* dropped, and counted there */
    char *at = line;
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct log_field *f = &l->fields[i];
        at = f->quotes ? put_json_field(at, f, x) : put_text_field(at, f, x);
    }
    log_line_commit((size_t)(at - line));
}
