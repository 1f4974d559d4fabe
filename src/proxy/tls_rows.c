/* tls_rows.c - the options of `tls` in sites and at the top, and how several lines add up.
 *
 * Each line may give any of them. What the top level gives holds for every site that does not give
 * it itself; certificates are taken whole: a site with one of its own shows none of the others. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls_build_priv.h"

#define TERM(field) offsetof(struct tls_terms, field)

static const struct conf_choice profiles[] = {
    {"intermediate", TLS_PROFILE_INTERMEDIATE, "TLS 1.2 and 1.3, for clients of the last years"},
    {"modern", TLS_PROFILE_MODERN, "TLS 1.3 alone"},
    {0}};
static const struct conf_choice versions[] = {
    {"1.2", 0x0303, "TLS 1.2"}, {"1.3", 0x0304, "TLS 1.3"}, {0}};
static const struct conf_choice clients[] = {
    {"optional", TLS_CLIENT_CERT_OPTIONAL, "clients are asked; what they show must be valid"},
    {"required", TLS_CLIENT_CERT_REQUIRED, "only clients with a valid certificate get in"},
    {0}};
static const struct conf_choice redirects[] = {
    {"auto", TLS_REDIRECT_AUTO, "where nobody asked for plain HTTP"},
    {"on", TLS_REDIRECT_ON, "from every plain listener"},
    {0}};

const struct directive tls_options[] = {
    {.name = "cert",
     .where = IN_OPTIONS,
     .type = CONF_STRING, /* read by the builder, as all without a field */
     .usage = "FILE",
     .text = "PEM file with the certificate, then the certificates between it and its authority. "
             "Several lines with `cert` add up: an RSA and an ECDSA one for the same name, or "
             "certificates of different names."},
    {.name = "key",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .usage = "FILE",
     .text = "PEM file with its private key, without a password. Without `key` it is expected in "
             "the certificate's file. Only the supervisor has to be able to read it."},
    {.name = "dir",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .usage = "FOLDER",
     .text = "A folder of certificates: `NAME.crt` or `NAME.pem` with its key in `NAME.key` or in "
             "the same file, or `fullchain.pem` with `privkey.pem`, there or in its folders. Each "
             "name of the site gets those that cover it."},
    {.name = "profile",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = profiles,
     .offset = TERM(profile),
     .def = "intermediate",
     .usage = "intermediate|modern",
     .text = "Versions and ciphers as Mozilla recommends them."},
    {.name = "min",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = versions,
     .offset = TERM(version_min),
     .usage = "1.2|1.3",
     .text = "Oldest version, instead of the profile's."},
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = versions,
     .offset = TERM(version_max),
     .usage = "1.2|1.3",
     .text = "Newest version, instead of the profile's."},
    {.name = "ciphers",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = TERM(ciphers),
     .usage = "LIST",
     .text = "Ciphers of TLS 1.2 in OpenSSL's words, instead of the profile's."},
    {.name = "ciphersuites",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = TERM(ciphersuites),
     .usage = "LIST",
     .text = "Cipher suites of TLS 1.3 in OpenSSL's words, instead of the profile's."},
    {.name = "groups",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = TERM(groups),
     .usage = "LIST",
     .text = "Groups of the key exchange, such as `X25519:P-256`, instead of the profile's."},
    {.name = "client",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .off_ok = true,
     .choices = clients,
     .offset = TERM(client),
     .def = "off",
     .usage = "off|optional|required",
     .text = "Whether clients have to show a certificate. What it says is in the variables "
             "`$client_cert_subject`, `$client_cert_san`, `$client_cert_serial` and "
             "`$client_cert_fingerprint`. A site that asks for one cannot be reached over a "
             "connection, or a resumed session, that was made for another: such a request is "
             "answered with 421."},
    {.name = "ca",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .usage = "FILE",
     .text = "PEM file with the authorities whose client certificates are valid."},
    {.name = "crl",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .usage = "FILE",
     .text = "PEM file with their lists of revoked certificates. With it every certificate of the "
             "chain is looked up, and an authority without a list is not believed."},
    {.name = "depth",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = TERM(depth),
     .min = 0,
     .max = TLS_CHAIN_MAX,
     .def = "4",
     .usage = "N",
     .text = "At most so many certificates between a client's and its authority."},
    {.name = "redirect",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .off_ok = true,
     .choices = redirects,
     .offset = TERM(redirect),
     .def = "auto",
     .usage = "auto|on|off",
     .text = "Whether a site that stands on a listener with TLS sends clients of plain listeners "
             "there. `auto`: those of port 80, and all when the site's certificate is one that "
             "weir made or clients have to show theirs; a plain listener on another port beside a "
             "certificate of your own was "
             "asked for, and serves. `off`: they are served everywhere."},
    {0},
};

void tls_terms_defaults(struct tls_terms *t)
{
    *t = (struct tls_terms){0};
    conf_defaults(tls_options, IN_OPTIONS, t);
}

const struct conf_word *tls_option(const struct conf_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->option_count; i++)
        if (strcmp(n->options[i].row->name, name) == 0)
            return &n->options[i].value;
    return NULL;
}

/* Options that name files have no field: their words are kept for the place of errors. */
static bool names_file(const struct directive *row)
{
    static const char *const files[] = {"cert", "key", "dir", "ca", "crl"};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        if (strcmp(row->name, files[i]) == 0)
            return true;
    return false;
}

static void line_files(struct builder *bu, const struct conf_node *n, struct tls_terms *t)
{
    const struct conf_word *ca = tls_option(n, "ca"), *crl = tls_option(n, "crl");
    const struct conf_word *key = tls_option(n, "key");
    bool cert = tls_option(n, "cert") != NULL, dir = tls_option(n, "dir") != NULL;
    if (ca)
        t->ca = *ca;
    if (crl)
        t->crl = *crl;
    if (key && !cert) {
        diag_error(bu->b->diag, key->pos, "a key without a certificate");
        diag_hint(bu->b->diag, "tls cert=FILE key=FILE");
    }
    if (cert && dir)
        diag_error(bu->b->diag, tls_option(n, "dir")->pos,
                   "a line names a certificate or a folder of them, not both");
    if (!cert && !dir)
        return;
    if (t->line_count < TLS_LINES_MAX)
        t->lines[t->line_count++] = n;
    else
        diag_error(bu->b->diag, n->pos, "more than %d certificates in one block", TLS_LINES_MAX);
}

static void line_read(struct builder *bu, const struct conf_node *n, struct tls_terms *t)
{
    if (n->option_count == 0) {
        diag_error(bu->b->diag, n->pos, "'tls' sets nothing");
        diag_hint(bu->b->diag, "usage: tls %s", n->row->usage);
    }
    for (uint32_t i = 0; i < n->option_count; i++)
        if (!names_file(n->options[i].row))
            conf_set(bu->b->diag, n->options[i].row, &n->options[i].value, t);
    line_files(bu, n, t);
    t->last = n;
}

void tls_terms_read(struct builder *bu, const struct conf_node *block, struct tls_terms *t)
{
    struct tls_terms inherited = *t;
    t->line_count = 0;
    CONF_NODE_EACH(n, block)
    {
        if (n->row && n->row->options == tls_options)
            line_read(bu, n, t);
    }
    if (t->line_count > 0)
        return;
    memcpy(t->lines, inherited.lines, sizeof(t->lines));
    t->line_count = inherited.line_count;
}
