/* tls_mem_test.c - record buffers are recycled, a few of them, everything else is malloc's. */
// SPDX-License-Identifier: Apache-2.0
#include "base/asan.h"
#include "tests/unit.h"
#include "tls/tls_mem_priv.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void record_buffers_come_again(void **state)
{
    (void)state;
    void *a = tls_mem_take(16500, "", 0);
    memset(a, 1, 17408 - ASAN_ON * (17408 - 16500));
    tls_mem_give(a, "", 0);
    void *b = tls_mem_take(17408, "", 0); /* another of the class */
    memset(b, 2, 17408);
    if (!ASAN_ON) /* there the sanitizer is to see every use after free */
        assert_ptr_equal(a, b);
    tls_mem_give(b, "", 0);
    tls_mem_trim();
    tls_mem_trim();
}

static void other_sizes_are_as_they_are(void **state)
{
    static const size_t sizes[] = {1, 16384, 17409, 17500, 100000};
    (void)state;
    for (int i = 0; i < 5; i++) {
        char *at = tls_mem_take(sizes[i], "", 0);
        memset(at, 3, sizes[i]);
        at = tls_mem_resize(at, sizes[i] * 2, "", 0);
        memset(at, 4, sizes[i] * 2);
        tls_mem_give(at, "", 0);
    }
    assert_null(tls_mem_take(0, "", 0));
    tls_mem_give(NULL, "", 0);
    tls_mem_trim();
}

/* What was given back as one of the class has its size. */
static void any_block_of_the_size_will_do(void **state)
{
    (void)state;
    for (size_t bytes = 17300; bytes < 17600; bytes++) {
        tls_mem_give(malloc(bytes), "", 0);
        void *at = tls_mem_take(17408, "", 0);
        memset(at, 5, 17408);
        tls_mem_give(at, "", 0);
    }
    tls_mem_trim();
}

UNIT_SUITE(tls_tls_mem, cmocka_unit_test(record_buffers_come_again),
           cmocka_unit_test(other_sizes_are_as_they_are),
           cmocka_unit_test(any_block_of_the_size_will_do));
