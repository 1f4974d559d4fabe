/* text.c - growing texts, escaping, edit distance.
 *
 * json_escape() also serves access log lines, so it copies runs of plain ASCII at once and never
 * allocates. What is not UTF-8 (overlong forms and surrogates included, RFC 3629) comes out as
 * U+FFFD, one per byte, so that every line stays valid JSON whatever a client sends. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/scan.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { JSON_ESCAPE_MAX = 6 }; /* \u001f, for one byte */

void text_init(struct text *t)
{
    *t = (struct text){0};
}

void text_release(struct text *t)
{
    free(t->at);
    text_init(t);
}

/* Room for `more` bytes and a NUL. */
static char *make_room(struct text *t, size_t more)
{
    size_t need = t->len + more + 1;
    if (need > t->cap) {
        size_t doubled = t->cap * 2 > 64 ? t->cap * 2 : 64;
        t->cap = need > doubled ? need : doubled;
        t->at = mem_grow(t->at, t->cap);
    }
    return t->at + t->len;
}

void text_reserve(struct text *t, size_t bytes)
{
    make_room(t, bytes)[0] = '\0';
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->at)
        t->at[0] = '\0';
}

static void text_advance(struct text *t, size_t len)
{
    t->len += len;
    t->at[t->len] = '\0';
}

void text_add(struct text *t, struct slice s)
{
    char *to = make_room(t, s.len);
    if (s.len)
        memcpy(to, s.at, s.len);
    text_advance(t, s.len);
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    char *to = make_room(t, (size_t)len);
    va_start(args, fmt);
    vsnprintf(to, (size_t)len + 1, fmt, args);
    va_end(args);
    t->len += (size_t)len;
}

struct slice text_slice(const struct text *t)
{
    return (struct slice){t->at, t->len};
}

/* Bytes of the UTF-8 character that `s` (not empty) starts with, or 0 when it is malformed. */
static size_t utf8_len(struct slice s)
{
    const unsigned char *b = (const unsigned char *)s.at;
    size_t len = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    if (len == 0 || b[0] > 0xf4 || len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xf0 && b[1] < 0x90);
    bool surrogate = b[0] == 0xed && b[1] > 0x9f;
    bool past_end = b[0] == 0xf4 && b[1] > 0x8f;
    return overlong || surrogate || past_end ? 0 : len;
}

static bool json_plain(char c)
{
    return c >= 0x20 && c != '"' && c != '\\'; /* signed: bytes from 0x80 on are not plain */
}

/* How many bytes at the front need no escape. */
static size_t json_plain_len(const char *at, size_t len)
{
    size_t i = 0;
    for (; len - i >= SCAN_BYTES; i += SCAN_BYTES) {
        unsigned hits =
            scan_control(at + i) | scan_high(at + i) | scan_eq(at + i, '"') | scan_eq(at + i, '\\');
        if (hits) {
            i += (size_t)__builtin_ctz(hits);
            break;
        }
    }
    while (i < len && json_plain(at[i])) /* also DEL, which is a control and plain */
        i++;
    return i;
}

/* Writes the escape of one ASCII character that is not plain. */
static size_t json_escape_ascii(char out[JSON_ESCAPE_MAX], unsigned char c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    out[0] = '\\';
    for (const char *pair = shorts; *pair; pair += 2) {
        if ((unsigned char)pair[0] == c) {
            out[1] = pair[1];
            return 2;
        }
    }
    memcpy(out + 1, "u00", 3);
    out[4] = "0123456789abcdef"[c >> 4];
    out[5] = "0123456789abcdef"[c & 15];
    return 6;
}

/* What stands for the character at the front of `s`; *used gets how much of `s` it was. */
static struct slice json_escape_one(char out[JSON_ESCAPE_MAX], struct slice s, size_t *used)
{
    unsigned char c = (unsigned char)s.at[0];
    *used = 1;
    if (c < 0x80)
        return (struct slice){out, json_escape_ascii(out, c)};
    size_t len = utf8_len(s);
    if (len == 0)
        return SLICE("\xef\xbf\xbd");
    *used = len;
    return slice_head(s, len);
}

size_t json_escape(char *to, size_t cap, struct slice s)
{
    size_t at = 0;
    while (s.len > 0) {
        size_t plain = json_plain_len(s.at, s.len < cap - at ? s.len : cap - at);
        memcpy(to + at, s.at, plain);
        at += plain;
        s = slice_from(s, plain);
        if (s.len == 0 || at == cap)
            break;
        char out[JSON_ESCAPE_MAX];
        size_t used;
        struct slice escape = json_escape_one(out, s, &used);
        if (escape.len > cap - at)
            break;
        memcpy(to + at, escape.at, escape.len);
        at += escape.len;
        s = slice_from(s, used);
    }
    return at;
}

void text_add_json(struct text *t, struct slice s)
{
    text_add(t, SLICE("\""));
    ASSERT(s.len < SIZE_MAX / JSON_ESCAPE_MAX - 1);
    size_t cap = s.len * JSON_ESCAPE_MAX;
    char *to = make_room(t, cap);
    text_advance(t, json_escape(to, cap, s));
    text_add(t, SLICE("\""));
}

static struct slice html_escape_one(const char *c)
{
    switch (*c) {
    case '&': return SLICE("&amp;");
    case '<': return SLICE("&lt;");
    case '>': return SLICE("&gt;");
    case '"': return SLICE("&quot;");
    case '\'': return SLICE("&#39;");
    default: return (struct slice){c, 1};
    }
}

void text_add_html(struct text *t, struct slice s)
{
    text_add(t, SLICE(""));
    for (size_t i = 0; i < s.len; i++)
        text_add(t, html_escape_one(s.at + i));
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment: rows[0] is the row before last, rows[1] the last, rows[2] this one. */
size_t text_distance(struct slice a, struct slice b)
{
    size_t width = b.len + 1;
    size_t *cells = mem_new(3 * width * sizeof(*cells));
    size_t *rows[3] = {cells, cells + width, cells + 2 * width};
    for (size_t j = 0; j <= b.len; j++)
        rows[2][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *oldest = rows[0];
        rows[0] = rows[1];
        rows[1] = rows[2];
        rows[2] = oldest;
        rows[2][0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.at[i - 1] == b.at[j - 1];
            size_t best = min3(rows[1][j] + 1, rows[2][j - 1] + 1, rows[1][j - 1] + !same);
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1] &&
                rows[0][j - 2] + 1 < best)
                best = rows[0][j - 2] + 1;
            rows[2][j] = best;
        }
    }
    size_t distance = rows[2][b.len];
    free(cells);
    return distance;
}
