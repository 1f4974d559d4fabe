/* token.c - tokens of the admin API: what the configuration says of them, and what clients send.
 *
 * Only digests are kept and compared. So the time of a comparison tells nothing of a token, and
 * neither does memory. Tokens are long and made by chance, so a plain hash will do. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include <openssl/crypto.h>
#include <openssl/sha.h>

_Static_assert((int)ADMIN_DIGEST_BYTES == (int)SHA256_DIGEST_LENGTH, "SHA-256");

void admin_token_hash(struct slice token, uint8_t digest[ADMIN_DIGEST_BYTES])
{
    SHA256((const unsigned char *)token.at, token.len, digest);
}

/* All are looked at, whichever it is. */
enum admin_role admin_token_role(const struct admin_token *first, struct slice token)
{
    uint8_t digest[ADMIN_DIGEST_BYTES];
    enum admin_role role = ADMIN_NOBODY;
    admin_token_hash(token, digest);
    for (const struct admin_token *t = first; t; t = t->next)
        if (CRYPTO_memcmp(digest, t->digest, sizeof digest) == 0 && t->role > role)
            role = t->role;
    return role;
}

struct slice admin_token_of(struct slice authorization)
{
    const struct slice scheme = SLICE("Bearer ");
    if (!slice_eq_nocase(slice_head(authorization, scheme.len), scheme))
        return SLICE_NONE;
    struct slice token = slice_trim(slice_from(authorization, scheme.len));
    return token.len > 0 ? token : SLICE_NONE;
}
