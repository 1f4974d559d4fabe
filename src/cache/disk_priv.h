/* disk_priv.h - the inside of the disk tier: its files in memory, its threads, their orders.
 *
 * Each file belongs to one thread by its number, and so do all orders that concern it: they run one
 * after the other, and on a thread that nothing but disks may hold up. A thread has a loop like a
 * worker's, because contents wake their writers and readers by mail. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/disk.h"
#include "cache/disk_format.h"
#include "cache/disk_journal_priv.h"
#include "cache/store.h"
#include "io/loop.h"
#include <dirent.h>
#include <pthread.h>

enum {
    DISK_FOLDERS = 256,
    DISK_NAME_BYTES = 3 + 16 + 1,      /* "5f/" and the number in hex, NUL */
    DISK_UNIT_BYTES = 4096,            /* the budget counts files in these */
    DISK_STEP_BLOCKS = 16,             /* of one file before the next order gets its turn */
    DISK_PAUSE_MS = 30000,             /* nothing is saved after a write failed */
    DISK_POLL_MS = 100,                /* who waits is looked at so often, beside being woken */
    DISK_LOCK_MS = 1000,               /* how often the folder's lock is tried for */
    DISK_HEAD_ARENA_BYTES = 8 << 20,   /* for one head while it is read or written */
    DISK_LOOP_BUFFER_BYTES = 64 << 10, /* a loop has a pool; this one uses none */
};
_Static_assert(DISK_FOLDERS % DISK_THREADS == 0, "a folder has one thread");

/* A file that is whole and known. Guarded by disk_shared.lock. */
struct disk_file {
    uint64_t number, body_bytes;
    struct object_shared *object;   /* counted; its disk link is in the queue */
    struct content_shared *loading; /* counted: on its way to memory whole; NULL: not now */
    struct disk_file *next;         /* in its bucket; in `doomed` */
    uint32_t slot_bytes;
    uint32_t units; /* of DISK_UNIT_BYTES */
    bool used;      /* since it was last considered for eviction */
};

/* What a load needs to know of a file. */
struct disk_load_place {
    struct disk_layout layout;
    uint64_t body_bytes;
};

struct disk_files {
    struct disk_file **buckets; /* mask + 1 of them; NULL: none yet */
    uint32_t mask, count;
};

struct disk_thread {
    struct disk_shared *d;
    struct loop loop;
    struct counters_shared counters;
    pthread_t thread;
    unsigned index;
    struct list jobs;  /* disk_job.link: what has begun, or waits */
    struct timer poll; /* armed while there is something to look at */
    struct task scan, sweep;
    struct mail wake; /* "there are doomed, it is ours now, it ends" */
    _Atomic(bool) woken;
    _Atomic(bool) scanning;
    bool owner;      /* as this thread knows */
    unsigned folder; /* the scan is there */
    DIR *listing;    /* and there; NULL: it has not begun with the folder */
    char *block;     /* DISK_BLOCK_BYTES + DISK_SUM_BYTES */
    char *head;      /* for a file's preface and slots */
    size_t head_cap;
};

/* Something that takes more than one step. Embedded first in what an order is. */
struct disk_job {
    struct mail mail; /* from who orders it */
    struct task task;
    struct list link; /* thread's list */
    struct disk_thread *t;
    struct object_shared *object; /* counted */
    bool begun;                   /* the mail has come */
};

struct disk_shared {
    struct cache_shared *cache;
    void (*warn)(const char *text);
    char *path;
    int dir; /* the folder */
    struct disk_journal_shared *journal;
    pthread_mutex_t lock; /* files, queue, doomed, units, count, and every object's `file` */
    struct disk_files files[DISK_FOLDERS];
    struct list queue; /* objects' disk links, the next one to leave first */
    struct disk_file *doomed[DISK_THREADS];
    uint64_t units, max_units, count;
    _Atomic(uint64_t) next_number;
    _Atomic(uint32_t) orders; /* jobs that exist */
    _Atomic(bool) owner;      /* the folder's lock is ours: writes and removes */
    _Atomic(bool) closing;
    _Atomic(bool) warned;            /* since something was saved */
    _Atomic(int64_t) pause_until_ms; /* monotonic; nothing is saved before */
    _Atomic(uint32_t) scans_left;    /* threads that have not seen all of the folder as its owner */
    _Atomic(uint64_t) scan_mark;     /* purges before it are asked about by that scan */
    _Atomic(uint64_t) errors, evictions, dropped /* orders */;
    struct disk_thread threads[DISK_THREADS];
};

/* --- disk.c ----------------------------------------------------------------------------------- */

void disk_thread_wake(struct disk_thread *t); /* any thread */
/* False: there are too many orders, or it ends; the job is still the caller's. Any thread. */
bool disk_job_post(struct disk_job *j, struct disk_thread *t, struct object_shared *o,
                   void (*run)(struct task *t));
void disk_job_wake(void *job);         /* for waiters of its thread */
void disk_job_end(struct disk_job *j); /* all but its memory */
/* A write failed (errno): nothing is saved for a while. */
void disk_write_failed(struct disk_thread *t);
bool disk_is_paused(struct disk_thread *t);
bool disk_is_owner(struct disk_shared *d);
bool disk_is_closing(struct disk_shared *d);
void disk_count_error(struct disk_shared *d);
bool disk_head_room(struct disk_thread *t, size_t bytes); /* in t->head */

/* --- disk_files.c ----------------------------------------------------------------------------- */

struct disk_thread *disk_thread_of(struct disk_shared *d, uint64_t number);
void disk_name(uint64_t number, char to[DISK_NAME_BYTES]);
bool disk_fits(struct disk_shared *d, const struct disk_layout *l, uint64_t body_bytes);
struct disk_file *disk_file_find(struct disk_shared *d, uint64_t number); /* with the lock held */
/* Its file is there from now on. False: it has one, or no memory. */
bool disk_file_add(struct disk_shared *d, struct object_shared *o, const struct disk_layout *l,
                   uint64_t body_bytes);
/* From one object to another. False: it has none, and nothing was done. */
bool disk_file_move(struct disk_shared *d, struct object_shared *old, struct object_shared *o,
                    uint64_t *number);
/* It is not there, or not whole: its object leaves the store, unless it is in memory. */
void disk_file_lost(struct disk_shared *d, uint64_t number);
/* Where a load finds what it needs: false, it is not on disk, or `first` lies past its end. *there:
 * a content that is on its way already and has all that is asked for, counted; else NULL. */
bool disk_loading_find(struct disk_shared *d, struct object_shared *o, struct disk_load_place *p,
                       uint64_t first, struct content_shared **there);
void disk_loading_begin(struct disk_shared *d, uint64_t number, struct content_shared *k);
void disk_loading_end(struct disk_shared *d, uint64_t number, struct content_shared *k);
/* At most so many files; true: there is more to do. */
bool disk_evict(struct disk_shared *d, unsigned most);
struct disk_file *disk_doomed_pop(struct disk_shared *d, unsigned thread); /* NULL: none */
void disk_file_free(struct disk_shared *d, struct disk_file *f);           /* a doomed one */
void disk_files_release(struct disk_shared *d);

/* --- the others ------------------------------------------------------------------------------- */

bool disk_pwrite(int fd, struct slice bytes, uint64_t at);
ssize_t disk_pread(int fd, char *to, size_t len, uint64_t at); /* less than `len` at the end only */
/* What an object's file says of it; borrows from the object and the arena. */
enum err disk_head_make(const struct object_shared *o, struct arena *a,
                        struct disk_head *out) MUST_CHECK;
/* Preface and slots of an open file. ERR_IO: it is not one of ours, or damaged. */
enum err disk_head_read(struct disk_thread *t, int fd, uint64_t number, struct arena *a,
                        struct disk_layout *l, struct disk_head *h, unsigned *which) MUST_CHECK;
/* Puts the head of an object into the slot that does not count. */
enum err disk_head_rewrite(struct disk_thread *t, uint64_t number,
                           const struct object_shared *o) MUST_CHECK;
/* An object that is not in the store has got a file: another one of the same head, without content,
 * is put there in its place, unless there is a reason against it; then the file goes. */
void disk_adopt(struct disk_thread *t, const struct disk_layout *l, struct disk_head *h,
                struct object_shared *from);
void disk_scan_start(struct disk_thread *t);
void disk_scan_run(struct task *task);
