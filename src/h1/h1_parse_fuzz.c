/* h1_parse_fuzz.c - libFuzzer entry for heads, chunks and trailers. */
// SPDX-License-Identifier: Apache-2.0
#include "h1/h1_parse_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_h1(at, len);
    return 0;
}
