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

void cache_coded_put(struct cache_shared *c, struct object_shared *o, unsigned coding,
                     struct content_shared *k)
{
    ASSERT(coding < CODING_COUNT && content_state(k) == CONTENT_WHOLE);
    struct object_coded *spare = coded_new(c);
    struct content_shared *old = NULL;
    struct shard_shared *s = shard_of(c, o->hash);
    pthread_mutex_lock(&s->lock);
    if (o->linked && o->content && (o->coded || spare)) {
        if (!o->coded) {
            o->coded = spare;
            spare = NULL;
        }
        old = o->coded->forms[coding];
        o->coded->forms[coding] = content_take(k);
        queue_weigh(s, o);
    }
    pthread_mutex_unlock(&s->lock);
    if (spare)
        coded_free(c, spare);
    if (old)
        content_drop(old);
    cache_make_room(c);
}
