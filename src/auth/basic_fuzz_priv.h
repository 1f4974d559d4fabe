/* basic_fuzz_priv.h - what holds for every Authorization field; run by the fuzzer on made-up bytes
 * and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/basic.h"
#include "auth/password.h"
#include "base/assert.h"
#include "base/base64.h"

static inline void fuzz_basic(const void *at, size_t len)
{
    struct slice value = {at, len};
    char to[BASIC_BYTES], pair[BASIC_BYTES], again[BASIC_CHARS_MAX + 4];
    struct basic_pair p;
    if (basic_read(value, to, &p) != BASIC_READ)
        return;
    ASSERT(p.user.len > 0 && p.user.len <= BASIC_USER_MAX && p.password.len <= PASSWORD_MAX);
    ASSERT(slice_find(p.user, ':') == p.user.len);
    ASSERT(!memchr(p.user.at, 0, p.user.len + 1 + p.password.len));
    /* There is one spelling of it. */
    memcpy(pair, p.user.at, p.user.len);
    pair[p.user.len] = ':';
    memcpy(pair + p.user.len + 1, p.password.at, p.password.len);
    size_t n = base64_write(again, (const uint8_t *)pair, p.user.len + 1 + p.password.len, BASE64);
    ASSERT(slice_ends(value, (struct slice){again, n}));
}
