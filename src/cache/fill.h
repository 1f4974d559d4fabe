/* fill.h - a fetch under way for a key: one leads, the others wait for its head.
 *
 * It ends with the head: from then on what is storable is an object whose content fills up, which
 * everybody finds in the index. Who waited looks up again, or goes alone. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cache/waiter.h"
#include <stdint.h>

struct fill_shared;

enum fill_outcome {
    FILL_PENDING,
    FILL_STORED, /* look up again */
    FILL_PASS,   /* not storable: everybody goes alone, at once */
    FILL_FAILED, /* no answer: look up again, one leads */
};

struct fill_shared *fill_take(struct fill_shared *f);
void fill_drop(struct fill_shared *f);
/* The leader; once. Takes it out of the index and posts all waiters. Dropping a fill that was not
 * answered by its leader answers FILL_FAILED: fill_leave(). */
void fill_answer(struct fill_shared *f, enum fill_outcome o);
void fill_leave(struct fill_shared *f); /* the leader: answers FILL_FAILED if need be, and drops */
enum fill_outcome fill_outcome(const struct fill_shared *f);
/* False: it has been answered already. */
bool fill_wait(struct fill_shared *f, struct waiter *w);
void fill_unwait(struct fill_shared *f, struct waiter *w); /* before waiter_close() */
uint32_t fill_waiting(struct fill_shared *f);              /* how many wait now */
