/* limit_metrics.c - what /metrics tells about each limit that has a name. */
// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_priv.h"
#include "limit/tally.h"

static void add_limit(void *ctx, struct slice name, const uint64_t sums[TALLY_EVENT_COUNT])
{
    struct text *out = ctx;
    for (unsigned e = 0; e < TALLY_EVENT_COUNT; e++) {
        text_add(out, SLICE("weir_limit_decisions_total{limit=\""));
        admin_label(out, name);
        text_addf(out, "\",decision=\"%s\"} %llu\n", tally_event_name((enum tally_event)e),
                  (unsigned long long)sums[e]);
    }
}

void admin_limit_metrics(const struct admin_page *p)
{
    admin_help(p->out, "limit_decisions_total", "counter",
               "What each limit that has a name said of requests, whatever others said");
    tally_each(add_limit, p->out);
}
