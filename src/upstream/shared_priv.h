/* shared_priv.h - the process-wide registry of shared server and upstream state, by identity. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/upstream.h"

/* Finds the state by identity or makes it; one count for the caller. Any thread. `variant`: how it
 * is spoken to, 0 for plain. */
struct server_shared *server_shared_take(struct slice upstream_name, struct slice name,
                                         uint64_t variant);
struct server_shared *server_shared_ref(struct server_shared *s);
void server_shared_drop(struct server_shared *s);
struct upstream_shared *upstream_shared_take(struct slice name);
struct upstream_shared *upstream_shared_ref(struct upstream_shared *s);
void upstream_shared_drop(struct upstream_shared *s);

void server_addrs_set(struct server_shared *s, const struct addr *addrs, uint32_t count);
/* Copies address `i` of the server; false when there are fewer. */
bool server_addr_get(struct server_shared *s, uint32_t i, struct addr *out);
/* Why the last handshake with it failed, for the log and /status; cut when long. */
void server_tls_error_set(struct server_shared *s, const char *why);
void server_check_error_set(struct server_shared *s, const char *why); /* likewise */
void server_outlier_set(struct server_shared *s, const char *why);     /* likewise */
/* Has it a name that the resolver looks up? Not so literals, unix sockets and localhost. */
bool server_needs_resolver(const struct server *srv);
uint32_t server_addr_count(const struct server_shared *s);

static inline int64_t shared_get(const int64_t *v)
{
    return __atomic_load_n(v, __ATOMIC_RELAXED);
}

static inline void shared_set(int64_t *v, int64_t to)
{
    __atomic_store_n(v, to, __ATOMIC_RELAXED);
}

static inline int64_t shared_add(int64_t *v, int64_t n) /* returns the new value */
{
    return __atomic_add_fetch(v, n, __ATOMIC_RELAXED);
}

/* The server as a new configuration has it: a ramp begins when it was off or is new. Main thread.
 */
void ramp_on_bind(const struct server *srv, bool upstream_is_new);

/* The workers' pools, so that one worker can tell the others. */
void peers_add(struct origin_pools *p);
void peers_remove(struct origin_pools *p);
/* Calls `each` for every other registered worker, under the registry's lock. */
void peers_each(struct origin_pools *self, void (*each)(struct origin_pools *peer, void *ctx),
                void *ctx);
