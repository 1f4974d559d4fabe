/* tls_mem.h - has OpenSSL recycle its record buffers (see tls_mem.c). */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>

/* Before anything of OpenSSL is used, once per process. False: too late; nothing has changed. */
bool tls_mem_init(void);
void tls_mem_trim(void); /* frees the calling thread's spare buffers */
