/* mailbox.h - how other threads reach a loop: a lock-protected list and an eventfd.
 *
 * The only way into a worker. A mail is allocated by the sender and belongs to the receiver once
 * posted; its run() is called from the receiver's mailbox_run(), and frees it if need be. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>

struct loop;
struct mailbox_shared;

struct mail {
    struct mail *next;
    void (*run)(struct mail *m, struct loop *l);
};

struct mailbox_shared *mailbox_new(void); /* NULL: the kernel refuses (errno) */
void mailbox_free(struct mailbox_shared *m);
void mailbox_post(struct mailbox_shared *m, struct mail *mail); /* any thread; wakes the loop */
void mailbox_run(struct mailbox_shared *m, struct loop *l);     /* the loop's, once a tick */
int mailbox_fd(const struct mailbox_shared *m);                 /* readable when there is mail */
bool mailbox_empty(struct mailbox_shared *m);
