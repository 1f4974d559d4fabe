/* addr.c - socket addresses and their text. Nothing is resolved here.
 *
 * IPv4-mapped IPv6 addresses (what a dual-stack listener sees of an IPv4 client) are written as
 * IPv4 and match IPv4 prefixes, so that logs and rules need to know one form only. */
// SPDX-License-Identifier: Apache-2.0
#include "net/addr.h"
#include "base/assert.h"
#include "base/num.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, IP_TEXT_BYTES = INET6_ADDRSTRLEN };

static bool parse_v4(const char *text, struct addr *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &in.sin_addr) != 1)
        return false;
    *out = (struct addr){.len = sizeof(in), .in = in};
    return true;
}

static bool parse_v6(const char *text, struct addr *out)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
        return false;
    *out = (struct addr){.len = sizeof(in6), .in6 = in6};
    return true;
}

enum err addr_parse_ip(struct slice text, struct addr *out)
{
    char copy[IP_TEXT_BYTES];
    if (text.len == 0 || text.len >= sizeof(copy) || slice_find(text, '\0') != text.len)
        return ERR_BAD_ADDRESS;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return parse_v4(copy, out) || parse_v6(copy, out) ? ERR_OK : ERR_BAD_ADDRESS;
}

static bool is_ip(struct slice text)
{
    struct addr unused;
    return addr_parse_ip(text, &unused) == ERR_OK;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Letters, digits, "-" and "_" (container names have it) in labels of at most 63 bytes (RFC 1035
 * 2.3.4); one dot at the end may stand. Not all digits: "10.0.0" is a mistyped address. */
static bool is_host_name(struct slice host)
{
    struct slice rest = host, label;
    bool letters = false;
    if (slice_ends(rest, SLICE(".")))
        rest.len--;
    if (rest.len == 0 || rest.len > NAME_MAX_BYTES)
        return false;
    while (slice_cut(&rest, '.', &label)) {
        if (label.len == 0 || label.len > LABEL_MAX_BYTES)
            return false;
        for (size_t i = 0; i < label.len; i++) {
            if (!is_name_char(label.at[i]))
                return false;
            letters |= label.at[i] < '0' || label.at[i] > '9';
        }
    }
    return letters;
}

static enum err parse_port(struct slice text, uint16_t *port)
{
    uint64_t n;
    if (num_parse_u64(text, &n) != ERR_OK || n == 0 || n > 65535)
        return ERR_BAD_ADDRESS;
    *port = (uint16_t)n;
    return ERR_OK;
}

static enum err parse_unix(struct slice path, struct addr_spec *out)
{
    struct addr a;
    if (path.len == 0 || path.len >= sizeof(a.un.sun_path) || slice_find(path, '\0') != path.len)
        return ERR_BAD_ADDRESS;
    *out = (struct addr_spec){.host = path, .is_unix = true};
    return ERR_OK;
}

/* "[::1]" or "[::1]:80" */
static enum err parse_bracketed(struct slice text, struct addr_spec *out)
{
    struct addr a;
    struct addr_spec spec = {.is_literal = true};
    size_t close = slice_find(text, ']');
    if (close == text.len)
        return ERR_BAD_ADDRESS;
    spec.host = slice_from(slice_head(text, close), 1);
    struct slice rest = slice_from(text, close + 1);
    TRY(addr_parse_ip(spec.host, &a));
    if (a.sa.sa_family != AF_INET6 || (rest.len && rest.at[0] != ':'))
        return ERR_BAD_ADDRESS;
    if (rest.len)
        TRY(parse_port(slice_from(rest, 1), &spec.port));
    *out = spec;
    return ERR_OK;
}

static enum err parse_host_port(struct slice text, struct addr_spec *out)
{
    struct addr_spec spec = {0};
    size_t colon = slice_find(text, ':');
    spec.host = slice_head(text, colon);
    if (colon < text.len)
        TRY(parse_port(slice_from(text, colon + 1), &spec.port));
    spec.is_literal = is_ip(spec.host);
    bool any = spec.host.len == 0 && spec.port;
    if (!any && !spec.is_literal && !is_host_name(spec.host))
        return ERR_BAD_ADDRESS;
    *out = spec;
    return ERR_OK;
}

enum err addr_spec_parse(struct slice text, struct addr_spec *out)
{
    if (slice_starts(text, SLICE("unix:")))
        return parse_unix(slice_from(text, 5), out);
    if (slice_starts(text, SLICE("[")))
        return parse_bracketed(text, out);
    if (is_ip(text)) { /* also "::1" without brackets: all of it is the address */
        *out = (struct addr_spec){.host = text, .is_literal = true};
        return ERR_OK;
    }
    return parse_host_port(text, out);
}

static void set_unix_path(struct addr *a, struct slice path)
{
    *a = (struct addr){.un = {.sun_family = AF_UNIX}};
    memcpy(a->un.sun_path, path.at, path.len);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
}

enum err addr_from_spec(const struct addr_spec *spec, struct addr *out)
{
    struct addr a;
    if (spec->is_unix) {
        if (spec->host.len >= sizeof(a.un.sun_path))
            return ERR_BAD_ADDRESS;
        set_unix_path(out, spec->host);
        return ERR_OK;
    }
    TRY(addr_parse_ip(spec->host.len ? spec->host : SLICE("::"), &a));
    addr_set_port(&a, spec->port);
    *out = a;
    return ERR_OK;
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET)
        a->in.sin_port = htons(port);
    else if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(port);
}

uint16_t addr_port(const struct addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

/* The path; empty for an unnamed socket (what a client of a unix listener has). */
static struct slice unix_path(const struct addr *a)
{
    size_t cap = a->len > offsetof(struct sockaddr_un, sun_path)
                     ? a->len - offsetof(struct sockaddr_un, sun_path)
                     : 0;
    return (struct slice){a->un.sun_path, strnlen(a->un.sun_path, cap)};
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->len == 0 || b->len == 0)
        return a->len == b->len;
    if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b))
        return false;
    switch (a->sa.sa_family) {
    case AF_INET: return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0 &&
               a->in6.sin6_scope_id == b->in6.sin6_scope_id;
    case AF_UNIX: return slice_eq(unix_path(a), unix_path(b));
    default: return false;
    }
}

/* IPv4 as ::ffff:a.b.c.d. False: not an IP address. */
static bool ip_bytes(const struct addr *a, uint8_t to[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (a->len == 0)
        return false;
    if (a->sa.sa_family == AF_INET6) {
        memcpy(to, &a->in6.sin6_addr, 16);
        return true;
    }
    if (a->sa.sa_family != AF_INET)
        return false;
    memcpy(to, mapped, sizeof(mapped));
    memcpy(to + sizeof(mapped), &a->in.sin_addr, 4);
    return true;
}

static bool is_v4(const uint8_t bytes[16])
{
    return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)bytes);
}

bool addr_is_loopback(const struct addr *a)
{
    uint8_t b[16];
    if (a->len && a->sa.sa_family == AF_UNIX)
        return true;
    if (!ip_bytes(a, b))
        return false;
    return is_v4(b) ? b[12] == 127 : memcmp(b, &in6addr_loopback, 16) == 0;
}

void addr_unmap(struct addr *a)
{
    uint8_t b[16];
    if (!ip_bytes(a, b) || a->sa.sa_family != AF_INET6 || !is_v4(b))
        return;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port};
    memcpy(&in.sin_addr, b + 12, 4);
    *a = (struct addr){.len = sizeof(in), .in = in};
}

static char *put_byte(char *to, unsigned n)
{
    if (n >= 100)
        *to++ = (char)('0' + n / 100);
    if (n >= 10)
        *to++ = (char)('0' + n / 10 % 10);
    *to++ = (char)('0' + n % 10);
    return to;
}

/* By hand: glibc's inet_ntop() goes through printf() and takes 1,700 instructions. */
static size_t write_v4(char *to, const uint8_t bytes[4])
{
    char *at = put_byte(to, bytes[0]);
    for (int i = 1; i < 4; i++) {
        *at++ = '.';
        at = put_byte(at, bytes[i]);
    }
    *at = '\0';
    return (size_t)(at - to);
}

void addr_pack(struct addr_packed *to, const struct addr *a)
{
    *to = (struct addr_packed){.family = a->len ? (uint8_t)a->sa.sa_family : AF_UNSPEC};
    if (to->family == AF_INET) {
        memcpy(to->ip, &a->in.sin_addr, sizeof(a->in.sin_addr));
        to->port = a->in.sin_port;
    } else if (to->family == AF_INET6) {
        memcpy(to->ip, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
        to->port = a->in6.sin6_port;
    }
}

/* Only what a reader of such an address looks at is written: a whole one is 110 bytes. */
void addr_unpack(struct addr *to, const struct addr_packed *a)
{
    switch (a->family) {
    case AF_INET:
        to->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = a->port};
        memcpy(&to->in.sin_addr, a->ip, sizeof(to->in.sin_addr));
        to->len = sizeof(to->in);
        break;
    case AF_INET6:
        to->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = a->port};
        memcpy(&to->in6.sin6_addr, a->ip, sizeof(to->in6.sin6_addr));
        to->len = sizeof(to->in6);
        break;
    default:
        to->sa.sa_family = a->family;
        to->len = a->family == AF_UNIX ? offsetof(struct sockaddr_un, sun_path) : 0;
        break;
    }
}

size_t addr_write_ip(char to[ADDR_TEXT_BYTES], const struct addr *a)
{
    uint8_t b[16];
    const char *text = NULL;
    if (ip_bytes(a, b)) {
        if (is_v4(b))
            return write_v4(to, b + 12);
        text = inet_ntop(AF_INET6, b, to, ADDR_TEXT_BYTES);
    } else if (a->len && a->sa.sa_family == AF_UNIX) {
        text = strcpy(to, "unix");
    }
    if (!text)
        strcpy(to, "-");
    return strlen(to);
}

size_t addr_write(char to[ADDR_TEXT_BYTES], const struct addr *a)
{
    char ip[ADDR_TEXT_BYTES];
    if (a->len && a->sa.sa_family == AF_UNIX) {
        struct slice path = unix_path(a);
        return (size_t)snprintf(to, ADDR_TEXT_BYTES, "unix:%.*s", SLICE_ARG(path));
    }
    addr_write_ip(ip, a);
    if (a->len == 0)
        return (size_t)snprintf(to, ADDR_TEXT_BYTES, "-");
    bool is_v6 = strchr(ip, ':') != NULL;
    return (size_t)snprintf(to, ADDR_TEXT_BYTES, "%s%.64s%s:%u", is_v6 ? "[" : "", ip,
                            is_v6 ? "]" : "", addr_port(a));
}

enum err addr_prefix_parse(struct slice text, struct addr_prefix *out)
{
    struct addr a;
    struct addr_prefix p = {.bits = 128};
    size_t slash = slice_find(text, '/');
    TRY(addr_parse_ip(slice_head(text, slash), &a));
    ip_bytes(&a, p.bytes);
    if (slash < text.len) {
        uint64_t bits, max = a.sa.sa_family == AF_INET ? 32 : 128;
        if (num_parse_u64(slice_from(text, slash + 1), &bits) != ERR_OK || bits > max)
            return ERR_BAD_ADDRESS;
        p.bits = (uint8_t)(128 - max + bits);
    }
    *out = p;
    return ERR_OK;
}

bool addr_prefix_match(const struct addr_prefix *p, const struct addr *a)
{
    uint8_t b[16];
    if (!ip_bytes(a, b))
        return false;
    size_t whole = p->bits / 8, rest = p->bits % 8;
    if (memcmp(b, p->bytes, whole))
        return false;
    return rest == 0 || (b[whole] ^ p->bytes[whole]) >> (8 - rest) == 0;
}
