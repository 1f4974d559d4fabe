/* client_geo.h - where the client of an exchange is, by the databases of `geo`.
 *
 * Looked up once an exchange, and only if anything asks. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "net/geo.h"

struct exchange;

struct geo_conf {
    struct geo **all; /* in their order: the first that knows something has the word */
    uint32_t count;
    bool named;               /* there is such a directive */
    struct conf_pos asked_at; /* a condition that needs one; .file NULL: none does */
};

/* A condition at `pos` asks for such facts: a warning when the configuration has no database. */
void client_geo_asked(struct conf_build *b, struct conf_pos pos);
void client_geo_check(struct conf_build *b);

/* Never NULL; what is not known is empty. Lives as long as the exchange. */
const struct geo_facts *client_geo(struct exchange *x);
