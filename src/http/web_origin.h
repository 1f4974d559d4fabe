/* web_origin.h - origins of web pages (RFC 6454 6.2), as browsers tell them in Origin, and what a
 * configuration says of them. Pure.
 *
 * Browsers know one spelling: lower case, no port that is the scheme's own, nothing behind. What is
 * spelled in another way comes from no browser and matches nothing. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

/* Scheme and host; before the host "*." stands for names below it, of any depth, not itself, and
 * ":*" behind it for any port. */
struct web_origin {
    struct slice scheme; /* "https" */
    struct slice host;   /* with `below` what names end in: ".example.org" */
    struct slice port;   /* ":8443"; empty: the scheme's own */
    bool below, any_port;
};

/* From a configuration, any letter case. ERR_BAD_HOST, ERR_OVER_BUDGET. */
enum err web_origin_parse(struct arena *a, struct slice text, struct web_origin *out) MUST_CHECK;
bool web_origin_matches(const struct web_origin *o, struct slice origin);

/* Is `origin` that of pages of this host? Letter case, a trailing dot and a port that is the
 * scheme's own do not matter: the browser shows the very name that it asked for. port 0: the
 * scheme's own. */
bool web_origin_is(struct slice origin, struct slice scheme, struct slice host, uint16_t port);

/* The origin at the front of a URL ("https://a.test/x?y"), as it is spelled there; empty: none. */
struct slice web_origin_of_url(struct slice url);
