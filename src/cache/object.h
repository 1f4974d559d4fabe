/* object.h - a stored response: its key, what selects it, its head, and how fresh it is.
 *
 * Never changes once it is in the index; counted by an atomic. Everything lies in one allocation:
 * key, names of Vary, tags, then the head as records (id, lengths, name, value). What only objects
 * of a store with a disk need lies in front of it (object_disk_link()). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/list.h"
#include "cache/content.h"
#include "cache/freshness.h"
#include "http/conditional.h"
#include "http/message.h"

struct cache_shared;

struct cache_key {
    struct slice text; /* "https://host/path?query", then "\n" and whatever else tells apart */
    uint64_t hash;
};

void cache_key_init(struct cache_key *k, struct slice text); /* borrows it */
struct slice cache_key_url(const struct cache_key *k);       /* without what follows the URL */

enum object_kind {
    OBJECT_WHOLE,
    OBJECT_PART, /* 206: bytes first..last of `total` */
};

/* What an object is made of; everything is copied, `content` is counted once more. */
struct object_draft {
    struct cache_key key;
    uint16_t status;
    uint8_t kind;                  /* enum object_kind */
    const struct headers *headers; /* but hop-by-hop ones, and Set-Cookie if it has to go */
    struct slice reason;
    struct slice vary; /* vary_names() */
    struct slice tags; /* words separated by blanks; empty: none */
    struct slice site; /* whose counters it belongs to */
    uint64_t variant;  /* selection_hash() and whatever else tells it from its siblings */
    uint64_t variant_without_language; /* 0: not for Accept-Language */
    uint64_t first, last, total;       /* OBJECT_PART; total UINT64_MAX: unknown */
    struct freshness freshness;
    struct content_shared *content; /* NULL: on disk only, */
    uint64_t length;                /* and so long then */
};

/* What lies around it. */
enum object_extra {
    EXTRA_PART = 1, /* ranges, Accept-Language: behind */
    EXTRA_DISK_LINK = 2,
    EXTRA_SUFFIX = 4, /* its key is more than its URL */
};

struct object_shared {
    _Atomic(uint32_t) refs;
    _Atomic(uint8_t) uses; /* since it was last considered for eviction, up to 3 */
    uint8_t queue;         /* enum store_queue; guarded by the shard */
    uint8_t kind;          /* enum object_kind */
    bool linked;           /* is in the index; guarded by the shard */
    _Atomic(bool) expired; /* purged softly, or found out of date: to be validated */
    uint8_t extras;        /* enum object_extra */
    uint16_t status;
    uint16_t vary_len, tags_len, reason_len, header_count;
    uint32_t key_len, head_len;
    uint32_t purge_seen; /* purges up to here do not concern it; guarded by the shard */
    uint32_t weight;     /* what its queue counts, in units of 16 bytes; guarded by the shard */
    uint64_t hash;
    struct content_shared *content; /* counted; NULL: on disk only. Guarded by the shard */
    struct object_shared *sibling;  /* the next older one of this key; guarded by the shard */
    /* Up to here a lookup looks at each, from here on at what it has found. */
    uint64_t variant;
    struct freshness freshness;
    struct cache_shared *cache; /* charged */
    struct object_coded *coded; /* forms by content coding; guarded by the shard; NULL: none */
    struct list link;           /* eviction queue; guarded by the shard */
    uint64_t born;              /* order of storing, for purges; 0 before cache_insert() */
    _Atomic(uint64_t) length;   /* of its body; CONTENT_LENGTH_UNKNOWN while it comes */
    char bytes[];
};

struct object_shared *object_new(struct cache_shared *c,
                                 const struct object_draft *d); /* NULL: no memory */
struct object_shared *object_take(struct object_shared *o);
void object_drop(struct object_shared *o);
/* Link for a queue of the disk tier, guarded by its lock, initialised. NULL: the object is older
 * than the store's disk (cache_disk_set()), and can not be saved. */
struct list *object_disk_link(struct object_shared *o);
struct object_shared *object_of_disk_link(struct list *l);
/* Number of its file on disk; 0: none. Relaxed: a number, not what it names. */
uint64_t object_file(const struct object_shared *o);
void object_file_set(struct object_shared *o, uint64_t number); /* one with a disk link */

struct slice object_key(const struct object_shared *o);
struct slice object_vary(const struct object_shared *o);
struct slice object_tags(const struct object_shared *o);
uint64_t object_variant_without_language(const struct object_shared *o);
size_t object_head_bytes(const struct object_shared *o); /* charged for it */

enum { OBJECT_HEADERS_SPARE = 4 };

/* Status, reason and headers of *m from the object, with room for OBJECT_HEADERS_SPARE more;
 * slices point into it: it must be held as long as they are used. ERR_OVER_BUDGET. */
enum err object_head_get(const struct object_shared *o, struct arena *a,
                         struct message *m) MUST_CHECK;
/* One field, without the rest (not for FIELD_OTHER): the first line, .at NULL: absent. */
struct slice object_field(const struct object_shared *o, enum field_id id);
/* Bytes of its body, wherever that is; CONTENT_LENGTH_UNKNOWN. */
static inline uint64_t object_length(const struct object_shared *o)
{
    return atomic_load_explicit(&o->length, memory_order_relaxed); /* a number, not the bytes */
}
void object_validators(const struct object_shared *o, struct validators *v, int64_t now_s);
bool object_range(const struct object_shared *o, uint64_t *first, uint64_t *last, uint64_t *total);
