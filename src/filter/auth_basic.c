/* auth_basic.c - `basic`: names and passwords (RFC 7617), against a file of htpasswd(1) or lines in
 * the block. Passwords are verified by other threads (auth/password_checks.h). */
// SPDX-License-Identifier: Apache-2.0
#include "auth/basic.h"
#include "auth/password_checks.h"
#include "auth/users.h"
#include "conf/source.h"
#include "filter/auth_priv.h"
#include "limit/addr_key.h"
#include <openssl/crypto.h>

enum { FILE_BYTES_MAX = 64 << 20, REALM_MAX = 200 };

struct basic_conf {
    struct users users;
    struct slice realm;
    bool strip;
    struct slice challenge;
    struct slice file; /* as it is written; empty: none */
};

struct basic_state {
    struct exchange *x;
    struct password_wait *wait;
    struct slice user;
    uint8_t said; /* enum password_state, once it was told */
    bool asked;
};

/* --- the directive ---------------------------------------------------------------------------- */

static const struct directive basic_options[] = {
    {.name = "realm",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = offsetof(struct basic_conf, realm),
     .def = "restricted",
     .usage = "TEXT",
     .text = "What browsers may show beside the question, and by which they know where else the "
             "same password is due."},
    {.name = "strip",
     .where = IN_OPTIONS,
     .type = CONF_MARK,
     .offset = offsetof(struct basic_conf, strip),
     .usage = "",
     .text = "The server does not get the Authorization field of who was let in."},
    {0},
};

static void users_wrong(struct conf_build *b, struct conf_pos pos, const char *path,
                        const struct users_error *e)
{
    if (e->line > 0)
        diag_error(b->diag, pos, "%s:%u: %.*s%s%s", path, e->line, SLICE_ARG(e->name),
                   e->name.len > 0 ? ": " : "", e->why);
    else
        diag_error(b->diag, pos, "user '%.*s' %s", SLICE_ARG(e->name), e->why);
    if (e->hint)
        diag_hint(b->diag, "%s", e->hint);
}

static void file_read(struct conf_build *b, const struct conf_word *w, struct users_gather *g)
{
    struct text text;
    struct users_error e = {0};
    const char *path = conf_file_path(b, w->pos, w->text);
    text_init(&text);
    if (conf_need_file(b, w->pos, path, FILE_BYTES_MAX, &text) &&
        !users_gather_read(g, b->arena, text_slice(&text), &e))
        users_wrong(b, w->pos, path, &e);
    if (text.at)
        OPENSSL_cleanse(text.at, text.len);
    text_release(&text);
}

static void user_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct users_error e = {0};
    if (!users_gather_add(scope, b->arena, n->args[0].text, n->args[1].text, &e))
        users_wrong(b, n->pos, NULL, &e);
}

/* A quoted string of RFC 9110 5.6.4. */
static struct slice quoted(struct conf_build *b, const struct conf_node *n, struct slice text)
{
    char to[2 * REALM_MAX];
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == 0x7f || text.len > REALM_MAX) {
            diag_error(b->diag, n->pos, "a realm has no controls and at most %d bytes", REALM_MAX);
            return SLICE_NONE;
        }
        if (c == '"' || c == '\\')
            to[len++] = '\\';
        to[len++] = text.at[i];
    }
    return arena_dup(b->arena, (struct slice){to, len});
}

static void basic_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    struct basic_conf *c = conf;
    struct users_gather g = {0};
    struct users_error e = {0};
    conf_options(b, n, c);
    struct slice realm = quoted(b, n, c->realm);
    c->challenge =
        arena_printf(b->arena, "Basic realm=\"%.*s\", charset=\"UTF-8\"", SLICE_ARG(realm));
    if (n->arg_count > 0) {
        c->file = n->args[0].text;
        file_read(b, &n->args[0], &g);
    }
    conf_apply_block(b, &g, n);
    if (n->arg_count == 0 && g.count == 0)
        diag_error(b->diag, n->pos, "a FILE or lines 'user NAME HASH' are due");
    if (!users_gather_finish(&g, b->arena, &c->users, &e))
        users_wrong(b, n->pos, NULL, &e);
    users_gather_release(&g);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_told(void *ctx, enum password_state said)
{
    struct basic_state *s = ctx;
    s->wait = NULL;
    s->said = (uint8_t)said;
    exchange_wake(s->x);
}

static enum auth_verdict failed(struct exchange *x, enum err e)
{
    x->err = e;
    return AUTH_FAILED;
}

static enum auth_verdict grant(struct exchange *x, struct slice user)
{
    enum err e = identity_add(x, "basic", user, NULL);
    return e == ERR_OK ? AUTH_GRANTED : failed(x, e);
}

static enum err basic_settle(struct exchange *x, const void *conf, void *state)
{
    const struct basic_conf *c = conf;
    (void)state;
    if (c->strip)
        headers_del_id(&x->req.headers, FIELD_AUTHORIZATION);
    return ERR_OK;
}

static enum auth_verdict verdict(struct exchange *x, const struct basic_state *s)
{
    if (s->said == PASSWORD_GOOD)
        return grant(x, s->user);
    if (s->said == PASSWORD_BAD)
        return AUTH_REFUSED;
    counter_add(x->worker->counters, METRIC_AUTH_PASSWORDS_BUSY, 1);
    return failed(x, ERR_AUTH_UNAVAILABLE);
}

static enum auth_verdict ask(struct exchange *x, const struct basic_conf *c, struct basic_state *s,
                             const struct basic_pair *p)
{
    const struct user *u = users_find(&c->users, p->user);
    struct addr_prefix from =
        addr_prefix_of(&x->client_addr, (struct addr_bits){ADDR_BITS_V4, ADDR_BITS_V6});
    struct password_question q = {.user = p->user,
                                  .password = p->password,
                                  .hash = (u ? u : users_decoy(&c->users, p->user))->hash,
                                  .decoy = !u,
                                  .share = addr_prefix_key(&from)};
    s->user = u ? u->name : SLICE_NONE;
    enum password_state said =
        password_ask(x->worker->passwords, &q, &x->worker->loop, on_told, s, &s->wait);
    if (said == PASSWORD_BEGUN)
        counter_add(x->worker->counters, METRIC_AUTH_PASSWORDS, 1);
    if (said == PASSWORD_BEGUN || said == PASSWORD_JOINED)
        return AUTH_WAIT;
    s->said = (uint8_t)said;
    return verdict(x, s);
}

static enum auth_verdict begin(struct exchange *x, const struct basic_conf *c,
                               struct basic_state *s)
{
    const struct header *h = headers_find(&x->req.headers, FIELD_AUTHORIZATION);
    struct basic_pair p;
    char bytes[BASIC_BYTES];
    enum auth_verdict v = AUTH_REFUSED;
    if (x->dry || !h)
        return AUTH_NONE;
    if (headers_next(&x->req.headers, h))
        return AUTH_REFUSED; /* who reads which one is anybody's guess */
    enum basic_verdict read = basic_read(h->value, bytes, &p);
    if (read == BASIC_NONE)
        return AUTH_NONE;
    if (read == BASIC_READ && !x->worker->passwords)
        v = failed(x, ERR_AUTH_UNAVAILABLE);
    else if (read == BASIC_READ && c->users.count > 0)
        v = ask(x, c, s, &p);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return v;
}

static enum auth_verdict basic_check(struct exchange *x, const void *conf, void *state)
{
    struct basic_state *s = state;
    if (s->wait)
        return AUTH_WAIT;
    if (s->asked)
        return verdict(x, s);
    s->asked = true;
    s->x = x;
    return begin(x, conf, s);
}

static void basic_challenge(struct exchange *x, const void *conf, void *state, struct text *out)
{
    const struct basic_conf *c = conf;
    (void)x;
    (void)state;
    text_add(out, c->challenge);
}

static void basic_finish(struct exchange *x, const void *conf, void *state)
{
    struct basic_state *s = state;
    (void)x;
    (void)conf;
    if (s->wait)
        password_leave(s->wait);
}

static void basic_explain(const void *conf, struct text *t)
{
    const struct basic_conf *c = conf;
    text_addf(t, " %.*s%s(%u users)%s", SLICE_ARG(c->file), c->file.len > 0 ? " " : "",
              c->users.count, c->strip ? " strip" : "");
}

const struct directive auth_basic_rows[] = {
    {.name = "basic",
     .where = IN_AUTH,
     .repeat = true,
     .args_max = 1,
     .apply = auth_method_apply,
     .opens = IN_AUTH_BASIC,
     .options = basic_options,
     .usage = "[FILE] [realm=TEXT] [strip] [{ user NAME HASH; ... }]",
     .text = "Demands a name and a password, as browsers ask for them. FILE is one of htpasswd "
             "(`htpasswd -B`, or lines `NAME:` and what `weir hash-password` prints): hashes of "
             "bcrypt, yescrypt, SHA-256-crypt and SHA-512-crypt; quicker ones (MD5, SHA-1, DES) "
             "are refused. When it changes it is read again. Passwords travel as they are: use it "
             "with TLS alone.",
     .example = "basic realm=staff {\n    user alice "
                "$2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2\n}"},
    {.name = "user",
     .where = IN_AUTH_BASIC,
     .repeat = true,
     .args_min = 2,
     .args_max = 2,
     .secret = 2,
     .apply = user_apply,
     .usage = "NAME HASH",
     .text = "One that may come, beside those of the file.",
     .example = "user alice $2y$05$0AWnCdPgHYRTgwg/XourDeCx8IJ1kotL92xCa1T8kEMk0Y/pRcPb2"},
    {0},
};

const struct auth_method auth_basic = {
    .word = "basic",
    .conf_bytes = sizeof(struct basic_conf),
    .state_bytes = sizeof(struct basic_state),
    .apply = basic_apply,
    .check = basic_check,
    .settle = basic_settle,
    .challenge = basic_challenge,
    .on_finish = basic_finish,
    .explain = basic_explain,
};
