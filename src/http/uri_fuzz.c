/* uri_fuzz.c - libFuzzer entry for targets, paths and hosts. */
// SPDX-License-Identifier: Apache-2.0
#include "http/uri_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_uri(at, len);
    return 0;
}
