/* users_fuzz_priv.h - what holds for every file of users; run by the fuzzer on made-up bytes and by
 * a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/password.h"
#include "auth/users.h"
#include "base/assert.h"

static inline void fuzz_users(const void *at, size_t len)
{
    struct arena a;
    struct users_gather g = {0};
    struct users_error e = {0};
    struct users u;
    const char *hint;
    arena_init(&a, 64 << 20);
    if (users_gather_read(&g, &a, (struct slice){at, len}, &e)) {
        bool whole = users_gather_finish(&g, &a, &u, &e);
        ASSERT(whole || e.why);
        for (uint32_t i = 0; whole && i < u.count; i++) {
            ASSERT(users_find(&u, u.list[i].name) == &u.list[i]);
            ASSERT(!password_hash_refused(slice_of(u.list[i].hash), &hint));
        }
    } else {
        ASSERT(e.why && e.line > 0);
    }
    users_gather_release(&g);
    arena_release(&a);
}
