/* structured_fuzz.c - libFuzzer entry for dictionaries of structured fields. */
// SPDX-License-Identifier: Apache-2.0
#include "http/structured_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_structured(at, len);
    return 0;
}
