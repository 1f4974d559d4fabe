/* jwk.h - keys that verify signatures: a set of them from a JWKS document (RFC 7517), from PEM, or
 * one secret.
 *
 * A set never changes once it is made, so threads share it: it is counted, and every holder drops
 * it. A key says by its kind and size, and by what its document says of it (`use`, `key_ops`,
 * `alg`), which algorithms it may be used with; a token has no word in that. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/text.h"
#include <openssl/types.h>
#include <stdint.h>

enum {
    JWK_DOCUMENT_MAX_BYTES = 1 << 20,
    JWK_SET_MAX = 256,         /* keys of one document, usable or not */
    JWK_KID_MAX_BYTES = 256,   /* a key with a longer name is not usable */
    JWK_RSA_MIN_BITS = 2048,   /* RFC 7518 3.3 */
    JWK_RSA_MAX_BITS = 8192,   /* one check would cost milliseconds */
    JWK_RSA_E_MAX_BITS = 32,   /* the same */
    JWK_SECRET_MIN_BYTES = 32, /* RFC 7518 3.2: of HS256; the others need theirs */
    JWK_SECRET_MAX_BYTES = 4096,
};

enum jwk_kind {
    JWK_SECRET,
    JWK_RSA,
    JWK_P256,
    JWK_P384,
    JWK_P521,
    JWK_ED25519,
    JWK_ED448,
};

enum jwk_alg {
    JWK_HS256,
    JWK_HS384,
    JWK_HS512,
    JWK_RS256,
    JWK_RS384,
    JWK_RS512,
    JWK_PS256,
    JWK_PS384,
    JWK_PS512,
    JWK_ES256,
    JWK_ES384,
    JWK_ES512,
    JWK_EDDSA,       /* either curve */
    JWK_ALG_ED25519, /* RFC 9864: the name says which */
    JWK_ALG_ED448,
    JWK_ALGS
};

/* False: no algorithm that is known here; `none` is not. Case counts. */
bool jwk_alg_find(struct slice name, enum jwk_alg *out);
const char *jwk_alg_name(enum jwk_alg alg);

struct jwk {
    struct slice kid; /* .at NULL: it has none */
    enum jwk_kind kind;
    uint32_t algs;       /* bit 1 << enum jwk_alg: what it may verify; never 0 */
    EVP_PKEY *pkey;      /* NULL: a secret */
    struct slice secret; /* wiped with the set */
};

struct jwk_set {
    uint32_t refs; /* atomic */
    uint32_t count;
    uint64_t serial;  /* no other set of this process has it */
    uint32_t skipped; /* keys of the document that are not usable here */
    struct jwk *keys;
    struct arena arena; /* of all the above */
};

enum jwk_source {
    JWK_OWN,      /* a file of ours */
    JWK_PUBLISHED /* what anybody may fetch: a secret in it is none, and skipped */
};

/* Each makes a set with at least one key and one count. NULL: *why got half a sentence, which shows
 * nothing of a key. The bytes are not needed afterwards. A document is refused whole when it is no
 * JWKS, has a name twice in one object, or is over a limit; a single key of it is skipped when it
 * is of an unknown kind, too small, for something else, or broken. */
struct jwk_set *jwk_set_parse(struct slice json, enum jwk_source from, struct text *why);
/* PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE blocks; a certificate only holds a key: nothing else
 * of it is looked at. A private key is refused. */
struct jwk_set *jwk_set_parse_pem(struct slice pem, struct text *why);
struct jwk_set *jwk_set_of_secret(struct slice secret, struct text *why);
/* What a file of ours holds, JWKS or PEM. */
struct jwk_set *jwk_set_load(struct slice bytes, struct text *why);

struct jwk_set *jwk_set_take(struct jwk_set *s); /* any thread */
void jwk_set_drop(struct jwk_set *s);            /* any thread; NULL is fine */

/* The next key that may verify `alg` for a token that names `kid` (.at NULL: none), NULL at the
 * end; begin with *at = 0. A key with another name is never one; keys without a name come when no
 * key of that alg has it. */
const struct jwk *jwk_set_next(const struct jwk_set *s, enum jwk_alg alg, struct slice kid,
                               uint32_t *at);
