/* hello_ja4.c - the JA4 fingerprint of a ClientHello: which program spoke, by what it offers.
 *
 * a: protocol, highest version, name or address, counts of ciphers and extensions, first protocol
 * of ALPN; b: a hash over the ciphers, sorted; c: a hash over the extensions, sorted, and the
 * signature algorithms in their order. GREASE values (RFC 8701), which clients draw at random, are
 * left out everywhere, so that a program keeps its fingerprint. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "tls/hello.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ITEM_CHARS = 5, /* four digits and a comma */
    LISTS_BYTES = 2 * HELLO_JA4_ITEMS_MAX * ITEM_CHARS + 1,
    HASH_CHARS = 12,
    COUNT_SHOWN_MAX = 99,
    EXT_SNI = 0,
    EXT_ALPN = 16
};

struct items {
    uint16_t at[HELLO_JA4_ITEMS_MAX];
    size_t count;
};

static bool is_grease(uint16_t v)
{
    return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

static void items_add(struct items *to, uint16_t v)
{
    if (!is_grease(v) && to->count < HELLO_JA4_ITEMS_MAX)
        to->at[to->count++] = v;
}

static void items_of(struct slice wire, struct items *to)
{
    to->count = 0;
    for (size_t i = 0; i + 1 < wire.len; i += 2)
        items_add(to, (uint16_t)((uint8_t)wire.at[i] << 8 | (uint8_t)wire.at[i + 1]));
}

static int by_value(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static size_t write_items(char *to, const struct items *items)
{
    static const char digits[] = "0123456789abcdef";
    char *at = to;
    for (size_t i = 0; i < items->count; i++) {
        if (i > 0)
            *at++ = ',';
        for (int shift = 12; shift >= 0; shift -= 4)
            *at++ = digits[items->at[i] >> shift & 15];
    }
    return (size_t)(at - to);
}

static void write_hash(char to[HASH_CHARS], struct slice text)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    char hex[3];
    if (text.len == 0 || !EVP_Digest(text.at, text.len, sum, NULL, EVP_sha256(), NULL)) {
        memset(to, '0', HASH_CHARS);
        return;
    }
    for (int i = 0; i < HASH_CHARS / 2; i++) {
        snprintf(hex, sizeof hex, "%02x", sum[i]);
        memcpy(to + 2 * i, hex, 2);
    }
}

/* ---- part a ---- */

static const char *version_word(const struct hello *h)
{
    static const char *const words[] = {"s3", "10", "11", "12", "13"}; /* 0x0300 and on */
    struct items offered;
    unsigned best = 0;
    items_of(h->versions, &offered);
    for (size_t i = 0; i < offered.count; i++)
        best = offered.at[i] > best ? offered.at[i] : best;
    if (best == 0)
        best = h->version;
    return best >= 0x300 && best - 0x300 < COUNT_OF(words) ? words[best - 0x300] : "00";
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The first and last character of the first protocol; of its hexadecimal form when one of them is
 * no letter or digit. */
static void write_alpn(char to[2], const struct hello *h)
{
    static const char digits[] = "0123456789abcdef";
    struct slice rest = h->alpn, name;
    to[0] = to[1] = '0';
    if (!hello_next_alpn(&rest, &name) || name.len == 0)
        return;
    char first = name.at[0], last = name.at[name.len - 1];
    bool as_text = is_alnum(first) && is_alnum(last);
    to[0] = as_text ? first : digits[(uint8_t)first >> 4];
    to[1] = as_text ? last : digits[(uint8_t)last & 15];
}

static size_t shown(size_t count)
{
    return count < COUNT_SHOWN_MAX ? count : COUNT_SHOWN_MAX;
}

/* ---- all ---- */

/* Extensions for part c: those of part a say the name and the protocol already. */
static void extensions_of(const struct hello *h, struct items *to, size_t *all)
{
    to->count = 0;
    *all = 0;
    for (uint32_t i = 0; i < h->extension_count; i++) {
        *all += !is_grease(h->extensions[i]);
        if (h->extensions[i] != EXT_SNI && h->extensions[i] != EXT_ALPN)
            items_add(to, h->extensions[i]);
    }
    qsort(to->at, to->count, sizeof *to->at, by_value);
}

static void write_part_c(char *to, const struct items *extensions, struct slice sigalgs)
{
    char text[LISTS_BYTES];
    struct items algs;
    size_t len = write_items(text, extensions);
    items_of(sigalgs, &algs);
    if (len > 0 && algs.count > 0) {
        text[len++] = '_';
        len += write_items(text + len, &algs);
    }
    write_hash(to, (struct slice){text, len});
}

void hello_ja4(const struct hello *h, char to[HELLO_JA4_BYTES + 1])
{
    struct items ciphers, extensions;
    size_t extension_count;
    char text[LISTS_BYTES], alpn[2];
    items_of(h->ciphers, &ciphers);
    qsort(ciphers.at, ciphers.count, sizeof *ciphers.at, by_value);
    extensions_of(h, &extensions, &extension_count);
    write_alpn(alpn, h);
    int len = snprintf(to, HELLO_JA4_BYTES + 1, "t%s%c%02zu%02zu%.2s_", version_word(h),
                       h->has_sni ? 'd' : 'i', shown(ciphers.count), shown(extension_count), alpn);
    ASSERT(len == HELLO_JA4_BYTES - 2 * HASH_CHARS - 1);
    write_hash(to + len, (struct slice){text, write_items(text, &ciphers)});
    to[len + HASH_CHARS] = '_';
    write_part_c(to + len + HASH_CHARS + 1, &extensions, h->sigalgs);
    to[HELLO_JA4_BYTES] = '\0';
}
