/* cert_dir.c - pairs the files of a directory of certificates by their names, and indexes hosts.
 *
 * What a file is, its text says (which PEM blocks it has); which key belongs to it, its name says,
 * because a wrong pair is then a mistake that can be named. Parts that other tools leave beside the
 * whole (chain.pem, cert.pem next to fullchain.pem, name.issuer.crt) are passed over. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/cert_dir.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES_MAX = 256, PATH_BYTES_MAX = 4096 };

const char *const cert_dir_patterns[] = {"*.pem",   "*.crt",   "*.cer",   "*.key", "*/*.pem",
                                         "*/*.crt", "*/*.cer", "*/*.key", NULL};

struct pairing {
    const struct cert_file *files;
    size_t count;
    struct hash_map by_path; /* path -> struct cert_file */
    struct hash_map used;    /* paths of keys that have a certificate */
};

/* ---- what a file is ---- */

static bool has(struct slice text, const char *words)
{
    return text.len > 0 && memmem(text.at, text.len, words, strlen(words)) != NULL;
}

static bool has_cert(const struct cert_file *f)
{
    return has(f->text, "CERTIFICATE-----");
}

static bool has_key(const struct cert_file *f)
{
    return has(f->text, "PRIVATE KEY-----");
}

/* ---- names ---- */

struct path_parts {
    struct slice folder; /* with its slash */
    struct slice stem;   /* of the last part, without the extension */
};

static struct path_parts split(struct slice path)
{
    size_t slash = path.len, dot = path.len;
    while (slash > 0 && path.at[slash - 1] != '/')
        slash--;
    for (size_t i = path.len; i > slash && dot == path.len; i--)
        if (path.at[i - 1] == '.')
            dot = i - 1;
    return (struct path_parts){slice_head(path, slash), {path.at + slash, dot - slash}};
}

static const struct cert_file *find(const struct pairing *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const struct cert_file *find(const struct pairing *p, const char *fmt, ...)
{
    char path[PATH_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof path)
        return NULL;
    return hash_map_find(&p->by_path, (struct slice){path, (size_t)len});
}

/* "fullchain7" and "7" for "fullchain": the number of a renewal may follow. */
static bool is_numbered(struct slice stem, struct slice word, struct slice *number)
{
    *number = slice_from(stem, word.len);
    for (size_t i = 0; i < number->len; i++)
        if (number->at[i] < '0' || number->at[i] > '9')
            return false;
    return slice_starts(stem, word);
}

static const struct cert_file *find_sibling(const struct pairing *p, struct path_parts at,
                                            const char *word, struct slice number)
{
    return find(p, "%.*s%s%.*s.pem", SLICE_ARG(at.folder), word, SLICE_ARG(number));
}

static const struct cert_file *key_of(const struct pairing *p, struct slice path)
{
    static const char *const endings[] = {".key", "-key.pem", ".key.pem"};
    struct path_parts at = split(path);
    const struct cert_file *f = NULL;
    struct slice number;
    for (size_t i = 0; i < sizeof endings / sizeof *endings && !f; i++)
        f = find(p, "%.*s%.*s%s", SLICE_ARG(at.folder), SLICE_ARG(at.stem), endings[i]);
    if (!f)
        f = find(p, "%.*s.key", SLICE_ARG(path));
    if (f || !(is_numbered(at.stem, SLICE("fullchain"), &number) ||
               is_numbered(at.stem, SLICE("cert"), &number)))
        return f;
    f = find_sibling(p, at, "privkey", number);
    return f ? f : find_sibling(p, at, "key", number);
}

/* A part of what another file has whole, or an authority that nobody shows. */
static bool is_part(const struct pairing *p, struct slice path)
{
    static const char *const authorities[] = {"chain", "ca", "ca-bundle", "cabundle", "bundle"};
    struct path_parts at = split(path);
    struct slice number;
    if (slice_ends(at.stem, SLICE(".issuer")) || slice_ends(at.stem, SLICE(".chain")))
        return true;
    for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++)
        if (is_numbered(at.stem, slice_of(authorities[i]), &number))
            return true;
    return is_numbered(at.stem, SLICE("cert"), &number) && find_sibling(p, at, "fullchain", number);
}

/* ---- loading ---- */

static struct slice dup(struct slice s)
{
    return (struct slice){mem_dup(s.at, s.len), s.len};
}

static void index_name(struct cert_dir *d, struct tls_cert *c, struct slice name)
{
    struct tls_cert *other = hash_map_find(&d->names[c->kind], name);
    if (other && other->not_after >= c->not_after)
        return;
    if (other) /* its key must not outlive it */
        hash_map_remove(&d->names[c->kind], name);
    hash_map_put(&d->names[c->kind], name, c);
}

static bool load_pair(struct cert_dir *d, const struct cert_file *cert, const struct cert_file *key,
                      int64_t now, struct text *why)
{
    struct tls_cert *c;
    size_t before = why->len;
    text_addf(why, "%.*s: ", SLICE_ARG(cert->path));
    if (key != cert)
        text_addf(why, "with %.*s: ", SLICE_ARG(key->path));
    enum err e = d->skims ? tls_cert_skim_at(&c, cert->text, now, why)
                          : tls_cert_load_at(&c, cert->text, key->text, now, why);
    if (e != ERR_OK) {
        text_add(why, SLICE("\n"));
        return false;
    }
    why->len = before;
    d->entries[d->count++] = (struct cert_dir_entry){dup(cert->path), dup(key->path), c};
    for (uint32_t i = 0; i < c->name_count; i++)
        index_name(d, c, c->names[i]);
    return true;
}

static bool load_file(struct cert_dir *d, struct pairing *p, const struct cert_file *f, int64_t now,
                      struct text *why)
{
    if (has_cert(f) && has_key(f))
        return load_pair(d, f, f, now, why);
    if (!has_cert(f) && !has_key(f)) {
        text_addf(why, "%.*s: neither a certificate nor a private key in PEM\n",
                  SLICE_ARG(f->path));
        return false;
    }
    if (!has_cert(f)) /* a key: its certificate speaks for it */
        return true;
    const struct cert_file *key = key_of(p, f->path);
    if (key) {
        hash_map_put(&p->used, key->path, (void *)(uintptr_t)key);
        return load_pair(d, f, key, now, why);
    }
    if (is_part(p, f->path))
        return true;
    struct path_parts at = split(f->path);
    text_addf(why, "%.*s: no key for this certificate; %.*s%.*s.key is looked for\n",
              SLICE_ARG(f->path), SLICE_ARG(at.folder), SLICE_ARG(at.stem));
    return false;
}

static bool say_unused_keys(const struct pairing *p, struct text *why)
{
    bool all_used = true;
    for (size_t i = 0; i < p->count; i++) {
        const struct cert_file *f = &p->files[i];
        if (!has_key(f) || has_cert(f) || hash_map_find(&p->used, f->path))
            continue;
        text_addf(why, "%.*s: no certificate for this key\n", SLICE_ARG(f->path));
        all_used = false;
    }
    return all_used;
}

static bool load_all(struct cert_dir *d, const struct cert_file *files, size_t count,
                     int64_t now_unix_s, struct text *why)
{
    struct pairing p = {.files = files, .count = count};
    bool ok = true;
    d->entries = mem_new(sizeof *d->entries * (count ? count : 1));
    for (int kind = 0; kind < TLS_KEY_KINDS; kind++)
        hash_map_init(&d->names[kind]);
    hash_map_init(&p.by_path);
    hash_map_init(&p.used);
    for (size_t i = 0; i < count; i++)
        hash_map_put(&p.by_path, files[i].path, (void *)(uintptr_t)&files[i]);
    for (size_t i = 0; i < count; i++)
        ok &= load_file(d, &p, &files[i], now_unix_s, why);
    ok &= say_unused_keys(&p, why);
    hash_map_release(&p.by_path);
    hash_map_release(&p.used);
    return ok;
}

bool cert_dir_load(struct cert_dir *d, const struct cert_file *files, size_t count,
                   int64_t now_unix_s, struct text *why)
{
    *d = (struct cert_dir){0};
    return load_all(d, files, count, now_unix_s, why);
}

bool cert_dir_skim(struct cert_dir *d, const struct cert_file *files, size_t count,
                   int64_t now_unix_s, struct text *why)
{
    *d = (struct cert_dir){.skims = true};
    return load_all(d, files, count, now_unix_s, why);
}

void cert_dir_release(struct cert_dir *d)
{
    for (int kind = 0; kind < TLS_KEY_KINDS; kind++)
        hash_map_release(&d->names[kind]);
    for (size_t i = 0; i < d->count; i++) {
        free((char *)(uintptr_t)d->entries[i].cert_path.at);
        free((char *)(uintptr_t)d->entries[i].key_path.at);
        tls_cert_drop(d->entries[i].cert);
    }
    free(d->entries);
}

struct tls_cert *cert_dir_find(const struct cert_dir *d, struct slice host, enum tls_key_kind kind)
{
    char wildcard[NAME_BYTES_MAX];
    struct tls_cert *c = hash_map_find(&d->names[kind], host);
    struct slice tail = slice_from(host, slice_find(host, '.'));
    if (c || tail.len == 0 || tail.len == host.len || tail.len + 1 > sizeof wildcard)
        return c;
    wildcard[0] = '*';
    memcpy(wildcard + 1, tail.at, tail.len);
    return hash_map_find(&d->names[kind], (struct slice){wildcard, tail.len + 1});
}
