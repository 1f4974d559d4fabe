/* suspicion.c - what servers are known to be tricked with, as two questions.
 *
 * Servers differ in where they think that a path ends and what they decode first. A victim is sent
 * to a URL that looks like a public file to the cache and is a page of its account to the server
 * (Gil, 2017). What a server says about lifetimes is believed all the same: these are asked for
 * lifetimes that come from the configuration only.
 *
 * The other way round servers obey fields that are not in the key (Kettle, 2018). */
// SPDX-License-Identifier: Apache-2.0
#include "cache/suspicion.h"
#include "base/assert.h"
#include "http/mime.h"

static bool is_override(struct slice name)
{
    static const struct slice names[] = {
        SLICE_INIT("x-http-method-override"), SLICE_INIT("x-http-method"),
        SLICE_INIT("x-method-override"),      SLICE_INIT("x-original-method"),
        SLICE_INIT("x-original-url"),         SLICE_INIT("x-rewrite-url"),
    };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* They are no fields of the table: most requests have none of that kind. */
bool suspicion_overrides(const struct headers *req)
{
    if (!headers_may_have(req, FIELD_OTHER))
        return false;
    HEADER_EACH (it, req)
        if (it->id == FIELD_OTHER && is_override(it->name))
            return true;
    return false;
}

/* --- paths ------------------------------------------------------------------------------------ */

static bool starts_nocase(struct slice s, struct slice prefix)
{
    return slice_eq_nocase(slice_head(s, prefix.len), prefix);
}

/* "%2f" and others that end a segment or a path once they are decoded; "%2e" is a dot of a dot
 * segment, "%25" hides any of them from who decodes once. */
static bool is_encoded_delimiter(struct slice s)
{
    static const struct slice ends[] = {
        SLICE_INIT("%2f"), SLICE_INIT("%5c"), SLICE_INIT("%3b"), SLICE_INIT("%23"),
        SLICE_INIT("%3f"), SLICE_INIT("%2e"), SLICE_INIT("%25"),
    };
    if (starts_nocase(s, SLICE("%0")) || starts_nocase(s, SLICE("%1")))
        return true;
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (starts_nocase(s, ends[i]))
            return true;
    return false;
}

static bool starts_dot_segment(struct slice s)
{
    struct slice segment = slice_from(s, 1);
    segment = slice_head(segment, slice_find(segment, '/'));
    return slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE(".."));
}

static bool path_is_ambiguous(struct slice path)
{
    for (size_t i = 0; i < path.len; i++) {
        struct slice rest = slice_from(path, i);
        switch (path.at[i]) {
        case ';':
        case '\\': return true;
        case '%':
            if (is_encoded_delimiter(rest))
                return true;
            break;
        case '/':
            if (slice_starts(rest, SLICE("//")) || starts_dot_segment(rest))
                return true;
            break;
        default: break;
        }
    }
    return false;
}

/* --- types ------------------------------------------------------------------------------------ */

/* Without parameters. */
static struct slice media_type(struct slice value)
{
    return slice_trim(slice_head(value, slice_find(value, ';')));
}

/* What accounts and errors are told in. */
static bool is_page(struct slice type)
{
    static const struct slice pages[] = {
        SLICE_INIT("text/html"),        SLICE_INIT("application/xhtml+xml"),
        SLICE_INIT("application/json"), SLICE_INIT("text/plain"),
        SLICE_INIT("application/xml"),  SLICE_INIT("text/xml"),
    };
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (slice_eq_nocase(type, pages[i]))
            return true;
    return false;
}

static bool page_pretends(struct slice path, const struct headers *res)
{
    struct slice type = media_type(headers_get(res, FIELD_CONTENT_TYPE));
    struct slice named = mime_find(mime_extension(path));
    if (!named.at || !is_page(type))
        return false;
    return !is_page(media_type(named));
}

bool suspicion_of_path(struct slice path, const struct headers *res)
{
    return path_is_ambiguous(path) || page_pretends(path, res);
}
