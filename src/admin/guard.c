/* guard.c - keeps web pages away from the admin API.
 *
 * Loopback is no wall against a browser on the same machine, and neither is a private network. A
 * page may bind its own name to our address (DNS rebinding) and then read our answers as its own.
 * Such a request names the page's host, so only hosts that no page can own are served: IP
 * addresses, localhost, and names that the configuration gives. What a page of another origin
 * sends blindly says so in Origin or Sec-Fetch-Site. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "proxy/exchange.h"

static struct slice brackets_off(struct slice host)
{
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        return (struct slice){host.at + 1, host.len - 2};
    return host;
}

static bool is_named(struct slice host, const struct admin_listen *line)
{
    for (uint32_t i = 0; line && i < line->name_count; i++)
        if (slice_eq(host, line->names[i]))
            return true;
    return false;
}

bool guard_host_ok(struct slice host, const struct admin_listen *line)
{
    struct addr ip;
    if (host.len == 0) /* HTTP/1.0 without Host: no browser does that */
        return true;
    return slice_eq(host, SLICE("localhost")) || is_named(host, line) ||
           addr_parse_ip(brackets_off(host), &ip) == ERR_OK;
}

/* Typed by the user ("none"), or from an answer of ours. */
static bool fetch_is_own(const struct headers *h)
{
    struct header *site = headers_find_name(h, SLICE("sec-fetch-site"));
    if (!site)
        return true;
    return !headers_next(h, site) &&
           (slice_eq(site->value, SLICE("none")) || slice_eq(site->value, SLICE("same-origin")));
}

bool guard_page_made(const struct exchange *x, const struct admin_listen *line)
{
    const struct headers *h = &x->req.headers;
    return !guard_host_ok(x->host, line) || headers_find(h, FIELD_ORIGIN) || !fetch_is_own(h);
}
