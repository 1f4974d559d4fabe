/* local_ca_card.c - the public side of a local authority, without its key.
 *
 * The certificate is written anew from what was parsed, so that nothing else that stands in the
 * file (another authority, say) gets into a trust store with it. */
// SPDX-License-Identifier: Apache-2.0
#include "tls/local_ca_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whoever may write there could have put an authority of his own in its place. */
static int open_closed_dir(const char *path, struct text *why)
{
    struct stat st;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        text_addf(why, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (fstat(dir, &st) == 0 && !(st.st_mode & 022))
        return dir;
    text_addf(why, "%s can be written by others: 'chmod 700 %s'", path, path);
    close(dir);
    return -1;
}

static X509 *read_cert(int dir, struct text *why)
{
    int fd = openat(dir, "ca.crt", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        text_addf(why, "ca.crt: %s", fd < 0 ? strerror(errno) : "no file");
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    char bytes[LOCAL_CA_FILE_BYTES_MAX];
    ssize_t len = read(fd, bytes, sizeof bytes);
    close(fd);
    BIO *in = BIO_new_mem_buf(bytes, len > 0 ? (int)len : 0);
    X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    ERR_clear_error();
    if (x && X509_check_ca(x) == 1)
        return x;
    text_add(why, SLICE("ca.crt is not the certificate of an authority"));
    X509_free(x);
    return NULL;
}

static bool write_pem(X509 *x, struct text *to)
{
    char *at;
    BIO *b = BIO_new(BIO_s_mem());
    long len = b && PEM_write_bio_X509(b, x) ? BIO_get_mem_data(b, &at) : 0;
    if (len > 0)
        text_add(to, (struct slice){at, (size_t)len});
    BIO_free(b);
    return len > 0;
}

static bool fill_card(X509 *x, struct local_ca_card *out)
{
    unsigned char sum[TLS_FINGERPRINT_BYTES];
    unsigned len = sizeof sum;
    if (!X509_digest(x, EVP_sha256(), sum, &len))
        return false;
    for (int i = 0; i < TLS_FINGERPRINT_BYTES; i++)
        snprintf(out->fingerprint + 2 * i, 3, "%02x", sum[i]);
    memcpy(out->id, out->fingerprint, LOCAL_CA_ID_CHARS);
    out->id[LOCAL_CA_ID_CHARS] = '\0';
    text_init(&out->cert_pem);
    return write_pem(x, &out->cert_pem);
}

bool local_ca_read_card(const char *dir, struct local_ca_card *out, struct text *why)
{
    int fd = open_closed_dir(dir, why);
    if (fd < 0)
        return false;
    size_t before = why->len;
    text_addf(why, "%s: ", dir);
    X509 *x = read_cert(fd, why);
    close(fd);
    if (!x)
        return false;
    bool ok = fill_card(x, out);
    X509_free(x);
    if (ok) {
        why->len = before;
        why->at[before] = '\0';
    }
    return ok;
}
