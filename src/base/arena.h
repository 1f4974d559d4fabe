/* arena.h - bump allocator whose whole content dies at once.
 *
 * One per exchange, one per config snapshot, one per configuration pass. There is no per-object
 * free. A budget caps the total: when it is spent arena_alloc() returns NULL and the caller
 * answers with an error row (431, 503). Blocks of ARENA_BLOCK_BYTES come from a per-thread cache,
 * so a steady state allocates nothing. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/asan.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Under ASan nothing is cached and allocations lie apart, so that it sees what goes wrong. */
enum {
    ARENA_BLOCK_BYTES = 4096,              /* header included */
    ARENA_CACHED_MAX = ASAN_ON ? 0 : 1024, /* blocks per thread */
    ARENA_REDZONE_BYTES = ASAN_ON ? 8 : 0,
};

struct arena_block;

struct arena {
    struct arena_block *head;
    char *at, *end; /* free room in the head block */
    size_t used;    /* bytes of blocks taken, headers included */
    size_t budget;  /* bytes */
    bool must;      /* the control plane's: without memory the process ends (base/mem.h) */
};

void arena_init(struct arena *a, size_t budget_bytes); /* takes no memory yet */
void arena_release(struct arena *a); /* frees every block; safe on a zeroed arena */

void *arena_alloc_slow(struct arena *a, size_t size); /* for arena_alloc() only */

/* `size` bytes aligned to 8, not zeroed, or NULL when the budget is spent. */
__attribute__((warn_unused_result)) static inline void *arena_alloc(struct arena *a, size_t size)
{
    /* The room is a multiple of 8, so what fits also fits rounded up; size 0 wraps to "no". */
    size_t room = (size_t)((uintptr_t)a->end - (uintptr_t)a->at);
    if (size - 1 >= room || room - size + 1 <= ARENA_REDZONE_BYTES)
        return arena_alloc_slow(a, size);
    char *at = a->at;
    a->at += ((size + 7) & ~(size_t)7) + ARENA_REDZONE_BYTES;
    ASAN_OPEN(at, size);
    return at;
}

void *arena_zalloc(struct arena *a, size_t size) __attribute__((warn_unused_result)); /* zeroed */

/* Copies; .at is NULL when the budget is spent. The copy is NUL-terminated past its length. */
struct slice arena_dup(struct arena *a, struct slice s);
struct slice arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The parts one after the other, without printf()'s cost; NUL-terminated, .at NULL as above. */
struct slice arena_concat(struct arena *a, const struct slice *parts, size_t count);
#define ARENA_CONCAT(a, ...)                               \
    arena_concat((a), (const struct slice[]){__VA_ARGS__}, \
                 sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

/* Grows the allocation that was made last in place when it can, else copies. */
void *arena_grow(struct arena *a, void *old, size_t old_size, size_t new_size);

/* Gives the end of the allocation that was made last back; nothing when it is not the last. */
void arena_shrink(struct arena *a, void *at, size_t old_size, size_t new_size);

#define ARENA_NEW(a, type)      ((type *)arena_zalloc(a, sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc(a, sizeof(type) * (n)))

/* Gives the calling thread's cached blocks back to the system (thread end, leak checks). */
void arena_cache_release(void);
size_t arena_cached_count(void); /* blocks in the calling thread's cache */
