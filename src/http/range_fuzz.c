/* range_fuzz.c - libFuzzer entry for Range fields. */
// SPDX-License-Identifier: Apache-2.0
#include "http/range_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_range(at, len);
    return 0;
}
