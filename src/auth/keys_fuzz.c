/* keys_fuzz.c - libFuzzer entry for files of keys. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/keys_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_keys(at, len);
    return 0;
}
