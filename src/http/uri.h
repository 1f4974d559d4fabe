/* uri.h - request targets and hosts (RFC 3986, RFC 9110 7.1), normalised once. Pure.
 *
 * Two forms come out of one target: `path`, in which routes are matched, and the form that goes to
 * the origin, which can not mean something else there. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>

enum uri_form { URI_ORIGIN, URI_ABSOLUTE, URI_AUTHORITY, URI_ASTERISK };

struct uri {
    enum uri_form form;
    struct slice scheme, authority; /* absolute- and authority-form; else empty */
    struct slice raw_path, query;   /* query without '?'; has_query tells "" from none */
    bool has_query;
};

/* Splits a target. Bytes outside what RFC 3986 allows, and '#', are ERR_BAD_TARGET - but for the
 * few that every browser sends raw (WHATWG URL): [ ] | in a path, and { } \ ^ ` too in a query.
 * Slices point into `target`; an absolute-form without a path has "/". Escapes of the path are
 * checked by uri_normalize_path(). */
enum err uri_parse(struct slice target, struct uri *out) MUST_CHECK;

/* The same for an origin-form that was parsed before, by the engine that received it. */
void uri_origin_split(struct slice checked, struct uri *out);

enum { URI_MERGE_SLASHES = 1 };

/* Normalises a path: unreserved characters are decoded, other escapes get upper-case hex, [ ] | are
 * escaped, dot segments are removed, "//" is merged when asked. %00, broken escapes, bytes that no
 * path may have and dot segments that climb above the root are ERR_BAD_TARGET; so is what some
 * origins read as a dot segment and others do not: dots beside an encoded slash or backslash
 * ("..%2f"), or before a path parameter ("..;"). "%2F" stays encoded, so an encoded slash never
 * crosses a route. *out is `path` itself when nothing changes, else a copy in the arena.
 * ERR_OVER_BUDGET. */
enum err uri_normalize_path(struct arena *a, struct slice path, unsigned flags,
                            struct slice *out) MUST_CHECK;

/* Checks a Host or authority (uri-host [":" port], RFC 9110 7.2; no userinfo), lower-cases it into
 * the arena when it must, takes off one trailing dot of the name. An IPv6 literal keeps its
 * brackets. Of RFC 3986's reg-name only unreserved characters are taken (no sub-delims, no
 * escapes), empty labels are refused. *port is 0 when not given. ERR_BAD_HOST, ERR_OVER_BUDGET. */
enum err uri_host_parse(struct arena *a, struct slice text, struct slice *host,
                        uint16_t *port) MUST_CHECK;

/* The same, and in *authority the form in which it goes on: lower case, no trailing dot, no empty
 * or padded port. It may be `text` itself. */
enum err uri_authority_parse(struct arena *a, struct slice text, struct slice *host, uint16_t *port,
                             struct slice *authority) MUST_CHECK;

/* Takes an authority apart that was checked, as struct message has it. *port is 0 when not given.
 */
void uri_authority_split(struct slice checked, struct slice *host, uint16_t *port);

/* The value of query parameter `name`, raw; .at NULL when it is not there. */
struct slice uri_query_get(struct slice query, struct slice name);
/* Percent-decodes into the arena ('+' stays); .at NULL when broken or out of budget. */
struct slice uri_decode(struct arena *a, struct slice s);
