/* tls.c - `tls` in an upstream: how its servers are verified, and what they are shown.
 *
 * The certificate of a server is verified unless somebody wrote `verify=off`, against the system's
 * authorities or a file of them, and for the name of the server line or the one given here. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/tls.h"
#include "base/mem.h"
#include "conf/snapshot.h"
#include "conf/source.h"
#include "upstream/tls_priv.h"

enum { PEM_BYTES_MAX = 4 << 20, KEY_TEXT_BYTES = 64 * 1024 };

struct tls_words {
    bool verify;
    int64_t version_min, version_max;
    struct slice name, ciphers, ciphersuites, groups;
    struct slice ca, cert, key; /* files */
};

#define WORD(field) offsetof(struct tls_words, field)

static const struct conf_choice versions[] = {
    {"1.2", 0x0303, "TLS 1.2"}, {"1.3", 0x0304, "TLS 1.3"}, {0}};

const struct directive upstream_tls_options[] = {
    {.name = "verify",
     .where = IN_OPTIONS,
     .type = CONF_FLAG,
     .offset = WORD(verify),
     .def = "on",
     .usage = "on|off",
     .text = "`off`: any certificate will do, so whoever gets between weir and the server can read "
             "and change everything. Weir says so at each start."},
    {.name = "ca",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(ca),
     .usage = "FILE",
     .text = "PEM file with the authorities that are believed, instead of the system's."},
    {.name = "name",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(name),
     .usage = "HOST",
     .text = "The name that is asked for (SNI) and that the certificate must cover, instead of the "
             "host of the server line."},
    {.name = "cert",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(cert),
     .usage = "FILE",
     .text = "PEM file with the certificate that is shown to servers that ask for one."},
    {.name = "key",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(key),
     .usage = "FILE",
     .text = "PEM file with its key; without it the key is expected in the certificate's file."},
    {.name = "min",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = versions,
     .offset = WORD(version_min),
     .usage = "1.2|1.3",
     .text = "Oldest version; 1.2 unless given."},
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_CHOICE,
     .choices = versions,
     .offset = WORD(version_max),
     .usage = "1.2|1.3",
     .text = "Newest version."},
    {.name = "ciphers",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(ciphers),
     .usage = "LIST",
     .text = "Ciphers of TLS 1.2 in OpenSSL's words."},
    {.name = "ciphersuites",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(ciphersuites),
     .usage = "LIST",
     .text = "Cipher suites of TLS 1.3 in OpenSSL's words."},
    {.name = "groups",
     .where = IN_OPTIONS,
     .type = CONF_STRING,
     .offset = WORD(groups),
     .usage = "LIST",
     .text = "Groups of the key exchange."},
    {0}};

static struct conf_pos option_pos(const struct conf_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->option_count; i++)
        if (strcmp(n->options[i].row->name, name) == 0)
            return n->options[i].value.pos;
    return n->pos;
}

static bool file_load(struct conf_build *b, struct conf_pos pos, struct slice name,
                      struct text *out)
{
    return conf_need_file(b, pos, conf_file_path(b, pos, name), PEM_BYTES_MAX, out);
}

static void ca_set(struct conf_build *b, const struct conf_node *n, struct slice file,
                   struct tls_origin *o)
{
    struct text pem;
    text_init(&pem);
    if (file.len > 0 && file_load(b, option_pos(n, "ca"), file, &pem))
        o->ca = arena_dup(b->arena, text_slice(&pem));
    text_release(&pem);
}

static void cert_drop(void *cert)
{
    tls_cert_drop(cert);
}

/* It lives as long as the snapshot. */
static void cert_set(struct conf_build *b, const struct conf_node *n, const struct tls_words *w,
                     struct tls_origin *o)
{
    struct text cert, key, why;
    struct slice key_file = w->key.len > 0 ? w->key : w->cert;
    struct conf_pos pos = option_pos(n, "cert");
    text_init(&cert);
    text_init(&key);
    text_reserve(&key, KEY_TEXT_BYTES); /* what grows leaves copies behind */
    text_init(&why);
    if (file_load(b, pos, w->cert, &cert) && file_load(b, option_pos(n, "key"), key_file, &key) &&
        tls_cert_load(&o->cert, text_slice(&cert), text_slice(&key), &why) != ERR_OK)
        diag_error(b->diag, pos, "%.*s: %.*s", SLICE_ARG(w->cert),
                   SLICE_ARG(slice_trim(text_slice(&why))));
    if (o->cert)
        conf_on_free(b->app, cert_drop, o->cert);
    tls_text_wipe(&cert);
    tls_text_wipe(&key);
    text_release(&why);
}

static const char *cstr(struct conf_build *b, struct slice s)
{
    return s.len > 0 ? mem_must((void *)arena_dup(b->arena, s).at, s.len) : NULL;
}

void upstream_tls_begin(struct conf_build *b, struct upstream *up)
{
    if (up->tls)
        return;
    up->tls = mem_must(ARENA_NEW(b->arena, struct tls_origin), sizeof *up->tls);
    up->tls->verify = true;
    up->tls_pos = up->pos;
}

void upstream_tls_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct upstream *up = scope;
    struct tls_words w = {0};
    conf_options(b, n, &w);
    upstream_tls_begin(b, up);
    struct tls_origin *o = up->tls;
    up->tls_pos = n->pos;
    o->verify = w.verify;
    o->name = w.name;
    o->version_min = (uint16_t)w.version_min;
    o->version_max = (uint16_t)w.version_max;
    o->ciphers = cstr(b, w.ciphers);
    o->ciphersuites = cstr(b, w.ciphersuites);
    o->groups = cstr(b, w.groups);
    ca_set(b, n, w.ca, o);
    if (w.cert.len > 0)
        cert_set(b, n, &w, o);
    else if (w.key.len > 0)
        diag_error(b->diag, option_pos(n, "key"), "a key without a certificate");
}

/* In our order of preference. */
static void alpn_set(const struct upstream *up, struct tls_origin *o)
{
    if (up->proto != UPSTREAM_ALONE)
        o->alpn[o->alpn_count++] = SLICE("h2");
    if (up->proto != UPSTREAM_SHARES)
        o->alpn[o->alpn_count++] = SLICE("http/1.1");
}

/* For uses that can not share, such as an upgrade that only HTTP/1.1 carries. */
static bool alone_seal(struct conf_build *b, struct upstream *up, struct text *why)
{
    if (up->proto != UPSTREAM_ASKS)
        return true;
    up->tls_alone = mem_must(ARENA_NEW(b->arena, struct tls_origin), sizeof *up->tls_alone);
    *up->tls_alone = *up->tls;
    up->tls_alone->alpn[0] = SLICE("http/1.1");
    up->tls_alone->alpn_count = 1;
    return tls_origin_seal(up->tls_alone, why);
}

void upstream_tls_finish(struct conf_build *b, struct upstream *up)
{
    struct text why;
    if (!up->tls || diag_failed(b->diag))
        return;
    alpn_set(up, up->tls);
    for (uint32_t i = 0; i < up->server_count && up->tls->verify && up->tls->name.len == 0; i++)
        if (up->servers[i].spec.is_unix) {
            diag_error(b->diag, up->servers[i].pos, "a unix socket has no name to verify");
            diag_hint(b->diag, "tls name=HOST");
            return;
        }
    text_init(&why);
    if (!tls_origin_seal(up->tls, &why) || !alone_seal(b, up, &why))
        diag_error(b->diag, up->tls_pos, "tls: %.*s", SLICE_ARG(slice_trim(text_slice(&why))));
    else if (!up->tls->verify)
        diag_warn(b->diag, up->tls_pos, "the certificates of these servers are not verified");
    text_release(&why);
}
