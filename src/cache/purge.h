/* purge.h - forgetting at run time: by URL, prefix, tag, or everything; at once for all workers.
 *
 * A purge is an entry of a short list with a number: from the moment it is there no lookup returns
 * an older object that it concerns, however many those are. A thread of the store then takes them
 * out shard by shard, and the entry goes. So a purge takes microseconds, and readers never see half
 * of one. A soft purge makes stale what a hard one removes.
 *
 * With a disk tier the entry is in its journal before purge_result() says that it is done: what was
 * purged does not come back after a crash. That thread writes it, not who asks. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct cache_shared;
struct object_shared;

enum purge_kind { PURGE_URL, PURGE_PREFIX, PURGE_TAG, PURGE_ALL };
enum purge_how { PURGE_HARD, PURGE_SOFT };

struct purge_order {
    enum purge_kind kind;
    enum purge_how how;
    struct slice text; /* copied; URL and prefix with scheme and host */
};

enum { PURGE_TEXT_MAX = 4096, PURGES_PENDING_MAX = 1024 };

/* Any thread. *id names it for purge_result(). ERR_OVER_BUDGET: too many are pending. */
enum err purge_add(struct cache_shared *c, const struct purge_order *p, uint64_t *id) MUST_CHECK;
/* True once everything it concerns is gone; *count: objects that were. */
bool purge_result(struct cache_shared *c, uint64_t id, uint64_t *count);
/* For lookups, under the shard's lock: does a purge concern it that it has not seen? Marks soft
 * ones. */
bool purge_hits(struct cache_shared *c, struct object_shared *o);
