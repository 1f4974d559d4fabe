/* url.c - see url.h. Splitting and the grammar of paths and hosts are uri.c's; here stands what a
 * URL must satisfy beyond that before weir connects to what it names.
 *
 * Hosts that end in a number are addresses to some programs in forms that others do not know
 * (octal, hexadecimal, fewer parts). WHATWG's rule finds them: the last label is a number. Only
 * four decimal parts without leading zeros pass. */
// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"
#include "base/num.h"
#include "http/uri.h"
#include <arpa/inet.h>

static const struct slice HTTP = SLICE_INIT("http"), HTTPS = SLICE_INIT("https");

static uint16_t scheme_port(const struct url *u)
{
    return u->tls ? 443 : 80;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_label(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_name_byte(s.at[i]))
            return false;
    return s.len > 0 && s.len <= URL_LABEL_MAX_BYTES;
}

static bool is_number(struct slice label)
{
    bool hex = slice_starts(label, SLICE("0x")), decimal = true;
    for (size_t i = 0; i < label.len; i++)
        decimal &= label.at[i] >= '0' && label.at[i] <= '9';
    for (size_t i = 2; hex && i < label.len; i++)
        hex = num_hex_digit(label.at[i]) >= 0;
    return decimal || hex;
}

static bool is_ipv4(struct slice s)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr ignored;
    if (s.len >= sizeof text)
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET, text, &ignored) == 1;
}

/* Lower case and without a dot at the end by now. */
static enum err name_check(struct slice host, bool *is_ip)
{
    struct slice rest = host, label = SLICE_NONE;
    if (host.len > URL_HOST_MAX_BYTES)
        return ERR_BAD_HOST;
    while (slice_cut(&rest, '.', &label))
        if (!is_label(label))
            return ERR_BAD_HOST;
    *is_ip = is_number(label);
    return *is_ip && !is_ipv4(host) ? ERR_BAD_HOST : ERR_OK;
}

static enum err host_read(struct arena *a, struct slice authority, struct url *u)
{
    uint16_t port;
    TRY(uri_host_parse(a, authority, &u->host, &port));
    u->port = port ? port : scheme_port(u);
    struct slice written = u->host;
    u->is_ip = u->host.at[0] == '[';
    if (u->is_ip)
        u->host = (struct slice){u->host.at + 1, u->host.len - 2};
    else
        TRY(name_check(u->host, &u->is_ip));
    u->authority = u->port == scheme_port(u)
                       ? written
                       : arena_printf(a, "%.*s:%u", SLICE_ARG(written), u->port);
    return u->authority.at ? ERR_OK : ERR_OVER_BUDGET;
}

static enum err target_read(struct arena *a, const struct uri *from, struct url *u)
{
    TRY(uri_normalize_path(a, from->raw_path, 0, &u->target));
    if (from->has_query)
        u->target = ARENA_CONCAT(a, u->target, SLICE("?"), from->query);
    return u->target.at ? ERR_OK : ERR_OVER_BUDGET;
}

enum err url_parse(struct arena *a, struct slice text, struct url *out)
{
    struct uri parts;
    struct url u = {0};
    text = slice_head(text, slice_find(text, '#'));
    if (text.len > URL_MAX_BYTES)
        return ERR_BAD_TARGET;
    TRY(uri_parse(text, &parts));
    if (parts.form != URI_ABSOLUTE)
        return ERR_BAD_TARGET;
    u.tls = slice_eq_nocase(parts.scheme, HTTPS);
    if (!u.tls && !slice_eq_nocase(parts.scheme, HTTP))
        return ERR_BAD_TARGET;
    TRY(host_read(a, parts.authority, &u));
    TRY(target_read(a, &parts, &u));
    *out = u;
    return ERR_OK;
}

/* A colon before any slash and query. */
static bool has_scheme(struct slice s)
{
    size_t colon = slice_find(s, ':');
    return colon < s.len && slice_find(s, '/') > colon && slice_find(s, '?') > colon;
}

/* The path up to and with its last slash. */
static struct slice folder_of(struct slice path)
{
    while (path.len > 0 && path.at[path.len - 1] != '/')
        path.len--;
    return path;
}

/* What of the base stands before the reference. */
static struct slice base_part(struct arena *a, const struct url *base, struct slice reference)
{
    struct slice scheme = base->tls ? SLICE("https:") : SLICE("http:");
    struct slice path = slice_head(base->target, slice_find(base->target, '?'));
    if (has_scheme(reference))
        return SLICE("");
    if (slice_starts(reference, SLICE("//")))
        return scheme;
    if (slice_starts(reference, SLICE("/")))
        path = SLICE("");
    else if (reference.len == 0)
        path = base->target;
    else if (!slice_starts(reference, SLICE("?")))
        path = folder_of(path);
    return ARENA_CONCAT(a, scheme, SLICE("//"), base->authority, path);
}

enum err url_resolve(struct arena *a, const struct url *base, struct slice reference,
                     struct url *out)
{
    reference = slice_head(reference, slice_find(reference, '#'));
    if (reference.len > URL_MAX_BYTES)
        return ERR_BAD_TARGET;
    struct slice before = base_part(a, base, reference);
    struct slice whole = before.at ? ARENA_CONCAT(a, before, reference) : SLICE_NONE;
    return whole.at ? url_parse(a, whole, out) : ERR_OVER_BUDGET;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && a->port == b->port && slice_eq(a->host, b->host);
}

struct slice url_write(struct arena *a, const struct url *u)
{
    return ARENA_CONCAT(a, u->tls ? SLICE("https://") : SLICE("http://"), u->authority, u->target);
}
