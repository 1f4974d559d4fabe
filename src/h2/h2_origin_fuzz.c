/* h2_origin_fuzz.c - libFuzzer entry for what a server sends on a connection of HTTP/2. */
// SPDX-License-Identifier: Apache-2.0
#include "h2/h2_origin_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_h2_origin(at, len);
    return 0;
}
