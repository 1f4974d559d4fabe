/* field.c - the table of known field names and its lookup; tokens, values, lists, parameters.
 *
 * Names are found through a perfect hash of their length and four of their letters into an index
 * that is built from field.def once per process; the comparison that follows takes eight bytes at a
 * time. A lookup costs about 45 instructions, whether the name is known or not. */
// SPDX-License-Identifier: Apache-2.0
#include "http/field.h"
#include "base/assert.h"
#include "base/scan.h"
#include "http/nocase.h"
#include <pthread.h>

enum {
    HOP = FIELD_HOP,
    SINGLE = FIELD_SINGLE,
    FRAMING = FIELD_FRAMING,
    NOTRAILER = FIELD_NOTRAILER
};

static const struct field_row rows[FIELD_COUNT] = {
    [FIELD_OTHER] = {SLICE_INIT(""), SLICE_INIT(""), 0},
#define FIELD(id, lower, usual, traits) \
    [FIELD_##id] = {SLICE_INIT(lower), SLICE_INIT(usual), traits},
#include "http/field.def"
#undef FIELD
};

_Static_assert(FIELD_COUNT <= 64, "struct headers keeps one bit per known field");

enum { INDEX_SLOTS = 256, NAME_MAX_BYTES = 32 };

/* Each slot has one name at most: index_build() looks for factors that make it so. */
static uint8_t name_index[INDEX_SLOTS]; /* enum field_id, FIELD_OTHER: free */
static uint32_t name_factor;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static bool index_ready; /* atomic: spares the hot path the call of pthread_once() */

const struct field_row *field_row(enum field_id id)
{
    ASSERT(id < FIELD_COUNT);
    return &rows[id];
}

bool field_is_hop(enum field_id id)
{
    return field_row(id)->traits & HOP;
}

/* Bit 0x20 set makes letters lower case and maps only bytes that are no token characters onto
 * others, so it is good enough for hashing. */
static inline unsigned name_hash(const char *at, size_t len)
{
    uint32_t first = (unsigned char)at[0], second = (unsigned char)at[len / 2];
    uint32_t third = (unsigned char)at[len * 3 / 4], last = (unsigned char)at[len - 1];
    uint32_t letters = first | second << 8 | third << 16 | last << 24;
    return ((letters | 0x20202020) + (uint32_t)len * name_factor) * name_factor >> 24;
}

static bool index_fill(void)
{
    memset(name_index, FIELD_OTHER, sizeof name_index);
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct slice name = rows[id].lower;
        ASSERT(name.len > 0 && name.len <= NAME_MAX_BYTES);
        uint8_t *slot = &name_index[name_hash(name.at, name.len)];
        if (*slot != FIELD_OTHER)
            return false;
        *slot = (uint8_t)id;
    }
    return true;
}

static void index_build(void)
{
    int tries = 0;
    name_factor = 0x9e3779b1u; /* any odd number to begin with; some hundred tries are usual */
    while (!index_fill()) {
        name_factor = name_factor * 0x85ebca6bu + 2;
        ASSERT(++tries < 100000); /* two rows with the same length and letters? */
    }
    __atomic_store_n(&index_ready, true, __ATOMIC_RELEASE);
}

enum field_id field_find(struct slice name)
{
    if (name.len - 1 >= NAME_MAX_BYTES)
        return FIELD_OTHER;
    if (!__atomic_load_n(&index_ready, __ATOMIC_ACQUIRE))
        pthread_once(&index_once, index_build);
    unsigned id = name_index[name_hash(name.at, name.len)];
    const struct slice *lower = &rows[id].lower;
    return lower->len == name.len && nocase_eq(lower->at, name.at, name.len) ? (enum field_id)id
                                                                             : FIELD_OTHER;
}

#define T 1 /* tchar, RFC 9110 5.6.2 */
static const uint8_t tchars[256] = {
    ['!'] = T, ['#'] = T, ['$'] = T, ['%'] = T,         ['&'] = T,         ['\''] = T,
    ['*'] = T, ['+'] = T, ['-'] = T, ['.'] = T,         ['^'] = T,         ['_'] = T,
    ['`'] = T, ['|'] = T, ['~'] = T, ['0' ... '9'] = T, ['A' ... 'Z'] = T, ['a' ... 'z'] = T,
};
#undef T

bool field_is_tchar(unsigned char c)
{
    return tchars[c];
}

bool field_is_token(struct slice s)
{
    uint8_t all = 1;
    for (size_t i = 0; i < s.len; i++)
        all &= tchars[(unsigned char)s.at[i]];
    return all && s.len > 0;
}

bool field_value_valid(struct slice s)
{
    const char *end = s.at + s.len;
    return s.len == 0 || scan_find_bad(s.at, end) == end;
}

size_t field_find_unquoted(struct slice s, char sep)
{
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == sep && !quoted)
            return i;
    }
    return s.len;
}

static struct slice cut_unquoted(struct slice *rest, char sep)
{
    size_t len = field_find_unquoted(*rest, sep);
    struct slice part = slice_head(*rest, len);
    *rest = slice_from(*rest, len < rest->len ? len + 1 : len);
    return slice_trim(part);
}

bool field_list_next(struct slice *rest, struct slice *member)
{
    while (rest->len > 0) {
        struct slice part = cut_unquoted(rest, ',');
        if (part.len > 0) {
            *member = part;
            return true;
        }
    }
    return false;
}

bool field_list_has(struct slice value, struct slice token)
{
    struct slice member;
    while (field_list_next(&value, &member))
        if (slice_eq_nocase(member, token))
            return true;
    return false;
}

static struct slice unquote(struct slice s)
{
    if (s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"')
        return (struct slice){s.at + 1, s.len - 2};
    return s;
}

bool field_param_next(struct slice *rest, struct slice *name, struct slice *value)
{
    while (rest->len > 0) {
        struct slice part = cut_unquoted(rest, ';');
        if (part.len == 0)
            continue;
        size_t eq = slice_find(part, '=');
        *name = slice_trim(slice_head(part, eq));
        *value = eq < part.len ? unquote(slice_trim(slice_from(part, eq + 1))) : SLICE_NONE;
        return true;
    }
    return false;
}

int field_qvalue(struct slice s)
{
    if (s.len == 0 || (s.at[0] != '0' && s.at[0] != '1') || (s.len > 1 && s.at[1] != '.'))
        return 1000;
    int q = (s.at[0] - '0') * 1000, scale = 100;
    for (size_t i = 2; i < s.len && scale > 0; i++, scale /= 10) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return 1000;
        q += (s.at[i] - '0') * scale;
    }
    return q > 1000 ? 1000 : q;
}

/* How closely a media range names `type`: 0 not at all, 1 by a full wildcard, 2 by "type/ *", 3
 * exactly. */
static int range_match(struct slice range, struct slice type)
{
    if (slice_eq_nocase(range, type))
        return 3;
    if (slice_eq(range, SLICE("*/*")) || slice_eq(range, SLICE("*")))
        return 1;
    size_t slash = slice_find(type, '/');
    bool wild = slice_ends(range, SLICE("/*")) && range.len == slash + 2;
    return wild && slice_eq_nocase(slice_head(range, slash), slice_head(type, slash)) ? 2 : 0;
}

int field_accept_weight(struct slice value, struct slice type)
{
    if (value.at == NULL)
        return 1000;
    int best = 0, weight = 0;
    struct slice member;
    while (field_list_next(&value, &member)) {
        struct slice range = cut_unquoted(&member, ';'), name, v;
        int q = 1000, match = range_match(range, type);
        while (field_param_next(&member, &name, &v))
            if (slice_eq_nocase(name, SLICE("q")))
                q = field_qvalue(v);
        if (match > best) {
            best = match;
            weight = q;
        }
    }
    return weight;
}

struct slice field_cookie(struct slice value, struct slice name)
{
    struct slice pair;
    while (slice_cut(&value, ';', &pair)) {
        pair = slice_trim(pair);
        size_t eq = slice_find(pair, '=');
        if (eq < pair.len && slice_eq(slice_head(pair, eq), name))
            return slice_from(pair, eq + 1);
    }
    return SLICE_NONE;
}
