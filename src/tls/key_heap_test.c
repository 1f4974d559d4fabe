/* key_heap_test.c - each case is a process of its own: the heap is made once. */
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit.h"
#include "tls/key_heap.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void in_a_process(int (*run)(void))
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int small(void)
{
    if (!key_heap_fits((size_t)1 << 40))
        return 1; /* none: the ordinary heap takes all */
    key_heap_begin(1000);
    if (!key_heap_fits(KEY_HEAP_MIN_BYTES) || key_heap_fits(KEY_HEAP_MIN_BYTES + 1))
        return 2;
    key_heap_begin(KEY_HEAP_MAX_BYTES); /* once */
    return key_heap_fits(KEY_HEAP_MIN_BYTES + 1) ? 3 : 0;
}

static int by_the_files(void)
{
    key_heap_begin(KEY_HEAP_MIN_BYTES + 1);
    if (!key_heap_fits(4 * KEY_HEAP_MIN_BYTES) || key_heap_fits(4 * KEY_HEAP_MIN_BYTES + 1))
        return 1;
    return 0;
}

static int largest(void)
{
    key_heap_begin((size_t)1 << 40);
    return key_heap_fits((size_t)1 << 40) ? 0 : 1; /* there is no larger one */
}

static EVP_PKEY *read_again(EVP_PKEY *key)
{
    BIO *b = BIO_new(BIO_s_mem());
    EVP_PKEY *again = NULL;
    if (PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL))
        again = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    BIO_free(b);
    return again;
}

static int keys(void)
{
    key_heap_begin(0);
    uint8_t *own = key_heap_take(64);
    if (!CRYPTO_secure_allocated(own) || own[0] || own[63])
        return 1;
    key_heap_wipe(own, 64);
    key_heap_wipe(NULL, 64);
    EVP_PKEY *made[] = {EVP_EC_gen("P-256"), EVP_RSA_gen(2048)};
    for (int i = 0; i < 2; i++) {
        size_t before = CRYPTO_secure_used();
        EVP_PKEY *key = read_again(made[i]);
        size_t held = CRYPTO_secure_used();
        if (!key || held == before)
            return 2 + i;
        EVP_PKEY_free(key);
        if (CRYPTO_secure_used() >= held)
            return 4 + i;
        EVP_PKEY_free(made[i]);
    }
    return 0;
}

static void the_size_follows_the_files(void **state)
{
    (void)state;
    in_a_process(small);
    in_a_process(by_the_files);
    in_a_process(largest);
}

static void secret_parts_of_keys_are_there(void **state)
{
    (void)state;
    in_a_process(keys);
}

UNIT_SUITE(tls_key_heap, cmocka_unit_test(the_size_follows_the_files),
           cmocka_unit_test(secret_parts_of_keys_are_there));
