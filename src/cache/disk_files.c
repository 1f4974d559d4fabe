/* disk_files.c - which files there are, whose they are, and which leave when the budget is spent.
 *
 * A table for each subfolder, so that growing one is short; a queue of all objects in which who was
 * loaded lately gets a second chance (Corbato 1969). An object's `file` is written only here, under
 * the tier's lock; the store hears of a file that is gone afterwards, without it. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_priv.h"
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BUCKETS = 8 };

static struct disk_files *files_of(struct disk_shared *d, uint64_t number)
{
    return &d->files[number % DISK_FOLDERS];
}

/* Numbers follow each other, so their upper part spreads well enough. */
static struct disk_file **bucket_of(struct disk_files *fs, uint64_t number)
{
    return &fs->buckets[number / DISK_FOLDERS & fs->mask];
}

struct disk_thread *disk_thread_of(struct disk_shared *d, uint64_t number)
{
    return &d->threads[number % DISK_THREADS];
}

void disk_name(uint64_t number, char to[DISK_NAME_BYTES])
{
    snprintf(to, DISK_NAME_BYTES, "%02x/%016llx", (unsigned)(number % DISK_FOLDERS),
             (unsigned long long)number);
}

static bool grow(struct disk_files *fs)
{
    uint32_t slots = fs->buckets ? (fs->mask + 1) * 2 : FIRST_BUCKETS;
    struct disk_files to = {calloc(slots, sizeof *to.buckets), slots - 1, fs->count};
    if (!to.buckets)
        return fs->buckets != NULL; /* it only gets slower */
    for (uint32_t i = 0; fs->buckets && i <= fs->mask; i++)
        for (struct disk_file *f = fs->buckets[i], *next; f; f = next) {
            next = f->next;
            f->next = *bucket_of(&to, f->number);
            *bucket_of(&to, f->number) = f;
        }
    free(fs->buckets);
    *fs = to;
    return true;
}

struct disk_file *disk_file_find(struct disk_shared *d, uint64_t number)
{
    struct disk_files *fs = files_of(d, number);
    struct disk_file *f = fs->buckets ? *bucket_of(fs, number) : NULL;
    while (f && f->number != number)
        f = f->next;
    return f;
}

static uint32_t units_of(const struct disk_layout *l, uint64_t body_bytes)
{
    return (uint32_t)((disk_file_bytes(l, body_bytes) + DISK_UNIT_BYTES - 1) / DISK_UNIT_BYTES);
}

bool disk_fits(struct disk_shared *d, const struct disk_layout *l, uint64_t body_bytes)
{
    pthread_mutex_lock(&d->lock);
    uint64_t max = d->max_units;
    pthread_mutex_unlock(&d->lock);
    return body_bytes <= DISK_BODY_MAX_BYTES &&
           disk_file_bytes(l, body_bytes) <= max / DISK_LARGEST_SHARE * DISK_UNIT_BYTES;
}

static struct disk_file *file_new(struct object_shared *o, const struct disk_layout *l,
                                  uint64_t body_bytes)
{
    if (!cache_charge(o->cache, sizeof(struct disk_file)))
        return NULL;
    struct disk_file *f = calloc(1, sizeof *f);
    if (!f) {
        cache_uncharge(o->cache, sizeof *f);
        return NULL;
    }
    f->number = l->number;
    f->body_bytes = body_bytes;
    f->object = object_take(o);
    f->slot_bytes = l->slot_bytes;
    f->units = units_of(l, body_bytes);
    return f;
}

void disk_file_free(struct disk_shared *d, struct disk_file *f)
{
    cache_uncharge(d->cache, sizeof *f);
    free(f);
}

static bool file_link(struct disk_shared *d, struct disk_file *f)
{
    struct disk_files *fs = files_of(d, f->number);
    if (fs->count >= fs->mask && !grow(fs))
        return false;
    f->next = *bucket_of(fs, f->number);
    *bucket_of(fs, f->number) = f;
    fs->count++;
    list_push(&d->queue, object_disk_link(f->object));
    d->units += f->units;
    d->count++;
    object_file_set(f->object, f->number);
    return true;
}

bool disk_file_add(struct disk_shared *d, struct object_shared *o, const struct disk_layout *l,
                   uint64_t body_bytes)
{
    struct disk_file *f = object_disk_link(o) ? file_new(o, l, body_bytes) : NULL;
    if (!f)
        return false;
    pthread_mutex_lock(&d->lock);
    bool done = object_file(o) == 0 && file_link(d, f);
    pthread_mutex_unlock(&d->lock);
    if (!done) {
        object_drop(f->object);
        disk_file_free(d, f);
    }
    return done;
}

/* With the lock held: nobody finds it any more. Its object's count is the caller's. */
static struct object_shared *file_unlink(struct disk_shared *d, struct disk_file *f)
{
    struct disk_files *fs = files_of(d, f->number);
    struct disk_file **at = bucket_of(fs, f->number);
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    fs->count--;
    struct object_shared *o = f->object;
    list_remove(object_disk_link(o));
    object_file_set(o, 0);
    d->units -= f->units;
    d->count--;
    f->object = NULL;
    return o;
}

/* With the lock held: its thread removes it, if the folder is ours. */
static void file_doom(struct disk_shared *d, struct disk_file *f)
{
    struct disk_file **doomed = &d->doomed[f->number % DISK_THREADS];
    f->next = *doomed;
    *doomed = f;
}

/* What was unlinked under the lock ends without it. */
static void file_left(struct disk_shared *d, uint64_t number, struct object_shared *o,
                      struct content_shared *loading)
{
    if (loading)
        content_drop(loading);
    object_drop(o);
    disk_thread_wake(disk_thread_of(d, number));
}

void disk_forget(struct disk_shared *d, struct object_shared *o)
{
    pthread_mutex_lock(&d->lock);
    uint64_t number = object_file(o);
    struct disk_file *f = number ? disk_file_find(d, number) : NULL;
    struct content_shared *loading = NULL;
    if (f) {
        loading = f->loading;
        f->loading = NULL;
        o = file_unlink(d, f);
        file_doom(d, f);
    }
    pthread_mutex_unlock(&d->lock);
    if (f)
        file_left(d, number, o, loading);
}

void disk_file_lost(struct disk_shared *d, uint64_t number)
{
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = disk_file_find(d, number);
    struct object_shared *o = f ? object_take(f->object) : NULL;
    pthread_mutex_unlock(&d->lock);
    if (!o)
        return;
    disk_forget(d, o);
    cache_file_gone(d->cache, o);
    object_drop(o);
}

/* --- loads ------------------------------------------------------------------------------------ */

static struct disk_file *file_of(struct disk_shared *d, struct object_shared *o)
{
    uint64_t number = object_file(o);
    return number ? disk_file_find(d, number) : NULL;
}

bool disk_loading_find(struct disk_shared *d, struct object_shared *o, struct disk_load_place *p,
                       uint64_t first, struct content_shared **there)
{
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = file_of(d, o);
    bool found = f && first <= f->body_bytes;
    *there = NULL;
    if (found) {
        f->used = true;
        p->layout = (struct disk_layout){f->number, f->slot_bytes};
        p->body_bytes = f->body_bytes;
        if (f->loading && content_state(f->loading) != CONTENT_BROKEN)
            *there = content_take(f->loading);
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

void disk_loading_begin(struct disk_shared *d, uint64_t number, struct content_shared *k)
{
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = disk_file_find(d, number);
    if (f && !f->loading)
        f->loading = content_take(k);
    pthread_mutex_unlock(&d->lock);
}

void disk_loading_end(struct disk_shared *d, uint64_t number, struct content_shared *k)
{
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = disk_file_find(d, number);
    bool was = f && f->loading == k;
    if (was)
        f->loading = NULL;
    pthread_mutex_unlock(&d->lock);
    if (was)
        content_drop(k);
}

/* --- eviction --------------------------------------------------------------------------------- */

/* With the lock held: the next one to leave, or NULL when all fit. */
static struct object_shared *victim_next(struct disk_shared *d)
{
    while (d->units > d->max_units && !list_empty(&d->queue)) {
        struct list *l = d->queue.next;
        struct object_shared *o = object_of_disk_link(l);
        struct disk_file *f = disk_file_find(d, object_file(o));
        if (!f->used)
            return object_take(o);
        f->used = false;
        list_remove(l);
        list_push(&d->queue, l);
    }
    return NULL;
}

static struct object_shared *victim_take(struct disk_shared *d)
{
    pthread_mutex_lock(&d->lock);
    struct object_shared *o = victim_next(d);
    pthread_mutex_unlock(&d->lock);
    return o;
}

bool disk_evict(struct disk_shared *d, unsigned most)
{
    for (unsigned n = 0; n < most; n++) {
        struct object_shared *o = victim_take(d);
        if (!o)
            return false;
        disk_forget(d, o);
        cache_file_gone(d->cache, o);
        object_drop(o);
        /* relaxed: a number for people. */
        atomic_fetch_add_explicit(&d->evictions, 1, memory_order_relaxed);
    }
    return true;
}

struct disk_file *disk_doomed_pop(struct disk_shared *d, unsigned thread)
{
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = d->doomed[thread];
    if (f)
        d->doomed[thread] = f->next;
    pthread_mutex_unlock(&d->lock);
    return f;
}

bool disk_file_move(struct disk_shared *d, struct object_shared *old, struct object_shared *o,
                    uint64_t *number)
{
    if (!object_disk_link(o))
        return false;
    pthread_mutex_lock(&d->lock);
    *number = object_file(old);
    struct disk_file *f = *number ? disk_file_find(d, *number) : NULL;
    bool moved = f && f->object == old && object_file(o) == 0;
    if (moved) {
        list_add_before(object_disk_link(old), object_disk_link(o));
        list_remove(object_disk_link(old));
        f->object = object_take(o);
        object_file_set(old, 0);
        object_file_set(o, *number);
    }
    pthread_mutex_unlock(&d->lock);
    if (moved)
        object_drop(old);
    return moved;
}

void disk_limit_set(struct disk_shared *d, uint64_t max_bytes)
{
    pthread_mutex_lock(&d->lock);
    d->max_units = max_bytes / DISK_UNIT_BYTES;
    pthread_mutex_unlock(&d->lock);
    disk_thread_wake(&d->threads[0]);
}

/* At the end of the tier, when its threads are gone. */
void disk_files_release(struct disk_shared *d)
{
    for (unsigned i = 0; i < DISK_FOLDERS; i++) {
        struct disk_files *fs = &d->files[i];
        for (uint32_t b = 0; fs->buckets && b <= fs->mask; b++)
            while (fs->buckets[b]) {
                struct disk_file *f = fs->buckets[b];
                struct object_shared *o = file_unlink(d, f);
                if (f->loading)
                    content_drop(f->loading);
                object_drop(o);
                disk_file_free(d, f);
            }
        free(fs->buckets);
    }
}
