/* jwk_fuzz.c - libFuzzer entry for documents of keys. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwk_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_jwk(at, len);
    return 0;
}
