/* addr_key.c - see addr_key.h. IPv4 stands as ::ffff:a.b.c.d, as in all prefixes, so that an
 * address counts the same whichever family the listener was opened with. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/addr_key.h"
#include "base/hash.h"
#include "base/num.h"
#include <string.h>

enum { MAPPED_BITS = 96, ALL_BITS = 128 };

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, head, sizeof head) == 0;
}

/* False: neither IPv4 nor IPv6. */
static bool bytes_of(const struct addr *a, uint8_t to[16])
{
    if (a->len == 0)
        return false;
    if (a->sa.sa_family == AF_INET6) {
        memcpy(to, &a->in6.sin6_addr, 16);
        return true;
    }
    if (a->sa.sa_family != AF_INET)
        return false;
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, &a->in.sin_addr, 4);
    return true;
}

static void cut(uint8_t bytes[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
        if (keep < 8)
            bytes[i] &= (uint8_t)(0xff00 >> keep);
    }
}

/* "/24": cut off the front of *rest. */
static bool bits_cut(struct slice *rest, uint64_t least, uint64_t most, uint8_t *bits)
{
    uint64_t number;
    if (rest->len == 0)
        return true;
    if (rest->at[0] != '/')
        return false;
    *rest = slice_from(*rest, 1);
    size_t len = slice_find(*rest, '/');
    if (num_parse_u64(slice_head(*rest, len), &number) != ERR_OK || number < least || number > most)
        return false;
    *rest = slice_from(*rest, len);
    *bits = (uint8_t)number;
    return true;
}

bool addr_bits_parse(struct slice text, struct addr_bits *bits)
{
    return bits_cut(&text, ADDR_BITS_V4_MIN, 32, &bits->v4) &&
           bits_cut(&text, ADDR_BITS_V6_MIN, ALL_BITS, &bits->v6) && text.len == 0;
}

struct addr_prefix addr_prefix_of(const struct addr *a, struct addr_bits bits)
{
    struct addr_prefix p = {.bits = ALL_BITS};
    if (!bytes_of(a, p.bytes))
        return p;
    p.bits = (uint8_t)(is_mapped(p.bytes) ? MAPPED_BITS + bits.v4 : bits.v6);
    cut(p.bytes, p.bits);
    return p;
}

uint64_t addr_prefix_key(const struct addr_prefix *p)
{
    return hash_secret((struct slice){(const char *)p->bytes, sizeof p->bytes});
}

size_t addr_prefix_write(char to[ADDR_TEXT_BYTES], const struct addr_prefix *p)
{
    struct addr a = {.len = sizeof a.in6, .in6.sin6_family = AF_INET6};
    unsigned bits = p->bits, most = ALL_BITS;
    memcpy(&a.in6.sin6_addr, p->bytes, 16);
    if (is_mapped(p->bytes) && bits >= MAPPED_BITS) {
        addr_unmap(&a);
        bits -= MAPPED_BITS;
        most -= MAPPED_BITS;
    }
    size_t len = addr_write_ip(to, &a);
    if (bits == most)
        return len;
    to[len++] = '/';
    return len + num_write_u64(to + len, bits);
}
