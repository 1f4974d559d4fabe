/* conditional_fuzz.c - libFuzzer entry for the fields of conditional requests. */
// SPDX-License-Identifier: Apache-2.0
#include "http/conditional_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_conditional(at, len);
    return 0;
}
