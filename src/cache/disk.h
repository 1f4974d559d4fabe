/* disk.h - the second tier: one file for each stored response, below one folder.
 *
 * A file is written under another name and renamed when it is whole. Its header is checksummed and
 * tells the size, so that the index is rebuilt from headers alone; each block of the body has a
 * checksum of its own, looked at when it is read: a torn or rotten object is a miss, never an
 * answer. The heads of stored responses stay in memory (object_shared), bodies do not.
 *
 * Every system call that may wait for the disk runs on the threads of this tier; workers leave
 * orders and are woken by the content they read. When the disk is full, or can not be written,
 * nothing more is saved for a while, with a warning once: memory goes on serving. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/text.h"
#include "cache/object.h"

struct disk_shared;

enum {
    DISK_THREADS = 2,
    DISK_ORDERS_MAX = 4096,
    DISK_LARGEST_SHARE = 4 /* of the budget is the most that one file may take */
};

struct disk_options {
    struct slice path;
    uint64_t max_bytes;
    void (*warn)(const char *text); /* any thread */
};

/* Main thread. Makes the folder if need be, takes its lock if it can (else it only reads: another
 * process of an upgrade still has it, and it tries again), starts the threads, which rebuild the
 * index. NULL with the reason in *why. */
struct disk_shared *disk_open(struct cache_shared *c, const struct disk_options *o,
                              struct text *why);
/* Finishes what is being written; nothing is begun any more. Waits at most for that. */
void disk_close(struct disk_shared *d);
void disk_limit_set(struct disk_shared *d, uint64_t max_bytes);
bool disk_is_scanning(struct disk_shared *d); /* not everything that is there has been found yet */

/* Saves it, which is in the index; its content may still be filling, and may be passing: then the
 * disk reads along. Gives up silently (counted) when orders are too many. Any thread. */
void disk_save(struct disk_shared *d, struct object_shared *o);
/* A content that the threads fill from `first` on, `length` bytes (UINT64_MAX: the rest); a file
 * that is gone or fails its checksums breaks it, and the object is removed. Passing when it is
 * larger than `keep_bytes`. NULL: no memory, or not on disk. */
struct content_shared *disk_load(struct disk_shared *d, struct object_shared *o, uint64_t first,
                                 uint64_t length);
/* The object `o` has the content of `old` and takes over its file with a new head. */
void disk_rehead(struct disk_shared *d, struct object_shared *old, struct object_shared *o);
void disk_forget(struct disk_shared *d, struct object_shared *o); /* removes the file */
/* A purge, into the journal before this returns: may wait for the disk. */
struct purge_order;
void disk_purge_note(struct disk_shared *d, const struct purge_order *p, uint64_t born_before);
