/* special.h - addresses that do not belong to a host on the public Internet: what a request on
 * behalf of a stranger may not reach. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/addr.h"
#include <stdbool.h>

/* What the address is set aside for ("loopback", "private use"); NULL: it is an ordinary public
 * one. IPv4 inside IPv6 (mapped, NAT64) is judged as that IPv4 address; 6to4 and Teredo are set
 * aside whole. Unix sockets and unknown families are never public. */
const char *special_find(const struct addr *a);

/* The IPv4 address that NAT64 (64:ff9b::/96) makes of this one. False: it is no such address. */
bool special_nat64(const struct addr *a, struct addr *v4);

/* Would a connection to it end on this machine? Asks the kernel's routing table, sends nothing;
 * true as well where that takes what is used up (descriptors, memory). An address that a router in
 * front of this machine maps to it is not known here. */
bool special_is_own(const struct addr *a);
