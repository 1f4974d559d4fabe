/* tls_mem.c - OpenSSL's record buffers, recycled by the thread that uses them.
 *
 * A connection gives its two 17 KB buffers back after every record (SSL_MODE_RELEASE_BUFFERS), so
 * that an idle one holds 14 KB instead of 47. Taking them from malloc each time costs about 200 ns
 * a request; a few spare ones per thread take that back. All other sizes go to malloc as they are.
 * A block may be freed by another thread than took it: it is one of that thread's spares then. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "tls/tls_mem_priv.h"
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>

enum { RECORD_LEAST = 16384, RECORD_BLOCK = 17408, SPARES_MAX = 8 };

struct spare {
    struct spare *next;
};

static __thread struct spare *spares;
static __thread int spare_count;

static bool is_record_buffer(size_t bytes)
{
    return !ASAN_ON && bytes > RECORD_LEAST && bytes <= RECORD_BLOCK;
}

void *tls_mem_take(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (!is_record_buffer(bytes))
        return bytes ? malloc(bytes) : NULL;
    struct spare *s = spares;
    if (!s)
        return malloc(RECORD_BLOCK);
    spares = s->next;
    spare_count--;
    return s;
}

void *tls_mem_resize(void *at, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(at, bytes);
}

/* Any block of this size will do, whatever it was asked for as. */
static bool is_record_block(void *at)
{
    size_t bytes = malloc_usable_size(at);
    return !ASAN_ON && bytes >= RECORD_BLOCK && bytes < RECORD_BLOCK + 64;
}

void tls_mem_give(void *at, const char *file, int line)
{
    (void)file;
    (void)line;
    if (!at)
        return;
    if (spare_count == SPARES_MAX || !is_record_block(at)) {
        free(at);
        return;
    }
    struct spare *s = at;
    s->next = spares;
    spares = s;
    spare_count++;
}

bool tls_mem_init(void)
{
    return CRYPTO_set_mem_functions(tls_mem_take, tls_mem_resize, tls_mem_give) == 1;
}

void tls_mem_trim(void)
{
    while (spares) {
        struct spare *s = spares;
        spares = s->next;
        free(s);
    }
    spare_count = 0;
}
