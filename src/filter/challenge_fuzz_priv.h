/* challenge_fuzz_priv.h - what holds for every cookie that somebody made up: it is taken only if it
 * is what we have signed. Run by the fuzzer on made-up bytes and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "filter/challenge_priv.h"

enum { FUZZ_NOW_S = 1790000000, FUZZ_BITS = 4, FUZZ_VALID_S = 3600 };

static const challenge_key fuzz_key = "fuzz";

/* Whom it is for does not change what is tested. */
static inline struct challenge_client fuzz_client(void)
{
    return (struct challenge_client){.site = SLICE("a.test"), .agent = SLICE("Fuzz/1")};
}

static inline bool fuzz_answer(struct slice s)
{
    char ask[CHALLENGE_ASK_CHARS];
    struct challenge_client c = fuzz_client();
    struct challenge_proof p = {FUZZ_BITS, FUZZ_NOW_S}, got;
    challenge_ask_write(fuzz_key, &c, &p, (uint8_t[CHALLENGE_RANDOM_BYTES]){7}, ask);
    if (challenge_answer_read(fuzz_key, &c, s, FUZZ_NOW_S, FUZZ_BITS, &got) != CHALLENGE_GOOD)
        return false;
    ASSERT(s.len > sizeof ask && memcmp(s.at, ask, sizeof ask) == 0);
    ASSERT(got.bits == p.bits && got.at_s == p.at_s);
    return true;
}

static inline bool fuzz_pass(struct slice s)
{
    char pass[CHALLENGE_PASS_CHARS];
    struct challenge_client c = fuzz_client();
    struct challenge_proof p = {FUZZ_BITS, FUZZ_NOW_S}, got;
    challenge_pass_write(fuzz_key, &c, &p, pass);
    if (challenge_pass_read(fuzz_key, &c, s, FUZZ_NOW_S, FUZZ_VALID_S, FUZZ_BITS, &got) !=
        CHALLENGE_GOOD)
        return false;
    ASSERT(slice_eq(s, (struct slice){pass, sizeof pass}));
    return true;
}

/* How many of the two it is. */
static inline size_t fuzz_challenge(const void *at, size_t len)
{
    struct slice s = {at, len};
    crawler_name_is_below(s, SLICE("googlebot.com"));
    return (size_t)fuzz_answer(s) + fuzz_pass(s);
}
