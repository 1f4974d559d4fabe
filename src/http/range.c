/* range.c - byte ranges: parsed, cut to what there is, the unsatisfiable ones left out.
 *
 * A Range field is a wish. Whatever is wrong with it, the answer is the whole representation, which
 * is always right; 416 is only for a field that is well-formed and asks for nothing that exists. */
// SPDX-License-Identifier: Apache-2.0
#include "http/range.h"
#include "base/num.h"
#include "http/field.h"

/* Digits; what no representation is as long as counts as the largest number. */
static bool place_read(struct slice s, uint64_t *out)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    if (num_parse_u64(s, out) != ERR_OK)
        *out = UINT64_MAX;
    return true;
}

/* One member: "0-499", "500-", "-500". False: malformed. *some is false when it asks for nothing
 * that is there. */
static bool range_read(struct slice member, uint64_t length, struct range *r, bool *some)
{
    size_t dash = slice_find(member, '-');
    struct slice from = slice_head(member, dash), to = slice_from(member, dash + 1);
    uint64_t first = 0, last = UINT64_MAX;
    if (dash == member.len || (from.len == 0 && to.len == 0))
        return false;
    if ((from.len > 0 && !place_read(from, &first)) || (to.len > 0 && !place_read(to, &last)))
        return false;
    if (from.len == 0) {
        *some = last > 0 && length > 0;
        *r = (struct range){last < length ? length - last : 0, length - 1};
        return true;
    }
    if (last < first)
        return false;
    *some = first < length;
    *r = (struct range){first, last < length ? last : length - 1};
    return true;
}

static uint64_t ranges_bytes(const struct ranges *rs)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < rs->count; i++) {
        uint64_t len = rs->at[i].last - rs->at[i].first + 1;
        if (sum + len < sum)
            return UINT64_MAX;
        sum += len;
    }
    return sum;
}

enum range_kind ranges_parse(struct slice value, uint64_t length, struct ranges *out)
{
    struct slice unit = SLICE("bytes="), member;
    unsigned asked = 0;
    out->count = 0;
    if (length == 0 || value.len < unit.len || !slice_eq_nocase(slice_head(value, unit.len), unit))
        return RANGE_WHOLE;
    value = slice_from(value, unit.len);
    while (field_list_next(&value, &member)) {
        struct range r;
        bool some;
        if (++asked > RANGES_MAX || !range_read(member, length, &r, &some))
            return RANGE_WHOLE;
        if (some)
            out->at[out->count++] = r;
    }
    if (asked == 0)
        return RANGE_WHOLE;
    if (out->count == 0)
        return RANGE_UNSATISFIABLE;
    return out->count > 1 && ranges_bytes(out) > length ? RANGE_WHOLE : RANGE_PARTS;
}

bool content_range_parse(struct slice value, struct content_range *out)
{
    struct slice unit = SLICE("bytes ");
    if (value.len < unit.len || !slice_eq_nocase(slice_head(value, unit.len), unit))
        return false;
    value = slice_from(value, unit.len);
    size_t slash = slice_find(value, '/'), dash = slice_find(value, '-');
    if (slash == value.len || dash >= slash)
        return false;
    struct slice total = slice_from(value, slash + 1);
    struct content_range r = {.total = UINT64_MAX};
    if (num_parse_u64(slice_head(value, dash), &r.first) != ERR_OK ||
        num_parse_u64(slice_head(slice_from(value, dash + 1), slash - dash - 1), &r.last) !=
            ERR_OK ||
        (!slice_eq(total, SLICE("*")) && num_parse_u64(total, &r.total) != ERR_OK))
        return false;
    if (r.last < r.first || r.last >= r.total)
        return false;
    *out = r;
    return true;
}
