/* key_heap.c - OpenSSL's secure heap, of a size that keys can not outgrow unnoticed.
 *
 * When that heap is full OpenSSL fails instead of falling back, so there is room for twice what the
 * files hold, which are more than three times as large as the secret parts of their keys: 896 bytes
 * of an RSA key with 2048 bits, 32 of one on P-256. A configuration with more gets a new process
 * (main/reload.c). Signing takes no measurable time more (docs/decisions/012). */
// SPDX-License-Identifier: Apache-2.0
#include "tls/key_heap.h"
#include "base/mem.h"
#include <openssl/crypto.h>
#include <sys/resource.h>

enum { LEAST_BLOCK_BYTES = 32 };

static size_t heap_bytes; /* 0: none; set before there are threads */
static bool heap_locked;

static size_t size_for(size_t bytes)
{
    size_t size = KEY_HEAP_MIN_BYTES;
    while (size < KEY_HEAP_MAX_BYTES && size < 2 * bytes)
        size *= 2; /* OpenSSL wants a power of two */
    return size;
}

/* As far as we may. */
static void limit_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_MEMLOCK, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &r);
}

void key_heap_begin(size_t bytes)
{
    if (heap_bytes)
        return;
    limit_raise();
    int made = CRYPTO_secure_malloc_init(size_for(bytes), LEAST_BLOCK_BYTES);
    heap_bytes = made ? size_for(bytes) : 0;
    heap_locked = made == 1; /* 2: it could not be locked, or not be guarded */
}

bool key_heap_fits(size_t bytes)
{
    return heap_bytes == 0 || heap_bytes == KEY_HEAP_MAX_BYTES || bytes <= heap_bytes;
}

bool key_heap_locked(void)
{
    return heap_locked;
}

void *key_heap_take(size_t bytes)
{
    return mem_must(OPENSSL_secure_zalloc(bytes), bytes);
}

void key_heap_wipe(void *at, size_t bytes)
{
    OPENSSL_secure_clear_free(at, bytes);
}
