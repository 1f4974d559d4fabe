/* addr_key.h - whom a limit counts together: addresses that begin alike. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/addr.h"

/* A network of IPv6 is one customer's, most often: 64 is what to count it by. */
struct addr_bits {
    uint8_t v4, v6;
};

enum { ADDR_BITS_V4 = 32, ADDR_BITS_V6 = 64, ADDR_BITS_V4_MIN = 8, ADDR_BITS_V6_MIN = 16 };

/* "", "/24", "/24/56": so many bits of IPv4, and of IPv6; what is not told stays. False: it is
 * another text, or they are not within the least and all. */
bool addr_bits_parse(struct slice text, struct addr_bits *bits);

/* The prefix that the address is in; IPv4-mapped IPv6 is IPv4, and all unix sockets are one. */
struct addr_prefix addr_prefix_of(const struct addr *a, struct addr_bits bits);
uint64_t addr_prefix_key(const struct addr_prefix *p);                           /* a keyed hash */
size_t addr_prefix_write(char to[ADDR_TEXT_BYTES], const struct addr_prefix *p); /* with its "/N",
                                                                       if it is not one address */
