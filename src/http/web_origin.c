/* web_origin.c - compares origins of web pages.
 *
 * Nothing is normalised that a client sent: the bytes after the scheme are either the host and port
 * looked for or they are not. So there is no second reading of them to be tricked with
 * ("https://example.com.evil.test", "https://example.com@evil.test"). */
// SPDX-License-Identifier: Apache-2.0
#include "http/web_origin.h"
#include "base/num.h"
#include "http/uri.h"

enum { PORT_DIGITS_MAX = 5 };

static bool cut(struct slice *s, struct slice front)
{
    if (!slice_starts(*s, front))
        return false;
    *s = slice_from(*s, front.len);
    return true;
}

static bool cut_nocase(struct slice *s, struct slice front)
{
    if (!slice_eq_nocase(slice_head(*s, front.len), front))
        return false;
    *s = slice_from(*s, front.len);
    return true;
}

static uint16_t own_port(struct slice scheme)
{
    if (slice_eq_nocase(scheme, SLICE("https")) || slice_eq_nocase(scheme, SLICE("wss")))
        return 443;
    bool plain = slice_eq_nocase(scheme, SLICE("http")) || slice_eq_nocase(scheme, SLICE("ws"));
    return plain ? 80 : 0;
}

/* --- as configured ---------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 3986 3.1 */
static enum err scheme_read(struct arena *a, struct slice text, struct slice *out)
{
    char *to = arena_alloc(a, text.len + 1);
    if (!to)
        return ERR_OVER_BUDGET;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool later = i > 0 && (is_digit(c) || c == '+' || c == '-' || c == '.');
        if (!letter && !later)
            return ERR_BAD_HOST;
        to[i] = letter ? (char)(c | 0x20) : c;
    }
    *out = (struct slice){to, text.len};
    return text.len ? ERR_OK : ERR_BAD_HOST;
}

static enum err port_write(struct arena *a, uint16_t port, struct web_origin *o)
{
    o->port = SLICE("");
    if (port == 0 || port == own_port(o->scheme))
        return ERR_OK;
    o->port = arena_printf(a, ":%u", port);
    return o->port.at ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err below_write(struct arena *a, struct web_origin *o)
{
    if (o->host.at[0] == '[')
        return ERR_BAD_HOST;
    o->host = ARENA_CONCAT(a, SLICE("."), o->host);
    return o->host.at ? ERR_OK : ERR_OVER_BUDGET;
}

enum err web_origin_parse(struct arena *a, struct slice text, struct web_origin *out)
{
    struct web_origin o = {0};
    size_t colon = slice_find(text, ':');
    struct slice rest = slice_from(text, colon);
    uint16_t port = 0;
    TRY(scheme_read(a, slice_head(text, colon), &o.scheme));
    if (!cut(&rest, SLICE("://")))
        return ERR_BAD_HOST;
    o.below = cut(&rest, SLICE("*."));
    o.any_port = slice_ends(rest, SLICE(":*"));
    if (o.any_port)
        rest.len -= 2;
    TRY(uri_host_parse(a, rest, &o.host, &port));
    if (o.any_port && port != 0)
        return ERR_BAD_HOST;
    TRY(port_write(a, port, &o));
    if (o.below)
        TRY(below_write(a, &o));
    *out = o;
    return ERR_OK;
}

/* --- as sent ---------------------------------------------------------------------------------- */

/* "a", "b.a": what stands before the end of a name. */
static bool is_labels(struct slice s)
{
    char before = '.';
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '.' && before == '.')
            return false;
        if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-' && c != '_' && c != '.')
            return false;
        before = c;
    }
    return before != '.';
}

static bool cut_below(struct slice *rest, struct slice end)
{
    struct slice name = slice_head(*rest, slice_find(*rest, ':'));
    if (name.len <= end.len || !slice_ends(name, end) ||
        !is_labels(slice_head(name, name.len - end.len)))
        return false;
    *rest = slice_from(*rest, name.len);
    return true;
}

static bool is_port(struct slice s)
{
    if (s.len < 2 || s.len > 1 + PORT_DIGITS_MAX || s.at[0] != ':' || s.at[1] == '0')
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!is_digit(s.at[i]))
            return false;
    return true;
}

bool web_origin_matches(const struct web_origin *o, struct slice origin)
{
    struct slice rest = origin;
    if (!cut(&rest, o->scheme) || !cut(&rest, SLICE("://")))
        return false;
    if (!(o->below ? cut_below(&rest, o->host) : cut(&rest, o->host)))
        return false;
    return slice_eq(rest, o->port) || (o->any_port && is_port(rest));
}

bool web_origin_is(struct slice origin, struct slice scheme, struct slice host, uint16_t port)
{
    struct slice rest = origin;
    uint64_t number = own_port(scheme);
    if (host.len == 0 || !cut_nocase(&rest, scheme) || !cut(&rest, SLICE("://")) ||
        !cut_nocase(&rest, host))
        return false;
    cut(&rest, SLICE("."));
    if (rest.len > 0 && (!is_port(rest) || num_parse_u64(slice_from(rest, 1), &number) != ERR_OK))
        return false;
    return number == (port ? port : own_port(scheme));
}

struct slice web_origin_of_url(struct slice url)
{
    size_t colon = slice_find(url, ':');
    if (!slice_starts(slice_from(url, colon), SLICE("://")))
        return SLICE("");
    for (size_t i = colon + 3; i < url.len; i++)
        if (strchr("/\\?#", url.at[i])) /* a NUL byte, too */
            return slice_head(url, i);
    return url;
}
