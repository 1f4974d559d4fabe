/* arena.c - blocks for bump allocators, and the per-thread cache they come from.
 *
 * An arena is a chain of blocks; allocations are carved from its head. What is larger than a
 * block gets a block of its own, which goes in second place so that the room left in the head
 * stays usable. Blocks of the common size go back to the thread's cache (LIFO: the next request
 * finds them warm), the others to the system. */
// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/prefetch.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BYTES = 512 }; /* of a block, which its first allocations take */

struct arena_block {
    struct arena_block *next;
    size_t bytes; /* header included */
    char room[];
};

static _Thread_local struct {
    struct arena_block *head;
    size_t count;
} cache;

static struct arena_block *block_take(size_t bytes)
{
    if (bytes == ARENA_BLOCK_BYTES && cache.head) {
        struct arena_block *b = cache.head;
        cache.head = b->next;
        if (b->next)
            prefetch_for_write(b->next, FIRST_BYTES);
        cache.count--;
        return b;
    }
    struct arena_block *b = malloc(bytes);
    if (!b)
        return NULL;
    b->bytes = bytes;
    ASAN_CLOSE(b->room, bytes - sizeof(*b));
    return b;
}

static void block_free(struct arena_block *b)
{
    ASAN_OPEN(b->room, b->bytes - sizeof(*b));
    free(b);
}

static void block_drop(struct arena_block *b)
{
    if (b->bytes != ARENA_BLOCK_BYTES || cache.count + 1 > ARENA_CACHED_MAX) {
        block_free(b);
        return;
    }
    b->next = cache.head;
    cache.head = b;
    cache.count++;
}

void arena_cache_release(void)
{
    while (cache.head) {
        struct arena_block *b = cache.head;
        cache.head = b->next;
        block_free(b);
    }
    cache.count = 0;
}

size_t arena_cached_count(void)
{
    return cache.count;
}

void arena_init(struct arena *a, size_t budget_bytes)
{
    *a = (struct arena){.budget = budget_bytes};
}

void arena_release(struct arena *a)
{
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        block_drop(b);
    }
    *a = (struct arena){.budget = a->budget, .must = a->must};
}

static struct arena_block *arena_take_block(struct arena *a, size_t bytes)
{
    if (bytes > a->budget - a->used)
        return NULL;
    struct arena_block *b = block_take(bytes);
    if (a->must)
        mem_must(b, bytes);
    if (b)
        a->used += bytes;
    return b;
}

static void *alloc_large(struct arena *a, size_t size)
{
    struct arena_block *b = arena_take_block(a, sizeof(*b) + size);
    if (!b)
        return NULL;
    if (a->head) {
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = NULL;
        a->head = b; /* at == end: the next small allocation starts a block */
    }
    ASAN_OPEN(b->room, size);
    return b->room;
}

void *arena_alloc_slow(struct arena *a, size_t size)
{
    const size_t room = ARENA_BLOCK_BYTES - sizeof(struct arena_block);
    if (size > SIZE_MAX / 2)
        return NULL;
    if (size == 0)
        size = 1;
    else if (size + ARENA_REDZONE_BYTES > room)
        return alloc_large(a, size);
    if (size + ARENA_REDZONE_BYTES > (size_t)((uintptr_t)a->end - (uintptr_t)a->at)) {
        struct arena_block *b = arena_take_block(a, ARENA_BLOCK_BYTES);
        if (!b)
            return NULL;
        b->next = a->head;
        a->head = b;
        a->at = b->room;
        a->end = b->room + room;
    }
    return arena_alloc(a, size);
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *at = arena_alloc(a, size);
    return at ? memset(at, 0, size) : NULL;
}

struct slice arena_dup(struct arena *a, struct slice s)
{
    char *at = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (!at)
        return SLICE_NONE;
    if (s.len)
        memcpy(at, s.at, s.len);
    at[s.len] = '\0';
    return (struct slice){at, s.len};
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    char *at = arena_alloc(a, (size_t)len + 1);
    if (!at)
        return SLICE_NONE;
    va_start(args, fmt);
    vsnprintf(at, (size_t)len + 1, fmt, args);
    va_end(args);
    return (struct slice){at, (size_t)len};
}

struct slice arena_concat(struct arena *a, const struct slice *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    char *at = arena_alloc(a, len + 1), *to = at;
    if (!at)
        return SLICE_NONE;
    for (size_t i = 0; i < count; i++)
        if (parts[i].len)
            to = mempcpy(to, parts[i].at, parts[i].len);
    *to = '\0';
    return (struct slice){at, len};
}

static size_t round_up(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static bool is_last(const struct arena *a, const char *at, size_t size)
{
    return size > 0 && at + round_up(size) + ARENA_REDZONE_BYTES == a->at;
}

void *arena_grow(struct arena *a, void *old, size_t old_size, size_t new_size)
{
    ASSERT(new_size >= old_size);
    if (old && is_last(a, old, old_size) && new_size < ARENA_BLOCK_BYTES) {
        size_t step = round_up(new_size) - round_up(old_size);
        if (step <= (size_t)(a->end - a->at)) {
            a->at += step;
            ASAN_OPEN(old, new_size);
            return old;
        }
    }
    void *at = arena_alloc(a, new_size);
    if (at && old_size)
        memcpy(at, old, old_size);
    return at;
}

void arena_shrink(struct arena *a, void *at, size_t old_size, size_t new_size)
{
    ASSERT(new_size > 0 && new_size <= old_size);
    if (!is_last(a, at, old_size))
        return;
    a->at = (char *)at + round_up(new_size) + ARENA_REDZONE_BYTES;
    ASAN_CLOSE((char *)at + new_size, round_up(old_size) + ARENA_REDZONE_BYTES - new_size);
}
