/* coding_fuzz.c - libFuzzer entry for Accept-Encoding and media types. */
// SPDX-License-Identifier: Apache-2.0
#include "http/coding_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_coding(at, len);
    return 0;
}
