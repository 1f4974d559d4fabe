/* hpack_fuzz.c - libFuzzer entry for header blocks. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/hpack_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    hpack_fuzz(at, len);
    return 0;
}
