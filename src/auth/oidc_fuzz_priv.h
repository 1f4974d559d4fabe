/* oidc_fuzz_priv.h - what holds for any text of logins: read by all readers, and what a reader took
 * is the same after it was written and read again. Run by the fuzzer on made-up bytes and by a unit
 * test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "auth/oidc.h"
#include "base/assert.h"
#include <string.h>

static inline bool fuzz_provider(struct slice text)
{
    struct text why;
    text_init(&why);
    struct oidc_provider *p = oidc_provider_read(text, &why);
    ASSERT(p ? why.len == 0 : why.len > 0);
    ASSERT(!p || (p->issuer.at && p->token_endpoint.at && p->jwks_uri.at));
    oidc_provider_drop(p);
    text_release(&why);
    return p != NULL;
}

static inline bool fuzz_tokens(struct slice text, struct arena *a)
{
    struct oidc_tokens t;
    struct slice error;
    bool good = oidc_tokens_read(text, &t, &error, a);
    ASSERT(!good || (!error.at && t.expires_in_s >= 0));
    return good;
}

static inline bool fuzz_login(struct slice text, struct arena *a)
{
    struct oidc_login l, again;
    struct text written;
    bool good = oidc_login_read(text, &l, a);
    if (!good || memchr(l.state.at, '"', l.state.len) || memchr(l.state.at, '\\', l.state.len))
        return good;
    text_init(&written);
    oidc_login_write(&l, &written);
    if (oidc_login_read(text_slice(&written), &again, a))
        ASSERT(slice_eq(l.target, again.target) && l.ends_s == again.ends_s);
    text_release(&written);
    return good;
}

static inline bool fuzz_session(struct slice text, struct arena *a)
{
    struct oidc_session s, again;
    struct text written;
    if (!oidc_session_read(text, &s, a))
        return false;
    text_init(&written);
    oidc_session_write(&s, &written);
    ASSERT(oidc_session_read(text_slice(&written), &again, a));
    ASSERT(s.number == again.number && s.ends_s == again.ends_s);
    ASSERT(slice_eq(s.subject, again.subject) && slice_eq(s.user, again.user));
    const struct claim *x = s.claims, *y = again.claims;
    for (; x && y; x = x->next, y = y->next)
        ASSERT(slice_eq(x->name, y->name) && slice_eq(x->value, y->value));
    ASSERT(!x && !y);
    text_release(&written);
    return true;
}

/* How many readers took it. */
static inline size_t fuzz_oidc(const void *at, size_t len)
{
    struct slice text = {len ? at : "", len};
    struct arena a;
    arena_init(&a, 4 << 20);
    size_t taken = fuzz_provider(text);
    taken += fuzz_tokens(text, &a);
    taken += fuzz_login(text, &a);
    taken += fuzz_session(text, &a);
    arena_release(&a);
    return taken;
}
