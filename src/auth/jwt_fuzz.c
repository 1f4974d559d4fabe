/* jwt_fuzz.c - libFuzzer entry for tokens. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/jwt_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_jwt(at, len);
    return 0;
}
