/* disk_journal_priv.h - what must not come back from the disk: purges that files may not have heard
 * of yet.
 *
 * The store forgets at once; files go later, one by one, and a crash may come in between. So each
 * purge is a record of the file "journal" first, and whoever rebuilds the index asks about every
 * file that it finds. Once all files have been asked about, older records go.
 *
 * The journal also keeps a bound on the store's order of events: after a restart everything new is
 * later than all that is on disk. Any thread; a lock of its own. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/purge.h"

struct disk_journal_shared;

enum disk_verdict { VERDICT_KEEP, VERDICT_EXPIRE, VERDICT_DROP };

/* More texts than these become one purge of everything, for after a crash only. */
enum { JOURNAL_TEXTS_MAX = 65536 };
#define JOURNAL_RESERVE ((uint64_t)1 << 32) /* events that one record of the bound is good for */

struct disk_journal_shared *disk_journal_new(int dir); /* the folder is borrowed; reads it */
void disk_journal_free(struct disk_journal_shared *j);
/* Again: another process may have written to it. */
void disk_journal_read(struct disk_journal_shared *j);
/* From now on it is ours: written anew with what is known, then added to. False: errno. */
bool disk_journal_own(struct disk_journal_shared *j);
/* False: it is in memory alone; disk_journal_flush() tries again. */
bool disk_journal_note(struct disk_journal_shared *j, const struct purge_order *p,
                       uint64_t born_before);
/* What the system still holds goes to the disk. */
void disk_journal_flush(struct disk_journal_shared *j);

/* What is known of an object: its URL, its tags, its place in the order of events. */
struct disk_subject {
    struct slice url, tags;
    uint64_t born;
};
/* Nothing is noted between these two: what was kept in between can be put into the store. */
enum disk_verdict disk_journal_judge_begin(struct disk_journal_shared *j,
                                           const struct disk_subject *s);
void disk_journal_judge_end(struct disk_journal_shared *j);

uint64_t disk_journal_bound(struct disk_journal_shared *j);              /* all on disk is older */
bool disk_journal_reserve(struct disk_journal_shared *j, uint64_t born); /* before it is saved */

/* What was noted up to now; all files have been asked about it: not needed any more. */
uint64_t disk_journal_mark(struct disk_journal_shared *j);
void disk_journal_drop(struct disk_journal_shared *j, uint64_t mark);
uint32_t disk_journal_count(struct disk_journal_shared *j);

/* For the fuzzer: takes in what a file would hold; the bytes that made sense. */
size_t disk_journal_parse(struct disk_journal_shared *j, struct slice bytes);
