/* recode.c - the fields that go with another content coding. See recode.h. */
// SPDX-License-Identifier: Apache-2.0
#include "http/recode.h"
#include "http/field.h"

/* RFC 9111 5.2.1.6, 5.2.2.6. */
static bool transform_forbidden(const struct headers *h)
{
    struct header *it = headers_find(h, FIELD_CACHE_CONTROL);
    for (; it; it = headers_next(h, it))
        if (field_list_has(it->value, SLICE("no-transform")))
            return true;
    return false;
}

/* Content-Digest, Repr-Digest, Digest, Content-MD5: they would be wrong. */
static bool has_digest(const struct headers *h)
{
    HEADER_EACH (it, h) {
        if (it->id != FIELD_OTHER || it->name.len < 6 || it->name.len > 14)
            continue;
        struct slice end = slice_from(it->name, it->name.len - 6);
        if (slice_eq_nocase(end, SLICE("digest")) ||
            slice_eq_nocase(it->name, SLICE("Content-MD5")))
            return true;
    }
    return false;
}

bool recode_is_allowed(const struct headers *req, const struct headers *res)
{
    return !transform_forbidden(res) && !transform_forbidden(req) && !has_digest(res);
}

enum err vary_add(struct headers *h, struct arena *a, struct slice name)
{
    struct slice have = headers_join(h, a, FIELD_VARY);
    if (!have.at)
        return headers_add_id(h, a, FIELD_VARY, name);
    if (field_list_has(have, SLICE("*")) || field_list_has(have, name))
        return ERR_OK;
    struct slice all = have.len ? ARENA_CONCAT(a, have, SLICE(", "), name) : name;
    if (!all.at)
        return ERR_OVER_BUDGET;
    headers_del_id(h, FIELD_VARY);
    return headers_add_id(h, a, FIELD_VARY, all);
}

enum err recode_vary(struct headers *h, struct arena *a)
{
    return vary_add(h, a, SLICE("Accept-Encoding"));
}

/* The bytes are others than the server's: only the meaning is the same (RFC 9110 8.8.1). */
static enum err etag_weaken(struct headers *h, struct arena *a)
{
    struct slice etag = headers_get(h, FIELD_ETAG);
    if (!etag.at || slice_starts(etag, SLICE("W/")))
        return ERR_OK;
    struct slice weak = ARENA_CONCAT(a, SLICE("W/"), etag);
    if (!weak.at)
        return ERR_OVER_BUDGET;
    headers_del_id(h, FIELD_ETAG);
    return headers_add_id(h, a, FIELD_ETAG, weak);
}

enum err recode_fields(struct headers *h, struct arena *a)
{
    TRY(etag_weaken(h, a));
    headers_del_id(h, FIELD_CONTENT_LENGTH);
    headers_del(h, SLICE("Accept-Ranges"));
    return ERR_OK;
}

static bool asked_by_weak(struct slice tags, struct slice etag)
{
    struct slice tag;
    while (field_list_next(&tags, &tag))
        if (slice_starts(tag, SLICE("W/")) && slice_eq(slice_from(tag, 2), etag))
            return true;
    return false;
}

enum err recode_not_modified(struct slice tags, struct headers *res, struct arena *a)
{
    struct slice etag = headers_get(res, FIELD_ETAG);
    if (!etag.at || !asked_by_weak(tags, etag))
        return ERR_OK;
    TRY(etag_weaken(res, a));
    return recode_vary(res, a);
}
