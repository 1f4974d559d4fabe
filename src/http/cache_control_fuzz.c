/* cache_control_fuzz.c - libFuzzer entry for Cache-Control and targeted fields. */
// SPDX-License-Identifier: Apache-2.0
#include "http/cache_control_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_cache_control(at, len);
    return 0;
}
