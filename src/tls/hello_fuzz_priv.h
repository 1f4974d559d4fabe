/* hello_fuzz_priv.h - what holds for any bytes a client may begin with; run by the fuzzer on
 * made-up bytes and by a unit test on the corpus. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/assert.h"
#include "tls/hello.h"
#include <stdlib.h>

static inline bool hello_fuzz_inside(struct slice part, struct slice a, struct slice b)
{
    return part.len == 0 || (part.at >= a.at && part.at + part.len <= a.at + a.len) ||
           (part.at >= b.at && part.at + part.len <= b.at + b.len);
}

static inline void hello_fuzz_facts(const struct hello *h, struct slice bytes, struct slice scratch)
{
    const struct slice parts[] = {h->sni, h->ciphers, h->versions, h->sigalgs, h->alpn};
    struct slice rest = h->alpn, name;
    char ja4[HELLO_JA4_BYTES + 1];
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        ASSERT(hello_fuzz_inside(parts[i], bytes, scratch));
    ASSERT(h->extension_count <= HELLO_EXTENSIONS_MAX && h->ciphers.len > 0);
    while (hello_next_alpn(&rest, &name))
        ASSERT(name.len > 0);
    ASSERT(rest.len == 0);
    hello_ja4(h, ja4);
    ASSERT(strlen(ja4) == HELLO_JA4_BYTES);
    ASSERT(ja4[0] == 't' && ja4[10] == '_' && ja4[23] == '_');
}

/* A prefix may only be "more", or what the whole is: an answer never changes by more bytes. */
static inline enum hello_result hello_fuzz(const void *at, size_t len)
{
    static char scratch[HELLO_BYTES_MAX];
    struct slice bytes = {at, len};
    struct hello h, part;
    enum hello_result whole = hello_parse(bytes, scratch, &h);
    if (whole == HELLO_OK)
        hello_fuzz_facts(&h, bytes, (struct slice){scratch, sizeof scratch});
    size_t step = len > 256 ? len / 64 : 1;
    for (size_t cut = 0; cut < len; cut += step) {
        char *copy = malloc(cut ? cut : 1); /* its end is watched */
        memcpy(copy, at, cut);
        enum hello_result r = hello_parse((struct slice){copy, cut}, scratch, &part);
        ASSERT(r == HELLO_MORE || r == whole);
        free(copy);
    }
    return whole;
}
