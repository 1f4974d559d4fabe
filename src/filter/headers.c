/* headers.c - the filter behind `headers secure`: fields by which browsers protect a page's users,
 * and none that tell strangers about the server.
 *
 * What the server itself sends stays where it is as strict or stricter; `force` puts ours in its
 * place. Where there is a scale (RANKED) the stricter word wins. Policies of content add up in
 * browsers, so ours goes beside the server's; who may frame a page is left to a server that says
 * so. Strict-Transport-Security is `hsts`. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "proxy/build.h"
#include "proxy/exchange.h"
#include "proxy/filter.h"

enum { UNSET, OFF = CONF_OFF }; /* off: left to the server */
enum { FRAME_SAME = 1, FRAME_DENY };
enum { SERVER_REMOVE = 1, SERVER_KEEP };

struct headers_conf {
    struct conf_pos pos;
    int64_t preset;
    int64_t nosniff, frame, referrer, opener, resource, server; /* UNSET, OFF or a rank */
    struct slice permissions, csp;                              /* empty: unset */
    bool force;
    struct slice csp_framed, ancestors; /* the policy with frame-ancestors; that alone */
};

#define FIELD(name) offsetof(struct headers_conf, name)

/* --- the directive: words in the order of their strictness ------------------------------------ */

static const struct conf_choice preset_choices[] = {{"secure", 0, "the fields below"}, {0}};

static const struct conf_choice nosniff_choices[] = {
    {"on", 1, "X-Content-Type-Options: nosniff"},
    {0},
};

static const struct conf_choice frame_choices[] = {
    {"deny", FRAME_DENY, "no page may show it in a frame"},
    {"same", FRAME_SAME, "pages of the same origin may"},
    {0},
};

static const struct conf_choice referrer_choices[] = {
    {"no-referrer", 8, "nothing"},
    {"same-origin", 7, "the URL, to this very site"},
    {"strict-origin", 6, "the origin, unless HTTPS leads to HTTP"},
    {"strict-origin-when-cross-origin", 5, "the URL here, the origin elsewhere, nothing to HTTP"},
    {"origin", 4, "the origin"},
    {"origin-when-cross-origin", 3, "the URL here, the origin elsewhere"},
    {"no-referrer-when-downgrade", 2, "the URL, unless HTTPS leads to HTTP"},
    {"unsafe-url", 1, "the URL, always"},
    {0},
};

static const struct conf_choice opener_choices[] = {
    {"same-origin", 4, "windows of other origins have no hold on it, nor it on them"},
    {"noopener-allow-popups", 3, "nor does who opened it"},
    {"same-origin-allow-popups", 2, "but on those that it opens itself"},
    {"unsafe-none", 1, "they have"},
    {0},
};

static const struct conf_choice resource_choices[] = {
    {"same-origin", 3, "pages of this origin may embed it"},
    {"same-site", 2, "pages of this site's other hosts may, too"},
    {"cross-origin", 1, "all pages may"},
    {0},
};

static const struct conf_choice server_choices[] = {
    {"remove", SERVER_REMOVE, "they are taken off"},
    {"keep", SERVER_KEEP, "they stay"},
    {0},
};

/* No defaults in the rows: a nearer block sets only what it names. headers_ready() has them. */
static const struct directive headers_options[] = {
    {.name = "nosniff",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(nosniff),
     .off_ok = true,
     .choices = nosniff_choices,
     .usage = "on|off",
     .text = "X-Content-Type-Options: browsers believe the type that is told. Usually on."},
    {.name = "frame",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(frame),
     .off_ok = true,
     .choices = frame_choices,
     .usage = "same|deny|off",
     .text = "Who may show the page in a frame: X-Frame-Options, and `frame-ancestors` in "
             "Content-Security-Policy. Usually `same`. A server that sends `frame-ancestors` "
             "itself decides, unless `force`."},
    {.name = "referrer",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(referrer),
     .off_ok = true,
     .choices = referrer_choices,
     .usage = "POLICY|off",
     .text = "Referrer-Policy: what other sites learn of the URL. Usually "
             "`strict-origin-when-cross-origin`."},
    {.name = "permissions",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(permissions),
     .usage = "POLICY|off",
     .text = "Permissions-Policy, unless the server has one. Usually no camera, microphone, "
             "location, payment and USB."},
    {.name = "opener",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(opener),
     .off_ok = true,
     .choices = opener_choices,
     .usage = "POLICY|off",
     .text = "Cross-Origin-Opener-Policy. Usually `same-origin`; `same-origin-allow-popups` where "
             "logins or payments open in a window of their own."},
    {.name = "resource",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(resource),
     .off_ok = true,
     .choices = resource_choices,
     .usage = "POLICY|off",
     .text = "Cross-Origin-Resource-Policy: who may embed images, scripts and the like. Usually "
             "`same-site`; `cross-origin` for what is meant for others."},
    {.name = "csp",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = FIELD(csp),
     .usage = "POLICY|off",
     .text = "Content-Security-Policy. Usually none but `frame-ancestors`: no other fits every "
             "page. Beside the server's own, and what either forbids is forbidden."},
    {.name = "server",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .offset = FIELD(server),
     .choices = server_choices,
     .usage = "remove|keep",
     .text = "What becomes of the server's Server, X-Powered-By, X-AspNet-Version, "
             "X-AspNetMvc-Version and X-Generator. Usually `remove`."},
    {.name = "force",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = FIELD(force),
     .usage = "",
     .text = "Replaces what the server sends of these fields, stricter or not."},
    {0},
};

static bool is_off(struct slice s)
{
    return slice_eq(s, SLICE("off"));
}

/* Has the policy a directive of that name? Several may stand in one line (CSP3 2.2.2). */
static bool csp_has(struct slice policy, struct slice name)
{
    for (size_t i = 0, from = 0; i <= policy.len; i++) {
        if (i < policy.len && policy.at[i] != ';' && policy.at[i] != ',')
            continue;
        struct slice part = slice_trim((struct slice){policy.at + from, i - from});
        if (slice_eq_nocase(slice_head(part, slice_find(part, ' ')), name))
            return true;
        from = i + 1;
    }
    return false;
}

/* Outer blocks first, so a nearer one has the last word on what it names. */
static void headers_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct headers_conf *c = scope;
    conf_set(b->diag, n->row, &n->args[0], c);
    for (uint32_t i = 0; i < n->option_count; i++)
        conf_set(b->diag, n->options[i].row, &n->options[i].value, c);
    c->pos = n->pos;
    if (!field_value_valid(c->csp) || !field_value_valid(c->permissions))
        diag_error(b->diag, n->pos, "a policy has a control character");
}

static void default_set(int64_t *to, int64_t value)
{
    if (*to == UNSET)
        *to = value;
}

static void defaults_set(struct headers_conf *c)
{
    /* A policy that says itself who may frame the page has said it. */
    default_set(&c->frame, csp_has(c->csp, SLICE("frame-ancestors")) ? OFF : FRAME_SAME);
    default_set(&c->nosniff, 1);
    default_set(&c->referrer, 5);
    default_set(&c->opener, 4);
    default_set(&c->resource, 2);
    default_set(&c->server, SERVER_REMOVE);
    if (c->permissions.len == 0)
        c->permissions = SLICE("camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if (c->csp.len == 0)
        c->csp = SLICE("off");
}

static void headers_ready(struct conf_build *b, void *conf)
{
    struct headers_conf *c = conf;
    defaults_set(c);
    c->ancestors =
        c->frame == FRAME_DENY ? SLICE("frame-ancestors 'none'") : SLICE("frame-ancestors 'self'");
    c->csp_framed = c->csp;
    if (c->frame != OFF && !csp_has(c->csp, SLICE("frame-ancestors")))
        c->csp_framed = is_off(c->csp) ? c->ancestors
                                       : arena_printf(b->arena, "%.*s; %.*s", SLICE_ARG(c->csp),
                                                      SLICE_ARG(c->ancestors));
}

/* --- responses -------------------------------------------------------------------------------- */

static const struct ranked {
    struct slice name;
    size_t offset;
    const struct conf_choice *choices;
} RANKED[] = {
    {SLICE_INIT("Referrer-Policy"), FIELD(referrer), referrer_choices},
    {SLICE_INIT("Cross-Origin-Opener-Policy"), FIELD(opener), opener_choices},
    {SLICE_INIT("Cross-Origin-Resource-Policy"), FIELD(resource), resource_choices},
};

static int64_t word_rank(const struct conf_choice *choices, struct slice word)
{
    for (const struct conf_choice *it = choices; it->word; it++)
        if (it->value > 0 && slice_eq_nocase(slice_of(it->word), word))
            return it->value;
    return 0;
}

static const char *rank_word(const struct conf_choice *choices, int64_t rank)
{
    if (rank == OFF)
        return "off";
    while (choices->word && choices->value != rank)
        choices++;
    return choices->word ? choices->word : "";
}

/* Of what the server sent; 0: nothing that a browser would heed. Of a list the last word counts
 * that is known (Referrer Policy 4.1); of two lines none. */
static int64_t rank_sent(const struct headers *h, const struct ranked *r)
{
    const struct header *first = headers_find_name(h, r->name);
    int64_t rank = 0;
    if (!first || headers_next(h, first))
        return 0;
    struct slice rest = slice_head(first->value, slice_find(first->value, ';')), member;
    while (field_list_next(&rest, &member)) {
        int64_t one = word_rank(r->choices, slice_trim(member));
        rank = one ? one : rank;
    }
    return rank;
}

static enum err set(struct exchange *x, struct slice name, struct slice value)
{
    return headers_set(&x->res.headers, &x->arena, name, value);
}

static enum err ranked_set(struct exchange *x, const struct headers_conf *c)
{
    for (size_t i = 0; i < COUNT_OF(RANKED); i++) {
        int64_t want = *(const int64_t *)((const char *)c + RANKED[i].offset);
        if (want == OFF || (!c->force && rank_sent(&x->res.headers, &RANKED[i]) >= want))
            continue;
        TRY(set(x, RANKED[i].name, slice_of(rank_word(RANKED[i].choices, want))));
    }
    return ERR_OK;
}

static bool server_says_frames(const struct headers *h)
{
    const struct slice name = SLICE("content-security-policy");
    for (const struct header *it = headers_find_name(h, name); it; it = headers_next(h, it))
        if (csp_has(it->value, SLICE("frame-ancestors")))
            return true;
    return false;
}

static int64_t frame_sent(const struct headers *h)
{
    const struct header *first = headers_find_name(h, SLICE("x-frame-options"));
    if (!first || headers_next(h, first))
        return 0;
    if (slice_eq_nocase(first->value, SLICE("deny")))
        return FRAME_DENY;
    return slice_eq_nocase(first->value, SLICE("sameorigin")) ? FRAME_SAME : 0;
}

static enum err frame_set(struct exchange *x, const struct headers_conf *c)
{
    if (c->frame == OFF || (!c->force && frame_sent(&x->res.headers) >= c->frame))
        return ERR_OK;
    return set(x, SLICE("X-Frame-Options"),
               c->frame == FRAME_DENY ? SLICE("DENY") : SLICE("SAMEORIGIN"));
}

/* A second line is a second policy, and what either forbids is forbidden. */
static enum err policies_set(struct exchange *x, const struct headers_conf *c)
{
    const struct slice name = SLICE("Content-Security-Policy");
    struct headers *h = &x->res.headers;
    bool frames = c->force || !server_says_frames(h);
    struct slice policy = frames ? c->csp_framed : c->csp;
    if (frames)
        TRY(frame_set(x, c));
    if (c->force && !is_off(c->csp))
        headers_del(h, name);
    if (!is_off(policy))
        TRY(headers_add(h, &x->arena, name, policy));
    if (!is_off(c->permissions) && (c->force || !headers_find_name(h, SLICE("permissions-policy"))))
        TRY(set(x, SLICE("Permissions-Policy"), c->permissions));
    return ERR_OK;
}

static bool tells_server(const struct header *it)
{
    static const struct slice names[] = {SLICE_INIT("x-powered-by"), SLICE_INIT("x-aspnet-version"),
                                         SLICE_INIT("x-aspnetmvc-version"),
                                         SLICE_INIT("x-generator")};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_eq_nocase(it->name, names[i]))
            return true;
    return it->id == FIELD_SERVER;
}

static void server_remove(struct headers *h)
{
    HEADER_EACH (it, h)
        if (tells_server(it))
            it->dead = true;
}

static enum err secure(struct exchange *x, const struct headers_conf *c)
{
    if (c->server == SERVER_REMOVE)
        server_remove(&x->res.headers);
    if (c->nosniff == 1)
        TRY(set(x, SLICE("X-Content-Type-Options"), SLICE("nosniff")));
    TRY(ranked_set(x, c));
    return policies_set(x, c);
}

static enum verdict headers_response(struct exchange *x, const void *conf, void *state)
{
    (void)state;
    enum err e = secure(x, conf);
    if (e == ERR_OK)
        return PASS;
    x->err = e;
    return FAILED;
}

static void headers_explain(const void *conf, struct explain *e)
{
    const struct headers_conf *c = conf;
    explain_line(e, "headers", c->pos,
                 "secure: nosniff %s, frame %s, referrer %s, opener %s, "
                 "resource %s, csp %.*s%s",
                 rank_word(nosniff_choices, c->nosniff), rank_word(frame_choices, c->frame),
                 rank_word(referrer_choices, c->referrer), rank_word(opener_choices, c->opener),
                 rank_word(resource_choices, c->resource), SLICE_ARG(c->csp),
                 c->force ? ", forced" : "");
}

static const struct directive headers_rows[] = {
    {.name = "headers",
     .where = IN_POLICY,
     .type = CONF_CHOICE,
     .offset = FIELD(preset),
     .choices = preset_choices,
     .repeat = true,
     .adds = true,
     .args_min = 1,
     .args_max = 1,
     .options = headers_options,
     .apply = headers_apply,
     .usage = "secure [nosniff=] [frame=] [referrer=] [permissions=] [opener=] [resource=] [csp=] "
              "[server=] [force]",
     .text = "Sends the fields by which browsers protect users of a page, where the server does "
             "not send stricter ones, and removes those that tell what the server runs. A nearer "
             "block sets the options that it names; the others stay. For "
             "Strict-Transport-Security write `hsts`. See [browsers](../browser-security.md).",
     .example = "headers secure frame=deny csp=\"default-src 'self'\""},
    {0},
};

const struct filter_type filter_headers = {
    .name = "headers",
    .stage = STAGE_EARLY,
    .directives = headers_rows,
    .conf_bytes = sizeof(struct headers_conf),
    .ready = headers_ready,
    .on_response = headers_response,
    .explain = headers_explain,
};
