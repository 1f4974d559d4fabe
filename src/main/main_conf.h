/* main_conf.h - what the top level of a configuration says about the process itself. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "admin/admin.h"
#include "conf/directive.h"
#include "main/cache_rows.h"
#include "main/sandbox_rows.h"
#include "net/addr.h"
#include "net/nft.h"

enum { WORKERS_MAX = 256, RESOLVERS_MAX = 8 };

struct main_conf {
    int64_t workers;       /* 0: one per core that the process may use */
    int64_t buffers_bytes; /* cap of each worker's buffer pool */
    int64_t stop_ms;       /* how long a stop waits for requests in flight */
    struct slice user, group;
    bool core_dumps;
    struct slice pid_file; /* NUL-terminated */
    struct admin_listens admin;
    struct cache_store_conf cache;
    int64_t sandbox;          /* enum sandbox_mode */
    struct nft_sets ban_sets; /* no table: bans are not exported */
    int error_sink;           /* set by logs_open() */
    struct slice resolvers;   /* as c-ares wants them: "1.1.1.1:53,[::1]:53"; empty: the system's */
};

extern const struct directive main_rows[]; /* scope: struct main_conf */

void main_conf_init(struct main_conf *m); /* every default */
/* The number that `workers auto` stands for. */
uint32_t main_conf_workers(const struct main_conf *m);
