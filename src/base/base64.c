/* base64.c - groups of three bytes as four characters. */
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
