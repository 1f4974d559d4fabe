/* changes.h - what was changed about servers while weir runs, on top of its configuration: servers
 * added and taken out, weights, drained ones.
 *
 * Every snapshot is built with the changes that hold, so they last over reloads until they are
 * taken back. Where a change and the configuration speak of the same thing the change wins; one
 * whose server is not there (any more) stays known and has no effect (server_change_idle()). What
 * discovers servers feeds the same list.
 *
 * Owner: the main thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "upstream/upstream.h"

enum server_use { SERVER_AS_CONFIGURED, SERVER_IN_USE, SERVER_DRAINING, SERVER_DISABLED };

/* Everything that was changed about one server; never without any change. */
struct server_change {
    struct slice upstream, server; /* names as the configuration has them; heap */
    bool added;                    /* it does not stand in the configuration */
    uint8_t use;                   /* enum server_use */
    int64_t weight, max_conns;     /* 0: as configured */
};

/* Zeroed: none. */
struct server_changes {
    struct server_change *list;
    uint32_t count;
};

enum { SERVER_CHANGES_BYTES = 32 << 10 }; /* as text: a limit on their number */

void server_changes_release(struct server_changes *c);
void server_changes_copy(struct server_changes *to, const struct server_changes *from);
void server_changes_swap(struct server_changes *a, struct server_changes *b);

/* What somebody wants, in words: `add`, `remove`, `set`, `drain`, `enable`, `disable`, `reset`. */
struct server_order {
    struct slice action, upstream, server;
    int64_t weight, max_conns; /* 0: not said */
};
/* One row per action, for the command's help; ends in {0}. */
struct server_action {
    const char *name, *text;
    uint8_t wants; /* of the server */
    bool begins;   /* the server may serve again because of it */
    void (*run)(struct server_changes *c, const struct server *now, const struct server_order *o);
};
extern const struct server_action server_actions[];

/* Carries the order out on the list; `u` are the upstreams in force. False with the reason, a line,
 * in *why: nothing has changed. Whether a server's address makes sense shows when the next snapshot
 * is built. */
bool server_changes_order(struct server_changes *c, const struct upstreams_conf *u,
                          const struct server_order *o, struct text *why);

/* After the order was carried out and `u` is in force: a server that serves again because of it
 * begins slowly (`slow_start`). */
void server_order_began(const struct server_order *o, const struct upstreams_conf *u,
                        int64_t now_ms);

/* A line for each, and back. False: not such a text. */
void server_changes_write(const struct server_changes *c, struct text *to);
bool server_changes_read(struct server_changes *c, struct slice text);

/* Before upstreams_bind(): changes what the configuration says. Errors go to b->diag. */
void upstreams_change(struct conf_build *b, struct upstreams_conf *u,
                      const struct server_changes *c);

/* Why it has no effect on these upstreams; NULL: it has. */
const char *server_change_idle(const struct server_change *c, const struct upstreams_conf *u);
