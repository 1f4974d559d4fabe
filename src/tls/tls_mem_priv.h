/* tls_mem_priv.h - the allocator that OpenSSL is given. */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "tls/tls_mem.h"
#include <stddef.h>

void *tls_mem_take(size_t bytes, const char *file, int line);
void *tls_mem_resize(void *at, size_t bytes, const char *file, int line);
void tls_mem_give(void *at, const char *file, int line);
