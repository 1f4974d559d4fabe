/* bans.h - addresses that get nothing for a time: one list for the whole process, which rules add
 * to, administrators read and change, and every connection and request asks.
 *
 * An address of IPv6 is banned with its /64. A ban that follows another one soon is twice as long.
 * The list lives as long as the process; whoever keeps a copy of it elsewhere asks for changes, and
 * puts them into another process's list. Times are of the loops' clock. Any thread. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "net/addr.h"

enum {
    BANS_MAX = 1 << 17,              /* remembered, those that are over included */
    BAN_MEMORY_MS = 24 * 3600 * 1000 /* so long after its end a ban is still known */
};

struct ban {
    struct addr_prefix who;
    int64_t until_ms; /* 0: it was lifted */
    uint32_t times;   /* that it was banned, ends of which are not forgotten */
};

bool bans_any(void); /* false: nobody is banned, nor was lately */
/* Is it banned? Unix sockets never are. */
bool bans_has(const struct addr *a, int64_t now_ms);
/* Bans it for `ms`, twice that for the second time and so on, at most `most_ms`; *out is the ban
 * then. False: it is banned already, cannot be (a unix socket), or the list is full. */
bool bans_add(const struct addr *a, int64_t ms, int64_t most_ms, int64_t now_ms, struct ban *out);
/* Bans it for `ms` from now on, whatever it was before. False as above, but for the first. */
bool bans_set(const struct addr *a, int64_t ms, int64_t now_ms, struct ban *out);
bool bans_lift(const struct addr *a, int64_t now_ms); /* and forgets it; false: it was not banned */
uint32_t bans_lift_all(int64_t now_ms);               /* how many there were */
/* Those that are in force, in no order; under a lock, so `each` may not call back. */
void bans_each(int64_t now_ms, void (*each)(void *ctx, const struct ban *b), void *ctx);
uint32_t bans_count(int64_t now_ms); /* in force */

/* ---- keeping a copy ---- */

/* Changes are noted from now on. Before there are other threads. */
void bans_record(void);
/* Tells at most `most` bans that changed since they were told; how many. Otherwise as bans_each().
 */
uint32_t bans_take_changes(uint32_t most, void (*each)(void *ctx, const struct ban *b), void *ctx);
/* All that are known, those that are over and not forgotten included. */
void bans_each_known(void (*each)(void *ctx, const struct ban *b), void *ctx);
void bans_tell_again(void); /* whatever is in the list counts as changed */
/* Makes a ban what it was elsewhere. False: the list is full. */
bool bans_put(const struct ban *b, int64_t now_ms);
