/* auth_signed_request.c - `auth hmac`: a request that a machine has signed with a secret that it
 * shares with this site.
 *
 * Method, host, path, query, time and, if it is there, Content-Digest are signed. A request is good
 * for a short while around its time, and once: what was signed is remembered by its signature for
 * twice that while, in a table that all workers share and that reloads leave alone. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "conf/snapshot.h"
#include "filter/auth_signed_priv.h"
#include "limit/meters.h"

enum { NONCE_MAX_BYTES = 64, WINDOW_MAX_MS = 3600 * 1000, REMEMBERED_MAX = 10 * 1000 * 1000 };

static const int64_t MS_NS = 1000000;
static const struct slice SCHEME = SLICE_INIT("Weir-HMAC");

struct request_terms {
    int64_t window, remember;
    bool digest, replay;
};

struct request_conf {
    const struct jwk_set *keys;
    struct meters_shared *seen; /* NULL: a request may come again */
    int64_t window_ms;
    bool digest;
};

#define FIELD(field) offsetof(struct request_terms, field)

static const struct directive request_options[] = {
    {.name = "window",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(window),
     .min = 1000,
     .max = WINDOW_MAX_MS,
     .def = "5m",
     .usage = "TIME",
     .text = "How long ago, or ahead, a request may have been signed."},
    {.name = "replay",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(replay),
     .def = "off",
     .usage = "on|off",
     .text = "With `on` the same signed request may come any number of times within the window."},
    {.name = "remember",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(remember),
     .min = 1000,
     .max = REMEMBERED_MAX,
     .def = "100000",
     .usage = "N",
     .text = "So many requests are remembered, at 32 bytes each. Take more than come within twice "
             "the window: the oldest are forgotten for new ones, and could be sent again."},
    {.name = "digest",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(digest),
     .def = "off",
     .usage = "on|off",
     .text =
         "A request with a body has to have a Content-Digest, which is signed. Whether the body "
         "fits it is for the server to check."},
    {0},
};

static void seen_let_go(void *seen)
{
    meters_drop(seen);
}

/* The words that say which block it is; of a line its name alone, for others may be secrets. */
static uint32_t naming_words(const struct conf_node *n)
{
    return n->has_block ? n->word_count : 1;
}

static bool named_alike(const struct conf_node *a, const struct conf_node *b)
{
    bool alike = naming_words(a) == naming_words(b);
    for (uint32_t i = 0; alike && i < naming_words(a); i++)
        alike = slice_eq(a->words[i].text, b->words[i].text);
    return alike;
}

/* "site a.test 0/route /x 0/auth 0/hmac 1/": what is written above it makes no other of it. */
static void place_add(struct text *t, const struct conf_node *n)
{
    uint32_t before = 0;
    if (!n->parent)
        return;
    place_add(t, n->parent);
    for (const struct conf_node *it = n->parent->children; it && it != n; it = it->next)
        before += named_alike(it, n);
    for (uint32_t i = 0; i < naming_words(n); i++)
        text_addf(t, "%.*s ", SLICE_ARG(n->words[i].text));
    text_addf(t, "%u/", before);
}

/* Found again by where the line stands. */
static void seen_find(struct conf_build *b, struct request_conf *c, const struct conf_node *n,
                      const struct request_terms *t)
{
    struct text place;
    text_init(&place);
    text_add(&place, SLICE("hmac "));
    place_add(&place, n);
    struct slice identity = arena_dup(b->arena, text_slice(&place));
    text_release(&place);
    if (!identity.at) {
        diag_error(b->diag, n->pos, "the configuration is too large");
        return;
    }
    c->seen = meters_take(identity, (uint32_t)t->remember);
    conf_on_free(b->app, seen_let_go, c->seen);
}

static void request_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct request_conf *c = conf;
    struct request_terms t = {0};
    conf_options(b, n, &t);
    c->keys = signed_keys_read(b, n);
    c->window_ms = t.window;
    c->digest = t.digest;
    if (!t.replay)
        seen_find(b, c, n, &t);
}

/* --- the header ---------------------------------------------------------------------------------
 */

struct request_facts {
    struct slice key, time, nonce, signature; /* .at NULL: not given */
};

static struct slice *fact_find(struct request_facts *f, struct slice name)
{
    if (slice_eq(name, SLICE("key")))
        return &f->key;
    if (slice_eq(name, SLICE("time")))
        return &f->time;
    if (slice_eq(name, SLICE("nonce")))
        return &f->nonce;
    return slice_eq(name, SLICE("signature")) ? &f->signature : NULL;
}

/* "key=a, time=1, signature=b": each once, nothing else. */
static bool facts_read(struct slice value, struct request_facts *f)
{
    struct slice member;
    while (field_list_next(&value, &member)) {
        size_t eq = slice_find(member, '=');
        struct slice *to = fact_find(f, slice_head(member, eq)), text = slice_from(member, eq + 1);
        if (!to || to->at || eq == member.len || !field_is_token(text))
            return false;
        *to = text;
    }
    return f->time.at && f->signature.at && f->nonce.len <= NONCE_MAX_BYTES;
}

static bool is_ours(struct slice value, struct slice *rest)
{
    size_t end = slice_find(value, ' ');
    *rest = slice_trim(slice_from(value, end));
    return slice_eq_nocase(slice_head(value, end), SCHEME);
}

enum header_found { HEADER_NONE, HEADER_GOOD, HEADER_BAD };

static enum header_found header_read(const struct exchange *x, struct request_facts *f)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_AUTHORIZATION);
    struct slice ours = SLICE_NONE, rest;
    int lines = 0;
    for (; h; h = headers_next(&x->req.headers, h), lines++)
        if (is_ours(h->value, &rest))
            ours = rest;
    if (!ours.at)
        return HEADER_NONE;
    return lines == 1 && facts_read(ours, f) ? HEADER_GOOD : HEADER_BAD;
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* False: there are several. */
static bool digest_find(const struct exchange *x, struct slice *out)
{
    const struct header *h = headers_find_name(&x->req.headers, SLICE("Content-Digest"));
    *out = h ? h->value : SLICE("");
    return !h || !headers_next(&x->req.headers, h);
}

static struct slice or_empty(struct slice s)
{
    return s.at ? s : SLICE("");
}

static struct slice text_make(struct exchange *x, const struct request_facts *f,
                              struct slice digest)
{
    static const struct slice end = SLICE_INIT("\n");
    struct slice query = x->uri.has_query ? x->uri.query : SLICE("");
    return ARENA_CONCAT(&x->arena, SLICE("request\n"), f->time, end, or_empty(f->nonce), end,
                        x->req.method_text, end, or_empty(x->req.authority), end, x->spelled_path,
                        end, query, end, digest);
}

/* Also says that it has come now. */
static bool was_seen(const struct exchange *x, const struct request_conf *c, const uint8_t *mac)
{
    struct slice bytes = {(const char *)mac, SIGNED_MAC_BYTES};
    const struct rate once = {.step_ns = 2 * c->window_ms * MS_NS, .burst = 1};
    if (!c->seen || x->dry)
        return false;
    return meters_rate(c->seen, hash_secret(bytes), &once, x->worker->loop.now_ms * MS_NS)
               .verdict != RATE_PASS;
}

static enum err verify(struct exchange *x, const struct request_conf *c,
                       const struct request_facts *f, const struct jwk **key,
                       enum signed_verdict *out)
{
    uint8_t mac[SIGNED_MAC_BYTES];
    struct slice digest;
    *out = SIGNED_MALFORMED;
    if (!signed_mac_read(f->signature, mac) || !digest_find(x, &digest))
        return ERR_OK;
    struct slice text = text_make(x, f, digest);
    if (!text.at)
        return ERR_OVER_BUDGET;
    *out = signed_check(c->keys, f->key, text, mac, key);
    if (*out == SIGNED_GOOD)
        *out = signed_time_check(f->time, x->worker->loop.unix_ms / 1000, c->window_ms / 1000);
    if (*out == SIGNED_GOOD && c->digest && digest.len == 0 && x->req.length != LENGTH_NONE)
        *out = SIGNED_NO_DIGEST;
    if (*out == SIGNED_GOOD && was_seen(x, c, mac))
        *out = SIGNED_REPLAYED;
    return ERR_OK;
}

static enum auth_verdict request_check(struct exchange *x, const void *conf, void *state)
{
    const struct request_conf *c = conf;
    struct request_facts f = {0};
    const struct jwk *key = NULL;
    (void)state;
    enum header_found found = header_read(x, &f);
    if (found == HEADER_NONE)
        return AUTH_NONE;
    enum signed_verdict v = SIGNED_MALFORMED;
    enum err e = found == HEADER_GOOD ? verify(x, c, &f, &key, &v) : ERR_OK;
    if (e != ERR_OK) {
        x->err = e;
        return AUTH_FAILED;
    }
    return v == SIGNED_GOOD ? signed_grant(x, "hmac", key) : signed_refuse(x, v);
}

static void request_challenge(struct exchange *x, const void *conf, void *state, struct text *out)
{
    (void)conf;
    (void)state;
    text_addf(out, "%.*s%s%s%s", SLICE_ARG(SCHEME), x->auth_word ? " error=\"" : "",
              x->auth_word ? x->auth_word : "", x->auth_word ? "\"" : "");
}

const struct directive auth_hmac_rows[] = {
    {.name = "hmac",
     .where = IN_AUTH,
     .repeat = true,
     .args_min = 1,
     .args_max = SIGNED_KEYS_MAX,
     .secret = 1,
     .options = request_options,
     .apply = auth_method_apply,
     .usage = "[ID:]SECRET... [window=TIME] [digest=on] ...",
     .text =
         "Demands that the request was signed with one of the secrets (at least 32 bytes each): "
         "HMAC-SHA256 of method, host, path, query and time in `Authorization: Weir-HMAC`. The "
         "id of the key is `$user`. A request is good once, and within the window. What has to "
         "be signed stands in [signed requests](../signed-urls.md), with an example for the "
         "shell.",
     .example = "hmac billing:0123456789abcdef0123456789abcdef window=1m"},
    {0},
};

const struct auth_method auth_hmac = {
    .word = "hmac",
    .conf_bytes = sizeof(struct request_conf),
    .apply = request_apply,
    .check = request_check,
    .challenge = request_challenge,
};
