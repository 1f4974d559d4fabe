/* content.h - the bytes of a stored response: written once by one thread, read by any while they
 * come.
 *
 * A list of chunks; `filled_bytes` is published after the bytes are there, so that readers need no
 * lock for what they can see. Chunks are counted by themselves: what is being sent from one stays,
 * whatever becomes of the content. Usually all chunks stay; a content that does not fit (or is on
 * its way from or to the disk) is *passing*: chunks that all readers have left are freed, and its
 * writer is held back by the slowest of them.
 *
 * All memory is charged to the store's budget. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "cache/waiter.h"
#include <stdatomic.h>
#include <stdint.h>

struct cache_shared;
struct content_shared;

enum { CONTENT_CHUNK_BYTES = 64 << 10, CONTENT_PASSING_BYTES = 1 << 20 };
#define CHUNK_INLINE           0x80000000u
#define CONTENT_LENGTH_UNKNOWN UINT64_MAX

struct chunk_shared {
    _Atomic(uint32_t) refs; /* unused in the one that lies within its content */
    uint32_t cap;           /* bytes, and CHUNK_INLINE */
    struct chunk_shared *_Atomic next;
    struct cache_shared *cache; /* charged */
    char bytes[];
};

void chunk_take(struct chunk_shared *k);
void chunk_drop(struct chunk_shared *k);

enum content_state { CONTENT_FILLING, CONTENT_WHOLE, CONTENT_BROKEN };

/* Of `length` bytes, or CONTENT_LENGTH_UNKNOWN; counted once, for the caller, who writes it.
 * `first` is the position of its first byte in the response (part of one that is on disk), else 0.
 * NULL: no memory. */
struct content_shared *content_new(struct cache_shared *c, uint64_t first, uint64_t length);
struct content_shared *content_take(struct content_shared *k);
void content_drop(struct content_shared *k);
enum content_state content_state(const struct content_shared *k);
uint64_t content_bytes(const struct content_shared *k); /* filled so far */
uint64_t content_length(const struct content_shared *k);

/* --- its writer ------------------------------------------------------------------------------- */

/* Copies, publishes and wakes. ERR_NO_MEMORY; ERR_BODY_TOO_LARGE past a known length. */
enum err content_append(struct content_shared *k, struct slice bytes) MUST_CHECK;
/* The end; broken when a known length was not reached. Trailers are not stored. */
void content_end(struct content_shared *k);
void content_break(struct content_shared *k);
/* Does anybody but its writer still hold it? */
bool content_is_wanted(const struct content_shared *k);
/* Who reads it while it fills up or passes. */
uint32_t content_reader_count(const struct content_shared *k);
void content_make_passing(struct content_shared *k);
bool content_is_passing(const struct content_shared *k);
/* Bytes that may be appended now: SIZE_MAX unless it is passing. With 0 the writer's waiter is
 * posted when there is room. */
size_t content_room(struct content_shared *k, struct waiter *writer);

/* All of it, when it is whole and in one piece: to be read as long as it is held. */
bool content_view(const struct content_shared *k, struct slice *out);

/* --- a reader --------------------------------------------------------------------------------- */

/* Embedded in who reads; one thread. */
struct content_reader {
    struct content_shared *content; /* counted */
    struct chunk_shared *chunk;     /* counted; NULL before the first byte */
    struct waiter *waiter;          /* its own; NULL: it never waits */
    struct list link;               /* content's list; guarded by the content's lock */
    bool listed;                    /* was put there */
    size_t chunk_at;
    uint64_t at, end;         /* positions in the response; end UINT64_MAX: to the last byte */
    _Atomic(uint64_t) passed; /* for the writer of a passing one */
};

enum content_read { CONTENT_BYTES, CONTENT_WAIT, CONTENT_END, CONTENT_LOST };

/* `first`: where to begin; a passing content must not have left it: false then, and without memory
 * for its waiter. Takes a count on `k`. `wake` may be NULL when the content is whole. */
bool content_reader_open(struct content_reader *r, struct content_shared *k, struct loop *l,
                         uint64_t first, uint64_t end, void (*wake)(void *ctx), void *ctx);
/* The next piece, at most `max` bytes: *out lies in *chunk, whose count is the caller's.
 * CONTENT_WAIT: wake() will come. */
enum content_read content_read_next(struct content_reader *r, size_t max, struct slice *out,
                                    struct chunk_shared **chunk);
/* Is there a piece, CONTENT_BYTES? Takes none; else as above. */
enum content_read content_read_ready(struct content_reader *r);
void content_reader_close(struct content_reader *r);
