/* bans.c - GET /bans lists who is banned, as JSON; POST /ban?ip=IP&seconds=N bans, and
 * /unban?ip=IP | all=1 lifts bans. */
// SPDX-License-Identifier: Apache-2.0
#include "limit/bans.h"
#include "admin/admin_priv.h"
#include "base/num.h"
#include "http/uri.h"
#include "limit/addr_key.h"

enum { SECONDS_MAX = 365 * 24 * 3600 };

struct ban_list {
    const struct admin_page *page;
    bool any;
};

static void ban_write(void *ctx, const struct ban *b)
{
    struct ban_list *l = ctx;
    char who[ADDR_TEXT_BYTES];
    size_t len = addr_prefix_write(who, &b->who);
    text_addf(l->page->out, "%s\n  {\"address\": \"%.*s\", \"seconds_left\": %lld, \"times\": %u}",
              l->any ? "," : "", (int)len, who,
              (long long)(b->until_ms - l->page->now_ms + 999) / 1000, b->times);
    l->any = true;
}

int bans_write(const struct admin_page *p)
{
    struct ban_list l = {p, false};
    text_add(p->out, SLICE("["));
    bans_each(p->now_ms, ban_write, &l);
    text_add(p->out, l.any ? SLICE("\n]\n") : SLICE("]\n"));
    return 200;
}

static struct slice parameter(const struct admin_page *p, const char *name)
{
    struct slice raw = uri_query_get(p->query, slice_of(name));
    return raw.at ? uri_decode(p->arena, raw) : SLICE_NONE;
}

static int refuse(const struct admin_page *p, const char *why)
{
    text_addf(p->out, "%s\n", why);
    return 422;
}

static void say(const struct admin_page *p, const struct ban *b)
{
    char who[ADDR_TEXT_BYTES];
    size_t len = addr_prefix_write(who, &b->who);
    text_addf(p->out, "%.*s is banned for %lld s\n", (int)len, who,
              (long long)(b->until_ms - p->now_ms) / 1000);
}

int ban_run(const struct admin_page *p)
{
    struct addr a;
    struct ban b;
    uint64_t seconds = 0;
    struct slice ip = parameter(p, "ip"), time = parameter(p, "seconds");
    if (!ip.at || addr_parse_ip(ip, &a) != ERR_OK)
        return refuse(p, "an IP address is due");
    if (!time.at || num_parse_u64(time, &seconds) != ERR_OK || seconds < 1 || seconds > SECONDS_MAX)
        return refuse(p, "a time between 1s and 365d is due");
    if (!bans_set(&a, (int64_t)seconds * 1000, p->now_ms, &b))
        return refuse(p, "the list of bans is full");
    say(p, &b);
    return 200;
}

int unban_run(const struct admin_page *p)
{
    struct addr a;
    struct slice ip = parameter(p, "ip");
    if (parameter(p, "all").at) {
        text_addf(p->out, "%u lifted\n", bans_lift_all(p->now_ms));
        return 200;
    }
    if (!ip.at || addr_parse_ip(ip, &a) != ERR_OK)
        return refuse(p, "an IP address is due");
    if (!bans_lift(&a, p->now_ms))
        return refuse(p, "it is not banned");
    text_add(p->out, SLICE("lifted\n"));
    return 200;
}

void admin_ban_metrics(const struct admin_page *p)
{
    admin_help(p->out, "bans_active", "gauge", "Addresses that are banned now");
    text_addf(p->out, "weir_bans_active %u\n", bans_count(p->now_ms));
}
