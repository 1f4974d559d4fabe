/* num.c - numbers to and from text.
 *
 * strtoul() skips spaces, takes signs and follows the locale; a length in a request may do none
 * of that (RFC 9110 8.6: 1*DIGIT), so parsing is done here, strictly and with overflow found. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include <endian.h>

enum err num_parse_u64(struct slice s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return ERR_BAD_NUMBER;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.at[i] - (unsigned)'0';
        if (digit > 9)
            return ERR_BAD_NUMBER;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return ERR_BAD_NUMBER;
    }
    *out = v;
    return ERR_OK;
}

int num_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

enum err num_parse_hex(struct slice s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return ERR_BAD_NUMBER;
    for (size_t i = 0; i < s.len; i++) {
        int digit = num_hex_digit(s.at[i]);
        if (digit < 0 || v >> 60 != 0)
            return ERR_BAD_NUMBER;
        v = v << 4 | (unsigned)digit;
    }
    *out = v;
    return ERR_OK;
}

static size_t digits_count(uint64_t v)
{
    size_t count = 1;
    for (; v >= 10000; v /= 10000)
        count += 4;
    return count + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Two digits for each division. */
size_t num_write_u64(char *to, uint64_t v)
{
    size_t len = digits_count(v), at = len;
    for (; at > 1; at -= 2, v /= 100) {
        unsigned pair = (unsigned)(v % 100);
        to[at - 1] = (char)('0' + pair % 10);
        to[at - 2] = (char)('0' + pair / 10);
    }
    if (at == 1)
        to[0] = (char)('0' + v);
    return len;
}

/* Eight digits at once: a nibble per byte, then what lies between '9' and 'a' where it is above 9.
 */
static uint64_t hex_digits(uint32_t v)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t x = v;
    x = (x << 16 | x) & 0x0000ffff0000ffffu;
    x = (x << 8 | x) & 0x00ff00ff00ff00ffu;
    x = (x << 4 | x) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t above_9 = (x + ones * 6) >> 4 & ones;
    return htobe64(x + ones * '0' + above_9 * ('a' - '9' - 1));
}

void num_write_hex16(char to[16], uint64_t v)
{
    uint64_t high = hex_digits((uint32_t)(v >> 32)), low = hex_digits((uint32_t)v);
    memcpy(to, &high, 8);
    memcpy(to + 8, &low, 8);
}

size_t num_write_hex(char *to, uint64_t v)
{
    int digits = v ? (67 - __builtin_clzll(v)) / 4 : 1;
    for (int i = digits; i-- > 0; v >>= 4)
        to[i] = "0123456789abcdef"[v & 15];
    return (size_t)digits;
}
