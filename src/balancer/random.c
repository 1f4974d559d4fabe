/* random.c - any server, as often as its weight says.
 *
 * Keeps no state and reads none but whether a server may be picked, so any number of workers and of
 * proxies beside this one come to the right shares without knowing of each other. */
// SPDX-License-Identifier: Apache-2.0
#include "upstream/draw.h"

static void random_build(void *conf, const struct upstream *up, struct arena *a)
{
    draw_build(conf, up, a);
}

static int random_pick(void *state, const struct pick *p)
{
    (void)state;
    const struct draw_tiers *c = p->up->balancer_conf;
    return draw_any(&c->of[p->tier], p);
}

const struct balancer_type balancer_random = {
    .name = "random",
    .text = "Any server, drawn at random by weight. For very many servers and very short requests; "
            "`two_choices` is more even at hardly more cost.",
    .conf_bytes = sizeof(struct draw_tiers),
    .build = random_build,
    .pick = random_pick,
};
