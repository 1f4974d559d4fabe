/* snapshots.h - the way of a snapshot's last count back to the main thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/snapshot.h"

struct mailbox_shared;

/* From now on adopted snapshots are freed by the loop of this mailbox. */
void snapshots_begin(struct mailbox_shared *main);
void snapshots_adopt(struct conf *c);
uint32_t snapshots_alive(void); /* adopted and not freed; main thread */
void snapshots_end(void);       /* one thread is left: the last drop frees at once */
