/* tls_build.c - makes what listeners with TLS show out of sites and their `tls` lines.
 *
 * A site that stands on such a listener has certificates of its own, or of the top level those that
 * cover a name of it, or else one from the local CA (conf_source.issue). Each of its names becomes
 * an identity with at most one certificate of each kind of key. Certificates of the top level are
 * read once, whatever the number of sites. */
// SPDX-License-Identifier: Apache-2.0
#include "conf/source.h"
#include "proxy/target.h"
#include "proxy/tls_build_priv.h"
#include "tls/cert_dir.h"
#include <stdlib.h>

enum {
    PEM_BYTES_MAX = 4 << 20, /* a bundle of authorities may be long */
    SITE_CERTS_MAX = 1024,
    KEY_TEXT_BYTES = 64 * 1024,
    HANDSHAKE_MS = 10 * 1000,
    HANDSHAKES_MAX = 1024, /* of a worker at once; the oldest gives way */
};

/* ---- files ---- */

static const char *path_of_word(struct builder *bu, const struct conf_word *w)
{
    return conf_file_path(bu->b, w->pos, w->text);
}

static bool file_load(struct builder *bu, const struct conf_word *w, const char *path,
                      struct text *out)
{
    return conf_need_file(bu->b, w->pos, path, PEM_BYTES_MAX, out);
}

/* ---- certificates ---- */

static int64_t now_unix_s(const struct builder *bu)
{
    return bu->conf->loaded_unix_ms / 1000;
}

static void cert_warn(struct builder *bu, struct conf_pos pos, struct slice label,
                      const struct tls_cert *c)
{
    struct text why;
    struct slice rest, line;
    text_init(&why);
    if (tls_cert_warnings(c, NULL, 0, now_unix_s(bu), &why)) {
        rest = text_slice(&why);
        while (slice_cut(&rest, '\n', &line))
            if (line.len > 0)
                diag_warn(bu->b->diag, pos, "%.*s: %.*s", SLICE_ARG(label), SLICE_ARG(line));
    }
    text_release(&why);
}

static struct proxy_cert *cert_add(struct builder *bu, struct tls_cert *c, struct slice label,
                                   struct conf_pos pos)
{
    struct proxy_cert *p = BUILD_NEW(bu->b, struct proxy_cert);
    *p = (struct proxy_cert){.next = bu->proxy->certs, .cert = c, .label = label, .pos = pos};
    bu->proxy->certs = p;
    return p;
}

static struct proxy_cert *cert_from_pem(struct builder *bu, struct slice cert, struct slice key,
                                        struct slice label, struct conf_pos pos)
{
    struct tls_cert *c = NULL;
    struct text why;
    text_init(&why);
    bool ok = tls_cert_load(&c, cert, key, &why) == ERR_OK;
    if (!ok)
        diag_error(bu->b->diag, pos, "%.*s: %.*s", SLICE_ARG(label),
                   SLICE_ARG(slice_trim(text_slice(&why))));
    text_release(&why);
    return ok ? cert_add(bu, c, label, pos) : NULL;
}

/* What is wrong may be wrong with either file, and the message stands at the certificate's. */
static void key_hint(struct builder *bu, const char *key_path)
{
    if (key_path)
        diag_hint(bu->b->diag, "its key is read from %s", key_path);
    else
        diag_hint(bu->b->diag, "its key is read from the same file; key=FILE names another");
}

static struct proxy_cert *cert_from_files(struct builder *bu, const struct conf_word *cert,
                                          const char *cert_path, const struct conf_word *key,
                                          const char *key_path)
{
    struct text cert_pem, key_pem;
    struct proxy_cert *c = NULL;
    bool same = strcmp(cert_path, key_path) == 0;
    text_init(&cert_pem);
    text_init(&key_pem);
    text_reserve(&cert_pem, KEY_TEXT_BYTES); /* what grows leaves copies behind */
    text_reserve(&key_pem, KEY_TEXT_BYTES);
    if (file_load(bu, cert, cert_path, &cert_pem) &&
        (same || file_load(bu, key, key_path, &key_pem))) {
        c = cert_from_pem(bu, text_slice(&cert_pem), text_slice(same ? &cert_pem : &key_pem),
                          slice_of(cert_path), cert->pos);
        if (c)
            cert_warn(bu, cert->pos, c->label, c->cert);
        else
            key_hint(bu, same ? NULL : key_path);
    }
    tls_text_wipe(&cert_pem);
    tls_text_wipe(&key_pem);
    return c;
}

/* ---- lines: each is read once ---- */

struct tls_line {
    struct tls_line *next;
    const struct conf_node *node;
    struct proxy_cert **certs;
    uint32_t count;
};

static void line_pair(struct builder *bu, struct tls_line *l)
{
    const struct conf_word *cert = tls_option(l->node, "cert"), *key = tls_option(l->node, "key");
    const char *path = path_of_word(bu, cert);
    l->certs = BUILD_ARRAY(bu->b, struct proxy_cert *, 1);
    struct proxy_cert *c =
        cert_from_files(bu, cert, path, key ? key : cert, key ? path_of_word(bu, key) : path);
    if (c)
        l->certs[l->count++] = c;
}

struct folder {
    struct builder *bu;
    const struct conf_word *word;
    struct cert_file *files;
    size_t count, cap;
};

static void folder_found(void *ctx, const char *path)
{
    struct folder *f = ctx;
    struct text pem;
    text_init(&pem);
    if (file_load(f->bu, f->word, path, &pem)) {
        if (f->count == f->cap) {
            f->cap = f->cap ? f->cap * 2 : 64;
            f->files = mem_grow(f->files, f->cap * sizeof *f->files);
        }
        f->files[f->count++] = (struct cert_file){
            .path = {mem_dup(path, strlen(path)), strlen(path)},
            .text = {mem_dup(pem.at ? pem.at : "", pem.len), pem.len},
        };
    }
    tls_text_wipe(&pem);
}

static void folder_release(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++) {
        explicit_bzero((char *)f->files[i].text.at, f->files[i].text.len);
        free((char *)f->files[i].text.at);
        free((char *)f->files[i].path.at);
    }
    free(f->files);
}

static void folder_use(struct folder *f, struct tls_line *l)
{
    struct cert_dir dir;
    struct text why;
    struct slice rest, line;
    text_init(&why);
    bool ok = cert_dir_load(&dir, f->files, f->count, now_unix_s(f->bu), &why);
    rest = text_slice(&why);
    while (!ok && slice_cut(&rest, '\n', &line))
        if (line.len > 0)
            diag_error(f->bu->b->diag, f->word->pos, "%.*s", SLICE_ARG(line));
    l->certs = BUILD_ARRAY(f->bu->b, struct proxy_cert *, dir.count);
    for (size_t i = 0; i < dir.count; i++) {
        const struct cert_dir_entry *e = &dir.entries[i];
        cert_warn(f->bu, f->word->pos, e->cert_path, e->cert);
        l->certs[l->count++] = cert_add(f->bu, tls_cert_take(e->cert),
                                        arena_dup(f->bu->b->arena, e->cert_path), f->word->pos);
    }
    cert_dir_release(&dir);
    text_release(&why);
}

static void line_folder(struct builder *bu, struct tls_line *l, const struct conf_word *dir)
{
    const struct conf_source *s = bu->b->source ? bu->b->source : &conf_source_system;
    struct folder f = {.bu = bu, .word = dir};
    const char *path = path_of_word(bu, dir);
    struct proxy_folder *folder = BUILD_NEW(bu->b, struct proxy_folder);
    *folder = (struct proxy_folder){bu->proxy->cert_folders, path};
    bu->proxy->cert_folders = folder;
    for (size_t i = 0; cert_dir_patterns[i]; i++) {
        struct slice pattern = arena_printf(bu->b->arena, "%s/%s", path, cert_dir_patterns[i]);
        s->glob(s, mem_must((void *)pattern.at, pattern.len), folder_found, &f);
    }
    folder_use(&f, l);
    if (l->count == 0 && !diag_failed(bu->b->diag))
        diag_warn(bu->b->diag, dir->pos, "no certificate in %s", path);
    folder_release(&f);
}

static const struct tls_line *line_get(struct builder *bu, const struct conf_node *n)
{
    for (struct tls_line *l = bu->tls_lines; l; l = l->next)
        if (l->node == n)
            return l;
    struct tls_line *l = BUILD_NEW(bu->b, struct tls_line);
    *l = (struct tls_line){.next = bu->tls_lines, .node = n};
    bu->tls_lines = l;
    const struct conf_word *dir = tls_option(n, "dir");
    if (dir && !tls_option(n, "cert"))
        line_folder(bu, l, dir);
    else
        line_pair(bu, l);
    return l;
}

/* ---- which certificate for which name ---- */

/* An IPv6 address stands in brackets where a port may follow. */
static struct slice unbracket(struct slice s)
{
    bool brackets = s.len > 2 && s.at[0] == '[' && s.at[s.len - 1] == ']';
    return brackets ? (struct slice){s.at + 1, s.len - 2} : s;
}

/* A host that the name stands for; "*" stands for any. */
static struct slice host_of_name(struct builder *bu, struct slice name)
{
    if (!slice_starts(name, SLICE("*.")))
        return unbracket(name);
    return arena_printf(bu->b->arena, "weir%.*s", SLICE_ARG(slice_from(name, 1)));
}

static bool is_any(struct slice name)
{
    return slice_eq(name, SLICE("*"));
}

static struct tls_cert *cert_for(const struct site_tls *t, enum tls_key_kind kind,
                                 struct slice host, bool must_cover)
{
    for (uint32_t i = 0; i < t->cert_count; i++) {
        struct tls_cert *c = t->certs[i]->cert;
        if (c->kind == kind && (!must_cover || tls_cert_covers(c, host)))
            return c;
    }
    return NULL;
}

static bool any_covers(const struct site_tls *t, struct slice host)
{
    return cert_for(t, TLS_KEY_RSA, host, true) || cert_for(t, TLS_KEY_ECDSA, host, true);
}

static struct tls_identity *identity_make(struct builder *bu, struct site *s, struct slice name)
{
    struct tls_identity *id = BUILD_NEW(bu->b, struct tls_identity);
    struct slice host = host_of_name(bu, name);
    bool covered = !is_any(name) && any_covers(s->tls, host);
    id->policy = s->tls->policy;
    for (int kind = 0; kind < TLS_KEY_KINDS; kind++)
        id->certs[kind] = cert_for(s->tls, (enum tls_key_kind)kind, host, covered);
    return id;
}

/* ---- a site's certificates ---- */

static void site_cert_add(struct site_tls *t, struct proxy_cert *c)
{
    if (t->cert_count < SITE_CERTS_MAX)
        t->certs[t->cert_count++] = c;
}

static bool covers_site(const struct tls_cert *c, struct builder *bu, const struct site *s)
{
    for (uint32_t i = 0; i < s->name_count; i++)
        if (is_any(s->names[i].text) || tls_cert_covers(c, host_of_name(bu, s->names[i].text)))
            return true;
    return false;
}

/* Inherited ones count only when they fit; of a site's own all do. */
static void site_certs_read(struct builder *bu, struct site *s, const struct tls_terms *t)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < t->line_count; i++)
        most += line_get(bu, t->lines[i])->count;
    s->tls->certs = BUILD_ARRAY(bu->b, struct proxy_cert *, most + 1);
    for (uint32_t i = 0; i < t->line_count; i++) {
        const struct tls_line *l = line_get(bu, t->lines[i]);
        for (uint32_t k = 0; k < l->count; k++)
            if (l->node->parent == s->node || covers_site(l->certs[k]->cert, bu, s))
                site_cert_add(s->tls, l->certs[k]);
    }
}

static void names_warn(struct builder *bu, const struct site *s)
{
    for (uint32_t i = 0; i < s->name_count; i++) {
        const struct site_name *n = &s->names[i];
        if (n->scheme == SITE_HTTP || is_any(n->text) ||
            any_covers(s->tls, host_of_name(bu, n->text)))
            continue;
        diag_warn(bu->b->diag, n->pos, "no certificate of this site covers '%.*s'",
                  SLICE_ARG(n->text));
        diag_hint(bu->b->diag, "clients that ask for it get one that they will not accept");
    }
}

/* ---- the local CA ---- */

static uint32_t local_names(const struct site *s, struct slice *names)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->name_count; i++)
        if (!is_any(s->names[i].text) && s->names[i].scheme != SITE_HTTP)
            names[count++] = unbracket(s->names[i].text);
    if (count > 0)
        return count;
    names[count++] = SLICE("localhost");
    names[count++] = SLICE("127.0.0.1");
    names[count++] = SLICE("::1");
    return count;
}

static void site_cert_issue(struct builder *bu, struct site *s)
{
    const struct conf_source *src = bu->b->source;
    struct slice *names = BUILD_ARRAY(bu->b, struct slice, s->name_count + 3);
    uint32_t count = local_names(s, names);
    struct text cert, key;
    text_init(&cert);
    text_init(&key);
    const char *why = src && src->issue ? src->issue(src, names, count, &cert, &key)
                                        : "there is no local authority here";
    if (why) {
        diag_error(bu->b->diag, s->pos, "this site has no certificate for TLS: %s", why);
        diag_hint(bu->b->diag, "tls cert=FILE key=FILE");
    } else {
        struct proxy_cert *c =
            cert_from_pem(bu, text_slice(&cert), text_slice(&key), SLICE("local CA"), s->pos);
        s->tls->local = true;
        if (c)
            site_cert_add(s->tls, c);
    }
    tls_text_wipe(&cert);
    tls_text_wipe(&key);
}

/* ---- policy ---- */

static const char *cstr(struct builder *bu, struct slice s)
{
    return s.len > 0 ? mem_must((void *)arena_dup(bu->b->arena, s).at, s.len) : NULL;
}

static struct slice client_ca_load(struct builder *bu, const struct tls_terms *t)
{
    struct text pem;
    struct slice all = SLICE_NONE;
    text_init(&pem);
    bool ok = file_load(bu, &t->ca, path_of_word(bu, &t->ca), &pem);
    text_add(&pem, SLICE("\n"));
    if (ok && t->crl.text.len > 0)
        ok = file_load(bu, &t->crl, path_of_word(bu, &t->crl), &pem);
    if (ok)
        all = arena_dup(bu->b->arena, text_slice(&pem));
    text_release(&pem);
    return all;
}

static struct conf_pos terms_pos(const struct site *s, const struct tls_terms *t)
{
    return t->last ? t->last->pos : s->pos;
}

static void client_set(struct builder *bu, const struct site *s, const struct tls_terms *t,
                       struct tls_policy *p)
{
    p->client_cert = t->client == CONF_OFF ? TLS_CLIENT_CERT_OFF : (enum tls_client_cert)t->client;
    p->verify_depth = (int)t->depth;
    p->check_crl = t->crl.text.len > 0;
    if (p->client_cert == TLS_CLIENT_CERT_OFF)
        return;
    if (t->ca.text.len > 0) {
        p->client_ca = client_ca_load(bu, t);
        return;
    }
    diag_error(bu->b->diag, terms_pos(s, t),
               "asking for client certificates needs ca=FILE: the authorities that sign them");
    diag_hint(bu->b->diag, "tls client=required ca=FILE");
}

/* Sealing tries the words out on a context of OpenSSL's, which takes half a millisecond: most sites
 * have the policy of another one. */
struct tls_sealed {
    struct tls_sealed *next;
    struct tls_policy policy;
};

static bool same_words(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool policy_same(const struct tls_policy *a, const struct tls_policy *b)
{
    return a->profile == b->profile && a->version_min == b->version_min &&
           a->version_max == b->version_max && same_words(a->ciphers, b->ciphers) &&
           same_words(a->ciphersuites, b->ciphersuites) && same_words(a->groups, b->groups) &&
           a->client_cert == b->client_cert && slice_eq(a->client_ca, b->client_ca) &&
           a->check_crl == b->check_crl && a->verify_depth == b->verify_depth;
}

static bool policy_known(const struct builder *bu, struct tls_policy *p)
{
    for (const struct tls_sealed *s = bu->tls_sealed; s; s = s->next) {
        if (!policy_same(&s->policy, p))
            continue;
        *p = s->policy;
        return true;
    }
    return false;
}

static void policy_keep(struct builder *bu, const struct tls_policy *p)
{
    struct tls_sealed *s = BUILD_NEW(bu->b, struct tls_sealed);
    *s = (struct tls_sealed){bu->tls_sealed, *p};
    bu->tls_sealed = s;
}

static void policy_make(struct builder *bu, struct site *s, const struct tls_terms *t)
{
    struct tls_policy *p = &s->tls->policy;
    struct text why;
    p->profile = (enum tls_profile)t->profile;
    p->version_min = (uint16_t)t->version_min;
    p->version_max = (uint16_t)t->version_max;
    p->ciphers = cstr(bu, t->ciphers);
    p->ciphersuites = cstr(bu, t->ciphersuites);
    p->groups = cstr(bu, t->groups);
    client_set(bu, s, t, p);
    if (diag_failed(bu->b->diag) || policy_known(bu, p))
        return;
    text_init(&why);
    if (tls_policy_seal(p, &why))
        policy_keep(bu, p);
    else
        diag_error(bu->b->diag, terms_pos(s, t), "tls: %.*s",
                   SLICE_ARG(slice_trim(text_slice(&why))));
    text_release(&why);
}

static void unused_warn(struct builder *bu, const struct site *s, const struct tls_terms *t)
{
    if (!t->last || t->last->parent != s->node)
        return;
    diag_warn(bu->b->diag, t->last->pos, "this site stands on no listener with TLS");
    diag_hint(bu->b->diag, "listen :443 tls");
}

/* Nobody shows a certificate over plain HTTP: a site that requires one is not to be had there. */
static void guard_check(struct builder *bu, const struct site *s, const struct tls_terms *t)
{
    if (t->client != TLS_CLIENT_CERT_REQUIRED)
        return;
    diag_error(bu->b->diag, terms_pos(s, t),
               "this site requires client certificates, but can be reached without TLS");
    diag_hint(bu->b->diag, "tls redirect=on, and no names with http://");
}

void site_plain_check(struct builder *bu, const struct site *s, enum site_plain plain)
{
    struct tls_terms t = bu->tls_top;
    if (s->tls && plain == SITE_NOT_PLAIN)
        return;
    tls_terms_read(bu, s->node, &t);
    if (!s->tls)
        unused_warn(bu, s, &t);
    if (plain == SITE_PLAIN)
        guard_check(bu, s, &t);
}

void site_tls_need(struct builder *bu, struct site *s)
{
    if (s->tls)
        return;
    struct tls_terms t = bu->tls_top;
    s->tls = BUILD_NEW(bu->b, struct site_tls);
    tls_terms_read(bu, s->node, &t);
    s->tls_redirect = t.redirect == CONF_OFF ? TLS_REDIRECT_OFF : (uint8_t)t.redirect;
    site_certs_read(bu, s, &t);
    if (s->tls->cert_count > 0)
        names_warn(bu, s);
    else if (!diag_failed(bu->b->diag))
        site_cert_issue(bu, s);
    policy_make(bu, s, &t);
}

/* ---- listeners ---- */

static struct tls_server *server_get(struct builder *bu, struct listen_conf *l)
{
    if (l->server)
        return l->server;
    l->server = BUILD_NEW(bu->b, struct tls_server);
    hash_map_init(&l->server->exact);
    hash_map_init(&l->server->wildcards);
    return l->server;
}

void listen_tls_name(struct builder *bu, struct listen_conf *l, struct site *s, struct slice name)
{
    struct tls_server *server = server_get(bu, l);
    struct tls_identity *id = identity_make(bu, s, name);
    if (is_any(name))
        server->fallback = id;
    else if (slice_starts(name, SLICE("*.")))
        hash_map_put(&server->wildcards, slice_from(name, 2), id);
    else
        hash_map_put(&server->exact, name, id);
    /* Who names no site gets to know what is here, but not by way of a guarded one's handshake. */
    bool open = id->policy.client_cert == TLS_CLIENT_CERT_OFF;
    if (!l->first_identity || (open && !l->first_is_open)) {
        l->first_identity = id;
        l->first_is_open = open;
    }
}

/* The one place where protocols are offered. */
static void alpn_set(const struct listen_conf *l, struct tls_server *s)
{
    if (l->h2)
        s->alpn[s->alpn_count++] = SLICE("h2");
    if (l->h1)
        s->alpn[s->alpn_count++] = SLICE("http/1.1");
}

void listen_tls_finish(struct listen_conf *l)
{
    if (!l->server)
        return;
    if (!l->server->fallback)
        l->server->fallback = l->first_identity;
    l->server->handshake_ms = HANDSHAKE_MS;
    l->server->handshakes_max = HANDSHAKES_MAX;
    alpn_set(l, l->server);
}

void listen_tls_alone(struct conf_build *b, struct conf *c, struct listen_conf *l, struct site *s)
{
    struct builder bu = {.b = b, .conf = c, .proxy = c->proxy};
    tls_terms_defaults(&bu.tls_top);
    l->tls = true;
    site_tls_need(&bu, s);
    if (diag_failed(b->diag))
        return;
    listen_tls_name(&bu, l, s, SLICE("*"));
    listen_tls_finish(l);
}

void proxy_tls_release(struct proxy_conf *p)
{
    for (struct proxy_cert *c = p->certs; c; c = c->next)
        tls_cert_drop(c->cert);
    for (uint32_t i = 0; i < p->listen_count; i++) {
        struct tls_server *s = p->listens[i]->server;
        if (!s)
            continue;
        hash_map_release(&s->exact);
        hash_map_release(&s->wildcards);
    }
}
