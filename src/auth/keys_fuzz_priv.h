/* keys_fuzz_priv.h - what holds for every file of keys; run by the fuzzer on made-up bytes and by a
 * unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/keys.h"
#include "base/assert.h"

static inline void fuzz_keys(const void *at, size_t len)
{
    struct arena a;
    struct api_keys k;
    struct api_keys_error e;
    arena_init(&a, 64 << 20);
    if (api_keys_read((struct slice){at, len}, &a, &k, &e)) {
        ASSERT(!e.why);
        for (uint32_t i = 0; i < k.count; i++)
            ASSERT(k.list[i].name.len > 0 && (k.list[i].step_ns > 0) == (k.list[i].burst > 0));
        ASSERT(!api_keys_find(&k, SLICE("a key that nobody has")));
    } else {
        ASSERT(e.why);
    }
    arena_release(&a);
}
