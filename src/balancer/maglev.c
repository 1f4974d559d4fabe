/* maglev.c - the same key to the same server: Maglev hashing with bounded loads (places.h).
 *
 * The general answer to "hash", and so its name as well. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/places.h"

struct maglev_conf {
    int64_t bound;
    struct places places;
};

static const struct directive maglev_options[] = {BOUND_OPTION(struct maglev_conf, bound), {0}};

static void maglev_build(void *conf, const struct upstream *up, struct arena *a)
{
    places_build(&((struct maglev_conf *)conf)->places, up, a);
}

static void maglev_init(void *state, const struct upstream *up)
{
    bound_init(state, up);
}

static int maglev_pick(void *state, const struct pick *p)
{
    const struct maglev_conf *c = p->up->balancer_conf;
    return places_pick(&c->places, state, p, c->bound);
}

const struct balancer_type balancer_maglev = {
    .name = "maglev",
    .alias = "hash",
    .text =
        "Requests with the same key go to the same server: `balance hash $client_ip`, "
        "`balance hash $path`, `balance hash ${cookie.session}`. When a server comes or goes "
        "about its share of the keys moves and hardly any other; an overloaded server hands some "
        "of its keys on (`bound=125%`). Requests without the key go anywhere.",
    .options = maglev_options,
    .conf_bytes = sizeof(struct maglev_conf),
    .needs_key = true,
    .build = maglev_build,
    .state_bytes = bound_bytes,
    .init = maglev_init,
    .pick = maglev_pick,
};
