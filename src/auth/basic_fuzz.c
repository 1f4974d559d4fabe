/* basic_fuzz.c - libFuzzer entry for Authorization fields. */
// SPDX-License-Identifier: Apache-2.0
#include "auth/basic_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_basic(at, len);
    return 0;
}
