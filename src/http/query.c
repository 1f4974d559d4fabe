/* query.c - see query.h. */
// SPDX-License-Identifier: Apache-2.0
#include "http/query.h"
#include "base/num.h"

bool query_next(struct slice *rest, struct query_member *out)
{
    if (!slice_cut(rest, '&', &out->whole))
        return false;
    size_t eq = slice_find(out->whole, '=');
    out->name = slice_head(out->whole, eq);
    out->value = slice_from(out->whole, eq < out->whole.len ? eq + 1 : eq);
    return true;
}

/* The character at *i, which is moved on; a broken escape is a plain '%', as browsers read it. */
static char char_next(struct slice raw, size_t *i)
{
    char c = raw.at[(*i)++];
    if (c == '+')
        return ' ';
    if (c != '%' || raw.len - *i < 2)
        return c;
    int high = num_hex_digit(raw.at[*i]), low = num_hex_digit(raw.at[*i + 1]);
    if (high < 0 || low < 0)
        return c;
    *i += 2;
    return (char)(high << 4 | low);
}

bool query_name_is(struct slice raw, struct slice name)
{
    size_t i = 0, n = 0;
    while (i < raw.len) {
        char c = char_next(raw, &i);
        if (n == name.len || name.at[n++] != c)
            return false;
    }
    return n == name.len;
}

uint32_t query_find(struct slice query, struct slice name, struct query_member *out)
{
    struct query_member m;
    uint32_t count = 0;
    while (query.at && query_next(&query, &m))
        if (query_name_is(m.name, name) && count++ == 0)
            *out = m;
    return count;
}

enum err query_without(struct arena *a, struct slice query, struct slice name, struct slice *out)
{
    struct query_member m;
    struct slice rest = query;
    if (query_find(query, name, &m) == 0) {
        *out = query;
        return ERR_OK;
    }
    char *to = arena_alloc(a, query.len + 1), *at = to;
    if (!to)
        return ERR_OVER_BUDGET;
    while (query_next(&rest, &m)) {
        if (query_name_is(m.name, name))
            continue;
        memcpy(at, m.whole.at, m.whole.len);
        at += m.whole.len;
        *at++ = '&';
    }
    *out = (struct slice){to, at > to ? (size_t)(at - to) - 1 : 0};
    return ERR_OK;
}
