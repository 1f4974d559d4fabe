/* check.c - the state machine of a checked server: see check.h. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/check.h"

enum { SPREAD_MAX_MS = 1000 };

bool check_status_good(const struct check_conf *c, uint16_t status)
{
    for (uint32_t i = 0; i < c->status_count; i++)
        if (status >= c->statuses[i].from && status <= c->statuses[i].to)
            return true;
    return false;
}

static enum check_change add_ok(struct check_state *s, const struct check_conf *c)
{
    s->known = true;
    s->fails = 0;
    if (s->oks < UINT32_MAX)
        s->oks++;
    if (!s->down || s->oks < c->rise)
        return CHECK_SAME;
    s->down = false;
    return CHECK_CAME_UP;
}

static enum check_change add_failure(struct check_state *s, const struct check_conf *c)
{
    bool first = !s->known;
    s->known = true;
    s->oks = 0;
    if (s->fails < UINT32_MAX)
        s->fails++;
    if (s->down || (!first && s->fails < c->fall))
        return CHECK_SAME;
    s->down = true;
    return CHECK_WENT_DOWN;
}

enum check_change check_state_add(struct check_state *s, const struct check_conf *c,
                                  enum check_result r)
{
    return r == CHECK_OK ? add_ok(s, c) : add_failure(s, c);
}

int64_t check_wait_ms(const struct check_state *s, const struct check_conf *c, struct rand *r)
{
    bool hurry = s->down || s->fails > 0;
    int64_t ms = hurry && c->fast_ms < c->every_ms ? c->fast_ms : c->every_ms;
    return ms - ms / 10 + rand_below(r, (uint32_t)(ms / 5) + 1);
}

int64_t check_first_wait_ms(const struct check_conf *c, uint32_t index, uint32_t count)
{
    int64_t spread = c->every_ms < SPREAD_MAX_MS ? c->every_ms : SPREAD_MAX_MS;
    return spread * index / count;
}
