/* key_heap.h - memory for private keys apart from all other: between pages that nobody may touch,
 * in no core file, and not on swap where the limit of locked memory allows it. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
    KEY_HEAP_MIN_BYTES = 4 << 20, /* fits the usual RLIMIT_MEMLOCK of 8 MB */
    KEY_HEAP_MAX_BYTES = 64 << 20,
};

/* Once, before the first key: OpenSSL puts the secret parts of keys there from now on. Files of
 * `bytes` hold the keys, and what else belongs to them. */
void key_heap_begin(size_t bytes);
/* Would keys from files of so many bytes fit? The heap does not grow. */
bool key_heap_fits(size_t bytes);
bool key_heap_locked(void);

/* Zeroed memory for a secret of our own; on the ordinary heap when there is no other. Never NULL:
 * the process ends when memory runs out. */
void *key_heap_take(size_t bytes);
void key_heap_wipe(void *at, size_t bytes); /* and gives it back; NULL: no effect */
