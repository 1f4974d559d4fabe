/* base64.c - groups of three bytes as four characters, and back. */
// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

enum { GROUP_BYTES = 3 };

#define COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char *const digits[] = {[BASE64] = COMMON "+/", [BASE64_URL] = COMMON "-_"};

size_t base64_write(char *to, const uint8_t *from, size_t len, enum base64_alphabet a)
{
    const char *d = digits[a], *begin = to;
    for (; len > 0; from += GROUP_BYTES, len -= len < GROUP_BYTES ? len : GROUP_BYTES) {
        uint32_t v = (uint32_t)from[0] << 16 | (len > 1 ? (uint32_t)from[1] << 8 : 0) |
                     (len > 2 ? from[2] : 0);
        *to++ = d[v >> 18];
        *to++ = d[v >> 12 & 63];
        if (len > 1 || a == BASE64)
            *to++ = len > 1 ? d[v >> 6 & 63] : '=';
        if (len > 2 || a == BASE64)
            *to++ = len > 2 ? d[v & 63] : '=';
    }
    return (size_t)(to - begin);
}

int base64_value(char c, enum base64_alphabet a)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == digits[a][62] ? 62 : c == digits[a][63] ? 63 : -1;
}

/* The characters before the padding; .at NULL: it is not that of the alphabet. */
static struct slice without_padding(struct slice s, enum base64_alphabet a)
{
    size_t pad = 0;
    if (a == BASE64_URL)
        return s;
    while (pad < 2 && pad < s.len && s.at[s.len - 1 - pad] == '=')
        pad++;
    return s.len % 4 == 0 ? slice_head(s, s.len - pad) : SLICE_NONE;
}

bool base64_read(uint8_t *to, size_t *len, struct slice from, enum base64_alphabet a)
{
    struct slice s = without_padding(from, a);
    uint8_t *begin = to;
    uint32_t bits = 0;
    int held = 0; /* of `bits`, not yet written */
    if ((from.len > 0 && !s.at) || s.len % 4 == 1)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int v = base64_value(s.at[i], a);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *to++ = (uint8_t)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1))
        return false;
    *len = (size_t)(to - begin);
    return true;
}
