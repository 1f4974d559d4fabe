/* signed.h - texts signed with HMAC-SHA256 by somebody who shares a secret, for a time.
 *
 * What the text is made of is the caller's affair. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/jwk.h"
#include <stdint.h>

enum { SIGNED_MAC_BYTES = 32, SIGNED_KEYS_MAX = 8, SIGNED_KEY_ID_MAX_BYTES = 64 };

/* One row per verdict (signed_verdict.def): id, name, text. */
enum signed_verdict {
#define SIGNED_VERDICT(id, name, text) SIGNED_##id,
#include "auth/signed_verdict.def"
#undef SIGNED_VERDICT
    SIGNED_VERDICTS
};

struct signed_verdict_row {
    const char *name, *text; /* stable, for logs; for people */
};

const struct signed_verdict_row *signed_verdict_row(enum signed_verdict v);

/* Secrets, each "ID:SECRET" or, without a colon in it, "SECRET" alone; at most SIGNED_KEYS_MAX. One
 * count. NULL: *why got half a sentence, which shows nothing of them. */
struct jwk_set *signed_keys(const struct slice *words, uint32_t count, struct text *why);

/* 64 hexadecimal digits, or 43 characters of base64url; both in one spelling. False: neither. */
bool signed_mac_read(struct slice text, uint8_t mac[SIGNED_MAC_BYTES]);
/* By the key of that id, or any of those without one; .at NULL: any. *key: the one that did it. */
enum signed_verdict signed_check(const struct jwk_set *keys, struct slice id, struct slice text,
                                 const uint8_t mac[SIGNED_MAC_BYTES], const struct jwk **key);

/* A time in unix seconds until which something is good: not over, and at most ahead_max_s away (0:
 * anything). */
enum signed_verdict signed_expiry_check(struct slice digits, int64_t now_s, int64_t ahead_max_s);
/* When something was signed: at most window_s ago or ahead. */
enum signed_verdict signed_time_check(struct slice digits, int64_t now_s, int64_t window_s);
