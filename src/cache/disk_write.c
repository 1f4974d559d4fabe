/* disk_write.c - saving: a file under another name, block by block, its head last, then its name.
 *
 * Until the rename nobody sees it, and a crash leaves something in "new" that the next scan takes
 * away. A content that is whole is written in steps of a few blocks; one that still fills up is
 * left alone until it is whole, unless it passes: then it is read along, into a block of its own.
 * The checksum of each block is what matters when power fails: nothing is synced here. */
// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct disk_save {
    struct disk_job job; /* first */
    struct content_reader reader;
    struct disk_layout layout;
    uint64_t body_bytes; /* in the file */
    char *block;         /* the thread's; or `own` */
    char *own;           /* charged */
    size_t fill;         /* of the block */
    int fd;              /* -1: not begun */
};

enum step { STEP_AGAIN, STEP_WAIT, STEP_DONE, STEP_FAILED, STEP_GIVEN_UP };

/* --- heads ------------------------------------------------------------------------------------ */

enum err disk_head_make(const struct object_shared *o, struct arena *a, struct disk_head *out)
{
    struct message *m = ARENA_NEW(a, struct message);
    if (!m)
        return ERR_OVER_BUDGET;
    TRY(object_head_get(o, a, m));
    *out = (struct disk_head){
        .sequence = 1,
        .born = o->born,
        .expired = atomic_load_explicit(&o->expired, memory_order_relaxed), /* a flag alone */
        .draft = {.status = o->status,
                  .kind = o->kind,
                  .headers = &m->headers,
                  .reason = m->reason,
                  .vary = object_vary(o),
                  .tags = object_tags(o),
                  .variant = o->variant,
                  .variant_without_language = object_variant_without_language(o),
                  .freshness = o->freshness},
    };
    out->draft.key.text = object_key(o);
    object_range(o, &out->draft.first, &out->draft.last, &out->draft.total);
    return ERR_OK;
}

enum err disk_head_rewrite(struct disk_thread *t, uint64_t number, const struct object_shared *o)
{
    char name[DISK_NAME_BYTES];
    struct arena a;
    struct disk_head was, head;
    struct disk_layout l;
    unsigned which;
    disk_name(number, name);
    int fd = openat(t->d->dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    arena_init(&a, DISK_HEAD_ARENA_BYTES);
    enum err e = disk_head_read(t, fd, number, &a, &l, &was, &which);
    if (e == ERR_OK)
        e = disk_head_make(o, &a, &head);
    if (e == ERR_OK) {
        head.sequence = was.sequence + 1;
        head.body_bytes = was.body_bytes;
        /* t->head is read already: what it held is not needed any more. */
        if (!disk_slot_encode(&l, &head, t->head))
            e = ERR_HEAD_TOO_LARGE;
        else if (!disk_pwrite(fd, (struct slice){t->head, l.slot_bytes},
                              disk_slot_at(&l, which ^ 1)))
            e = ERR_IO;
    }
    arena_release(&a);
    close(fd);
    return e;
}

/* --- the file while it is not whole ----------------------------------------------------------- */

static void new_name(const struct disk_save *s, char to[32])
{
    snprintf(to, 32, "new/%016llx", (unsigned long long)s->layout.number);
}

static bool file_make(struct disk_save *s)
{
    char name[32];
    new_name(s, name);
    s->fd = openat(s->job.t->d->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return s->fd >= 0;
}

static void file_unmake(struct disk_save *s)
{
    char name[32];
    if (s->fd < 0)
        return;
    new_name(s, name);
    close(s->fd);
    s->fd = -1;
    unlinkat(s->job.t->d->dir, name, 0);
}

static bool block_write(struct disk_save *s)
{
    uint64_t block = s->body_bytes / DISK_BLOCK_BYTES;
    struct slice body = {s->block, s->fill};
    disk_sum_encode(disk_block_sum(&s->layout, block, body), s->block + s->fill);
    if (!disk_pwrite(s->fd, (struct slice){s->block, s->fill + DISK_SUM_BYTES},
                     disk_block_at(&s->layout, block)))
        return false;
    s->body_bytes += s->fill;
    s->fill = 0;
    return true;
}

/* Preface and first slot, in one write. The second slot stays a hole. */
static bool head_write(struct disk_save *s)
{
    struct disk_thread *t = s->job.t;
    struct arena a;
    struct disk_head h;
    size_t bytes = DISK_PREFACE_BYTES + s->layout.slot_bytes;
    arena_init(&a, DISK_HEAD_ARENA_BYTES);
    errno = ENOMEM;
    bool done = disk_head_room(t, bytes) && disk_head_make(s->job.object, &a, &h) == ERR_OK;
    if (done) {
        h.body_bytes = s->body_bytes;
        disk_preface_encode(&s->layout, t->head);
        done = disk_slot_encode(&s->layout, &h, t->head + DISK_PREFACE_BYTES) &&
               disk_pwrite(s->fd, (struct slice){t->head, bytes}, 0);
    }
    if (done && s->body_bytes == 0)
        done = ftruncate(s->fd, (off_t)disk_file_bytes(&s->layout, 0)) == 0;
    arena_release(&a);
    return done;
}

static bool rename_whole(struct disk_save *s)
{
    char from[32], to[DISK_NAME_BYTES];
    struct disk_shared *d = s->job.t->d;
    new_name(s, from);
    disk_name(s->layout.number, to);
    if (renameat(d->dir, from, d->dir, to) != 0)
        return false;
    close(s->fd);
    s->fd = -1;
    return true;
}

/* --- steps of a save -------------------------------------------------------------------------- */

static bool layout_find(struct disk_save *s)
{
    struct arena a;
    struct disk_head h;
    arena_init(&a, DISK_HEAD_ARENA_BYTES);
    if (disk_head_make(s->job.object, &a, &h) == ERR_OK)
        s->layout.slot_bytes = disk_slot_room(&h);
    arena_release(&a);
    return s->layout.slot_bytes > 0;
}

static bool own_block(struct disk_save *s)
{
    struct cache_shared *c = s->job.t->d->cache;
    size_t bytes = DISK_BLOCK_BYTES + DISK_SUM_BYTES;
    if (!cache_charge(c, bytes))
        return false;
    s->own = malloc(bytes);
    if (!s->own)
        cache_uncharge(c, bytes);
    s->block = s->own;
    return s->own != NULL;
}

static enum step save_begin(struct disk_save *s)
{
    struct disk_thread *t = s->job.t;
    struct content_shared *k = s->reader.content;
    enum content_state state = content_state(k);
    if (state == CONTENT_BROKEN || disk_is_paused(t) || !disk_is_owner(t->d))
        return STEP_GIVEN_UP;
    if (state == CONTENT_FILLING && !content_is_passing(k))
        return disk_is_closing(t->d) ? STEP_GIVEN_UP : STEP_WAIT;
    uint64_t length = content_length(k);
    if (!layout_find(s) ||
        !disk_fits(t->d, &s->layout, length == CONTENT_LENGTH_UNKNOWN ? 0 : length))
        return STEP_GIVEN_UP;
    /* The thread's block is for who leaves it empty at the end of each step. */
    s->block = t->block;
    if (state == CONTENT_FILLING && !own_block(s))
        return STEP_GIVEN_UP;
    return file_make(s) ? STEP_AGAIN : STEP_FAILED;
}

/* Up to one block. */
static enum step save_block(struct disk_save *s)
{
    for (;;) {
        struct slice piece;
        struct chunk_shared *chunk;
        switch (content_read_next(&s->reader, DISK_BLOCK_BYTES - s->fill, &piece, &chunk)) {
        case CONTENT_BYTES:
            memcpy(s->block + s->fill, piece.at, piece.len);
            s->fill += piece.len;
            chunk_drop(chunk);
            if (s->fill == DISK_BLOCK_BYTES)
                return block_write(s) ? STEP_AGAIN : STEP_FAILED;
            break;
        case CONTENT_WAIT: return disk_is_closing(s->job.t->d) ? STEP_GIVEN_UP : STEP_WAIT;
        case CONTENT_LOST: return STEP_GIVEN_UP;
        case CONTENT_END: return s->fill == 0 || block_write(s) ? STEP_DONE : STEP_FAILED;
        }
    }
}

static void adopt(struct disk_save *s)
{
    struct object_shared *o = s->job.object;
    struct arena a;
    struct disk_head h;
    arena_init(&a, DISK_HEAD_ARENA_BYTES);
    if (disk_head_make(o, &a, &h) == ERR_OK) {
        h.body_bytes = s->body_bytes;
        disk_adopt(s->job.t, &s->layout, &h, o);
    } else {
        disk_forget(s->job.t->d, o);
    }
    arena_release(&a);
}

/* Who removed it did not know of the file yet. What passes was only too large for memory: it is
 * wanted all the same. */
static void left_meanwhile(struct disk_save *s)
{
    if (content_is_passing(s->reader.content))
        adopt(s);
    else
        disk_forget(s->job.t->d, s->job.object);
}

/* It is whole: gets its name, and others see it. */
static enum step save_finish(struct disk_save *s)
{
    struct disk_shared *d = s->job.t->d;
    struct object_shared *o = s->job.object;
    if (!disk_fits(d, &s->layout, s->body_bytes))
        return STEP_GIVEN_UP;
    if (!disk_journal_reserve(d->journal, o->born) || !head_write(s) || !rename_whole(s))
        return STEP_FAILED;
    atomic_store_explicit(&d->warned, false, memory_order_relaxed);
    if (!disk_file_add(d, o, &s->layout, s->body_bytes)) {
        char name[DISK_NAME_BYTES];
        disk_name(s->layout.number, name);
        unlinkat(d->dir, name, 0);
        return STEP_GIVEN_UP;
    }
    if (!cache_is_linked(d->cache, o))
        left_meanwhile(s);
    while (disk_evict(d, 1)) {
    }
    return STEP_DONE;
}

static enum step save_blocks(struct disk_save *s)
{
    enum step step = STEP_AGAIN;
    for (unsigned n = 0; n < DISK_STEP_BLOCKS && step == STEP_AGAIN; n++) {
        step = save_block(s);
        if (step == STEP_AGAIN && !disk_fits(s->job.t->d, &s->layout, s->body_bytes))
            step = STEP_GIVEN_UP;
    }
    return step == STEP_DONE ? save_finish(s) : step;
}

static void save_end(struct disk_save *s)
{
    struct cache_shared *c = s->job.t->d->cache;
    file_unmake(s);
    content_reader_close(&s->reader);
    if (s->own) {
        free(s->own);
        cache_uncharge(c, DISK_BLOCK_BYTES + DISK_SUM_BYTES);
    }
    disk_job_end(&s->job);
    free(s);
}

static void save_run(struct task *task)
{
    struct disk_save *s = CONTAINER_OF(task, struct disk_save, job.task);
    struct disk_thread *t = s->job.t;
    enum step step = s->fd < 0 ? save_begin(s) : STEP_AGAIN;
    if (step == STEP_AGAIN)
        step = save_blocks(s);
    if (step == STEP_AGAIN)
        task_wake(&t->loop.tasks, task);
    if (step == STEP_AGAIN || step == STEP_WAIT)
        return;
    if (step == STEP_FAILED)
        disk_write_failed(t);
    save_end(s);
}

void disk_save(struct disk_shared *d, struct object_shared *o)
{
    if (!disk_is_owner(d) || disk_is_closing(d) || object_file(o) != 0 || !object_disk_link(o))
        return;
    struct disk_save *s = calloc(1, sizeof *s);
    struct content_shared *k = s ? cache_content_get(d->cache, o) : NULL;
    if (!k) {
        free(s);
        return;
    }
    s->fd = -1;
    /* relaxed: any number that is nobody else's. */
    s->layout.number = atomic_fetch_add_explicit(&d->next_number, 1, memory_order_relaxed);
    struct disk_thread *t = disk_thread_of(d, s->layout.number);
    if (!content_reader_open(&s->reader, k, &t->loop, 0, UINT64_MAX, disk_job_wake, &s->job)) {
        free(s);
    } else if (!disk_job_post(&s->job, t, o, save_run)) {
        content_reader_close(&s->reader);
        free(s);
    }
    content_drop(k);
}

/* --- a new head ------------------------------------------------------------------------------- */

struct disk_rehead {
    struct disk_job job; /* first */
    uint64_t number;
};

static void rehead_run(struct task *task)
{
    struct disk_rehead *r = CONTAINER_OF(task, struct disk_rehead, job.task);
    struct disk_shared *d = r->job.t->d;
    struct object_shared *o = r->job.object;
    enum err e = ERR_OK;
    /* It may have left, or got another head, since. */
    if (disk_is_owner(d) && object_file(o) == r->number &&
        disk_journal_reserve(d->journal, o->born))
        e = disk_head_rewrite(r->job.t, r->number, o);
    if (e != ERR_OK) { /* the old head would come back after a restart: better none */
        disk_file_lost(d, r->number);
        if (e == ERR_IO)
            disk_count_error(d);
    }
    disk_job_end(&r->job);
    free(r);
}

void disk_rehead(struct disk_shared *d, struct object_shared *old, struct object_shared *o)
{
    uint64_t number;
    if (!disk_file_move(d, old, o, &number)) {
        disk_forget(d, old);
        disk_save(d, o);
        return;
    }
    struct disk_rehead *r = calloc(1, sizeof *r);
    if (!r)
        return;
    r->number = number;
    if (!disk_job_post(&r->job, disk_thread_of(d, number), o, rehead_run))
        free(r);
}
