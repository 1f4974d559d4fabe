/* geo.h - where an address is and whose: databases in MaxMind's format (GeoLite2, DB-IP, IPinfo).
 *
 * A database is counted and found again by its bytes, so that a reload which did not change it
 * keeps it. Taken and dropped by the main thread alone; read-only in between, so any thread may
 * ask. Built without libmaxminddb no database opens. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/addr.h"

struct geo;

struct geo_facts {
    struct slice country; /* two capital letters; .at NULL: not known, as all below */
    struct slice city;    /* in English */
    struct slice as_org;
    uint32_t asn; /* 0: not known */
};

/* A database from the bytes of its file, which are copied. NULL with the reason in *why. */
struct geo *geo_take(struct slice bytes, const char **why);
void geo_drop(struct geo *g);
/* Adds what it knows of the address; facts that are known already stay. IPv4-mapped IPv6 is IPv4.
 * The texts are the database's. */
void geo_look_up(const struct geo *g, const struct addr *a, struct geo_facts *f);
