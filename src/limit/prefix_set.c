/* prefix_set.c - see prefix_set.h. Prefixes either lie apart or one within the other, so all of
 * them together are ranges that lie apart; neighbours are joined. Looking up is a binary search, 17
 * steps for 100,000: a tree by bits takes as many, each to a node somewhere else, and four times
 * the memory. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/prefix_set.h"
#include "base/mem.h"
#include "limit/addr_key.h"
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 number; /* an address, IPv4 as ::ffff:a.b.c.d */

struct prefix_range {
    number first, last;
};

enum { ALL_BITS = 128, GATHER_FIRST = 16 };

static const number MAPPED_FIRST = (number)0xffff << 32, MAPPED_LAST = ((number)0x10000 << 32) - 1;

static number number_of(const uint8_t bytes[16])
{
    number n = 0;
    for (int i = 0; i < 16; i++)
        n = n << 8 | bytes[i];
    return n;
}

static bool range_add(struct prefix_gather *g, number first, number last)
{
    if (g->count == PREFIXES_MAX)
        return false;
    if (g->count == g->cap) {
        g->cap = g->cap ? g->cap * 2 : GATHER_FIRST;
        g->ranges = mem_grow(g->ranges, g->cap * sizeof *g->ranges);
    }
    g->ranges[g->count++] = (struct prefix_range){first, last};
    return true;
}

bool prefix_gather_add(struct prefix_gather *g, const struct addr_prefix *p)
{
    number rest = p->bits == 0 ? ~(number)0 : ((number)1 << (ALL_BITS - p->bits)) - 1;
    number first = number_of(p->bytes) & ~rest, last = first | rest;
    if (first >= MAPPED_FIRST || last < MAPPED_FIRST)
        return range_add(g, first, last);
    /* `::/0` and its like: who writes it means IPv6 */
    return range_add(g, first, MAPPED_FIRST - 1) &&
           (last == MAPPED_LAST || range_add(g, MAPPED_LAST + 1, last));
}

static bool line_read(struct prefix_gather *g, struct slice line)
{
    struct addr_prefix p;
    line = slice_trim(slice_head(line, slice_find(line, '#')));
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line = slice_trim(slice_head(line, line.len - 1));
    return line.len == 0 || (addr_prefix_parse(line, &p) == ERR_OK && prefix_gather_add(g, &p));
}

bool prefix_gather_read(struct prefix_gather *g, struct slice text, uint32_t *line)
{
    struct slice one;
    for (*line = 1; text.len > 0 && slice_cut(&text, '\n', &one); ++*line)
        if (!line_read(g, one))
            return false;
    return true;
}

static int by_first(const void *a, const void *b)
{
    const struct prefix_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* In place; the number of those that are left. */
static uint32_t ranges_join(struct prefix_range *r, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct prefix_range *last = kept > 0 ? &r[kept - 1] : NULL;
        bool touches = last && (r[i].first <= last->last || r[i].first == last->last + 1);
        if (!touches)
            r[kept++] = r[i];
        else if (r[i].last > last->last)
            last->last = r[i].last;
    }
    return kept;
}

struct prefix_set prefix_gather_finish(struct prefix_gather *g, struct arena *a)
{
    struct prefix_set s = {0};
    if (g->count > 0) {
        qsort(g->ranges, g->count, sizeof *g->ranges, by_first);
        s.count = ranges_join(g->ranges, g->count);
        size_t bytes = s.count * sizeof *g->ranges;
        char *to = mem_must(arena_alloc(a, bytes + sizeof(number)), bytes);
        to += -(uintptr_t)to % sizeof(number); /* arenas align to 8 */
        s.ranges = memcpy(to, g->ranges, bytes);
    }
    free(g->ranges);
    *g = (struct prefix_gather){0};
    return s;
}

bool prefix_set_has(const struct prefix_set *s, const struct addr *a)
{
    if (s->count == 0 || a->len == 0 || a->sa.sa_family == AF_UNIX)
        return false;
    struct addr_prefix whole = addr_prefix_of(a, (struct addr_bits){32, ALL_BITS});
    number n = number_of(whole.bytes);
    uint32_t low = 0, high = s->count; /* the first range that ends at n or later */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->ranges[mid].last < n)
            low = mid + 1;
        else
            high = mid;
    }
    return low < s->count && s->ranges[low].first <= n;
}
