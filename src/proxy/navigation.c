/* navigation.c - see navigation.h. Browsers say it in Sec-Fetch-Mode (Fetch Metadata), and accept
 * HTML when they open a page. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/navigation.h"
#include "proxy/exchange.h"

/* Does it load a page? Not so what a page loads, and what only does not care what it gets. */
bool request_opens_page(const struct exchange *x)
{
    static const struct slice mode_name = SLICE_INIT("Sec-Fetch-Mode");
    const struct header *mode = headers_find_name(&x->req.headers, mode_name);
    const struct header *h = headers_find(&x->req.headers, FIELD_ACCEPT);
    if ((x->req.method != METHOD_GET && x->req.method != METHOD_HEAD) || x->req.upgrade ||
        (mode && !slice_eq(mode->value, SLICE("navigate"))))
        return false;
    for (; h; h = headers_next(&x->req.headers, h)) {
        struct slice rest = h->value, member;
        while (field_list_next(&rest, &member)) {
            struct slice type = slice_trim(slice_head(member, slice_find(member, ';')));
            if (slice_eq_nocase(type, SLICE("text/html")))
                return true;
        }
    }
    return false;
}
