/* coded.c - other forms of a stored body: by content coding, made once, kept with the object. */
// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "cache/store_priv.h"
#include <stdlib.h>

void coded_free(struct cache_shared *c, struct object_coded *f)
{
    for (int i = 0; i < CODING_COUNT; i++)
        if (f->forms[i])
            content_drop(f->forms[i]);
    cache_uncharge(c, sizeof *f);
    free(f);
}

uint64_t coded_bytes(const struct object_coded *f)
{
    if (!f)
        return 0;
    uint64_t bytes = sizeof *f + CACHE_MALLOC_BYTES;
    for (int i = 0; i < CODING_COUNT; i++)
        bytes += f->forms[i] ? content_bytes(f->forms[i]) : 0;
    return bytes;
}

bool cache_coded_get(struct cache_shared *c, struct object_shared *o, unsigned coding,
                     struct content_shared **out)
{
    ASSERT(coding < CODING_COUNT);
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    struct content_shared *k = o->coded ? o->coded->forms[coding] : NULL;
    if (k)
        *out = content_take(k);
    pthread_mutex_unlock(&s->lock);
    return k != NULL;
}

static struct object_coded *coded_new(struct cache_shared *c)
{
    if (!cache_charge(c, sizeof(struct object_coded)))
        return NULL;
    struct object_coded *f = calloc(1, sizeof *f);
    if (!f)
        cache_uncharge(c, sizeof *f);
    return f;
}

/* With the lock held: the object in the index that has the content; NULL: none any more. */
static struct object_shared *holder(const struct shard_shared *s, struct object_shared *o)
{
    struct cache_key key = {object_key(o), o->hash};
    if (o->linked || !o->content)
        return o->content ? o : NULL;
    struct object_shared *at = shard_first(s, &key);
    while (at && at->content != o->content)
        at = at->sibling;
    return at;
}

/* The same, with room for forms. *spare: taken if there was none. */
static struct object_coded *forms_of(struct object_shared *o, struct object_coded **spare)
{
    if (o && !o->coded) {
        o->coded = *spare;
        *spare = NULL;
    }
    return o ? o->coded : NULL;
}

bool cache_coded_claim(struct cache_shared *c, struct object_shared *o, unsigned coding)
{
    ASSERT(coding < CODING_COUNT);
    struct object_coded *spare = coded_new(c);
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    struct object_coded *f = forms_of(holder(s, o), &spare);
    bool first = f && !f->forms[coding] && !(f->claimed & 1u << coding);
    if (first)
        f->claimed |= (uint8_t)(1u << coding);
    pthread_mutex_unlock(&s->lock);
    if (spare)
        coded_free(c, spare);
    return first;
}

void cache_coded_leave(struct cache_shared *c, struct object_shared *o, unsigned coding)
{
    ASSERT(coding < CODING_COUNT);
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    struct object_shared *at = holder(s, o);
    if (at && at->coded)
        at->coded->claimed &= (uint8_t) ~(1u << coding);
    pthread_mutex_unlock(&s->lock);
}

void cache_coded_put(struct cache_shared *c, struct object_shared *o, unsigned coding,
                     struct content_shared *k)
{
    ASSERT(coding < CODING_COUNT && content_state(k) == CONTENT_WHOLE);
    struct object_coded *spare = coded_new(c);
    struct content_shared *old = NULL;
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    struct object_shared *at = holder(s, o);
    struct object_coded *f = forms_of(at, &spare);
    if (f) {
        old = f->forms[coding];
        f->forms[coding] = content_take(k);
        f->claimed &= (uint8_t) ~(1u << coding);
        queue_weigh(s, at);
    }
    pthread_mutex_unlock(&s->lock);
    if (spare)
        coded_free(c, spare);
    if (old)
        content_drop(old);
    cache_make_room(c);
}
