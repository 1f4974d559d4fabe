/* conf_mem_priv.h - allocation from a configuration's arena. Configurations are read at start and
 * on reload by the main thread: when the arena's budget is spent the process ends with a text. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/mem.h"

static inline void *conf_alloc(struct arena *a, size_t size)
{
    return mem_must(arena_zalloc(a, size), size);
}

static inline struct slice conf_dup(struct arena *a, struct slice s)
{
    char *at = conf_alloc(a, s.len + 1);
    if (s.len)
        memcpy(at, s.at, s.len);
    return (struct slice){at, s.len};
}
