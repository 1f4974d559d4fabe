/* slice.c - what is too long to be inline about borrowed runs of bytes.
 *
 * Nothing here allocates or knows a locale; letters are ASCII letters. A slice whose .at is NULL
 * is empty and legal everywhere. */
// SPDX-License-Identifier: Apache-2.0
#include "base/slice.h"

static unsigned char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    }
    return true;
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.at, b.at, shared) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t slice_find(struct slice s, char c)
{
    const char *hit = s.len ? memchr(s.at, c, s.len) : NULL;
    return hit ? (size_t)(hit - s.at) : s.len;
}

bool slice_cut(struct slice *rest, char sep, struct slice *part)
{
    if (!rest->at)
        return false;
    size_t len = slice_find(*rest, sep);
    *part = slice_head(*rest, len);
    *rest = len == rest->len ? SLICE_NONE : slice_from(*rest, len + 1);
    return true;
}
