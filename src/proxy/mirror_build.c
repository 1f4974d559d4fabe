/* mirror_build.c - the directive `mirror`. */
// SPDX-License-Identifier: Apache-2.0
#include "proxy/apply_priv.h"
#include "proxy/build_priv.h"
#include "proxy/mirror.h"

const struct directive mirror_options[] = {
    {.name = "max",
     .where = IN_OPTIONS,
     .type = CONF_COUNT,
     .offset = offsetof(struct mirror_conf, max_count),
     .min = 1,
     .max = 10000,
     .def = "64",
     .usage = "N",
     .text = "At most so many at once, for each worker; further ones are not mirrored. It bounds "
             "what a shadow that is slow can cost."},
    {.name = "body",
     .where = IN_OPTIONS,
     .type = CONF_SIZE,
     .offset = offsetof(struct mirror_conf, body_bytes),
     .min = 0,
     .max = 1 << 30,
     .def = "1M",
     .usage = "SIZE",
     .text = "Largest request body; it is kept in memory until it was sent. Requests with a larger "
             "one are not mirrored."},
    {.name = "timeout",
     .where = IN_OPTIONS,
     .type = CONF_TIME,
     .offset = offsetof(struct mirror_conf, timeout_ms),
     .min = 1,
     .max = 3600 * 1000,
     .def = "10s",
     .usage = "TIME",
     .text = "From the whole request to the end of the shadow's answer."},
    {0}};

void mirror_apply(struct conf_build *b, void *scope, const struct conf_node *n)
{
    struct settings *s = scope;
    struct mirror_conf *m = BUILD_NEW(b, struct mirror_conf);
    conf_options(b, n, m);
    m->share = SHARE_WHOLE;
    if (upstream_target(b, &n->args[0], &m->target) &&
        (n->arg_count == 1 || share_read(b, &n->args[1], &m->share)))
        s->mirror = m;
}
