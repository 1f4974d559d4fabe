/* kept_secret.c - see kept_secret.h. A file in the directory of the local authority, under its lock
 * and with its checks: closed to others, of our own, written whole or not at all. A file of another
 * length is refused rather than replaced: somebody put it there. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/kept_secret.h"
#include "base/rand.h"
#include "tls/cert.h"
#include "tls/local_ca_priv.h"
#include <unistd.h>

static bool secret_make(int dir, const char *name, struct text *bytes, struct text *why)
{
    char fresh[KEPT_SECRET_BYTES];
    rand_secret(fresh, sizeof fresh);
    text_add(bytes, (struct slice){fresh, sizeof fresh});
    explicit_bzero(fresh, sizeof fresh);
    return ca_dir_write(dir, name, CA_FILE_SECRET, text_slice(bytes), why);
}

static bool secret_read(int dir, const char *name, struct text *bytes, struct text *why)
{
    enum ca_read found = ca_dir_read(dir, name, CA_FILE_SECRET, bytes, why);
    if (found == CA_READ_FAILED || (found == CA_READ_NONE && !secret_make(dir, name, bytes, why)))
        return false;
    if (bytes->len == KEPT_SECRET_BYTES)
        return true;
    text_addf(why, "%s has %zu bytes, not %d: remove it, and a new one is made", name, bytes->len,
              KEPT_SECRET_BYTES);
    return false;
}

bool kept_secret(const char *path, const char *name, uint8_t out[KEPT_SECRET_BYTES],
                 struct text *why)
{
    struct text bytes;
    text_init(&bytes);
    int dir = ca_dir_open(path, why);
    int lock = dir >= 0 ? ca_dir_lock(dir, why) : -1;
    bool ok = lock >= 0 && secret_read(dir, name, &bytes, why);
    if (ok)
        memcpy(out, bytes.at, KEPT_SECRET_BYTES);
    tls_text_wipe(&bytes);
    if (lock >= 0)
        close(lock);
    if (dir >= 0)
        close(dir);
    return ok;
}

int kept_dir_open(const char *dir, struct text *why)
{
    return ca_dir_open(dir, why);
}
