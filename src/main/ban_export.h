/* ban_export.h - `ban_export`: the supervisor puts bans into sets of nftables, so that packets of
 * who is banned die in the kernel.
 *
 * In the supervisor, because it takes CAP_NET_ADMIN, which the worker process has not. A set that
 * is missing or was flushed is tried again and filled anew; nothing that is served depends on it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"
#include "limit/bans.h"
#include "net/nft.h"

struct bundle;
struct conf;

conf_apply_fn ban_export_apply; /* scope: struct main_conf */

/* What the reader tells the supervisor, when there is such a directive. */
void ban_export_tell(const struct conf *c, struct text *bundle);

struct ban_export {
    struct nft_sets sets; /* no table: nothing is exported */
    struct addr_prefix *spared;
    uint32_t spared_count;
    int64_t at_ms; /* when to go on; 0: nothing to do */
    uint32_t
        generation; /* of the kernel's rules after our last change; 0: look at the sets first */
    bool failing;   /* and that has been told */
    struct ban batch[NFT_ELEMENTS_MAX]; /* not in the sets yet */
    uint32_t batch_count;
};

/* The configuration that is in force now; without the directive bans are taken out again. */
void ban_export_set(struct ban_export *e, const struct bundle *b, int64_t now_ms);
void ban_export_soon(struct ban_export *e, int64_t now_ms); /* bans have changed */
void ban_export_run(struct ban_export *e, int64_t now_ms);
void ban_export_end(struct ban_export *e); /* the sets keep what they have, for its time */
