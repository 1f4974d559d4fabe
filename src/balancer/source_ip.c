/* source_ip.c - the same client to the same server, by its address or the network it is in.
 *
 * Maglev hashing (places.h) of the key that the user of the pick fills, which is the client's
 * address unless another is written. An IPv6 client changes its address within its /64 as it likes,
 * so only that counts; IPv4 counts whole unless `prefix4` says otherwise. What is no address is
 * hashed as it is. */
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "upstream/places.h"

struct source_conf {
    int64_t bound, prefix4, prefix6;
    struct places places;
};

static const struct directive source_options[] = {
    BOUND_OPTION(struct source_conf, bound),
    {.name = "prefix4",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct source_conf, prefix4),
     .min = 1,
     .max = 32,
     .def = "32",
     .usage = "BITS",
     .text = "So many bits of an IPv4 address count: 24 sends a whole /24 to one server."},
    {.name = "prefix6",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct source_conf, prefix6),
     .min = 1,
     .max = 128,
     .def = "64",
     .usage = "BITS",
     .text = "So many bits of an IPv6 address count."},
    {0}};

static void source_build(void *conf, const struct upstream *up, struct arena *a)
{
    places_build(&((struct source_conf *)conf)->places, up, a);
}

static void source_init(void *state, const struct upstream *up)
{
    bound_init(state, up);
}

/* Clears all but the first `keep` bits. */
static void bits_cut(uint8_t *bytes, size_t len, int64_t keep)
{
    for (size_t i = 0; i < len; i++) {
        int64_t left = keep - (int64_t)i * 8;
        if (left < 8)
            bytes[i] &= left <= 0 ? 0 : (uint8_t)(0xff00 >> left);
    }
}

static uint64_t source_key(const void *conf, struct slice text)
{
    const struct source_conf *c = conf;
    struct addr a;
    struct addr_packed packed = {0};
    if (addr_parse_ip(text, &a) != ERR_OK)
        return hash_fast(text, 0);
    addr_unmap(&a);
    addr_pack(&packed, &a);
    size_t len = a.sa.sa_family == AF_INET ? 4 : 16;
    bits_cut(packed.ip, len, len == 4 ? c->prefix4 : c->prefix6);
    return hash_fast((struct slice){(const char *)packed.ip, len}, 0);
}

static int source_pick(void *state, const struct pick *p)
{
    const struct source_conf *c = p->up->balancer_conf;
    return places_pick(&c->places, state, p, c->bound);
}

const struct balancer_type balancer_source_ip = {
    .name = "source_ip",
    .text = "Requests of one client address go to the same server, as with `hash $client_ip`, but "
            "by networks when told so: `prefix4=24`; of IPv6 addresses the first 64 bits count "
            "(`prefix6=64`). Another key may be given that holds an address.",
    .options = source_options,
    .conf_bytes = sizeof(struct source_conf),
    .needs_key = true,
    .key_default = "$client_ip",
    .key = source_key,
    .build = source_build,
    .state_bytes = bound_bytes,
    .init = source_init,
    .pick = source_pick,
};
