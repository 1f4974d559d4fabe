/* disk_read.c - loading: blocks of a file into a content that others read meanwhile.
 *
 * Every block is checked before a byte of it is handed on. What is missing, short or does not match
 * breaks the content, and the object leaves the store. Who asks for the whole of something that is
 * on its way already gets the same content; one that passes waits for its readers, and ends when
 * nobody is left. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { REFUSED_MAX = 10000 / DISK_POLL_MS /* ten seconds: others give memory back meanwhile */ };

struct disk_load {
    struct disk_job job; /* first */
    struct content_shared *content;
    struct waiter *waiter; /* NULL: it does not pass */
    struct disk_load_place place;
    uint64_t first, at, end; /* in the body */
    unsigned refused;        /* how often there was no memory, in a row */
    bool whole;              /* to be kept in memory */
    int fd;                  /* -1: not opened */
};

enum step { STEP_AGAIN, STEP_WAIT, STEP_DONE, STEP_LOST, STEP_GIVEN_UP };

static enum step load_open(struct disk_load *j)
{
    char name[DISK_NAME_BYTES];
    struct disk_shared *d = j->job.t->d;
    disk_name(j->place.layout.number, name);
    j->fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (j->fd >= 0)
        return STEP_AGAIN;
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        return STEP_GIVEN_UP;
    /* Another process, whose folder it is, may have removed it: that is no error. */
    if (errno != ENOENT)
        disk_count_error(d);
    return STEP_LOST;
}

/* The part of a checked block that was asked for. */
static enum step block_hand_on(struct disk_load *j, struct slice body, uint64_t block)
{
    uint64_t from = block * DISK_BLOCK_BYTES;
    size_t skip = (size_t)(j->at - from);
    uint64_t left = j->end - j->at;
    struct slice part = slice_from(body, skip);
    if (part.len > left)
        part.len = (size_t)left;
    enum err e = content_append(j->content, part);
    j->at = j->first + content_bytes(j->content); /* without memory a part of it */
    if (e != ERR_OK)
        return ++j->refused < REFUSED_MAX ? STEP_WAIT : STEP_GIVEN_UP;
    j->refused = 0;
    return j->at == j->end ? STEP_DONE : STEP_AGAIN;
}

static enum step load_block(struct disk_load *j)
{
    struct disk_thread *t = j->job.t;
    if (!content_is_wanted(j->content) || disk_is_closing(t->d))
        return STEP_GIVEN_UP;
    if (content_room(j->content, j->waiter) == 0)
        return STEP_WAIT;
    uint64_t block = j->at / DISK_BLOCK_BYTES;
    size_t len = disk_block_len(j->place.body_bytes, block) + DISK_SUM_BYTES;
    ssize_t got = disk_pread(j->fd, t->block, len, disk_block_at(&j->place.layout, block));
    struct slice read = {t->block, got > 0 ? (size_t)got : 0};
    if (read.len == len && disk_block_holds(&j->place.layout, block, read))
        return block_hand_on(j, slice_head(read, len - DISK_SUM_BYTES), block);
    disk_count_error(t->d);
    return STEP_LOST;
}

static void load_end(struct disk_load *j, enum step step)
{
    struct disk_shared *d = j->job.t->d;
    if (step == STEP_DONE) {
        content_end(j->content);
        if (j->whole)
            cache_content_loaded(d->cache, j->job.object, j->content);
    } else {
        content_break(j->content);
    }
    if (step == STEP_LOST)
        disk_file_lost(d, j->place.layout.number);
    disk_loading_end(d, j->place.layout.number, j->content);
    if (j->fd >= 0)
        close(j->fd);
    if (j->waiter)
        waiter_close(j->waiter);
    content_drop(j->content);
    disk_job_end(&j->job);
    free(j);
}

static void load_run(struct task *task)
{
    struct disk_load *j = CONTAINER_OF(task, struct disk_load, job.task);
    enum step step = j->fd < 0 ? load_open(j) : STEP_AGAIN;
    for (unsigned n = 0; n < DISK_STEP_BLOCKS && step == STEP_AGAIN; n++)
        step = load_block(j);
    if (step == STEP_AGAIN)
        task_wake(&j->job.t->loop.tasks, task);
    else if (step != STEP_WAIT)
        load_end(j, step);
}

static struct content_shared *load_post(struct disk_shared *d, struct disk_load *j,
                                        struct object_shared *o)
{
    struct disk_thread *t = disk_thread_of(d, j->place.layout.number);
    struct content_shared *k = content_take(j->content);
    if (content_is_passing(k))
        j->waiter = waiter_new(&t->loop, disk_job_wake, &j->job);
    if ((j->waiter || !content_is_passing(k)) && disk_job_post(&j->job, t, o, load_run))
        return k;
    content_break(k);
    disk_loading_end(d, j->place.layout.number, k);
    if (j->waiter)
        waiter_close(j->waiter);
    content_drop(k);
    content_drop(k);
    free(j);
    return NULL;
}

/* Nothing to read. */
static struct content_shared *load_empty(struct disk_shared *d, struct object_shared *o, bool whole)
{
    struct content_shared *k = content_new(d->cache, 0, 0);
    if (!k)
        return NULL;
    content_end(k);
    if (whole)
        cache_content_loaded(d->cache, o, k);
    return k;
}

static uint64_t keep_bytes(struct disk_shared *d)
{
    struct cache_limits l;
    cache_limits_get(d->cache, &l);
    return l.object_bytes;
}

struct content_shared *disk_load(struct disk_shared *d, struct object_shared *o, uint64_t first,
                                 uint64_t length)
{
    struct disk_load j = {.fd = -1, .first = first, .at = first};
    struct content_shared *there;
    if (!disk_loading_find(d, o, &j.place, first, &there))
        return NULL;
    if (there)
        return there;
    uint64_t rest = j.place.body_bytes - first;
    j.end = first + (length < rest ? length : rest);
    bool all = first == 0 && j.end == j.place.body_bytes;
    j.whole = all && j.place.body_bytes <= keep_bytes(d);
    if (j.at == j.end)
        return load_empty(d, o, all);
    struct disk_load *job = malloc(sizeof *job);
    j.content = job ? content_new(d->cache, first, j.end - first) : NULL;
    if (!j.content) {
        free(job);
        return NULL;
    }
    if (!j.whole && j.end - first > CONTENT_PASSING_BYTES)
        content_make_passing(j.content);
    *job = j;
    if (j.whole)
        disk_loading_begin(d, j.place.layout.number, j.content);
    return load_post(d, job, o);
}
