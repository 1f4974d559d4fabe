/* disk.c - the disk tier as a whole: its folder and lock, its threads, the orders to them.
 *
 * The folder is locked by flock(2) on itself: who has it writes and removes, anybody else (the next
 * process of an upgrade) only reads, and tries once a second. Everything that was written by the
 * other one until then is found by another scan. Nothing here waits for a disk on the thread of who
 * calls, but for disk_open() and disk_close(). */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "cache/disk_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SWEEP_STEP = 64, CLOSE_TICKS = 1000 };

/* --- small things that all parts need --------------------------------------------------------- */

/* relaxed, all of them: each is a single value that orders nothing else. */
bool disk_is_owner(struct disk_shared *d)
{
    return atomic_load_explicit(&d->owner, memory_order_relaxed);
}

bool disk_is_closing(struct disk_shared *d)
{
    return atomic_load_explicit(&d->closing, memory_order_relaxed);
}

void disk_count_error(struct disk_shared *d)
{
    atomic_fetch_add_explicit(&d->errors, 1, memory_order_relaxed);
}

bool disk_is_paused(struct disk_thread *t)
{
    return t->loop.now_ms < atomic_load_explicit(&t->d->pause_until_ms, memory_order_relaxed);
}

void disk_write_failed(struct disk_thread *t)
{
    struct disk_shared *d = t->d;
    int error = errno;
    char text[512];
    disk_count_error(d);
    atomic_store_explicit(&d->pause_until_ms, t->loop.now_ms + DISK_PAUSE_MS, memory_order_relaxed);
    if (atomic_exchange_explicit(&d->warned, true, memory_order_relaxed) || !d->warn)
        return;
    snprintf(text, sizeof text, "cannot write to the cache in %s (%s): it goes on in memory",
             d->path, strerror(error));
    d->warn(text);
}

bool disk_head_room(struct disk_thread *t, size_t bytes)
{
    if (bytes <= t->head_cap)
        return true;
    char *more = realloc(t->head, bytes);
    if (!more)
        return false;
    t->head = more;
    t->head_cap = bytes;
    return true;
}

bool disk_pwrite(int fd, struct slice bytes, uint64_t at)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.at, bytes.len, (off_t)at);
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return false;
        bytes = slice_from(bytes, (size_t)n);
        at += (uint64_t)n;
    }
    return true;
}

ssize_t disk_pread(int fd, char *to, size_t len, uint64_t at)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, to + done, len - done, (off_t)(at + done));
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void poll_arm(struct disk_thread *t)
{
    bool tries = t->index == 0 && !disk_is_owner(t->d);
    if (!list_empty(&t->jobs))
        timer_set(&t->loop.timers, &t->poll, t->loop.now_ms + DISK_POLL_MS);
    else if (tries)
        timer_set(&t->loop.timers, &t->poll, t->loop.now_ms + DISK_LOCK_MS);
}

static void job_begin(struct mail *m, struct loop *l)
{
    struct disk_job *j = CONTAINER_OF(m, struct disk_job, mail);
    j->begun = true;
    list_push(&j->t->jobs, &j->link);
    task_wake(&l->tasks, &j->task);
    if (!timer_armed(&j->t->poll))
        poll_arm(j->t);
}

bool disk_job_post(struct disk_job *j, struct disk_thread *t, struct object_shared *o,
                   void (*run)(struct task *t))
{
    struct disk_shared *d = t->d;
    uint32_t before = atomic_fetch_add_explicit(&d->orders, 1, memory_order_relaxed);
    if (disk_is_closing(d) || before >= DISK_ORDERS_MAX) {
        atomic_fetch_sub_explicit(&d->orders, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&d->dropped, 1, memory_order_relaxed);
        return false;
    }
    j->mail.run = job_begin;
    task_init(&j->task, run);
    list_init(&j->link);
    j->t = t;
    j->object = object_take(o);
    mailbox_post(t->loop.mailbox, &j->mail);
    return true;
}

void disk_job_wake(void *job)
{
    struct disk_job *j = job;
    if (j->begun)
        task_wake(&j->t->loop.tasks, &j->task);
}

void disk_job_end(struct disk_job *j)
{
    struct disk_thread *t = j->t;
    list_remove(&j->link);
    task_cancel(&t->loop.tasks, &j->task);
    object_drop(j->object);
    atomic_fetch_sub_explicit(&t->d->orders, 1, memory_order_relaxed);
    if (disk_is_closing(t->d))
        task_wake(&t->loop.tasks, &t->sweep);
}

/* --- threads ---------------------------------------------------------------------------------- */

void disk_thread_wake(struct disk_thread *t)
{
    /* acq_rel: what the caller did comes before what the thread does when it was woken. */
    if (!atomic_exchange_explicit(&t->woken, true, memory_order_acq_rel))
        mailbox_post(t->loop.mailbox, &t->wake);
}

static void jobs_wake(struct disk_thread *t)
{
    LIST_EACH (l, &t->jobs)
        task_wake(&t->loop.tasks, &LIST_ENTRY(l, struct disk_job, link)->task);
}

static void on_wake(struct mail *m, struct loop *l)
{
    struct disk_thread *t = CONTAINER_OF(m, struct disk_thread, wake);
    atomic_exchange_explicit(&t->woken, false, memory_order_acq_rel);
    task_wake(&l->tasks, &t->sweep);
    if (!t->owner && disk_is_owner(t->d)) {
        t->owner = true;
        disk_scan_start(t);
    }
    if (disk_is_closing(t->d))
        jobs_wake(t);
}

static void doomed_remove(struct disk_shared *d, struct disk_file *f)
{
    char name[DISK_NAME_BYTES];
    disk_name(f->number, name);
    if (disk_is_owner(d))
        unlinkat(d->dir, name, 0);
    disk_file_free(d, f);
}

/* What is small and comes in numbers: removing files, eviction, the journal's way to the disk. */
static void sweep(struct task *task)
{
    struct disk_thread *t = CONTAINER_OF(task, struct disk_thread, sweep);
    struct disk_file *f = NULL;
    bool more = t->index == 0 && disk_evict(t->d, SWEEP_STEP);
    for (unsigned n = 0; n < SWEEP_STEP && (f = disk_doomed_pop(t->d, t->index)); n++)
        doomed_remove(t->d, f);
    if (t->index == 0)
        disk_journal_flush(t->d->journal);
    if (f || more)
        task_wake(&t->loop.tasks, &t->sweep);
    else if (disk_is_closing(t->d) && list_empty(&t->jobs))
        loop_stop(&t->loop);
}

static bool try_own(struct disk_shared *d);

static void on_poll(struct timer *timer)
{
    struct disk_thread *t = CONTAINER_OF(timer, struct disk_thread, poll);
    struct disk_shared *d = t->d;
    jobs_wake(t);
    if (t->index == 0 && !disk_is_owner(d) && try_own(d))
        for (unsigned i = 0; i < DISK_THREADS; i++)
            disk_thread_wake(&d->threads[i]);
    poll_arm(t);
}

static void *thread_main(void *arg)
{
    struct disk_thread *t = arg;
    sigset_t all;
    char name[16];
    sigfillset(&all); /* signals are main's */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    snprintf(name, sizeof name, "weir-disk-%u", t->index);
    pthread_setname_np(pthread_self(), name);
    poll_arm(t);
    disk_scan_start(t);
    loop_run(&t->loop);
    arena_cache_release();
    return NULL;
}

static bool thread_init(struct disk_thread *t, struct disk_shared *d, unsigned index)
{
    t->d = d;
    t->index = index;
    t->owner = disk_is_owner(d);
    t->block = malloc(DISK_BLOCK_BYTES + DISK_SUM_BYTES);
    list_init(&t->jobs);
    timer_init(&t->poll, on_poll);
    task_init(&t->scan, disk_scan_run);
    task_init(&t->sweep, sweep);
    t->wake.run = on_wake;
    atomic_init(&t->scanning, true);
    if (t->block &&
        loop_init(&t->loop, &io_backend_epoll, NULL, &t->counters, DISK_LOOP_BUFFER_BYTES))
        return true;
    free(t->block);
    return false;
}

/* What came too late is ended here. */
static void thread_release(struct disk_thread *t)
{
    for (int n = 0; n < CLOSE_TICKS && (!list_empty(&t->jobs) || loop_busy(&t->loop)); n++)
        loop_tick(&t->loop);
    ASSERT(list_empty(&t->jobs));
    timer_stop(&t->loop.timers, &t->poll);
    task_cancel(&t->loop.tasks, &t->scan);
    task_cancel(&t->loop.tasks, &t->sweep);
    loop_release(&t->loop);
    if (t->listing)
        closedir(t->listing);
    free(t->block);
    free(t->head);
}

/* --- the folder ------------------------------------------------------------------------------- */

/* Files that did not become whole: nobody writes any now. */
static void clear_new(struct disk_shared *d)
{
    int fd = openat(d->dir, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!listing) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(listing));)
        if (e->d_name[0] != '.')
            unlinkat(fd, e->d_name, 0);
    closedir(listing);
}

static void make_folders(struct disk_shared *d)
{
    char name[3];
    mkdirat(d->dir, "new", 0700);
    for (unsigned i = 0; i < DISK_FOLDERS; i++) {
        snprintf(name, sizeof name, "%02x", i);
        mkdirat(d->dir, name, 0700); /* one that can not be made is noticed by who writes there */
    }
}

/* The lock of the folder. What another process left behind is taken over. */
static bool try_own(struct disk_shared *d)
{
    if (flock(d->dir, LOCK_EX | LOCK_NB) != 0)
        return false;
    clear_new(d);
    make_folders(d);
    disk_journal_read(d->journal);
    disk_journal_own(d->journal); /* what fails is tried again with the next purge */
    atomic_store_explicit(&d->scan_mark, disk_journal_mark(d->journal), memory_order_relaxed);
    atomic_store_explicit(&d->scans_left, DISK_THREADS, memory_order_relaxed);
    atomic_store_explicit(&d->owner, true, memory_order_relaxed); /* the mail that follows orders */
    return true;
}

static int folder_open(const char *path, struct text *why)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        text_addf(why, "cannot make the folder %s: %s", path, strerror(errno));
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        text_addf(why, "cannot open the folder %s: %s", path, strerror(errno));
    return fd;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void stats(struct disk_shared *d, struct cache_stats *out)
{
    pthread_mutex_lock(&d->lock);
    out->disk_objects = d->count;
    out->disk_bytes = d->units * DISK_UNIT_BYTES;
    pthread_mutex_unlock(&d->lock);
    out->disk_evictions = atomic_load_explicit(&d->evictions, memory_order_relaxed);
    out->disk_errors = atomic_load_explicit(&d->errors, memory_order_relaxed);
}

void disk_purge_note(struct disk_shared *d, const struct purge_order *p, uint64_t born_before)
{
    disk_journal_note(d->journal, p, born_before);
    disk_thread_wake(&d->threads[0]); /* which takes it to the disk */
}

static const struct cache_disk_ops OPS = {.save = disk_save,
                                          .load = disk_load,
                                          .forget = disk_forget,
                                          .rehead = disk_rehead,
                                          .purge_note = disk_purge_note,
                                          .stats = stats};

bool disk_is_scanning(struct disk_shared *d)
{
    for (unsigned i = 0; i < DISK_THREADS; i++)
        if (atomic_load_explicit(&d->threads[i].scanning, memory_order_acquire))
            return true;
    return atomic_load_explicit(&d->scans_left, memory_order_acquire) > 0;
}

static struct disk_shared *disk_new(struct cache_shared *c, const struct disk_options *o, int dir)
{
    struct disk_shared *d = MEM_NEW(struct disk_shared);
    uint64_t number;
    d->cache = c;
    d->warn = o->warn;
    d->path = mem_dup(o->path.at, o->path.len);
    d->dir = dir;
    d->max_units = o->max_bytes / DISK_UNIT_BYTES;
    pthread_mutex_init(&d->lock, NULL);
    list_init(&d->queue);
    /* Where another process begins can not be known; 2^63 numbers make it somewhere else. */
    rand_secret(&number, sizeof number);
    atomic_init(&d->next_number, number | 1);
    d->journal = disk_journal_new(dir);
    return d;
}

/* With `threads` of them made. */
static void disk_free(struct disk_shared *d, unsigned threads)
{
    for (unsigned i = 0; i < threads; i++)
        thread_release(&d->threads[i]);
    disk_files_release(d);
    for (unsigned i = 0; i < DISK_THREADS; i++)
        for (struct disk_file *f; (f = disk_doomed_pop(d, i));)
            doomed_remove(d, f);
    disk_journal_flush(d->journal);
    disk_journal_free(d->journal);
    close(d->dir); /* and its lock */
    pthread_mutex_destroy(&d->lock);
    free(d->path);
    free(d);
}

static unsigned threads_start(struct disk_shared *d)
{
    for (unsigned i = 0; i < DISK_THREADS; i++) {
        struct disk_thread *t = &d->threads[i];
        int error = pthread_create(&t->thread, NULL, thread_main, t);
        if (error) {
            errno = error;
            return i;
        }
    }
    return DISK_THREADS;
}

static void threads_join(struct disk_shared *d, unsigned count)
{
    atomic_store_explicit(&d->closing, true, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        disk_thread_wake(&d->threads[i]);
    for (unsigned i = 0; i < count; i++)
        pthread_join(d->threads[i].thread, NULL);
}

struct disk_shared *disk_open(struct cache_shared *c, const struct disk_options *o,
                              struct text *why)
{
    char *path = mem_dup(o->path.at, o->path.len);
    int dir = folder_open(path, why);
    free(path);
    if (dir < 0)
        return NULL;
    struct disk_shared *d = disk_new(c, o, dir);
    cache_now_raise(c, disk_journal_bound(d->journal));
    try_own(d);
    unsigned made = 0, started = 0;
    while (made < DISK_THREADS && thread_init(&d->threads[made], d, made))
        made++;
    if (made == DISK_THREADS) {
        cache_disk_set(c, &OPS, d);
        started = threads_start(d);
    }
    if (started == DISK_THREADS)
        return d;
    text_addf(why, "cannot start the threads of the cache on disk: %s", strerror(errno));
    threads_join(d, started);
    cache_disk_set(c, NULL, NULL);
    disk_free(d, made);
    return NULL;
}

void disk_close(struct disk_shared *d)
{
    threads_join(d, DISK_THREADS);
    cache_disk_set(d->cache, NULL, NULL);
    disk_free(d, DISK_THREADS);
}
