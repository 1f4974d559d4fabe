/* cert_dir.h - a directory of certificates: which file belongs to which key, and who has a host.
 *
 * Pure: the texts of the files are the caller's, so that they may come from any source. Pairs are
 * name.crt or name.pem with name.key (or name-key.pem, name.key.pem, name.crt.key); one file with
 * both; and fullchain.pem with privkey.pem, in the directory itself or in folders of it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/hash.h"
#include "tls/cert.h"

/* What to look for, relative to the directory: glob patterns, ends in NULL. */
extern const char *const cert_dir_patterns[];

struct cert_file {
    struct slice path, text;
};

struct cert_dir_entry {
    struct slice cert_path, key_path; /* the same for a file with both */
    struct tls_cert *cert;            /* counted */
};

struct cert_dir {
    struct cert_dir_entry *entries;
    size_t count;
    bool skims;
    struct hash_map names[TLS_KEY_KINDS]; /* name -> struct tls_cert, borrowed from entries */
};

/* Loads every pair. False: a line for each file that cannot be used stands in *why ("PATH: what"),
 * and what could be loaded is there nevertheless. Texts are not kept. cert_dir_release() in either
 * case. */
bool cert_dir_load(struct cert_dir *d, const struct cert_file *files, size_t count,
                   int64_t now_unix_s, struct text *why);
/* The same by tls_cert_skim_at(). */
bool cert_dir_skim(struct cert_dir *d, const struct cert_file *files, size_t count,
                   int64_t now_unix_s, struct text *why);
void cert_dir_release(struct cert_dir *d);

/* The certificate of this kind that stands for `host` (in lower case): by the name itself before a
 * wildcard, of several the one that lasts longest. Borrowed; NULL: none. */
struct tls_cert *cert_dir_find(const struct cert_dir *d, struct slice host, enum tls_key_kind kind);
