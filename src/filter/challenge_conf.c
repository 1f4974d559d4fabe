/* challenge_conf.c - the directives `challenge` and `crawler`, and the crawlers that are known.
 *
 * The known ones are those whose owners tell to verify them by their names: reverse and forward
 * DNS. Domains in which customers get names too (those of clouds) are left out. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "filter/challenge_priv.h"

enum { S_MS = 1000, DAY_MS = 24 * 3600 * S_MS };

#define DOMAINS(...) \
    {                \
        __VA_ARGS__  \
    }

const struct crawler crawlers_known[] = {
    {"google", SLICE_INIT("googlebot"),
     DOMAINS(SLICE_INIT("googlebot.com"), SLICE_INIT("google.com"))},
    {"google", SLICE_INIT("google-inspectiontool"),
     DOMAINS(SLICE_INIT("googlebot.com"), SLICE_INIT("google.com"))},
    {"google", SLICE_INIT("adsbot-google"),
     DOMAINS(SLICE_INIT("googlebot.com"), SLICE_INIT("google.com"))},
    {"bing", SLICE_INIT("bingbot"), DOMAINS(SLICE_INIT("search.msn.com"))},
    {"apple", SLICE_INIT("applebot"), DOMAINS(SLICE_INIT("applebot.apple.com"))},
    {"yandex", SLICE_INIT("yandexbot"),
     DOMAINS(SLICE_INIT("yandex.ru"), SLICE_INIT("yandex.net"), SLICE_INIT("yandex.com"))},
    {"baidu", SLICE_INIT("baiduspider"),
     DOMAINS(SLICE_INIT("crawl.baidu.com"), SLICE_INIT("crawl.baidu.jp"))},
    {"yahoo", SLICE_INIT("yahoo! slurp"), DOMAINS(SLICE_INIT("crawl.yahoo.net"))},
    {"seznam", SLICE_INIT("seznambot"), DOMAINS(SLICE_INIT("seznam.cz"))},
    {0}};

/* --- challenge -------------------------------------------------------------------------------- */

/* The options, as written. */
struct challenge_terms {
    int64_t bits, valid_ms, calm_ms;
    struct slice bind, cookie, secret;
    bool when_busy, crawlers;
};

#define FIELD(field) offsetof(struct challenge_terms, field)

static const struct directive challenge_options[] = {
    {.name = "difficulty",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = FIELD(bits),
     .min = CHALLENGE_BITS_MIN,
     .max = CHALLENGE_BITS_MAX,
     .def = "17",
     .usage = "BITS",
     .text = "How much work it is: 2^BITS hashes of SHA-256 on average, luck decides. A browser "
             "makes about a million in a second on a computer, a quarter of that on a telephone. "
             "Each more doubles the time."},
    {.name = "valid",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(valid_ms),
     .min = 10 * S_MS,
     .max = 30LL * DAY_MS,
     .def = "4h",
     .usage = "TIME",
     .text = "Whoever has solved one is let in for so long."},
    {.name = "when_busy",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(when_busy),
     .usage = "",
     .text = "Only while the upstream is under pressure: for a second all the time requests waited "
             "for a place at its servers (`max_conns`) or below its `concurrency`, or were "
             "refused one. "
             "Without it, always."},
    {.name = "calm",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = FIELD(calm_ms),
     .min = S_MS,
     .max = DAY_MS,
     .def = "30s",
     .usage = "TIME",
     .text = "With `when_busy`: it ends once there was no pressure for so long."},
    {.name = "bind",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(bind),
     .def = "ip/24/56",
     .usage = "ip[/N[/N]]|off",
     .text = "A solution is worth something for these addresses only: so many bits of the client's "
             "IPv4 address, or of its IPv6 address. `ip`: one address, of IPv6 its /64. `off`: for "
             "any, so that one client may work for thousands."},
    {.name = "crawlers",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = FIELD(crawlers),
     .def = "on",
     .usage = "on|off",
     .text = "Crawlers of search engines pass without work when reverse and forward DNS say that "
             "they are what their User-Agent says: those of Google, Bing, Apple, Yandex, Baidu, "
             "Yahoo and Seznam, and those of `crawler`."},
    {.name = "cookie",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(cookie),
     .def = "weir_challenge",
     .usage = "NAME",
     .text = "Name of the cookie. Servers do not get it."},
    {.name = "secret",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(secret),
     .secret = true,
     .usage = "TEXT",
     .text = "What is signed is signed with this. Several weirs behind one address need the same. "
             "Without it, a random one that weir makes once and keeps beside its local CA."},
    {0},
};

static bool bind_read(struct conf_build *b, const struct conf_node *n, struct slice word,
                      struct challenge_conf *c)
{
    c->bound = (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6};
    c->anybody = slice_eq(word, SLICE("off"));
    if (c->anybody || (slice_starts(word, SLICE("ip")) &&
                       addr_bits_parse(slice_from(word, strlen("ip")), &c->bound)))
        return true;
    diag_error(b->diag, n->pos,
               "'bind=ip/BITS/BITS' takes %d to 32 bits of IPv4, %d to 128 of IPv6; or bind=off",
               ADDR_BITS_V4_MIN, ADDR_BITS_V6_MIN);
    return false;
}

static bool cookie_check(struct conf_build *b, const struct conf_node *n, struct slice name)
{
    bool plain = field_is_token(name);
    for (size_t i = 0; i < name.len; i++)
        plain &= name.at[i] != '&' && name.at[i] != '\'';
    if (!plain)
        diag_error(b->diag, n->pos, "'%.*s' is not a name for this cookie", SLICE_ARG(name));
    return plain;
}

static bool key_read(struct conf_build *b, const struct conf_node *n, struct slice secret,
                     struct challenge_conf *c)
{
    if (!secret.at || secret.len >= OWN_COOKIE_SECRET_MIN)
        return own_cookie_key(b, n->pos, secret, SLICE("challenge"), c->key);
    diag_error(b->diag, n->pos, "secret= has %zu characters; at least %d are due", secret.len,
               OWN_COOKIE_SECRET_MIN);
    return false;
}

static void describe(struct conf_build *b, struct challenge_conf *c)
{
    struct text t;
    text_init(&t);
    text_addf(&t, "difficulty=%u valid=%llds", c->bits, (long long)c->valid_s);
    if (c->when_busy)
        text_addf(&t, " when the upstream is under pressure, until %llds after that",
                  (long long)c->calm_ms / S_MS);
    if (c->knows_crawlers)
        text_add(&t, SLICE("; verified crawlers pass"));
    c->text = arena_dup(b->arena, text_slice(&t));
    text_release(&t);
}

static void challenge_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct challenge_conf *c = scope;
    struct challenge_terms t = {0};
    conf_options(b, n, &t);
    if (!bind_read(b, n, t.bind, c) || !cookie_check(b, n, t.cookie) ||
        !key_read(b, n, t.secret, c))
        return;
    c->on = true;
    c->pos = n->pos;
    c->bits = (uint8_t)t.bits;
    c->valid_s = t.valid_ms / S_MS;
    c->when_busy = t.when_busy;
    c->calm_ms = t.calm_ms;
    c->knows_crawlers = t.crawlers;
    c->cookie = t.cookie;
    c->answer_cookie = arena_printf(b->arena, "%.*s_answer", SLICE_ARG(t.cookie));
    c->cookie_attributes = arena_printf(b->arena, "; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax",
                                        (long long)c->valid_s);
    challenge_page_init(b, c);
    describe(b, c);
}

/* --- crawler ---------------------------------------------------------------------------------- */

static bool domain_check(struct conf_build *b, const struct conf_word *w)
{
    struct slice host;
    uint16_t port;
    bool name = slice_find(w->text, '.') < w->text.len &&
                uri_host_parse(b->arena, w->text, &host, &port) == ERR_OK && port == 0;
    if (!name)
        diag_error(b->diag, w->pos, "'%.*s' is not a domain such as bot.example.com",
                   SLICE_ARG(w->text));
    return name;
}

static void crawler_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct challenge_conf *c = scope;
    struct crawler *w = ARENA_NEW(b->arena, struct crawler);
    w->name = arena_dup(b->arena, n->args[0].text).at;
    w->agent = n->args[1].text;
    if (w->agent.len == 0 || !field_value_valid(w->agent)) {
        diag_error(b->diag, n->args[1].pos, "a part of its User-Agent is due");
        return;
    }
    for (uint32_t i = 2; i < n->arg_count; i++) {
        if (!domain_check(b, &n->args[i]))
            return;
        w->domains[i - 2] = n->args[i].text;
    }
    if (c->crawler_count == CRAWLERS_MAX) {
        diag_error(b->diag, n->pos, "more than %d crawlers apply to one route", CRAWLERS_MAX);
        return;
    }
    c->crawlers[c->crawler_count++] = w;
}

const struct directive challenge_rows[] = {
    {.name = "challenge",
     .where = IN_POLICY,
     .options = challenge_options,
     .apply = challenge_apply,
     .usage = "[difficulty=BITS] [valid=TIME] [when_busy] [calm=TIME] [bind=ip/N/N|off] "
              "[crawlers=on|off] [cookie=NAME] [secret=TEXT]",
     .text =
         "Browsers have to do some work before they are let in: they get a page whose script "
         "searches for a number, and after a moment the page that they wanted. It keeps away "
         "what makes requests by the thousand; people see it once in a while. Requests that load "
         "no page (other methods than GET and HEAD, scripts, images, APIs) are answered with 403 "
         "until their client has solved one. No third party takes part, and nothing is stored. "
         "See [challenge](../challenge.md).",
     .example = "challenge when_busy"},
    {.name = "crawler",
     .where = IN_POLICY,
     .repeat = true,
     .adds = true,
     .args_min = 3,
     .args_max = 2 + CRAWLER_DOMAINS_MAX,
     .apply = crawler_apply,
     .usage = "NAME TEXT DOMAIN...",
     .text = "Requests whose User-Agent has TEXT in it pass a `challenge` when their address has a "
             "name below one of the domains (reverse DNS), and that name has the address (forward "
             "DNS). `$crawler` is NAME then.",
     .example = "crawler acme AcmeBot bots.example.com"},
    {0},
};
