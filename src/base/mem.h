/* mem.h - control-plane allocation: ends the process with a clear text when memory runs out.
 * The data path does not use this; it allocates from budgets that can refuse. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>

void *mem_new(size_t size);                /* zeroed */
void *mem_grow(void *old, size_t size);    /* realloc; new bytes are not zeroed */
char *mem_dup(const char *at, size_t len); /* NUL-terminated copy */
void *mem_must(void *at, size_t size);     /* at, which must not be NULL for want of memory */
#define MEM_NEW(type) ((type *)mem_new(sizeof(type)))
/* Leaves the pages that these bytes stand on out of core files, for good. */
void mem_keep_out_of_cores(const void *at, size_t len);
/* Gives pages that free() left between what lives longer back to the kernel. Slow: about a
 * millisecond. */
void mem_give_back(void);
