/* url.h - absolute URLs of http and https as somebody names them whom weir does not know (RFC 3986,
 * RFC 9110 4.2), read strictly: what two programs could read in two ways is refused. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { URL_MAX_BYTES = 8192, URL_HOST_MAX_BYTES = 253, URL_LABEL_MAX_BYTES = 63 };

struct url {
    bool tls;          /* https */
    bool is_ip;        /* the host is an address, in its one canonical form or IPv6 */
    uint16_t port;     /* the scheme's own when none was given */
    struct slice host; /* lower case; no brackets, no dot at the end */
    struct slice
        authority;       /* for Host: with brackets, and with the port unless it is the scheme's */
    struct slice target; /* path and query in origin-form; the path is normalised */
};

/* Takes off a fragment. ERR_BAD_TARGET: another scheme, bytes that no URL has (blanks, controls,
 * anything beyond ASCII), a path that climbs above its root. ERR_BAD_HOST: user information, a host
 * that is no name of letters, digits, '-' and '_', or that is a number without being four decimal
 * ones ("0x7f.1", "2130706433", "127.1"), a zone of IPv6, a port that is none. ERR_OVER_BUDGET.
 * What is written to *out lives in the arena or in `text`. */
enum err url_parse(struct arena *a, struct slice text, struct url *out) MUST_CHECK;

/* What a Location field says, seen from `base` (RFC 3986 5.2). Errors as above. */
enum err url_resolve(struct arena *a, const struct url *base, struct slice reference,
                     struct url *out) MUST_CHECK;

/* The same scheme, host and port? */
bool url_same_origin(const struct url *a, const struct url *b);
/* Without a fragment; .at NULL: out of budget. */
struct slice url_write(struct arena *a, const struct url *u);
