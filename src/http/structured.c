/* structured.c - the parsing algorithms of RFC 9651 4.2 for dictionaries, item by item.
 *
 * Each reader takes what it reads off the front of *rest, and is false where the RFC says "fail
 * parsing". Values are slices of the field; what they decode to is only checked. */
// SPDX-License-Identifier: Apache-2.0
#include "http/structured.h"
#include "base/base64.h"
#include "base/num.h"
#include "http/field.h"

enum { INTEGER_DIGITS_MAX = 15, DECIMAL_DIGITS_MAX = 12, FRACTION_DIGITS_MAX = 3 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool at_char(struct slice s, char c)
{
    return s.len > 0 && s.at[0] == c;
}

static bool char_take(struct slice *rest, char c)
{
    if (!at_char(*rest, c))
        return false;
    *rest = slice_from(*rest, 1);
    return true;
}

static void spaces_skip(struct slice *rest)
{
    while (char_take(rest, ' '))
        ;
}

static struct slice bytes_take(struct slice *rest, size_t len)
{
    struct slice taken = slice_head(*rest, len);
    *rest = slice_from(*rest, len);
    return taken;
}

/* --- bare items (4.2.3.1) --------------------------------------------------------------------- */

static size_t digits_count(struct slice s)
{
    size_t n = 0;
    while (n < s.len && is_digit(s.at[n]))
        n++;
    return n;
}

static int64_t digits_value(struct slice digits)
{
    int64_t v = 0;
    for (size_t i = 0; i < digits.len; i++)
        v = v * 10 + (digits.at[i] - '0');
    return v;
}

static bool fraction_read(struct slice *rest, int64_t *thousandths)
{
    struct slice fraction = bytes_take(rest, digits_count(*rest));
    if (fraction.len == 0 || fraction.len > FRACTION_DIGITS_MAX)
        return false;
    *thousandths = digits_value(fraction);
    for (size_t i = fraction.len; i < FRACTION_DIGITS_MAX; i++)
        *thousandths *= 10;
    return true;
}

static bool number_read(struct slice *rest, struct structured_value *out)
{
    int64_t sign = char_take(rest, '-') ? -1 : 1, thousandths;
    struct slice whole = bytes_take(rest, digits_count(*rest));
    if (whole.len == 0 || whole.len > INTEGER_DIGITS_MAX)
        return false;
    *out = (struct structured_value){STRUCTURED_INTEGER, sign * digits_value(whole), SLICE_NONE};
    if (!char_take(rest, '.'))
        return true;
    if (whole.len > DECIMAL_DIGITS_MAX || !fraction_read(rest, &thousandths))
        return false;
    out->type = STRUCTURED_DECIMAL;
    out->number = sign * (digits_value(whole) * 1000 + thousandths);
    return true;
}

static bool date_read(struct slice *rest, struct structured_value *out)
{
    char_take(rest, '@');
    if (!number_read(rest, out) || out->type != STRUCTURED_INTEGER)
        return false;
    out->type = STRUCTURED_DATE;
    return true;
}

static bool boolean_read(struct slice *rest, struct structured_value *out)
{
    char_take(rest, '?');
    if (!at_char(*rest, '0') && !at_char(*rest, '1'))
        return false;
    *out = (struct structured_value){STRUCTURED_BOOLEAN, rest->at[0] == '1', SLICE_NONE};
    *rest = slice_from(*rest, 1);
    return true;
}

static bool is_visible(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

static bool string_read(struct slice *rest, struct structured_value *out)
{
    struct slice s = slice_from(*rest, 1);
    for (size_t i = 0; i < s.len && is_visible(s.at[i]); i++) {
        if (s.at[i] == '"') {
            *out = (struct structured_value){STRUCTURED_STRING, 0, slice_head(s, i)};
            *rest = slice_from(s, i + 1);
            return true;
        }
        if (s.at[i] == '\\' && (++i == s.len || (s.at[i] != '"' && s.at[i] != '\\')))
            return false;
    }
    return false;
}

static bool token_read(struct slice *rest, struct structured_value *out)
{
    size_t n = 1;
    while (n < rest->len &&
           (field_is_tchar((unsigned char)rest->at[n]) || rest->at[n] == ':' || rest->at[n] == '/'))
        n++;
    *out = (struct structured_value){STRUCTURED_TOKEN, 0, bytes_take(rest, n)};
    return true;
}

/* Padding may be left out (4.2.7), but stands nowhere else. */
static bool base64_valid(struct slice s)
{
    size_t n = 0;
    while (n < s.len && base64_value(s.at[n], BASE64) >= 0)
        n++;
    size_t padding = s.len - n;
    for (size_t i = n; i < s.len; i++)
        if (s.at[i] != '=')
            return false;
    return n % 4 != 1 && (padding == 0 || (padding <= 2 && s.len % 4 == 0));
}

static bool bytes_read(struct slice *rest, struct structured_value *out)
{
    struct slice s = slice_from(*rest, 1), text = slice_head(s, slice_find(s, ':'));
    if (text.len == s.len || !base64_valid(text))
        return false;
    *out = (struct structured_value){STRUCTURED_BYTES, 0, text};
    *rest = slice_from(s, text.len + 1);
    return true;
}

/* --- display strings (4.2.10) ----------------------------------------------------------------- */

/* UTF-8 byte by byte: how many more bytes the character has, and what the next one may be. */
struct utf8 {
    unsigned more;
    unsigned char low, high;
};

static bool utf8_begin(struct utf8 *u, unsigned char c)
{
    if (c < 0x80)
        return true;
    if (c < 0xc2 || c > 0xf4)
        return false;
    u->more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    u->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;  /* no longer than needed */
    u->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf; /* no surrogates; up to U+10FFFF */
    return true;
}

static bool utf8_add(struct utf8 *u, unsigned char c)
{
    if (u->more == 0)
        return utf8_begin(u, c);
    if (c < u->low || c > u->high)
        return false;
    u->more--;
    u->low = 0x80;
    u->high = 0xbf;
    return true;
}

/* The two digits after a '%': lower case only. */
static bool escape_read(struct slice s, unsigned char *c)
{
    int high, low;
    if (s.len < 2 || (high = num_hex_digit(s.at[0])) < 0 || (low = num_hex_digit(s.at[1])) < 0)
        return false;
    *c = (unsigned char)(high << 4 | low);
    return !(s.at[0] >= 'A' && s.at[0] <= 'F') && !(s.at[1] >= 'A' && s.at[1] <= 'F');
}

static bool display_read(struct slice *rest, struct structured_value *out)
{
    struct utf8 u = {0};
    if (!slice_starts(*rest, SLICE("%\"")))
        return false;
    struct slice s = slice_from(*rest, 2);
    for (size_t i = 0; i < s.len && is_visible(s.at[i]); i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"') {
            *out = (struct structured_value){STRUCTURED_DISPLAY, 0, slice_head(s, i)};
            *rest = slice_from(s, i + 1);
            return u.more == 0;
        }
        if (c == '%') {
            if (!escape_read(slice_from(s, i + 1), &c))
                return false;
            i += 2;
        }
        if (!utf8_add(&u, c))
            return false;
    }
    return false;
}

static bool bare_item_read(struct slice *rest, struct structured_value *out)
{
    char c = rest->len > 0 ? rest->at[0] : 0;
    switch (c) {
    case '"': return string_read(rest, out);
    case ':': return bytes_read(rest, out);
    case '?': return boolean_read(rest, out);
    case '@': return date_read(rest, out);
    case '%': return display_read(rest, out);
    case '-': return number_read(rest, out);
    case '*': return token_read(rest, out);
    default: break;
    }
    if (is_digit(c))
        return number_read(rest, out);
    return is_alpha(c) && token_read(rest, out);
}

/* --- members ---------------------------------------------------------------------------------- */

static bool key_read(struct slice *rest, struct slice *key)
{
    size_t n = 0;
    while (n < rest->len &&
           (is_lower(rest->at[n]) || rest->at[n] == '*' ||
            (n > 0 && (is_digit(rest->at[n]) || memchr("_-.", rest->at[n], 3) != NULL))))
        n++;
    *key = bytes_take(rest, n);
    return n > 0;
}

static bool params_read(struct slice *rest, struct slice *params)
{
    struct slice all = *rest, key;
    struct structured_value value;
    while (char_take(rest, ';')) {
        spaces_skip(rest);
        if (!key_read(rest, &key) || (char_take(rest, '=') && !bare_item_read(rest, &value)))
            return false;
    }
    *params = slice_head(all, all.len - rest->len);
    return true;
}

static bool inner_list_read(struct slice *rest, struct structured_value *out)
{
    struct slice s = slice_from(*rest, 1), params;
    struct structured_value item;
    *rest = s;
    for (;;) {
        spaces_skip(rest);
        struct slice before = *rest;
        if (char_take(rest, ')')) {
            struct slice inside = slice_head(s, s.len - before.len);
            *out = (struct structured_value){STRUCTURED_INNER_LIST, 0, inside};
            return true;
        }
        if (!bare_item_read(rest, &item) || !params_read(rest, &params) ||
            !(at_char(*rest, ' ') || at_char(*rest, ')')))
            return false;
    }
}

static bool member_read(struct slice *rest, struct structured_member *m)
{
    m->value = (struct structured_value){STRUCTURED_BOOLEAN, 1, SLICE_NONE};
    if (!key_read(rest, &m->key))
        return false;
    if (char_take(rest, '=') &&
        !(at_char(*rest, '(') ? inner_list_read(rest, &m->value) : bare_item_read(rest, &m->value)))
        return false;
    return params_read(rest, &m->params);
}

static void blanks_skip(struct slice *rest)
{
    while (rest->len > 0 && slice_is_blank(rest->at[0]))
        *rest = slice_from(*rest, 1);
}

enum structured_next structured_dictionary_next(struct slice *rest, struct structured_member *out)
{
    if (rest->len == 0)
        return STRUCTURED_END;
    if (!member_read(rest, out))
        return STRUCTURED_BAD;
    blanks_skip(rest);
    if (rest->len == 0)
        return STRUCTURED_MEMBER;
    if (!char_take(rest, ','))
        return STRUCTURED_BAD;
    blanks_skip(rest);
    return rest->len > 0 ? STRUCTURED_MEMBER : STRUCTURED_BAD; /* no comma at the end */
}
