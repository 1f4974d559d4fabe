/* sticky_table.h - which server a session is on, for `sticky learn` and `sticky ip`: a table of
 * fixed size that all workers share and that reloads leave alone.
 *
 * Owner: counted; a snapshot holds one count for each of its upstreams that has one. It is found
 * again by its identity. When it is full the session that was idle the longest makes room. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct sticky_shared;

/* Finds or makes it. `size`: of sessions, at least 1. Control plane, any thread. */
struct sticky_shared *sticky_table_take(struct slice identity, uint32_t size);
void sticky_table_drop(struct sticky_shared *t);

/* The server of a session that was seen at most `ttl_ms` ago, which counts as seen now. False:
 * there is none. `key` is a keyed hash: what clients send chooses neither shard nor bucket. Any
 * worker. */
bool sticky_table_find(struct sticky_shared *t, uint64_t key, int64_t now_ms, int64_t ttl_ms,
                       uint64_t *server);
void sticky_table_put(struct sticky_shared *t, uint64_t key, uint64_t server, int64_t now_ms);
uint32_t sticky_table_count(struct sticky_shared *t); /* sessions held, idle ones included */
