/* mux.h - a connection to a server that many leases use at once, as a protocol engine offers it.
 *
 * The engine embeds a struct mux in its session and says what the connection takes; the pool of the
 * server spreads leases over such connections. Nothing here knows what a use is.
 *
 * Owner: the session. It lives until nobody uses it and mux_gone() was said; until then a lease
 * that has it may look at `conn`. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/conn.h"

struct mux;

struct mux_ops {
    /* Nobody uses it and nobody will: closes, says mux_gone(), and frees itself by the reaper. */
    void (*close)(struct mux *m);
    /* The last use has ended after mux_gone(): closes and frees itself by the reaper. */
    void (*unused)(struct mux *m);
    /* A use got no answer in time: is the connection still good? Answers by `stalled`. */
    void (*doubt)(struct mux *m);
};

/* What the session says, to the pool that has it. */
struct mux_owner {
    /* `limit`, `settled`, `shut` or `stalled` is another: whoever waits may go on. */
    void (*changed)(struct mux *m);
    /* It takes nothing any more, for `why`; said once. The session closes the connection at once
     * when nobody uses it, else when told that it is unused. */
    void (*gone)(struct mux *m, enum err why);
};

struct mux {
    const struct mux_ops *ops;
    struct conn *conn;
    struct list link;              /* in its pool */
    const struct mux_owner *owner; /* NULL: gone */
    void *pool;                    /* the owner's */
    struct timer idle;             /* while nobody uses it */
    uint32_t used;                 /* leases that have it */
    uint32_t limit;                /* how many it takes at once; the engine's word */
    bool settled;                  /* the server has said its limit: more than one may begin */
    bool shut;                     /* takes nothing new: the server goes away, or it is too old */
    bool stalled;                  /* does not move: new ones rather go elsewhere */
};

/* A protocol with many uses of a connection, handed down at the start of a worker. */
struct mux_engine {
    const char *alpn; /* its name in TLS, such as "h2" */
    /* A session on a connection that was just opened, which it owns from here on. NULL: no memory,
     * the connection is still the caller's. */
    struct mux *(*start)(struct conn *c);
};

static inline void mux_changed(struct mux *m)
{
    if (m->owner)
        m->owner->changed(m);
}

static inline void mux_gone(struct mux *m, enum err why)
{
    if (m->owner)
        m->owner->gone(m, why);
}
