/* cache_rows.h - the directive `cache_store`: where stored responses are kept. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "conf/directive.h"

struct cache_store_conf {
    int64_t memory_bytes; /* 0: not said */
    int64_t disk_bytes;
    struct slice disk_path; /* NUL-terminated; empty: none */
    struct conf_pos disk_pos;
};

#define CACHE_MEMORY_DEFAULT_BYTES ((int64_t)128 << 20)

extern const struct directive cache_store_rows[]; /* scope: struct main_conf */
