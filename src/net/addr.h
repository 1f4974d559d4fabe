/* addr.h - socket addresses: IPv4, IPv6 and unix, their text, and prefixes (CIDR). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addr {
    socklen_t len; /* 0: none */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* An address in 20 bytes, for what there are many of. A unix socket's path and a scope are lost. */
struct addr_packed {
    uint8_t ip[16]; /* IPv4: the first four */
    in_port_t port; /* network order */
    uint8_t family; /* AF_UNSPEC: none */
};
void addr_pack(struct addr_packed *to, const struct addr *a);
void addr_unpack(struct addr *to, const struct addr_packed *a);

/* An address as a user writes it: "10.0.0.1:80", "[::1]:80", ":80" (any), "unix:/path",
 * "name:80", "name". Nothing is resolved here. */
struct addr_spec {
    struct slice host;        /* without brackets; empty for ":80"; the path for unix */
    uint16_t port;            /* 0: not given */
    bool is_unix, is_literal; /* literal: host is an IP address */
};

enum err addr_spec_parse(struct slice text, struct addr_spec *out) MUST_CHECK; /* ERR_BAD_ADDRESS */
/* Makes an address of a literal or unix spec; "" becomes :: (any, both families). */
enum err addr_from_spec(const struct addr_spec *spec, struct addr *out) MUST_CHECK;
enum err addr_parse_ip(struct slice text, struct addr *out) MUST_CHECK; /* no port, no brackets */
void addr_set_port(struct addr *a, uint16_t port);
uint16_t addr_port(const struct addr *a);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a); /* unix sockets, too */
void addr_unmap(struct addr *a); /* an IPv4-mapped IPv6 address becomes IPv4; others stay */

enum { ADDR_TEXT_BYTES = 128 };
size_t addr_write(char to[ADDR_TEXT_BYTES], const struct addr *a);    /* with port; "-" for none */
size_t addr_write_ip(char to[ADDR_TEXT_BYTES], const struct addr *a); /* "unix" for unix sockets */

struct addr_prefix {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;
};

enum err addr_prefix_parse(struct slice text, struct addr_prefix *out) MUST_CHECK;
/* IPv4-mapped IPv6 addresses match IPv4 prefixes. Unix sockets match nothing. */
bool addr_prefix_match(const struct addr_prefix *p, const struct addr *a);
