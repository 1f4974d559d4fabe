/* auth_cert.c - `cert`: who it is by the certificate that the client showed in the handshake, which
 * the site's `tls client=... ca=...` has verified.
 *
 * Names are read out of the certificate one by one: of texts that list them nobody knows where one
 * ends. What is behind another proxy that ends TLS has no certificate here, and fields that tell of
 * one are taken from every client. */
// SPDX-License-Identifier: Apache-2.0
#include "filter/auth_priv.h"
#include "proxy/client_cert.h"

enum user_from { USER_CN, USER_EMAIL, USER_DNS, USER_URI, USER_SUBJECT, USER_FINGERPRINT };

_Static_assert((int)USER_CN == CERT_CN && (int)USER_EMAIL == CERT_EMAIL &&
                   (int)USER_DNS == CERT_DNS && (int)USER_URI == CERT_URI,
               "a name's kind is what it is chosen by");

struct cert_conf {
    int64_t user; /* enum user_from */
};

static const struct conf_choice users[] = {
    {"cn", USER_CN, "the common name of the subject"},
    {"email", USER_EMAIL, "the mail address among the alternative names"},
    {"dns", USER_DNS, "the DNS name among them"},
    {"uri", USER_URI, "the URI among them, such as a SPIFFE id"},
    {"subject", USER_SUBJECT, "the whole subject, as RFC 2253 writes it"},
    {"fingerprint", USER_FINGERPRINT, "the SHA-256 of the certificate"},
    {0},
};

static const struct directive cert_options[] = {
    {.name = "user",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = users,
     .offset = offsetof(struct cert_conf, user),
     .def = "cn",
     .usage = "cn|email|dns|uri|subject|fingerprint",
     .text = "What becomes `$user`. A certificate with none of it, or with several, is refused."},
    {0},
};

/* --- the directive ---------------------------------------------------------------------------- */

static const char *const fields[] = {
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Client-Cert",
    "X-Client-Cert-Subject",
    "X-Client-Cert-San",
    "X-Client-Cert-Fingerprint",
    "X-Client-Verify",
    "X-Client-DN",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-DN",
    "X-SSL-Client-CN",
    "SSL-Client-Cert",
    "SSL-Client-Verify",
    "SSL-Client-Subject-DN",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
};

/* What the line says of client certificates; NULL: nothing. */
static const struct conf_word *said_of_clients(const struct conf_node *line)
{
    if (!line->row || !slice_eq(line->words[0].text, SLICE("tls")))
        return NULL;
    for (uint32_t i = 0; i < line->option_count; i++)
        if (slice_eq(slice_of(line->options[i].row->name), SLICE("client")))
            return &line->options[i].value;
    return NULL;
}

/* Are clients asked for a certificate here? The nearest block that says so or not decides. */
static bool site_asks(const struct conf_node *n)
{
    for (const struct conf_node *block = n->parent; block; block = block->parent) {
        const struct conf_word *said = NULL;
        CONF_NODE_EACH(line, block)
        {
            const struct conf_word *w = said_of_clients(line);
            said = w ? w : said;
        }
        if (said)
            return !slice_eq(said->text, SLICE("off"));
    }
    return false;
}

static void cert_apply(struct conf_build *b, void *conf, const struct conf_node *n)
{
    conf_options(b, n, conf);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        identity_reserve_name(b, slice_of(fields[i]));
    if (site_asks(n))
        return;
    diag_error(b->diag, n->pos, "no client is asked for a certificate here: nobody would get in");
    diag_hint(b->diag, "the site needs 'tls client=optional ca=/etc/weir/clients.pem'");
}

/* --- asking ----------------------------------------------------------------------------------- */

struct names {
    struct exchange *x;
    struct claim_list claims;
    struct slice user;
    uint32_t users; /* how many there are of the kind that it is chosen by */
    int64_t wanted; /* enum user_from */
    bool spent;     /* memory is */
};

static void name_add(struct names *n, struct slice name, struct slice value)
{
    if (value.len == 0)
        return;
    struct slice copy = arena_dup(&n->x->arena, value);
    if (!copy.at || !claim_add(&n->claims, &n->x->arena, name, copy))
        n->spent = true;
}

static void on_name(void *ctx, enum cert_name kind, struct slice name)
{
    static const struct slice words[] = {
        [CERT_CN] = SLICE_INIT("cert.cn"),
        [CERT_EMAIL] = SLICE_INIT("cert.email"),
        [CERT_DNS] = SLICE_INIT("cert.dns"),
        [CERT_URI] = SLICE_INIT("cert.uri"),
    };
    struct names *n = ctx;
    name_add(n, words[kind], name);
    if (n->wanted != (int64_t)kind || n->spent)
        return;
    n->users++;
    n->user = n->claims.last->value;
}

static void fact_add(struct names *n, struct slice name, enum cert_fact fact, enum user_from as)
{
    struct slice value = client_cert_fact(n->x, fact);
    name_add(n, name, value);
    if (n->wanted != (int64_t)as || n->spent)
        return;
    n->users = value.len > 0;
    n->user = value;
}

static enum auth_verdict failed(struct exchange *x, enum err e)
{
    x->err = e;
    return AUTH_FAILED;
}

static enum auth_verdict cert_check(struct exchange *x, const void *conf, void *state)
{
    const struct cert_conf *c = conf;
    struct names n = {.x = x, .wanted = c->user};
    (void)state;
    if (x->dry || !client_cert_names(x, on_name, &n))
        return AUTH_NONE;
    fact_add(&n, SLICE("cert.subject"), CERT_SUBJECT, USER_SUBJECT);
    fact_add(&n, SLICE("cert.fingerprint"), CERT_FINGERPRINT, USER_FINGERPRINT);
    fact_add(&n, SLICE("cert.serial"), CERT_SERIAL, USER_FINGERPRINT + 1);
    if (n.spent)
        return failed(x, ERR_OVER_BUDGET);
    if (n.users != 1)
        return AUTH_REFUSED;
    enum err e = identity_add(x, "cert", n.user, n.claims.first);
    return e == ERR_OK ? AUTH_GRANTED : failed(x, e);
}

static void cert_explain(const void *conf, struct text *t)
{
    const struct cert_conf *c = conf;
    text_addf(t, " user=%s", users[c->user].word);
}

const struct directive auth_cert_rows[] = {
    {.name = "cert",
     .where = IN_AUTH,
     .repeat = true,
     .apply = auth_method_apply,
     .options = cert_options,
     .usage = "[user=cn|email|dns|uri|subject|fingerprint]",
     .text =
         "Demands a certificate of the client, which the site's `tls client=... ca=...` "
         "verifies, and says who it is by it. `require` says whose may come: its names are the "
         "claims cert.cn, cert.email, cert.dns, cert.uri, cert.subject, cert.fingerprint and "
         "cert.serial. Fields by which others tell of certificates (Client-Cert, X-SSL-Client-* "
         "and their like) are taken from clients on every site.",
     .example = NULL},
    {0},
};

const struct auth_method auth_cert = {
    .word = "cert",
    .conf_bytes = sizeof(struct cert_conf),
    .apply = cert_apply,
    .check = cert_check,
    .explain = cert_explain,
};
