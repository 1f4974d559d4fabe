/* tokens.c - what the check of a signed token costs, by algorithm.
 *
 * `make bench-tokens` builds and runs it. Each token has eight claims, as an access token has; the
 * whole check is measured, from its text to its claims, in time of the thread. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt.h"
#include "auth/jwt_rig_test.h"
#include <stdio.h>
#include <time.h>

enum { REPEATS = 5, ROUNDS_S = 300000000 };

static const char CLAIMS[] =
    "{\"iss\":\"https://login.example\",\"sub\":\"2f0c6a1e-7d11-4f6e\",\"aud\":[\"api\",\"web\"],"
    "\"exp\":2000000000,\"iat\":1000000000,\"scope\":\"openid profile email\","
    "\"realm\":{\"roles\":[\"user\",\"admin\"]},\"email\":\"ann@example.com\"}";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void check(struct slice token, const struct jwk_set *keys)
{
    static const struct jwt_rules rules = {.leeway_s = 60};
    struct jwt jwt;
    struct arena a;
    arena_init(&a, 64 << 10);
    ASSERT(jwt_verify(&jwt, token, keys, &rules, 1500000000, &a) == JWT_GOOD);
    arena_release(&a);
}

/* With `anew` each check is the first one that a thread makes of the token. */
static double ns_a_check(struct slice token, struct jwk_set *keys, bool anew)
{
    double best = 1e12;
    for (int r = 0; r < REPEATS; r++) {
        int64_t began = now_ns(), ns;
        int count = 0;
        do {
            keys->serial += anew;
            check(token, keys);
        } while ((ns = now_ns() - began, ++count) < 50 || ns < ROUNDS_S / 10);
        best = (double)ns / count < best ? (double)ns / count : best;
    }
    return best;
}

static void bench(enum jwk_alg alg, enum jwk_kind kind)
{
    static const char SECRET[] = "0123456789abcdef0123456789abcdef";
    struct text token = {0}, jwk = {0}, why = {0};
    struct rig_signer s = {.secret = slice_of(SECRET), .alg = alg};
    struct jwk_set *keys;
    if (kind == JWK_SECRET) {
        keys = jwk_set_of_secret(s.secret, &why);
    } else {
        rig_jwk(&jwk, s.pkey = rig_key(kind), "");
        keys = jwk_set_parse(text_slice(&jwk), JWK_OWN, &why);
    }
    rig_plain(&token, &s, CLAIMS);
    printf("%-6s %8.0f ns, again %8.0f ns\n", jwk_alg_name(alg),
           ns_a_check(text_slice(&token), keys, true), ns_a_check(text_slice(&token), keys, false));
    jwk_set_drop(keys);
    EVP_PKEY_free(s.pkey);
    text_release(&token);
    text_release(&jwk);
}

int main(void)
{
    bench(JWK_HS256, JWK_SECRET);
    bench(JWK_RS256, JWK_RSA);
    bench(JWK_PS256, JWK_RSA);
    bench(JWK_ES256, JWK_P256);
    bench(JWK_EDDSA, JWK_ED25519);
    return 0;
}
