/* config.c - the configurations of a world: timeouts and limits that all of them share, and what a
 * reload changes (servers, balancing, a listener). Each marks requests and answers with its
 * generation, which shows whether an exchange keeps the view that it began with. */
// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "tests/sim/sim.h"

static const char *const balances[] = {"two_choices", "round_robin", "least_conn",
                                       "hash $path bound=off"};

const char *plan_path(enum sim_place p)
{
    static const char *const paths[PLACES] = {
        [PLACE_MAIN] = "/main/",     [PLACE_ONCE] = "/once/",   [PLACE_BUFFERED] = "/buffered/",
        [PLACE_NARROW] = "/narrow/", [PLACE_HOLE] = "/hole/",   [PLACE_BACKUP] = "/backup/",
        [PLACE_SMALL] = "/small/",   [PLACE_LOCAL] = "/local/", [PLACE_TOTAL] = "/total/",
    };
    return paths[p];
}

static uint32_t some(struct sim_world *w, uint32_t least, uint32_t most)
{
    return least + rand_below(&w->rand, most - least + 1);
}

static void times_choose(struct sim_world *w)
{
    struct sim_times *t = &w->times;
    t->client_header = some(w, 1000, 5000);
    t->client_body = some(w, 2000, 9000);
    t->client_send = some(w, 2000, 9000);
    t->keepalive = some(w, 3000, 30000);
    t->connect = some(w, 500, 3000);
    t->first_byte = some(w, 2000, 9000);
    t->read = some(w, 2000, 9000);
    t->send = some(w, 2000, 9000);
    t->request = some(w, 1000, 1500); /* shorter than first_byte */
    t->tunnel = some(w, 5000, 30000);
    t->half_close = some(w, 500, 1500); /* shorter than first_byte */
    t->queue = w->patient ? SIM_HOUR_MS : some(w, 500, 3000);
}

static uint32_t bits(uint32_t mask)
{
    return (uint32_t)__builtin_popcount(mask);
}

static void conf_choose(struct sim_world *w, struct sim_conf *c)
{
    uint32_t all = (1u << w->origin_count) - 1;
    c->servers = world_chance(w, 500) ? all : 1 + rand_below(&w->rand, all);
    c->second_entrance = c == w->confs || (c[-1].second_entrance && world_chance(w, 500));
    c->balance = rand_below(&w->rand, 4);
    c->keepalive = rand_below(&w->rand, 4);
    uint32_t n = bits(c->servers);
    w->servers_min = n < w->servers_min ? n : w->servers_min;
    w->servers_max = n > w->servers_max ? n : w->servers_max;
}

void config_choose(struct sim_world *w)
{
    times_choose(w);
    w->body_queue_bytes = 16384u << rand_below(&w->rand, 5);
    w->queue_at_top = world_chance(w, 700);
    w->cached = w->seed % 3 == 0;
    w->narrow_conns = some(w, 1, 3);
    w->narrow_servers = some(w, 1, 2);
    w->narrow_queue = w->patient ? 1000 : some(w, 1, 4);
    w->conf_count = world_chance(w, 500) ? 1 : some(w, 2, SIM_CONFS_MAX);
    w->servers_min = SIM_ORIGINS_MAX;
    w->servers_max = 0;
    for (uint32_t i = 0; i < w->conf_count; i++)
        conf_choose(w, &w->confs[i]);
}

static void add_times(const struct sim_times *t, struct text *out)
{
    text_addf(out,
              "timeout client_header=%ums client_body=%ums client_send=%ums keepalive=%ums "
              "connect=%ums\n",
              t->client_header, t->client_body, t->client_send, t->keepalive, t->connect);
    text_addf(out, "timeout first_byte=%ums read=%ums send=%ums tunnel=%ums half_close=%ums\n",
              t->first_byte, t->read, t->send, t->tunnel, t->half_close);
}

static void add_proto(const struct sim_world *w, struct text *out)
{
    if (w->h2_origins)
        text_addf(out, "    proto h2c streams=%u\n", w->origin_streams);
}

static void add_main(const struct sim_world *w, const struct sim_conf *c, struct text *out)
{
    text_addf(out, "upstream main {\n");
    for (uint32_t i = 0; i < w->origin_count; i++)
        if (c->servers >> i & 1)
            text_addf(out, "    server 10.0.1.%u:80\n", i + 1);
    add_proto(w, out);
    text_addf(out, "    balance %s\n    retry 2 on=502,503,504 budget=%s\n", balances[c->balance],
              w->budget ? "1%" : "off");
    text_addf(out, "    eject after=3 for=2s\n");
    if (c->keepalive == 0)
        text_addf(out, "    keepalive off\n");
    else
        text_addf(out, "    keepalive %u idle=%us\n", c->keepalive * 2, c->keepalive * 5);
    text_addf(out, "}\n");
}

static void add_upstreams(const struct sim_world *w, struct text *out)
{
    text_addf(out, "upstream narrow {\n");
    for (uint32_t i = 0; i < w->origin_count && i < w->narrow_servers; i++)
        text_addf(out, "    server 10.0.1.%u:80 max_conns=%u\n", i + 1, w->narrow_conns);
    add_proto(w, out);
    text_addf(out, "    queue %u timeout=%ums\n    eject off\n}\n", w->narrow_queue,
              w->times.queue);
    text_addf(out, "upstream hole {\n    server 10.0.2.1:80\n    eject off\n}\n");
    text_addf(out, "upstream backup {\n    server 10.0.2.2:80\n    server 10.0.1.1:80 backup\n"
                   "    retry 2 budget=off\n");
    add_proto(w, out);
    text_addf(out, "}\n");
}

static void add_site(const struct sim_world *w, uint32_t generation, struct text *out)
{
    text_addf(out, "site sim.test {\n    request set X-Gen %u\n    response set X-Gen %u\n",
              generation, generation);
    if (!w->queue_at_top)
        text_addf(out, "    body queue=%uB\n", w->body_queue_bytes);
    if (w->cached) /* every URL is asked for once: what passes is stored on its way */
        text_addf(out, "    cache 10m\n");
    text_addf(out, "    proxy main\n");
    text_addf(out, "    route /once/ {\n        retry off\n    }\n");
    text_addf(out, "    route /buffered/ {\n        buffer on memory=8k\n    }\n");
    text_addf(out, "    route /narrow/ {\n        proxy narrow\n    }\n");
    text_addf(out, "    route /hole/ {\n        proxy hole\n    }\n");
    text_addf(out, "    route /backup/ {\n        proxy backup\n    }\n");
    text_addf(out, "    route /small/ {\n        body max=%uB\n    }\n", SIM_SMALL_BYTES);
    text_addf(out, "    route /local/ {\n        respond 200 \"here $path\"\n    }\n");
    text_addf(out, "    route /total/ {\n        timeout request=%ums\n    }\n}\n",
              w->times.request);
}

void config_text(const struct sim_world *w, uint32_t generation, struct text *out)
{
    const struct sim_conf *c = &w->confs[generation - 1];
    const char *tls = w->tls ? " tls" : "";
    text_addf(out, "listen 10.0.0.1:80%s\n", tls);
    if (c->second_entrance)
        text_addf(out, "listen 10.0.0.1:81%s\n", tls);
    text_addf(out, "admin off\nlog access off\nlog error error\n");
    add_times(&w->times, out);
    if (w->queue_at_top)
        text_addf(out, "body queue=%uB\n", w->body_queue_bytes);
    add_main(w, c, out);
    add_upstreams(w, out);
    add_site(w, generation, out);
}
