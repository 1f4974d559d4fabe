/* cert_names.c - for which hosts a certificate stands (RFC 9525).
 *
 * Only subject alternative names count, never the subject's common name. Names are kept in lower
 * case, addresses in the form that inet_ntop() writes, so that a comparison is one of bytes. Names
 * with bytes that no host name has (a NUL above all) are dropped: they must cover nothing. */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "tls/cert_priv.h"
#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 255 };

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '*';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Writes the name to `to`, NUL at its end; returns its length, 0 when it is none. */
static size_t write_dns(char *to, const ASN1_STRING *s)
{
    const char *at = (const char *)ASN1_STRING_get0_data(s);
    int len = ASN1_STRING_length(s);
    if (len <= 0 || len > NAME_BYTES_MAX)
        return 0;
    for (int i = 0; i < len; i++) {
        if (!is_name_byte(at[i]))
            return 0;
        to[i] = lower(at[i]);
    }
    to[len] = '\0';
    return (size_t)len;
}

static size_t write_ip(char *to, const ASN1_STRING *s)
{
    int len = ASN1_STRING_length(s), family = len == 4 ? AF_INET : AF_INET6;
    if (len != 4 && len != 16)
        return 0;
    return inet_ntop(family, ASN1_STRING_get0_data(s), to, NAME_BYTES_MAX) ? strlen(to) : 0;
}

static size_t write_name(char *to, const GENERAL_NAME *name)
{
    if (name->type == GEN_DNS)
        return write_dns(to, name->d.dNSName);
    return name->type == GEN_IPADD ? write_ip(to, name->d.iPAddress) : 0;
}

void cert_names_read(struct tls_cert *c)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(all);
    char name[NAME_BYTES_MAX + 1];
    c->names = mem_new(sizeof *c->names * (size_t)(count > 0 ? count : 1));
    for (int i = 0; i < count; i++) {
        size_t len = write_name(name, sk_GENERAL_NAME_value(all, i));
        if (len > 0)
            c->names[c->name_count++] = (struct slice){mem_dup(name, len), len};
    }
    GENERAL_NAMES_free(all);
}

void cert_names_release(struct tls_cert *c)
{
    for (uint32_t i = 0; i < c->name_count; i++)
        free((char *)(uintptr_t)c->names[i].at);
    free(c->names);
}

/* ---- does it stand for a host ---- */

/* "*.example.com" stands for one label before ".example.com"; other stars stand for nothing. */
static bool matches_wildcard(struct slice pattern, struct slice host)
{
    size_t dot = slice_find(host, '.');
    if (!slice_starts(pattern, SLICE("*.")) || dot == 0 || dot == host.len)
        return false;
    return slice_eq_nocase(slice_from(pattern, 1), slice_from(host, dot));
}

/* An address in canonical form; false when the host is none. */
static bool canonical_ip(struct slice host, char to[INET6_ADDRSTRLEN])
{
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN];
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        host = (struct slice){host.at + 1, host.len - 2};
    if (host.len == 0 || host.len >= sizeof text)
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    return inet_pton(family, text, bytes) == 1 &&
           inet_ntop(family, bytes, to, INET6_ADDRSTRLEN) != NULL;
}

bool tls_cert_covers(const struct tls_cert *c, struct slice host)
{
    char ip[INET6_ADDRSTRLEN];
    bool is_ip = canonical_ip(host, ip);
    if (is_ip)
        host = slice_of(ip);
    else if (host.len > 1 && host.at[host.len - 1] == '.')
        host.len--;
    for (uint32_t i = 0; i < c->name_count; i++) {
        if (slice_eq_nocase(c->names[i], host))
            return true;
        if (!is_ip && matches_wildcard(c->names[i], host))
            return true;
    }
    return false;
}
