/* disk_scan.c - rebuilding the index from the heads of files; no body is read.
 *
 * Each thread looks at its own subfolders, some files a step, between other orders. A file counts
 * when its name, its size and its head agree, no purge concerns it, and the store has nothing newer
 * in its place; the owner of the folder removes what does not count. Once all threads have been
 * through everything as owner, the journal's older records are not needed any more. */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "cache/disk_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SCAN_STEP = 8 /* files; a load may wait for so many */,
    HEAD_FIRST_BYTES = 4096,
    NAME_DIGITS = 16
};

enum found { FOUND_GOOD, FOUND_BAD, FOUND_UNSURE };

enum err disk_head_read(struct disk_thread *t, int fd, uint64_t number, struct arena *a,
                        struct disk_layout *l, struct disk_head *h, unsigned *which)
{
    if (!disk_head_room(t, HEAD_FIRST_BYTES))
        return ERR_NO_MEMORY;
    ssize_t got = disk_pread(fd, t->head, HEAD_FIRST_BYTES, 0);
    if (got < 0)
        return ERR_IO;
    TRY(disk_preface_decode((struct slice){t->head, (size_t)got}, l));
    if (l->number != number)
        return ERR_IO;
    size_t need = (size_t)disk_body_at(l);
    if (!disk_head_room(t, need))
        return ERR_NO_MEMORY;
    if (need > HEAD_FIRST_BYTES)
        got = disk_pread(fd, t->head, need, 0);
    if (got < (ssize_t)need)
        return ERR_IO;
    struct slice slots[2] = {{t->head + disk_slot_at(l, 0), l->slot_bytes},
                             {t->head + disk_slot_at(l, 1), l->slot_bytes}};
    return disk_slots_decode(l, slots, a, h, which);
}

/* --- one file --------------------------------------------------------------------------------- */

/* The file into the table first, so that who finds the object in the store finds it. */
static enum found object_restore(struct disk_thread *t, const struct disk_layout *l,
                                 struct disk_head *h, struct object_shared *from)
{
    uint64_t number;
    struct disk_shared *d = t->d;
    cache_key_init(&h->draft.key, h->draft.key.text);
    h->draft.length = h->body_bytes;
    struct object_shared *o = object_new(d->cache, &h->draft);
    if (!o)
        return FOUND_UNSURE;
    o->born = h->born;
    atomic_store_explicit(&o->expired, h->expired, memory_order_relaxed); /* nobody else has it */
    enum found found = FOUND_UNSURE;
    if (from ? disk_file_move(d, from, o, &number) : disk_file_add(d, o, l, h->body_bytes)) {
        found = FOUND_GOOD;
        if (!cache_restore(d->cache, o))
            disk_forget(d, o); /* which removes it */
    }
    object_drop(o);
    return found;
}

static struct disk_subject subject_of(const struct disk_head *h)
{
    struct cache_key k = {.text = h->draft.key.text};
    return (struct disk_subject){cache_key_url(&k), h->draft.tags, h->born};
}

/* No purge comes between the question and the store, which would know nothing of the object. */
static enum found head_judge(struct disk_thread *t, const struct disk_layout *l,
                             struct disk_head *h, struct object_shared *from, bool *expires)
{
    struct disk_subject s = subject_of(h);
    enum disk_verdict v = disk_journal_judge_begin(t->d->journal, &s);
    enum found found = FOUND_BAD;
    *expires = v == VERDICT_EXPIRE && !h->expired;
    h->expired |= v == VERDICT_EXPIRE;
    if (v != VERDICT_DROP)
        found = object_restore(t, l, h, from);
    disk_journal_judge_end(t->d->journal);
    return found;
}

void disk_adopt(struct disk_thread *t, const struct disk_layout *l, struct disk_head *h,
                struct object_shared *from)
{
    bool expires;
    if (head_judge(t, l, h, from, &expires) != FOUND_GOOD)
        disk_forget(t->d, from);
}

static enum found file_read(struct disk_thread *t, int fd, uint64_t number, bool *expires)
{
    struct stat st;
    struct arena a;
    struct disk_layout l;
    struct disk_head h;
    unsigned which;
    if (fstat(fd, &st) != 0)
        return FOUND_UNSURE;
    arena_init(&a, DISK_HEAD_ARENA_BYTES);
    enum err e = disk_head_read(t, fd, number, &a, &l, &h, &which);
    enum found found = e == ERR_IO ? FOUND_BAD : FOUND_UNSURE;
    if (e == ERR_OK && (uint64_t)st.st_size != disk_file_bytes(&l, h.body_bytes))
        found = FOUND_BAD;
    else if (e == ERR_OK)
        found = head_judge(t, &l, &h, NULL, expires);
    arena_release(&a);
    return found;
}

/* Known already: only purges that another process noted may be news. */
static bool known_judge(struct disk_shared *d, uint64_t number)
{
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = disk_file_find(d, number);
    struct object_shared *o = f ? object_take(f->object) : NULL;
    pthread_mutex_unlock(&d->lock);
    if (!o)
        return false;
    struct cache_key k = {.text = object_key(o)};
    struct disk_subject s = {cache_key_url(&k), object_tags(o), o->born};
    enum disk_verdict v = disk_journal_judge_begin(d->journal, &s);
    disk_journal_judge_end(d->journal);
    if (v == VERDICT_EXPIRE)
        atomic_store_explicit(&o->expired, true, memory_order_relaxed); /* a flag alone */
    if (v == VERDICT_DROP)
        cache_remove(d->cache, o);
    object_drop(o);
    return true;
}

/* The flag goes into the file, so that it does not depend on the journal any longer. */
static void expired_write(struct disk_thread *t, uint64_t number)
{
    struct disk_shared *d = t->d;
    pthread_mutex_lock(&d->lock);
    struct disk_file *f = disk_file_find(d, number);
    struct object_shared *o = f ? object_take(f->object) : NULL;
    pthread_mutex_unlock(&d->lock);
    if (o && disk_head_rewrite(t, number, o) != ERR_OK)
        disk_file_lost(d, number);
    if (o)
        object_drop(o);
}

static void file_scan(struct disk_thread *t, uint64_t number)
{
    char name[DISK_NAME_BYTES];
    struct disk_shared *d = t->d;
    if (known_judge(d, number))
        return;
    disk_name(number, name);
    int fd = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    bool expires = false;
    enum found found = file_read(t, fd, number, &expires);
    close(fd);
    if (found == FOUND_BAD && disk_is_owner(d))
        unlinkat(d->dir, name, 0);
    if (expires && found == FOUND_GOOD && disk_is_owner(d))
        expired_write(t, number);
}

/* --- the walk --------------------------------------------------------------------------------- */

static bool name_number(const char *name, uint64_t *number)
{
    struct slice s = slice_of(name);
    return s.len == NAME_DIGITS && num_parse_hex(s, number) == ERR_OK && *number != 0;
}

/* The next file of the folder. False: there are no more. */
static bool folder_step(struct disk_thread *t)
{
    struct dirent *e = readdir(t->listing);
    uint64_t number;
    if (!e)
        return false;
    if (name_number(e->d_name, &number) && number % DISK_FOLDERS == t->folder)
        file_scan(t, number);
    return true;
}

static void folder_open(struct disk_thread *t)
{
    char name[3];
    snprintf(name, sizeof name, "%02x", t->folder);
    int fd = openat(t->d->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    t->listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !t->listing)
        close(fd);
}

static void folder_close(struct disk_thread *t)
{
    if (t->listing)
        closedir(t->listing);
    t->listing = NULL;
    t->folder += DISK_THREADS;
}

static void scan_end(struct disk_thread *t)
{
    struct disk_shared *d = t->d;
    if (t->owner && atomic_fetch_sub_explicit(&d->scans_left, 1, memory_order_acq_rel) == 1)
        disk_journal_drop(d->journal, atomic_load_explicit(&d->scan_mark, memory_order_relaxed));
    /* release: who sees that it has ended sees what it found. */
    atomic_store_explicit(&t->scanning, false, memory_order_release);
    disk_thread_wake(&d->threads[0]); /* more than the budget may have been found */
}

void disk_scan_run(struct task *task)
{
    struct disk_thread *t = CONTAINER_OF(task, struct disk_thread, scan);
    if (disk_is_closing(t->d))
        return;
    for (unsigned n = 0; n < SCAN_STEP && t->folder < DISK_FOLDERS; n++) {
        if (!t->listing)
            folder_open(t);
        if (!t->listing || !folder_step(t))
            folder_close(t);
    }
    if (t->folder < DISK_FOLDERS)
        task_wake(&t->loop.tasks, task);
    else
        scan_end(t);
}

void disk_scan_start(struct disk_thread *t)
{
    if (t->listing)
        closedir(t->listing);
    t->listing = NULL;
    t->folder = t->index;
    atomic_store_explicit(&t->scanning, true, memory_order_release);
    task_wake(&t->loop.tasks, &t->scan);
}
