/* apply.c - what the policies in rows.c do to the settings of their block. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/access_log.h"
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/target.h"
#include "proxy/template.h"
#include "upstream/upstream.h"

void settings_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    if (n->row->type != CONF_NONE && n->arg_count > 0)
        conf_set(b->diag, n->row, &n->args[0], scope);
    for (uint32_t i = 0; i < n->option_count; i++)
        conf_set(b->diag, n->options[i].row, &n->options[i].value, scope);
    if (n->row->type == CONF_NONE && n->option_count == 0) {
        diag_error(b->diag, n->pos, "'%s' sets nothing", n->row->name);
        diag_hint(b->diag, "usage: %s %s", n->row->name, n->row->usage);
    }
}

/* --- body --------------------------------------------------------------------------------------*/

int64_t body_rate_bytes(int64_t rate)
{
    return rate < 0 ? rate : rate / 1000;
}

void body_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope, own;
    settings_unset(&own);
    settings_apply(b, &own, n);
    if (settings_is_set(own.body_rate))
        own.body_rate = body_rate_bytes(own.body_rate);
    if (settings_is_set(own.client_take_rate))
        own.client_take_rate = body_rate_bytes(own.client_take_rate);
    settings_merge(s, &own);
}

/* --- request buffer ----------------------------------------------------------------------------*/

bool is_request_buffer(const struct conf_node *n)
{
    return node_is(n, "request") && n->arg_count > 1 && slice_eq(n->args[0].text, SLICE("buffer"));
}

static const struct directive *option_find(const struct directive *row, struct slice name)
{
    for (const struct directive *o = row->options; o && o->name; o++) {
        if (slice_eq(slice_of(o->name), name))
            return o;
    }
    return NULL;
}

static void request_buffer_option(struct conf_build *b, void *scope, const struct conf_word *w)
{
    struct slice key = slice_head(w->text, w->value_at > 0 ? w->value_at - 1 : w->text.len);
    const struct directive *option = option_find(buffer_row(), key);
    if (!option || w->value_at == 0) {
        diag_error(b->diag, w->pos, "'request buffer' has no option '%.*s'", SLICE_ARG(key));
        diag_hint(b->diag, "usage: request buffer %s", buffer_row()->usage);
        return;
    }
    struct conf_word value = *w;
    value.text = slice_from(w->text, w->value_at);
    conf_set(b->diag, option, &value, scope);
}

void request_buffer_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    conf_set(b->diag, buffer_row(), &n->args[1], scope);
    for (uint32_t i = 2; i < n->arg_count; i++)
        request_buffer_option(b, scope, &n->args[i]);
}

/* --- retry -------------------------------------------------------------------------------------*/

static bool retry_status_bit(struct slice word, int64_t *bit)
{
    static const struct {
        struct slice word;
        int64_t bit;
    } known[] = {{SLICE_INIT("502"), RETRY_ON_502},
                 {SLICE_INIT("503"), RETRY_ON_503},
                 {SLICE_INIT("504"), RETRY_ON_504}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (slice_eq(known[i].word, word)) {
            *bit = known[i].bit;
            return true;
        }
    }
    return false;
}

static void retry_on(struct conf_build *b, struct settings *s, const struct conf_word *w)
{
    struct slice rest = w->text, part;
    int64_t bits = 0, bit = 0;
    bool off = slice_eq(w->text, SLICE("off"));
    while (!off && slice_cut(&rest, ',', &part)) {
        if (!retry_status_bit(part, &bit)) {
            diag_error(b->diag, w->pos, "'%.*s' is not one of 502, 503, 504", SLICE_ARG(part));
            diag_hint(b->diag, "several are joined by commas: on=502,503");
            return;
        }
        bits |= bit;
    }
    s->retry_statuses = bits;
}

void retry_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope;
    conf_set(b->diag, n->row, &n->args[0], s);
    if (s->retry_tries == CONF_OFF)
        s->retry_tries = 0;
    for (uint32_t i = 0; i < n->option_count; i++)
        retry_on(b, s, &n->options[i].value);
}

/* --- log ---------------------------------------------------------------------------------------*/

static void log_error_apply(struct conf_build *b, const struct conf_node *n)
{
    struct error_log_conf *log = &((struct conf *)b->app)->proxy->error_log;
    const struct conf_word *level = n->arg_count > 1 ? &n->args[1] : NULL;
    if (n->parent && n->parent->row) {
        diag_error(b->diag, n->pos, "'log error' may stand at the top level only");
        return;
    }
    if (level && log_level_parse(level->text, &log->level) != ERR_OK) {
        diag_error(b->diag, level->pos, "debug, info, notice, warn or error is due here");
        return;
    }
    for (uint32_t i = 0; i < n->option_count; i++)
        log_target_parse(b, &n->options[i].value, &log->target, &log->path);
}

void log_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    static const struct slice names[] = {SLICE_INIT("access"), SLICE_INIT("error")};
    struct settings *s = scope;
    if (slice_eq(n->args[0].text, SLICE("error"))) {
        log_error_apply(b, n);
        return;
    }
    if (!slice_eq(n->args[0].text, SLICE("access"))) {
        diag_error(b->diag, n->args[0].pos, "'access' or 'error' is due after 'log'");
        diag_nearest(b->diag, n->args[0].text, names, 2);
        return;
    }
    const struct access_log *log = access_log_build(b, n);
    if (log)
        s->log = log;
}

/* --- trust -------------------------------------------------------------------------------------*/

void trust_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct trust_conf *t = &((struct conf *)b->app)->proxy->trust;
    struct addr_prefix *all = BUILD_ARRAY(b, struct addr_prefix, t->count + n->arg_count);
    (void)scope;
    if (t->count > 0)
        memcpy(all, t->prefixes, t->count * sizeof(*all));
    t->prefixes = all;
    for (uint32_t i = 0; i < n->arg_count; i++) {
        if (addr_prefix_parse(n->args[i].text, &all[t->count]) == ERR_OK)
            t->count++;
        else
            diag_error(b->diag, n->args[i].pos, "an address or prefix is due: 10.0.0.0/8");
    }
}

/* --- connections -------------------------------------------------------------------------------*/

void connections_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    (void)scope;
    conf_options(b, n, &((struct conf *)b->app)->proxy->conns);
    if (n->option_count == 0)
        diag_error(b->diag, n->pos, "'connections' takes max=COUNT and per_ip=COUNT");
}

/* --- proxy -------------------------------------------------------------------------------------*/

static void prefix_cut(struct conf_word *w, size_t len)
{
    w->text = slice_from(w->text, len);
    w->pos.col += (uint32_t)len;
    w->pos.len -= w->pos.len > len ? (uint32_t)len : 0;
}

/* Takes "http://" or "https://" off a word. False after an error. */
static bool address_of(struct conf_build *b, const struct conf_word *w, struct conf_word *out,
                       enum upstream_scheme *scheme)
{
    struct slice http = SLICE("http://"), https = SLICE("https://");
    *out = *w;
    *scheme = slice_starts(w->text, https) ? UPSTREAM_TLS : UPSTREAM_PLAIN;
    if (*scheme == UPSTREAM_TLS)
        prefix_cut(out, https.len);
    else if (slice_starts(w->text, http))
        prefix_cut(out, http.len);
    if (slice_starts(out->text, SLICE("unix:")) || slice_find(out->text, '/') == out->text.len)
        return true;
    diag_error(b->diag, w->pos, "an address is due, without a path: HOST:PORT");
    diag_hint(b->diag, "'rewrite' changes the path that a server is asked for");
    return false;
}

static void nearest_upstream(struct conf_build *b, const struct upstreams_conf *u,
                             struct slice word)
{
    enum { MOST = 256 };
    struct slice names[MOST];
    size_t count = 0;
    for (uint32_t i = 0; i < u->count && count < MOST; i++)
        names[count++] = u->list[i]->name;
    diag_nearest(b->diag, word, names, count);
}

/* A word without dot, colon and slash is meant as the name of an upstream. */
static bool looks_like_upstream(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '.' || s.at[i] == ':' || s.at[i] == '/')
            return false;
    }
    return !slice_eq(s, SLICE("localhost"));
}

static struct upstream *named_upstream(struct conf_build *b, struct upstreams_conf *u,
                                       const struct conf_node *n)
{
    struct upstream *up = upstream_find(u, n->args[0].text);
    if (!up && looks_like_upstream(n->args[0].text)) {
        diag_error(b->diag, n->args[0].pos, "there is no upstream '%.*s'",
                   SLICE_ARG(n->args[0].text));
        diag_hint(b->diag, "a server is written with its port: HOST:PORT");
        nearest_upstream(b, u, n->args[0].text);
    } else if (up && n->has_block && !up->fastcgi) {
        diag_error(b->diag, n->block_pos,
                   "'%.*s' is an upstream: its servers and policies stand in "
                   "its own block",
                   SLICE_ARG(up->name));
        diag_hint(b->diag, "see %s:%u", up->pos.file ? up->pos.file->path : "", up->pos.line);
        up = NULL;
    }
    return up;
}

/* Several words are addresses. */
static bool names_mixed(struct conf_build *b, const struct upstreams_conf *u,
                        const struct conf_node *n)
{
    for (uint32_t i = 0; n->arg_count > 1 && i < n->arg_count; i++) {
        if (!upstream_find(u, n->args[i].text))
            continue;
        diag_error(b->diag, n->args[i].pos,
                   "'%.*s' is an upstream: it stands alone in a '%s' directive",
                   SLICE_ARG(n->args[i].text), n->row ? n->row->name : "proxy");
        return true;
    }
    return false;
}

static struct upstream *unnamed_upstream(struct conf_build *b, struct upstreams_conf *u,
                                         const struct conf_node *n)
{
    struct conf_word *words = BUILD_ARRAY(b, struct conf_word, n->arg_count);
    enum upstream_scheme scheme = UPSTREAM_PLAIN, first = UPSTREAM_PLAIN;
    if (names_mixed(b, u, n))
        return NULL;
    for (uint32_t i = 0; i < n->arg_count; i++) {
        if (!address_of(b, &n->args[i], &words[i], &scheme))
            return NULL;
        if (i == 0)
            first = scheme;
        if (scheme == first)
            continue;
        diag_error(b->diag, n->args[i].pos, "servers with and without TLS do not share a 'proxy'");
        diag_hint(b->diag, "write https:// before each of them, or before none");
        return NULL;
    }
    return upstream_inline(b, u, words, n->arg_count, n->has_block ? n : NULL, first);
}

static bool is_named(const struct upstreams_conf *u, const struct conf_node *n)
{
    return n->arg_count == 1 &&
           (upstream_find(u, n->args[0].text) || looks_like_upstream(n->args[0].text));
}

/* False: it is spoken to in another way, or there is none. */
static bool speaks(struct conf_build *b, const struct conf_node *n, const struct upstream *up,
                   bool fastcgi)
{
    if (!up || up->fastcgi == fastcgi)
        return up != NULL;
    diag_error(b->diag, n->args[0].pos,
               fastcgi ? "'%.*s' does not speak FastCGI" : "'%.*s' speaks FastCGI, not HTTP",
               SLICE_ARG(up->name));
    diag_hint(b->diag, fastcgi ? "it needs the line 'proto fastcgi'" : "write 'fastcgi %.*s'",
              SLICE_ARG(up->name));
    return false;
}

static void target_of(struct conf_build *b, const struct conf_node *n, const struct upstream *up,
                      struct target *t)
{
    *t = (struct target){.kind = TARGET_UPSTREAM, .pos = n->pos, .upstream = up};
    if (up->hash_key.text.len > 0)
        t->hash_key = template_compile(b, &up->hash_key, false);
}

/* False after an error. */
static bool target_fill(struct conf_build *b, const struct conf_node *n, struct target *t)
{
    struct upstreams_conf *u = ((struct conf *)b->app)->upstreams;
    const struct upstream *up =
        is_named(u, n) ? named_upstream(b, u, n) : unnamed_upstream(b, u, n);
    if (!speaks(b, n, up, false))
        return false;
    target_of(b, n, up, t);
    return true;
}

bool fastcgi_upstream(struct conf_build *b, const struct conf_node *n, struct target *t,
                      bool *named)
{
    struct upstreams_conf *u = ((struct conf *)b->app)->upstreams;
    const struct conf_node *block = n->has_block ? n : NULL;
    const struct upstream *up = NULL;
    *named = is_named(u, n);
    if (*named)
        up = named_upstream(b, u, n);
    else if (!names_mixed(b, u, n))
        up = upstream_inline(b, u, n->args, n->arg_count, block, UPSTREAM_FASTCGI);
    if (!speaks(b, n, up, true))
        return false;
    target_of(b, n, up, t);
    return true;
}

bool share_read(struct conf_build *b, const struct conf_word *w, int64_t *share)
{
    if (!conf_parse_value(b->diag, CONF_PERCENT, w, share))
        return false;
    if (*share >= 0 && *share <= SHARE_WHOLE)
        return true;
    diag_error(b->diag, w->pos, "a share is between 0%% and 100%%");
    return false;
}

bool upstream_target(struct conf_build *b, const struct conf_word *w, struct target *t)
{
    struct conf_word word = *w;
    return target_fill(b, &(struct conf_node){.args = &word, .arg_count = 1, .pos = w->pos}, t);
}

void proxy_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope;
    struct target *t = BUILD_NEW(b, struct target);
    if (target_fill(b, n, t))
        s->target = t;
}
