/* hedge.h - a second server for a request whose answer does not come: the first answer wins. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/err.h"
#include "upstream/lease.h"

struct exchange;
struct hedge; /* in the exchange's arena */

/* The request went out whole: sets the time for a second one, if there may be one. */
void hedge_arm(struct exchange *x);
/* In "await": begins the second request when it is time, and moves it on. True: it has an answer.
 */
bool hedge_step(struct exchange *x);
/* Is there a second request under way, which may take the place of the first? */
bool hedge_under_way(const struct exchange *x);
/* The second request takes the place of the first, which ends with the verdict. */
void hedge_promote(struct exchange *x, enum lease_verdict v, enum err why);
/* There is no use for it any more; safe without one. */
void hedge_drop(struct exchange *x);
