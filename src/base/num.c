/* num.c - numbers to and from text.
 *
 * strtoul() skips spaces, takes signs and follows the locale; a length in a request may do none
 * of that (RFC 9110 8.6: 1*DIGIT), so parsing is done here, strictly and with overflow found. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"

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

size_t num_write_u64(char *to, uint64_t v)
{
    size_t len = 1;
    for (uint64_t rest = v; rest >= 10; rest /= 10)
        len++;
    for (size_t i = len; i-- > 0; v /= 10)
        to[i] = (char)('0' + v % 10);
    return len;
}

size_t num_write_hex(char *to, uint64_t v)
{
    int digits = v ? (67 - __builtin_clzll(v)) / 4 : 1;
    for (int i = digits; i-- > 0; v >>= 4)
        to[i] = "0123456789abcdef"[v & 15];
    return (size_t)digits;
}
