/* prefetch.h - memory on its way to the cache while there is something else to do.
 *
 * With many requests in flight nearly everything that belongs to one has left the near caches when
 * its turn comes. Whoever knows what comes next asks for it one turn ahead; the pointer need not be
 * valid to read. docs/decisions/005-cost-per-request.md has what it brought. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { CACHE_LINE_BYTES = 64 };

/* What other threads may be reading, too. */
static inline void prefetch_for_read(const void *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += CACHE_LINE_BYTES)
        __builtin_prefetch((const void *)((uintptr_t)at + i), 0);
}

static inline void prefetch_for_write(const void *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += CACHE_LINE_BYTES)
        __builtin_prefetch((const void *)((uintptr_t)at + i), 1);
}
