/* keys.h - API keys, of which only SHA-256 is known: a file of them, and who shows one.
 *
 * A line is NAME HASH [limit=10r/s] [burst=N] [CLAIM=TEXT...]; empty ones and those that begin with
 * '#' are skipped. Keys are long and random, so that a quick hash is enough: nobody guesses 128
 * bits however quick it is. Shorter ones than KEY_MIN are never good. All of it is in the arena. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/claims.h"
#include "base/arena.h"
#include <stdbool.h>
#include <stdint.h>

enum { KEY_MIN = 16, KEY_MAX = 512, KEY_DIGEST_BYTES = 32, KEYS_MAX = 1000000 };

struct api_key {
    uint8_t digest[KEY_DIGEST_BYTES];
    struct slice name;
    const struct claim *claims;
    int64_t step_ns, burst; /* its limit, as struct rate of limit/meters.h; 0: none */
};

struct api_keys {
    const struct api_key *list;
    const uint32_t *places; /* by digest: 1 + index, 0: free */
    uint32_t count, mask;
};

/* What is wrong, for people; never with a hash in it. */
struct api_keys_error {
    uint32_t line;
    const char *why;
};

bool api_keys_read(struct slice text, struct arena *a, struct api_keys *out,
                   struct api_keys_error *e);
/* Whose key it is; NULL: nobody's. */
const struct api_key *api_keys_find(const struct api_keys *k, struct slice key);
/* False: OpenSSL has no memory. */
bool api_key_digest(struct slice key, uint8_t to[KEY_DIGEST_BYTES]);
