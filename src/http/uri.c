/* uri.c - splits request targets, normalises paths, checks hosts.
 *
 * One table says what each byte may be. A path that is clean already, nearly every one, costs one
 * pass and no copy; else it is rewritten in two passes: escapes first, then segments, because "%2e"
 * is a dot (RFC 3986 6.2.2). */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri.h"
#include "base/num.h"
#include <arpa/inet.h>

enum {
    IN_PATH = 1,    /* pchar or '/', RFC 3986 3.3 */
    IN_QUERY = 2,   /* RFC 3986 3.4 */
    UNRESERVED = 4, /* RFC 3986 2.3 */
    RAW_PATH = 8,   /* browsers send it raw in a path: taken, and escaped on the way out */
    EDITED = 16,    /* a path with it is not clean: it may have to change */
    TAKEN = 32,     /* taken in a path, raw or not */
    UPPER = 64,     /* a letter that is not in lower case */
    BOTH = IN_PATH | TAKEN | IN_QUERY,
    RAW = RAW_PATH | TAKEN | IN_QUERY | EDITED,
    PLAIN = BOTH | UNRESERVED,
};

static const uint8_t uri_bytes[256] = {
    ['a' ... 'z'] = PLAIN, ['A' ... 'Z'] = PLAIN | UPPER,
    ['0' ... '9'] = PLAIN, ['-'] = PLAIN,
    ['_'] = PLAIN,         ['~'] = PLAIN,
    ['.'] = PLAIN,         ['!'] = BOTH,
    ['$'] = BOTH,          ['&'] = BOTH,
    ['\''] = BOTH,         ['('] = BOTH,
    [')'] = BOTH,          ['*'] = BOTH,
    ['+'] = BOTH,          [','] = BOTH,
    [';'] = BOTH,          ['='] = BOTH,
    [':'] = BOTH,          ['@'] = BOTH,
    ['/'] = BOTH,          ['%'] = BOTH | EDITED,
    ['?'] = IN_QUERY,      ['['] = RAW,
    [']'] = RAW,           ['|'] = RAW,
    ['{'] = IN_QUERY,      ['}'] = IN_QUERY,
    ['\\'] = IN_QUERY,     ['^'] = IN_QUERY,
    ['`'] = IN_QUERY,
};

static inline bool uri_is(char c, unsigned classes)
{
    return uri_bytes[(unsigned char)c] & classes;
}

static bool all_are(struct slice s, unsigned class)
{
    unsigned common = class;
    for (size_t i = 0; i < s.len; i++)
        common &= uri_bytes[(unsigned char)s.at[i]];
    return common;
}

/* Path and query of origin- and absolute-form; `s` starts with '/' or '?' or is empty. */
static enum err parse_path_query(struct slice s, struct uri *out)
{
    size_t mark = slice_find(s, '?');
    struct slice path = slice_head(s, mark), query = slice_from(s, mark + 1);
    if (!all_are(path, TAKEN) || !all_are(query, IN_QUERY))
        return ERR_BAD_TARGET;
    out->raw_path = path.len ? path : SLICE("/");
    out->query = query;
    out->has_query = mark < s.len;
    return ERR_OK;
}

static bool is_scheme(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i], low = (char)(c | 0x20);
        bool later = i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.');
        if (!(low >= 'a' && low <= 'z') && !later)
            return false;
    }
    return s.len > 0;
}

/* Length of the authority at the front: up to '/', '?' or the end. */
static size_t authority_len(struct slice s)
{
    size_t len = 0;
    while (len < s.len && s.at[len] != '/' && s.at[len] != '?')
        len++;
    return len;
}

static enum err parse_absolute(struct slice target, size_t colon, struct uri *out)
{
    struct slice rest = slice_from(target, colon + 3);
    size_t len = authority_len(rest);
    out->scheme = slice_head(target, colon);
    out->authority = slice_head(rest, len);
    if (!is_scheme(out->scheme) || len == 0)
        return ERR_BAD_TARGET;
    return parse_path_query(slice_from(rest, len), out);
}

static enum err parse_other(struct slice target, struct uri *out)
{
    size_t colon = slice_find(target, ':');
    if (slice_starts(slice_from(target, colon), SLICE("://"))) {
        out->form = URI_ABSOLUTE;
        return parse_absolute(target, colon, out);
    }
    if (colon == 0 || colon >= target.len || authority_len(target) != target.len)
        return ERR_BAD_TARGET;
    out->form = URI_AUTHORITY;
    out->authority = target;
    return all_are(target, TAKEN) ? ERR_OK : ERR_BAD_TARGET;
}

enum err uri_parse(struct slice target, struct uri *out)
{
    struct uri u = {0};
    if (target.len > 0 && target.at[0] == '/') {
        u.form = URI_ORIGIN;
        TRY(parse_path_query(target, &u));
    } else if (slice_eq(target, SLICE("*"))) {
        u.form = URI_ASTERISK;
    } else {
        TRY(parse_other(target, &u));
    }
    *out = u;
    return ERR_OK;
}

/* Nothing to decode, no segment that starts with a dot, no doubled slash that would be merged. */
static bool path_is_clean(struct slice path, unsigned flags)
{
    char before = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        unsigned is = uri_bytes[(unsigned char)c];
        if (!(is & IN_PATH) || (is & EDITED))
            return false;
        if (before == '/' && (c == '.' || (c == '/' && (flags & URI_MERGE_SLASHES))))
            return false;
        before = c;
    }
    return path.len > 0 && path.at[0] == '/';
}

static char *put_escape(char *to, unsigned char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    to[0] = '%';
    to[1] = hex[byte >> 4];
    to[2] = hex[byte & 15];
    return to + 3;
}

/* The byte that the escape at path.at[i] stands for, or -1. */
static int escape_at(struct slice path, size_t i)
{
    if (path.len - i < 3)
        return -1;
    int high = num_hex_digit(path.at[i + 1]), low = num_hex_digit(path.at[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* First pass: every byte raw or escaped as it has to be. Writes at most 3 bytes for each. */
static enum err rewrite_escapes(struct slice path, char *to, size_t *len)
{
    char *at = to;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        if (c == '%') {
            int byte = escape_at(path, i);
            if (byte <= 0)
                return ERR_BAD_TARGET;
            if (uri_is((char)byte, UNRESERVED))
                *at++ = (char)byte;
            else
                at = put_escape(at, (unsigned char)byte);
            i += 2;
        } else if (uri_is(c, IN_PATH)) {
            *at++ = c;
        } else if (uri_is(c, RAW_PATH)) {
            at = put_escape(at, (unsigned char)c);
        } else {
            return ERR_BAD_TARGET;
        }
    }
    *len = (size_t)(at - to);
    return ERR_OK;
}

static bool is_dots(struct slice s)
{
    return slice_eq(s, SLICE(".")) || slice_eq(s, SLICE(".."));
}

/* Length of the part before an escaped slash or backslash (escapes are in upper case by now). */
static size_t escaped_slash(struct slice s)
{
    for (size_t i = 0; i + 2 < s.len; i++)
        if (s.at[i] == '%' && (memcmp(s.at + i, "%2F", 3) == 0 || memcmp(s.at + i, "%5C", 3) == 0))
            return i;
    return s.len;
}

/* A segment that an origin may take for a dot segment although it is none: "..%2Fx", "..;x". */
static bool is_ambiguous(struct slice segment)
{
    if (is_dots(segment))
        return false;
    while (segment.len > 0) {
        size_t len = escaped_slash(segment);
        struct slice part = slice_head(segment, len);
        if (is_dots(slice_head(part, slice_find(part, ';'))))
            return true;
        segment = slice_from(segment, len + 3);
    }
    return false;
}

struct segments {
    char *start, *to;
    unsigned flags;
};

/* Takes the last segment off what was written; "/" is the root and has none. */
static enum err segment_pop(struct segments *w)
{
    if (w->to == w->start)
        return ERR_BAD_TARGET;
    do
        w->to--;
    while (*w->to != '/');
    return ERR_OK;
}

/* One "/segment". A dot segment at the end leaves its slash behind: "/a/." is "/a/". */
static enum err segment_add(struct segments *w, struct slice segment, bool last)
{
    if (is_ambiguous(segment))
        return ERR_BAD_TARGET;
    if (segment.len == 0 && !last && (w->flags & URI_MERGE_SLASHES))
        return ERR_OK;
    if (is_dots(segment)) {
        if (segment.len == 2)
            TRY(segment_pop(w));
        if (last)
            *w->to++ = '/';
        return ERR_OK;
    }
    *w->to++ = '/';
    memmove(w->to, segment.at, segment.len);
    w->to += segment.len;
    return ERR_OK;
}

/* Second pass, in place: what is written never gets ahead of what is read. */
static enum err resolve_segments(char *at, size_t *len, unsigned flags)
{
    struct segments w = {at, at, flags};
    struct slice rest = {at + 1, *len - 1};
    bool last = false;
    while (!last) {
        size_t part = slice_find(rest, '/');
        last = part == rest.len;
        struct slice segment = slice_head(rest, part);
        rest = slice_from(rest, part + 1);
        TRY(segment_add(&w, segment, last));
    }
    *len = (size_t)(w.to - at);
    return ERR_OK;
}

/* Room that rewrite_escapes() needs. */
static size_t rewritten_max(struct slice path)
{
    size_t len = path.len;
    for (size_t i = 0; i < path.len; i++)
        len += uri_is(path.at[i], RAW_PATH) ? 2 : 0;
    return len;
}

enum err uri_normalize_path(struct arena *a, struct slice path, unsigned flags, struct slice *out)
{
    if (path_is_clean(path, flags)) {
        *out = path;
        return ERR_OK;
    }
    if (path.len == 0 || path.at[0] != '/')
        return ERR_BAD_TARGET;
    char *to = arena_alloc(a, rewritten_max(path));
    size_t len;
    if (!to)
        return ERR_OVER_BUDGET;
    TRY(rewrite_escapes(path, to, &len));
    TRY(resolve_segments(to, &len, flags));
    *out = (struct slice){to, len};
    return ERR_OK;
}

enum { HOST_MAX_BYTES = 255, IPV6_MAX_BYTES = 45 };

/* RFC 3986 3.2.2: port is *DIGIT, so "host:" is legal and means none. */
static enum err parse_port(struct slice s, uint16_t *port)
{
    uint64_t v = 0;
    if (s.len == 0 || s.at[0] != ':')
        return ERR_BAD_HOST;
    s = slice_from(s, 1);
    if (s.len > 0 && (s.len > 5 || num_parse_u64(s, &v) || v == 0 || v > 65535))
        return ERR_BAD_HOST;
    *port = (uint16_t)v;
    return ERR_OK;
}

static bool is_ipv6_literal(struct slice bracketed)
{
    char text[IPV6_MAX_BYTES + 1];
    struct in6_addr ignored;
    struct slice inner = {bracketed.at + 1, bracketed.len - 2};
    if (inner.len > IPV6_MAX_BYTES || memchr(inner.at, 0, inner.len))
        return false;
    memcpy(text, inner.at, inner.len);
    text[inner.len] = 0;
    return inet_pton(AF_INET6, text, &ignored) == 1;
}

/* Length of the name at the front; 0 when it is none. */
static size_t name_len(struct slice s)
{
    size_t len = 0;
    char before = '.';
    for (; len < s.len && uri_is(s.at[len], UNRESERVED); len++) {
        if (s.at[len] == '.' && before == '.')
            return 0;
        before = s.at[len];
    }
    return len <= HOST_MAX_BYTES ? len : 0;
}

static enum err split_host(struct slice text, struct slice *name, struct slice *rest)
{
    size_t len = name_len(text);
    if (text.len > 0 && text.at[0] == '[') {
        len = slice_find(text, ']') + 1;
        if (len > text.len || len < 4 || !is_ipv6_literal(slice_head(text, len)))
            return ERR_BAD_HOST;
    }
    if (len == 0)
        return ERR_BAD_HOST;
    *name = slice_head(text, len);
    *rest = slice_from(text, len);
    return ERR_OK;
}

static bool has_upper(struct slice s)
{
    unsigned found = 0;
    for (size_t i = 0; i < s.len; i++)
        found |= uri_bytes[(unsigned char)s.at[i]];
    return found & UPPER;
}

static enum err lower_copy(struct arena *a, struct slice s, struct slice *out)
{
    char *to = arena_alloc(a, s.len);
    if (!to)
        return ERR_OVER_BUDGET;
    for (size_t i = 0; i < s.len; i++)
        to[i] = s.at[i] >= 'A' && s.at[i] <= 'Z' ? (char)(s.at[i] | 0x20) : s.at[i];
    *out = (struct slice){to, s.len};
    return ERR_OK;
}

enum err uri_host_parse(struct arena *a, struct slice text, struct slice *host, uint16_t *port)
{
    struct slice name, rest;
    uint16_t number = 0;
    TRY(split_host(text, &name, &rest));
    if (rest.len > 0)
        TRY(parse_port(rest, &number));
    if (name.len > 1 && name.at[name.len - 1] == '.')
        name.len--;
    if (has_upper(name))
        TRY(lower_copy(a, name, &name));
    *host = name;
    *port = number;
    return ERR_OK;
}

void uri_origin_split(struct slice checked, struct uri *out)
{
    size_t mark = slice_find(checked, '?');
    *out = (struct uri){.form = URI_ORIGIN,
                        .raw_path = slice_head(checked, mark),
                        .query = slice_from(checked, mark + 1),
                        .has_query = mark < checked.len};
}

enum err uri_authority_parse(struct arena *a, struct slice text, struct slice *host, uint16_t *port,
                             struct slice *authority)
{
    TRY(uri_host_parse(a, text, host, port));
    size_t len = host->len;
    bool same = host->at == text.at &&
                (*port ? text.at[len] == ':' && text.at[len + 1] != '0' : text.len == len);
    if (same)
        *authority = text;
    else if (*port)
        *authority = arena_printf(a, "%.*s:%u", SLICE_ARG(*host), *port);
    else
        *authority = *host;
    return authority->at ? ERR_OK : ERR_OVER_BUDGET;
}

void uri_authority_split(struct slice checked, struct slice *host, uint16_t *port)
{
    uint16_t number = 0, place = 1;
    size_t len = checked.len;
    while (len > 0 && checked.at[len - 1] >= '0' && checked.at[len - 1] <= '9') {
        number = (uint16_t)(number + (checked.at[--len] - '0') * place);
        place = (uint16_t)(place * 10);
    }
    bool has_port = len > 0 && checked.at[len - 1] == ':';
    *host = has_port ? slice_head(checked, len - 1) : checked;
    *port = has_port ? number : 0;
}

struct slice uri_query_get(struct slice query, struct slice name)
{
    struct slice pair;
    while (slice_cut(&query, '&', &pair)) {
        size_t eq = slice_find(pair, '=');
        if (slice_eq(slice_head(pair, eq), name))
            return slice_from(pair, eq < pair.len ? eq + 1 : eq);
    }
    return SLICE_NONE;
}

struct slice uri_decode(struct arena *a, struct slice s)
{
    char *to = arena_alloc(a, s.len ? s.len : 1), *at = to;
    if (!to)
        return SLICE_NONE;
    for (size_t i = 0; i < s.len; i++) {
        int byte = (unsigned char)s.at[i];
        if (byte == '%') {
            byte = escape_at(s, i);
            i += 2;
        }
        if (byte < 0)
            return SLICE_NONE;
        *at++ = (char)byte;
    }
    return (struct slice){to, (size_t)(at - to)};
}
