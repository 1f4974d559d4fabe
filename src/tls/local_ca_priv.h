/* local_ca_priv.h - the two parts under local_ca.c: its directory, and the making of certificates.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/local_ca.h"

/* ---- local_ca_dir.c: files that appear whole, in a directory that is ours alone ---- */

enum { LOCAL_CA_FILE_BYTES_MAX = 65536 };

/* Opens (makes) it; -1 with *why. */
int ca_dir_open(const char *path, struct text *why);
/* Takes the lock, waiting for it; the descriptor is closed to give it back. -1 with *why. */
int ca_dir_lock(int dir, struct text *why);

enum ca_file { CA_FILE_PUBLIC, CA_FILE_SECRET };
enum ca_read { CA_READ_OK, CA_READ_NONE, CA_READ_FAILED };
/* Appends the file. A secret that others may read is refused. Only on FAILED there is a *why. */
enum ca_read ca_dir_read(int dir, const char *name, enum ca_file kind, struct text *out,
                         struct text *why);
bool ca_dir_write(int dir, const char *name, enum ca_file kind, struct slice bytes,
                  struct text *why);

/* ---- local_ca_make.c ---- */

/* Appends the PEM of a new authority. False: OpenSSL could not, said in *why. */
bool ca_make_root(int64_t now, struct text *cert_pem, struct text *key_pem, struct text *why);
/* `san` as OpenSSL writes it ("DNS:a.example,IP:::1"), `cn` its first name. */
bool ca_make_leaf(const struct tls_cert *root, const char *cn, const char *san, int64_t now,
                  struct text *cert_pem, struct text *key_pem, struct text *why);
