/* guard.c - keeps web pages away from the admin listener.
 *
 * Loopback is no wall against a browser on the same machine: a page may bind its own name to
 * 127.0.0.1 (DNS rebinding) and then read our answers as its own. Such a request names the page's
 * host, so only hosts that no page can own are served: IP addresses and localhost. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"

static struct slice brackets_off(struct slice host)
{
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        return (struct slice){host.at + 1, host.len - 2};
    return host;
}

bool guard_host_ok(struct slice host)
{
    struct addr ip;
    if (host.len == 0) /* HTTP/1.0 without Host: no browser does that */
        return true;
    return slice_eq(host, SLICE("localhost")) || addr_parse_ip(brackets_off(host), &ip) == ERR_OK;
}
