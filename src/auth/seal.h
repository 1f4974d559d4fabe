/* seal.h - a text that goes out and comes back unread and unchanged: AES-256-GCM under a key of
 * ours, as base64url.
 *
 *     base64url( nonce, 12 bytes | ciphertext | tag, 16 bytes )
 *
 * The purpose is bound to it: what was sealed for one opens for no other. Nonces are random, so a
 * key is good for 2^32 seals (NIST SP 800-38D 8.3). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include <stdint.h>

enum { SEAL_KEY_BYTES = 32, SEAL_MAX_BYTES = 64 << 10 /* of the text */ };

/* Adds to *out. False: it is too long, or OpenSSL failed. */
bool seal_close(struct text *out, struct slice plain, const uint8_t key[SEAL_KEY_BYTES],
                struct slice purpose);
/* Adds the text. False: it was not sealed so; *out is as it was. */
bool seal_open(struct text *out, struct slice sealed, const uint8_t key[SEAL_KEY_BYTES],
               struct slice purpose);
