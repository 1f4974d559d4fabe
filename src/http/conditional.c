/* conditional.c - preconditions in the order that RFC 9110 13.2.2 gives them.
 *
 * Dates that do not parse count as absent (13.1.3), entity tags are compared as bytes. A date as
 * validator is good enough for If-Range only when it is older than a second (8.8.2.2). */
// SPDX-License-Identifier: Apache-2.0
#include "http/conditional.h"
#include "http/http_date.h"

static enum err field_read(const struct headers *h, struct arena *a, enum field_id id,
                           struct slice *out)
{
    *out = SLICE_NONE;
    if (!headers_find(h, id))
        return ERR_OK;
    *out = headers_join(h, a, id);
    return out->at ? ERR_OK : ERR_OVER_BUDGET;
}

enum err conditions_read(const struct headers *h, struct arena *a, struct conditions *out)
{
    TRY(field_read(h, a, FIELD_IF_MATCH, &out->if_match));
    TRY(field_read(h, a, FIELD_IF_NONE_MATCH, &out->if_none_match));
    TRY(field_read(h, a, FIELD_IF_MODIFIED_SINCE, &out->if_modified_since));
    TRY(field_read(h, a, FIELD_IF_UNMODIFIED_SINCE, &out->if_unmodified_since));
    return field_read(h, a, FIELD_IF_RANGE, &out->if_range);
}

/* --- entity tags ------------------------------------------------------------------------------ */

static bool etag_is_weak(struct slice etag)
{
    return slice_starts(etag, SLICE("W/"));
}

static struct slice etag_opaque(struct slice etag)
{
    return etag_is_weak(etag) ? slice_from(etag, 2) : etag;
}

static bool etag_matches(struct slice a, struct slice b, enum etag_comparison how)
{
    if (how == ETAG_STRONG && (etag_is_weak(a) || etag_is_weak(b)))
        return false;
    return slice_eq(etag_opaque(a), etag_opaque(b));
}

/* Takes one tag off the front: commas and backslashes in its quotes mean nothing (8.8.3). */
static bool etag_next(struct slice *rest, struct slice *etag)
{
    while (rest->len > 0 && (slice_is_blank(rest->at[0]) || rest->at[0] == ','))
        *rest = slice_from(*rest, 1);
    size_t open = etag_is_weak(*rest) ? 2 : 0;
    if (rest->len <= open || rest->at[open] != '"')
        return false;
    size_t len = open + 1 + slice_find(slice_from(*rest, open + 1), '"') + 1;
    if (len > rest->len)
        return false;
    *etag = slice_head(*rest, len);
    *rest = slice_from(*rest, len);
    return true;
}

bool etag_list_has(struct slice list, struct slice etag, enum etag_comparison how)
{
    struct slice member;
    if (slice_eq(slice_trim(list), SLICE("*")))
        return true; /* any: there is a representation */
    if (etag.len == 0)
        return false;
    while (etag_next(&list, &member))
        if (etag_matches(member, etag, how))
            return true;
    return false;
}

/* --- the order -------------------------------------------------------------------------------- */

/* Is the representation newer than the date says? `unknown` when one of the two is none. */
static bool is_newer(struct slice date, const struct validators *v, int64_t now_s, bool unknown)
{
    int64_t t;
    if (v->modified_s == MODIFIED_UNKNOWN || !http_date_parse(date, now_s, &t))
        return unknown;
    return v->modified_s > t;
}

static bool match_fails(const struct conditions *c, const struct validators *v, int64_t now_s)
{
    if (c->if_match.at)
        return !etag_list_has(c->if_match, v->etag, ETAG_STRONG);
    return c->if_unmodified_since.at && is_newer(c->if_unmodified_since, v, now_s, false);
}

enum precondition conditions_evaluate(const struct conditions *c, enum method m,
                                      const struct validators *v, int64_t now_s)
{
    bool reads = m == METHOD_GET || m == METHOD_HEAD;
    if (match_fails(c, v, now_s))
        return CONDITION_FAILS;
    if (c->if_none_match.at) {
        if (!etag_list_has(c->if_none_match, v->etag, ETAG_WEAK))
            return CONDITION_PASSES;
        return reads ? CONDITION_NOT_MODIFIED : CONDITION_FAILS;
    }
    if (reads && c->if_modified_since.at && !is_newer(c->if_modified_since, v, now_s, true))
        return CONDITION_NOT_MODIFIED;
    return CONDITION_PASSES;
}

bool if_range_holds(const struct conditions *c, const struct validators *v, int64_t now_s)
{
    int64_t t;
    struct slice rest = c->if_range, etag;
    if (!c->if_range.at)
        return true;
    if (http_date_parse(c->if_range, now_s, &t))
        return v->modified_s == t && t < now_s;
    return etag_next(&rest, &etag) && rest.len == 0 && v->etag.len > 0 &&
           etag_matches(etag, v->etag, ETAG_STRONG);
}
