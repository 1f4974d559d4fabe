/* hpack_static.c - the static table of HPACK (RFC 7541 appendix A).
 *
 * The encoder finds a name by its field id where it has one, else by its hash in a small index
 * without collisions, which is made once per process, as are the ids of the rows. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "h2/hpack_priv.h"
#include <pthread.h>

enum { INDEX_BITS = 9 };

#define ROW(name, value)                     \
    {                                        \
        SLICE_INIT(name), SLICE_INIT(value), \
    }
static struct hpack_static rows[HPACK_STATIC_COUNT + 1] = {
    /* clang-format off */
    [1] = ROW(":authority", ""),
    ROW(":method", "GET"),
    ROW(":method", "POST"),
    ROW(":path", "/"),
    ROW(":path", "/index.html"),
    ROW(":scheme", "http"),
    ROW(":scheme", "https"),
    ROW(":status", "200"),
    ROW(":status", "204"),
    ROW(":status", "206"),
    ROW(":status", "304"),
    ROW(":status", "400"),
    ROW(":status", "404"),
    ROW(":status", "500"),
    ROW("accept-charset", ""),
    ROW("accept-encoding", "gzip, deflate"),
    ROW("accept-language", ""),
    ROW("accept-ranges", ""),
    ROW("accept", ""),
    ROW("access-control-allow-origin", ""),
    ROW("age", ""),
    ROW("allow", ""),
    ROW("authorization", ""),
    ROW("cache-control", ""),
    ROW("content-disposition", ""),
    ROW("content-encoding", ""),
    ROW("content-language", ""),
    ROW("content-length", ""),
    ROW("content-location", ""),
    ROW("content-range", ""),
    ROW("content-type", ""),
    ROW("cookie", ""),
    ROW("date", ""),
    ROW("etag", ""),
    ROW("expect", ""),
    ROW("expires", ""),
    ROW("from", ""),
    ROW("host", ""),
    ROW("if-match", ""),
    ROW("if-modified-since", ""),
    ROW("if-none-match", ""),
    ROW("if-range", ""),
    ROW("if-unmodified-since", ""),
    ROW("last-modified", ""),
    ROW("link", ""),
    ROW("location", ""),
    ROW("max-forwards", ""),
    ROW("proxy-authenticate", ""),
    ROW("proxy-authorization", ""),
    ROW("range", ""),
    ROW("referer", ""),
    ROW("refresh", ""),
    ROW("retry-after", ""),
    ROW("server", ""),
    ROW("set-cookie", ""),
    ROW("strict-transport-security", ""),
    ROW("transfer-encoding", ""),
    ROW("user-agent", ""),
    ROW("vary", ""),
    ROW("via", ""),
    ROW("www-authenticate", ""),
    /* clang-format on */
};

static uint8_t of_id[FIELD_COUNT];
static uint8_t name_index[1 << INDEX_BITS]; /* 0: free */
static uint32_t index_factor = 0x9e3779b1u; /* odd; another one when names collide */

static inline uint8_t *slot_of(uint32_t hash)
{
    return &name_index[hash * index_factor >> (32 - INDEX_BITS)];
}

static bool same_name(uint32_t a, uint32_t b)
{
    return slice_eq(rows[a].name, rows[b].name);
}

static bool index_fill(void)
{
    memset(name_index, 0, sizeof name_index);
    for (uint32_t i = 1; i <= HPACK_STATIC_COUNT; i++) {
        uint8_t *slot = slot_of(hpack_hash(rows[i].name));
        if (*slot == 0)
            *slot = (uint8_t)i;
        else if (!same_name(*slot, i))
            return false;
    }
    return true;
}

static void build(void)
{
    for (uint32_t i = HPACK_STATIC_COUNT; i > 0; i--) {
        bool same = i < HPACK_STATIC_COUNT && same_name(i, i + 1);
        rows[i].same_count = same ? (uint8_t)(rows[i + 1].same_count + 1) : 1;
        rows[i].id = (uint16_t)field_find(rows[i].name);
        of_id[rows[i].id] = (uint8_t)i;
    }
    of_id[FIELD_OTHER] = 0;
    for (int tries = 0; !index_fill(); tries++) {
        ASSERT(tries < 100000);
        index_factor = index_factor * 0x85ebca6bu + 2;
    }
}

void hpack_static_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, build);
}

const struct hpack_static *hpack_static_get(uint32_t index)
{
    ASSERT(index - 1 < HPACK_STATIC_COUNT);
    return &rows[index];
}

uint32_t hpack_static_of_id(enum field_id id)
{
    return of_id[id];
}

uint32_t hpack_static_find(struct slice lower_name, uint32_t hash)
{
    uint32_t index = *slot_of(hash);
    return slice_eq(rows[index].name, lower_name) ? index : 0;
}

static inline uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static inline uint64_t word_at(const char *at, size_t len)
{
    uint64_t w = 0;
    memcpy(&w, at, len);
    return w;
}

/* Loads that overlap; of what has more than 32 bytes, the ends and the middle. */
uint32_t hpack_hash(struct slice s)
{
    const char *at = s.at, *end = s.at + s.len;
    uint64_t h = s.len;
    if (s.len > 16) {
        h = mix(h, word_at(at, 8) + word_at(at + 8, 8) * 31);
        h = mix(h, word_at(at + s.len / 2 - 4, 8));
        return (uint32_t)mix(h, word_at(end - 8, 8) + word_at(end - 16, 8) * 31);
    }
    if (s.len >= 8)
        return (uint32_t)mix(h, word_at(at, 8) + word_at(end - 8, 8) * 31);
    if (s.len >= 4)
        return (uint32_t)mix(h, word_at(at, 4) | word_at(end - 4, 4) << 32);
    if (s.len > 0)
        h = mix(h, (unsigned char)at[0] | (uint64_t)(unsigned char)at[s.len / 2] << 8 |
                       (uint64_t)(unsigned char)end[-1] << 16);
    return (uint32_t)h;
}
