/* local_ca.c - the local authority: found or made, and the leaves that it keeps.
 *
 * What is read from its directory is checked like any certificate (tls_cert_load_at()). A leaf is
 * found again by a digest of its names; it is made anew when it runs out soon, when the authority
 * is another one now, or when its file is damaged. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/local_ca.h"
#include "base/mem.h"
#include "tls/local_ca_priv.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DAY_S = 86400, NAME_BYTES_MAX = 253, LABEL_BYTES_MAX = 63, LEAF_FILE_BYTES = 64 };

struct local_ca {
    int dir;
    char *path; /* of ca.crt */
    struct tls_cert *root;
    char id[LOCAL_CA_ID_CHARS + 1];
};

/* ---- where ---- */

bool local_ca_default_dir(struct text *dir, struct text *why)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        text_add(dir, SLICE("/var/lib/weir/ca"));
    else if (data && data[0] == '/')
        text_addf(dir, "%s/weir/ca", data);
    else if (home && home[0] == '/')
        text_addf(dir, "%s/.local/share/weir/ca", home);
    else {
        text_add(why, SLICE("neither XDG_DATA_HOME nor HOME is set: no place for a local CA"));
        return false;
    }
    return true;
}

/* ---- the authority ---- */

static bool make_root(struct local_ca *ca, int64_t now, struct text *cert_pem, struct text *key_pem,
                      struct text *why)
{
    tls_text_wipe(key_pem); /* of an attempt that ended before ca.crt was there */
    return ca_make_root(now, cert_pem, key_pem, why) &&
           ca_dir_write(ca->dir, "ca.key", CA_FILE_SECRET, text_slice(key_pem), why) &&
           ca_dir_write(ca->dir, "ca.crt", CA_FILE_PUBLIC, text_slice(cert_pem), why);
}

static bool read_root(struct local_ca *ca, int64_t now, struct text *cert_pem, struct text *key_pem,
                      struct text *why)
{
    enum ca_read cert = ca_dir_read(ca->dir, "ca.crt", CA_FILE_PUBLIC, cert_pem, why);
    if (cert == CA_READ_FAILED)
        return false;
    if (cert == CA_READ_NONE)
        return make_root(ca, now, cert_pem, key_pem, why);
    enum ca_read key = ca_dir_read(ca->dir, "ca.key", CA_FILE_SECRET, key_pem, why);
    if (key == CA_READ_NONE)
        text_add(why, SLICE("ca.crt is there, but ca.key is not"));
    return key == CA_READ_OK;
}

static bool load_root(struct local_ca *ca, int64_t now, struct text *why)
{
    struct text cert_pem, key_pem;
    text_init(&cert_pem);
    text_init(&key_pem);
    bool ok = read_root(ca, now, &cert_pem, &key_pem, why) &&
              tls_cert_load_at(&ca->root, text_slice(&cert_pem), text_slice(&key_pem), now, why) ==
                  ERR_OK;
    text_release(&cert_pem);
    tls_text_wipe(&key_pem);
    return ok;
}

static void set_id(struct local_ca *ca)
{
    for (int i = 0; i < LOCAL_CA_ID_CHARS / 2; i++)
        snprintf(ca->id + 2 * i, 3, "%02x", ca->root->fingerprint[i]);
}

static bool open_locked(struct local_ca *ca, int64_t now, struct text *why)
{
    int lock = ca_dir_lock(ca->dir, why);
    bool ok = lock >= 0 && load_root(ca, now, why);
    if (lock >= 0)
        close(lock);
    return ok;
}

bool local_ca_open(const char *dir, int64_t now_unix_s, struct local_ca **out, struct text *why)
{
    struct text path;
    int fd = ca_dir_open(dir, why);
    if (fd < 0)
        return false;
    struct local_ca *ca = MEM_NEW(struct local_ca);
    text_init(&path);
    text_addf(&path, "%s/ca.crt", dir);
    ca->dir = fd;
    ca->path = path.at;
    size_t before = why->len;
    text_addf(why, "%s: ", dir);
    if (!open_locked(ca, now_unix_s, why)) {
        text_add(why, SLICE("; without the directory a new one is made, which has to be trusted "
                            "again"));
        local_ca_close(ca);
        return false;
    }
    why->len = before;
    why->at[before] = '\0';
    set_id(ca);
    *out = ca;
    return true;
}

void local_ca_close(struct local_ca *ca)
{
    if (!ca)
        return;
    tls_cert_drop(ca->root);
    close(ca->dir);
    free(ca->path);
    free(ca);
}

const char *local_ca_path(const struct local_ca *ca)
{
    return ca->path;
}

const char *local_ca_id(const struct local_ca *ca)
{
    return ca->id;
}

/* ---- names ---- */

static bool is_label(struct slice label)
{
    for (size_t i = 0; i < label.len; i++) {
        char c = label.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return label.len > 0 && label.len <= LABEL_BYTES_MAX;
}

static bool is_host(struct slice name)
{
    struct slice rest = slice_starts(name, SLICE("*.")) ? slice_from(name, 2) : name, label;
    while (slice_cut(&rest, '.', &label))
        if (!is_label(label))
            return false;
    return true;
}

/* "DNS:..." or "IP:..." of a name in `to`; false: it is neither. */
static bool write_san(struct slice name, struct text *to)
{
    unsigned char bytes[16];
    char text[NAME_BYTES_MAX + 1];
    if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = (struct slice){name.at + 1, name.len - 2};
    if (name.len == 0 || name.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        text[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (char)(name.at[i] | 0x20) : name.at[i];
    text[name.len] = '\0';
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, text, bytes) == 1) {
        inet_ntop(family, bytes, text, sizeof text);
        text_addf(to, "IP:%s", text);
        return true;
    }
    if (!is_host(slice_of(text)))
        return false;
    text_addf(to, "DNS:%s", text);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All of them sorted and without repetition, so that the order in a configuration is the same. */
static bool write_sans(const struct slice *names, uint32_t count, struct text *to, struct text *why)
{
    char *sans[LOCAL_CA_NAMES_MAX];
    uint32_t n = 0;
    bool ok = count > 0 && count <= LOCAL_CA_NAMES_MAX;
    if (!ok)
        text_addf(why, "a certificate has 1 to %d names, not %u", LOCAL_CA_NAMES_MAX, count);
    for (; ok && n < count; n++) {
        struct text san;
        text_init(&san);
        if (!write_san(names[n], &san)) {
            text_addf(why, "'%.*s' is neither a host name nor an address", SLICE_ARG(names[n]));
            ok = false;
            break;
        }
        sans[n] = san.at;
    }
    qsort(sans, n, sizeof *sans, by_text);
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || strcmp(sans[i], sans[i - 1]) != 0)
            text_addf(to, "%s%s", to->len ? "," : "", sans[i]);
    for (uint32_t i = 0; i < n; i++)
        free(sans[i]);
    return ok;
}

/* ---- leaves ---- */

static void write_leaf_file(char to[LEAF_FILE_BYTES], struct slice sans)
{
    unsigned char sum[EVP_MAX_MD_SIZE] = {0};
    size_t at = 5;
    EVP_Digest(sans.at, sans.len, sum, NULL, EVP_sha256(), NULL);
    memcpy(to, "leaf-", at);
    for (int i = 0; i < 16; i++, at += 2)
        snprintf(to + at, LEAF_FILE_BYTES - at, "%02x", sum[i]);
    memcpy(to + at, ".pem", 5);
}

/* Is what the file holds still good: whole, of this authority, for a while? */
static bool is_good(const struct local_ca *ca, struct slice pem, int64_t now)
{
    struct tls_cert *c = NULL;
    struct text ignored;
    text_init(&ignored);
    bool good = tls_cert_load_at(&c, pem, pem, now, &ignored) == ERR_OK &&
                X509_verify(c->leaf, X509_get0_pubkey(ca->root->leaf)) == 1 &&
                c->not_after - now >= (int64_t)LOCAL_CA_RENEW_DAYS * DAY_S;
    ERR_clear_error();
    tls_cert_drop(c);
    text_release(&ignored);
    return good;
}

/* The file is the certificate, then the key. */
static void split(struct slice pem, struct text *cert_pem, struct text *key_pem)
{
    const char *key = memmem(pem.at, pem.len, "-----BEGIN PRIVATE KEY", 22);
    size_t cut = key ? (size_t)(key - pem.at) : pem.len;
    text_reserve(key_pem, pem.len);
    text_add(cert_pem, slice_head(pem, cut));
    text_add(key_pem, slice_from(pem, cut));
}

static bool make_leaf(struct local_ca *ca, const char *file, const char *sans, int64_t now,
                      struct text *pem, struct text *why)
{
    struct text key;
    const char *first = strchr(sans, ':') + 1;
    char *cn = mem_dup(first, strcspn(first, ","));
    text_init(&key);
    bool ok = ca_make_leaf(ca->root, cn, sans, now, pem, &key, why);
    text_reserve(pem, key.len);
    text_add(pem, text_slice(&key));
    ok = ok && ca_dir_write(ca->dir, file, CA_FILE_SECRET, text_slice(pem), why);
    tls_text_wipe(&key);
    free(cn);
    return ok;
}

static bool leaf_locked(struct local_ca *ca, const struct text *sans, int64_t now, struct text *pem,
                        struct text *why)
{
    char file[LEAF_FILE_BYTES];
    write_leaf_file(file, text_slice(sans));
    enum ca_read r = ca_dir_read(ca->dir, file, CA_FILE_SECRET, pem, why);
    if (r == CA_READ_OK && is_good(ca, text_slice(pem), now))
        return true;
    tls_text_wipe(pem);
    return r != CA_READ_FAILED && make_leaf(ca, file, sans->at, now, pem, why);
}

bool local_ca_issue(struct local_ca *ca, const struct slice *names, uint32_t name_count,
                    int64_t now_unix_s, struct text *cert_pem, struct text *key_pem,
                    struct text *why)
{
    struct text sans, pem;
    text_init(&sans);
    text_init(&pem);
    bool ok = write_sans(names, name_count, &sans, why);
    int lock = ok ? ca_dir_lock(ca->dir, why) : -1;
    ok = lock >= 0 && leaf_locked(ca, &sans, now_unix_s, &pem, why);
    if (lock >= 0)
        close(lock);
    if (ok)
        split(text_slice(&pem), cert_pem, key_pem);
    text_release(&sans);
    tls_text_wipe(&pem);
    return ok;
}
