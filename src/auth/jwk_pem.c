/* jwk_pem.c - keys of PEM blocks: bare public keys, and those in certificates. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwk.h"
#include "auth/jwk_priv.h"
#include "base/mem.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct block {
    char *name, *header;
    unsigned char *der;
    long len;
};

static void block_release(struct block *b)
{
    OPENSSL_free(b->name);
    OPENSSL_free(b->header);
    OPENSSL_clear_free(b->der, (size_t)b->len);
}

static EVP_PKEY *key_of_certificate(const unsigned char *der, long len)
{
    X509 *x = d2i_X509(NULL, &der, len);
    EVP_PKEY *pkey = x ? X509_get_pubkey(x) : NULL;
    X509_free(x);
    return pkey;
}

static EVP_PKEY *key_of(const struct block *b)
{
    const unsigned char *der = b->der;
    if (strcmp(b->name, PEM_STRING_PUBLIC) == 0)
        return d2i_PUBKEY(NULL, &der, b->len);
    if (strcmp(b->name, PEM_STRING_RSA_PUBLIC) == 0)
        return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, b->len);
    if (strcmp(b->name, PEM_STRING_X509) == 0)
        return key_of_certificate(der, b->len);
    return NULL;
}

/* False, with *why: the text is not to be used. */
static bool read_blocks(BIO *in, struct jwk_set *s, struct text *why)
{
    for (int count = 0;; count++) {
        struct block b = {0};
        if (!PEM_read_bio(in, &b.name, &b.header, &b.der, &b.len)) {
            bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            if (!at_end)
                text_addf(why, "PEM block %d in it is damaged", count + 1);
            return at_end;
        }
        bool private = strstr(b.name, "PRIVATE KEY");
        if (!private)
            jwk_set_add_pkey(s, key_of(&b), &(struct jwk){.algs = UINT32_MAX});
        block_release(&b);
        if (private || count == JWK_SET_MAX) {
            text_add(why, private ? SLICE("there is a private key in it: only who signs may have "
                                          "that, here belongs the public one ('openssl pkey "
                                          "-pubout')")
                                  : SLICE("there are too many keys in it"));
            return false;
        }
    }
}

struct jwk_set *jwk_set_parse_pem(struct slice pem, struct text *why)
{
    if (pem.len > JWK_DOCUMENT_MAX_BYTES) {
        text_addf(why, "it is larger than %d bytes", JWK_DOCUMENT_MAX_BYTES);
        return NULL;
    }
    struct jwk_set *s = jwk_set_new();
    BIO *in = mem_must(BIO_new_mem_buf(pem.at ? pem.at : "", (int)pem.len), 0);
    bool good = read_blocks(in, s, why);
    BIO_free(in);
    if (good)
        return jwk_set_done(s, why);
    ERR_clear_error();
    jwk_set_drop(s);
    return NULL;
}
