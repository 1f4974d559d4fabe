/* seal.c - see seal.h. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/seal.h"
#include "base/base64.h"
#include "base/rand.h"
#include <openssl/evp.h>
#include <stdlib.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16, OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES };

static bool encrypt(EVP_CIPHER_CTX *c, uint8_t *box, struct slice plain, const uint8_t *key,
                    struct slice purpose)
{
    uint8_t *at = box + NONCE_BYTES;
    int len;
    return EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, box) == 1 &&
           EVP_EncryptUpdate(c, NULL, &len, (const uint8_t *)purpose.at, (int)purpose.len) == 1 &&
           EVP_EncryptUpdate(c, at, &len, (const uint8_t *)plain.at, (int)plain.len) == 1 &&
           EVP_EncryptFinal_ex(c, at + len, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, at + plain.len) == 1;
}

static bool decrypt(EVP_CIPHER_CTX *c, uint8_t *box, size_t bytes, const uint8_t *key,
                    struct slice purpose, uint8_t *plain)
{
    size_t text = bytes - OVERHEAD_BYTES;
    int len;
    return EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, box) == 1 &&
           EVP_DecryptUpdate(c, NULL, &len, (const uint8_t *)purpose.at, (int)purpose.len) == 1 &&
           EVP_DecryptUpdate(c, plain, &len, box + NONCE_BYTES, (int)text) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, box + NONCE_BYTES + text) == 1 &&
           EVP_DecryptFinal_ex(c, plain + len, &len) == 1;
}

bool seal_close(struct text *out, struct slice plain, const uint8_t key[SEAL_KEY_BYTES],
                struct slice purpose)
{
    size_t bytes = plain.len + OVERHEAD_BYTES;
    if (plain.len > SEAL_MAX_BYTES)
        return false;
    uint8_t *box = malloc(bytes);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool done = box && c;
    if (done) {
        rand_secret(box, NONCE_BYTES);
        done = encrypt(c, box, plain, key, purpose);
    }
    if (done) {
        text_reserve(out, BASE64_CHARS(bytes));
        out->len += base64_write(out->at + out->len, box, bytes, BASE64_URL);
        out->at[out->len] = 0;
    }
    EVP_CIPHER_CTX_free(c);
    free(box);
    return done;
}

bool seal_open(struct text *out, struct slice sealed, const uint8_t key[SEAL_KEY_BYTES],
               struct slice purpose)
{
    size_t bytes = 0;
    if (sealed.len > BASE64_CHARS(SEAL_MAX_BYTES + OVERHEAD_BYTES))
        return false;
    uint8_t *box = malloc(2 * BASE64_BYTES(sealed.len) + 1);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    uint8_t *plain = box ? box + BASE64_BYTES(sealed.len) : NULL;
    bool done = box && c && base64_read(box, &bytes, sealed, BASE64_URL) &&
                bytes >= OVERHEAD_BYTES && decrypt(c, box, bytes, key, purpose, plain);
    if (done) {
        text_add(out, (struct slice){(const char *)plain, bytes - OVERHEAD_BYTES});
        explicit_bzero(plain, bytes - OVERHEAD_BYTES);
    }
    EVP_CIPHER_CTX_free(c);
    free(box);
    return done;
}
